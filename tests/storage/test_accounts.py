"""Talks and spans are kept as they are, and calls are accounted for alike by SQLite and by the store in memory."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.accounts import Account, Reason, Span, TalkAccount, account_of
from bridge.core.coverage import cover
from bridge.core.ids import CallId, RuleId, TalkId
from bridge.core.records import Fact, FactKind, SectionState
from bridge.core.sections import ASTERISK_RESTARTED
from bridge.core.store import AddCdr, AppendFact, Change, JoinTalks, PutSection, PutSpan, PutTalk, Store
from bridge.storage import accounts
from bridge.storage.database import SqliteStore
from tests.fakes import MemoryStore
from tests.storage import kept

EVER = datetime.max.replace(tzinfo=kept.NOON.tzinfo)
_moments = st.integers(0, 5).map(lambda minutes: kept.NOON + timedelta(minutes=minutes))
_maybe = st.none() | _moments
_call_ids = st.sampled_from(["1.1", "1.2", "\udcff"]).map(CallId)
_talk_ids = st.sampled_from(["1-1", "2-1", "3-2"]).map(TalkId)
_talks = st.builds(TalkAccount, _talk_ids, _call_ids, _moments, _maybe)
_rule_ids = st.none() | kept.rule_ids
_spans = st.builds(Span, _talk_ids, st.integers(1, 3), _rule_ids, st.none() | st.sampled_from(Reason), _moments, _maybe)
_sections = st.builds(
    lambda section, talk_id, at, reason: replace(section, talk_id=talk_id, requested_at=at, reason=reason),
    kept.sections, _talk_ids | st.just(TalkId("")), _moments, st.sampled_from([None, "", ASTERISK_RESTARTED]),
)  # fmt: skip
_cdrs = st.builds(lambda call_id, at: replace(kept.cdr(call_id), ended_at=at), _call_ids, _moments)
_kinds = [kind for kind in FactKind if kind.startswith(("asterisk.", "recbridge."))]
_facts = st.builds(Fact, st.sampled_from([*_kinds, FactKind.CALL_BEGAN]), _moments)
call_changes = (
    st.builds(PutTalk, _talks)
    | st.builds(PutSpan, _spans)
    | st.builds(JoinTalks, _call_ids, _call_ids)
    | st.builds(PutSection, _sections)
    | st.builds(AddCdr, _cdrs)
)
_changes = call_changes | st.builds(AppendFact, _facts)


async def _all_it_says(store: Store, batches: Sequence[Sequence[Change]], since: datetime, until: datetime) -> Any:
    for batch in batches:
        await store.commit(batch)
    said: list[Any] = [list(await store.open_talks()), list(await store.open_spans())]
    said.append([(one.number, one.fact) for one in await store.away_facts(since, until)])
    found: list[Account] = []
    while page := await store.accounts(since, until, 2, found[-1] if found else None):
        found += page
    assert list(await store.accounts(since, until, 100)) == found
    return [*said, found]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(_changes, max_size=12), max_size=4), _moments, _moments)
def test_after_the_same_commits_both_stores_account_alike(
    batches: list[list[Change]], since: datetime, until: datetime
) -> None:
    async def compare() -> None:
        with TemporaryDirectory() as folder:
            real = await SqliteStore.open(Path(folder) / "x.db", "pbx1")
            try:
                fake = await _all_it_says(MemoryStore(), batches, since, until)
                assert await _all_it_says(real, batches, since, until) == fake
            finally:
                await real.close()

    asyncio.run(compare())


async def test_a_calls_account_has_all_that_is_kept_of_its_talks(tmp_path: Path) -> None:
    talk = TalkAccount(TalkId("1-1"), CallId("1.2"), kept.NOON - timedelta(minutes=5), kept.NOON)
    span = Span(talk.talk_id, 1, RuleId(1), Reason.PAUSED, kept.NOON, kept.NOON)
    section = kept.section(talk_id=talk.talk_id, state=SectionState.FAILED, started_at=kept.NOON)
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        await store.commit([PutTalk(talk), PutSpan(replace(span, number=2, rule_id=None)), PutSpan(span)])
        await store.commit([JoinTalks(CallId("1.1"), CallId("1.2")), PutSection(section), AddCdr(kept.cdr("1.1"))])
        (account,) = await store.accounts(kept.NOON, EVER, 10)
        assert account == Account(
            1,
            kept.cdr("1.1"),
            [replace(talk, call_id=CallId("1.1"))],
            [span, replace(span, number=2, rule_id=None)],
            [account_of(section)],
        )
        assert await store.accounts(kept.NOON + timedelta(microseconds=1), EVER, 10) == []
        assert await store.accounts(kept.NOON - timedelta(days=1), kept.NOON, 10) == []
    finally:
        await store.close()


async def test_a_linkedid_that_lives_again_is_another_call(tmp_path: Path) -> None:
    def talk(number: int, minutes: int) -> TalkAccount:
        began = kept.NOON + timedelta(minutes=minutes)
        return TalkAccount(TalkId(f"{number}-1"), kept.CALL, began, began + timedelta(minutes=1))

    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        cdrs = [replace(kept.cdr(), ended_at=kept.NOON + timedelta(minutes=at)) for at in (10, 20)]
        await store.commit([*map(AddCdr, cdrs), PutTalk(talk(1, 1)), PutTalk(talk(2, 5)), PutTalk(talk(3, 12))])
        found = await store.accounts(kept.NOON, EVER, 10)
        assert [[one.talk_id for one in account.talks] for account in found] == [["1-1", "2-1"], ["3-1"]]
    finally:
        await store.close()


async def test_what_is_kept_while_a_page_is_read_disturbs_it_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an absence calls are over whose ends lie before others' that are kept already."""
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        ends = [(f"{minutes}.1", kept.NOON + timedelta(minutes=minutes)) for minutes in (1, 2, 3)]
        cdrs = [replace(kept.cdr(call_id), ended_at=end) for call_id, end in ends]
        talks = [TalkAccount(TalkId(call_id), CallId(call_id), kept.NOON, end) for call_id, end in ends]
        spans = [PutSpan(Span(talk.talk_id, 1, None, None, kept.NOON, kept.NOON)) for talk in talks]
        await store.commit(
            [AddCdr(cdrs[0]), AddCdr(cdrs[2]), PutTalk(talks[0]), PutTalk(replace(talks[2], ended_at=None))]
        )
        read = store._read

        async def slowly(sql: str, *values: object) -> Any:
            found = await read(sql, *values)
            if sql in {accounts.ENDED_CALLS, accounts.TALKS_OF_CALLS}:
                meanwhile = [AddCdr(cdrs[1])] if sql == accounts.ENDED_CALLS else [PutTalk(talks[2])]
                await store.commit([*meanwhile, PutTalk(talks[1]), *spans])
            return found

        monkeypatch.setattr(store, "_read", slowly)
        found = await store.accounts(kept.NOON, EVER, 10)
        assert [account.cdr for account in found] == [cdrs[0], cdrs[2]]
        assert [cover(account, []).talked_s for account in found] == [60.0, 0.0]
    finally:
        await store.close()
