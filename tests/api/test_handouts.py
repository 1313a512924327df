"""Who plays and who downloads is a fact, kept before the first byte goes out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.api import handouts
from bridge.core.access import Reader, Role, Scope
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber
from bridge.core.records import Fact, FactKind, NumberedFact
from bridge.core.store import AppendFact, Change, Mark
from bridge.core.views import stream_item
from tests.api.house import ALICE, BOB, CAROL, DAVE, ROOT, WAV, House, error_of, url
from tests.fakes import MemoryStore

Client = TestClient[Request, Application]
PLAYED, DOWNLOADED = FactKind.RECORDING_PLAYED, FactKind.RECORDING_DOWNLOADED


class Slow(MemoryStore):
    """A store whose facts are not on disk before `disk` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = asyncio.Event()
        self.waiting = asyncio.Event()
        self.fails: StoreError | None = None

    async def commit(self, changes: Sequence[Change], mark: Mark | None = None) -> Sequence[NumberedFact]:
        if any(isinstance(one, AppendFact) for one in changes):
            self.waiting.set()
            await self.disk.wait()
            if self.fails is not None:
                raise self.fails
        return await super().commit(changes, mark)


@pytest.fixture
async def slow(house: House) -> AsyncIterator[tuple[Slow, Client]]:
    store = Slow()
    house.store = store
    async with house.opened() as client:
        yield store, client
        store.disk.set()


async def facts(house: House) -> list[Fact]:
    return [one.fact for one in await house.store.facts_after(FactNumber(0), 1000)]


async def kinds(house: House) -> list[tuple[FactKind, str]]:
    return [(one.kind, one.personal["identity"]) for one in await facts(house)]


async def test_who_plays_which_section_is_a_fact(house: House, client: Client) -> None:
    key = await house.section()
    response = await client.get(url(key), headers=await house.token(BOB))
    assert await response.read() == WAV
    (fact,) = await facts(house)
    section = await house.store.section(key)
    assert section is not None
    assert fact == Fact(PLAYED, house.now, section.call_id, *key, personal={"identity": "bob"}, audience=(ALICE, BOB))


@pytest.mark.parametrize("scopes", [(Scope.DOWNLOAD,), (Scope.PLAY, Scope.DOWNLOAD)])
async def test_a_download_is_another_fact(house: House, client: Client, scopes: tuple[Scope, ...]) -> None:
    key = await house.section()
    headers = await house.token(BOB, scopes=scopes)
    assert (await client.get(url(key) + "?download=true", headers=headers)).status == 200
    assert await kinds(house) == [(DOWNLOADED, "bob")]


async def test_no_byte_goes_out_before_the_fact_is_on_disk(house: House, slow: tuple[Slow, Client]) -> None:
    store, client = slow
    headers = await house.token(BOB)
    key = await house.section()
    asked = asyncio.create_task(client.get(url(key), headers=headers))
    await store.waiting.wait()
    done, _ = await asyncio.wait({asked}, timeout=0.2)
    assert not done  # not even a header
    store.disk.set()
    assert await (await asked).read() == WAV
    assert await kinds(house) == [(PLAYED, "bob")]


@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=0-9"}])
async def test_without_the_fact_there_is_no_audio(
    house: House, slow: tuple[Slow, Client], asked: dict[str, str]
) -> None:
    store, client = slow
    headers = await house.token(BOB)
    key = await house.section()
    store.disk.set()
    store.fails = StoreError("the disk is full")
    response = await client.get(url(key), headers=headers | asked)
    await error_of(response, 503, "store-error")
    store.fails = None
    assert (await client.get(url(key), headers=headers | asked)).ok
    assert await kinds(house) == [(PLAYED, "bob")]


async def test_a_player_that_asks_for_many_parts_at_once_is_one_fact(house: House, slow: tuple[Slow, Client]) -> None:
    store, client = slow
    headers = await house.token(BOB)
    key = await house.section()
    parts = [headers | {"Range": f"bytes={n}-{n + 9}"} for n in range(0, 200, 10)]
    asked = [asyncio.create_task(client.get(url(key), headers=one)) for one in parts]
    await store.waiting.wait()
    asked[0].cancel()  # whoever came first goes away: the others' fact stays
    store.disk.set()
    answers = await asyncio.gather(*asked[1:])
    assert {one.status for one in answers} == {206}
    assert await kinds(house) == [(PLAYED, "bob")]


async def test_of_several_that_wait_for_a_fact_that_fails_none_gets_a_byte(
    house: House, slow: tuple[Slow, Client]
) -> None:
    store, client = slow
    headers = await house.token(BOB)
    key = await house.section()
    asked = [asyncio.create_task(client.get(url(key), headers=headers)) for _ in range(5)]
    await store.waiting.wait()
    store.fails = StoreError("the disk is full")
    store.disk.set()
    assert {one.status for one in await asyncio.gather(*asked)} == {503}
    assert await kinds(house) == []


