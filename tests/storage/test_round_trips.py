"""What goes in comes out, whatever it is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.access import Token
from bridge.core.ids import FactNumber, Identity
from bridge.core.kept import KeptCall
from bridge.core.people import UserFlags
from bridge.core.records import Demand, Fact, JournalEntry, Pause, Section, SectionState, entry_of, journal_fact
from bridge.core.store import (
    AddCdr,
    AddJournalEntry,
    AppendFact,
    EndCall,
    PutCall,
    PutDemand,
    PutPause,
    PutSection,
    PutUserFlags,
)
from bridge.storage.database import SqliteStore
from tests.storage import kept
from tests.storage.test_intents import values

_few = settings(max_examples=40, deadline=None)


def in_a_new_store(use: Callable[[SqliteStore], Awaitable[None]]) -> None:
    async def run(folder: str) -> None:
        store = await SqliteStore.open(Path(folder) / "x.db", "pbx1")
        try:
            await use(store)
        finally:
            await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(folder))


@_few
@given(st.lists(kept.sections, max_size=6))
def test_the_last_put_of_a_section_is_what_is_kept(puts: list[Section]) -> None:
    async def use(store: SqliteStore) -> None:
        await store.commit([PutSection(one) for one in puts[:3]])
        for one in puts[3:]:
            await store.commit([PutSection(one)])
        expected = {one.key: one for one in puts}
        for key, one in expected.items():
            assert await store.section(key) == one
        for record_id in {one.record_id for one in puts}:
            of_record = sorted(key for key in expected if key.record_id == record_id)
            assert await store.sections_of(record_id) == [expected[key] for key in of_record]
        final = {SectionState.STORED, SectionState.FAILED, SectionState.LOST}
        still_open = {one.key: one for one in await store.open_sections()}
        assert still_open == {key: one for key, one in expected.items() if one.state not in final}

    in_a_new_store(use)


@_few
@given(st.lists(kept.facts, max_size=6))
def test_facts_come_back_as_they_were_in_their_order(facts: list[Fact]) -> None:
    async def use(store: SqliteStore) -> None:
        given_back = await store.commit([AppendFact(one) for one in facts])
        assert [one.number for one in given_back] == list(range(1, len(facts) + 1))
        assert [one.fact for one in given_back] == facts
        assert await store.facts_after(FactNumber(0), 100) == given_back
        assert await store.facts_after(FactNumber(2), 2) == given_back[2:4]

    in_a_new_store(use)


@_few
@given(st.lists(kept.entries, max_size=5))
def test_a_journal_entry_is_kept_with_the_fact_that_announces_it(entries: list[JournalEntry]) -> None:
    async def use(store: SqliteStore) -> None:
        given_back = await store.commit([AddJournalEntry(one) for one in entries])
        assert [one.fact for one in given_back] == [journal_fact(one) for one in entries]
        listed = list(reversed(await store.journal(None, 100)))
        assert [one.entry for one in listed] == entries
        assert [one.number for one in listed] == [one.number for one in given_back]
        announced = await store.facts_after(FactNumber(0), 100)
        assert [entry_of(one.fact) for one in announced] == entries
        for one in entries:
            mine = [other for other in reversed(entries) if other.identity == one.identity]
            assert [found.entry for found in await store.journal(one.identity, 100)] == mine

    in_a_new_store(use)


@_few
@given(st.lists(kept.demands), st.lists(kept.pauses), st.dictionaries(kept.texts.map(Identity), kept.flags))
def test_what_users_wish_is_there_after_a_new_start(
    demands: list[Demand], pauses: list[Pause], flags: dict[Identity, UserFlags]
) -> None:
    async def run(path: Path) -> None:
        store = await SqliteStore.open(path, "pbx1")
        try:
            await store.commit(
                [*map(PutDemand, demands), *map(PutPause, pauses), *starmap(PutUserFlags, flags.items())]
            )
        finally:
            await store.close()
        again = await SqliteStore.open(path, "pbx1")
        try:
            last = {(one.record_id, one.rule_id): one for one in demands}
            assert {(one.record_id, one.rule_id): one for one in await again.demands()} == last
            lasting = {(one.record_id, one.by): one for one in pauses}
            assert {(one.record_id, one.by): one for one in await again.pauses()} == lasting
            assert await again.user_flags() == flags
        finally:
            await again.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder) / "x.db"))


@_few
@given(kept.tokens)
def test_a_token_comes_back_as_it_was(token: Token) -> None:
    async def use(store: SqliteStore) -> None:
        await store.add_token(token)
        assert await store.token(token.id) == token
        assert await store.token(token.id + "x") is None

    in_a_new_store(use)


def test_a_cdr_is_kept_with_its_records_and_participants_in_order() -> None:
    async def use(store: SqliteStore) -> None:
        one = replace(kept.cdr(record_ids=("b_0", "a_0")), source_name="M\udcfcller")
        await store.commit([AddCdr(one), AddCdr(kept.cdr("2.2", ()))])
        rows = await store._read("SELECT * FROM cdrs ORDER BY id")
        assert [(row["call_id"], row["source_name"], row["talked_s"], row["systemname"]) for row in rows] == [
            (kept.CALL, "M\udcfcller", 9.25, "pbx1"),
            ("2.2", "Bob", 9.25, "pbx1"),
        ]
        records = await store._read("SELECT cdr, record_id FROM cdr_records ORDER BY cdr, position")
        assert [tuple(row) for row in records] == [(1, "b_0"), (1, "a_0")]
        participants = await store._read("SELECT cdr, identity FROM cdr_participants ORDER BY cdr, position")
        assert [tuple(row) for row in participants] == [(1, "alice"), (2, "alice")]

    in_a_new_store(use)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(values(KeptCall), max_size=2))
def test_a_running_call_is_kept_as_it_is_last_until_it_is_over(calls: list[KeptCall]) -> None:
    async def use(store: SqliteStore) -> None:
        for one in calls:
            await store.commit([PutCall(one)])
        expected = {one.call_id: one for one in calls}
        assert {one.call_id: one for one in await store.running_calls()} == expected
        await store.commit([EndCall(call_id) for call_id in expected])
        assert await store.running_calls() == []

    in_a_new_store(use)
