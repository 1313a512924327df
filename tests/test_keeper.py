"""Batches are kept in their order and once, and hold nothing up, whatever the database and its disk do."""

import asyncio
import contextlib
import random
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber
from bridge.core.records import FactKind, NumberedFact
from bridge.core.store import AppendFact, Change, Intent, Mark, PutSection, Store
from bridge.keeper import Keeper
from bridge.outbox import Outbox
from bridge.storage.database import SqliteStore
from bridge.storage.intents import IntentsFile
from tests.fakes import MemoryIntents, MemoryStore
from tests.storage import kept
from tests.storage.mounted import can_mount, tmpfs
from tests.storage.test_intents import fill

ROOT = Path(__file__).resolve().parents[1]
FULL = StoreError("its disk is full: make room", reason="full")
TROUBLE = (FactKind.DATABASE_TROUBLE, FactKind.DATABASE_WELL)


@pytest.fixture(autouse=True)
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.keeper._AGAIN_S", 0.01)
    monkeypatch.setattr("bridge.filing._AGAIN_S", 0.01)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No commit is slow because this machine is."""
    monkeypatch.setattr("bridge.keeper._PATIENCE_S", 1000.0)
    monkeypatch.setattr("bridge.filing._DEADLINE_S", 1000.0)


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


class Odd(MemoryStore):
    """A store that hangs while `hangs` is set, and does what `each` says at each commit before or after it."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs: asyncio.Event | None = None
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.commits: list[int] = []

    async def commit(self, changes: Sequence[Change], mark: Mark | None = None) -> Sequence[NumberedFact]:
        if self.hangs is not None:
            await self.hangs.wait()
        self.before()
        facts = await super().commit(changes, mark)
        self.commits.append(len(changes))
        self.after()
        return facts


class House:
    def __init__(self, store: Store | None = None, intents: MemoryIntents | IntentsFile | None = None) -> None:
        self.store = store or Odd()
        self.intents = intents or MemoryIntents()
        self.published: list[NumberedFact] = []
        self.keeper = Keeper(self.store, self.intents, Outbox(self.published.extend), lambda: kept.NOON)
        self.given = 0

    @property
    def odd(self) -> Odd:
        assert isinstance(self.store, Odd)
        return self.store

    @property
    def memory(self) -> MemoryIntents:
        assert isinstance(self.intents, MemoryIntents)
        return self.intents

    async def keep(self, count: int = 1) -> None:
        """One batch."""
        self.given += count
        await self.keeper.keep([AppendFact(kept.fact(n=n)) for n in range(self.given - count, self.given)])

    def reasons(self) -> dict[str, str]:
        return {one.code: one.message for one in self.keeper.not_ready()}

    async def numbers(self) -> list[int]:
        """Those that were kept, in the order of their facts."""
        return numbers(await self.store.facts_after(FactNumber(0), 1_000_000))

    async def until_kept(self) -> None:
        await until(lambda: self.keeper.well and not self.keeper._waiting)

    async def all_is_kept_once(self) -> None:
        await self.until_kept()
        assert await self.numbers() == list(range(self.given))
        assert [one.number for one in self.published] == [
            one.number for one in await self.store.facts_after(FactNumber(0), 1_000_000)
        ]


def numbers(facts: Sequence[NumberedFact]) -> list[int]:
    return [one.fact.data["n"] for one in facts if one.fact.kind not in TROUBLE]


def troubles(facts: Sequence[NumberedFact]) -> list[tuple[FactKind, Any]]:
    return [(one.fact.kind, dict(one.fact.data)) for one in facts if one.fact.kind in TROUBLE]


@asynccontextmanager
async def running(house: House) -> AsyncIterator[None]:
    task = asyncio.create_task(house.keeper.run())
    try:
        yield
    finally:
        await house.keeper.end()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.usefixtures("patient")
async def test_a_batch_is_one_commit_and_nothing_goes_to_the_file_while_all_is_well() -> None:
    house = House()
    async with running(house):
        await house.keep(3)
        await house.keep(1500)
        assert await house.numbers() == list(range(1503))
        assert house.odd.commits == [3, 1500]
        assert (house.keeper.commits.count, house.keeper.failures) == (2, 0)
        assert house.memory.kept == []
        assert house.reasons() == {}
        await house.all_is_kept_once()


