"""Captures played by the simulator arrive as they were taken, and many at once do not mix."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.asterisk import mixmonitor
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.filters import EVENTS
from bridge.asterisk.wire import RawMessage
from bridge.core.ids import RuleId, Uniqueid
from bridge.core.messages import parse
from bridge.core.people import People
from bridge.core.replay import Replay, Replayed
from bridge.files import read_rules, read_users
from tests.captures.folder import FIXTURES, TRUNKS, as_text
from tests.network.ami import Ami
from tests.network.tones import seconds
from tests.simulator.clock import SteppedClock
from tests.simulator.replay import Capture, headers_of, play
from tests.simulator.server import Simulator, User
from tests.simulator.test_connection import connected, running
from tests.simulator.wire import block, header

QUEUE, TRANSFER = FIXTURES / "22-queue", FIXTURES / "22-attended-transfer"
FINAL = Uniqueid("9999999999.9")
"""The last event of a test has this Uniqueid."""


def understood(capture: Capture, number: int = 0) -> list[bytes]:
    """The events that a connection asks for, as they go over the wire.

    No variable is asked for here, and in no capture does anybody toggle anything.
    """
    names = set(EVENTS) - {"VarSet", "Newexten", "UserEvent"}
    wanted = [text for _, text in capture.copy(number) if header(headers_of(text), "Event") in names]
    return [block(headers_of(text))[:-4] for text in wanted]


async def seen(
    simulator: Simulator, connection: AmiConnection, captures: Sequence[Capture], copies: int = 1
) -> list[RawMessage]:
    """What the connection hands up while all is played at once."""

    async def played() -> None:
        await play(simulator, captures, copies=copies, at_once=True)
        simulator.pbx.emit("call", "Hangup", ("Uniqueid", FINAL))

    task = asyncio.create_task(played())
    messages: list[RawMessage] = []
    async with asyncio.timeout(60):
        while not messages or messages[-1].header("Uniqueid") != FINAL:
            batch = await connection.next_batch(100)
            messages += [item for item in batch if isinstance(item, RawMessage)]
        await task
    return messages[:-1]


def recorded(folder: Path, messages: Sequence[RawMessage]) -> Replayed:
    users = read_users(folder / "users.yml")
    run = Replay(read_rules(folder / "rules.yml", users), People(users, TRUNKS))
    for message in messages:
        if (event := parse(message, message.received_at)) is not None:
            run.take(event)
    return run.result


@pytest.mark.parametrize("name", ["22-queue", "16-queue", "22-names-hostile", "22-names-in-utf8", "22-systemname"])
async def test_a_connection_sees_the_events_of_the_capture(name: str, tmp_path: Path) -> None:
    capture = Capture.read(FIXTURES / name / "events.ami")
    async with Simulator(tmp_path) as simulator, running(simulator) as connection:
        await connected(connection)
        messages = await seen(simulator, connection, [capture])
        assert [message.raw for message in messages] == understood(capture)
        assert not simulator.pbx.channels
        assert not simulator.pbx.bridges


@pytest.mark.parametrize("folder", [QUEUE, TRANSFER], ids=lambda path: path.name)
async def test_fifty_copies_at_once_are_fifty_calls_and_nothing_is_mixed_up(folder: Path, tmp_path: Path) -> None:
    capture = Capture.read(folder / "events.ami")
    async with Simulator(tmp_path) as simulator, running(simulator) as connection:
        await connected(connection)
        together = json.loads(as_text(recorded(folder, await seen(simulator, connection, [capture], copies=50))))
    now = datetime.now(UTC)
    alone = [
        json.loads(as_text(recorded(folder, [RawMessage(raw, now) for raw in understood(capture, number)])))
        for number in range(50)
    ]
    assert len(together["cdrs"]) == len({cdr["call_id"] for cdr in together["cdrs"]}) == 50
    for part in ("cdrs", "journal", "sections", "talks"):
        assert by_text(together[part]) == by_text([item for one in alone for item in one[part]])


def by_text(items: list[dict[str, object]]) -> list[str]:
    # MixMonitors are counted over all calls: only their ids may differ.
    return sorted(json.dumps({key: item[key] for key in item if key != "mixmonitor_id"}) for item in items)


def test_a_copy_has_ids_of_its_own_everywhere_and_nothing_else_of_its_own() -> None:
    capture = Capture.read(FIXTURES / "22-local-optimised" / "events.ami")
    copies = ["\n".join(text for _, text in capture.copy(number)) for number in range(3)]
    for number in (1, 2):
        instead = capture.ids.instead(number)
        assert not set(instead) & set(instead.values())
        assert not [old for old in instead if f": {old}\r" in copies[number]]
        back = copies[number]
        for old, new in sorted(instead.items(), key=lambda pair: len(pair[1]), reverse=True):
            back = back.replace(new, old)
        assert back == copies[0]


async def test_a_capture_takes_its_own_time(tmp_path: Path) -> None:
    capture = Capture.read(QUEUE / "events.ami")
    began = capture.events[0][0]
    kinds = {header(headers_of(text), "Privilege").partition(",")[0] for _, text in capture.events}
    clock = SteppedClock()
    async with (
        Simulator(tmp_path, accounts={"all": User("all", read=frozenset(kinds))}, clock=clock) as simulator,
        await Ami.connect(simulator.port, "all", "all") as ami,
    ):
        task = asyncio.create_task(play(simulator, [capture]))
        for step in range(1, 15):
            await clock.advance(0.1)
            await ami.action("Ping")
            assert len(ami.events()) == sum(at - began <= step / 10 for at, _ in capture.events)
        await clock.advance(10)
        assert await task == len(capture.events)


async def test_who_records_a_replayed_call_gets_its_parties_tones(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with Simulator(tmp_path, clock=clock) as simulator:
        task = asyncio.create_task(play(simulator, [Capture.read(QUEUE / "events.ami")], now=True))
        await clock.advance(0.5)
        async with running(simulator) as connection:
            snapshot = (await connected(connection)).snapshot
            assert len(snapshot.members) == 2
            leg = next(one.uniqueid for one in snapshot.channels if one.channel.startswith("PJSIP/trunk"))
            wav = tmp_path / "one.wav"
            monitor = await mixmonitor.start(connection, leg, str(wav), RuleId(1))
            await clock.advance(0.5)
            await mixmonitor.stop(connection, leg, monitor)
            assert seconds(wav) == {"outside": 0.5, "carol": 0.5}
            simulator.pbx.writes = False
            await mixmonitor.start(connection, leg, str(tmp_path / "none.wav"), RuleId(1))
            assert not (tmp_path / "none.wav").exists()
        await clock.advance(10)
        await task


@pytest.mark.parametrize("content", [b"", b"rules: []\n", b"Event: Newchannel\r\nUniqueid: 1.1\r\n\r\n"])
def test_what_is_no_capture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.ami"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no capture|no Timestamps"):
        Capture.read(path)
