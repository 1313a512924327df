"""What becomes of a recording whose file somebody deletes or cuts off, or in which a side is not heard."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.asterisk.connection import AmiConnection
from bridge.clock import SteadyClock
from bridge.core.people import People
from bridge.core.recorder import Recorder
from bridge.core.records import Alarm, Fact, FactKind, NumberedFact, SectionState
from bridge.core.rules import parse_rules
from bridge.core.watching import Limits
from bridge.daemon import utc_now
from bridge.engine import Engine
from bridge.hands import Hands
from bridge.keeper import Keeper
from bridge.outbox import Outbox
from bridge.pump import pump
from bridge.storage.media import MediaInspector
from bridge.storage.spool import Spool
from tests.core.scene import directory
from tests.demo.daemon import Daemon
from tests.fakes import MemoryIntents, MemoryStore
from tests.network import tones
from tests.network.network import Network
from tests.whole.test_main_job import wav
from tests.whole.test_on_demand import running

MONO = "rules:\n  - {id: 1, name: All, record: always}\n"
STEREO = "rules:\n  - {id: 1, name: All, record: always, channels: stereo}\n"
QUICK = Limits(every_s=1.0, not_growing_s=5.0, side_silent_s=4.0)
"""Asterisk writes every 2 s."""
FINAL = (FactKind.SECTION_STORED, FactKind.SECTION_FAILED)


class Watched:
    """A recorder on the PBX with limits of its own; `facts` grows as things happen."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.facts: list[Fact] = []
        self._new = asyncio.Event()

    def publish(self, facts: Sequence[NumberedFact]) -> None:
        self.facts += [one.fact for one in facts]
        self._new.set()

    async def until(self, met: Callable[[Fact], bool], times: int = 1) -> Fact:
        async with asyncio.timeout(60):
            while len(found := [fact for fact in self.facts if met(fact)]) < times:
                self._new.clear()
                await self._new.wait()
        return found[times - 1]

    async def section(self, file: int, *kinds: FactKind) -> Fact:
        return await self.until(lambda fact: fact.kind in kinds and fact.file == file)

    async def alarm(self, alarm: Alarm, file: int = 1) -> Fact:
        return await self.until(lambda fact: fact.data.get("alarm") == alarm and fact.file == file)

    def path(self, fact: Fact) -> Path:
        (path,) = self.spool.rglob(f"{fact.record_id}_{fact.rule_id}_{fact.file:03d}.wav")
        return path

    def alarms(self) -> list[tuple[int | None, str]]:
        return [(fact.file, fact.data["alarm"]) for fact in self.facts if fact.kind is FactKind.SECTION_ALARM]


@asynccontextmanager
async def watched(network: Network, rules: str) -> AsyncIterator[Watched]:
    seen = Watched(network.spool)
    connection = AmiConnection("127.0.0.1", network.pbx_ami_port, network.bridge_user, network.bridge_secret)
    inspector = MediaInspector()
    hands = Hands(connection, Spool(network.spool, str(network.spool)), inspector, utc_now)
    users = directory()
    recorder = Recorder(parse_rules([("rules.yml", rules)], users), People(users, ()), limits=QUICK)
    store = MemoryStore()
    keeper = Keeper(store, MemoryIntents(), Outbox(seen.publish), utc_now)
    engine = Engine(recorder, store, keeper, hands.perform, utc_now)
    deciding = asyncio.create_task(engine.run())
    reaching = asyncio.create_task(connection.run())
    pumping = asyncio.create_task(pump(connection, engine, SteadyClock(utc_now)))
    try:
        await seen.until(lambda fact: fact.kind is FactKind.ASTERISK_CONNECTED)
        yield seen
    finally:
        engine.stop()
        await deciding
        connection.close()
        await asyncio.gather(reaching, pumping)
        await inspector.close()