@pytest.mark.usefixtures("patient")
async def test_while_it_fails_each_batch_is_in_the_file_when_keep_returns_and_all_are_kept_in_order_later() -> None:
    house = House()
    async with running(house):
        await house.keep(2)
        house.odd.broken = FULL
        for _ in range(20):
            await house.keep(3)
            assert sum(isinstance(c, AppendFact) for i in house.memory.kept for c in i.changes) >= house.given - 2
        words = house.reasons()["database-not-written"]
        assert "make room" in words
        assert "61 changes wait, in the intents file, since 2026-08-01 12:00:00 UTC" in words
        assert numbers(house.published) == [0, 1]
        assert house.keeper.failures > 0
        house.odd.broken = None
        await house.all_is_kept_once()
        await until(lambda: house.memory.kept == [])
        assert house.reasons() == {}
    assert troubles(house.published) == [
        (FactKind.DATABASE_TROUBLE, {"reason": "full", "changes": 3}),
        (FactKind.DATABASE_WELL, {"reason": "full", "changes": 60}),
    ]


async def test_a_database_that_hangs_holds_up_nothing_longer_than_the_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.keeper._PATIENCE_S", 0.01)
    house = House()
    async with running(house):
        house.odd.hangs = asyncio.Event()
        async with asyncio.timeout(20):
            for _ in range(5):
                await house.keep()
        assert [len(one.changes) for one in house.memory.kept][:2] == [1, 1]
        assert "0.01 s" in house.reasons()["database-not-written"]
        house.odd.hangs.set()
        house.odd.hangs = None
        await house.all_is_kept_once()
    assert [kind for kind, _ in troubles(house.published)][:2] == list(TROUBLE)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("after", [False, True])
async def test_a_commit_whose_fate_is_unknown_is_neither_lost_nor_doubled(after: bool) -> None:
    house = House()
    unknown = StoreError("no answer from its disk", reason="timeout", kept="unknown")

    def once() -> None:
        house.odd.before = house.odd.after = lambda: None
        raise unknown

    async with running(house):
        for _ in range(10):
            if after:
                house.odd.after = once
            else:
                house.odd.before = once
            await asyncio.gather(house.keep(2), house.keep(1))
        await house.all_is_kept_once()


@pytest.mark.usefixtures("patient")
async def test_what_fails_at_random_is_kept_in_order_and_once() -> None:
    house = House()
    dice = random.Random(7)  # the same each time

    def sometimes() -> None:
        if dice.random() < 0.4:
            raise StoreError("no answer", reason="timeout", kept="unknown")

    house.odd.before = house.odd.after = sometimes
    async with running(house):
        for _ in range(100):
            await house.keep(dice.randint(1, 4))
        house.odd.before = house.odd.after = lambda: None
        await house.all_is_kept_once()


@pytest.mark.usefixtures("patient")
async def test_values_that_it_never_takes_hold_up_no_other() -> None:
    bad = {3, 17, 18, 40}

    class Picky(Odd):
        async def commit(self, changes: Sequence[Change], mark: Mark | None = None) -> Sequence[NumberedFact]:
            some = {change.fact.data.get("n") for change in changes if isinstance(change, AppendFact)}
            if some & bad:
                raise StoreError("it does not take this", reason="refused-value")
            return await super().commit(changes, mark)

    house = House(Picky())
    with structlog.testing.capture_logs() as logs:
        async with running(house):
            await house.keep(2)
            await asyncio.gather(*(house.keep(size) for size in (20, 1, 10, 10)))
            await house.until_kept()
            assert await house.numbers() == [n for n in range(43) if n not in bad]
    assert [one["event"] for one in logs] == ["change-given-up"] * 4


@pytest.mark.usefixtures("patient")
async def test_an_error_that_nobody_thought_of_is_trouble_too_and_ends_nothing() -> None:
    house = House()

    def bug() -> None:
        raise ZeroDivisionError

    house.odd.before = bug
    async with running(house):
        await house.keep()
        assert "ZeroDivisionError" in house.reasons()["database-not-written"]
        house.odd.before = lambda: None
        await house.all_is_kept_once()


@pytest.mark.usefixtures("patient")
async def test_without_a_file_either_memory_has_it_and_the_file_gets_it_as_soon_as_it_can() -> None:
    house = House()
    async with running(house):
        house.odd.broken, house.memory.broken = FULL, OSError(28, "No space left on device")
        with structlog.testing.capture_logs() as logs:
            for _ in range(5):
                await house.keep()
        assert [one["event"] for one in logs].count("intents-not-written") == 1
        assert "in memory alone" in house.reasons()["database-not-written"]
        house.memory.broken = None
        await until(lambda: sum(len(one.changes) for one in house.memory.kept) == 6)
        assert "in the intents file" in house.reasons()["database-not-written"]
        house.odd.broken = None
        await house.all_is_kept_once()


