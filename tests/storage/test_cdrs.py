"""Finished calls as they are searched: the store finds what looking at each of them finds."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.cdrs import CdrFilter, CdrNumber, CdrOrder, CdrPage, CdrQuery
from bridge.core.ids import CallId, Identity, RecordId, RuleId
from bridge.core.records import CallStatus, SectionState
from bridge.core.store import AddCdr, Change, PutSection, Store
from bridge.storage.database import SqliteStore
from tests.fakes import MemoryStore
from tests.storage import kept

# Few values that meet, with what hostile people and other alphabets bring.
_texts = st.sampled_from(
    [
        "",
        "bob",
        "Bob",
        "STRASSE",
        "stra\xdfe",
        "\u0130",
        "%",
        "_",
        "a_b",
        "100%",
        "'; --",
        "\udcff",
        "\xe9",
        "a\nb",
    ]
)
_parts = _texts | st.sampled_from(
    ["o", "B", "ss", "utc", "2026-08", "T12_00", "-1-", ".wav", "e", "\udca9", "\ud800", "\x00"]
)
_phones = st.sampled_from(["822", "8221", "+4973112345", "", "_822", "0\xe9", "0\udcc3"])
_wanted_phones = _phones | st.sampled_from(
    ["_", "__", "_22", "82_", "_7311_", "%", "_\xa9", "_\udca9", "8_2", "\ud800"]
)
_users = st.sampled_from(["alice", "bob", "m\xfc", "m\udcfc", "", "\x00"]).map(Identity)
wanted_users = st.lists(_users | st.sampled_from(["nobody", "\ud800"]).map(Identity), max_size=2).map(tuple)
_records = st.sampled_from(["a_b", "a_0", "c_\udcff"]).map(RecordId)
_tags = st.sampled_from(["sales", 'a"b', "b", "\udcff", "\xff", "", "%"])
_times = st.integers(0, 3).map(lambda hours: kept.NOON + timedelta(hours=hours)) | st.datetimes(
    kept.NOON.replace(tzinfo=None) - timedelta(days=20_000), timezones=st.just(UTC)
)
_lengths = st.sampled_from([0.0, 0.5, 12.25, 3600.0])
_calls = st.builds(
    lambda call, values: replace(call, **values),
    st.just(kept.cdr()),
    st.fixed_dictionaries(
        {
            "call_id": st.sampled_from(["1.1", "1.2"]).map(CallId),
            "started_at": _times,
            "answered_at": st.none() | _times,
            "ended_at": _times,
            "direction": st.sampled_from(["inbound", "outbound", "internal"]),
            "source_name": _texts,
            "source_number": _phones,
            "source_identity": st.none() | _users,
            "destination_name": _texts,
            "destination_number": _phones,
            "destination_identity": st.none() | _users,
            "dialed": _phones,
            "context": _texts,
            "record_ids": st.lists(_records, unique=True, min_size=1, max_size=2).map(tuple),
            "participants": st.lists(_users, unique=True, min_size=1, max_size=3).map(tuple),
            "status": st.sampled_from(CallStatus),
            "destination_context": _texts,
            "queue": _texts,
            "talked_s": _lengths,
        }
    ),
)
_sections = st.builds(
    lambda section, values: replace(section, **values),
    st.just(kept.section()),
    st.fixed_dictionaries(
        {
            "record_id": _records,
            "rule_id": st.integers(0, 1).map(RuleId),
            "file": st.integers(1, 2),
            "state": st.sampled_from([SectionState.STORED, SectionState.CLOSED]) | st.sampled_from(SectionState),
            "requested_at": st.just(kept.NOON) | _times,
            "started_at": st.none() | _times,
            "tags": st.lists(_tags, min_size=1, max_size=3).map(tuple),
            "owner": st.none() | _users,
            "participants": st.lists(_users, unique=True, max_size=2).map(tuple),
            "deleted_at": st.none() | _times,
        }
    ),
)
some_changes = st.lists(st.builds(AddCdr, _calls) | st.builds(PutSection, _sections), min_size=3, max_size=9)
_numbers = st.sampled_from([-1, 0, 1, 2, 3, 2**63, 2**70]).map(CdrNumber)
_list_conditions = {
    "queue": _texts,
    "user": _users | st.just(Identity("\ud800")),
    "name": _parts,
    "min_talked_s": _lengths,
    "max_talked_s": _lengths,
    "call_tags": st.lists(_tags, min_size=1, max_size=2).map(tuple),
}
# Few conditions at once: of many together nothing is left.
_conditions = {
    "since": _times,
    "until": _times,
    "search": _parts,
    "direction": st.just("inbound"),
    "number": _wanted_phones,
    "tags": st.lists(_tags, min_size=1, max_size=2).map(tuple),
    "identities": wanted_users,
    "numbers": st.lists(_numbers, max_size=3).map(tuple),
    "after": _numbers,
    "recorded": st.booleans(),
    "call_id": st.sampled_from(["1.1", "\ud800"]).map(CallId),
    "status": st.sampled_from(CallStatus),
    "dialed": _phones,
    "context": _texts,
    "distinct_peer": st.just(value=True),
    "inside": st.lists(_phones | _wanted_phones, max_size=2).map(tuple),
    **_list_conditions,
}
filters = st.sets(st.sampled_from(sorted(_conditions)), max_size=2).flatmap(
    lambda names: st.builds(
        CdrFilter, heard_by=st.none() | wanted_users, **{name: _conditions[name] for name in sorted(names)}
    )
)
_queries = st.builds(
    CdrQuery,
    filters,
    visible_to=st.none() | st.just(("alice", "bob")) | wanted_users,
    order=st.sampled_from(CdrOrder),
    newest_first=st.booleans(),
    limit=st.sampled_from([None, 0, 2, 3, 2**70]),
    offset=st.sampled_from([0, 0, 1, 2**70]),
)


async def _answers(store: Store, commits: Sequence[Sequence[Change]], asked: Sequence[CdrQuery]) -> list[object]:
    for changes in commits:
        await store.commit(changes)
    pages = [await store.cdrs(query) for query in asked]
    lists = [await store.cdr_numbers(query) for query in asked]
    return [
        *(replace(one, numbers=list(one.numbers)) for one in lists),
        *(CdrPage(list(page.items), page.total, page.filtered) for page in pages),
        [await store.cdr(CdrNumber(number)) for number in (0, 1, 2, 2**70)],
        list(await store.identities()),
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(some_changes, min_size=1, max_size=3),
    st.lists(_queries, min_size=4, max_size=12),
)
def test_what_is_found_is_what_looking_at_each_call_finds(commits: list[list[Change]], asked: list[CdrQuery]) -> None:
    async def compare() -> None:
        with TemporaryDirectory() as folder:
            store = await SqliteStore.open(Path(folder) / "recbridge.db", "pbx1")
            try:
                found = await _answers(store, commits, asked)
            finally:
                await store.close()
        assert found == await _answers(MemoryStore(), commits, asked)

    asyncio.run(compare())


async def test_a_long_search_holds_up_no_other_read(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "recbridge.db", "pbx1")
    over = threading.Event()
    search = asyncio.create_task(store._searcher.ask(lambda _: over.wait(60)))
    try:
        async with asyncio.timeout(30):
            assert await store.token("nobody's") is None
        assert not search.done()
    finally:
        over.set()
        await search
        await store.close()
