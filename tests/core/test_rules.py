"""What rules match, what they say where they do not, and what is wrong in their files."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.core.errors import BadInputError
from bridge.core.ids import Identity
from bridge.core.people import Directory, parse_users
from bridge.core.rules import Direction, Failed, RuleSet, TalkFacts, ask, parse_rules

USERS = parse_users(
    """\
users:
  - {identity: alice, groups: [sales]}
  - {identity: bob, groups: [sales, support]}
  - {identity: carol}
""",
    "users.yml",
)


def rules(when: str = "{}", record: str = "always", directory: Directory = USERS) -> RuleSet:
    return parse_rules([("r.yml", f"rules: [{{id: 1, name: One, record: {record}, when: {when}}}]")], directory)


def refused(*files: str, directory: Directory = USERS) -> list[str]:
    names = "abcdef"
    with pytest.raises(BadInputError) as raised:
        parse_rules([(names[index], text) for index, text in enumerate(files)], directory)
    return [str(problem) for problem in raised.value.problems]


def talk(
    direction: str = "internal",
    callers: Sequence[str] = ("alice",),
    callees: Sequence[str] = ("carol",),
    number: str = "",
    queue: str = "",
) -> TalkFacts:
    return TalkFacts(
        direction=Direction(direction),
        callers=frozenset(map(Identity, callers)),
        callees=frozenset(map(Identity, callees)),
        number=number,
        dialed="",
        queue=queue,
        context="internal",
        at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("when", "facts", "reason"),
    [
        ("{}", talk(), None),
        ("{direction: internal}", talk(), None),
        ("{direction: outbound}", talk(), "direction is internal, not outbound"),
        ("{direction: [inbound, outbound]}", talk(), "direction is internal, not inbound or outbound"),
        ("{queue: support}", talk(queue="support"), None),
        ("{queue: support}", talk(queue="Support"), None),
        ("{queue: [sales, 'supp*']}", talk(queue="support-2"), None),
        ("{queue: support}", talk(queue="support-2"), "queue is support-2, not support"),
        ("{queue: '*'}", talk(), "queue is none, not *"),
        ("{queue: 'a[bc]'}", talk(queue="ab"), "queue is ab, not a[bc]"),
        ("{queue: 'a[bc]'}", talk(queue="a[bc]"), None),
        ("{user: alice}", talk(), None),
        ("{user: carol}", talk(), None),
        ("{user: [bob, 'group:support']}", talk(), "user is alice and carol, not bob or group:support"),
        ("{user: 'group:sales'}", talk(), None),
        ("{user: 'group:support'}", talk(callees=["bob"]), None),
        ("{user: bob}", talk(callers=[], callees=[]), "user is none, not bob"),
        ("{number: '+49*'}", talk(number="+4930123"), None),
        ("{number: '+49 (30) 12/3.4-5'}", talk(number="+49 30 123 45"), None),
        ("{number: '+49??'}", talk(number="+4930"), None),
        ("{number: '+49??'}", talk(number="+49301"), "number is +49301, not +49??"),
        ("{number: *3}", talk(number="0123"), None),
        ("{number: 0049}", talk(number="49"), "number is 49, not 0049"),
        ("{number: '*'}", talk(), "number is none, not *"),
        ("{number: '*@host'}", talk(number="Bob@HOST"), None),
        ("{number: 112, direction: inbound}", talk(number="1"), "number is 1, not 112"),
        ("{direction: inbound, number: 112}", talk(number="1"), "direction is internal, not inbound"),
    ],
)
def test_a_rule_matches_or_says_the_first_condition_that_failed(
    when: str, facts: TalkFacts, reason: str | None
) -> None:
    (answer,) = ask(rules(when), facts).answers
    assert (answer.matched, answer.reason) == (reason is None, reason)


def test_what_failed_can_be_read_by_programs() -> None:
    (answer,) = ask(rules("{user: [bob, 'group:support']}"), talk()).answers
    assert answer.failed == Failed("user", ("bob", "group:support"), ("alice", "carol"))


def test_every_rule_knows_its_file_and_line() -> None:
    one = "# first\nrules:\n  - {id: 7, name: A, record: always}\n"
    two = "rules:\n\n  - id: 3\n    name: B\n    record: never\n"
    found = parse_rules([("a.yml", one), ("b.yml", two)], USERS).rules
    assert [(rule.rule.id, rule.file, rule.line) for rule in found] == [(7, "a.yml", 3), (3, "b.yml", 3)]


# Which rule counts


def several(*records: str, **facts: Any) -> Any:
    text = "rules:\n" + "".join(
        f"  - {{id: {number}, name: R, record: {record}}}\n" for number, record in enumerate(records, 1)
    )
    return ask(parse_rules([("r.yml", text)], USERS), talk(**facts))


@pytest.mark.parametrize(
    ("records", "recording", "offered", "never", "why_not"),
    [
        (["always"], [1], [], [], "matched by rule 1"),
        (["always", "always"], [1, 2], [], [], "matched by rules 1, 2"),
        (["always", "on-demand"], [1], [2], [], "matched by rule 1"),
        (["on-demand"], [], [1], [], "on-demand by rule 1"),
        (["always", "on-demand", "never", "never"], [], [], [3, 4], "never by rules 3, 4"),
        (["never"], [], [], [1], "never by rule 1"),
        ([], [], [], [], "no-rule (there is none that records)"),
    ],
)
def test_precedence(
    records: list[str], recording: list[int], offered: list[int], never: list[int], why_not: str
) -> None:
    answers = several(*records) if records else ask(RuleSet(), talk())
    found = [[rule.id for rule in rules] for rules in (answers.recording, answers.offered, answers.never)]
    assert (*found, answers.why_not()) == (recording, offered, never, why_not)


def test_why_not_names_the_nearest_rule_by_keys_alone() -> None:
    text = """\
