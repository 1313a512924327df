"""Audio: all of it or a part, to those who may hear it, out of the spool alone."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from hypothesis import given
from hypothesis import strategies as st

from bridge.api.ranges import FileStamp, wanted_range
from bridge.core.access import Role, Scope
from bridge.core.ids import SectionKey
from bridge.core.records import Section
from tests.api.house import ALICE, BOB, CAROL, ROOT, WAV, House, error_of, url
from tests.storage import kept

Client = TestClient[Request, Application]
SIZE = len(WAV)
STAMP = FileStamp(SIZE, 10**18)


async def test_the_whole_file_comes_with_what_a_player_needs(house: House, client: Client) -> None:
    key = await house.section()
    response = await client.get(url(key), headers=await house.token(BOB))
    assert (response.status, await response.read()) == (200, WAV)
    assert response.headers["Content-Type"] == "audio/wav"
    assert response.headers["Content-Length"] == str(SIZE)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Last-Modified"].endswith("GMT")
    assert "Content-Disposition" not in response.headers


async def test_head_has_the_length_and_no_body(house: House, client: Client) -> None:
    key = await house.section()
    headers = {**await house.token(ALICE), "Range": "bytes=0-1"}
    response = await client.head(url(key), headers=headers)
    assert (response.status, response.headers["Content-Length"]) == (200, str(SIZE))
    assert await response.read() == b""


async def test_a_file_of_many_blocks_comes_whole(house: House, client: Client) -> None:
    content = os.urandom(700_001)
    key = await house.section(content=content)
    headers = await house.token(ALICE)
    assert await (await client.get(url(key), headers=headers)).read() == content
    part = await client.get(url(key), headers={**headers, "Range": "bytes=5-600000"})
    assert await part.read() == content[5:600_001]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=1000-99999", 1000, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-99999", 0, SIZE - 1),
        ("bytes=0-" + "9" * 5000, 0, SIZE - 1),
        ("BYTES=3-4", 3, 4),
    ],
)
async def test_a_range_is_206(house: House, client: Client, asked: str, first: int, last: int) -> None:
    key = await house.section()
    response = await client.get(url(key), headers={**await house.token(ALICE), "Range": asked})
    assert (response.status, await response.read()) == (206, WAV[first : last + 1])
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert response.headers["Content-Length"] == str(last + 1 - first)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=99999-100000", "bytes=-0", "bytes=" + "9" * 5000 + "-"])
async def test_a_range_behind_the_end_is_416(house: House, client: Client, asked: str) -> None:
    key = await house.section()
    response = await client.get(url(key), headers={**await house.token(ALICE), "Range": asked})
    await error_of(response, 416, "range-not-satisfiable")
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=-", "bytes=0-1,3-4", "seconds=1-2", "bytes=a-b", "bytes=\u0661-"]
)
async def test_a_range_that_is_none_or_many_gets_the_whole(house: House, client: Client, asked: str) -> None:
    key = await house.section()
    response = await client.get(url(key), headers={**await house.token(ALICE), "Range": asked})
    assert (response.status, len(await response.read())) == (200, SIZE)


@given(st.text("bytes=0123456789-, ", max_size=20) | st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True))
def test_a_wanted_range_never_leaves_the_file(asked: str) -> None:
    wanted = wanted_range({"Range": asked}, STAMP)
    assert wanted is None or not wanted or (wanted.start >= 0 and wanted.stop <= SIZE)


async def test_conditions_tell_states_of_a_file_apart(house: House, client: Client) -> None:
    key = await house.section()
    headers = await house.token(ALICE)
    whole = await client.get(url(key), headers=headers)
    etag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
    for condition in ({"If-None-Match": f'"x", W/{etag}'}, {"If-None-Match": "*"}, {"If-Modified-Since": modified}):
        response = await client.get(url(key), headers=headers | condition)
        assert (response.status, await response.read()) == (304, b"")
        assert response.headers["ETag"] == etag
    for if_range, status in ((etag, 206), (modified, 206), ('"other"', 200)):
        response = await client.get(url(key), headers={**headers, "Range": "bytes=0-9", "If-Range": if_range})
        assert response.status == status
    path = house.root / f"2026/08/01/{kept.RECORD}_1_001.wav"
    path.write_bytes(b"changed")
    response = await client.get(url(key), headers={**headers, "If-None-Match": etag})
    assert (response.status, await response.read()) == (200, b"changed")


async def test_an_empty_file_is_empty_and_has_no_part(house: House, client: Client) -> None:
    key = await house.section(content=b"")
    headers = await house.token(ALICE)
    response = await client.get(url(key), headers=headers)
    assert (response.status, await response.read()) == (200, b"")
    await error_of(await client.get(url(key), headers={**headers, "Range": "bytes=0-"}), 416, "range-not-satisfiable")


async def test_playing_and_downloading_are_two_rights(house: House, client: Client) -> None:
    key = await house.section()
    player, loader = await house.token(ALICE, scopes=[Scope.PLAY]), await house.token(ALICE, scopes=[Scope.DOWNLOAD])
    assert (await client.get(url(key), headers=player)).status == 200
    response = await client.get(f"{url(key)}?download=1&format=wav", headers=loader)
    assert response.status == 200
    assert response.headers["Content-Disposition"] == f'attachment; filename="{kept.RECORD}_1_001.wav"'
    await error_of(await client.get(f"{url(key)}?download=1", headers=player), 403, "forbidden")
    await error_of(await client.get(url(key), headers=loader), 403, "forbidden")


async def test_somebody_elses_audio_is_not_found(house: House, client: Client) -> None:
    key = await house.section()
    await error_of(await client.get(url(key), headers=await house.token(CAROL)), 404, "not-found")
    house.supervises = {CAROL: frozenset({BOB})}
    assert (await client.get(url(key), headers=await house.token(CAROL, Role.SUPERVISOR))).status == 200


@pytest.mark.parametrize(
    "path", ["x_0/1/1", "{}/2/1", "{}/1/2", "{}/1/0", "{}/-1/1", "{}/1/%31%2f..", "{}/1/٣", "{}/1/" + "9" * 4000]
)
async def test_what_is_no_section_is_not_found(house: House, client: Client, path: str) -> None:
    await house.section()
    headers = await house.token(ROOT, Role.ADMIN)
    await error_of(await client.get("/api/v1/records/" + path.format(kept.RECORD), headers=headers), 404, "not-found")


@pytest.mark.parametrize("audio_format", ["flac", "opus", "mp3"])
async def test_a_format_that_is_not_here_yet_says_so(house: House, client: Client, audio_format: str) -> None:
    key = await house.section()
    response = await client.get(f"{url(key)}?format={audio_format}", headers=await house.token(ALICE))
    assert await error_of(response, 400, "format-not-available") == {"format": audio_format}


def _link(root: Path, outside: Path) -> str:
    (root / "link.wav").symlink_to(outside)
    return "link.wav"


def _linked_folder(root: Path, outside: Path) -> str:
    (root / "folder").symlink_to(outside.parent)
    return f"folder/{outside.name}"


def _loop(root: Path, _: Path) -> str:
    (root / "loop.wav").symlink_to(root / "loop.wav")
    return "loop.wav"


def _pipe(root: Path, _: Path) -> str:
    os.mkfifo(root / "pipe.wav")
    return "pipe.wav"


@pytest.mark.parametrize(
    "trap",
    [
        lambda _, outside: f"../{outside.name}",
        lambda _, outside: str(outside),
        lambda *_: "no/such.wav",
        lambda *_: "",
        lambda *_: "a\0b",
        lambda *_: "a" * 5000,
        _link,
        _linked_folder,
        _loop,
        _pipe,
    ],
)
async def test_nothing_but_files_of_the_spool_is_sent(house: House, client: Client, trap: object) -> None:
    outside = house.root.parent / "secret.wav"
    outside.write_bytes(b"secret")
    assert callable(trap)
    key = await house.section(content=None, path=trap(house.root, outside))
    with structlog.testing.capture_logs() as lines:
        response = await client.get(url(key), headers=await house.token(ALICE))
    await error_of(response, 404, "audio-missing")
    assert str(house.root) not in await response.text()
    assert [line["event"] for line in lines] == ["audio-missing", "request"]


async def test_a_spool_behind_a_link_is_the_spool(house: House) -> None:
    link = house.root.parent / "link"
    link.symlink_to(house.root)
    house.root = link
    async with house.opened() as client:
        key = await house.section()
        assert (await client.get(url(key), headers=await house.token(ALICE))).status == 200


async def ticket_url(house: House, client: Client, headers: dict[str, str]) -> str:
    key = await house.section()
    response = await client.post("/api/v1/tickets", headers=headers, json={"path": url(key)})
    assert response.status == 201
    body = await response.json()
    assert body["expiresAt"] == int((house.now + timedelta(minutes=1)).timestamp() * 1000)
    link: str = body["url"]
    return link


async def test_a_ticket_plays_for_a_minute_without_a_token(house: House, client: Client) -> None:
    link = await ticket_url(house, client, await house.token(ALICE))
    house.now += timedelta(seconds=59)
    for _ in range(3):
        response = await client.get(link, headers={"Range": "bytes=0-9"})
        assert (response.status, await response.read()) == (206, WAV[:10])
    house.now += timedelta(seconds=1)
    await error_of(await client.get(link), 401, "unauthorized")


async def test_a_ticket_is_good_for_its_section_alone(house: House, client: Client) -> None:
    link = await ticket_url(house, client, await house.token(ALICE))
    await house.section(2)
    await error_of(await client.get(link.replace("/1/1?", "/1/2?")), 401, "unauthorized")
    ticket = link.partition("?")[2]
    assert (await client.get(f"/api/v1/calls?{ticket}")).status == 401
    await error_of(await client.get(link + "x"), 401, "unauthorized")


async def test_a_ticket_may_what_its_token_may_and_ends_with_it(house: House, client: Client) -> None:
    headers = await house.token(ALICE, scopes=[Scope.PLAY], expires_in=timedelta(seconds=30))
    link = await ticket_url(house, client, headers)
    await error_of(await client.get(f"{link}&download=1"), 403, "forbidden")
    house.now += timedelta(seconds=30)
    await error_of(await client.get(link), 401, "unauthorized")


async def test_a_ticket_ends_with_a_token_that_is_ended(house: House, client: Client) -> None:
    headers = await house.token(ALICE)
    link = await ticket_url(house, client, headers)
    await house.store.end_token(headers["Authorization"].split("_")[1])
    await error_of(await client.get(link), 401, "unauthorized")


async def test_guessed_tickets_make_a_remote_wait(client: Client) -> None:
    for _ in range(20):
        await error_of(await client.get("/api/v1/records/a_b/1/1?ticket=x"), 401, "unauthorized")
    await error_of(await client.get("/api/v1/records/a_b/1/1?ticket=x"), 429, "too-many-requests")


async def test_there_is_a_most_of_tickets_until_some_expire(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.api.tickets._MOST", 2)
    headers = await house.token(ALICE)
    for _ in range(2):
        await ticket_url(house, client, headers)
    response = await client.post(
        "/api/v1/tickets", headers=headers, json={"path": f"/api/v1/records/{kept.RECORD}/1/1"}
    )
    await error_of(response, 429, "too-many-requests")
    house.now += timedelta(minutes=1)
    await ticket_url(house, client, headers)


async def test_what_was_deleted_is_gone_for_those_who_might_hear_it(house: House, client: Client) -> None:
    key = await house.section(content=None, deleted_at=kept.NOON)
    details = await error_of(await client.get(url(key), headers=await house.token(ALICE)), 410, "recording-deleted")
    assert details == {"deletedAt": 1785585600123}
    await error_of(await client.get(url(key), headers=await house.token(CAROL)), 404, "not-found")


async def test_what_is_deleted_while_it_is_asked_for_is_not_missing(house: House, client: Client) -> None:
    key = await house.section(content=None)
    headers = await house.token(ALICE)
    with structlog.testing.capture_logs():
        await error_of(await client.get(url(key), headers=headers), 404, "audio-missing")
    read, asked = house.store.section, 0

    async def deleted_meanwhile(key: SectionKey) -> Section | None:
        nonlocal asked
        asked += 1
        section = await read(key)
        return section if asked == 1 or section is None else replace(section, deleted_at=kept.NOON)

    house.store.section = deleted_meanwhile  # type: ignore[method-assign]
    await error_of(await client.get(url(key), headers=headers), 410, "recording-deleted")