async def test_two_listeners_two_sections_and_both_ways_are_facts_of_their_own(house: House, client: Client) -> None:
    keys = [await house.section(1), await house.section(2, path="2026/08/01/other.wav")]
    for who in (ALICE, BOB):
        headers = await house.token(who)
        for key in keys:
            for query in ("", "?download=true"):
                for _ in range(2):
                    assert (await client.get(url(key) + query, headers=headers)).ok
    assert len(await facts(house)) == 8
    assert {(one.kind, one.file, one.personal["identity"]) for one in await facts(house)} == {
        (kind, file, who) for kind in (PLAYED, DOWNLOADED) for file in (1, 2) for who in ("alice", "bob")
    }


async def test_after_ten_minutes_it_is_a_fact_again(house: House, client: Client) -> None:
    key, headers = await house.section(), await house.token(BOB)
    for pause, count in ((0, 1), (10, 1), (0.1, 2), (9, 2), (-60, 3)):  # the clock may be set back
        house.now += timedelta(minutes=pause)
        assert (await client.get(url(key), headers=headers)).ok
        assert len(await facts(house)) == count


async def test_what_hands_out_nothing_is_no_fact(house: House, client: Client) -> None:
    key, headers = await house.section(), await house.token(BOB)
    assert (await client.head(url(key), headers=headers)).status == 200
    assert (await client.get(url(key), headers=headers | {"If-None-Match": "*"})).status == 304
    assert (await client.get(url(key), headers=headers | {"Range": "bytes=99999-"})).status == 416
    assert (await client.get(url(key), headers=await house.token(CAROL))).status == 404
    assert (await client.get(url(key), headers=await house.token(BOB, scopes=[Scope.DOWNLOAD]))).status == 403
    assert await facts(house) == []


async def test_no_browser_keeps_it_to_play_it_again_unseen(house: House, client: Client) -> None:
    response = await client.get(url(await house.section()), headers=await house.token(BOB))
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_ticket_plays_for_whoever_asked_for_it(house: House, client: Client) -> None:
    key = await house.section()
    made = await client.post("/api/v1/tickets", json={"path": url(key)}, headers=await house.token(BOB))
    link = (await made.json())["url"]
    assert await facts(house) == []
    assert (await client.get(link)).ok
    assert await kinds(house) == [(PLAYED, "bob")]


async def test_pascoms_transfer_is_a_fact_once_the_file_is_fetched(house: House, client: Client) -> None:
    key = await house.section()
    command = f'<InitTransfer recordId="{key.record_id}" ruleId="1" file="1" format="wav"/>'
    document = f'<cmd xmlns="http://www.pascom.net/mobydick" module="monitor">{command}</cmd>'
    answer = await client.post("/api/v1/cmd", data=document, headers=await house.token(BOB))
    text = await answer.text()
    assert await facts(house) == []
    link = text.split('url="')[1].split('"')[0].replace("&amp;", "&")
    assert (await client.get(link)).ok
    assert await kinds(house) == [(DOWNLOADED, "bob")]


async def test_at_the_bound_the_oldest_is_forgotten_and_becomes_a_fact_again(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.app[handouts.HANDOUTS]._noted, "_most", 2)
    key = await house.section()
    listeners = [await house.token(who) for who in (ALICE, BOB, ALICE)]
    for headers in (*listeners, listeners[2], listeners[0]):
        assert (await client.get(url(key), headers=headers)).ok
    assert [who for _, who in await kinds(house)] == ["alice", "bob", "alice", "alice"]


@pytest.mark.parametrize(
    ("who", "role", "supervised", "sees"),
    [
        (BOB, Role.USER, (), False),  # who is heard
        (CAROL, Role.USER, (), True),  # who has listened
        (DAVE, Role.USER, (), False),
        (DAVE, Role.SUPERVISOR, (BOB,), True),
        (DAVE, Role.SUPERVISOR, (CAROL,), False),
        (BOB, Role.SUPERVISOR, (), False),
        (ROOT, Role.ADMIN, (), True),
    ],
)
def test_streams_tell_of_listeners_to_supervisors_and_admins(
    who: Any, role: Role, supervised: tuple[Any, ...], sees: bool
) -> None:
    fact = Fact(PLAYED, House.now, file=3, personal={"identity": "carol"}, audience=(ALICE, BOB))
    item = stream_item(NumberedFact(FactNumber(7), fact), Reader(who, role, frozenset(), frozenset(supervised)))
    assert (item is not None) is sees
    if item is not None:
        assert item["type"] == "CallEvent"
        assert {"event": "recording.played", "file": 3, "personal": {"identity": "carol"}}.items() <= item[
            "data"
        ].items()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Referer": "http://{host}:1/x"}, 403),
        ({"Referer": "https://evil.example/{host}"}, 403),
        ({"Referer": "{own}/calls/1?x=y"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Referer": "{own}/calls/1"}, 403),
    ],
)
async def test_over_plain_http_another_page_lets_nobody_play_in_anothers_name(
    house: House, client: Client, headers: dict[str, str], status: int
) -> None:
    key, own = await house.section(), str(client.make_url("/")).rstrip("/")
    plain = (await house.token(ALICE))["Authorization"].removeprefix("Bearer ")
    response = await client.post("/api/v1/session", json={"token": plain}, headers={"Origin": own})
    assert response.status == 201
    sent = {name: value.format(own=own, host=client.host) for name, value in headers.items()}
    assert (await client.get(url(key), headers=sent)).status == status
    assert len(await facts(house)) == (status == 200)