rules:
  - {id: 1, name: Far, record: always, when: {direction: inbound, queue: support}}
  - {id: 2, name: Near, record: always, when: {direction: internal, number: "+49*", user: carol}}
  - {id: 3, name: Less, record: on-demand, when: {number: "+49*"}}
  - {id: 4, name: Never, record: never, when: {queue: sales}}
"""
    answers = ask(parse_rules([("r.yml", text)], USERS), talk(number="+1"))
    assert answers.why_not() == "no-rule (nearest: rule 2, but for number)"
    answers = ask(parse_rules([("r.yml", text)], USERS), talk(number="+1", callees=["bob"]))
    assert answers.why_not() == "no-rule (nearest: rule 3, but for number)"


# Mistakes


def test_a_hostile_number_costs_no_time() -> None:
    compiled = rules("{number: '*1*1*1*1*1*1*1*1*1*1*1*1*2'}")
    began = time.process_time()
    assert not ask(compiled, talk(number="1" * 2000)).recording
    assert time.process_time() - began < 60  # a backtracking match would take until long after the last call


def test_a_file_with_many_mistakes_names_them_all() -> None:
    assert refused(
        """\
rules:
  - id: 0
    name: Support
    record: alwys
    when: {direction: inbond, quue: support, user: [alcie, "group:sale"], number: "-"}
  - id: 7
    name:
    record: never
    when:
      queue:
      direction: []
      time: mon-fri
    section: 2h
  - id: 7
    record: [always]
    name: ""
    when: support
  - name: {a: b}
    id: 3
    user: alice
""",
        "rules:\n  - {id: 7, name: x, record: Always, when: {user: 'team:sales'}}\n",
        "rules:\n  - id: 8\n    name: &x y\n",
        "",
        "rules:\n",
        "rule: []\n",
    ) == [
        "a:2:9: `id` must be a whole number from 1 to 999999999, not `0`",
        "a:4:13: `record` cannot be `alwys`: possible are always, on-demand, never (did you mean always?)",
        "a:5:23: `direction` cannot be `inbond`: possible are internal, inbound, outbound (did you mean inbound?)",
        "a:5:31: unknown key `quue` (did you mean queue?)",
        "a:5:53: `user` names a user that users.yml does not know: `alcie` (did you mean alice?)",
        "a:5:60: `user` names a group that users.yml does not know: `group:sale` (did you mean group:sales?)",
        "a:5:83: `number` must be a number or a pattern of one, not `-`",
        "a:7:5: `name` has no value",
        "a:10:7: `queue` has no value",
        "a:11:18: `direction` is an empty list, which nothing can match: name something, or leave the key out",
        "a:12:13: `time` must end with its time zone, like Europe/Berlin or UTC: `mon-fri`",
        "a:14:9: `id` 7 is taken already at a:6:9",
        "a:15:13: `record` must be a single value, not a list",
        "a:16:11: `name` is empty",
        "a:17:11: `when` must hold keys of its own, not text",
        "a:18:5: `record` is missing",
        "a:18:11: `name` must be a single value, not keys",
        "a:20:5: unknown key `user` here (did you mean when: {user: …}?)",
        "b:2:10: `id` 7 is taken already at a:6:9",
        "b:2:30: `record` cannot be `Always`: possible are always, on-demand, never (did you mean always?)",
        "b:2:51: `user` must name a user, or a group as `group:sales`, not `team:sales`",
        "c:3:11: a value cannot begin with `&`: quote it",
        "d:1:1: the file is empty; possible here: rules",
        "e:1:1: `rules` has no value",
        "f:1:1: `rules` is missing",
        "f:1:1: unknown key `rule` (did you mean rules?)",
    ]


def test_without_users_any_name_may_be_a_user() -> None:
    compiled = rules("{user: [dave, 'group:sales']}", directory=Directory())
    assert ask(compiled, talk(callers=["dave"])).recording
    assert not ask(compiled, talk()).recording


def test_of_equally_near_rules_the_first_is_named() -> None:
    text = "rules:\n" + "".join(
        f"  - {{id: {number}, name: R, record: always, when: {{direction: internal, number: '+49{number}*'}}}}\n"
        for number in range(1, 101)
    )
    compiled = parse_rules([("r.yml", text)], USERS)
    answers = ask(compiled, talk(number="+1"))
    assert len(answers.answers) == 100
    assert answers.why_not() == "no-rule (nearest: rule 1, but for number)"
