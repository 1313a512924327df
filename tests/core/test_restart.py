"""What an earlier run, or a time without Asterisk, left: taken over where it goes on, closed where it does not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.core import decisions as d
from bridge.core import messages as m
from bridge.core.commands import Verb
from bridge.core.ids import RuleId, SectionKey, Uniqueid
from bridge.core.kept import newest
from bridge.core.records import FactKind, SectionState
from tests.core.scene import REPORT, Scene

STEREO = "rules:\n  - {id: 1, name: All, record: always}\n  - {id: 2, name: Both, record: always, channels: stereo}\n"
PAUSABLE = "rules:\n  - {id: 1, name: All, record: always, pause: user, pause_at_most: 2m}\n"
ON_DEMAND = "rules:\n  - {id: 6, name: Who likes, record: on-demand}\n"
NEVER = "rules:\n  - {id: 1, name: None, record: never}\n"
INBOUND = "rules:\n  - {id: 3, name: Inbound, record: always, when: {direction: inbound}}\n"
ANSWER = "rules:\n  - {id: 4, name: From the answer, record: always, start: answer}\n"
SPLIT = "rules:\n  - {id: 5, name: Split, record: always, section: 10s}\n"


def there(scene: Scene, *channels: Uniqueid, bridge: str = "b1", booted: timedelta | None = None) -> None:
    """The snapshot after a restart or a reconnect: these are in one bridge."""
    scene.pbx.snapshot(list(channels), [(bridge, one) for one in channels])
    if booted is not None:
        (event,) = scene.pbx.take()
        assert isinstance(event, m.SnapshotTaken)
        scene.pbx.events.append(replace(event, booted_at=event.at - booted))
    scene.play()


def found(scene: Scene, *, runs: bool = True, mixmonitor_id: str = "0x77") -> d.FindMixMonitor:
    """Asterisk answers the last question after a MixMonitor."""
    act = [act for act in scene.acts if isinstance(act, d.FindMixMonitor)][-1]
    said = (act.mixmonitor_id or mixmonitor_id) if runs else None
    scene.take(d.MixMonitorFound(scene.pbx.now, act.key, said), scene.pbx.now)
    return act


def alarms(scene: Scene) -> list[str]:
    return [str(fact.data["alarm"]) for fact in scene.facts if fact.kind is FactKind.SECTION_ALARM]


def acts(scene: Scene, kind: type) -> list[object]:
    return [act for act in scene.acts if isinstance(act, kind)]


@pytest.mark.parametrize("rules", [STEREO, ANSWER, SPLIT, PAUSABLE])
def test_what_ran_runs_on_after_a_restart_where_the_same_talk_goes_on(rules: str) -> None:
    scene = Scene(rules=rules)
    alice, bob = scene.call()
    scene.play()
    before = scene.states()
    again = scene.restarted(rules=rules)
    there(again, alice, bob)
    assert (again.starts(), again.stops()) == ([], [])
    assert again.states() == []  # nothing had to be kept anew
    adopted = [fact for fact in again.facts if fact.kind is FactKind.SECTION_ADOPTED]
    assert len(adopted) == len(before)
    again.pbx.over("b1", alice, bob)
    again.play()
    assert {state for *_, state in again.states()} == {"stored"}
    assert len(again.states()) == len(before)


def test_facts_of_a_talk_that_goes_on_are_not_said_again() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    again = scene.restarted()
    there(again, alice, bob)
    assert again.kinds() == [FactKind.SECTION_ADOPTED]
    again.pbx.over("b1", alice, bob)
    again.play()
    assert [kind for kind in again.kinds() if kind.startswith(("talk.", "call."))] == ["talk.ended", "call.ended"]


def test_journal_and_cdr_count_from_the_calls_beginning() -> None:
    def told(restart: bool) -> tuple[object, ...]:
        scene = Scene()
        alice, bob = scene.call()
        scene.play()
        scene.pbx.wait(5)
        if restart:
            scene = scene.restarted()
            there(scene, alice, bob)
        scene.pbx.wait(5)
        scene.pbx.over("b1", alice, bob)
        scene.play()
        (cdr,), entries = scene.cdrs, scene.entries
        # A snapshot of the scene knows no numbers, and takes a millisecond.
        return (
            cdr.started_at,
            cdr.answered_at,
            round(cdr.talked_s, 1),
            [
                (one.identity, one.started_at, one.duration_s, one.connected_s, one.result, one.inbound)
                for one in entries
            ],
        )

    assert told(restart=True) == told(restart=False)


def test_a_call_that_ended_meanwhile_gets_its_journal_and_its_section_is_closed() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    again = scene.restarted()
    there(again)
    assert again.states() == [(1, 1, "stored")]
    (section,) = again.sections.values()
    assert section.reason == "ended-unseen"
    assert (len(again.cdrs), len(again.entries)) == (1, 2)
    assert again.running == {}
    assert alice != bob


def test_the_end_of_a_section_that_nobody_saw_is_the_end_of_its_audio() -> None:
    scene = Scene()
    scene.call()
    scene.play()
    again = scene.restarted(answers=False)
    scene.pbx.wait(3600)
    there(again)
    (look,) = acts(again, d.InspectFile)
    assert isinstance(look, d.InspectFile)
    report = replace(REPORT, duration_s=4.0)
    again.take(d.FileInspected(again.pbx.now, look.key, report), again.pbx.now)
    (section,) = again.sections.values()
    assert section.started_at is not None
    assert section.ended_at == section.started_at + timedelta(seconds=4)


def test_where_the_party_has_changed_the_next_section_begins() -> None:
    scene = Scene()
    alice, bob = scene.call()
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.play()
    scene.pbx.leave("b1", bob)
    scene.pbx.hangup(bob)
    scene.pbx.enter("b1", carol)
    scene.pbx.take()
    again = scene.restarted()
    there(again, alice, carol)
    again.tick(0.1)
    (old, new) = sorted(again.sections.values(), key=lambda one: one.file)
    assert (old.state, new.state) == (SectionState.STORED, SectionState.RECORDING)
    assert new.key == SectionKey(old.record_id, RuleId(1), 2)


def test_a_mixmonitor_that_ended_while_nobody_looked_gives_way_to_the_next_section() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    again = scene.restarted(answers=False)
    there(again, alice, bob)
    found(again, runs=False)
    assert alarms(again) == ["ended-unseen"]
    again.answers = True
    again.tick(0.1)
    (start,) = again.starts()
    assert start.key.file == 2


def test_a_mixmonitor_that_was_asked_for_and_never_confirmed_is_taken_over() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    (start,) = scene.starts()
    again = scene.restarted(answers=False)
    there(again, alice, bob)
    act = found(again)
    assert (act.key, act.mixmonitor_id) == (start.key, None)
    (section,) = again.sections.values()
    assert (section.state, section.mixmonitor_id) == (SectionState.RECORDING, "0x77")
    assert section.started_at == section.requested_at


def test_a_mixmonitor_that_was_asked_for_and_never_ran_is_asked_for_again_as_the_next_section() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    again = scene.restarted(answers=False)
    there(again, alice, bob)
    act = found(again, runs=False)
    again.tick(0.1)
    (start,) = again.starts()
    assert start.key.file == 2
    again.take(d.FileUnreadable(again.pbx.now, act.key, "file-missing", "nothing"), again.pbx.now)
    section = again.sections[act.key]
    assert (section.state, section.reason) == (SectionState.FAILED, "not-started")


def test_a_start_that_is_not_answered_is_asked_after_and_nothing_else_begins_meanwhile() -> None:
    scene = Scene(answers=False)
    scene.call()
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorRefused(scene.pbx.now, start.key, "asterisk-timeout", "no answer"), scene.pbx.now)
    (act,) = acts(scene, d.FindMixMonitor)
    assert isinstance(act, d.FindMixMonitor)
    scene.take(d.MixMonitorNotSought(scene.pbx.now, act.key, "asterisk-timeout"), scene.pbx.now)
    scene.wakes()
    assert len(acts(scene, d.FindMixMonitor)) == 2
    found(scene)
    assert scene.states() == [(1, 1, "recording")]
    assert scene.starts() == [start]


def test_a_start_that_was_not_answered_is_closed_when_its_leg_hangs_up() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorRefused(scene.pbx.now, start.key, "asterisk-timeout", "no answer"), scene.pbx.now)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    assert scene.states() == [(1, 1, "closed")]


def test_what_nobody_wants_any_more_is_stopped_after_the_restart() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    again = scene.restarted(rules=NEVER)
    there(again, alice, bob)
    assert len(again.stops()) == 1
    assert again.states() == [(1, 1, "stored")]


def test_what_was_never_confirmed_and_nobody_wants_any_more_is_found_and_stopped() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    again = scene.restarted(rules=NEVER, answers=False)
    there(again, alice, bob)
    found(again)
    (stop,) = again.stops()
    assert stop.mixmonitor_id == "0x77"


def test_a_rule_that_matched_the_call_once_still_records_it_after_the_restart() -> None:
    scene = Scene(rules=INBOUND)
    trunk, alice = scene.call("trunk", "alice")
    scene.play()
    assert scene.states() == [(3, 1, "recording")]
    bob = scene.pbx.channel("PJSIP/bob-1", of=alice)
    scene.pbx.leave("b1", trunk)
    scene.pbx.enter("b1", bob)
    scene.play()
    scene.tick(0.1)
    again = scene.restarted()
    there(again, alice, bob)
    assert (again.stops(), again.starts()) == ([], [])


def test_what_was_paused_stays_silent_and_goes_on_with_the_resume() -> None:
    scene = Scene(rules=PAUSABLE)
    alice, bob = scene.call()
    scene.play()
    scene.ask(Verb.PAUSE, alice, "alice")
    again = scene.restarted()
    there(again, alice, bob)
    assert [act.muted for act in again.mutes()] == [True]
    again.ask(Verb.RESUME, alice, "alice")
    assert [act.muted for act in again.mutes()] == [True, False]
    assert again.states()[-1] == (1, 1, "recording")


def test_a_pause_that_was_over_while_we_were_away_leaves_nothing_silent() -> None:
    scene = Scene(rules=PAUSABLE)
    alice, bob = scene.call()
    scene.play()
    scene.answers = False
    scene.ask(Verb.PAUSE, alice, "alice")  # Asterisk mutes it, and nobody is there to hear that
    again = scene.restarted(answers=True)
    again.pbx.wait(121)
    again.take(d.Tick(again.pbx.now), again.pbx.now)
    there(again, alice, bob)
    assert [act.muted for act in again.mutes()][-1:] == [False]


def test_an_on_demand_recording_stays_its_starters_and_is_not_offered_again() -> None:
    scene = Scene(rules=ON_DEMAND)
    alice, bob = scene.call()
    scene.play()
    scene.ask(Verb.START, alice, "alice")
    again = scene.restarted()
    there(again, alice, bob)
    assert again.kinds("record.") == []
    assert (again.starts(), again.stops()) == ([], [])
    again.ask(Verb.STOP, alice, "alice")
    assert again.states()[-1] == (6, 1, "stored")


def test_when_asterisk_was_restarted_its_files_are_repaired_at_once_and_what_is_not_there_is_lost() -> None:
    scene = Scene(rules=STEREO)
    scene.call()
    scene.play()
    again = scene.restarted(rules=STEREO, answers=False)
    again.pbx.wait(60)
    there(again, booted=timedelta(seconds=10))
    looks = acts(again, d.InspectFile)
    assert [look.abandoned for look in looks if isinstance(look, d.InspectFile)] == [True, True]
    first, second = (look.key for look in looks if isinstance(look, d.InspectFile))
    now = again.pbx.now
    again.take(d.FileInspected(now, first, REPORT, repaired=("a.wav",)), now)
    again.take(d.FileUnreadable(now, second, "file-missing", "nothing"), now)
    assert (again.sections[first].state, again.sections[second].state) == (SectionState.STORED, SectionState.LOST)
    assert {again.sections[one].reason for one in (first, second)} == {"asterisk-restarted"}
    assert FactKind.SECTION_REPAIRED in again.kinds()


def test_after_a_reconnect_what_runs_is_looked_at_and_what_does_not_begins_anew() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    scene.answers = False
    there(scene, alice, bob)
    found(scene)
    assert (scene.states(), scene.kinds("section.")[-1]) == ([(1, 1, "recording")], "section.recording")
    there(scene, alice, bob)
    found(scene, runs=False)
    scene.tick(0.1)
    assert [state for *_, state in scene.states()] == ["closed", "requested"]


def test_while_the_disk_is_in_trouble_a_file_is_looked_at_again_and_nothing_fails() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0x1"), scene.pbx.now)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    for _ in range(4):
        scene.take(d.FileUnreadable(scene.pbx.now, start.key, "disk-full", "no room"), scene.pbx.now)
        assert scene.states() == [(1, 1, "closed")]
        looks = len(acts(scene, d.InspectFile))
        scene.wakes()
        assert len(acts(scene, d.InspectFile)) == looks + 1
    assert alarms(scene) == ["not-read"]
    scene.take(d.FileInspected(scene.pbx.now, start.key, REPORT), scene.pbx.now)
    assert scene.states() == [(1, 1, "stored")]


def test_a_disk_that_never_comes_back_fails_the_section_in_the_end() -> None:
    scene = Scene(answers=False)
    alice, bob = scene.call()
    scene.play()
    (start,) = scene.starts()
    scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0x1"), scene.pbx.now)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    scene.pbx.wait(7 * 86400 + 1)
    scene.take(d.FileUnreadable(scene.pbx.now, start.key, "disk-full", "no room"), scene.pbx.now)
    assert scene.states() == [(1, 1, "failed")]


def test_what_was_recorded_before_any_talk_goes_on() -> None:
    scene = Scene(rules=ANSWER)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.up(alice)
    scene.play()
    assert scene.states() == [(4, 1, "recording")]
    again = scene.restarted()
    again.pbx.snapshot([alice], [])
    again.play()
    assert (again.starts(), again.stops(), again.kinds()) == ([], [], [FactKind.SECTION_ADOPTED])
    bob = again.pbx.ring(alice, "PJSIP/bob-1", number="102")
    again.pbx.answered(alice, bob, "b1")
    again.play()
    again.tick(0.1)
    assert [start.key.file for start in again.starts()] == [2]  # the talk has its own


def test_a_section_of_a_call_of_which_nothing_else_was_kept_is_stopped_and_the_next_begins() -> None:
    """As an older recbridge left it, which kept no calls."""
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    (old,) = scene.sections
    scene.running.clear()
    again = scene.restarted()
    there(again, alice, bob)
    again.tick(0.1)
    assert again.sections[old].state is SectionState.STORED
    (start,) = again.starts()
    assert (start.key, start.leg) == (SectionKey(old.record_id, RuleId(1), 2), bob)


def test_a_section_that_was_being_taken_over_from_ends_and_the_one_after_it_goes_on() -> None:
    scene = Scene(rules=SPLIT)
    alice, bob = scene.call()
    scene.play()
    scene.answers = False
    scene.tick(10)
    scene.answer(scene.starts()[-1], scene.pbx.now)  # it runs, and nobody has stopped the first yet
    again = scene.restarted(answers=True)
    there(again, alice, bob)
    assert again.states() == [(5, 1, "stored")]
    again.pbx.over("b1", alice, bob)
    again.play()
    assert sorted(again.states()) == [(5, 1, "stored"), (5, 2, "stored")]


def test_a_section_that_nobody_confirmed_is_named_by_the_journal_of_the_call_that_ended_meanwhile() -> None:
    scene = Scene(answers=False)
    scene.call()
    scene.play()
    (start,) = scene.starts()
    again = scene.restarted(answers=False)
    again.pbx.wait(60)
    there(again)
    again.take(d.FileInspected(again.pbx.now, start.key, REPORT), again.pbx.now)
    section = again.sections[start.key]
    assert section.started_at == section.requested_at
    assert section.ended_at == section.requested_at + timedelta(seconds=REPORT.duration_s)
    assert [cdr.record_ids for cdr in again.cdrs] == [(start.key.record_id,)]
    assert {entry.record_id for entry in again.entries} == {start.key.record_id}


def test_what_is_over_before_asterisk_is_reached_waits_for_the_snapshot() -> None:
    scene = Scene(rules=PAUSABLE)
    alice, bob = scene.call()
    scene.play()
    scene.ask(Verb.PAUSE, alice, "alice")
    again = scene.restarted(answers=False)
    again.tick(121)
    assert again.mutes() == []
    again.answers = True
    there(again, alice, bob)
    assert [act.muted for act in again.mutes()] == [False]
    assert again.states()[-1] == (1, 1, "recording")
    assert alarms(again) == []


def test_a_section_that_is_long_enough_goes_on_until_asterisk_is_reached() -> None:
    scene = Scene(rules=SPLIT)
    alice, bob = scene.call()
    scene.play()
    again = scene.restarted()
    again.tick(11)
    assert again.starts() == []
    there(again, alice, bob)
    again.tick(1)
    assert [start.key.file for start in again.starts()] == [2]
    assert sorted(again.states()) == [(5, 1, "stored"), (5, 2, "recording")]


def test_where_asterisk_never_says_what_runs_what_is_believed_can_be_paused() -> None:
    scene = Scene(rules=PAUSABLE)
    alice, bob = scene.call()
    scene.play()
    again = scene.restarted(answers=False)
    there(again, alice, bob)
    (act,) = acts(again, d.FindMixMonitor)
    assert isinstance(act, d.FindMixMonitor)
    again.take(d.MixMonitorNotSought(again.pbx.now, act.key, "asterisk-refused"), again.pbx.now)
    again.ask(Verb.PAUSE, alice, "alice")
    assert [act.muted for act in again.mutes()] == [True]


def test_the_newest_time_of_what_was_kept_is_what_a_clock_that_was_set_back_must_go_on_from() -> None:
    scene = Scene()
    assert newest(scene.running.values()) is None
    alice, bob = scene.call()
    scene.play()
    began_at = scene.pbx.now
    assert newest(scene.running.values()) == began_at
    scene.pbx.wait(10)
    scene.pbx.channel("PJSIP/carol-1", of=bob)
    scene.pbx.hold(alice)
    scene.play()
    assert began_at + timedelta(seconds=10) < (newest(scene.running.values()) or began_at) <= scene.pbx.now


def test_who_was_put_on_hold_before_the_restart_is_known_by_whom() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    scene.pbx.hold(bob)
    scene.play()
    again = scene.restarted()
    there(again, alice, bob)
    assert list(again.recorder.tracker.holding) == [bob]


def test_what_a_channel_said_that_is_gone_after_the_restart_still_counts() -> None:
    scene = Scene(rules="rules:\n  - {id: 1, name: Spring, record: always, when: {variable: {CAMPAIGN: spring}}}\n")
    alice, bob = scene.call()
    scene.play()
    scene.pbx.variable(bob, "CAMPAIGN", "spring")
    scene.play()
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.pbx.leave("b1", bob)
    scene.pbx.hangup(bob)
    scene.pbx.enter("b1", carol)
    scene.pbx.take()
    again = scene.restarted()
    there(again, alice, carol)
    assert [start.leg for start in again.starts()] == [alice]


def test_a_talk_that_ended_while_its_call_became_part_of_another_is_accounted_for_with_that() -> None:
    scene = Scene(rules=NEVER)
    carol = scene.pbx.channel("PJSIP/carol-1")
    alice, bob = scene.call()
    scene.play()
    scene.pbx.wait(10)
    scene.pbx.leave("b1", alice, bob)
    scene.pbx.hangup(bob)
    scene.pbx.enter("b2", alice, carol)
    scene.pbx.take()
    there(scene, alice, carol, bridge="b2")
    scene.pbx.over("b2", alice, carol)
    scene.play()
    (cdr,) = scene.cdrs
    assert {talk.call_id for talk in scene.talks.values()} == {cdr.call_id}
    lasted = sum((talk.ended_at - talk.began_at).total_seconds() for talk in scene.talks.values() if talk.ended_at)
    assert lasted == pytest.approx(cdr.talked_s, abs=0.001)


def test_a_leg_that_was_between_two_talks_amid_an_optimisation_is_in_one_after_the_restart() -> None:
    scene = Scene()
    alice, bob = scene.pbx.channel("PJSIP/alice-1"), scene.pbx.channel("PJSIP/bob-1")
    carol = scene.pbx.channel("PJSIP/carol-1")
    one, two = scene.pbx.local("102@x", alice)
    scene.pbx.enter("b1", alice, one)
    scene.pbx.enter("b2", bob, two)
    scene.pbx.optimize(one, two, begin=True)
    scene.pbx.leave("b2", bob)
    scene.pbx.enter("b3", bob, carol)
    scene.play()
    again = scene.restarted()
    there(again, bob, carol, bridge="b3")
    again.pbx.over("b3", bob, carol)
    again.play()
    there(again)
    assert again.recorder.tracker.bridges == {}
    assert again.running == {}


def test_what_was_stopped_already_before_the_restart_does_not_hide_that_theirs_ends() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    scene.answers = False
    scene.pbx.leave("b1", alice, bob)
    scene.play()
    again = scene.restarted()
    again.pbx.snapshot([alice, bob], [])
    again.play()
    (stop,) = again.stops()
    again.take(d.StopAnswered(again.pbx.now, stop.key, ran=False), again.pbx.now)
    for runs in (True, False):
        again.pbx.mixmonitor(alice, runs=runs)
    again.play()
    told = [fact.data["runs"] for fact in again.facts if fact.kind is FactKind.FOREIGN_MIXMONITOR]
    assert told == [True, False]
