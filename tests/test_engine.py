"""Event or report in; one commit; then acts and feed."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog

from bridge.core.access import Reader, Role, Scope
from bridge.core.commands import Answer, Command, Done, Order, Refused, Verb
from bridge.core.decisions import (
    Act,
    Decision,
    FileInspected,
    InspectFile,
    MixMonitorAccepted,
    Report,
    StartMixMonitor,
    wav_of,
)
from bridge.core.errors import (
    AlreadyRecordingError,
    NotConfirmedError,
    NotInTalkError,
    StoreError,
    TooManyCommandsError,
)
from bridge.core.ids import FactNumber, Identity, RecordId, RuleId
from bridge.core.legs import SETTLE_S
from bridge.core.messages import Event, MixMonitorStarted
from bridge.core.people import Directory, People
from bridge.core.recorder import Recorder
from bridge.core.records import Fact, FactKind, NumberedFact, SectionState
from bridge.core.rules import parse_rules
from bridge.core.store import AppendFact, Change, Mark, PutSection
from bridge.engine import Engine
from bridge.keeper import Keeper
from bridge.outbox import Outbox
from bridge.storage.database import SqliteStore
from bridge.storage.intents import IntentsFile
from tests.core.pbx import START, Pbx
from tests.core.scene import RECORD_ALL, REPORT
from tests.fakes import MemoryIntents, MemoryStore
from tests.storage import kept


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


class House:
    """An engine with a store in memory, hands that notice, and a clock that stands."""

    def __init__(self, store: MemoryStore | None = None, rules: str = RECORD_ALL) -> None:
        self.store = store or MemoryStore()
        self.published: list[NumberedFact] = []
        self.acts: list[tuple[Act, int]] = []
        self.pbx = Pbx()
        directory = Directory()
        self.recorder = Recorder(parse_rules([("rules.yml", rules)], directory), People(directory, ()))
        self.now = START
        self.keeper = Keeper(self.store, MemoryIntents(), Outbox(self.published.extend), lambda: self.now)
        self.engine = Engine(self.recorder, self.store, self.keeper, self.perform, lambda: self.now)

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
        return self.keeper.error

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


async def test_it_is_not_idle_before_it_knows_what_an_earlier_run_left_and_while_a_call_of_that_runs() -> None:
    house = House()
    assert not house.engine.idle
    async with running(house):
        await until(lambda: house.engine.idle)
        house.pbx.channel("PJSIP/alice-1", exten="102")
        await house.play()
        await until(lambda: not house.engine.idle)
    again = House(house.store)
    async with running(again):
        await until(lambda: bool(again.recorder.tracker.calls))
        assert not again.engine.idle
        again.pbx.snapshot([], [])
        await again.play()
        await until(lambda: again.engine.idle)


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


@pytest.mark.parametrize("busy_s", [0.01, 60.0])
async def test_recordings_begin_and_are_kept_once_while_another_program_locks_the_database(
    tmp_path: Path, busy_s: float
) -> None:
    """Whether SQLite says at once that it is locked, or waits far beyond our patience."""
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1", busy_s=busy_s)
    intents = IntentsFile(tmp_path / "x.db.intents", lambda: START)
    house = House()
    house.keeper = Keeper(store, intents, Outbox(house.published.extend), lambda: house.now)
    house.engine = Engine(house.recorder, store, house.keeper, house.perform, lambda: house.now)
    await house.keeper.take_in()
    async with running(house):
        with contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            for _ in range(10):
                house.call()
            await house.play()
            await until(lambda: sum(isinstance(act, InspectFile) for act, _ in house.acts) == 10)
            assert house.published == []
            other.execute("COMMIT")
        await until(lambda: house.keeper.well and house.kinds().count(FactKind.SECTION_STORED) == 10)
        await until(lambda: house.kinds()[-1] is FactKind.DATABASE_WELL)
    facts = await store.facts_after(FactNumber(0), 10_000)
    assert house.published == facts
    quiet = House()
    async with running(quiet):
        for _ in range(10):
            quiet.call()
        await quiet.play()
        await until(lambda: quiet.kinds().count(FactKind.SECTION_STORED) == 10)
    kinds = Counter(kind for kind in house.kinds() if kind not in (FactKind.DATABASE_TROUBLE, FactKind.DATABASE_WELL))
    assert kinds == Counter(quiet.kinds())
    assert len(await store.journal(None, 100)) == len(await quiet.store.journal(None, 100))
    intents.close()
    await store.close()


async def test_a_change_that_the_database_never_takes_holds_up_no_other() -> None:
    class Picky(MemoryStore):
        async def commit(self, changes: Sequence[Change], mark: Mark | None = None) -> Sequence[NumberedFact]:
            if any(isinstance(change, AppendFact) and change.fact.kind is FactKind.TALK_BEGAN for change in changes):
                raise StoreError("a value that it does not take", reason="refused-value")
            return await super().commit(changes, mark)

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

    house.engine = Engine(house.recorder, house.store, house.keeper, slow, lambda: house.now)
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


BOB = Reader(Identity("bob"), Role.USER, frozenset({Scope.CONTROL}))
CHANNEL = "PJSIP/bob-1"


class Told(Recorder):
    """A recorder that does with commands what the test says. A pause waits for `report`, all else is done at once."""

    commands: list[Command]

    def handle(self, event: Event | Report | Order, now: datetime) -> list[Decision]:
        if not isinstance(event, Command):
            return super().handle(event, now)
        self.commands.append(event)
        fact = AppendFact(Fact(FactKind.RECORD_STARTED, now, data={"number": event.number}))
        match event.verb:
            case Verb.PAUSE:
                return [fact]
            case Verb.STOP:
                return [fact, Refused(event.number, NotInTalkError("it is alone"))]
            case Verb.RESUME:
                raise ValueError("a command that is misjudged")
        return [fact, Done(event.number, ())]


class Asking(House):
    """A house whose recorder takes commands, and facts that need no deciding."""

    def __init__(self, store: MemoryStore | None = None, *, patience_s: float = 1000.0) -> None:
        super().__init__(store)
        directory = Directory()
        self.told = Told(parse_rules([("rules.yml", RECORD_ALL)], directory), People(directory, ()))
        self.told.commands = []
        self.engine = Engine(self.told, self.store, self.keeper, self.perform, lambda: self.now, patience_s=patience_s)

    def answer(self, answer: Answer, *facts: AppendFact) -> None:
        """Asterisk has confirmed: the recorder decides this when the next event comes."""
        self.told.handle = lambda event, now: [*facts, answer]  # type: ignore[method-assign]  # noqa: ARG005
        self.engine._inbox.put_now(MixMonitorStarted(self.now, self.pbx.channel("PJSIP/x-1")))

    async def happens(self, name: str) -> None:
        await self.engine.feed([AppendFact(Fact(FactKind.CALL_BEGAN, self.now, data={"name": name}))])

    async def kept(self) -> int:
        return len(await self.store.facts_after(FactNumber(0), 1000))

    def names(self) -> list[str]:
        """What the streams have seen."""
        return [str(one.fact.data.get("name", one.fact.kind)) for one in self.published]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hold ends because this machine is slow."""
    monkeypatch.setattr("bridge.engine._HOLD_S", 1000.0)
    monkeypatch.setattr("bridge.engine._ANSWERING_S", 1000.0)


