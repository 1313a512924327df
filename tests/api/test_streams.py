"""SSE and WebSocket over a real connection: cursors, visibility, slow clients, ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role
from bridge.core.book import SectionBook
from bridge.core.decisions import Decision
from bridge.core.errors import StoreError
from bridge.core.records import FactKind, SectionState
from bridge.core.store import AppendFact
from tests.api.house import ALICE, BOB, CAROL, DAVE, ROOT, House, call_fact, error_of, journal_entry
from tests.storage import kept

Client = TestClient[Request, Application]
STREAM, WS = "/api/v1/stream", "/api/v1/ws"
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def section_fact(state: SectionState) -> AppendFact:
    out: list[Decision] = []
    SectionBook(out).note(FactKind(f"section.{state}"), kept.section(state=state, participants=(ALICE,)), kept.NOON)
    (change,) = out
    assert isinstance(change, AppendFact)
    return change


async def blocks(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, str]]:
    """The stream's blocks, as field to value; a comment is the field ''. Half a minute for each."""
    while True:
        block: dict[str, str] = {}
        async with asyncio.timeout(30):
            while (line := (await response.content.readline()).decode()) not in {"\n", ""}:
                name, _, value = line.rstrip("\n").partition(":")
                block[name] = value.removeprefix(" ")
        if not block:
            return
        yield block


async def events(response: aiohttp.ClientResponse, until: int) -> list[tuple[int, str]]:
    """The ids and types of events, up to an id."""
    got: list[tuple[int, str]] = []
    async for block in blocks(response):
        if "event" in block:
            got.append((int(block["id"]), block["event"]))
            if int(block["id"]) >= until:
                break
    return got


async def test_a_recording_is_seen_as_it_goes(house: House, client: Client) -> None:
    response = await client.get(STREAM, headers=await house.token(ALICE))
    assert (response.status, response.content_type) == (200, "text/event-stream")
    got = blocks(response)
    assert await anext(got) == {"retry": "2000", "id": "0"}
    await house.happen(call_fact(), section_fact(SectionState.REQUESTED), section_fact(SectionState.RECORDING))
    await house.happen(section_fact(SectionState.CLOSED), journal_entry("alice"))
    seen = [await anext(got) for _ in range(4)]
    assert [(block["id"], block["event"]) for block in seen] == [
        ("1", "CallEvent"),
        ("3", "RecordEvent"),
        ("4", "RecordEvent"),
        ("5", "JournalEntry"),
    ]
    data = [json.loads(block["data"]) for block in seen]
    assert [data[1]["eventType"], data[2]["eventType"]] == ["start", "stop"]
    assert data[3]["id"] == 5
    response.close()


@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_a_client_that_comes_back_gets_what_it_missed_and_then_live(
    house: House, client: Client, how: str
) -> None:
    await house.happen(*(call_fact(n) for n in range(4)))
    headers = await house.token(ALICE)
    if how != "query":
        headers["Last-Event-ID"] = "2"
    query = {"header": "", "query": "?after=2", "both": "?after=0"}[how]
    response = await client.get(STREAM + query, headers=headers)
    assert await events(response, 4) == [(3, "CallEvent"), (4, "CallEvent")]
    await house.happen(call_fact())
    assert await events(response, 5) == [(5, "CallEvent")]
    response.close()


async def test_without_a_cursor_only_what_comes_is_told(house: House, client: Client) -> None:
    await house.happen(call_fact(), call_fact())
    response = await client.get(STREAM, headers=await house.token(ALICE))
    await house.happen(call_fact())
    assert await events(response, 3) == [(3, "CallEvent")]
    response.close()


async def test_each_is_told_what_is_its_to_know(house: House, client: Client) -> None:
    await house.happen(
        journal_entry("alice"), journal_entry("bob"), journal_entry("carol"), call_fact(0, ALICE, BOB, CAROL, ROOT)
    )
    house.supervises = {CAROL: frozenset({BOB})}
    for headers, ids in (
        (await house.token(ALICE), [1, 4]),
        (await house.token(CAROL), [3, 4]),
        (await house.token(CAROL, Role.SUPERVISOR), [2, 3, 4]),
        (await house.token(ROOT, Role.ADMIN), [1, 2, 3, 4]),
    ):
        response = await client.get(f"{STREAM}?after=0", headers=headers)
        assert [number for number, _ in await events(response, 4)] == ids
        response.close()


@pytest.mark.parametrize("path", [STREAM, WS])
async def test_a_cursor_that_is_gone_or_not_yet_is_410(house: House, client: Client, path: str) -> None:
    await house.happen(*(call_fact() for _ in range(9)))
    house.store.forget_facts(5)
    name = "after" if path == STREAM else "since"
    headers = {**await house.token(ALICE), **(HANDSHAKE if path == WS else {})}
    for cursor in (3, 10):
        details = await error_of(await client.get(f"{path}?{name}={cursor}", headers=headers), 410, "cursor-too-old")
        assert (details["oldest"], details["newest"]) == (5, 9)


