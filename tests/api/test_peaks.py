"""What a section looks like, without its audio."""

import base64
from dataclasses import replace
from typing import Any

from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Scope
from bridge.core.ids import FactNumber
from bridge.core.records import AudioReport, SectionState
from tests.api.house import BOB, CAROL, WAV, House, error_of, url
from tests.storage import kept

Client = TestClient[Request, Application]
DRAWN = bytes([0x80, 0x7F, 0xFF, 0x01, 0x00, 0x00, 0xF0, 0x10])
"""Two stretches of two channels: (-128, 127), (-1, 1), then (0, 0), (-16, 16)."""
STEREO = AudioReport(1.0004, len(WAV), 8000, 2, (1.0, 0.1), (0.1, 0.1), DRAWN, "ab" * 32)


async def asked(client: Client, path: str, headers: dict[str, str]) -> Any:
    response = await client.get(path + "/peaks", headers=headers)
    assert response.status == 200, await response.text()
    return await response.json()


async def test_each_side_is_drawn_by_itself(house: House, client: Client) -> None:
    key = await house.section(report=STEREO)
    answer = await asked(client, url(key), await house.token(BOB))
    assert (answer["durationS"], answer["channels"]) == (1.0, 2)
    sides = [list(memoryview(base64.b64decode(one)).cast("b")) for one in answer["peaks"]]
    assert sides == [[-128, 127, 0, 0], [-1, 1, -16, 16]]


async def test_mono_is_one_side_and_an_empty_file_has_nothing_to_draw(house: House, client: Client) -> None:
    key = await house.section(report=replace(STEREO, channels=1, peaks=DRAWN[:4]))
    answer = await asked(client, url(key), await house.token(BOB))
    assert [list(memoryview(base64.b64decode(one)).cast("b")) for one in answer["peaks"]] == [[-128, 127, -1, 1]]
    key = await house.section(report=replace(STEREO, duration_s=0.0, peaks=b""))
    assert (await asked(client, url(key), await house.token(BOB)))["peaks"] == ["", ""]


async def test_to_see_it_is_not_to_listen(house: House, client: Client) -> None:
    key = await house.section(report=STEREO)
    await asked(client, url(key), await house.token(BOB))
    assert await house.store.facts_after(FactNumber(0), 10) == []


async def test_who_has_it_already_gets_304(house: House, client: Client) -> None:
    key, headers = await house.section(report=STEREO), await house.token(BOB)
    etag = (await client.get(url(key) + "/peaks", headers=headers)).headers["ETag"]
    assert etag == f'"{STEREO.sha256}"'
    for known in (etag, f'"x", W/{etag}', "*"):
        response = await client.get(url(key) + "/peaks", headers=headers | {"If-None-Match": known})
        assert (response.status, await response.read(), response.headers["ETag"]) == (304, b"", etag)
    other = await client.get(url(key) + "/peaks", headers=headers | {"If-None-Match": '"x"'})
    assert other.status == 200


async def test_who_may_not_play_does_not_see_it(house: House, client: Client) -> None:
    path = url(await house.section(report=STEREO)) + "/peaks"
    without = await house.token(BOB, scopes=[scope for scope in Scope if scope is not Scope.PLAY])
    assert await error_of(await client.get(path, headers=without), 403, "forbidden") == {"scope": "play"}
    await error_of(await client.get(path, headers=await house.token(CAROL)), 404, "not-found")
    await error_of(await client.get(path), 401, "unauthorized")
    await error_of(await client.get(path + "?x=1", headers=await house.token(BOB)), 400, "invalid-request")


async def test_what_is_deleted_or_still_runs_has_none(house: House, client: Client) -> None:
    headers = await house.token(BOB)
    path = url(await house.section(report=STEREO, deleted_at=kept.NOON)) + "/peaks"
    await error_of(await client.get(path, headers=headers), 410, "recording-deleted")
    path = url(await house.section(2, state=SectionState.RECORDING, report=None)) + "/peaks"
    await error_of(await client.get(path, headers=headers), 409, "not-stored-yet")