async def test_a_file_whose_disk_hangs_holds_up_nothing_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.filing._DEADLINE_S", 0.01)

    class Hanging(MemoryIntents):
        answers = threading.Event()

        def append(self, intents: Sequence[Intent]) -> None:
            self.answers.wait()
            super().append(intents)

    hanging = Hanging()
    house = House(intents=hanging)
    async with running(house):
        house.odd.broken = FULL
        async with asyncio.timeout(20):
            for _ in range(50):
                await house.keep()
        assert hanging.kept == []
        hanging.answers.set()
        await until(lambda: sum(len(one.changes) for one in hanging.kept) == 51)
        house.odd.broken = None
        await house.all_is_kept_once()


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:  # noqa: ARG001
    monkeypatch.setattr("bridge.keeper._IN_MEMORY", 20)
    monkeypatch.setattr("bridge.filing._AT_ONCE", 7)


@pytest.mark.usefixtures("small_memory")
async def test_what_memory_has_no_room_for_waits_in_the_file_and_is_kept_in_order() -> None:
    house = House()
    async with running(house):
        house.odd.broken = FULL
        for _ in range(60):
            await house.keep(3)
        assert house.keeper._in_memory <= 22
        assert "181 changes wait" in house.reasons()["database-not-written"]
        house.odd.broken = None
        for _ in range(30):
            await house.keep(2)
        await house.all_is_kept_once()
        assert house.given == 240
        await until(lambda: house.memory.kept == [])
        await house.keep()
        await house.all_is_kept_once()
        assert house.memory.kept == []


@pytest.mark.usefixtures("small_memory")
async def test_what_neither_has_room_for_is_lost_and_that_is_said() -> None:
    house = House()
    async with running(house):
        house.odd.broken, house.memory.broken = FULL, OSError(28, "No space left on device")
        with structlog.testing.capture_logs() as logs:
            for _ in range(10):
                await house.keep(3)
        lost = [one["changes"] for one in logs if one["event"] == "changes-lost"]
        assert sum(lost) == 12
        assert "12 changes are lost" in house.reasons()["changes-lost"]
        house.odd.broken = house.memory.broken = None
        await house.until_kept()
        assert await house.numbers() == list(range(18))
        await house.keep()
        assert (await house.numbers())[-1] == 30
        assert list(house.reasons()) == ["changes-lost"]


@pytest.mark.usefixtures("patient")
async def test_at_the_end_what_memory_alone_has_gets_a_last_try_and_the_next_start_takes_all_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    monkeypatch.setattr("bridge.filing._AGAIN_S", 1000.0)
    async with running(house):
        house.odd.broken, house.memory.broken = FULL, OSError(28, "No space left on device")
        for _ in range(5):
            await house.keep()
        house.memory.broken = None
        monkeypatch.setattr("bridge.keeper._PATIENCE_S", 0.01)
    assert sum(len(one.changes) for one in house.memory.kept) == 6
    house.odd.broken = None
    again = House(house.store, house.intents)
    with structlog.testing.capture_logs() as logs:
        await again.keeper.take_in()
    assert [(one["event"], one.get("changes")) for one in logs] == [("intents-taken-in", 6)]
    assert await again.numbers() == list(range(5))
    assert house.memory.kept == []
    async with running(again):
        await again.until_kept()
    facts = troubles(await again.store.facts_after(FactNumber(0), 100))
    assert facts == [
        (FactKind.DATABASE_TROUBLE, {"reason": "full", "changes": 1}),
        (FactKind.DATABASE_WELL, {"reason": "restart", "changes": 6}),
    ]


@pytest.mark.usefixtures("patient")
async def test_a_start_takes_in_only_what_the_database_has_not() -> None:
    store = Odd()
    batches = [[AppendFact(kept.fact(n=n)), AppendFact(kept.fact(n=n + 1))] for n in range(0, 10, 2)]
    intents = MemoryIntents()
    intents.kept = [Intent(Mark(5, n), tuple(batch)) for n, batch in zip(range(2, 12, 2), batches, strict=True)]
    await store.commit([one for batch in batches[:3] for one in batch][:5], Mark(5, 5))
    house = House(store, intents)
    await house.keeper.take_in()
    assert await house.numbers() == list(range(10))
    # The same file once more, as after a kill before it was emptied.
    intents.kept = [Intent(Mark(5, n), tuple(batch)) for n, batch in zip(range(2, 12, 2), batches, strict=True)]
    again = House(store, intents)
    await again.keeper.take_in()
    assert await again.numbers() == list(range(10))


@pytest.mark.usefixtures("patient")
async def test_each_run_counts_above_all_before() -> None:
    house = House()
    for n in range(3):
        again = House(house.store, house.intents)
        again.given = n
        await again.keeper.take_in()
        async with running(again):
            await again.keep()
        assert await again.numbers() == list(range(n + 1))


