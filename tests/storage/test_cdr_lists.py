"""Lists of finished calls, their facets and days: the store finds and counts what looking at each call does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.cdr_lists import LIST_ORDERS, CdrPart, CdrSearch, CdrWalk, Count
from bridge.core.cdrs import CdrFilter
from bridge.core.ids import Identity
from bridge.core.records import CallStatus
from bridge.core.store import AddCdr, Change, Store
from bridge.storage import cdr_ways, retention_sql
from bridge.storage.database import SqliteStore
from bridge.storage.values import text_in
from tests.fakes import MemoryStore
from tests.storage import kept
from tests.storage.databases import asked
from tests.storage.test_cdrs import filters, some_changes, wanted_users

_searches = st.builds(
    CdrSearch,
    filters.map(lambda wanted: replace(wanted, distinct_peer=False)),
    visible_to=st.none() | st.none() | st.just((Identity("alice"),)) | wanted_users,
)
_zones = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]).map(ZoneInfo)


async def _whole(store: Store, walk: CdrWalk) -> list[CdrPart]:
    """A list from its beginning to its end, part by part."""
    parts = [await store.cdr_part(walk)]
    while parts[-1].next is not None:
        parts.append(await store.cdr_part(replace(walk, place=parts[-1].next)))
    return [replace(part, items=list(part.items)) for part in parts]


async def _answers(store: Store, search: CdrSearch, zone: ZoneInfo) -> list[object]:
    walks = [CdrWalk(search, order, newest, 2) for order in LIST_ORDERS for newest in (True, False)]
    return [
        *[await _whole(store, walk) for walk in walks],
        await store.cdr_facets(search),
        await store.cdr_days(search, zone),
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(some_changes, min_size=1, max_size=3), st.lists(_searches, min_size=2, max_size=5), _zones)
def test_lists_facets_and_days_are_what_looking_at_each_call_gives(
    commits: list[list[Change]], searches: list[CdrSearch], zone: ZoneInfo
) -> None:
    async def compare() -> None:
        with TemporaryDirectory() as folder:
            store, fake = await SqliteStore.open(Path(folder) / "recbridge.db", "pbx1"), MemoryStore()
            try:
                for changes in commits:
                    await store.commit(changes)
                    await fake.commit(changes)
                for search in searches:
                    assert await _answers(store, search, zone) == await _answers(fake, search, zone)
            finally:
                await store.close()

    asyncio.run(compare())


_PUT_TAG = """
INSERT INTO cdr_tags (cdr, tag, source, systemname, started_at, by, at)
SELECT id, CAST(:tag AS TEXT), 'user', 'pbx1', started_at, 'alice', 1 FROM cdrs WHERE id = :cdr ON CONFLICT DO NOTHING
"""
_TAKE_TAG = "DELETE FROM cdr_tags WHERE cdr = :cdr AND tag = CAST(:tag AS TEXT) AND source = 'user'"
_FORGET = retention_sql.FORGET_CDR_PARTICIPANT
_DELETE = "DELETE FROM cdrs WHERE id = :cdr"
_UNLINK = "UPDATE sections SET cdr = NULL WHERE cdr = :cdr"
_rewrites = st.lists(
    st.builds(
        lambda sql, cdr, tag, user: (sql, {"cdr": cdr, "id": cdr, "tag": text_in(tag), "identity": text_in(user)}),
        st.sampled_from([_PUT_TAG, _PUT_TAG, _TAKE_TAG, _FORGET, _UNLINK, _DELETE]),
        st.integers(1, 5),
        st.sampled_from(["sales", "b", "new"]),
        st.sampled_from(["alice", "bob"]),
    ),
    max_size=6,
)

_KINDS = """
SELECT id, '', '' FROM cdrs UNION ALL SELECT id, 'queue', queue FROM cdrs WHERE queue <> ''
UNION ALL SELECT cdr, 'user', identity FROM cdr_participants UNION SELECT cdr, 'tag', tag FROM cdr_tags
"""
_COUNTED = f"""
SELECT kind, value, column1, started_at / 3600000000 / column1, direction, status, recorded, count(*)
FROM (SELECT 0 AS cdr, '' AS kind, '' AS value WHERE 0 UNION ALL {_KINDS}) JOIN cdrs ON cdrs.id = cdr,
    (VALUES (1), (24), (720)) GROUP BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608  # no values in it
