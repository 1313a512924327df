"""What the recorder decides, call by call."""

import pytest

from bridge.core import decisions as d
from bridge.core.ids import RuleId, SectionKey
from bridge.core.messages import MixMonitorStarted
from bridge.core.now import calls_now
from bridge.core.records import FactKind, SectionState
from bridge.core.sectioner import STOP_AGAIN_S
from tests.core.scene import RECORD_ALL, Scene


def test_a_talk_is_recorded_from_bridge_enter_to_hangup() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.pbx.wait(5)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    (section,) = scene.sections.values()
    assert section.key == ("1700000000-1_1700000000-2", 1, 1)
    assert section.path == "2026/03/02/1700000000-1_1700000000-2_1_001.wav"
    assert (section.headchannel, section.tailchannel) == ("PJSIP/alice-1", "PJSIP/bob-1")
    assert section.participants == ("alice", "bob")
    assert section.state is SectionState.STORED
    assert section.started_at is not None
    assert section.ended_at is not None
    assert scene.kinds("section") == [
        "section.requested", "section.recording", "section.stopping", "section.closed", "section.stored",
    ]  # fmt: skip


def test_intent_is_kept_before_mixmonitor_is_asked_for() -> None:
    scene = Scene()
    scene.call()
    *before, last = scene.pbx.take()
    for event in before:
        scene.take(event, event.at)
    kinds = [type(decision).__name__ for decision in scene.recorder.handle(last, last.at)]
    assert kinds.index("PutSection") < kinds.index("StartMixMonitor")
    assert kinds.count("StartMixMonitor") == 1


def test_hangup_closes_section_without_mixmonitor_stop() -> None:
    scene = Scene()
    alice, _ = scene.call()
    scene.pbx.hangup(alice)
    scene.play()
    (section,) = scene.sections.values()
    assert section.state is SectionState.STORED


def test_the_outside_party_is_recorded_on_then_the_caller() -> None:
    inside, outside = Scene(), Scene()
    alice, _ = inside.call()
    inside.play()
    _, trunk = outside.call("alice", "trunk", exten="0301234567")
    outside.play()
    assert [start.leg for start in inside.starts()] == [alice]
    assert [start.leg for start in outside.starts()] == [trunk]


def test_every_matching_rule_records_on_its_own() -> None:
    scene = Scene(rules=RECORD_ALL + "  - {id: 7, name: Inside, record: always, when: {direction: internal}}\n")
    scene.call()
    scene.play()
    assert [start.key.rule_id for start in scene.starts()] == [1, 7]
    assert len({start.wav.path for start in scene.starts()}) == 2


