"""The SQLite store on real files."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.core.access import Role, Token
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber, Identity, RecordId, RuleId, SectionKey
from bridge.core.records import AudioReport, SectionState
from bridge.core.store import AddCdr, AddJournalEntry, AppendFact, PutSection
from bridge.storage import accounts, retention_sql, statements
from bridge.storage.database import SqliteStore
from tests.storage import kept

START = FactNumber(0)
# Counts for minutes: whoever runs it has to be interrupted.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000000) SELECT max(i) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recbridge.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(path, "pbx1", busy_s=0.2)
    yield opened
    await opened.close()


def token() -> Token:
    return Token("t1", "00", Identity("alice"), Role.USER, frozenset(), kept.NOON, None)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def numbers(store: SqliteStore) -> list[int]:
    return [one.number for one in await store.facts_after(START, 100_000)]


async def test_a_new_store_is_empty_private_and_synchronous(store: SqliteStore, path: Path) -> None:
    assert await store.fact_bounds() == (1, 0)
    assert await store.facts_after(START, 10) == []
    assert await store.section(SectionKey(kept.RECORD, RuleId(1), 1)) is None
    assert mode_of(path) == 0o600
    assert [tuple(row) for row in await store._writer.execute_fetchall("PRAGMA journal_mode")] == [("wal",)]
    assert [tuple(row) for row in await store._writer.execute_fetchall("PRAGMA synchronous")] == [(2,)]
    assert [tuple(row) for row in await store._writer.execute_fetchall("PRAGMA foreign_keys")] == [(1,)]


async def test_numbers_go_on_after_a_new_start(store: SqliteStore, path: Path) -> None:
    await store.commit([AppendFact(kept.fact()), AppendFact(kept.fact())])
    await store.close()
    again = await SqliteStore.open(path, "pbx2")
    try:
        assert [one.number for one in await again.commit([AppendFact(kept.fact())])] == [3]
        assert await again.fact_bounds() == (1, 3)
        assert [row[0] for row in await again._read("SELECT systemname FROM facts ORDER BY number")] == [
            "pbx1",
            "pbx1",
            "pbx2",
        ]
    finally:
        await again.close()


async def test_commits_that_queue_up_share_a_transaction(store: SqliteStore) -> None:
    traced: list[str] = []
    await store._writer.set_trace_callback(traced.append)
    given = await asyncio.gather(*(store.commit([AppendFact(kept.fact(n=n))] * 2) for n in range(50)))
    assert traced.count("COMMIT") <= 2
    for n, mine in enumerate(given):
        assert [one.fact.data["n"] for one in mine] == [n, n]
    assert sorted(one.number for mine in given for one in mine) == list(range(1, 101))
    assert await numbers(store) == list(range(1, 101))
    by_number = {one.number: one for mine in given for one in mine}
    assert {one.number: one for one in await store.facts_after(START, 200)} == by_number


async def test_a_batch_that_fails_leaves_nothing_and_takes_no_other_with_it(store: SqliteStore) -> None:
    impossible = PutSection(kept.section(rule_id=RuleId(2**70)))
    results = await asyncio.gather(
        store.commit([AppendFact(kept.fact(n=1)), PutSection(kept.section(1))]),
        store.commit([AppendFact(kept.fact(n=2)), PutSection(kept.section(2)), impossible]),
        store.commit([AppendFact(kept.fact(n=3)), PutSection(kept.section(3))]),
        return_exceptions=True,
    )
    assert isinstance(results[1], StoreError)
    assert results[1].details["kept"] == "no"
    assert [one.fact.data["n"] for one in await store.facts_after(START, 10)] == [1, 3]
    assert await numbers(store) == [1, 2]
    assert [one.file for one in await store.sections_of(kept.RECORD)] == [1, 3]
    assert not isinstance(results[2], BaseException)
    assert [one.number for one in results[2]] == [2]


async def test_a_token_id_is_given_once(store: SqliteStore) -> None:
    await store.add_token(token())
    kept_facts, refused = await asyncio.gather(
        store.commit([AppendFact(kept.fact())]), store.add_token(token()), return_exceptions=True
    )
    assert isinstance(refused, StoreError)
    assert not isinstance(kept_facts, BaseException)
    assert await store.token("t1") == token()


@pytest.mark.parametrize("value", [float("nan"), kept.NOON, object()])
async def test_data_that_is_no_json_is_refused_before_anything_is_kept(store: SqliteStore, value: object) -> None:
    with pytest.raises(StoreError):
        await store.commit([AppendFact(kept.fact()), AppendFact(kept.fact(value=value))])
    assert await store.fact_bounds() == (1, 0)


async def test_an_empty_commit_gives_nothing(store: SqliteStore) -> None:
    assert list(await store.commit([])) == []


async def test_readers_never_see_a_gap(store: SqliteStore) -> None:
    writing = [asyncio.create_task(store.commit([AppendFact(kept.fact())] * (n % 7 + 1))) for n in range(200)]
    seen: list[int] = []
    while not all(task.done() for task in writing):
        seen += [one.number for one in await store.facts_after(FactNumber(len(seen)), 50)]
        assert seen == list(range(1, len(seen) + 1))
    total = sum(n % 7 + 1 for n in range(200))
    while len(seen) < total:
        seen += [one.number for one in await store.facts_after(FactNumber(len(seen)), 50)]
    assert seen == list(range(1, total + 1))


async def test_a_long_read_does_not_hold_up_a_commit(store: SqliteStore) -> None:
    reading = asyncio.create_task(store._read(ENDLESS))
    await asyncio.sleep(0.05)
    assert len(await store.commit([AppendFact(kept.fact())])) == 1
    assert not reading.done()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await numbers(store) == [1]


async def test_a_read_has_a_deadline_and_the_next_one_works(path: Path) -> None:
    store = await SqliteStore.open(path, "pbx1", wait_s=0.3)
    try:
        with pytest.raises(StoreError) as caught:
            await store._read(ENDLESS)
        assert caught.value.details["reason"] == "timeout"
        store._wait_s = 30
        assert await store.fact_bounds() == (1, 0)
    finally:
        await store.close()


async def test_what_no_row_can_hold_is_not_found(store: SqliteStore) -> None:
    assert await store.section(SectionKey(kept.RECORD, RuleId(10**30), 1)) is None
    assert await store.facts_after(FactNumber(10**30), 5) == []
    assert await store.token("\ud800") is None


async def test_a_lock_of_another_program_is_an_error_that_passes(store: SqliteStore, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(
            *(store.commit([AppendFact(kept.fact())]) for _ in range(3)), return_exceptions=True
        )
        for error in results:
            assert isinstance(error, StoreError)
            assert error.details == {"reason": "locked", "kept": "no"}
            assert "fuser" in error.message
        assert await store.fact_bounds() == (1, 0)
        other.execute("ROLLBACK")
    finally:
        other.close()
    assert [one.number for one in await store.commit([AppendFact(kept.fact())])] == [1]


async def test_a_commit_has_a_deadline_and_says_what_became_of_it(path: Path) -> None:
    store = await SqliteStore.open(path, "pbx1", busy_s=60, wait_s=0.3)
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        begun = asyncio.create_task(store.commit([AppendFact(kept.fact(n="begun"))]))
        await asyncio.sleep(0)
        for _ in range(1000):
            if not store._queue:
                break
            await asyncio.sleep(0.01)
        queued = asyncio.create_task(store.commit([AppendFact(kept.fact(n="queued"))]))
        for task, outcome in ((begun, "unknown"), (queued, "no")):
            with pytest.raises(StoreError) as caught:
                await task
            assert caught.value.details == {"reason": "timeout", "kept": outcome}
        other.execute("ROLLBACK")
        store._wait_s = 30
        await store.commit([AppendFact(kept.fact(n="later"))])
        assert [one.fact.data["n"] for one in await store.facts_after(START, 10)] == ["begun", "later"]
    finally:
        other.close()
        store._wait_s = 30
        await store.close()


async def test_a_full_disk_is_an_error_that_passes(store: SqliteStore) -> None:
    ((pages,),) = await store._writer.execute_fetchall("PRAGMA page_count")
    await store._writer.execute_fetchall(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError) as caught:
        await store.commit([AppendFact(kept.fact(long="x" * 100_000))])
    assert caught.value.details["reason"] == "full"
    assert "make room" in caught.value.message
    await store._writer.execute_fetchall(f"PRAGMA max_page_count = {pages + 1000}")
    assert [one.number for one in await store.commit([AppendFact(kept.fact(long="x" * 100_000))])] == [1]


async def test_closing_keeps_what_is_queued_and_refuses_the_rest(path: Path) -> None:
    store = await SqliteStore.open(path, "pbx1")
    queued = [asyncio.create_task(store.commit([AppendFact(kept.fact())])) for _ in range(5)]
    await asyncio.sleep(0)
    await store.close()
    assert sorted(one.number for batch in await asyncio.gather(*queued) for one in batch) == [1, 2, 3, 4, 5]
    with pytest.raises(StoreError):
        await store.commit([AppendFact(kept.fact())])
    with pytest.raises(StoreError):
        await store.fact_bounds()
    await store.close()


async def test_a_flood_of_commits_is_refused_at_the_bound(store: SqliteStore) -> None:
    results = await asyncio.gather(
        *(store.commit([AppendFact(kept.fact())]) for _ in range(4_100)), return_exceptions=True
    )
    refused = [error for error in results if isinstance(error, BaseException)]
    assert {error.details["reason"] for error in refused if isinstance(error, StoreError)} == {"overloaded"}
    assert len(refused) == 4
    assert await store.fact_bounds() == (1, 4_096)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE facts SET kind = 'call.ended'",
        "UPDATE facts SET number = 9",
        "DELETE FROM facts",
        "INSERT OR REPLACE INTO facts SELECT * FROM facts",
        "UPDATE fact_personal SET value = 'Eve'",
        "UPDATE facts SET hash = zeroblob(32)",
        "UPDATE fact_personal SET name = 'x', value = NULL, salt = NULL",
        "UPDATE fact_personal SET value = NULL",
        "UPDATE fact_personal SET salt = NULL",
        "UPDATE fact_personal SET value = NULL, salt = NULL, digest = zeroblob(32)",
        "UPDATE fact_personal SET value = NULL, salt = NULL, digest = NULL",
        "UPDATE fact_personal SET value = NULL, salt = NULL, systemname = 'other'",
        "INSERT OR REPLACE INTO fact_personal SELECT fact, name, systemname, 'Eve', salt, digest FROM fact_personal",
        "DELETE FROM fact_personal",
    ],
)
async def test_a_fact_is_never_changed(store: SqliteStore, path: Path, sql: str) -> None:
    before = await store.commit([AppendFact(kept.fact(n=1))])
    other = sqlite3.connect(path)
    try:
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(sql)
    finally:
        other.close()
    assert await store.facts_after(START, 10) == before


async def test_a_personal_value_can_be_erased(store: SqliteStore) -> None:
    await store.commit([AppendFact(kept.fact(n=1))])
    await store.commit([], rewrites=[(retention_sql.ERASE_PERSONAL, [{"fact": 1, "name": "name"}])])
    (one,) = await store.facts_after(START, 10)
    assert one.fact.personal == {}
    assert one.fact.data == {"n": 1}


async def test_a_records_journal_has_the_calls_that_wrote_into_it(store: SqliteStore) -> None:
    await store.commit(
        [
            AddJournalEntry(kept.entry("alice", "1.1", "a_b")),
            AddJournalEntry(kept.entry("bob", "1.1", "a_b")),
            AddCdr(kept.cdr("1.1", ("a_b",))),
            # This call took in another one, whose record was c_d.
            AddJournalEntry(kept.entry("carol", "2.1", "a_c")),
            AddJournalEntry(kept.entry("dave", "2.1", "c_d")),
            AddCdr(kept.cdr("2.1", ("a_c", "c_d"))),
            AddJournalEntry(kept.entry("erin", "3.1", None)),
            AddCdr(kept.cdr("3.1", ())),
        ]
    )
    for record, who in (("a_b", ["alice", "bob"]), ("c_d", ["carol", "dave"]), ("x_y", [])):
        assert [one.entry.identity for one in await store.journal_of_record(RecordId(record))] == who
    assert [one.entry.identity for one in await store.journal(None, 2)] == ["erin", "dave"]
    assert [one.number for one in await store.journal(Identity("bob"), 5)] == [2]
    assert await store.journal(None, -1) == []


@pytest.mark.parametrize(
    "sql",
    [
        statements.SECTION,
        statements.SECTIONS_OF,
        statements.OPEN_SECTIONS,
        statements.JOURNAL_OF_IDENTITY,
        statements.JOURNAL_OF_RECORD,
        statements.FACTS_AFTER,
        statements.FACT_BOUNDS,
        statements.ACCESS,
        accounts.OPEN_TALKS,
        accounts.OPEN_SPANS,
        accounts.AWAY_FACTS,
        accounts.ENDED_CALLS,
        accounts.TALKS_OF_CALLS,
        accounts.SPANS_OF_CALLS,
        accounts.SECTIONS_OF_CALLS,
    ],
)
async def test_no_question_reads_a_whole_table(store: SqliteStore, sql: str) -> None:
    values: dict[str, object] | list[object] = {"record_id": "a"} if ":record_id" in sql else ["a"] * sql.count("?")
    plan = [
        row["detail"] for row in await store._reader.connection.execute_fetchall(f"EXPLAIN QUERY PLAN {sql}", values)
    ]
    allowed = ("sections USING INDEX sections_open", "talks USING INDEX talks_open", "CONSTANT ROW", "(subquery")
    whole = [step for step in plan if step.startswith("SCAN") and not any(word in step for word in allowed)]
    assert whole == []
    if sql is statements.OPEN_SECTIONS:
        assert any("INDEX sections_open" in step for step in plan)
    if sql is statements.JOURNAL_OF_IDENTITY:
        assert not any("TEMP B-TREE" in step for step in plan)


async def test_a_section_whose_drawing_was_lost_has_none(store: SqliteStore, path: Path) -> None:
    """As in a database that `sqlite3 .recover` saved."""
    one = kept.section(
        state=SectionState.STORED, report=AudioReport(1.0, 100, 8000, 1, (1.0,), (0.1,), b"ab", "0" * 64)
    )
    await store.commit([PutSection(one)])
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM section_peaks")
        other.commit()
    found = await store.section(one.key)
    assert found is not None
    assert found.report is not None
    assert found.report.peaks == b""


async def test_the_open_sections_are_those_in_no_final_state(store: SqliteStore) -> None:
    await store.commit([PutSection(kept.section(n + 1, state=state)) for n, state in enumerate(SectionState)])
    assert {one.state for one in await store.open_sections()} == {
        SectionState.REQUESTED,
        SectionState.RECORDING,
        SectionState.PAUSED,
        SectionState.STOPPING,
        SectionState.CLOSED,
    }
