"""Which call a section belongs to, and what is kept of calls for those who search: counts, marks, indexes."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.cdrs import CdrFilter, CdrNumber, CdrQuery, KeptCdr, recording_name
from bridge.core.ids import CallId, Identity, RecordId, SectionKey
from bridge.core.records import CallStatus, Section, SectionState
from bridge.core.store import AddCdr, Change, PutSection
from bridge.storage.database import SqliteStore
from tests.storage import kept
from tests.storage.databases import apply, asked, schema_of
from tests.storage.test_cdrs import some_changes

A, B = RecordId("a_0"), RecordId("b_0")
ONE, TWO = CdrNumber(1), CdrNumber(2)
STORED = SectionState.STORED


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "recbridge.db", "pbx1")
    yield opened
    await opened.close()


def section(record_id: RecordId = A, file: int = 1, **values: object) -> Section:
    return kept.section(file, **{"record_id": record_id, "state": STORED, **values})


def call(*record_ids: RecordId) -> AddCdr:
    return AddCdr(kept.cdr(record_ids=record_ids))


async def keys(store: SqliteStore, number: CdrNumber) -> list[SectionKey]:
    found = await store.cdr(number)
    assert found is not None
    return [one.key for one in found.sections]


async def test_the_sections_of_joined_calls_belong_to_their_one_cdr_in_the_order_of_their_beginnings(
    store: SqliteStore,
) -> None:
    early, late = section(B, started_at=kept.NOON), section(A, started_at=kept.NOON + timedelta(seconds=1))
    await store.commit([PutSection(late), PutSection(early)])
    await store.commit([call(A, B)])
    assert await keys(store, ONE) == [early.key, late.key]


async def test_a_section_that_is_kept_after_its_call_belongs_to_it(store: SqliteStore) -> None:
    await store.commit([call(A)])
    assert (await store.cdrs(CdrQuery(CdrFilter(recorded=True)))).filtered == 0
    await store.commit([PutSection(section())])
    assert await keys(store, ONE) == [section().key]
    assert (await store.cdrs(CdrQuery(CdrFilter(recorded=True)))).filtered == 1


async def test_what_was_asked_for_after_a_call_belongs_to_the_next_of_that_name(store: SqliteStore) -> None:
    later = section(file=2, requested_at=kept.NOON + timedelta(hours=1))
    await store.commit([call(A), PutSection(section()), PutSection(later)])
    assert (await keys(store, ONE), await store.cdr(TWO)) == ([section().key], None)
    await store.commit([AddCdr(replace(kept.cdr(record_ids=(A,)), ended_at=kept.NOON + timedelta(hours=2)))])
    assert (await keys(store, ONE), await keys(store, TWO)) == ([section().key], [later.key])


@pytest.mark.parametrize("state", SectionState)
async def test_a_recording_is_what_holds_audio(store: SqliteStore, state: SectionState) -> None:
    recording = state in {SectionState.CLOSED, SectionState.STORED}
    await store.commit([PutSection(section(state=SectionState.RECORDING)), call(A), PutSection(section(state=state))])
    assert bool(await keys(store, ONE)) is recording
    assert (await store.cdrs(CdrQuery(CdrFilter(recorded=True)))).filtered == recording
    assert (await store.cdrs(CdrQuery(CdrFilter(recorded=False)))).filtered == (not recording)


async def test_a_deleted_recording_was_one(store: SqliteStore) -> None:
    await store.commit([PutSection(section()), call(A)])
    await store.commit([PutSection(section(deleted_at=kept.NOON))])
    assert await keys(store, ONE) == [section().key]
    assert (await store.cdrs(CdrQuery(CdrFilter(recorded=True)))).filtered == 1


async def test_a_recording_whose_file_turns_out_to_be_none_is_not_found_any_more(store: SqliteStore) -> None:
    await store.commit([PutSection(section(state=SectionState.CLOSED)), call(A)])
    name = recording_name(ONE, section())
    assert (await store.cdrs(CdrQuery(CdrFilter(search=name)))).filtered == 1
    await store.commit([PutSection(section(state=SectionState.FAILED))])
    assert (await store.cdrs(CdrQuery(CdrFilter(search=name)))).filtered == 0
    assert (await store.cdrs(CdrQuery(CdrFilter(recorded=True)))).filtered == 0


@pytest.mark.parametrize("part", [slice(None), slice(10), slice(11, 30), slice(-40, -4), slice(-12, None)])
async def test_any_part_of_a_file_name_finds_its_call(store: SqliteStore, part: slice) -> None:
    await store.commit([PutSection(section()), call(A), call(B)])
    name = recording_name(ONE, section())[part]
    for text in (name, name.upper()):
        assert [one.number for one in (await store.cdrs(CdrQuery(CdrFilter(search=text)))).items] == [ONE]


async def test_digits_that_every_file_name_has_find_calls_alone(store: SqliteStore) -> None:
    await store.commit([PutSection(section()), AddCdr(replace(kept.cdr(record_ids=(A,)), call_id=CallId("1.1")))])
    assert (await store.cdrs(CdrQuery(CdrFilter(search="202")))).filtered == 0


async def test_an_upgrade_links_marks_counts_and_indexes_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "recbridge.db"
    await apply(path, schema_of(3, tmp_path / "v3"))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(
            """
INSERT INTO cdrs VALUES
    (1, 'pbx1', '1.1', 1, 2, 3000000, 'inbound', CAST(X'4dfc' AS TEXT), '+49731', NULL, 'Alice', '822', 'alice',
     '822', 'from-trunk', '', 0.5, NULL),
    (4, 'pbx1', '1.2', 1, NULL, 2000000, 'inbound', 'BOB', '', NULL, '', '', NULL, '', '', '', 0.0, 16);