async def test_an_answer_comes_after_its_commit_and_before_its_facts() -> None:
    house = Asking()
    async with running(house):
        await house.happens("before")
        await until(lambda: house.names() == ["before"])
        async with house.engine.ask(Verb.START, CHANNEL, BOB) as answer:
            (command,) = house.told.commands
            assert answer == Done(command.number, ())
            assert (command.verb, command.channel, command.reader) == (Verb.START, CHANNEL, BOB)
            assert await house.kept() == 2
            assert house.names() == ["before"]
        assert house.names() == ["before", "record.started"]


async def test_a_refusal_comes_before_its_fact_too() -> None:
    house = Asking()
    async with running(house):
        async with house.engine.ask(Verb.STOP, CHANNEL, BOB) as answer:
            assert isinstance(answer, Refused)
            assert isinstance(answer.error, NotInTalkError)
            assert house.names() == []
        assert house.names() == ["record.started"]


async def test_facts_wait_from_the_command_on_and_stay_in_order_while_the_recorder_goes_on() -> None:
    house = Asking()
    async with running(house):
        context = house.engine.ask(Verb.PAUSE, CHANNEL, BOB)
        asking = asyncio.create_task(context.__aenter__())
        await until(lambda: bool(house.told.commands))
        await house.happens("of another call")
        while await house.kept() < 2:  # noqa: ASYNC110 - the store has no event for it
            await asyncio.sleep(0.001)
        assert house.names() == []
        house.answer(Done(house.told.commands[0].number, (kept.section(),)))
        answer = await asking
        assert isinstance(answer, Done)
        assert answer.sections == (kept.section(),)
        assert house.names() == []
        await context.__aexit__(None, None, None)
        assert house.names() == ["record.started", "of another call"]