async def test_a_file_that_somebody_deletes_costs_what_was_in_it_and_no_more(network: Network, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10.yml").write_text(MONO)
    async with Daemon(tmp_path / "b", network.pbx_ami_port, network.spool, rules=rules) as daemon:
        call = await network.call("alice", "102")
        await call.answered()
        there = await seen(daemon, 1)
        await running(daemon, "recording", 1)
        await asyncio.sleep(2)
        there.unlink()
        await seen(daemon, 2)
        await asyncio.sleep(2)
        await call.hangup()
        record = (await daemon.journal(2))[0]["recordId"]
        first, second = await daemon.records(record)
        assert (first["state"], first["reason"]) == ("failed", "file-missing")
        assert second["state"] == "stored"
        assert tones.who(wav(daemon, record, second)) == {"alice", "bob"}
        assert second["duration"] >= 1.5
        assert '"alarm": "file-gone"' in daemon.log


async def seen(daemon: Daemon, file: int) -> Path:
    """The file of a section, as soon as it is there; the spool has those of other tests, too."""
    since = daemon.config.stat().st_mtime

    def found() -> list[Path]:
        return [path for path in daemon.spool.rglob(f"*_1_{file:03d}.wav") if path.stat().st_mtime >= since]

    async with asyncio.timeout(30):
        while not found():  # noqa: ASYNC110 - it is Asterisk's
            await asyncio.sleep(0.05)
    return found()[0]


async def test_of_a_file_that_somebody_cuts_off_the_rest_of_the_talk_is_in_the_next(network: Network) -> None:
    async with watched(network, MONO) as here:
        call = await network.call("alice", "102")
        await call.answered()
        first = await here.section(1, FactKind.SECTION_RECORDING)
        await asyncio.sleep(3)
        here.path(first).write_bytes(b"")
        await here.alarm(Alarm.FILE_CUT)
        second = await here.section(2, FactKind.SECTION_RECORDING)
        await asyncio.sleep(1.5)
        await call.hangup()
        assert (await here.section(2, *FINAL)).kind is FactKind.SECTION_STORED
        assert tones.who(here.path(second)) == {"alice", "bob"}
        await here.section(1, *FINAL)


@pytest.mark.parametrize("how", ["silence", "nothing"])
async def test_a_phone_that_is_not_heard_moves_the_recording_to_its_own_leg(network: Network, how: str) -> None:
    async with watched(network, STEREO) as here:
        call = await network.call("alice", "102")
        await call.answered()
        await network.talking("bob")
        await here.section(1, FactKind.SECTION_RECORDING)
        await network.falls_silent("bob", "silence" if how == "silence" else "nothing")
        alarm = await here.alarm(Alarm.SIDE_SILENT)
        assert alarm.data["side"] == "right"
        await here.section(2, FactKind.SECTION_RECORDING)
        await network.hums("bob")
        await asyncio.sleep(3)
        await call.hangup()
        one, two = [await here.section(file, FactKind.SECTION_STORED) for file in (1, 2)]
        assert one.data["state"] == two.data["state"] == SectionState.STORED
        for fact in (one, two):
            assert tones.who(here.path(fact), channel=0) == {"alice"}
        assert tones.who(here.path(two), channel=1) == {"bob"}
        legs = [start for start in here.facts if start.kind is FactKind.SECTION_REQUESTED]
        assert len(legs) == 2


async def test_where_neither_phone_sends_anything_nothing_is_written_and_that_is_said(network: Network) -> None:
    async with watched(network, MONO) as here:
        call = await network.call("alice", "102")
        await call.answered()
        await network.talking("bob")
        await here.section(1, FactKind.SECTION_RECORDING)
        await asyncio.sleep(3.5)
        for party in ("alice", "bob"):
            await network.falls_silent(party, "nothing")
        await here.alarm(Alarm.NOT_GROWING)
        await here.alarm(Alarm.NOT_GROWING, file=2)
        await call.hangup()
        await here.section(2, *FINAL)
        await here.section(1, *FINAL)
        assert (1, Alarm.SHORTER_THAN_TALK) in here.alarms()
        assert {fact.file for fact in here.facts if fact.file is not None} == {1, 2}


async def test_a_talk_that_is_well_has_no_alarm(network: Network) -> None:
    async with watched(network, STEREO) as here:
        call = await network.call("alice", "102")
        await call.answered()
        await asyncio.sleep(9)
        await call.hangup()
        await here.section(1, *FINAL)
        assert here.alarms() == []
