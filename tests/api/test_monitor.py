"""Recording on demand: what may be asked, what is answered, and who sees what of it on the streams."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Reader, Role, Scope
from bridge.core.book import SectionBook
from bridge.core.commands import Answer, Command, Done, Order, Refused, Verb
from bridge.core.decisions import Act, Decision, Report
from bridge.core.errors import (
    AlreadyRecordingError,
    AutomaticRecordingError,
    ControlError,
    LocalChannelError,
    NotAllowedByRulesError,
    NotConfirmedError,
    NotInTalkError,
    NotPausedError,
    NotRecordingError,
    NotYourRecordingError,
    PauseNotAllowedError,
    RecordedByAnotherError,
    RecordPausedError,
    TalkOverError,
    TooManyCommandsError,
    UnknownChannelError,
)
from bridge.core.ids import Identity, RuleId
from bridge.core.messages import Event
from bridge.core.people import Directory, People, UserFlags
from bridge.core.recorder import Recorder
from bridge.core.records import Fact, FactKind, Section, SectionState, SectionType
from bridge.core.rules import parse_rules
from bridge.core.store import AppendFact
from bridge.engine import Engine
from bridge.keeper import Keeper
from bridge.outbox import Outbox
from tests.api.house import ALICE, BOB, CAROL, ROOT, House, Scripted, call_fact, error_of
from tests.fakes import MemoryIntents
from tests.storage import kept

Client = TestClient[Request, Application]
START = "/api/v1/monitor/start"
VERBS = ["start", "stop", "pause", "resume"]
CHANNEL = {"channel": "PJSIP/bob-00000001"}
BOBS = kept.section(state=SectionState.RECORDING, type=SectionType.MANUAL, owner=BOB, participants=(ALICE, BOB))
LOOKING = [scope for scope in Scope if scope is not Scope.CONTROL]


@pytest.fixture
def script(house: House) -> Scripted:
    house.control = control = Scripted()
    return control


def fact_of(section: Section, at: datetime = kept.NOON) -> AppendFact:
    out: list[Decision] = []
    SectionBook(out).note(FactKind(f"section.{section.state}"), section, at)
    (change,) = out
    assert isinstance(change, AppendFact)
    return change


@pytest.mark.parametrize("verb", VERBS)
async def test_a_command_is_given_on_and_answered_with_its_sections(
    script: Scripted, house: House, client: Client, verb: str
) -> None:
    script.answer = (BOBS, kept.section(2, participants=(BOB,)))
    response = await client.post(f"/api/v1/monitor/{verb}", json=CHANNEL, headers=await house.token(BOB))
    assert response.status == 200
    first, second = (await response.json())["recordEvents"]
    assert first == {
        "eventType": "start",
        "eventId": kept.RECORD,
        "ruleId": 1,
        "permission": "allow",
        "identity": "bob",
        "file": 1,
        "headchannel": "PJSIP/alice-00000001",
        "tailchannel": "PJSIP/bob-00000002",
        "state": "recording",
    }
    assert (second["eventType"], second["permission"], second["file"]) == ("stop", "auto", 2)
    ((asked, channel, reader),) = script.asked
    assert (asked, channel) == (Verb(verb), "PJSIP/bob-00000001")
    assert (reader.identity, reader.role) == (BOB, Role.USER)
    assert Scope.CONTROL in reader.scopes


async def test_an_answer_shows_its_reader_what_is_its_to_see(script: Scripted, house: House, client: Client) -> None:
    script.answer = (BOBS, kept.section(2, participants=(CAROL,)))
    for headers, seen in (
        (await house.token(ALICE), [(1, "deny")]),
        (await house.token(CAROL), [(2, "auto")]),
        (await house.token(ROOT, Role.ADMIN), [(1, "allow"), (2, "auto")]),
    ):
        events = (await (await client.post(START, json=CHANNEL, headers=headers)).json())["recordEvents"]
        assert [(event["file"], event["permission"]) for event in events] == seen


async def test_nothing_that_runs_is_an_empty_list(script: Scripted, house: House, client: Client) -> None:
    script.answer = ()
    response = await client.post("/api/v1/monitor/pause", json=CHANNEL, headers=await house.token(BOB))
    assert (response.status, await response.json()) == (200, {"recordEvents": []})


@pytest.mark.parametrize("channel", ["1795223079.178", "pbx1-1795223079.178", "PJSIP/bob-1", "x" * 256, "Ü/ñ-1;2"])
async def test_a_channel_is_given_on_as_it_is_written(
    script: Scripted, house: House, client: Client, channel: str
) -> None:
    response = await client.post(START, json={"channel": channel}, headers=await house.token(BOB))
    assert response.status == 200
    assert script.asked[0][1] == channel


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "channel"),
        ({"channel": 1}, "channel"),
        ({"channel": None}, "channel"),
        ({"channel": ["PJSIP/bob-1"]}, "channel"),
        ({"channel": ""}, "channel"),
        ({"channel": "x" * 257}, "channel"),
        ({"channel": "x" * 10_240}, "channel"),
        ({"channel": "PJSIP/bob-1\r\nAction: Originate"}, "channel"),
        ({"channel": "PJSIP/bob-1\n"}, "channel"),
        ({"channel": "PJSIP/bob\0-1"}, "channel"),
        ({"channel": "PJSIP/bob\x7f-1"}, "channel"),
        ({"channel": "PJSIP/bob\x85-1"}, "channel"),
        ({"channel": "PJSIP/bob\u2028-1"}, "channel"),
        ({**CHANNEL, "rule": 1}, "rule"),
        ([], "body"),
        ("PJSIP/bob-1", "body"),
    ],
)
async def test_a_body_that_is_not_as_it_should_be_is_refused_by_field(
    script: Scripted, house: House, client: Client, body: object, field: str
) -> None:
    response = await client.post(START, json=body, headers=await house.token(BOB))
    assert list(await error_of(response, 400, "invalid-request")) == [field]
    assert script.asked == []


@pytest.mark.parametrize("verb", VERBS)
async def test_who_may_not_ask_asks_nobody(script: Scripted, house: House, client: Client, verb: str) -> None:
    path = f"/api/v1/monitor/{verb}"
    await error_of(await client.post(path, json=CHANNEL), 401, "unauthorized")
    for who, role in ((BOB, Role.USER), (ROOT, Role.ADMIN)):
        response = await client.post(path, json=CHANNEL, headers=await house.token(who, role, LOOKING))
        assert await error_of(response, 403, "forbidden") == {"scope": "control"}
    headers = await house.token(BOB)
    await error_of(await client.get(path, headers=headers), 405, "method-not-allowed")
    details = await error_of(
        await client.post(f"{path}?force=1", json=CHANNEL, headers=headers), 400, "invalid-request"
    )
    assert list(details) == ["force"]
    assert script.asked == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnknownChannelError, (404, "no-such-channel")),
        (NotAllowedByRulesError, (403, "not-allowed-by-rules")),
        (PauseNotAllowedError, (403, "pause-not-allowed")),
        (NotYourRecordingError, (403, "recording-of-another")),
        (LocalChannelError, (409, "local-channel")),
        (NotInTalkError, (409, "not-in-talk")),
        (AlreadyRecordingError, (409, "already-recording")),
        (RecordedByAnotherError, (409, "recorded-by-another")),
        (AutomaticRecordingError, (409, "recording-automatic")),
        (NotRecordingError, (409, "not-recording")),
        (RecordPausedError, (409, "record-paused")),
        (NotPausedError, (409, "not-paused")),
        (TalkOverError, (409, "talk-over")),
        (NotConfirmedError, (504, "not-confirmed")),
        (ControlError, (409, "control-error")),
    ],
)
async def test_every_refusal_has_its_status_and_code(
    script: Scripted, house: House, client: Client, error: type[ControlError], expected: tuple[int, str]
) -> None:
    script.answer = error("no", rules=[1])
    response = await client.post(START, json=CHANNEL, headers=await house.token(BOB))
    assert await error_of(response, *expected) == {"rules": [1]}


async def test_with_too_many_commands_the_client_is_told_to_come_back(
    script: Scripted, house: House, client: Client
) -> None:
    script.answer = TooManyCommandsError("1000 commands are under way")
    response = await client.post(START, json=CHANNEL, headers=await house.token(BOB))
    await error_of(response, 503, "too-many-commands")
    assert response.headers["Retry-After"] == "10"


class Told(Recorder):
    """Starts what it is told to, and refuses to stop it."""

    def handle(self, event: Event | Report | Order, now: datetime) -> list[Decision]:
        assert isinstance(event, Command)
        if event.verb is Verb.START:
            return [fact_of(BOBS, now), Done(event.number, (BOBS,))]
        return [fact_of(BOBS, now), Refused(event.number, AutomaticRecordingError("no"))]


class Passing:
    """The engine, and a handler that is not through before its client has the answer."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.received = asyncio.Event()

    @contextlib.asynccontextmanager
    async def ask(self, verb: Verb, channel: str, reader: Reader) -> AsyncIterator[Answer]:
        assert self.engine is not None
        async with self.engine.ask(verb, channel, reader) as answer:
            yield answer
            async with asyncio.timeout(30):
                await self.received.wait()

    def set_flags(
        self, identity: Identity, changes: Mapping[str, bool], reader: Reader
    ) -> AbstractAsyncContextManager[Answer]:
        assert self.engine is not None
        return self.engine.set_flags(identity, changes, reader)

    def flags_of(self, identity: Identity) -> UserFlags:
        assert self.engine is not None
        return self.engine.flags_of(identity)