def test_never_stands_over_always_and_is_asked_anew_for_each_talk() -> None:
    scene = Scene(rules=RECORD_ALL + "  - {id: 9, name: Not Carol, record: never, when: {user: carol}}\n")
    alice, bob = scene.call()
    scene.pbx.leave("b1", bob)
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", carol)
    scene.play()
    assert len(scene.starts()) == 1
    scene.pbx.leave("b1", carol)
    dave = scene.pbx.channel("PJSIP/dave-1", of=alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", dave)
    scene.play()
    assert [start.key.file for start in scene.starts()] == [1, 2]


def test_a_rule_that_matched_once_holds_for_the_rest_of_the_call() -> None:
    scene = Scene(rules="rules:\n  - {id: 1, name: Bob's, record: always, when: {user: bob}}\n")
    alice, bob = scene.call()
    scene.pbx.leave("b1", bob)
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", carol)
    scene.play()
    assert [(start.key.rule_id, start.key.file) for start in scene.starts()] == [(1, 1), (1, 2)]


def test_a_rule_that_matched_under_a_never_holds_once_the_never_is_gone() -> None:
    never_carol = "  - {id: 9, name: Not Carol, record: never, when: {user: carol}}\n"
    scene = Scene(rules="rules:\n  - {id: 1, name: Carol's, record: always, when: {user: carol}}\n" + never_carol)
    alice, carol = scene.call(called="carol")
    scene.pbx.leave("b1", carol)
    dave = scene.pbx.channel("PJSIP/dave-1", of=alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", dave)
    scene.play()
    assert [(start.key.rule_id, start.leg) for start in scene.starts()] == [(1, alice)]


def test_another_partner_begins_the_next_section_of_the_same_record() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.pbx.leave("b1", bob)
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", carol)
    scene.play()
    first, second = scene.sections.values()
    assert (first.record_id, first.file, second.record_id, second.file) == (first.record_id, 1, first.record_id, 2)
    assert first.state is SectionState.STORED
    assert second.state is SectionState.RECORDING
    assert second.participants == ("alice", "carol")


def test_a_leg_whose_mixmonitor_just_ended_is_passed_over_for_the_one_that_came() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.pbx.leave("b1", bob)
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.pbx.enter("b1", carol)
    scene.play()
    assert [start.leg for start in scene.starts()] == [alice, carol]


def test_the_least_bad_leg_is_taken_after_100_ms_and_a_fact_says_so() -> None:
    scene = Scene()
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    for leg in (alice, bob):
        scene.pbx.events.append(MixMonitorStarted(scene.pbx.now, leg))
    scene.pbx.answered(alice, bob, "b1")
    scene.play()
    assert scene.starts() == []
    assert scene.due() is not None
    scene.tick(0.1)
    assert [start.leg for start in scene.starts()] == [alice]
    (fact,) = (fact for fact in scene.facts if fact.kind is FactKind.LEG_COMPROMISE)
    assert fact.data["reason"] == "foreign-mixmonitor"
    assert scene.due() is None


def test_a_refused_mixmonitor_is_a_failed_section_with_its_reason() -> None:
    scene = Scene(refuse=lambda _: True)
    alice, bob = scene.call()
    scene.play()
    (section,) = scene.sections.values()
    assert (section.state, section.reason) == (SectionState.FAILED, "asterisk-refused")
    scene.pbx.over("b1", alice, bob)
    scene.play()
    assert scene.entries[0].record_id is None
    assert scene.cdrs[0].record_ids == ()


def test_a_start_without_an_answer_that_came_to_nothing_is_tried_again_while_the_talk_goes_on() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    for number in range(1, 5):
        assert [one.key.file for one in scene.starts()] == list(range(1, number + 1))
        scene.lost(scene.starts()[-1])
        scene.tick(0.1)
    last = scene.starts()[-1]
    scene.pbx.over("b1", alice, bob)
    scene.play()
    scene.lost(last)
    assert scene.due() is None
    assert {section.state for section in scene.sections.values()} == {SectionState.FAILED}


def test_while_asterisk_is_away_a_start_waits_for_it() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorRefused(scene.pbx.now, start.key, "asterisk-unreachable", "gone"), scene.pbx.now)
    for _ in range(3):
        scene.wakes()
        scene.take(d.MixMonitorNotSought(scene.pbx.now, start.key, "asterisk-unreachable"), scene.pbx.now)
    scene.pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    scene.play()
    scene.take(d.MixMonitorFound(scene.pbx.now, start.key, None), scene.pbx.now)
    scene.tick(0.1)
    assert [one.key.file for one in scene.starts()] == [1, 2]


def test_a_start_without_an_answer_is_not_tried_again_once_the_talk_is_over() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorRefused(scene.pbx.now, start.key, "asterisk-timeout", "late"), scene.pbx.now)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    assert scene.due() is None
    scene.tick(2)
    assert scene.starts() == [start]


def test_a_talk_that_ends_before_mixmonitor_answers_is_stopped_by_its_id() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.pbx.leave("b1", bob)
    scene.play()
    (start,) = scene.starts()
    assert scene.stops() == []
    scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0xabc"), scene.pbx.now)
    assert [(stop.leg, stop.mixmonitor_id) for stop in scene.stops()] == [(alice, "0xabc")]
    scene.take(d.StopAnswered(scene.pbx.now, start.key), scene.pbx.now)
    assert scene.sections[start.key].state is SectionState.CLOSED


def test_a_leg_that_is_gone_before_mixmonitor_answers_is_not_asked_to_stop() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.pbx.over("b1", alice, bob)
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0xabc"), scene.pbx.now)
    assert scene.stops() == []
    assert scene.sections[start.key].state is SectionState.CLOSED


