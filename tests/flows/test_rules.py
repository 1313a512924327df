"""What each rule of the flows must cover, and that what is recorded wrongly is seen."""

from dataclasses import replace

import pytest

from tests.flows.made import ZERO, Script, section, two_parties
from tests.flows.rules import FOLLOWING, NEVER, Rule, covered
from tests.flows.truth import Truth
from tests.flows.verdict import Found, judge

_, CAROL, CALLS_OF_BOB, NO_CONSULTATIONS = FOLLOWING.rules
BUT_CAROL = NEVER.rules[0]


def spans(truth: Truth, rule: Rule) -> list[list[tuple[float, float, str]]]:
    """Every covered piece of a talk: its stretches, with the first letters of who is in them."""
    return [
        [
            (round(one.began - ZERO, 2), round(one.ended - ZERO, 2), "".join(sorted(p[0] for p in one.legs.values())))
            for one in talk.stretches
        ]
        for talk in covered(truth, rule).talks
    ]


def one_after_another(*talks: str) -> Script:
    """Alice (1) talks for a second with each of `bcd` (bob is 2, carol 3, dave 4), from 1.0 on."""
    script = Script()
    script.leg(1, "alice")
    for at, other in enumerate(talks, 1):
        number = "abcd".index(other) + 1
        script.leg(number, {"b": "bob", "c": "carol", "d": "dave"}[other], linked=1)
        script.enter(at, f"bridge {at}", 1, number)
        script.leave(at + 0.9, f"bridge {at}", 1, number)
    return script


def three(first: str, second: str, third: str, *, at: float = 2.0) -> Script:
    """A talk of two, which a third joins, until 4.0."""
    script = Script()
    for number, name in enumerate((first, second, third), 1):
        script.leg(number, name)
    script.enter(1.0, "b", 1, 2, technology="softmix")
    script.enter(at, "b", 3, technology="softmix")
    script.leave(4.0, "b", 1, 2, 3)
    return script


# -- follow: call


def test_a_call_is_followed_from_the_first_talk_with_bob_on() -> None:
    truth = one_after_another("d", "b", "c").truth()
    assert spans(truth, CALLS_OF_BOB) == [[(2.0, 2.9, "ab")], [(3.0, 3.9, "ac")]]


def test_a_call_that_bob_has_no_part_in_is_not_followed() -> None:
    script = two_parties()
    script.leg(5, "carol", linked=9)
    script.enter(1.5, "other", 5, 9)
    script.leave(3.5, "other", 5, 9)
    assert spans(script.truth(), CALLS_OF_BOB) == [[(1.0, 3.0, "ab")]]


def test_a_call_is_followed_from_where_it_is_joined_with_one_of_bobs() -> None:
    script = two_parties(1.0, 3.0)
    script.leg(5, "carol", linked=9)
    script.enter(1.5, "other", 5, 9)
    script.enter(3.5, "other", 1)
    script.leave(4.5, "other", 1)
    script.leave(5.0, "other", 5, 9)
    assert spans(script.truth(), CALLS_OF_BOB) == [[(1.0, 3.0, "ab")], [(3.5, 4.5, "acd"), (4.5, 5.0, "cd")]]


def test_who_joins_a_talk_makes_no_rule_match() -> None:
    assert spans(three("alice", "carol", "bob").truth(), CALLS_OF_BOB) == []
    assert spans(three("alice", "bob", "carol").truth(), CAROL) == []


# -- follow: user


def test_a_user_is_followed_in_its_own_talks_only() -> None:
    truth = one_after_another("b", "c", "d").truth()
    assert spans(truth, CAROL) == [[(2.0, 2.9, "ac")]]


def test_a_user_is_followed_while_it_is_in_the_talk() -> None:
    script = three("alice", "carol", "bob")
    script.events = script.events[:-3]
    script.leave(3.0, "b", 2)
    script.enter(3.5, "b", 2, technology="softmix")
    script.leave(4.0, "b", 1, 2, 3)
    assert spans(script.truth(), CAROL) == [[(1.0, 2.0, "ac"), (2.0, 3.0, "abc")], [(3.5, 4.0, "abc")]]


# -- consultation: false


def by_feature(*, hold: bool = True) -> Script:
    """Bob leaves Alice waiting, talks with Carol from 2.0 to 3.0, and has both talk."""
    script = Script()
    for number, name in enumerate(("alice", "bob", "carol"), 1):
        script.leg(number, name, linked=1)
    script.enter(1.0, "first", 1, 2)
    if hold:
        script.add(1.9, "Hold", 2)
    script.leave(1.95, "first", 2)
    script.enter(2.0, "second", 2, 3)
    script.leave(3.0, "second", 2, 3)
    script.enter(3.1, "first", 3)
    script.leave(4.0, "first", 1, 3)
    return script