async def test_a_start_with_a_database_that_does_not_take_what_is_left_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.keeper._START_S", 0.05)
    intents = MemoryIntents()
    intents.kept = [Intent(Mark(1, 1), (AppendFact(kept.fact(n=0)),))]
    house = House(intents=intents)

    def full() -> None:
        raise FULL

    house.odd.before = full
    with pytest.raises(StoreError, match="make room"):
        await house.keeper.take_in()
    assert len(intents.kept) == 1


async def test_a_file_that_cannot_be_read_does_not_keep_it_from_starting() -> None:
    house = House()
    house.memory.broken = OSError(5, "Input/output error")
    await house.keeper.take_in()
    async with running(house):
        await house.keep()
        await house.all_is_kept_once()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program that has the database for itself."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("COMMIT")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    """A real database and its file."""
    path = folder / "x.db"
    store = await SqliteStore.open(path, "pbx1", busy_s=0.05)
    intents = IntentsFile(folder / "x.db.intents", lambda: kept.NOON)
    house = House(store, intents)
    try:
        await house.keeper.take_in()
        async with running(house):
            yield house
    finally:
        intents.close()
        await store.close()


@pytest.mark.usefixtures("patient")
async def test_a_real_database_that_is_locked_for_a_while_has_all_in_the_end_and_its_file_is_empty(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as house:
        await house.keep(3)
        with locked(tmp_path / "x.db"):
            for _ in range(20):
                await house.keep(3)
            assert "fuser" in house.reasons()["database-not-written"]
            (await asyncio.to_thread((tmp_path / "x.db.intents").read_bytes)).index(b'"n":62')
        await house.all_is_kept_once()
    assert not (tmp_path / "x.db.intents").read_bytes().partition(b"\n")[2].strip(b"\0")


@pytest.mark.usefixtures("patient")
@pytest.mark.skipif(not can_mount(), reason="no tmpfs may be mounted here")
async def test_a_disk_that_is_full_takes_the_intents_and_all_is_kept_when_there_is_room_again(tmp_path: Path) -> None:
    with tmpfs(tmp_path, 6 << 20):
        await record_on_a_full_disk(tmp_path)


async def record_on_a_full_disk(disk: Path) -> None:
    async with opened(disk) as house:
        await house.keep(3)
        fill(disk)
        while house.keeper.well:
            await house.keep(100)
        for _ in range(20):
            await house.keep(3)
        assert "make room" in house.reasons()["database-not-written"]
        assert "in the intents file" in house.reasons()["database-not-written"]
        (disk / "filler").unlink()
        await house.all_is_kept_once()


WRITER = """
import asyncio, sys
from pathlib import Path
import structlog
from tests.test_keeper import opened

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def main():
    folder = Path(sys.argv[1])
    async with opened(folder) as house:
        house.given = int(sys.argv[2])
        while True:
            await house.keep(3)
            sys.stdout.write(f"{house.given}\\n")
            sys.stdout.flush()

asyncio.run(main())
"""


async def write_and_kill(folder: Path, given: int, lock_after: int) -> int:
    """Another process keeps batches, its database gets locked, and it is killed; how many it was told are kept."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITER,
        str(folder),
        str(given),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert process.stdout is not None
    told = given
    with contextlib.ExitStack() as locks:
        async with asyncio.timeout(60):
            for number in range(lock_after + 30):
                if number == lock_after:
                    locks.enter_context(locked(folder / "x.db"))
                told = int(await process.stdout.readline())
        process.kill()
        rest = await process.stdout.read()
        await process.wait()
    return max([told, *map(int, rest.split(b"\n")[:-1])])


async def test_a_process_that_is_killed_while_the_database_is_locked_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    given = 0
    for lock_after in (1, 20, 7):
        told = await write_and_kill(tmp_path, given, lock_after)
        async with opened(tmp_path) as house:
            found = await house.numbers()
            assert found == list(range(len(found)))
            assert told <= len(found) <= told + 3
            given = len(found)
            assert len(troubles(await house.store.facts_after(FactNumber(0), 1_000_000))) > 0
    # Once more, with nothing left.
    async with opened(tmp_path) as house:
        assert len(await house.numbers()) == given


@pytest.mark.usefixtures("patient")
async def test_others_that_write_do_not_disturb_the_marks(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.keep(2)
        other = await SqliteStore.open(tmp_path / "x.db", "pbx1")
        await other.commit([AppendFact(kept.fact(n=2)), PutSection(kept.section())])
        mark = await other.taken()
        await other.close()
        house.given = 3
        await house.keep(2)
        assert (await house.store.taken()).number == mark.number + 2
        assert await house.numbers() == list(range(5))