def test_a_refusal_because_the_channel_is_gone_says_so() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.pbx.over("b1", alice, bob)
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorRefused(scene.pbx.now, start.key, "asterisk-refused", "No such channel"), scene.pbx.now)
    section = scene.sections[start.key]
    assert (section.state, section.reason) == (SectionState.FAILED, "channel-gone")


def test_what_could_not_be_stopped_is_stopped_after_the_next_snapshot() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    scene.answers = False
    scene.pbx.leave("b1", bob)
    scene.play()
    (stop,) = scene.stops()
    scene.take(d.StopUnanswered(scene.pbx.now, stop.key, "asterisk-unreachable"), scene.pbx.now)
    scene.pbx.snapshot([alice], [])
    scene.play()
    assert scene.stops() == [stop, stop]


def test_sections_that_an_earlier_run_left_open_are_closed_and_talk_goes_on_in_new_ones() -> None:
    first = Scene()
    alice, bob = first.call()
    first.play()
    (left,) = first.sections.values()

    scene = Scene(pbx=first.pbx)
    scene.recorder = type(scene.recorder)(
        scene.recorder.rules, scene.recorder.people, {(left.record_id, left.rule_id): left.file}
    )
    scene.sort(scene.recorder.restore([left], scene.pbx.now), scene.pbx.now)
    scene.pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    scene.play()
    assert scene.sections[left.key].state is SectionState.STORED
    (start,) = scene.starts()
    assert start.key == SectionKey(left.record_id, RuleId(1), 2)
    assert start.leg == bob  # alice's MixMonitor has just been stopped


def test_a_file_that_does_not_appear_is_an_alarm() -> None:
    scene = Scene(answers=False)
    scene.call()
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0x1"), scene.pbx.now)
    assert d.WatchFile(start.key, start.wav) in scene.acts
    scene.take(d.FileWatched(scene.pbx.now, start.key, seen=False), scene.pbx.now)
    assert [fact.data["alarm"] for fact in scene.facts if fact.kind is FactKind.SECTION_ALARM] == ["file-not-seen"]


def test_an_unreadable_file_is_a_failed_section() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0x1"), scene.pbx.now)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    scene.take(d.FileUnreadable(scene.pbx.now, start.key, "file-missing", "…"), scene.pbx.now)
    assert (scene.sections[start.key].state, scene.sections[start.key].reason) == (SectionState.FAILED, "file-missing")


def test_somebody_elses_mixmonitor_is_a_fact_and_ours_is_not() -> None:
    scene = Scene()
    alice, _ = scene.call()
    scene.play()
    assert FactKind.FOREIGN_MIXMONITOR not in scene.kinds()
    scene.take(MixMonitorStarted(scene.pbx.now, alice), scene.pbx.now)
    assert scene.kinds()[-1] is FactKind.FOREIGN_MIXMONITOR


def test_new_rules_count_from_the_next_talk() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    scene.recorder.use_rules(Scene(rules=RECORD_ALL.replace("always", "never")).recorder.rules, scene.recorder.people)
    assert scene.stops() == []
    scene.pbx.leave("b1", bob)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", bob)
    scene.play()
    assert len(scene.starts()) == 1
    assert alice in scene.recorder.tracker.channels


def test_nothing_is_held_after_a_call() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.pbx.over("b1", alice, bob)
    scene.play()
    recorder = scene.recorder
    assert not recorder.stretches
    assert not recorder.answers
    assert not recorder.sectioner.book.on_leg(alice)
    assert calls_now(recorder) == []


@pytest.mark.parametrize(
    ("rules", "state", "reason"),
    [
        (RECORD_ALL, "recording", None),
        (RECORD_ALL.replace("always", "on-demand"), "offered", "on-demand"),
        (RECORD_ALL + "  - {id: 2, name: No, record: never}\n", "blocked", "never"),
        (RECORD_ALL.replace("always", "always, when: {direction: inbound}"), "unmatched", "no-rule"),
    ],
)
def test_calls_now_says_each_rules_state_and_why_not(rules: str, state: str, reason: str | None) -> None:
    scene = Scene(rules=rules)
    scene.call()
    scene.play()
    (call,) = calls_now(scene.recorder)
    assert [party.identity for party in call.parties] == ["alice", "bob"]
    assert call.rules[0].state == state
    assert (call.reason or "").startswith(reason or "")
    assert (call.reason is None) == (reason is None)


