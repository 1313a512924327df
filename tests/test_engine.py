"""Event or report in; one commit; then acts and feed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from bridge.core.decisions import Act, FileInspected, InspectFile, MixMonitorAccepted, Report, StartMixMonitor, wav_of
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber
from bridge.core.legs import SETTLE_S
from bridge.core.messages import MixMonitorStarted
from bridge.core.people import Directory, People
from bridge.core.recorder import Recorder
from bridge.core.records import FactKind, NumberedFact, SectionState
from bridge.core.rules import parse_rules
from bridge.core.store import AppendFact, Change, PutSection
from bridge.engine import Engine
from tests.core.pbx import START, Pbx
from tests.core.scene import RECORD_ALL, REPORT
from tests.fakes import MemoryStore
from tests.storage import kept


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


class House:
    """An engine with a store in memory, hands that notice, and a clock that stands."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.published: list[NumberedFact] = []
        self.acts: list[tuple[Act, int]] = []
        self.pbx = Pbx()
        directory = Directory()
        rules = parse_rules([("rules.yml", RECORD_ALL)], directory)
        self.recorder = Recorder(rules, People(directory, ()))
        self.engine = Engine(self.recorder, self.store, self.published.extend, self.perform, lambda: self.now)
        self.now = START

    async def perform(self, act: Act) -> Report:
        self.acts.append((act, len(self.published)))
        if isinstance(act, StartMixMonitor):
            return MixMonitorAccepted(self.now, act.key, "0x1")
        if isinstance(act, InspectFile):
            return FileInspected(self.now, act.key, REPORT)
        raise AssertionError(f"nobody watches in this test: {act}")

    async def play(self) -> None:
        await self.engine.feed(list(self.pbx.take()))

    def call(self) -> None:
        alice = self.pbx.channel("PJSIP/alice-1", exten="102")
        bob = self.pbx.ring(alice, "PJSIP/bob-1")
        self.pbx.answered(alice, bob, "b1")
        self.pbx.over("b1", alice, bob)

    def trouble(self) -> StoreError | None:
        return self.engine.store_error

    def kinds(self) -> list[FactKind]:
        return [one.fact.kind for one in self.published]

    async def until_stored(self) -> None:
        await until(lambda: FactKind.SECTION_STORED in self.kinds())


@asynccontextmanager
async def running(house: House) -> AsyncIterator[None]:
    task = asyncio.create_task(house.engine.run())
    try:
        yield
    finally:
        house.engine.stop()
        await task


async def test_intent_is_committed_before_the_act_and_facts_are_published_in_order() -> None:
    house = House()
    async with running(house):
        house.call()
        await house.play()
        await house.until_stored()
    act, facts_then = house.acts[0]
    assert isinstance(act, StartMixMonitor)
    facts = await house.store.facts_after(FactNumber(0), 1000)
    assert FactKind.SECTION_REQUESTED in house.kinds()[:facts_then]
    assert [one.number for one in house.published] == [one.number for one in facts]


async def test_a_database_that_cannot_be_written_stops_no_recording_and_loses_no_fact() -> None:
    house = House()
    async with running(house):
        await asyncio.sleep(0)
        full = house.store.broken = StoreError("the disk is full")
        house.call()
        await house.play()
        await until(lambda: any(isinstance(act, InspectFile) for act, _ in house.acts))
        assert house.kinds() == []
        assert house.trouble() is full
        house.store.broken = None
        await house.until_stored()
    assert house.trouble() is None
    kinds = house.kinds()
    assert kinds[0] is FactKind.CALL_BEGAN
    assert kinds.index(FactKind.SECTION_REQUESTED) < kinds.index(FactKind.SECTION_STORED)


async def test_a_change_that_the_database_never_takes_holds_up_no_other() -> None:
    class Picky(MemoryStore):
        async def commit(self, changes: Sequence[Change]) -> Sequence[NumberedFact]:
            if any(isinstance(change, AppendFact) and change.fact.kind is FactKind.TALK_BEGAN for change in changes):
                raise StoreError("a value that it does not take", reason="refused-value")
            return await super().commit(changes)

    house = House(Picky())
    async with running(house):
        house.call()
        await house.play()
        await house.until_stored()
    kinds = house.kinds()
    assert kinds[0] is FactKind.CALL_BEGAN
    assert FactKind.TALK_BEGAN not in kinds
    assert house.trouble() is None


async def test_an_event_that_is_misjudged_ends_nothing() -> None:
    house = House()
    async with running(house):
        await house.engine.feed([object()])  # type: ignore[list-item]  # what the recorder knows nothing of
        house.call()
        await house.play()
        await house.until_stored()


async def test_sections_left_open_by_an_earlier_run_are_taken_up() -> None:
    house = House()
    left = kept.section(state=SectionState.CLOSED, report=None)
    await house.store.commit([PutSection(left)])
    async with running(house):
        await house.until_stored()
    assert [act for act, _ in house.acts] == [InspectFile(left.key, wav_of(left))]


async def test_acts_under_way_are_waited_for_at_the_end_and_what_they_say_is_kept() -> None:
    house = House()
    acting, may_end = asyncio.Event(), asyncio.Event()

    async def slow(act: Act) -> Report:
        acting.set()
        await may_end.wait()
        return await house.perform(act)

    house.engine = Engine(house.recorder, house.store, house.published.extend, slow, lambda: house.now)
    task = asyncio.create_task(house.engine.run())
    house.call()
    await house.play()
    await asyncio.wait_for(acting.wait(), 20)
    house.engine.stop()
    may_end.set()
    await asyncio.wait_for(task, 20)
    (left,) = await house.store.open_sections()
    assert left.mixmonitor_id == "0x1"


async def test_a_broken_database_does_not_delay_what_is_due_sooner_than_its_next_try() -> None:
    house = House()
    async with running(house):
        await asyncio.sleep(0)
        house.store.broken = StoreError("the disk is full")
        alice = house.pbx.channel("PJSIP/alice-1", exten="102")
        bob = house.pbx.ring(alice, "PJSIP/bob-1")
        house.pbx.events += [MixMonitorStarted(START, leg) for leg in (alice, bob)]
        house.pbx.answered(alice, bob, "b1")
        await house.play()
        await until(lambda: house.recorder.wake_at() is not None)
        house.now += timedelta(seconds=0.05)
        assert (house.engine._until_wake() or 0) <= SETTLE_S
        house.store.broken = None
