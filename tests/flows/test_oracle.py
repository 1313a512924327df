import math

import pytest

from tests.flows.made import ZERO, Script, two_parties
from tests.flows.truth import Truth


def seen(truth: Truth) -> list[tuple[float, float, list[str]]]:
    """Every stretch of every talk: from, to, who."""
    return [
        (round(stretch.began - ZERO, 3), round(stretch.ended - ZERO, 3), sorted(stretch.legs.values()))
        for talk in truth.talks
        for stretch in talk.stretches
    ]


def test_members_of_one_bridge_talk_from_the_second_ones_entering_to_the_first_ones_leaving() -> None:
    script = Script()
    script.leg(1, "alice")
    script.leg(2, "bob")
    script.enter(1.0, "b", 1)
    script.enter(1.5, "b", 2)
    script.leave(3.0, "b", 1)
    script.leave(3.5, "b", 2)
    assert seen(script.truth()) == [(1.5, 3.0, ["alice", "bob"])]


def test_who_is_parked_or_waits_talks_with_nobody() -> None:
    script = Script()
    script.leg(1, "alice")
    script.leg(2, "bob")
    script.enter(1.0, "p", 1, 2, technology="holding_bridge")
    script.leave(3.0, "p", 1, 2)
    assert seen(script.truth()) == []


def test_the_halves_of_a_local_channel_connect_two_bridges() -> None:
    script = Script()
    for number, name in enumerate(
        ("alice", "Local/102@internal-00000001;1", "Local/102@internal-00000001;2", "bob"), 1
    ):
        script.leg(number, name)
    script.enter(1.0, "one", 1, 2)
    script.enter(1.2, "two", 3, 4)
    script.leave(2.0, "two", 3, 4)
    assert seen(script.truth()) == [(1.2, 2.0, ["alice", "bob"])]


def test_a_local_channel_that_goes_away_ends_no_talk() -> None:
    script = Script()
    for number, name in enumerate(
        ("alice", "Local/102@internal-00000001;1", "Local/102@internal-00000001;2", "bob"), 1
    ):
        script.leg(number, name)
    script.enter(1.0, "one", 1, 2)
    script.enter(1.0, "two", 3, 4)
    script.leave(2.0, "one", 2)
    script.leave(2.001, "two", 4)
    script.enter(2.003, "one", 4)
    script.leave(3.0, "one", 1, 4)
    (talk,) = script.truth().talks
    assert seen(script.truth()) == [(1.0, 3.0, ["alice", "bob"])]
    assert sorted(talk.throughout(ZERO + 1.95, ZERO + 2.05).values()) == ["alice", "bob"]


def test_another_partner_is_another_talk_but_a_third_one_is_not() -> None:
    script = two_parties(1.0, 2.0)
    script.leg(3, "carol")
    script.enter(2.1, "c", 1, 3)
    script.enter(3.0, "c", 9)
    script.leave(4.0, "c", 1, 3, 9)
    truth = script.truth()
    assert [len(talk.stretches) for talk in truth.talks] == [1, 2]
    assert seen(truth) == [(1.0, 2.0, ["alice", "bob"]), (2.1, 3.0, ["alice", "carol"]),
                           (3.0, 4.0, ["alice", "carol", "dave"])]  # fmt: skip


def test_three_who_are_together_for_a_moment_do_not_make_two_talks_one() -> None:
    script = two_parties(1.0, 9.0)
    script.events = script.events[:-2]
    script.leg(3, "carol")
    script.enter(2.0, "b", 3)
    script.leave(2.01, "b", 2)
    script.leave(4.0, "b", 1, 3)
    assert len(script.truth().talks) == 2


def test_a_hangup_without_a_bridge_leave_ends_the_talk() -> None:
    script = two_parties(1.0, 9.0)
    script.events = script.events[:-2]
    script.add(2.0, "Hangup", 2)
    script.add(4.0, "Hangup", 1)
    assert seen(script.truth()) == [(1.0, 2.0, ["alice", "bob"])]


def test_outsiders_with_one_number_are_told_apart_by_their_order_and_others_by_their_number() -> None:
    script = Script()
    for call, number in (("stranger-1", "+49151"), ("outside-2", "+49151"), ("stranger-3", "+49152")):
        script.carrier(call, number)
    script.leg(1, "trunk", caller="+49152")
    script.leg(2, "trunk", caller="+49151")
    script.leg(3, "trunk", caller="+49151")
    script.leg(4, "trunk")  # called, not calling: all numbers outside are answered by `outside`
    script.enter(1.0, "b", 1, 2, 3, 4, technology="softmix")
    script.leave(2.0, "b", 1, 2, 3, 4)
    (stretch,) = [stretch for stretch in script.truth().talks[0].stretches if len(stretch.legs) == 4]
    assert stretch.legs == {"u1": "stranger", "u2": "stranger", "u3": "outside", "u4": "outside"}


@pytest.mark.parametrize("what", ["key", "hold"])
def test_a_leg_is_quiet_while_it_sends_a_key_or_is_on_hold(what: str) -> None:
    script = two_parties()
    if what == "key":
        script.key(1.5, 1)
    else:
        script.add(1.5, "Hold", 1)
        script.add(1.62, "Unhold", 1)
    truth = script.truth()
    assert truth.is_quiet("u1", ZERO + 1.55, ZERO + 1.6)
    assert not truth.is_quiet("u1", ZERO + 1.0, ZERO + 1.45)
    assert not truth.is_quiet("u1", ZERO + 1.7, ZERO + 3.0)
    assert not truth.is_quiet("u2", ZERO, ZERO + 3.0)


def test_a_hold_ends_with_the_bridge_as_asterisk_sends_no_unhold_then() -> None:
    script = two_parties(1.0, 2.0)
    script.events.insert(-2, {**script.events[-2], "Event": "Hold", "Timestamp": f"{ZERO + 1.5:.6f}"})
    script.leg(3, "carol")
    script.enter(2.5, "c", 1, 3)
    script.leave(4.0, "c", 1, 3)
    truth = script.truth()
    assert truth.is_quiet("u1", ZERO + 1.6, ZERO + 1.9)
    assert not truth.is_quiet("u1", ZERO + 2.5, ZERO + 4.0)


def test_a_monitor_belongs_to_the_oldest_channel_of_its_call_at_that_time() -> None:
    script = two_parties(1.0, 2.0)
    script.leg(3, "carol", at=2.0)
    script.leg(4, "outside", linked=3, at=2.0)
    script.monitor(1.0, 2, "/a")
    script.monitor(2.1, 4, "/b")
    script.enter(3.0, "c", 1, 4)
    script.monitor(3.0, 3, "/c")
    monitors = script.truth().monitors
    assert [(one.path, one.call) for one in monitors] == [("/a", "u1"), ("/b", "u3"), ("/c", "u1")]


def test_a_monitor_ends_with_the_first_stop_or_the_hangup_after_what_it_wrote() -> None:
    script = two_parties(1.0, 2.0)
    script.monitor(1.0, 1, "/a")
    script.monitor(1.2, 1, "/b")
    script.add(1.5, "MixMonitorStop", 1)
    script.add(2.5, "Hangup", 1)
    truth = script.truth()
    first, second = truth.monitors
    assert truth.ended(first, ZERO + 1.45) == pytest.approx(ZERO + 1.5)
    assert truth.ended(second, ZERO + 1.9) == pytest.approx(ZERO + 2.5)
    assert truth.ended(second, ZERO + 2.6) == math.inf
