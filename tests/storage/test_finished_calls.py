"""Finished calls go when they are over their time: whole, never before their recordings, and accounted for."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.core.accounts import Span, TalkAccount
from bridge.core.covered import covered
from bridge.core.erasure import Person
from bridge.core.ids import CallId, Identity, RecordId, RuleId, TalkId
from bridge.core.kept import KeptCall
from bridge.core.records import Fact, FactKind
from bridge.core.retention import Hold, Target
from bridge.core.store import AddCdr, AppendFact, PutCall, PutDemand, PutHold, PutSpan, PutTalk
from bridge.storage.finished_calls import FinishedCalls
from bridge.storage.retention import Order
from bridge.storage.verify import verify
from tests.storage import kept
from tests.storage.databases import asked
from tests.storage.spools import DAY, House, house

WEEK = 7 * DAY
NUMBER, NAME, OWN_NAME = "+4973199887766", "Zacharias Quokka", "Alice Wombat"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        found.now = kept.NOON + 30 * DAY
        yield found


def ids(n: int) -> tuple[CallId, RecordId]:
    return CallId(f"{n}.1"), RecordId(f"{n}-1_{n}-2")


async def a_call(here: House, n: int, ended_at: datetime = kept.NOON, *, deleted: bool = True, **section: Any) -> None:
    """A call of Zacharias with alice, with its journal, its talk, and a recording that is deleted."""
    call_id, record_id = ids(n)
    cdr = replace(
        kept.cdr(call_id, (record_id,)), started_at=ended_at, ended_at=ended_at, source_number=NUMBER, source_name=NAME
    )
    entry = replace(
        kept.entry("alice", call_id, record_id), number=NUMBER, name=NAME, started_at=ended_at,
        device_name=f"Snom [{OWN_NAME}]", location_name=f"{OWN_NAME}'s room",
    )  # fmt: skip
    await here.call(cdr, entry)
    talk_id = TalkId(f"t{n}")
    await here.store.commit(
        [
            PutTalk(TalkAccount(talk_id, call_id, ended_at, ended_at + timedelta(seconds=1))),
            PutSpan(Span(talk_id, 1, RuleId(1), None, ended_at)),
        ]
    )
    made = await here.section(
        1,
        record_id=record_id,
        call_id=call_id,
        path=f"2026/08/01/{record_id}_1_001.wav",
        talk_id=talk_id,
        owner=Identity("alice"),
        participants=(Identity("alice"), Identity("bob")),
        **section,
    )
    if deleted:
        assert (await here.retention.delete([made.key], here.order())).count == 1


def calls_of(here: House) -> FinishedCalls:
    return FinishedCalls(here.retention, "pbx1")


async def delete(here: House, keep: timedelta = WEEK) -> int:
    calls = calls_of(here)
    return await calls.delete(await calls.expired(keep), Order("retention", "recbridge", "", keep))


def counts(here: House) -> dict[str, int]:
    names = ("cdrs", "cdr_records", "cdr_participants", "journal", "talks", "talk_spans", "section_participants")
    return {name: int(str(asked(here.database, f"SELECT count(*) FROM {name}")[0][0])) for name in names}  # noqa: S608


async def test_what_is_over_its_time_goes_whole_and_the_rest_stays(here: House) -> None:
    await a_call(here, 1)
    one = counts(here)
    await a_call(here, 2, here.now - WEEK + timedelta(seconds=1))
    assert await calls_of(here).stored() == 2
    assert await delete(here) == 1
    assert counts(here) == one
    assert asked(here.database, "SELECT call_id FROM cdrs UNION SELECT call_id FROM journal") == [("2.1",)]
    (fact,) = await here.facts(FactKind.CALLS_DELETED)
    assert (fact.at, fact.personal["who"], fact.call_id) == (here.now, "recbridge", None)
    assert fact.data == {
        "why": "retention", "calls": 1, "entries": 1, "keep_s": WEEK.total_seconds(),
        "first_ended_at": kept.NOON.isoformat(), "last_ended_at": kept.NOON.isoformat(),
    }  # fmt: skip
    assert await delete(here) == 0
    assert len(await here.facts(FactKind.CALLS_DELETED)) == 1


async def test_nobody_is_named_any_more_down_to_the_bytes_but_who_deleted_what(here: House) -> None:
    await a_call(here, 1)
    assert await delete(here) == 1
    assert await here.erasing.clear()
    files = [file.read_bytes() for file in here.folder.iterdir() if file.is_file()]
    assert [name for name in (NUMBER, NAME, OWN_NAME) if any(name.encode() in content for content in files)] == []
    left = asked(here.database, "SELECT DISTINCT name FROM fact_personal WHERE value IS NOT NULL ORDER BY name")
    assert left == [("who",), ("words",)]
    (tombstone,) = await here.store.sections_of(ids(1)[1])
    assert (tombstone.owner, tombstone.participants, tombstone.deleted_at) == (None, (), here.now)


async def test_verify_and_coverage_find_no_damage(here: House) -> None:
    for n in (1, 2, 3):
        await a_call(here, n)
    await a_call(here, 4, here.now)
    before = [one async for one in covered(here.store, kept.NOON, here.now + DAY)]
    assert len(before) == 4
    assert await delete(here) == 3
    assert verify(here.database, None).misfits == 0
    after = [one async for one in covered(here.store, kept.NOON, here.now + DAY)]
    assert len(after) == 1


async def test_a_call_stays_while_its_recording_does(here: House) -> None:
    """Whatever the settings say, a rule's own `keep` can be longer."""
    await a_call(here, 1, deleted=False, keep_s=(60 * DAY).total_seconds())
    assert await delete(here) == 0
    here.now += 60 * DAY
    plan = await here.retention.expired(WEEK)
    await here.retention.delete(plan.going, here.order(WEEK))
    assert await delete(here) == 1