INSERT INTO cdr_records VALUES (1, 0, 'pbx1', 'a_0'), (4, 0, 'pbx1', 'b_0');
INSERT INTO cdr_participants VALUES (1, 0, 'pbx1', 'alice');
INSERT INTO sections (systemname, record_id, rule_id, file, call_id, state, type, leg, leg_channel, headchannel,
    tailchannel, path, requested_at, tags, stereo, leg_is_left, rate_hz) VALUES
    ('pbx1', 'a_0', 1, 1, '1.1', 'stored', 'auto', '', '', '', '', '', 2, '[]', 0, 0, 8000),
    ('pbx1', 'a_0', 1, 2, '1.1', 'recording', 'auto', '', '', '', '', '', 9000000, '[]', 0, 0, 8000),
    ('pbx1', 'b_0', 1, 1, '1.2', 'failed', 'auto', '', '', '', '', '', 2, '[]', 0, 0, 8000);
"""
        )
    store = await SqliteStore.open(path, "pbx1")
    try:
        page = await store.cdrs(CdrQuery(CdrFilter()))
        assert [(one.number, one.cdr.status, len(one.sections)) for one in page.items] == [
            (4, CallStatus.UNKNOWN, 0),
            (1, CallStatus.ANSWERED, 1),
        ]
        first = page.items[1]
        name = recording_name(first.number, first.sections[0])
        found = {
            text: (await store.cdrs(CdrQuery(CdrFilter(search=text)))).items
            for text in ("bob", "m\udcfc", "alice", name)
        }
        assert {text: [one.number for one in items] for text, items in found.items()} == {
            "bob": [4],
            "m\udcfc": [1],
            "alice": [1],
            name: [1],
        }
        pages = [await store.cdrs(CdrQuery(CdrFilter(recorded=recorded))) for recorded in (True, False)]
        assert [page.filtered for page in pages] == [1, 1]
        await store.commit([AddCdr(kept.cdr())])
        assert isinstance(await store.cdr(CdrNumber(5)), KeptCdr)
        assert list(await store.identities()) == [Identity("alice")]
    finally:
        await store.close()
    assert asked(path, "SELECT file, cdr FROM sections WHERE record_id = 'a_0' ORDER BY file") == [(1, 1), (2, None)]
    _all_agrees(path)


async def test_the_pieces_of_the_indexes_stay_few_without_a_commit_that_merges_them(
    store: SqliteStore, tmp_path: Path
) -> None:
    path = tmp_path / "recbridge.db"
    indexes = ("cdr_search", "recording_search")
    for index in indexes:
        assert asked(path, f"SELECT v FROM {index}_config WHERE k = 'automerge'") == [(0,)]  # noqa: S608
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('crisismerge', 1000)")  # noqa: S608
    for n in range(1, 101):
        record_id = RecordId(f"{n}_0")
        await store.commit([PutSection(section(record_id)), call(record_id)])
    await store.commit([PutSection(section(B))])
    for index in indexes:
        ((pieces,),) = asked(path, f"SELECT count(DISTINCT segid) FROM {index}_idx")  # noqa: S608
        assert int(str(pieces)) < 50
    assert (await store.cdrs(CdrQuery(CdrFilter(search=recording_name(ONE, section(RecordId("1_0"))))))).filtered == 1
    _all_agrees(path)


async def test_between_the_steps_of_a_merge_others_find_the_database_free(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "recbridge.db"
    free = []

    async def pause(delay_s: float) -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            free.append(delay_s)

    monkeypatch.setattr("bridge.storage.cdrs._MERGE_PAGES", 1)
    for n in range(9):
        await store.commit([AddCdr(replace(kept.cdr(), source_name=f"{n}" * 999))])
    monkeypatch.setattr("bridge.storage.database.asyncio.sleep", pause)
    await store.merge_search()
    monkeypatch.undo()
    assert len(free) > 1
    assert min(free) >= 0.05
    assert asked(path, "SELECT count(DISTINCT segid) FROM cdr_search_idx") == [(1,)]


def _all_agrees(path: Path) -> None:
    """What triggers keep is what the rows say."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO cdr_search (cdr_search, rank) VALUES ('integrity-check', 1)")
        database.execute("INSERT INTO recording_search (recording_search, rank) VALUES ('integrity-check', 1)")
    assert asked(path, "SELECT * FROM cdr_counts WHERE count <> 0 ORDER BY 1, 2, 3, 4") == asked(
        path,
        "SELECT systemname, status, recorded, direction, count(*) FROM cdrs GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    )
    assert asked(path, "SELECT id FROM cdrs WHERE recorded ORDER BY id") == asked(
        path, "SELECT DISTINCT cdr FROM sections WHERE cdr NOT NULL AND state IN ('closed', 'stored') ORDER BY cdr"
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(some_changes, max_size=4), st.sets(st.integers(1, 8), max_size=3))
def test_what_is_kept_for_searches_agrees_with_the_rows_whatever_is_kept_and_deleted(
    batches: list[list[Change]], deleted: set[int]
) -> None:
    async def play(path: Path) -> None:
        store = await SqliteStore.open(path, "pbx1")
        try:
            for changes in batches:
                await store.commit(changes)
            rows = [{"id": number} for number in sorted(deleted)]
            await store.commit([], rewrites=[("DELETE FROM cdrs WHERE id = :id", rows)])
            await store.merge_search()
        finally:
            await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "recbridge.db"))
        _all_agrees(Path(folder) / "recbridge.db")