async def test_one_who_never_passes_its_answer_on_does_not_stall_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.engine._ANSWERING_S", 0.01)
    house = Asking()
    async with running(house), house.engine.ask(Verb.START, CHANNEL, BOB) as answer:
        assert isinstance(answer, Done)
        await until(lambda: house.names() == ["record.started"])


async def test_a_command_that_waits_long_for_asterisk_does_not_stall_the_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.engine._HOLD_S", 0.01)
    house = Asking()
    async with running(house):
        context = house.engine.ask(Verb.PAUSE, CHANNEL, BOB)
        asking = asyncio.create_task(context.__aenter__())
        await until(lambda: house.names() == ["record.started"])
        assert not asking.done()
        monkeypatch.setattr("bridge.engine._HOLD_S", 1000.0)
        late = AppendFact(Fact(FactKind.RECORD_PAUSED, house.now))
        house.answer(Done(house.told.commands[0].number, ()), late)
        await asking
        assert house.names() == ["record.started"]
        await context.__aexit__(None, None, None)
        assert house.names() == ["record.started", "record.paused"]


async def test_one_who_answers_slowly_holds_back_those_behind_it_in_their_order() -> None:
    house = Asking()
    async with running(house):
        async with house.engine.ask(Verb.START, CHANNEL, BOB):
            async with house.engine.ask(Verb.START, CHANNEL, BOB):
                pass
            assert house.names() == []
        assert [one.number for one in house.published] == [1, 2]


async def test_an_asker_that_goes_away_holds_nothing_back() -> None:
    house = Asking()
    async with running(house):

        async def ask() -> None:
            async with house.engine.ask(Verb.PAUSE, CHANNEL, BOB):
                raise AssertionError("there was no answer")

        asking = asyncio.create_task(ask())
        await until(lambda: bool(house.told.commands))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert house.names() == ["record.started"]
        house.answer(Done(house.told.commands[0].number, ()))
        await house.happens("afterwards")
        await until(lambda: house.names()[1:] == ["afterwards"])


async def test_a_handler_that_dies_while_it_answers_lets_the_facts_go() -> None:
    house = Asking()
    async with running(house):
        with pytest.raises(ConnectionResetError):
            async with house.engine.ask(Verb.START, CHANNEL, BOB):
                raise ConnectionResetError
        assert house.names() == ["record.started"]


async def test_the_end_of_the_engine_refuses_those_who_wait_and_those_who_come() -> None:
    house = Asking()
    task = asyncio.create_task(house.engine.run())
    asking = asyncio.create_task(house.engine.ask(Verb.PAUSE, CHANNEL, BOB).__aenter__())
    await until(lambda: bool(house.told.commands))
    house.engine.stop()
    await task
    late = await house.engine.ask(Verb.START, CHANNEL, BOB).__aenter__()
    for answer in (await asyncio.wait_for(asking, 20), late):
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, NotConfirmedError)
    assert len(house.told.commands) == 1


async def test_an_answer_that_comes_with_the_last_reports_is_still_told() -> None:
    house = Asking()
    task = asyncio.create_task(house.engine.run())
    asking = asyncio.create_task(house.engine.ask(Verb.PAUSE, CHANNEL, BOB).__aenter__())
    await until(lambda: bool(house.told.commands))
    house.engine.stop()
    house.answer(Done(house.told.commands[0].number, ()))
    await task
    assert isinstance(await asking, Done)


