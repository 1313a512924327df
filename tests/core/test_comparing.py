"""What other rules would have done with the calls that are over."""

import asyncio
from datetime import timedelta

import pytest

from bridge.core.commands import Verb
from bridge.core.comparing import CallDifference, Difference, Kind, call_item, differences, totals_item
from bridge.core.ids import Identity, RuleId
from bridge.core.people import UserFlags
from bridge.core.rules import parse_rules
from bridge.core.store import PutAsked
from tests.core.diary import SALES, USERS, Diary
from tests.core.pbx import START
from tests.core.scene import directory
from tests.fakes import MemoryStore


def compared(diary: Diary, rules: str) -> list[CallDifference]:
    async def look() -> list[CallDifference]:
        store = MemoryStore()
        await store.commit(diary.changes)
        people = directory(USERS)
        until = diary.pbx.now + timedelta(days=1)
        return [one async for one in differences(store, parse_rules([("b.yml", rules)], people), START, until)]

    return asyncio.run(look())


def of(one: CallDifference) -> tuple[Kind, dict[int, int], dict[int, int]]:
    """Rounded to seconds."""
    before, now = ({int(rule): round(s) for rule, s in some.items()} for some in (one.before, one.now))
    return one.kind, before, now


NONE = "rules: [{id: 1, name: Other, record: always, when: {queue: nothing}}]"
ALL = "rules: [{id: 8, name: All, record: always}]"


@pytest.mark.parametrize(
    ("rules", "queue", "difference"),
    [
        (SALES, "sales", (Kind.SAME, {1: 60}, {1: 60})),
        (NONE, "sales", (Kind.NOT_ANY_MORE, {1: 60}, {})),
        (ALL, "sales", (Kind.OTHER, {1: 60}, {8: 60})),
        (ALL, "support", (Kind.NOW_TOO, {}, {8: 60})),
        (NONE, "support", (Kind.SAME, {}, {})),
    ],
)
def test_a_call_is_as_it_was_or_says_how_it_differs(
    rules: str, queue: str, difference: tuple[Kind, dict[int, int], dict[int, int]]
) -> None:
    diary = Diary()
    diary.over(*diary.inbound(queue=queue))
    (call,) = compared(diary, rules)
    assert of(call) == difference


def test_what_a_user_started_by_hand_is_recorded_again_where_it_is_offered() -> None:
    diary = Diary()
    one, two = diary.inbound(queue="support")
    diary.pbx.wait(20)
    diary.ask(Verb.START, two, "bob")
    diary.over(one, two, 40)
    assert [of(call) for call in compared(diary, SALES)] == [(Kind.SAME, {2: 40}, {2: 40})]
    assert [of(call) for call in compared(diary, NONE)] == [(Kind.NOT_ANY_MORE, {2: 40}, {})]


def test_a_rule_that_follows_the_call_records_what_comes_after() -> None:
    diary = Diary()
    one, two = diary.inbound()
    diary.pbx.wait(10)
    diary.pbx.leave(f"b{one}", two)
    diary.pbx.hangup(two)
    three = diary.pbx.ring(one, "PJSIP/alice-1", number="101")
    diary.pbx.answered(one, three, f"b{one}")
    diary.play()
    diary.over(one, three, 30)
    of_bob = "rules: [{id: 4, name: Bob's, record: always, when: {user: bob}%s}]"
    assert of(*compared(diary, of_bob % "")) == (Kind.OTHER, {1: 40}, {4: 40})
    assert of(*compared(diary, of_bob % ", follow: user")) == (Kind.OTHER, {1: 40}, {4: 10})


def test_a_never_is_asked_for_each_talk() -> None:
    diary = Diary()
    diary.over(*diary.inbound(variables=[("PRIVATE", "1")]))
    (call,) = compared(diary, SALES)
    assert of(call) == (Kind.SAME, {}, {})
    assert of(*compared(diary, ALL)) == (Kind.NOW_TOO, {}, {8: 60})


def test_the_variable_stands_over_new_rules_too() -> None:
    diary = Diary()
    diary.over(*diary.inbound(variables=[("RECBRIDGE", "never")]))
    assert of(*compared(diary, ALL)) == (Kind.SAME, {}, {})


def test_flags_that_users_had_set_hold() -> None:
    diary = Diary(flags={Identity("bob"): UserFlags(call_record_incoming_external_enabled=True)})
    diary.over(*diary.inbound(queue="support"))
    flagged = "rules: [{id: 5, name: Flag, record: always, when: {user_call_record: true}}]"
    assert of(*compared(diary, flagged)) == (Kind.NOW_TOO, {}, {5: 60})


def test_what_cannot_be_judged_is_said() -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    diary.over(*diary.inbound(queue="support"))
    wants = "rules: [{id: 6, name: Campaign, record: always, when: {queue: sales, variable: {CAMPAIGN: x}}}]"
    sales, support = compared(diary, wants)
    assert sales.not_judged == {RuleId(6): frozenset({"CAMPAIGN"})}
    assert support.not_judged == {}
    assert call_item(sales)["notJudged"] == [{"ruleId": 6, "conditions": ["CAMPAIGN"]}]


def test_calls_of_before_are_told_apart_and_not_counted() -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    diary.changes = [one for one in diary.changes if not isinstance(one, PutAsked)]
    (call,) = compared(diary, NONE)
    assert (call.unknown, call.kind, call.before) == (1, Kind.SAME, {})


def test_sums_are_by_rule_and_say_what_it_takes_on_disk() -> None:
    diary = Diary()
    for queue in ("sales", "sales", "support"):
        diary.over(*diary.inbound(queue=queue))
    wide = "rules: [{id: 8, name: All, record: always, channels: stereo, rate: 16000}]"
    rules = parse_rules([("b.yml", wide)], directory(USERS))
    sums = Difference()
    for call in compared(diary, wide):
        sums.add(call, {placed.rule.id: placed.rule for placed in rules.rules})
    item = totals_item(sums)
    assert item["differences"] == {"recorded otherwise": 2, "now recorded": 1}
    one, eight = item["rules"]
    assert (one["ruleId"], one["beforeCalls"], one["nowCalls"], one["nowBytes"]) == (1, 2, 0, 0)
    assert one["beforeBytes"] == pytest.approx(one["beforeS"] * 16000, rel=1e-3)
    assert (eight["ruleId"], eight["beforeCalls"], eight["nowCalls"]) == (8, 0, 3)
    assert eight["nowBytes"] == pytest.approx(eight["nowS"] * 64000, rel=1e-3)
