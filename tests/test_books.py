"""What the daemon adds up: since its start, and of each day."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import structlog

from bridge import presence
from bridge.books import Books
from bridge.core.accounts import Reason, Span, TalkAccount
from bridge.core.errors import StoreError
from bridge.core.ids import CallId, RuleId, TalkId
from bridge.core.records import Fact, FactKind
from bridge.core.store import AddCdr, AppendFact, PutSpan, PutTalk
from bridge.lock import alone
from tests.fakes import MemoryStore
from tests.kept_coverage import MemoryCoverages
from tests.storage import kept

BERLIN = ZoneInfo("Europe/Berlin")
EVENING = datetime(2026, 3, 28, 22, 0, tzinfo=BERLIN).astimezone(UTC)
"""The night after the next the clocks go forward: that day has 23 hours."""


class Day:
    """Books of which each look comes a minute after the other."""

    def __init__(self, said: Path, at: datetime = EVENING) -> None:
        self.now = at
        self.store = MemoryStore()
        self.said = said
        self.coverages = MemoryCoverages(self.store)
        self.books = Books(self.store, self.coverages, said, lambda: self.now, zone=BERLIN, sleep=self.sleep)
        self.until = at
        self.reached = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.now >= self.until:
            self.reached.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    async def run(self, until: datetime) -> list[dict[str, object]]:
        """What the log says meanwhile."""
        self.until = until
        self.reached.clear()
        with structlog.testing.capture_logs() as lines:
            task = asyncio.create_task(self.books.run())
            async with asyncio.timeout(60):
                await self.reached.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return [dict(line) for line in lines]

    async def call(self, number: int, ended_at: datetime, reason: Reason) -> None:
        talk = TalkAccount(TalkId(f"{number}-1"), CallId(f"1.{number}"), ended_at - timedelta(seconds=10), ended_at)
        cdr = replace(kept.cdr(talk.call_id), started_at=talk.began_at, ended_at=ended_at)
        await self.store.commit(
            [PutTalk(talk), PutSpan(Span(talk.talk_id, 1, RuleId(1), reason, talk.began_at)), AddCdr(cdr)]
        )


async def test_each_day_is_said_once_when_it_is_over(tmp_path: Path) -> None:
    day = Day(tmp_path / "said")
    await day.call(1, EVENING - timedelta(days=1), Reason.PAUSED)
    await day.call(2, EVENING + timedelta(minutes=3), Reason.NEVER)
    await day.call(3, EVENING + timedelta(hours=1, minutes=59, seconds=59), Reason.FAILED)
    await day.call(4, EVENING + timedelta(hours=2), Reason.NEVER)
    lines = await day.run(EVENING + timedelta(hours=30))
    assert [line["event"] for line in lines] == ["coverage"] * 3
    assert [(line["day"], line["calls"], line["missing"], line["faulty"]) for line in lines] == [
        ("2026-03-27", 1, {"paused": 10.0}, 0),
        ("2026-03-28", 2, {"never": 10.0, "failed": 10.0}, 1),
        ("2026-03-29", 1, {"never": 10.0}, 0),
    ]
    assert {key: lines[1][key] for key in ("talked_s", "recorded_s", "log_level")} == {
        "talked_s": 20.0, "recorded_s": 0.0, "log_level": "info",
    }  # fmt: skip
    # Those that ended since the start; the first had before.
    assert (day.books.totals.all.calls, day.books.totals.by_rule[RuleId(1)].talked_s) == (3, 30)


async def test_a_restart_says_a_day_again_only_if_it_was_not_said(tmp_path: Path) -> None:
    assert len(await Day(tmp_path / "said").run(EVENING + timedelta(minutes=5))) == 1
    assert await Day(tmp_path / "said").run(EVENING + timedelta(minutes=5)) == []
    (line,) = await Day(tmp_path / "said", EVENING + timedelta(days=1)).run(EVENING + timedelta(days=1, minutes=5))
    assert line["day"] == "2026-03-28"
    (tmp_path / "said").write_text("yesterday\n")
    assert len(await Day(tmp_path / "said").run(EVENING + timedelta(minutes=5))) == 1
    assert len(await Day(tmp_path / "nowhere" / "said").run(EVENING + timedelta(minutes=5))) == 1


async def test_a_database_that_cannot_be_read_puts_it_off_and_nothing_is_lost(tmp_path: Path) -> None:
    day = Day(tmp_path / "said")
    await day.call(1, EVENING + timedelta(minutes=1), Reason.NEVER)
    day.store.broken = StoreError("no")
    lines = await day.run(EVENING + timedelta(minutes=20))
    assert {line["event"] for line in lines} == {"coverage-put-off"}
    day.store.broken = None
    (line,) = await day.run(EVENING + timedelta(minutes=40))
    assert (line["event"], day.books.totals.all.calls) == ("coverage", 1)


async def test_what_was_there_before_is_added_up_bit_by_bit_the_last_calls_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.books._OLD_AT_ONCE", 4)
    day = Day(tmp_path / "said")
    for number in range(1, 11):
        await day.call(number, EVENING - timedelta(days=40 - 3 * number), Reason.NEVER)
    await day.books.look_back()
    some = sorted(day.coverages.kept)
    assert 4 <= len(some) < 10
    assert some == list(range(11 - len(some), 11))
    for _ in range(3):
        await day.books.look_back()
    assert sorted(day.coverages.kept) == list(range(1, 11))


async def test_when_a_run_was_last_there_is_its_last_fact_or_its_last_note(tmp_path: Path) -> None:
    database, store = tmp_path / "x.db", MemoryStore()
    with alone(database):
        presence.note(database, EVENING)
        assert await presence.last_seen(store, database) is None
        await store.commit([AppendFact(Fact(FactKind.CALL_BEGAN, EVENING - timedelta(hours=1)))])
        assert await presence.last_seen(store, database) == EVENING
        await store.commit([AppendFact(Fact(FactKind.CALL_BEGAN, EVENING + timedelta(seconds=1)))])
        assert await presence.last_seen(store, database) == EVENING + timedelta(seconds=1)
    assert await presence.last_seen(store, tmp_path / "other.db") == EVENING + timedelta(seconds=1)


@pytest.mark.parametrize("missing", [True, False])
async def test_a_note_that_cannot_be_made_is_left(tmp_path: Path, *, missing: bool) -> None:
    database = tmp_path / ("nowhere" if missing else ".") / "x.db"
    presence.note(database, EVENING)
    assert not database.exists()


async def test_what_a_command_did_while_recbridge_was_away_is_no_sign_of_it(tmp_path: Path) -> None:
    store = MemoryStore()
    database = tmp_path / "x.db"
    with alone(database):
        presence.note(database, EVENING)
    later = EVENING + timedelta(hours=2)
    deleted = [AppendFact(Fact(FactKind.SECTION_DELETED, later)) for _ in range(1200)]
    held = AppendFact(Fact(FactKind.HOLD_SET, later))
    await store.commit([held, *deleted])
    assert await presence.last_seen(store, database) is None
    await store.commit([AppendFact(Fact(FactKind.CALL_BEGAN, EVENING - timedelta(hours=1))), held, *deleted])
    assert await presence.last_seen(store, database) == EVENING


async def test_a_database_that_was_brought_from_elsewhere_was_not_seen_here(tmp_path: Path) -> None:
    store = MemoryStore()
    await store.commit([AppendFact(Fact(FactKind.CALL_BEGAN, EVENING))])
    for _ in range(2):
        with alone(tmp_path / "x.db"):
            assert await presence.last_seen(store, tmp_path / "x.db") == EVENING
