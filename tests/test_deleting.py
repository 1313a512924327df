"""Recordings that somebody wants gone over HTTP: what must stay is told, and nobody waits for ever."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core.access import Reader, Role, Scope
from bridge.core.errors import StoreError
from bridge.core.ids import Identity
from bridge.core.records import FactKind, SectionState
from bridge.core.retention import Hold, Target
from bridge.core.store import PutHold
from bridge.deleting import Deleting
from bridge.storage.turns import batch_turn, run_turn
from tests.storage import kept
from tests.storage.spools import DAY, House, house

ALICE = Reader(Identity("alice"), Role.USER, frozenset({Scope.DELETE}))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


def deleting(here: House, wait_s: float = 30.0) -> Deleting:
    return Deleting(here.store, here.database, here.spool, lambda: here.now, wait_s)


async def test_what_may_go_goes_young_as_it_is_and_a_fact_says_who_asked(here: House) -> None:
    section = await here.section(1, ended_at=here.now, parts=("_r.wav",))
    other = await here.section(2)
    assert list(await deleting(here).delete([section, section], ALICE)) == []
    assert here.files() == [other.path]
    (fact,) = await here.facts(FactKind.SECTION_DELETED)
    assert (fact.record_id, fact.rule_id, fact.file) == section.key
    assert (fact.data["why"], fact.personal) == ("erasure", {"who": "alice", "words": "asked for over HTTP"})
    # Once more: it is gone, and it is told once.
    assert list(await deleting(here).delete([section], ALICE)) == []
    assert len(await here.facts(FactKind.SECTION_DELETED)) == 1


async def test_what_a_hold_or_the_rule_keeps_or_is_still_written_stays_and_is_told(here: House) -> None:
    held = await here.section(1, record_id="9-9_0", call_id="9.9", path="2026/08/01/9-9_0_1_001.wav")
    kept_by_rule = await here.section(2, keep_s=(10 * DAY).total_seconds())
    written = await here.section(3, state=SectionState.RECORDING, report=None, ended_at=None)
    goes = await here.section(4)
    # By a command, in another process.
    async with house(here.folder) as other:
        hold = Hold("h1", Target(record_id=held.record_id), "eve", "a case", kept.NOON)
        await other.store.commit([PutHold(hold)])
    stay = await deleting(here).delete([held, kept_by_rule, written, goes], ALICE)
    assert list(stay) == [held.key, kept_by_rule.key, written.key]
    assert here.files() == sorted([held.path, kept_by_rule.path, written.path])


async def test_a_section_is_asked_for_as_it_is_now_not_as_it_was_read(here: House) -> None:
    before = await here.section(1, state=SectionState.RECORDING, report=None, ended_at=None)
    await here.section(1)
    assert list(await deleting(here).delete([before], ALICE)) == []
    assert here.files() == []


async def test_a_long_run_of_another_process_is_not_waited_for(here: House) -> None:
    section = await here.section(1)
    async with run_turn(here.database):
        assert list(await deleting(here).delete([section], ALICE)) == []
    assert here.files() == []


async def test_where_another_process_has_the_turn_it_gives_up_in_time(here: House) -> None:
    section = await here.section(1)
    async with batch_turn(here.database):
        with pytest.raises(StoreError) as caught:
            await deleting(here, wait_s=0.2).delete([section], ALICE)
    assert caught.value.details["reason"] == "busy"
    assert here.files() == [section.path]
    assert list(await deleting(here).delete([section], ALICE)) == []


async def test_nothing_is_nothing(here: House) -> None:
    assert list(await deleting(here).delete([], ALICE)) == []
