"""What the daemon does by itself: at its hours, at most half, and nothing while another does it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from bridge.core.access import Role
from bridge.core.erasure import Person
from bridge.core.ids import Identity, RecordId
from bridge.core.records import FactKind
from bridge.core.retention import Hold, Keeping, Target
from bridge.core.settings import Settings
from bridge.core.store import PutHold, PutSettings
from bridge.housekeeping import Housekeeping
from bridge.storage.finished_calls import FinishedCalls
from bridge.storage.tokens import all_tokens
from bridge.storage.turns import run_turn
from bridge.tokens import new_token
from tests.storage import kept
from tests.storage.databases import asked
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


def keeping(
    here: House, *, keep: timedelta = DAY, calls: timedelta | None = None, well: bool = True, hours: Hours | None = None
) -> Housekeeping:
    return Housekeeping(
        here.store,
        here.database,
        here.spool,
        systemname="pbx1",
        keep=Keeping(keep, calls),
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
    made, hours = await run_for(here, 3)
    assert hours.slept == [300, 3600, 3600]
    assert here.files() == [one.path for one in young]
    assert (made.deleted.count, made.deleted.size_bytes > 0, made.failures) == (1, True, 0)
    assert made.done_at is not None


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
        made, hours = await run_for(here, 3)
    assert len(hours.slept) == 3
    assert [one["event"] for one in logs] == ["housekeeping-failed"] * 3
    assert (made.failures, made.done_at) == (3, None)


async def test_what_was_set_over_http_stands_over_the_configuration_from_the_next_run_on(here: House) -> None:
    old = await here.section(1)
    young = [await here.section(file, ended_at=here.now) for file in (2, 3)]
    made = keeping(here, keep=30 * DAY)
    await here.store.commit([PutSettings(Settings(recording_days=3))])
    await made.once()
    assert len(here.files()) == 3
    async with house(here.folder) as other:  # it may be kept by anybody
        await other.store.commit([PutSettings(Settings(recording_days=1))])
    await made.once()
    assert old.path not in here.files()
    await here.store.commit([PutSettings(Settings(recording_days=0))])
    await made.once()
    assert (warned(made), here.files()) == (True, [one.path for one in young])
    await here.store.commit([PutSettings(Settings())])
    await made.once()
    assert not warned(made)


async def test_what_is_not_to_be_kept_at_all_goes_every_hour(here: House) -> None:
    await here.store.commit([PutSettings(Settings(recording_days=0))])
    _, hours = await run_for(here, 3, keep=timedelta(hours=2))
    assert hours.slept == [300, 3600, 3600]


async def finished_calls(here: House, *ages: timedelta) -> None:
    for n, age in enumerate(ages):
        at = here.now - age
        await here.call(replace(kept.cdr(f"{n}.{at:%s}", ()), started_at=at, ended_at=at))


async def left(here: House) -> int:
    return await FinishedCalls(here.retention, "pbx1").stored()


async def test_finished_calls_stay_for_ever_unless_somebody_says_how_long(here: House) -> None:
    await finished_calls(here, 1000 * DAY, 10 * DAY, DAY, DAY)
    await keeping(here).once()
    assert await left(here) == 4
    await keeping(here, calls=100 * DAY).once()
    assert await left(here) == 3
    await here.store.commit([PutSettings(Settings(cdr_days=5))])
    await keeping(here, calls=100 * DAY).once()
    assert await left(here) == 2
    assert [one.data["calls"] for one in await here.facts(FactKind.CALLS_DELETED)] == [1, 1]


async def test_calls_go_in_the_run_that_deletes_their_last_recording(here: House) -> None:
    await here.call(kept.cdr(), kept.entry())
    await here.section(1)
    await here.section(2, record_id="9-9_0", call_id="9.9", path="2026/08/01/9-9_0_1_002.wav", ended_at=here.now)
    await finished_calls(here, timedelta(0))
    made = keeping(here, calls=DAY)
    await made.once()
    assert (await left(here), len(here.files())) == (1, 1)
    assert made.deleted_calls == 1


async def test_what_deleted_calls_were_found_by_is_out_of_the_index_within_a_day(here: House) -> None:
    house = keeping(here, calls=10 * DAY)
    await house.once()
    for n in (1, 2, 3, 4):
        here.now = kept.NOON + n * 9 * DAY
        record_id = RecordId(f"{n}-1_{n}-2")
        cdr = replace(kept.cdr(f"{n}.1", (record_id,)), started_at=here.now, ended_at=here.now)
        await here.call(replace(cdr, source_name="Zacharias Quokka" if n == 1 else "Maier"))
        await house.once()
    # Two pieces hold it: the one that it was put into, and the one that says that it was taken out.
    assert asked(here.database, "SELECT count(*) FROM cdrs") == [(2,)]
    assert asked(here.database, "SELECT count(DISTINCT segid) FROM cdr_search_idx") == [(1,)]


async def test_more_than_half_of_all_calls_are_not_deleted_but_said(here: House) -> None:
    await finished_calls(here, 10 * DAY, 10 * DAY, DAY)
    made = keeping(here, calls=5 * DAY)
    await made.once()
    assert (warned(made), await left(here)) == (True, 3)
    await finished_calls(here, timedelta(0))
    await made.once()
    assert (warned(made), await left(here)) == (False, 2)


async def test_no_call_goes_before_its_coverage_is_counted(here: House) -> None:
    """By the metrics, some minutes after its end, when its last section has been looked into."""
    await finished_calls(here, timedelta(minutes=10), timedelta(minutes=9))
    await keeping(here, calls=timedelta(0)).once()
    assert await left(here) == 1


async def test_no_call_goes_before_all_is_kept(here: House) -> None:
    await finished_calls(here, 10 * DAY, DAY)
    await keeping(here, calls=5 * DAY, well=False).once()
    assert await left(here) == 2


async def test_tokens_go_a_day_after_they_have_expired(here: House) -> None:
    made = {}
    for name, ends in (("ever", None), ("later", DAY * 9), ("just", timedelta(0)), ("long", -DAY)):
        expires_at = None if ends is None else here.now + ends
        token, _ = new_token(Identity(name), Role.USER, None, here.now, expires_at)
        await here.store.add_token(token)
        made[name] = token.id
    await keeping(here).once()
    left = [token.identity for token in await all_tokens(here.store)]
    assert sorted(left) == ["ever", "just", "later"]
    assert await here.store.token(made["long"]) is None
    here.now += DAY
    await keeping(here).once()
    assert sorted(token.identity for token in await all_tokens(here.store)) == ["ever", "later"]
