"""What the daemon does by itself: at its hours, at most half, and nothing while another does it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from bridge.core.erasure import Person
from bridge.core.records import FactKind
from bridge.core.retention import Hold, Target
from bridge.core.store import PutHold
from bridge.housekeeping import Housekeeping
from bridge.storage.turns import run_turn
from tests.storage import kept
from tests.storage.spools import DAY, House, house


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


class Hours:
    """A clock that stands still until somebody has slept: `let` says how often that may be."""

    def __init__(self, here: House, let: int) -> None:
        self.slept: list[float] = []
        self.over = asyncio.Event()
        self._here = here
        self._let = let

    async def sleep(self, seconds: float) -> None:
        if len(self.slept) == self._let:
            self.over.set()
            await asyncio.Event().wait()
        self.slept.append(seconds)
        self._here.now += timedelta(seconds=seconds)


def warned(made: Housekeeping) -> bool:
    return made.warning is not None


def keeping(here: House, *, keep: timedelta = DAY, well: bool = True, hours: Hours | None = None) -> Housekeeping:
    return Housekeeping(
        here.store,
        here.database,
        here.spool,
        systemname="pbx1",
        keep=keep,
        well=lambda: well,
        clock=lambda: here.now,
        sleep=(hours or Hours(here, 0)).sleep,
    )


async def run_for(here: House, runs: int, keep: timedelta = DAY) -> tuple[Housekeeping, Hours]:
    hours = Hours(here, runs)
    made = keeping(here, keep=keep, hours=hours)
    task = asyncio.create_task(made.run())
    await asyncio.wait({task, asyncio.create_task(hours.over.wait())}, return_when="FIRST_COMPLETED")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return made, hours


async def test_it_runs_some_minutes_after_the_start_and_then_every_hour(here: House) -> None:
    await here.section(1)
    young = [await here.section(file, ended_at=here.now) for file in (2, 3)]
    _, hours = await run_for(here, 3)
    assert hours.slept == [300, 3600, 3600]
    assert here.files() == [one.path for one in young]


async def test_a_short_keep_is_looked_after_more_often(here: House) -> None:
    _, hours = await run_for(here, 2, keep=timedelta(hours=2))
    assert hours.slept == [300, 300]
    _, hours = await run_for(here, 2, keep=timedelta(seconds=2))
    assert hours.slept == [1, 1]


async def test_more_than_half_is_not_deleted_but_said(here: House) -> None:
    for file in (1, 2):
        await here.section(file)
    await here.section(3, ended_at=here.now)
    made = keeping(here)
    with structlog.testing.capture_logs() as logs:
        await made.once()
        await made.once()
    assert len(here.files()) == 3
    assert [made.warning.code if made.warning else None] == ["retention-refused"]
    assert [one["event"] for one in logs] == ["retention-refused"]
    await here.section(4, ended_at=here.now)
    await made.once()
    assert not warned(made)
    assert len(here.files()) == 2


async def test_half_of_the_sections_with_more_than_half_of_the_bytes_is_too_much(here: House) -> None:
    big = await here.section(1)
    assert big.report is not None
    await here.section(1, report=replace(big.report, size_bytes=1000))
    await here.section(2, ended_at=here.now)
    made = keeping(here)
    await made.once()
    assert len(here.files()) == 2
    assert warned(made)


async def test_requests_that_wait_are_worked_off_and_count_for_the_half(here: House) -> None:
    await here.call(kept.cdr())
    asked_for = await here.section(1)
    hold = Hold("h1", Target(call_id=kept.CALL), "eve", "a case", kept.NOON)
    await here.store.commit([PutHold(hold)])
    person = Person(number="+4973112345")
    _, calls = await here.erasing.plan(person)
    await here.erasing.work_off(await here.erasing.ask(person, calls, "eve", "asked"))
    made = keeping(here, keep=30 * DAY)
    await made.once()
    assert here.files() == [asked_for.path]
    await here.store.commit([PutHold(replace(hold, released_at=here.now, released_by="eve", released_why="over"))])
    await made.once()
    assert warned(made)
    other = await here.section(2, call_id="9.9")
    await made.once()
    assert (warned(made), here.files()) == (False, [other.path])
    assert await here.erasing.pending() == []


async def test_the_spool_is_looked_through_at_start_and_daily_but_not_before_all_is_kept(here: House) -> None:
    orphan = f"2026/08/01/{kept.RECORD}_1_009.wav"
    here.file(orphan, timedelta(hours=2))
    await keeping(here, well=False).once()
    assert here.files() == [orphan]
    made = keeping(here)
    await made.once()
    assert here.files() == [f"quarantine/{orphan}"]
    here.file(orphan, timedelta(hours=2))
    await made.once()
    assert orphan in here.files()
    here.now += DAY
    await made.once()
    assert orphan not in here.files()
    assert len(await here.facts(FactKind.FILE_QUARANTINED)) == 2


async def test_while_a_command_deletes_the_daemon_waits_for_its_next_hour(here: House) -> None:
    await here.section(1)
    await here.section(2, ended_at=here.now + DAY)
    with structlog.testing.capture_logs() as logs:
        async with run_turn(here.database):
            await run_for(here, 1)
            assert len(here.files()) == 2
    assert [one["event"] for one in logs] == ["housekeeping-put-off"]
    await run_for(here, 1)
    assert len(here.files()) == 1


async def test_a_fault_of_its_own_ends_nothing(here: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(Housekeeping, "once", fail)
    with structlog.testing.capture_logs() as logs:
        _, hours = await run_for(here, 3)
    assert len(hours.slept) == 3
    assert [one["event"] for one in logs] == ["housekeeping-failed"] * 3
