"""What each condition holds for, and that matching equals a second, obvious implementation."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.ids import Identity
from bridge.core.matching import sample_point
from bridge.core.people import Directory, UserFlags, parse_users
from bridge.core.rules import Direction, RecordMode, TalkFacts, ask, parse_rules
from tests.core import obvious

USERS = parse_users(
    """\
users:
  - {identity: alice, groups: [sales], call_record_outgoing_internal_enabled: true}
  - {identity: bob, groups: [sales, support], online_call_record_enabled: true}
  - {identity: carol}
""",
    "users.yml",
)


def talk(
    direction: str = "internal",
    callers: Sequence[str] = ("alice",),
    callees: Sequence[str] = ("carol",),
    flags: Mapping[str, UserFlags] | None = None,
    **facts: Any,
) -> TalkFacts:
    given: dict[str, Any] = {"number": "", "dialed": "", "queue": "", "context": ""}
    given["at"] = datetime(2026, 3, 2, 9, tzinfo=UTC)
    return TalkFacts(
        direction=Direction(direction),
        callers=frozenset(map(Identity, callers)),
        callees=frozenset(map(Identity, callees)),
        flags={Identity(user): one for user, one in (flags or {}).items()},
        **given | facts,
    )


def reason(when: str, facts: TalkFacts, directory: Directory = USERS) -> str | None:
    text = f"rules: [{{id: 1, name: One, record: always, when: {when}}}]"
    (answer,) = ask(parse_rules([("r.yml", text)], directory), facts).answers
    return answer.reason


IN = talk("inbound", [], ["bob"], number="+4930", dialed="100")
SET = talk(variables={"CAMPAIGN": "spring 26", "_ONE": "1", "__TWO": "2", "EMPTY": ""})
PHONES = talk(channels=("PJSIP/alice-0000001f", "PJSIP/trunk-a-00000020"))
ON = UserFlags(call_record_incoming_external_enabled=True)
OFF = UserFlags()


@pytest.mark.parametrize(
    ("when", "facts", "expected"),
    [
        ("{caller: alice}", talk(), None),
        ("{caller: carol}", talk(), "caller is alice, not carol"),
        ("{callee: carol}", talk(), None),
        ("{callee: 'group:sales'}", talk(), "callee is carol, not group:sales"),
        ("{caller: 'group:sales'}", talk(), None),
        ("{caller: bob}", IN, "caller is none, not bob"),
        ("{dialed: '1??'}", IN, None),
        ("{dialed: '1 0-0'}", IN, None),
        ("{dialed: [2*, 3*]}", IN, "dialed is 100, not 2* or 3*"),
        ("{dialed: '*'}", talk(), "dialed is none, not *"),
        ("{dialed: *26}", talk(dialed="*26"), None),
        ("{context: from-*}", talk(context="From-trunk"), None),
        ("{context: from-*}", talk(context="internal"), "context is internal, not from-*"),
        ("{channel: PJSIP/alice}", PHONES, None),
        ("{channel: PJSIP/trunk-*}", PHONES, None),
        ("{channel: PJSIP/alice-0000001F}", PHONES, None),
        ("{channel: PJSIP/al}", PHONES, "channel is PJSIP/alice-0000001f and PJSIP/trunk-a-00000020, not PJSIP/al"),
        ("{channel: '*'}", talk(), "channel is none, not *"),
        ("{time: 'mon UTC'}", talk(), None),
        ("{time: ['tue UTC', '08:00-10:00 UTC']}", talk(), None),
        ("{time: tue 08:00-18:00 Europe/Berlin}", talk(),
         "time is mon 10:00 Europe/Berlin, not tue 08:00-18:00 Europe/Berlin"),
        ("{variable: {CAMPAIGN: 'Spring*'}}", SET, None),
        ("{variable: {CAMPAIGN: [autumn*, summer*]}}", SET,
         "variable.CAMPAIGN is spring 26, not autumn* or summer*"),
        ("{variable: {campaign: '*'}}", SET, "variable.campaign is none, not *"),
        ("{variable: {ONE: 1, TWO: 2}}", SET, None),
        ("{variable: {__ONE: 1, _TWO: 2}}", SET, None),
        ("{variable: {ONE: 1, TWO: 3, SIX: 6}}", SET, "variable.TWO is 2, not 3"),
        ("{variable: {EMPTY: '*'}}", SET, "variable.EMPTY is none, not *"),
        ("{sample: 100%}", talk(call_id="a"), None),
        ("{sample: 0%}", talk(call_id="a"), "sample is 79.1374%, not below 0%"),
        ("{sample: 100%}", talk(), "sample is none, not below 100%"),
        ("{user_call_record: true}", talk(), None),
        ("{user_call_record: true}", talk("outbound"), "user_call_record is false, not true"),
        ("{user_call_record: true}", talk(callers=["carol"], callees=["alice"]),
         "user_call_record is false, not true"),
        ("{user_call_record: false}", talk(), "user_call_record is true, not false"),
        ("{user_call_record: false}", talk(callers=["dave"]), None),
        ("{user_call_record: false}", talk(flags={"alice": OFF}), None),
        ("{user_call_record: true}", talk("inbound", [], ["bob"], flags={"bob": ON}), None),
        ("{user_call_record: true}", talk("internal", ["bob"], ["bob"], flags={"bob": ON}),
         "user_call_record is false, not true"),
        ("{online_call_record: true}", talk(callees=["bob"]), None),
        ("{online_call_record: true}", talk(), "online_call_record is false, not true"),
        ("{online_call_record: false}", talk(), None),
        ("{all: [{caller: alice}, {callee: carol}]}", talk(), None),
        ("{all: [{caller: alice}, {direction: internal, callee: bob}]}", talk(), "all.callee is carol, not bob"),
        ("{all: {callee: bob}}", talk(), "all.callee is carol, not bob"),
        ("{any: [{callee: bob}, {callee: carol}]}", talk(), None),
        ("{any: [{callee: bob}, {direction: internal, queue: a, context: b}]}", talk(),
         "any: callee is carol, not bob; queue is none, not a"),
        ("{not: {callee: bob}}", talk(), None),
        ("{not: {direction: internal, callee: bob}}", talk(), None),
        ("{not: {direction: internal, callee: carol}}", talk(), "not: direction and callee hold"),
        ("{not: {not: {callee: carol}}}", talk(), None),
        ("{not: {not: {callee: bob}}}", talk(), "not: not holds"),
        ("{all: [{any: [{callee: bob}, {all: [{callee: dave}]}]}]}", talk(),
         "all.any: callee is carol, not bob; all.callee is carol, not dave"),
        ("{any: [{queue: a}], direction: inbound}", talk(), "any: queue is none, not a"),
        ("{direction: inbound, any: [{queue: a}]}", talk(), "direction is internal, not inbound"),
    ],
)  # fmt: skip
def test_a_condition_holds_or_says_what_it_found(when: str, facts: TalkFacts, expected: str | None) -> None:
    users = USERS.users if "dave" not in when else ()
    assert reason(when, facts, Directory(users)) == expected


def test_a_plain_variable_stands_over_an_inherited_one() -> None:
    facts = talk(variables={"__A": "old", "A": "new"})
    assert reason("{variable: {A: new}}", facts) is None
    assert reason("{variable: {A: old}}", facts) == "variable.A is new, not old"
    assert reason("{variable: {A: old}}", talk(variables={"__A": "old", "A": ""})) == "variable.A is none, not old"


def test_the_variables_that_rules_ask_for() -> None:
    text = """\
