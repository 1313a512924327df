"""What the rules were asked, in SQLite: as the store in memory says it, erased with a person, gone with its call."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.core.accounts import Span, TalkAccount
from bridge.core.asked import Asked, KeptRules, KeptUser
from bridge.core.erasure import Person
from bridge.core.ids import CallId, Identity, RuleId, TalkId
from bridge.core.matching import TalkFacts
from bridge.core.rules import Direction
from bridge.core.store import AddCdr, Change, JoinTalks, PutAsked, PutRules, PutSpan, PutTalk, Store
from bridge.storage.database import SqliteStore
from bridge.storage.finished_calls import FinishedCalls
from bridge.storage.retention import Order
from tests.core.diary import Diary
from tests.core.pbx import START
from tests.fakes import MemoryStore
from tests.storage import kept
from tests.storage.databases import asked
from tests.storage.spools import DAY, House, house

NUMBER = "+4973199887766"
BOB = Identity("bob")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


def rules(number: int, since: datetime = kept.NOON, text: str = "user: bob") -> KeptRules:
    file = f"rules:\n  - {{id: {number}, name: R, record: always, when: {{{text}}}}}\n"
    return KeptRules((("a.yml", file),), (KeptUser(BOB, ("sales",)), KeptUser(Identity("alice"))), since)


def talk_id(n: int, at: datetime = kept.NOON) -> TalkId:
    return TalkId(f"{round(at.timestamp() * 1_000_000)}-{n}")


def facts(at: datetime = kept.NOON) -> TalkFacts:
    return TalkFacts(Direction.INBOUND, frozenset(), frozenset({BOB}), NUMBER, "822", "", "from-trunk", at,
                     {"X": "\udcff"}, ("PJSIP/t-1", "PJSIP/bob-1"), "1.1")  # fmt: skip


def a_talk(n: int, call: str, at: datetime = kept.NOON) -> list[Change]:
    ended_at = at + timedelta(seconds=5)
    return [
        PutTalk(TalkAccount(talk_id(n, at), CallId(call), at, ended_at)),
        PutSpan(Span(talk_id(n, at), 1, RuleId(1), None, at)),
        PutAsked(Asked(talk_id(n, at), at, facts(at))),
    ]


async def test_the_store_in_memory_says_the_same(tmp_path: Path) -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    diary.reload("rules: [{id: 1, name: Other, record: always}]")
    diary.over(*diary.inbound())
    one, two = diary.inbound()
    diary.pbx.wait(1)
    again = diary.restarted(changes=diary.changes)
    assert isinstance(again, Diary)
    real, memory = await SqliteStore.open(tmp_path / "x.db", "pbx1"), MemoryStore()
    stores: list[Store] = [real, memory]
    for change in again.changes:  # each by itself, as commits come
        for store in stores:
            await store.commit([change])
    said: list[Any] = []
    for store in stores:
        pages = [await store.asked_calls(START, again.pbx.now + DAY, 1)]
        pages.append(await store.asked_calls(START, again.pbx.now + DAY, 5, pages[0][0]))
        said.append(
            [
                *pages,
                [await store.asked_call(kept_number) for kept_number in await store.cdrs_named("1700000000.1")],
                await store.cdrs_named("1700000000-1_1700000000-2"),
                await store.asked_running(CallId(one)),
                [await store.kept_rules(number) for number in range(5)],
                await store.rules_in_force(),
                await store.rule_matches(START),
                await store.rule_matches(again.pbx.now),
            ]
        )
    await real.close()
    assert said[0] == said[1]
    assert len(said[0][0]) == len(said[0][1]) == 1
    assert len(said[0][4][0].asked) == 2
    del two


async def test_rules_have_a_row_each_time_they_change(here: House) -> None:
    later = kept.NOON + timedelta(hours=1)
    for one in (rules(1), rules(1, later), rules(2, later), rules(1, later + DAY)):
        await here.store.commit([PutRules(one)])
    found = [await here.store.kept_rules(number) for number in (1, 2, 3)]
    assert found == [
        replace(rules(1), number=1), replace(rules(2, later), number=2), replace(rules(1, later + DAY), number=3)
    ]  # fmt: skip
    assert await here.store.rules_in_force() == found[2]
    assert await here.store.kept_rules(4) is None


async def test_in_one_commit_each_talk_has_the_rules_before_it(here: House) -> None:
    await here.store.commit([PutRules(rules(1)), *a_talk(1, "1.1"), PutRules(rules(2)), *a_talk(2, "1.1")])
    found = await here.store.asked_running(CallId("1.1"))
    assert [one.asked[0].rules for one in found] == [1, 2]
    assert [one.asked[0].talk for one in found] == [facts(), facts()]


async def test_a_call_that_is_joined_keeps_what_was_asked(here: House) -> None:
    await here.store.commit([PutRules(rules(1)), *a_talk(1, "1.2"), JoinTalks(CallId("1.1"), CallId("1.2"))])
    await here.store.commit([AddCdr(replace(kept.cdr("1.1"), ended_at=kept.NOON + DAY))])
    (number,) = await here.store.cdrs_named("1.1")
    found = await here.store.asked_call(number)
    assert found is not None
    assert [len(talk.asked) for talk in found.talks] == [1]


async def test_a_channel_number_that_comes_again_is_another_call(here: House) -> None:
    old, new = kept.NOON, kept.NOON + DAY
    await here.store.commit([PutRules(rules(1)), *a_talk(1, "1.1", old), *a_talk(2, "1.1", new)])
    await here.store.commit([AddCdr(replace(kept.cdr("1.1"), ended_at=old + timedelta(minutes=1)))])
    (number,) = await here.store.cdrs_named("1.1")
    finished = await here.store.asked_call(number)
    assert finished is not None
    assert [one.talk.began_at for one in finished.talks] == [old]
    assert [one.talk.began_at for one in await here.store.asked_running(CallId("1.1"))] == [new]


# Retention


async def with_calls(here: House) -> None:
    """Every third day another call by other rules, the last by those in force."""
    for n in range(1, 4):
        at = kept.NOON + 3 * n * DAY
        await here.store.commit([PutRules(rules(n, at)), *a_talk(n, f"{n}.1", at)])
        await here.call(replace(kept.cdr(f"{n}.1", ()), started_at=at, ended_at=at + timedelta(minutes=1)))
    here.now = kept.NOON + 20 * DAY


async def test_what_was_asked_goes_with_its_call_and_rules_with_the_last_that_asked_them(here: House) -> None:
    await with_calls(here)
    calls = FinishedCalls(here.retention, "pbx1")
    for keep, left in ((18 * DAY, 3), (16 * DAY, 3), (13 * DAY, 2), (DAY, 1)):
        await calls.delete(await calls.expired(keep), Order("retention", "recbridge", "", keep))
        assert asked(here.database, "SELECT count(*) FROM rule_sets") == [(left,)]
    assert asked(here.database, "SELECT count(*) FROM talk_asked") == [(0,)]
    in_force = await here.store.rules_in_force()
    assert in_force is not None
    assert in_force.number == 3


async def test_rules_of_a_call_that_is_kept_stay(here: House) -> None:
    await with_calls(here)
    await here.section(call_id=CallId("1.1"), keep_s=(365 * DAY).total_seconds())
    calls = FinishedCalls(here.retention, "pbx1")
    assert await calls.delete(await calls.expired(DAY), Order("retention", "recbridge", "", DAY)) == 2
    assert asked(here.database, "SELECT id FROM rule_sets") == [(1,), (2,), (3,)]


# Erasure


async def erase(here: House, person: Person) -> None:
    person = await here.erasing.known(person)
    _, calls = await here.erasing.plan(person)
    erased = await here.erasing.work_off(await here.erasing.ask(person, calls, "eve", "asked for it"))
    assert (erased.left, erased.clean) == (0, True)


def in_files(here: House, value: str) -> bool:
    return any(value.encode() in file.read_bytes() for file in here.folder.iterdir() if file.is_file())


async def test_somebody_outside_is_out_of_what_was_asked_and_of_rules(here: House) -> None:
    named = rules(1, text=f'number: "{NUMBER}"')
    await here.store.commit([PutRules(named), *a_talk(1, "1.1"), PutRules(rules(2))])
    await here.call(replace(kept.cdr("1.1", ()), source_number=NUMBER))
    assert in_files(here, NUMBER)
    await erase(here, Person(number="+49 731 998877 66"))
    assert not in_files(here, NUMBER)
    call = await here.store.asked_call((await here.store.cdrs_named("1.1"))[0])
    assert call is not None
    ((one,),) = (talk.asked for talk in call.talks)
    assert (one.erased, one.talk) == (True, replace(facts(), number=""))
    then = await here.store.kept_rules(1)
    assert then is not None
    assert (then.erased, then.parsed() is not None) == (True, True)
    other = await here.store.kept_rules(2)
    assert other is not None
    assert not other.erased


async def test_a_user_is_out_of_what_was_asked_and_of_rules(here: House) -> None:
    await here.store.commit([PutRules(rules(1)), *a_talk(1, "1.1")])
    await here.call(replace(kept.cdr("1.1", ()), destination_identity=BOB, participants=(BOB,)))
    await erase(here, Person(identity=BOB))
    rows = asked(here.database, "SELECT facts FROM talk_asked UNION SELECT files || users FROM rule_sets")
    assert [row for row in rows if "bob" in str(row)] == []
    ((said,),) = asked(here.database, "SELECT facts FROM talk_asked")
    assert "callees" not in json.loads(str(said))


async def test_rules_in_force_are_kept_anew_after_somebody_was_erased_from_them(here: House) -> None:
    """As long as the admin's files name somebody they do, and what is asked of them has to be told rightly."""
    await here.store.commit([PutRules(rules(1)), *a_talk(1, "1.1")])
    await here.call(replace(kept.cdr("1.1", ()), participants=(BOB,)))
    await erase(here, Person(identity=BOB))
    await here.store.commit([PutRules(rules(1, here.now))])
    in_force = await here.store.rules_in_force()
    assert in_force == replace(rules(1, here.now), number=2)