_TALLIED = "SELECT kind, value, span, start, direction, status, recorded, calls FROM cdr_tallies"
_RULES_TAGS = "SELECT cdr, tag FROM cdr_tags WHERE source = 'rule'"
_TAGS_OF_SECTIONS = """
SELECT DISTINCT cdr, tag.value FROM sections, json_each(tags) AS tag
WHERE cdr IS NOT NULL AND state IN ('closed', 'stored')
"""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(some_changes, _rewrites), min_size=1, max_size=3))
def test_tallies_and_tags_stay_true_whatever_is_put_changed_erased_and_deleted(
    steps: list[tuple[list[Change], list[tuple[str, dict[str, object]]]]],
) -> None:
    async def happen(path: Path) -> None:
        store = await SqliteStore.open(path, "pbx1")
        try:
            for changes, rewrites in steps:
                await store.commit(changes)
                await store.commit([], rewrites=[(sql, [row]) for sql, row in rewrites])
        finally:
            await store.close()

    with TemporaryDirectory() as folder:
        path = Path(folder) / "recbridge.db"
        asyncio.run(happen(path))
        assert sorted(asked(path, _TALLIED)) == sorted(asked(path, _COUNTED))
        assert sorted(asked(path, _RULES_TAGS)) == sorted(asked(path, _TAGS_OF_SECTIONS))


async def _many(store: Store, count: int) -> None:
    """Calls of alice, one an hour, each second one of the queue."""
    calls = [
        replace(
            kept.cdr(f"1.{n}"), started_at=kept.NOON + timedelta(hours=n), ended_at=kept.NOON + timedelta(hours=n + 1),
            participants=(Identity("alice"),), queue="support" if n % 2 else "", source_name="Caller", talked_s=60.0,
            status=CallStatus.ANSWERED,
        )
        for n in range(count)
    ]  # fmt: skip
    await store.commit([AddCdr(call) for call in calls])


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    """One that looks at three calls at most, with ten calls."""
    monkeypatch.setattr(cdr_ways, "FEW", 3)
    store = await SqliteStore.open(tmp_path / "recbridge.db", "pbx1")
    try:
        await _many(store, 10)
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize(
    "wanted",
    [
        CdrFilter(search="caller"),
        CdrFilter(name="caller"),
        CdrFilter(min_talked_s=30.0),
        CdrFilter(user=Identity("alice"), search="caller"),
        CdrFilter(number="822", min_talked_s=30.0),
    ],
)
async def test_what_finds_very_many_is_gone_through_as_a_whole_and_counted_up_to_a_bound(
    store: SqliteStore, wanted: CdrFilter
) -> None:
    parts = await _whole(store, CdrWalk(CdrSearch(wanted), limit=4))
    assert [item.number for part in parts for item in part.items] == list(range(10, 0, -1))
    assert {part.filtered for part in parts} == {Count(3, exact=False)}
    facets = await store.cdr_facets(CdrSearch(wanted))
    assert facets.counts["user"] == {"alice": 3}
    assert facets.bounded == set(facets.counts)
    days = await store.cdr_days(CdrSearch(wanted), ZoneInfo("UTC"))
    assert (sum(day.calls for day in days.items), days.exact) == (3, False)


@pytest.mark.parametrize(
    ("wanted", "bounded"),
    [
        (CdrFilter(), set()),
        (CdrFilter(queue="support", since=kept.NOON + timedelta(minutes=30)), {"queue", "user", "tag"}),
        (CdrFilter(user=Identity("alice")), {"queue", "user", "tag"}),
    ],
)
async def test_what_is_tallied_is_exact_however_many_it_finds(
    store: SqliteStore, wanted: CdrFilter, bounded: set[str]
) -> None:
    found = 5 if wanted.queue else 10
    part = await store.cdr_part(CdrWalk(CdrSearch(wanted)))
    assert (len(part.items), part.filtered, part.total) == (found, Count(found), 10)
    facets = await store.cdr_facets(CdrSearch(wanted))
    assert facets.counts["status"] == {"answered": found}
    assert facets.bounded == bounded
    days = await store.cdr_days(CdrSearch(wanted), ZoneInfo("Asia/Kathmandu"))
    assert (sum(day.calls for day in days.items), days.exact) == (found, True)
