"""What the options of a rule make of sections."""

from datetime import timedelta

import pytest

from bridge.core import decisions as d
from bridge.core.ids import Uniqueid
from bridge.core.messages import VariableSet
from bridge.core.records import SectionState
from tests.core.scene import Scene


def rule(options: str) -> str:
    return f"rules:\n  - {{id: 1, name: A, record: always, {options}}}\n"


def switch(scene: Scene, stays: Uniqueid, leaves: Uniqueid, comes: str) -> Uniqueid:
    """The partner of one who stays leaves, and a second later another comes."""
    scene.pbx.leave("b1", leaves)
    new = scene.pbx.channel(f"PJSIP/{comes}-1", of=stays)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", new)
    scene.play()
    return new


def test_follow_user_holds_while_that_user_is_in_the_talk() -> None:
    scene = Scene(rules=rule("follow: user, when: {user: bob, direction: internal}"))
    alice, bob = scene.call()
    carol = switch(scene, alice, bob, "carol")
    assert len(scene.starts()) == 1
    scene.pbx.leave("b1", carol)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", bob)
    scene.play()
    assert [start.key.file for start in scene.starts()] == [1, 2]


def test_follow_user_ends_in_a_talk_that_the_user_leaves_and_begins_when_it_comes_back() -> None:
    scene = Scene(rules=rule("follow: user, when: {user: bob}"))
    alice, bob = scene.call()
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.pbx.enter("b1", carol)
    scene.play()
    assert scene.stops() == []
    scene.pbx.leave("b1", bob)
    scene.play()
    assert len(scene.stops()) == 1
    scene.pbx.wait(1)
    scene.pbx.enter("b1", bob)
    scene.play()
    assert [start.key.file for start in scene.starts()] == [1, 2]
    assert alice in scene.recorder.tracker.channels


def test_start_answer_records_queue_and_ivr_and_the_talk_in_the_next_section() -> None:
    scene = Scene(rules=rule("start: answer, when: {queue: support}"))
    trunk = scene.pbx.channel("PJSIP/trunk-1", exten="500", number="+49", context="from-trunk")
    scene.pbx.up(trunk)
    scene.play()
    assert scene.starts() == []  # no queue yet
    scene.pbx.queue(trunk, "support")
    scene.play()
    (early,) = scene.starts()
    assert (early.leg, early.key.record_id, early.key.file) == (trunk, "1700000000-1_0", 1)
    scene.pbx.wait(5)
    bob = scene.pbx.ring(trunk, "PJSIP/bob-1")
    scene.pbx.answered(trunk, bob, "b1")
    scene.play()
    # The leg that has just come hears both: the one before never outlives a change of partner.
    assert [start.leg for start in scene.starts()] == [trunk, bob]
    first, second = scene.sections.values()
    assert (first.state, second.state) == (SectionState.STORED, SectionState.RECORDING)
    assert second.record_id == first.record_id


def test_start_answer_waits_for_the_answer_and_start_ring_does_not() -> None:
    rules = rule("start: answer") + "  - {id: 2, name: B, record: always, start: ring}\n"
    scene = Scene(rules=rules)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.play()
    assert [(start.key.rule_id, start.leg) for start in scene.starts()] == [(2, alice)]
    scene.pbx.up(alice)
    scene.play()
    assert [start.key.rule_id for start in scene.starts()] == [2, 1]


def test_a_call_that_never_talks_ends_its_early_section_at_hangup() -> None:
    scene = Scene(rules=rule("start: answer"))
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.up(alice)
    scene.pbx.wait(5)
    scene.pbx.hangup(alice)
    scene.play()
    (section,) = scene.sections.values()
    assert section.state is SectionState.STORED
    assert scene.entries[0].record_id == section.record_id


def test_start_talk_records_nothing_before_the_talk() -> None:
    scene = Scene(rules=rule("start: talk"))
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.up(alice)
    scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.play()
    assert scene.starts() == []


def test_never_stands_over_start_answer_too() -> None:
    never = "  - {id: 2, name: N, record: never, when: {user: bob}}\n"
    scene = Scene(rules=rule("start: answer") + never)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="500")
    scene.pbx.up(alice)
    scene.play()
    assert len(scene.starts()) == 1
    scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.play()
    assert len(scene.stops()) == 1