def test_who_holds_and_leaves_consults_until_the_transfer() -> None:
    truth = by_feature().truth()
    assert spans(truth, NO_CONSULTATIONS) == [[(1.0, 1.95, "ab")], [(3.1, 4.0, "ac")]]


def test_who_leaves_without_a_hold_does_not_consult() -> None:
    assert len(spans(by_feature(hold=False).truth(), NO_CONSULTATIONS)) == 3


def test_when_the_one_who_waits_has_gone_it_is_no_consultation_any_more() -> None:
    script = by_feature()
    script.add(2.5, "Hangup", 1)
    script.events.sort(key=lambda event: event["Timestamp"])
    assert spans(script.truth(), NO_CONSULTATIONS)[1] == [(2.5, 3.0, "bc")]


def test_a_swap_back_is_no_consultation_though_the_other_waits_then() -> None:
    script = by_feature()
    script.events = script.events[:-5]
    script.add(3.0, "Hold", 2)
    script.leave(3.0, "second", 2)
    script.enter(3.0, "first", 2)
    script.leave(4.0, "first", 2)
    script.enter(4.0, "second", 2)
    script.leave(5.0, "second", 2, 3)
    script.add(5.0, "Hangup", 1)
    assert spans(script.truth(), NO_CONSULTATIONS) == [[(1.0, 1.95, "ab")], [(3.0, 4.0, "ab")]]


def on_two_lines(*, dials: bool = True, holds: int | None = 2) -> Script:
    """Bob's phone talks with Alice (1 and 2), and from 2.0 to 3.0 with Carol (3 and 4)."""
    script = two_parties(1.0, 4.0)
    if holds:
        script.add(1.9, "Hold", holds)
    script.leg(3, "bob", caller="102" if dials else "")
    script.leg(4, "carol", linked=3)
    script.enter(2.0, "second", 3, 4)
    script.leave(3.0, "second", 3, 4)
    script.events.sort(key=lambda event: event["Timestamp"])
    return script


def test_who_holds_on_one_line_and_dials_on_the_other_consults() -> None:
    truth = on_two_lines().truth()
    assert spans(truth, NO_CONSULTATIONS) == [[(1.0, 4.0, "ab")]]


@pytest.mark.parametrize("other", [{"dials": False}, {"holds": None}, {"holds": 1}])
def test_who_is_called_or_holds_nobody_does_not_consult(other: dict[str, int | None]) -> None:
    assert len(spans(on_two_lines(**other).truth(), NO_CONSULTATIONS)) == 2  # type: ignore[arg-type]  # bool is an int


# -- never


def test_a_talk_that_began_with_carol_is_nobodys() -> None:
    assert spans(one_after_another("b", "c", "d").truth(), BUT_CAROL) == [[(1.0, 1.9, "ab")], [(3.0, 3.9, "ad")]]
    assert spans(three("alice", "carol", "bob").truth(), BUT_CAROL) == []


@pytest.mark.parametrize("at", [2.0, 1.01])
def test_a_talk_that_carol_joins_stays_as_it_began_however_soon_she_comes(at: float) -> None:
    (talk,) = spans(three("alice", "bob", "carol", at=at).truth(), BUT_CAROL)
    assert talk[-1] == (at, 4.0, "abc")


# -- What is recorded


def test_what_a_rule_does_not_cover_is_a_fault_where_it_is_recorded() -> None:
    truth = by_feature().truth()
    consultation = replace(section(3, 2.0, 3.0, "bob", "carol", rule=4), record_id="r")
    verdict = judge(covered(truth, NO_CONSULTATIONS), Found([consultation]).of(4))
    assert "r_4_001: 1.0 s are recorded without a talk that is covered" in verdict.faults


def test_what_a_rule_covers_is_lost_where_it_is_not_recorded() -> None:
    truth = one_after_another("b", "c").truth()
    verdict = judge(covered(truth, CAROL), Found([section(1, 2.0, 2.5, "alice", "carol", rule=2)]).of(2))
    assert verdict.talk_s == pytest.approx(0.8)
    assert verdict.kept_s == pytest.approx(0.4)
    everything = judge(truth, Found([section(1, 2.0, 2.9, "alice", "carol", rule=2)]).of(1))
    assert everything.kept_s == 0