@pytest.mark.parametrize("cursor", ["x", "-1", "1.0", "9" * 19, "0x1"])
async def test_a_last_event_id_that_is_none_of_ours_is_400(house: House, client: Client, cursor: str) -> None:
    headers = {**await house.token(ALICE), "Last-Event-ID": cursor}
    details = await error_of(await client.get(STREAM, headers=headers), 400, "invalid-request")
    assert list(details) == ["Last-Event-ID"]


async def test_silence_is_broken_by_comments_that_move_the_cursor(house: House) -> None:
    house.keepalive_s = 0.05
    async with house.opened() as client:
        response = await client.get(STREAM, headers=await house.token(ALICE))
        await house.happen(call_fact(0, BOB))
        async for block in blocks(response):
            if block.get("id") == "1":
                assert block == {"": "keepalive", "id": "1"}
                break
        response.close()


async def test_a_stream_ends_with_its_token(house: House) -> None:
    house.keepalive_s = 0.05
    async with house.opened() as client:
        response = await client.get(STREAM, headers=await house.token(ALICE, expires_in=timedelta(minutes=1)))
        assert await anext(blocks(response))
        house.now += timedelta(minutes=1)
        await house.happen(call_fact())
        async with asyncio.timeout(30):
            await response.content.read()


async def test_what_happens_after_its_token_is_over_is_told_nobody_and_not_passed_over(house: House) -> None:
    """Though the stream has waited for it since before."""
    async with house.opened() as client:
        response = await client.get(STREAM, headers=await house.token(ALICE, expires_in=timedelta(minutes=1)))
        await house.happen(call_fact())
        got = blocks(response)
        assert [(await anext(got)).get("id"), (await anext(got)).get("id")] == ["0", "1"]
        house.now += timedelta(minutes=1)
        await house.happen(call_fact())
        async with asyncio.timeout(30):
            assert [block async for block in got] == []


async def test_a_web_socket_whose_token_is_over_hears_nothing_that_happens_then(house: House) -> None:
    async with house.opened() as client:
        socket = await client.ws_connect(WS, headers=await house.token(ALICE, expires_in=timedelta(minutes=1)))
        await house.happen(call_fact())
        assert (await socket.receive_json(timeout=30))["id"] == 1
        house.now += timedelta(minutes=1)
        await house.happen(call_fact())
        message = await socket.receive(timeout=30)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def test_streams_of_a_token_that_is_ended_end(house: House) -> None:
    """Also where something happens all the time."""
    house.keepalive_s = 0.05
    async with house.opened() as client:
        headers = await house.token(ALICE)
        response = await client.get(STREAM, headers=headers)
        socket = await client.ws_connect(WS, headers=headers)
        ended = asyncio.create_task(response.content.read())
        await house.store.end_token(headers["Authorization"].split("_")[1])
        async with asyncio.timeout(30):
            while not ended.done():
                await house.happen(call_fact())
                await asyncio.sleep(0.01)
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def test_who_supervises_nobody_any_more_hears_not_even_what_waited_for_a_slow_client(house: House) -> None:
    house.supervises = {DAVE: frozenset({ALICE})}
    async with house.opened() as client:
        socket = await client.ws_connect(WS, headers=await house.token(DAVE, Role.SUPERVISOR))
        big = call_fact(0, ALICE)
        big.fact.data["text"] = "x" * 400_000  # type: ignore[index]  # fills every buffer on the way soon
        await house.happen(*[big] * 60, call_fact(0, DAVE))
        assert (await socket.receive_json(timeout=30))["id"] == 1
        house.supervises = {}
        last = 1
        while (item := await socket.receive_json(timeout=30))["id"] != 61:
            last = item["id"]
        assert last < 60


async def test_a_slow_reader_is_cut_and_comes_back_without_a_gap(house: House) -> None:
    house.bound = 8
    async with house.opened() as client:
        headers = await house.token(ALICE)
        big = AppendFact(call_fact().fact)
        big.fact.data["text"] = "x" * 400_000  # type: ignore[index]  # fills every buffer on the way soon
        response = await client.get(f"{STREAM}?after=0", headers=headers)
        for _ in range(100):
            await house.happen(big)
            await asyncio.sleep(0)
        first = await events(response, 10**9)
        assert [number for number, _ in first] == list(range(1, len(first) + 1))
        assert len(first) < 100
        again = await client.get(STREAM, headers={**headers, "Last-Event-ID": str(len(first))})
        assert [number for number, _ in await events(again, 100)] == list(range(len(first) + 1, 101))
        again.close()