@pytest.mark.parametrize(
    ("called", "leg", "leg_is_left"), [("bob", 0, True), ("trunk", 1, False)], ids=["inside", "outside"]
)
def test_stereo_has_the_caller_on_the_left_whichever_leg_is_recorded(
    called: str, leg: int, *, leg_is_left: bool
) -> None:
    scene = Scene(rules=rule("channels: stereo, rate: 16000, beep: 15s"))
    parties = scene.call("alice", called)
    scene.play()
    (start,) = scene.starts()
    assert (start.leg, start.wav.leg_is_left, start.beep_s) == (parties[leg], leg_is_left, 15)
    stem = start.wav.path.removesuffix(".wav")
    assert (start.wav.mixed, start.wav.receive) == (f"{stem}.wav16", f"{stem}_r.wav16")


def test_the_next_section_begins_before_the_longest_one_ends() -> None:
    scene = Scene(rules=rule("section: 1m"))
    alice, bob = scene.call()
    scene.play()
    assert scene.due() == scene.sections[scene.starts()[0].key].requested_at + timedelta(minutes=1)
    scene.answers = False
    scene.tick(60)
    first, second = scene.starts()
    assert scene.stops() == []  # not before the next one runs
    scene.take(d.MixMonitorAccepted(scene.pbx.now, second.key, "0x9"), scene.pbx.now)
    assert [stop.key for stop in scene.stops()] == [first.key]
    scene.answers = True
    scene.take(d.StopAnswered(scene.pbx.now, first.key), scene.pbx.now)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    assert {section.state for section in scene.sections.values()} == {SectionState.STORED}
    assert scene.due() is None


def test_a_successor_that_is_refused_leaves_the_section_running() -> None:
    scene = Scene(rules=rule("section: 1m"))
    alice, bob = scene.call()
    scene.play()
    scene.refuse = lambda _: True
    scene.tick(60)
    assert scene.stops() == []
    scene.pbx.over("b1", alice, bob)
    scene.play()
    states = {section.file: section.state for section in scene.sections.values()}
    assert states == {1: SectionState.STORED, 2: SectionState.FAILED}


def test_a_talk_that_ends_before_the_successor_runs_ends_both() -> None:
    scene = Scene(rules=rule("section: 1m"))
    _, bob = scene.call()
    scene.play()
    scene.answers = False
    scene.tick(60)
    scene.pbx.leave("b1", bob)
    scene.play()
    assert [stop.key.file for stop in scene.stops()] == [1]
    second = scene.starts()[1]
    scene.take(d.MixMonitorAccepted(scene.pbx.now, second.key, "0x9"), scene.pbx.now)
    assert [stop.key.file for stop in scene.stops()] == [1, 2]


def test_tags_and_keep_are_the_rules() -> None:
    scene = Scene(rules=rule("tags: [support, gold], keep: 90d"))
    scene.call()
    scene.play()
    (section,) = scene.sections.values()
    assert section.tags == ("support", "gold")
    assert section.keep_s == timedelta(days=90).total_seconds()


def test_a_variable_set_in_mid_call_counts_at_the_next_talk() -> None:
    scene = Scene(rules=rule("when: {variable: {CAMPAIGN: 'spring*'}}"))
    alice, bob = scene.call()
    scene.play()
    assert scene.starts() == []
    for name, value in (("CAMPAIGN", "spring-2"), ("OTHER", "x")):
        scene.pbx.events.append(VariableSet(scene.pbx.now, alice, name, value))
    switch(scene, alice, bob, "carol")
    assert len(scene.starts()) == 1
    assert scene.recorder.tracker.calls["1700000000.1"].variables == {"CAMPAIGN": "spring-2"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("value", "mode", "expected"),
    [("always", "on-demand", [1]), ("never", "always", []), ("on-demand", "always", []), ("sometimes", "always", [1])],
)
def test_the_variable_recbridge_stands_over_the_rules(value: str, mode: str, expected: list[int]) -> None:
    scene = Scene(rules=f"rules:\n  - {{id: 1, name: A, record: {mode}}}\n")
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.events.append(VariableSet(scene.pbx.now, alice, "RECBRIDGE", value))
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.pbx.answered(alice, bob, "b1")
    scene.play()
    assert [start.key.rule_id for start in scene.starts()] == expected


def test_always_without_a_matching_rule_records_as_rule_0() -> None:
    scene = Scene(rules=rule("when: {user: nobody}"))
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.events.append(VariableSet(scene.pbx.now, alice, "RECBRIDGE", "always"))
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.pbx.answered(alice, bob, "b1")
    scene.play()
    (start,) = scene.starts()
    assert start.key.rule_id == 0
    assert start.wav.path.endswith("_0_001.wav")