def test_a_ringing_call_is_shown_as_not_talking() -> None:
    scene = Scene()
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.ring(alice, "PJSIP/bob-1", number="102")
    scene.play()
    (call,) = calls_now(scene.recorder)
    assert (call.reason, call.talking_since) == ("no-talk", None)
    assert [party.talking for party in call.parties] == [False, False]


def test_a_conference_that_a_snapshot_does_not_show_any_more_is_over() -> None:
    scene = Scene()
    legs = [scene.pbx.channel(f"PJSIP/{name}-1") for name in ("alice", "bob", "carol")]
    scene.pbx.enter("conf", *legs, bridge_type="base", technology="softmix")
    scene.play()
    scene.pbx.snapshot([], [])
    scene.play()
    (section,) = scene.sections.values()
    assert section.state is SectionState.STORED
    assert not scene.recorder.stretches
    assert len(scene.cdrs) == 1


def test_a_call_keeps_its_record_id_through_a_restart() -> None:
    first = Scene()
    alice, bob = first.call()
    carol = first.pbx.channel("PJSIP/carol-1", of=alice)
    first.pbx.leave("b1", bob)
    first.pbx.hangup(bob)
    first.pbx.wait(1)
    first.pbx.enter("b1", carol)
    first.play()
    old, left = first.sections.values()

    scene = Scene(pbx=first.pbx)
    files = {(left.record_id, left.rule_id): left.file}
    scene.recorder = type(scene.recorder)(scene.recorder.rules, scene.recorder.people, files)
    scene.sort(scene.recorder.restore([left], scene.pbx.now), scene.pbx.now)
    scene.pbx.snapshot([alice, carol], [("b1", alice), ("b1", carol)])
    scene.play()
    assert [start.key for start in scene.starts()] == [SectionKey(old.record_id, RuleId(1), 3)]
    scene.pbx.over("b1", alice, carol)
    scene.play()
    assert scene.cdrs[0].record_ids == (old.record_id,)


def test_a_record_is_named_where_its_leg_was_gone_before_mixmonitor_answered() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.pbx.leave("b1", alice)
    scene.pbx.hangup(alice)
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0x1"), scene.pbx.now)
    scene.pbx.over("b1", bob)
    scene.play()
    assert scene.cdrs[0].record_ids == (start.key.record_id,)


def test_a_section_of_the_time_before_a_talk_is_shown_among_the_calls_now() -> None:
    scene = Scene(rules=RECORD_ALL.replace("always", "always, start: answer"))
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.up(alice)
    scene.play()
    (call,) = calls_now(scene.recorder)
    assert (call.rules[0].state, call.rules[0].file, call.reason) == ("recording", 1, None)


def test_who_waits_when_we_come_back_is_recorded_where_the_rule_says_from_the_answer() -> None:
    scene = Scene(rules=RECORD_ALL.replace("always", "always, start: answer"))
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.take()
    scene.pbx.snapshot([alice], [])
    scene.play()
    assert [start.leg for start in scene.starts()] == [alice]


def test_a_caller_that_hangs_up_before_its_leg_has_settled_is_not_recorded_later() -> None:
    scene = Scene(rules=RECORD_ALL.replace("always", "always, start: answer"))
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.events.append(MixMonitorStarted(scene.pbx.now, alice))
    scene.pbx.up(alice)
    scene.pbx.hangup(alice)
    scene.play()
    scene.tick(0.2)
    assert scene.starts() == []
    assert scene.due() is None


def test_a_stop_without_an_answer_is_asked_for_again() -> None:
    scene = Scene()
    _, bob = scene.call()
    scene.play()
    scene.answers = False
    scene.pbx.leave("b1", bob)
    scene.play()
    (stop,) = scene.stops()
    scene.take(d.StopUnanswered(scene.pbx.now, stop.key, "asterisk-timeout"), scene.pbx.now)
    scene.tick(STOP_AGAIN_S)
    assert scene.stops() == [stop, stop]
    assert scene.due() is None
    scene.take(d.StopAnswered(scene.pbx.now, stop.key), scene.pbx.now)
    assert scene.sections[stop.key].state is SectionState.CLOSED
