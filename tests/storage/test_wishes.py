"""Demands, pauses and flags on a real file."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.core.errors import StoreError
from bridge.core.ids import CallId, FactNumber, Identity, RuleId
from bridge.core.people import UserFlags
from bridge.core.store import AppendFact, Change, EndDemand, EndPause, PutDemand, PutPause, PutUserFlags
from bridge.storage.database import SqliteStore
from tests.storage import kept

ALICE = Identity("alice")
LATER = kept.NOON + timedelta(seconds=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "recbridge.db", "pbx1")
    yield opened
    await opened.close()


async def test_another_put_replaces_every_value(store: SqliteStore) -> None:
    demand = kept.demand()
    pause = kept.pause()
    await store.commit([PutDemand(demand), PutPause(pause), PutUserFlags(ALICE, UserFlags())])
    demand = replace(demand, call_id=CallId("2.2"), owner=Identity("bob"), since=LATER)
    pause = replace(pause, call_id=CallId("2.2"), admin=True, since=LATER, resumed=(RuleId(3), RuleId(1)))
    for _ in range(2):
        await store.commit([PutDemand(demand), PutPause(pause), PutUserFlags(ALICE, UserFlags(*[True] * 5))])
        assert await store.demands() == [demand]
        assert await store.pauses() == [pause]
        assert await store.user_flags() == {ALICE: UserFlags(*[True] * 5)}


async def test_the_oldest_comes_first_whatever_was_kept_first(store: SqliteStore) -> None:
    demands = [kept.demand(2), kept.demand(3), kept.demand(1, since=LATER)]
    pauses = [kept.pause("bob"), kept.pause("m\udcfc"), kept.pause(since=LATER)]
    await store.commit([*map(PutDemand, reversed(demands)), *map(PutPause, reversed(pauses))])
    assert await store.demands() == demands
    assert await store.pauses() == pauses


async def test_an_end_takes_one_and_leaves_the_others(store: SqliteStore) -> None:
    await store.commit([*map(PutDemand, [kept.demand(1), kept.demand(2)])])
    await store.commit([*map(PutPause, [kept.pause("m\udcfc"), kept.pause("m\xfc")])])
    for _ in range(2):
        await store.commit([EndDemand(kept.RECORD, RuleId(1)), EndPause(kept.RECORD, Identity("m\udcfc"))])
        assert await store.demands() == [kept.demand(2)]
        assert await store.pauses() == [kept.pause("m\xfc")]


async def test_commits_that_share_a_transaction_keep_their_order(store: SqliteStore) -> None:
    traced: list[str] = []
    await store._writer.set_trace_callback(traced.append)
    again = kept.demand(2, since=LATER)
    await asyncio.gather(
        store.commit([PutDemand(kept.demand(1)), PutDemand(kept.demand(2)), PutPause(kept.pause())]),
        store.commit([EndDemand(kept.RECORD, RuleId(1)), EndDemand(kept.RECORD, RuleId(2))]),
        store.commit([PutDemand(again), PutUserFlags(ALICE, UserFlags())]),
    )
    assert traced.count("COMMIT") == 1
    assert await store.demands() == [again]
    assert await store.pauses() == [kept.pause()]
    assert await store.user_flags() == {ALICE: UserFlags()}


async def test_what_is_wished_in_a_commit_that_fails_is_not_kept(store: SqliteStore) -> None:
    await store.commit([PutDemand(kept.demand())])
    with pytest.raises(StoreError):
        await store.commit(
            [
                AppendFact(kept.fact()),
                EndDemand(kept.RECORD, RuleId(1)),
                PutPause(kept.pause()),
                PutUserFlags(ALICE, UserFlags()),
                PutDemand(kept.demand(2**70)),
            ]
        )
    assert await store.demands() == [kept.demand()]
    assert (await store.pauses(), await store.user_flags()) == ([], {})
    assert await store.facts_after(FactNumber(0), 10) == []


async def test_rows_keep_the_systemname_they_began_with(store: SqliteStore, tmp_path: Path) -> None:
    changes: list[Change] = [PutDemand(kept.demand()), PutPause(kept.pause()), PutUserFlags(ALICE, UserFlags())]
    await store.commit(changes)
    renamed = await SqliteStore.open(tmp_path / "recbridge.db", "pbx2")
    try:
        await renamed.commit([*changes, PutDemand(kept.demand(2))])
    finally:
        await renamed.close()
    for sql in ("SELECT systemname FROM pauses", "SELECT systemname FROM user_flags"):
        assert [row[0] for row in await store._read(sql)] == ["pbx1"]
    assert [row[0] for row in await store._read("SELECT systemname FROM demands ORDER BY rule_id")] == ["pbx1", "pbx2"]