async def test_joined_calls_go_together(here: House) -> None:
    """The younger one's recording keeps both."""
    await a_call(here, 1)
    await a_call(here, 2, deleted=False)
    joined = Fact(FactKind.CALL_JOINED, kept.NOON, call_id=ids(1)[0], data={"joined": ids(2)[0]})
    await here.store.commit([AppendFact(joined)])
    assert await delete(here) == 0
    await here.retention.delete([one.key for one in await here.store.sections_of(ids(2)[1])], here.order())
    assert await delete(here) == 2
    (fact,) = await here.facts(FactKind.CALLS_DELETED)
    assert fact.data["calls"] == 2


async def test_a_name_that_lives_again_keeps_its_older_call(here: House) -> None:
    await a_call(here, 1)
    younger = replace(kept.cdr(ids(1)[0], ()), started_at=here.now - DAY, ended_at=here.now - DAY)
    await here.store.commit([AddCdr(younger)])
    assert await delete(here) == 0
    here.now += WEEK
    assert await delete(here) == 2


async def test_a_call_that_runs_stays(here: House) -> None:
    await a_call(here, 1)
    running = KeptCall(ids(1)[0], kept.NOON, "", {}, 0.0, None, (), (), (), ())
    await here.store.commit([PutCall(running)])
    assert await delete(here, timedelta(0)) == 0


@pytest.mark.parametrize("target", [{"number": NUMBER}, {"identity": Identity("alice")}, {"call_id": ids(1)[0]}])
async def test_a_hold_keeps_a_call_also_where_it_comes_last(here: House, target: dict[str, object]) -> None:
    await a_call(here, 1)
    calls = calls_of(here)
    going = await calls.expired(WEEK)
    assert going == [ids(1)[0]]
    hold = Hold("h1", Target(**target), "eve", "a case", kept.NOON)  # type: ignore[arg-type]
    async with house(here.folder) as other:
        await other.store.commit([PutHold(hold)])
    assert await calls.delete(going, Order("retention", "recbridge", "", WEEK)) == 0
    assert await calls.expired(WEEK) == []
    await here.store.commit([PutHold(replace(hold, released_at=here.now, released_by="eve", released_why="over"))])
    assert await delete(here) == 1


async def test_numbers_are_not_given_again(here: House) -> None:
    await a_call(here, 1)
    await a_call(here, 2)
    assert await delete(here) == 2
    await a_call(here, 3)
    assert asked(here.database, "SELECT id FROM cdrs") == [(3,)]


