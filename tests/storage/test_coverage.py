"""The sums that are kept are those that would be computed, whatever has changed since, and few look at few."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.accounts import Reason, Span, TalkAccount
from bridge.core.cdrs import CdrNumber
from bridge.core.coverage import Sums, Tally
from bridge.core.covered import covered, settle, these_covered
from bridge.core.ids import CallId, FactNumber, Identity, RuleId, TalkId
from bridge.core.records import Fact, FactKind
from bridge.core.store import AddCdr, AppendFact, Change, PutSpan, PutTalk, Store
from bridge.storage.coverage import KeptCoverage
from bridge.storage.database import SqliteStore
from bridge.storage.migrations import SCHEMA
from tests.storage import kept
from tests.storage.databases import asked
from tests.storage.test_accounts import call_changes

BEGIN, END = kept.NOON - timedelta(days=1), kept.NOON + timedelta(days=1)
EDGES = [BEGIN, kept.NOON + timedelta(minutes=2), END]
ALICE, BOB = Identity("alice"), Identity("bob")


def told(tally: Tally) -> Any:
    def rounded(sums: Sums) -> Any:
        reasons = {reason: round(seconds, 3) for reason, seconds in sums.reasons.items() if round(seconds, 3)}
        return sums.calls, round(sums.talked_s, 3), round(sums.recorded_s, 3), reasons

    return rounded(tally.all), {rule_id: rounded(sums) for rule_id, sums in tally.by_rule.items()}, tally.faulty


async def computed(store: Store, visible_to: Sequence[Identity] | None = None) -> list[Tally]:
    tallies = [Tally(), Tally()]
    async for _, call in covered(store, BEGIN, END):
        if visible_to is None or set(visible_to).intersection(call.cdr.participants):
            tallies[call.cdr.ended_at >= EDGES[1]].add(call)
    return tallies


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(call_changes, max_size=5), min_size=1, max_size=5))
def test_whatever_changes_the_kept_sums_are_those_of_now(batches: list[list[Change]]) -> None:
    async def compare() -> None:
        with TemporaryDirectory() as folder:
            store = await SqliteStore.open(Path(folder) / "x.db", "pbx1")
            coverages = KeptCoverage(store)
            try:
                for batch in batches:
                    await store.commit(batch)
                    await settle(store, coverages, BEGIN, END)
                    for visible_to in (None, [ALICE], [Identity("nobody")]):
                        sums = await coverages.sums(EDGES, visible_to)
                        assert list(map(told, sums)) == list(map(told, await computed(store, visible_to)))
            finally:
                await store.close()

    asyncio.run(compare())


def a_call(number: int, reason: Reason | None = None, *participants: Identity) -> list[Change]:
    """One of ten seconds, that ended that many minutes after NOON."""
    ended_at = kept.NOON + timedelta(minutes=number)
    talk = TalkAccount(TalkId(f"{number}-1"), CallId(f"1.{number}"), ended_at - timedelta(seconds=10), ended_at)
    cdr = replace(kept.cdr(talk.call_id, ()), ended_at=ended_at, participants=participants or (ALICE,))
    return [PutTalk(talk), PutSpan(Span(talk.talk_id, 1, RuleId(1), reason, talk.began_at)), AddCdr(cdr)]


async def test_what_is_kept_is_not_added_up_again(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        coverages = KeptCoverage(store)
        assert await coverages.first_end() is None
        for number in range(50):
            await store.commit(a_call(number))
        assert await coverages.first_end() == kept.NOON
        assert await settle(store, coverages, BEGIN, END, most=30) >= 30
        assert 0 < await settle(store, coverages, BEGIN, END) <= 20
        assert await settle(store, coverages, BEGIN, END) == 0
        talk = TalkAccount(TalkId("7-1"), CallId("1.7"), kept.NOON, kept.NOON + timedelta(minutes=7))
        await store.commit([PutTalk(talk)])
        assert await settle(store, coverages, BEGIN, END) == 1
    finally:
        await store.close()


async def test_what_changed_after_it_was_read_is_not_kept(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        coverages = KeptCoverage(store)
        await store.commit([*a_call(1), *a_call(2)])
        calls = [one async for one in covered(store, BEGIN, END)]
        await store.commit([AppendFact(Fact(FactKind.SECTION_STORED, kept.NOON, CallId("1.2")))])
        await coverages.keep(calls, FactNumber(0))
        assert [one.cdr.call_id for one in await coverages.missing(BEGIN, END, 10)] == ["1.2"]
    finally:
        await store.close()


async def test_pages_come_from_the_last_one_back_and_each_sees_its_own(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        coverages = KeptCoverage(store)
        for number in range(1, 7):
            await store.commit(
                a_call(number, Reason.FAILED if number % 2 else Reason.PAUSED, ALICE if number < 5 else BOB)
            )
        await settle(store, coverages, BEGIN, END)

        async def page(visible_to: Sequence[Identity] | None = None, **values: Any) -> list[int]:
            wanted = {"faulty": False, "limit": 10, "offset": 0, **values}
            return list(await coverages.numbers(BEGIN, END, visible_to, **wanted))

        assert await page() == [6, 5, 4, 3, 2, 1]
        assert await page(limit=2, offset=1) == [5, 4]
        assert await page([BOB]) == [6, 5]
        assert await page([BOB, ALICE], limit=3) == [6, 5, 4]
        assert await page([]) == []
        assert await page(faulty=True) == [5, 3, 1]
        assert await page([ALICE], faulty=True, limit=1) == [3]
        some = await these_covered(store, coverages, [CdrNumber(one) for one in (5, 99, 1)])
        assert [(number, call.cdr.call_id) for number, call in some] == [(5, "1.5"), (1, "1.1")]
    finally:
        await store.close()


async def test_a_deleted_call_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store = await SqliteStore.open(path, "pbx1")
    try:
        coverages = KeptCoverage(store)
        await store.commit([*a_call(1), *a_call(2)])
        await settle(store, coverages, BEGIN, END)
        await store.commit([], rewrites=[("DELETE FROM cdrs WHERE id = :id", [{"id": 1}])])
    finally:
        await store.close()
    assert asked(path, "SELECT DISTINCT cdr FROM call_coverage") == [(2,)]


def test_each_reason_has_its_column() -> None:
    schema = (SCHEMA / "0005_console.sql").read_text()
    table = schema[schema.index("CREATE TABLE call_coverage") :].split(") STRICT")[0]
    columns = [line.split()[0] for line in table.splitlines()[1:] if line.strip()]
    assert columns[6:-1] == [reason.value.replace("-", "_") for reason in Reason]
