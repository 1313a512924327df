"""How a rule records: what it says beside its conditions."""

from datetime import timedelta

import pytest

from bridge.core.rules import RULE_ZERO, Channels, Follow, Pause, Start, parse_rules
from tests.core.test_rules import USERS, refused, rules

FULL = """\
rules:
  - id: 1
    name: R
    record: always
    when: {any: [{queue: a}, {callee: alice}]}
    follow: user
    start: answer
    consultation: false
    channels: stereo
    rate: 16000
    beep: 15s
    section: 2h
    pause: user
    pause_at_most: 2m
    keep: 90d
    tags: [support, 7]
"""


def test_a_rule_says_how_it_is_recorded() -> None:
    rule = parse_rules([("r.yml", FULL)], USERS).rules[0].rule
    assert (rule.follow, rule.start, rule.consultation) == (Follow.USER, Start.ANSWER, False)
    assert (rule.channels, rule.rate, rule.tags) == (Channels.STEREO, 16000, ("support", "7"))
    assert (rule.beep, rule.section) == (timedelta(seconds=15), timedelta(hours=2))
    assert (rule.pause, rule.pause_at_most, rule.keep) == (Pause.USER, timedelta(minutes=2), timedelta(days=90))


def test_what_is_not_said_is_the_same_for_every_rule_and_for_rule_0() -> None:
    for rule in (rules().rules[0].rule, RULE_ZERO):
        assert (rule.follow, rule.start, rule.consultation) == (Follow.CALL, Start.TALK, True)
        assert (rule.channels, rule.rate, rule.tags) == (Channels.MONO, 8000, ())
        assert (rule.pause, rule.when.keys) == (Pause.NOBODY, ())
        assert (rule.beep, rule.section, rule.pause_at_most, rule.keep) == (None, None, None, None)
    assert (RULE_ZERO.id, RULE_ZERO.name) == (0, "RECBRIDGE")


@pytest.mark.parametrize(
    ("key", "least", "most", "words"),
    [
        ("beep", "1s", "1h", "from 1s to 1h"),
        ("section", "10s", "24h", "from 10s to 24h"),
        ("pause_at_most", "1s", "24h", "from 1s to 24h"),
        ("keep", "1h", "36500d", "from 1h to 36500d"),
    ],
)
def test_lengths_of_time_have_bounds(key: str, least: str, most: str, words: str) -> None:
    text = "rules: [{id: 1, name: R, record: always, KEY: LENGTH}]".replace("KEY", key)
    for length in (least, most):
        assert parse_rules([("r.yml", text.replace("LENGTH", length))], USERS).rules
    short, long = {"1s": "", "10s": "9s", "1h": "59m"}[least], {"1h": "61m", "24h": "25h", "36500d": ""}[most]
    for length in filter(None, (short, long)):
        (problem,) = refused(text.replace("LENGTH", length))
        assert problem.endswith(f"`{key}` must be {words}")


@pytest.mark.parametrize("when", ["{}", "{queue: a}", "{not: {user: alice}}", "{any: [{queue: a}]}"])
def test_to_follow_a_user_needs_one(when: str) -> None:
    (problem,) = refused(f"rules: [{{id: 1, name: R, record: always, follow: user, when: {when}}}]")
    assert "`follow` can be `user` only where `when` says whom" in problem