async def test_a_request_to_erase_that_waited_for_the_call_is_done(here: House) -> None:
    await a_call(here, 1)
    hold = Hold("h1", Target(call_id=ids(1)[0]), "eve", "a case", kept.NOON)
    await here.store.commit([PutHold(hold)])
    person = Person(number=NUMBER)
    _, found = await here.erasing.plan(person)
    erasure = await here.erasing.ask(person, found, "eve", "asked")
    assert (await here.erasing.work_off(erasure)).left == 1
    await here.store.commit([PutHold(replace(hold, released_at=here.now, released_by="eve", released_why="over"))])
    assert await delete(here) == 1
    # A hold on others does not keep the request open, though the call's numbers are not known any more.
    await here.store.commit([PutHold(replace(hold, id="h2", target=Target(number="+33")))])
    await here.erasing.work_off(erasure)
    assert await here.erasing.pending() == []


async def test_wishes_that_a_crash_left_go_with_the_call(here: House) -> None:
    await a_call(here, 1)
    await here.store.commit([PutDemand(replace(kept.demand(), call_id=ids(1)[0]))])
    assert await delete(here) == 1
    assert list(await here.store.demands()) == []


async def test_before_there_was_any_time_nothing_is_over(here: House) -> None:
    await a_call(here, 1)
    assert await calls_of(here).expired(timedelta.max) == []


async def test_two_processes_delete_each_call_once(here: House) -> None:
    for n in range(120):
        await a_call(here, n)
    async with house(here.folder) as other:
        other.now = here.now
        assert sum(await asyncio.gather(delete(here), delete(other))) == 120
    facts = await here.facts(FactKind.CALLS_DELETED)
    assert sum(fact.data["calls"] for fact in facts) == 120


_KILLED = """
import asyncio, os, signal, sys
from datetime import timedelta
from pathlib import Path
from bridge.storage.finished_calls import FinishedCalls
from bridge.storage.retention import Order
from tests.storage import kept
from tests.storage.spools import DAY, house

async def main():
    async with house(Path(sys.argv[1])) as here:
        here.now = kept.NOON + 30 * DAY
        commit, done = here.store.commit, 0
        async def counted(*args, **values):
            nonlocal done
            if sys.argv[2] == "before" and done == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            await commit(*args, **values)
            done += 1
            if sys.argv[2] == "after":
                os.kill(os.getpid(), signal.SIGKILL)
        here.store.commit = counted
        calls = FinishedCalls(here.retention, "pbx1")
        await calls.delete(await calls.expired(7 * DAY), Order("retention", "recbridge", "", 7 * DAY))

asyncio.run(main())
"""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_between_two_batches_all_is_accounted_for_and_the_rest_goes_next_time(
    here: House, when: str
) -> None:
    for n in range(120):
        await a_call(here, n)
    process = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _KILLED, str(here.folder), when], check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL
    left = await calls_of(here).stored()
    assert left == 70
    told = asked(here.database, "SELECT data FROM facts WHERE kind = 'calls.deleted'")
    assert [json.loads(str(data))["calls"] for (data,) in told] == [50]
    assert verify(here.database, None).misfits == 0
    assert await delete(here) == left
    assert set(counts(here).values()) == {0}


async def test_a_call_with_a_recording_under_the_name_of_one_that_joined_it_is_not_looked_at(here: House) -> None:
    """It cannot go, and would count for the half that one run may delete."""
    _, record_id = ids(1)
    await here.call(kept.cdr(CallId("1.1"), (record_id,)), kept.entry("alice", CallId("1.1"), record_id))
    joined = Fact(FactKind.CALL_JOINED, kept.NOON, call_id=CallId("1.1"), data={"joined": "1.7"})
    await here.store.commit([AppendFact(joined)])
    made = await here.section(1, record_id=record_id, call_id="1.7", path=f"2026/08/01/{record_id}_1_001.wav")
    assert await calls_of(here).expired(WEEK) == []
    await here.retention.delete([made.key], here.order())
    assert await calls_of(here).expired(WEEK) == ["1.1"]
    assert await delete(here) == 1