async def _nothing_to_do(act: Act) -> Report:
    raise AssertionError(act)


@pytest.mark.parametrize(("verb", "status"), [("start", 200), ("stop", 409)])
async def test_the_answer_comes_first_and_then_the_events(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: str, status: int
) -> None:
    monkeypatch.setattr("bridge.engine._ANSWERING_S", 1000.0)
    monkeypatch.setattr("bridge.engine._HOLD_S", 1000.0)
    directory = Directory()
    recorder = Told(parse_rules([], directory), People(directory, ()))
    house.control = control = Passing()
    async with house.opened() as client:
        keeper = Keeper(house.store, MemoryIntents(), Outbox(house.hub.publish), lambda: house.now)
        engine = Engine(recorder, house.store, keeper, _nothing_to_do, lambda: house.now)
        control.engine = engine
        running = asyncio.create_task(engine.run())
        headers = await house.token(BOB)
        stream = await client.get("/api/v1/stream", headers=headers)
        async with asyncio.timeout(30):
            response = await client.post(f"/api/v1/monitor/{verb}", json=CHANNEL, headers=headers)
            await response.json()
        assert response.status == status
        assert len(await house.store.facts_after(house.hub.published, 10)) == 1
        control.received.set()
        assert (await sse(stream, 1))[0]["ruleId"] == 1
        stream.close()
        engine.stop()
        await running


