"""The store in memory, that many tests stand on, says what the real one says."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.access import Role, Scope, Token
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber, Identity, RecordId, RuleId, SectionKey
from bridge.core.people import UserFlags
from bridge.core.retention import Hold, Target
from bridge.core.store import (
    AddCdr,
    AddJournalEntry,
    AppendFact,
    Change,
    EndDemand,
    EndPause,
    Mark,
    PutDemand,
    PutHold,
    PutPause,
    PutSection,
    PutUserFlags,
    Store,
)
from bridge.storage.database import SqliteStore
from tests.fakes import MemoryStore
from tests.storage import kept

_CALLS, _RECORDS = ["1.1", "1.2"], ["a_b", "a_0"]
_calls, _records = st.sampled_from(_CALLS), st.sampled_from(_RECORDS)
_entries = st.builds(kept.entry, st.sampled_from(["alice", "bob"]), _calls, st.none() | _records)
_cdrs = st.builds(kept.cdr, _calls, st.lists(_records, unique=True, max_size=2).map(tuple))
_changes = (
    st.builds(AppendFact, kept.facts)
    | st.builds(PutSection, kept.sections)
    | st.builds(AddJournalEntry, _entries)
    | st.builds(AddCdr, _cdrs)
)
_wishes = (
    st.builds(PutDemand, kept.demands)
    | st.builds(EndDemand, kept.record_ids, kept.rule_ids)
    | st.builds(PutPause, kept.pauses)
    | st.builds(EndPause, kept.record_ids, kept.users)
    | st.builds(PutUserFlags, kept.users, kept.flags)
)


async def _all_it_says(store: Store, batches: list[list[Change]]) -> list[Any]:
    said: list[Any] = []
    for batch in batches:
        said.append(list(await store.commit(batch)))
        said += [list(await store.demands()), list(await store.pauses()), dict(await store.user_flags())]
    said.append(await store.fact_bounds())
    for number in range(4):
        said += [list(await store.facts_after(FactNumber(number), limit)) for limit in (0, 2, 100)]
    for identity in (None, Identity("alice"), Identity("nobody")):
        said += [list(await store.journal(identity, limit)) for limit in (0, 1, 100)]
    for record_id in map(RecordId, [*_RECORDS, "nothing"]):
        said.append(list(await store.journal_of_record(record_id)))
        sections = await store.sections_of(record_id)
        said += [list(sections), await store.section(SectionKey(record_id, kept.section().rule_id, 1))]
    said.append({one.key: one for one in await store.open_sections()})
    said += [dict(await store.file_numbers(kept.NOON + timedelta(days=days))) for days in (-700_000, 0, 100_000)]
    return said


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(_changes, max_size=5) | st.lists(_changes | _wishes, max_size=12), max_size=4))
def test_after_the_same_commits_both_stores_say_the_same(batches: list[list[Change]]) -> None:
    async def compare() -> None:
        with TemporaryDirectory() as folder:
            real = await SqliteStore.open(Path(folder) / "x.db", "pbx1")
            try:
                assert await _all_it_says(MemoryStore(), batches) == await _all_it_says(real, batches)
            finally:
                await real.close()

    asyncio.run(compare())


async def test_both_stores_do_what_is_wished_in_its_order(tmp_path: Path) -> None:
    one, other = kept.demand(1), kept.demand(2, since=kept.NOON - timedelta(seconds=1))
    mine, his = kept.pause("alice", resumed=(RuleId(3), RuleId(1))), kept.pause("m\udcfc", admin=True)
    on = UserFlags(online_call_record_enabled=True)
    real = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        stores: list[Store] = [real, MemoryStore()]
        for store in stores:
            assert (list(await store.demands()), list(await store.pauses()), dict(await store.user_flags())) == (
                [],
                [],
                {},
            )
            await store.commit([PutDemand(one), PutPause(his), PutPause(mine), PutUserFlags(mine.by, UserFlags())])
            # Ended and begun anew, begun and ended, ended without having been, in one commit.
            await store.commit(
                [
                    EndDemand(one.record_id, one.rule_id),
                    PutDemand(other),
                    PutDemand(one),
                    EndPause(his.record_id, his.by),
                    PutPause(kept.pause("bob")),
                    EndPause(kept.RECORD, Identity("bob")),
                    EndDemand(kept.RECORD, RuleId(9)),
                    PutUserFlags(mine.by, on),
                    PutUserFlags(his.by, on),
                ]
            )
            assert list(await store.demands()) == [other, one]
            assert list(await store.pauses()) == [mine]
            assert await store.user_flags() == {mine.by: on, his.by: on}
    finally:
        await real.close()


async def test_both_stores_take_a_token_once(tmp_path: Path) -> None:
    token = Token("ab12", "cd" * 32, Identity("alice"), Role.USER, frozenset({Scope.PLAY}), kept.NOON, None)
    real = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        stores: list[Store] = [real, MemoryStore()]
        for store in stores:
            await store.add_token(token)
            assert await store.token(token.id) == token
            assert await store.token("another") is None
            with pytest.raises(StoreError):
                await store.add_token(replace(token, identity=Identity("eve")))
            assert await store.token(token.id) == token
    finally:
        await real.close()


async def test_in_both_stores_a_token_ends_with_the_one_it_was_made_with(tmp_path: Path) -> None:
    first = Token("a1", "cd" * 32, Identity("alice"), Role.USER, frozenset({Scope.PLAY}), kept.NOON, None)
    second, other = replace(first, id="b2", made_with="a1"), replace(first, id="c3")
    third = replace(first, id="d4", made_with="b2")
    real = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        stores: list[Store] = [real, MemoryStore()]
        for store in stores:
            for token in (first, second, other, third):
                await store.add_token(token)
            assert await store.token("d4") == third
            assert await store.end_token("b2")
            assert [await store.token(one) for one in ("a1", "b2", "c3", "d4")] == [first, None, other, None]
            assert await store.end_token("a1")
            assert not await store.end_token("a1")
            assert await store.token("c3") == other
    finally:
        await real.close()


async def _told_of_marked(store: Store, batches: list[tuple[list[Change], int, int]]) -> list[Any]:
    """Each batch is given so many times, with a mark so much higher, and a fact of somebody else after it."""
    said: list[Any] = []
    mark = Mark(3, 0)
    for changes, times, step in batches:
        mark = Mark(mark.run, mark.number + step)
        said += [list(await store.commit(changes, mark)) for _ in range(times)]
        said.append(list(await store.commit([AppendFact(kept.fact())])))
        said += [list(await store.commit(changes, mark)), await store.taken()]
        said += [list(await store.commit(changes, Mark(mark.run - 1, 10**6))), await store.taken()]
    said += [await store.taken(), list(await store.facts_after(FactNumber(0), 1000))]
    return said


_marked = st.tuples(st.lists(_changes, min_size=1, max_size=4), st.integers(1, 3), st.integers(1, 4))


@settings(max_examples=40, deadline=None)
@given(st.lists(_marked, max_size=4))
def test_both_stores_take_what_has_a_mark_once_and_tell_the_last_of_it_again(
    batches: list[tuple[list[Change], int, int]],
) -> None:
    async def compare() -> None:
        with TemporaryDirectory() as folder:
            real = await SqliteStore.open(Path(folder) / "x.db", "pbx1")
            try:
                told = await _told_of_marked(real, batches)
            finally:
                await real.close()
            assert told == await _told_of_marked(MemoryStore(), batches)
            facts = told[-1]
            of_each = [sum(isinstance(one, AppendFact | AddJournalEntry) for one in changes) for changes, *_ in batches]
            assert len(facts) == sum(of_each) + len(batches)

    asyncio.run(compare())


async def test_both_stores_keep_holds_that_were_released(tmp_path: Path) -> None:
    later, hold = (
        Hold(name, Target(number="+49*", identity=Identity("m\udcfc"), since=at, until=at), "eve", "a case", at)
        for name, at in (("b", kept.NOON + timedelta(days=1)), ("a", kept.NOON))
    )
    released = replace(hold, released_at=kept.NOON, released_by="adam", released_why="over")
    real = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        stores: list[Store] = [real, MemoryStore()]
        for store in stores:
            await store.commit([PutHold(later), PutHold(hold)])
            assert list(await store.holds()) == [hold, later]
            await store.commit([PutHold(released)])
            assert list(await store.holds()) == [released, later]
    finally:
        await real.close()
