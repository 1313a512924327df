"""Warnings: rules that can never match, that a `never` covers, queues that there are not."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from bridge.core.doubts import doubts
from bridge.core.people import Directory, parse_users
from bridge.core.rules import Direction, TalkFacts, ask, parse_rules
from tests.core.test_matching import FACTS, USERS, WHENS

PEOPLE = parse_users(
    "users: [{identity: alice, groups: [sales]}, {identity: bob, groups: [sales, support]}, {identity: carol}]", "u"
)


def said(*rules: str, directory: Directory | None = PEOPLE, queues: frozenset[str] | None = None) -> list[str]:
    """Each rule as `always {…}`; warnings without the file's name."""
    text = "rules:\n" + "".join(
        f"  - {{id: {number}, name: R, record: {rule.partition(' ')[0]}, when: {rule.partition(' ')[2]}}}\n"
        for number, rule in enumerate(rules, 1)
    )
    found = doubts([("r", text)], directory, queues)
    return [str(one).removeprefix("r:") for one in found]


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("{number: 112, direction: internal}", "inside the house nobody has a `number`"),
        ("{all: [{direction: internal}, {number: 1*}]}", "inside the house nobody has a `number`"),
        ("{direction: inbound, all: [{direction: [internal, outbound]}]}", "no `direction` is left"),
        ("{direction: inbound, any: [{direction: internal}]}", "no `direction` is left"),
        ("{queue: [a, b], all: [{queue: c*}]}", "no `queue` fits both its conditions"),
        ("{number: '1 1', all: [{number: '12'}]}", "no `number` fits both its conditions"),
        ("{variable: {A: 1}, all: [{variable: {__A: 2}}]}", "no `A` fits both its conditions"),
        ("{sample: 0%}", "`sample` is 0% of all calls"),
        ("{sample: 0.00%, queue: a}", "`sample` is 0.00% of all calls"),
        ("{direction: inbound, not: {direction: [inbound, internal]}}", "`not` takes away all"),
        ("{queue: sales, not: {queue: s*}}", "`not` takes away all"),
        ("{caller: alice, not: {user: 'group:sales'}}", "`not` takes away all"),
        ("{direction: internal, any: [{number: 1}, {direction: inbound}]}", "no item of `any` goes with the other"),
        ("{user_call_record: true, all: [{user_call_record: false}]}", "`user_call_record` cannot be both"),
    ],
)
def test_a_rule_that_can_never_match(when: str, why: str) -> None:
    (line,) = said(f"always {when}")
    assert f"rule 1 can never match: {why}" in line


@pytest.mark.parametrize(
    "when",
    [
        "{}",
        "{number: 112}",
        "{number: 112, direction: [internal, inbound]}",
        "{queue: [a, b], all: [{queue: [b, c]}]}",
        "{queue: a*, all: [{queue: '*b'}]}",
        "{user: alice, all: [{user: carol}]}",
        "{channel: PJSIP/a, all: [{channel: PJSIP/b}]}",
        "{sample: 0.1%}",
        "{queue: s*, not: {queue: sales}}",
        "{queue: s*, not: {queue: 's?'}}",
        "{user: 'group:sales', not: {caller: 'group:sales'}}",
        "{user: 'group:sales', not: {user: alice}}",
        "{direction: internal, any: [{number: 1}, {queue: a}]}",
        "{not: {direction: inbound, queue: a}, direction: inbound}",
    ],
)
def test_a_rule_that_may_match_is_not_doubted(when: str) -> None:
    assert said(f"always {when}") == []