async def test_a_database_in_trouble_ends_a_stream_and_the_next_goes_on(house: House, client: Client) -> None:
    headers = await house.token(ALICE)
    response = await client.get(STREAM, headers=headers)
    assert await anext(blocks(response))
    await house.store.commit([call_fact()])  # kept, and its publication lost
    house.hub.publish(await house.store.commit([call_fact()]))
    house.store.broken = StoreError("locked")
    got = await events(response, 10**9)
    house.store.broken = None
    again = await client.get(STREAM, headers={**headers, "Last-Event-ID": str(len(got))})
    assert len(got) + len(await events(again, 2)) == 2
    again.close()


async def test_head_begins_no_stream(house: House, client: Client) -> None:
    assert (await client.head(STREAM, headers=await house.token(ALICE))).status == 405


async def messages(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    return [await socket.receive_json(timeout=30) for _ in range(count)]


async def test_a_web_socket_tells_the_same(house: House, client: Client) -> None:
    await house.happen(call_fact(), call_fact(0, BOB), journal_entry("alice"))
    async with client.ws_connect(f"{WS}?since=0", headers=await house.token(ALICE)) as socket:
        await socket.send_str("what a client says is not listened to")
        first, second = await messages(socket, 2)
        assert (first["type"], first["id"], first["data"]["event"]) == ("CallEvent", 1, "call.began")
        assert (second["type"], second["id"], second["data"]["id"]) == ("JournalEntry", 3, 3)
        await house.happen(section_fact(SectionState.RECORDING))
        (third,) = await messages(socket, 1)
        assert (third["type"], third["id"]) == ("RecordEvent", 4)
    async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
        await house.happen(call_fact())
        assert [message["id"] for message in await messages(socket, 1)] == [5]


@pytest.mark.parametrize(
    ("origin", "opens"),
    [
        (None, True),
        ("http://{}", True),
        ("https://{}", True),
        ("http://elsewhere.example", False),
        ("null", False),
        ("http://[", False),
        ("http://{}.elsewhere.example", False),
    ],
)
async def test_only_our_own_page_opens_a_web_socket(
    house: House, client: Client, origin: str | None, opens: bool
) -> None:
    headers = {**await house.token(ALICE), **HANDSHAKE}
    if origin is not None:
        headers["Origin"] = origin.format(f"{client.host}:{client.port}")
    response = await client.get(WS, headers=headers)
    if opens:
        assert response.status == 101
        response.close()
    else:
        await error_of(response, 403, "forbidden")


async def test_a_plain_request_for_a_web_socket_is_400(house: House, client: Client) -> None:
    await error_of(await client.get(WS, headers=await house.token(ALICE)), 400, "invalid-request")
    headers = {**await house.token(ALICE), **HANDSHAKE}
    await error_of(await client.get(f"{WS}?after=1", headers=headers), 400, "invalid-request")


async def test_a_web_socket_says_why_it_ends(house: House) -> None:
    house.keepalive_s = 0.05
    async with house.opened() as client:
        async with client.ws_connect(WS, headers=await house.token(ALICE, expires_in=timedelta(minutes=1))) as socket:
            house.now += timedelta(minutes=1)
            message = await socket.receive(timeout=30)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        async with client.ws_connect(WS, headers=await house.token(ALICE)) as socket:
            house.hub.close()
            message = await socket.receive(timeout=30)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
            assert message.extra == "since=0"


async def test_a_slow_web_socket_is_cut_and_told_so(house: House) -> None:
    house.bound = 8
    async with house.opened() as client, client.ws_connect(f"{WS}?since=0", headers=await house.token(ALICE)) as socket:
        big = call_fact()
        big.fact.data["text"] = "x" * 400_000  # type: ignore[index]  # fills every buffer on the way soon
        for _ in range(100):
            await house.happen(big)
            await asyncio.sleep(0)
        got: list[int] = []
        while (message := await socket.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
            got.append(message.json()["id"])
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1013)
        assert got == list(range(1, len(got) + 1))
        assert len(got) < 100


async def test_shutting_down_ends_the_streams_with_their_cursor(house: House) -> None:
    async with house.opened() as client:
        headers = await house.token(ALICE)
        response = await client.get(STREAM, headers=headers)
        socket = await client.ws_connect(WS, headers=headers)
        got = blocks(response)
        assert await anext(got)
        await house.happen(call_fact(), call_fact(0, BOB))
        assert (await anext(got))["id"] == "1"
        assert (await socket.receive_json(timeout=30))["id"] == 1
        last = asyncio.create_task(socket.receive(timeout=30))
        async with asyncio.timeout(30):
            await client.server.close()
        # The second fact was not for these eyes, and they need not be shown it again.
        assert [block async for block in got] == [{"": "end", "id": "2"}]
        message = await last
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 1001, "since=2")