async def sse(response: aiohttp.ClientResponse, until: int) -> list[dict[str, Any]]:
    """The data of the RecordEvents up to this fact."""
    got, number, kind = [], 0, ""
    async with asyncio.timeout(30):
        while line := (await response.content.readline()).decode().rstrip("\n") or number < until:
            name, _, value = str(line).partition(": ")
            if name == "id":
                number = int(value)
            elif name == "event":
                kind = value
            elif name == "data" and kind == "RecordEvent":
                got.append(json.loads(value))
    return got


async def websocket(socket: aiohttp.ClientWebSocketResponse, until: int) -> list[dict[str, Any]]:
    got = []
    async with asyncio.timeout(30):
        while (item := await socket.receive_json())["id"] < until:
            got.append(item["data"])
    return got


@pytest.mark.parametrize(
    ("who", "offered", "running"),
    [
        ((BOB, Role.USER, None), "allow", "allow"),
        ((ALICE, Role.USER, None), "deny", "deny"),
        ((CAROL, Role.SUPERVISOR, None), "deny", "deny"),
        ((ROOT, Role.ADMIN, None), "allow", "allow"),
        ((BOB, Role.USER, LOOKING), "deny", "deny"),
        ((ROOT, Role.ADMIN, LOOKING), "deny", "deny"),
    ],
    ids=["owner", "other", "supervisor", "admin", "owner-without-control", "admin-without-control"],
)
async def test_both_streams_say_what_this_reader_may(
    house: House, client: Client, who: tuple[Any, Role, list[Scope] | None], offered: str, running: str
) -> None:
    house.supervises = {CAROL: frozenset({ALICE, BOB})}
    headers = await house.token(*who)
    offer = Fact(
        FactKind.RECORD_OFFERED,
        kept.NOON,
        record_id=kept.RECORD,
        rule_id=RuleId(1),
        data={"headchannel": "PJSIP/alice-1", "tailchannel": "PJSIP/bob-1", "may": ["bob"]},
        audience=(ALICE, BOB),
    )
    auto = kept.section(3, state=SectionState.RECORDING, participants=(ALICE, BOB))
    await house.happen(AppendFact(offer), fact_of(BOBS), fact_of(auto), call_fact())
    stream = await client.get("/api/v1/stream?after=0", headers=headers)
    seen = [await sse(stream, 4)]
    stream.close()
    async with client.ws_connect("/api/v1/ws?since=0", headers=headers) as socket:
        seen.append(await websocket(socket, 4))
    for events in seen:
        assert [(event["state"], event["identity"], event["file"], event["permission"]) for event in events] == [
            ("offered", "", None, offered),
            ("recording", "bob", 1, running),
            ("recording", "", 3, "auto"),
        ]