@pytest.mark.parametrize(
    ("never", "rule", "covered"),
    [
        ("{}", "{}", True),
        ("{}", "{queue: a}", True),
        ("{queue: a}", "{}", False),
        ("{direction: [inbound, outbound]}", "{direction: inbound, queue: a}", True),
        ("{direction: inbound}", "{direction: [inbound, outbound]}", False),
        ("{queue: [a*, b]}", "{queue: [A1, ab*, b]}", True),
        ("{queue: 'a?'}", "{queue: ab}", True),
        ("{queue: 'a?'}", "{queue: a*}", False),
        ("{queue: a*}", "{queue: '*a'}", False),
        ("{number: '+49*'}", "{number: '+49 30*'}", True),
        ("{user: 'group:sales'}", "{user: [alice, bob]}", True),
        ("{user: 'group:sales'}", "{caller: alice}", True),
        ("{caller: alice}", "{user: alice}", False),
        ("{user: 'group:support'}", "{user: 'group:sales'}", False),
        ("{sample: 20%}", "{sample: 10%}", True),
        ("{sample: 10%}", "{sample: 20%}", False),
        ("{time: 'mon UTC'}", "{time: 'mon 00:00-24:00 UTC'}", True),
        ("{time: 'mon UTC'}", "{time: ['mon UTC', 'tue UTC']}", False),
        ("{variable: {A: '*'}}", "{variable: {__A: 1, B: 2}}", True),
        ("{variable: {A: '*', C: 1}}", "{variable: {A: 1}}", False),
        ("{all: [{queue: a}, {direction: inbound}]}", "{direction: inbound, queue: a}", True),
        ("{any: [{queue: a}, {queue: b}]}", "{queue: b}", True),
        ("{queue: [a, b]}", "{any: [{queue: a}, {queue: b, direction: inbound}]}", True),
        ("{queue: a}", "{any: [{queue: a}, {queue: b}]}", False),
        ("{not: {queue: a}}", "{not: {queue: a*}}", True),
        ("{not: {queue: a*}}", "{not: {queue: a}}", False),
        ("{user_call_record: true}", "{user_call_record: true, queue: a}", True),
        ("{online_call_record: true}", "{online_call_record: false}", False),
        ("{queue: a, not: {queue: a}}", "{queue: a}", None),  # such a `never` never matches itself
    ],
)
def test_a_never_covers_a_rule_wholly_or_not(never: str, rule: str, covered: bool | None) -> None:
    lines = said(f"never {never}", f"on-demand {rule}")
    assert [line for line in lines if "covers it" in line] == (
        ["3:5: rule 2 never records: rule 1 (r:2), a `never`, covers it wholly"] if covered else []
    )


def test_who_is_in_a_group_counts_only_where_users_are_known() -> None:
    (line,) = said("always {user: 'group:nobody'}", directory=Directory())
    assert line == "2:51: rule 1 can never match: nobody is in `group:nobody`"
    (line,) = said("always {user: [alice, 'group:nobody']}", directory=Directory())
    assert line == "2:59: nobody is in `group:nobody`: users.yml says who is"
    assert said("always {user: ['group:nobody']}", directory=None) == []
    assert said("never {user: 'group:a'}", "always {user: ['group:a']}", directory=None) != []


def test_queues_that_there_are_not() -> None:
    queues = frozenset({"support", "sales-1"})
    assert said("always {queue: [suport, SALES-*, x*]}", "never {not: {queue: sale}}", queues=queues) == [
        "2:53: Asterisk's configuration names no queue `suport` (did you mean support?)",
        "2:70: Asterisk's configuration names no queue `x*`",
        "3:57: Asterisk's configuration names no queue `sale` (did you mean sales-1?)",
    ]


def test_files_with_mistakes_are_left_out_and_the_others_looked_at() -> None:
    good = "rules: [{id: 1, name: R, record: always, when: {sample: 0%}}]"
    assert [one.file for one in doubts([("bad", "rules: [{}]"), ("good", good)], PEOPLE)] == ["good"]


@settings(max_examples=300, deadline=None)
@given(WHENS, WHENS, FACTS)
def test_what_is_said_is_so(never: dict[str, Any], when: dict[str, Any], facts: TalkFacts) -> None:
    rules = [
        {"id": "1", "name": "R", "record": "never", "when": never},
        {"id": "2", "name": "R", "record": "always", "when": when},
    ]
    files = [("r", json.dumps({"rules": rules}))]
    if facts.direction is Direction.INTERNAL:
        facts = replace(facts, number="")  # nobody is outside
    answers = ask(parse_rules(files, USERS), facts)
    for one in doubts(files, USERS):
        if "can never match" in one.message:
            number = int(one.message.split()[1])
            assert not answers.answers[number - 1].matched
        if "covers it wholly" in one.message:
            assert not answers.recording