async def test_a_command_that_nobody_answers_is_not_confirmed() -> None:
    house = Asking(patience_s=0.01)
    async with running(house), house.engine.ask(Verb.PAUSE, CHANNEL, BOB) as answer:
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, NotConfirmedError)


async def test_a_command_that_is_misjudged_is_answered_at_once() -> None:
    house = Asking()
    async with running(house), asyncio.timeout(20), house.engine.ask(Verb.RESUME, CHANNEL, BOB) as answer:
        assert isinstance(answer, Refused)
        assert isinstance(answer.error, NotConfirmedError)


async def test_a_command_is_answered_while_the_database_cannot_be_written() -> None:
    house = Asking()
    async with running(house):
        await asyncio.sleep(0)
        house.store.broken = StoreError("the disk is full")
        async with house.engine.ask(Verb.START, CHANNEL, BOB) as answer:
            assert isinstance(answer, Done)
        assert house.names() == []
        house.store.broken = None
        await until(lambda: house.names() == ["record.started", "database.trouble", "database.well"])


async def test_so_many_commands_may_be_under_way_and_no_more() -> None:
    house = Asking()
    async with running(house):
        asking = [asyncio.create_task(house.engine.ask(Verb.PAUSE, CHANNEL, BOB).__aenter__()) for _ in range(1000)]
        await until(lambda: len(house.told.commands) == 1000)
        async with AsyncExitStack() as stack:
            answer = await stack.enter_async_context(house.engine.ask(Verb.START, CHANNEL, BOB))
            assert isinstance(answer, Refused)
            assert isinstance(answer.error, TooManyCommandsError)
        assert len({command.number for command in house.told.commands}) == 1000
        asking[0].cancel()
        await asyncio.wait(asking[:1])
        async with house.engine.ask(Verb.START, CHANNEL, BOB) as answer:
            assert isinstance(answer, Done)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_a_recording_on_demand_is_started_answered_and_then_told_of() -> None:
    house = House(rules=RECORD_ALL.replace("always", "on-demand"))
    alice = house.pbx.channel("PJSIP/alice-1", exten="102")
    bob = house.pbx.ring(alice, "PJSIP/bob-1")
    house.pbx.answered(alice, bob, "b1")
    async with running(house):
        await house.play()
        await until(lambda: FactKind.RECORD_OFFERED in house.kinds())
        offered = len(house.published)
        async with house.engine.ask(Verb.START, CHANNEL, BOB) as answer:
            assert isinstance(answer, Done)
            (section,) = answer.sections
            assert (section.state, section.owner) == (SectionState.RECORDING, BOB.identity)
            assert len(house.published) == offered
        assert {FactKind.RECORD_STARTED, FactKind.SECTION_RECORDING} <= set(house.kinds()[offered:])
        async with house.engine.ask(Verb.START, CHANNEL, BOB) as answer:
            assert isinstance(answer, Refused)
            assert isinstance(answer.error, AlreadyRecordingError)
        house.pbx.over("b1", alice, bob)
        await house.play()
        await house.until_stored()


async def test_what_is_wrong_with_a_section_is_said_in_the_log_too() -> None:
    house = House()
    data = {"alarm": "silent", "for_s": 60.0, "state": "recording", "headchannel": "PJSIP/alice-1"}
    fact = Fact(FactKind.SECTION_ALARM, START, None, RecordId("1-1_1-2"), RuleId(7), 2, data)
    with structlog.testing.capture_logs() as logs:
        async with running(house):
            await house.engine.feed([AppendFact(fact)])
            await until(lambda: house.kinds() == [FactKind.SECTION_ALARM])
    (said,) = (line for line in logs if line["event"] == "section-alarm")
    assert said == {
        "event": "section-alarm", "log_level": "warning", "section": "1-1_1-2/7/2", "alarm": "silent", "for_s": 60.0,
        "state": "recording",
    }  # fmt: skip