rules:
  - {id: 1, name: R, record: always, when: {variable: {__A: 1, B: 2}}}
  - {id: 2, name: R, record: never, when: {any: [{variable: {C: 1}}, {not: {all: [{variable: {_D: 1}}]}}]}}
"""
    assert parse_rules([("r.yml", text)], USERS).variables() == {"RECBRIDGE", "A", "B", "C", "D"}


def test_the_users_whom_a_rule_follows() -> None:
    text = """\
rules:
  - id: 1
    name: R
    record: always
    when: {caller: carol, any: [{user: "group:sales"}, {queue: a}], not: {callee: dave}}
    follow: user
"""
    everybody = parse_users("users: [{identity: a, groups: sales}, {identity: carol}, {identity: dave}]", "u")
    (placed,) = parse_rules([("r.yml", text)], everybody).rules
    assert placed.users == {"a", "carol"}


# Samples


def test_a_call_stands_at_the_same_point_of_all_samples_for_ever() -> None:
    # SHA-256 as `printf ID | sha256sum` prints it, its first 16 digits.
    points = {"": 0xE3B0C44298FC1C14, "a": 0xCA978112CA1BBDCA, "pbx1-1795223079.12": 0xF04D20834B81E75C}
    assert {one: sample_point(one) * 2**64 for one in points} == points


def test_a_sample_does_not_depend_on_the_run() -> None:
    program = (
        "import json\n"
        "from bridge.core.matching import sample_point\n"
        "print(json.dumps([n for n in range(300) if sample_point(f'1795223079.{n}') < 0.1]))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    here = [n for n in range(300) if sample_point(f"1795223079.{n}") < 0.1]
    assert [json.loads(run) for run in runs] == [here, here]


@pytest.mark.parametrize("share", ["0.5%", "10%", "33.3%", "90%"])
def test_a_sample_is_near_its_share(share: str) -> None:
    text = f"rules: [{{id: 1, name: R, record: always, when: {{sample: {share}}}}}]"
    rules = parse_rules([("r.yml", text)], USERS)
    calls = [f"{1_795_223_079 + n // 7}.{n}" for n in range(20_000)]
    taken = sum(bool(ask(rules, talk(call_id=one)).recording) for one in calls)
    wanted = float(share.rstrip("%")) / 100
    # Five standard deviations of a fair draw, and the calls are fixed: it holds or it does not.
    assert abs(taken / len(calls) - wanted) < 5 * (wanted * (1 - wanted) / len(calls)) ** 0.5


# Matching equals a second, obvious implementation

_PIECES = st.text(alphabet="ab1*?[]+. -", min_size=1, max_size=5)
_TEXTS = st.lists(_PIECES.filter(lambda text: text.strip() != ""), min_size=1, max_size=2)
_NUMBERS = st.lists(_PIECES.filter(lambda text: obvious.digits(text) != ""), min_size=1, max_size=2)
_SOME_USER = st.lists(
    st.sampled_from(["alice", "bob", "carol", "group:sales", "group:support"]), min_size=1, max_size=2
)
_NAMES = ["alice", "bob", "carol", "dave"]
_CHANNELS = ["PJSIP/a-0000001f", "PJSIP/ab-00000020", "SIP/1-0000000a"]

_LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "direction": st.lists(st.sampled_from(list(map(str, Direction))), min_size=1, max_size=2),
    "queue": _TEXTS,
    "user": _SOME_USER,
    "caller": _SOME_USER,
    "callee": _SOME_USER,
    "number": _NUMBERS,
    "dialed": _NUMBERS,
    "context": _TEXTS,
    "channel": st.lists(st.sampled_from(["PJSIP/a", "pjsip/a*", "*/1", "SIP/?-*", "*"]), min_size=1, max_size=2),
    "time": st.lists(st.sampled_from(list(obvious.TIMES)), min_size=1, max_size=2),
    "variable": st.dictionaries(st.sampled_from(["A", "_A", "__B", "C"]), _TEXTS, min_size=1, max_size=2),
    "sample": st.sampled_from(["0%", "10%", "50%", "99.5%", "100%"]),
    "user_call_record": st.sampled_from(["true", "false"]),
    "online_call_record": st.sampled_from(["true", "false"]),
}


def _when(inner: st.SearchStrategy[Any] | None, at_least: int) -> st.SearchStrategy[dict[str, Any]]:
    possible = dict(_LEAVES)
    if inner is not None:
        items = st.lists(inner, min_size=1, max_size=3)
        possible |= {"all": items, "any": items, "not": inner}
    keys = st.lists(st.sampled_from(list(possible)), min_size=at_least, max_size=3, unique=True)
    return keys.flatmap(lambda chosen: st.fixed_dictionaries({key: possible[key] for key in chosen}))


WHENS = st.recursive(_when(None, 1), lambda inner: _when(inner, 1), max_leaves=5) | _when(None, 0)
_FLAG = st.booleans()
FACTS = st.builds(
    talk,
    direction=st.sampled_from(list(map(str, Direction))),
    callers=st.lists(st.sampled_from(_NAMES), max_size=2),
    callees=st.lists(st.sampled_from(_NAMES), max_size=2),
    number=_PIECES | st.just(""),
    dialed=_PIECES | st.just(""),
    queue=_PIECES | st.just(""),
    context=_PIECES | st.just(""),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 2, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # it adds it
    variables=st.dictionaries(st.sampled_from(["A", "__A", "_B", "C"]), _PIECES | st.just("")),
    channels=st.lists(st.sampled_from(_CHANNELS), max_size=2).map(tuple),
    call_id=st.sampled_from(["", "1.1", "1.2", "1.3", "a"]),
    flags=st.dictionaries(st.sampled_from(_NAMES), st.builds(UserFlags, _FLAG, _FLAG, _FLAG, _FLAG, _FLAG), max_size=2),
)


def _one_way(when: Mapping[str, Any]) -> bool:
    """A and _A in one rule would ask the same variable twice, which is right but makes `first` ambiguous."""
    nested = [*when.get("all", []), *when.get("any", []), *([when["not"]] if "not" in when else [])]
    names = [name.lstrip("_") for name in when.get("variable", {})]
    return len(set(names)) == len(names) and all(map(_one_way, nested))


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(map(str, RecordMode))), WHENS.filter(_one_way)), min_size=1, max_size=4),
    FACTS,
)
def test_matching_equals_the_obvious(written: list[tuple[str, dict[str, Any]]], facts: TalkFacts) -> None:
    rules = [
        {"id": str(number), "name": "R", "record": record, "when": when}
        for number, (record, when) in enumerate(written, 1)
    ]
    # JSON is YAML; and every text is quoted.
    answers = ask(parse_rules([("r.yml", json.dumps({"rules": rules}))], USERS), facts)
    failed = [obvious.first_failed(when, facts) for _, when in written]
    assert [answer.failed.key if answer.failed else None for answer in answers.answers] == failed
    matched = [(number, record) for number, (record, _) in enumerate(written, 1) if failed[number - 1] is None]
    never = any(record == "never" for _, record in matched)
    for found, wanted in ((answers.recording, "always"), (answers.offered, "on-demand")):
        assert [rule.id for rule in found] == [number for number, one in matched if one == wanted and not never]
    assert [rule.id for rule in answers.never] == [number for number, one in matched if one == "never"]
