"""What is said of files that do not grow, are gone or silent while they are recorded, and what is done about it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from bridge.core import decisions as d
from bridge.core import watching
from bridge.core.access import Role
from bridge.core.commands import Verb
from bridge.core.ids import Uniqueid
from bridge.core.messages import ChannelHeld, MixMonitorStarted
from bridge.core.records import FactKind
from bridge.core.sectioner import RENEW_EVERY_S
from tests.core.scene import REPORT, Scene

STEP = 80_000
"""5 s of 8 kHz."""
STEREO = "rules:\n  - {id: 1, name: All, record: always, channels: stereo, pause: user}\n"
EARLY = "rules:\n  - {id: 1, name: All, record: always, start: ring}\n"
TWO = "rules:\n  - {id: 1, name: A, record: always}\n  - {id: 2, name: B, record: always, channels: stereo}\n"


@dataclass
class Files:
    """The files of all sections: they grow with each look, unless told otherwise. `bad` is what the first ones are."""

    bad: d.Grown | None = None
    heard: tuple[bool, ...] = (True, True)
    stands: bool = False
    last: int = 1
    asked: list[d.Growing] = field(default_factory=list)

    def look(self, one: d.Growing) -> d.Grown:
        self.asked.append(one)
        if self.bad is not None and one.key.file <= self.last:
            return self.bad
        if self.stands and one.key.file <= self.last:
            return d.Grown(one.seen)
        return d.Grown(one.seen + STEP, self.heard[: 1 + one.wav.stereo])


def talking(rules: str = STEREO, seconds: float = 5) -> tuple[Scene, Files, Uniqueid, Uniqueid]:
    files = Files()
    scene = Scene(rules=rules, look=files.look)
    alice, bob = scene.call()
    scene.play()
    wait(scene, seconds)
    return scene, files, alice, bob


def wait(scene: Scene, seconds: float) -> None:
    """Time passes as it does: the recorder is woken when it wants to be."""
    end = scene.pbx.now + timedelta(seconds=seconds)
    while (at := scene.recorder.wake_at()) is not None and at <= end:
        scene.pbx.now = max(at, scene.pbx.now)
        scene.take(d.Tick(scene.pbx.now), scene.pbx.now)
    scene.pbx.now = end


def alarms(scene: Scene) -> list[str]:
    return [str(fact.data["alarm"]) for fact in scene.facts if fact.kind is FactKind.SECTION_ALARM]


def looks(scene: Scene) -> list[d.MeasureFiles]:
    return [act for act in scene.acts if isinstance(act, d.MeasureFiles)]


# When it looks


def test_all_sections_are_looked_at_with_one_act_every_five_seconds_and_none_when_none_runs() -> None:
    scene, files, alice, bob = talking(TWO, 17)
    assert [[one.key.rule_id for one in look.files] for look in looks(scene)] == [[1, 2]] * 3
    assert [one.seen for one in files.asked if one.key.rule_id == 2] == [0, STEP, 2 * STEP]
    scene.pbx.over("b1", alice, bob)
    scene.play()
    assert scene.recorder.wake_at() is None
    wait(scene, 60)
    assert len(looks(scene)) == 3
    assert alarms(scene) == []


def test_no_second_look_is_taken_before_the_first_has_answered() -> None:
    scene, _, _, _ = talking(seconds=4)
    scene.answers = False
    wait(scene, 60)
    (look,) = looks(scene)
    scene.take(d.FilesMeasured(scene.pbx.now, {look.files[0].key: d.Grown(44)}, connected=True), scene.pbx.now)
    wait(scene, 5)
    assert len(looks(scene)) == 2


def test_of_a_disk_that_hangs_nothing_is_known_and_it_is_asked_again() -> None:
    scene, files, _, _ = talking(seconds=11)
    scene.answers = False
    for number in range(3, 9):
        wait(scene, 5)
        assert len(looks(scene)) == number
        scene.take(d.FilesNotMeasured(scene.pbx.now, "it hangs"), scene.pbx.now)
    assert alarms(scene) == []
    scene.answers = files.stands = True
    wait(scene, 5)
    assert alarms(scene) == ["not-growing"]  # for more than half a minute


def test_of_very_many_sections_each_gets_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "AT_ONCE", 2)
    rules = "rules:\n" + "".join(f"  - {{id: {number}, name: R, record: always}}\n" for number in range(1, 6))
    scene, _, _, _ = talking(rules, 26)
    asked = [[int(one.key.rule_id) for one in look.files] for look in looks(scene)]
    assert asked == [[1, 2], [3, 4], [5, 1], [2, 3], [4, 5]]


# Files that do not grow, or are gone


def test_a_file_that_stops_growing_is_an_alarm_within_seconds_and_the_next_section_takes_over() -> None:
    scene, files, alice, _ = talking(seconds=11)
    files.stands = True
    stood = scene.pbx.now
    wait(scene, 14)
    fact = scene.fact(FactKind.SECTION_ALARM)
    assert (fact.data["alarm"], fact.data["size_bytes"], fact.data["for_s"]) == ("not-growing", 2 * STEP, 10.0)
    assert fact.at - stood <= timedelta(seconds=15)
    first, second = scene.starts()
    assert [stop.key for stop in scene.stops()] == [first.key]
    assert scene.acts.index(second) < scene.acts.index(scene.stops()[0])
    assert second.leg == first.leg == alice
    assert scene.states() == [(1, 1, "stored"), (1, 2, "recording")]
    wait(scene, 60)
    assert (alarms(scene), len(scene.starts())) == (["not-growing"], 2)


def test_a_file_that_has_never_grown_is_an_alarm_only() -> None:
    """Where both phones suppress silence nothing is written, and the next file would be as empty."""
    scene, files, _, _ = talking(seconds=4)
    files.stands = True
    wait(scene, 120)
    assert alarms(scene) == ["not-growing"]
    assert len(scene.starts()) == 1


def test_an_alarm_comes_again_once_it_has_been_well_in_between_but_the_file_is_given_up_once_a_minute() -> None:
    scene, files, _, _ = talking(seconds=11)
    files.last = 9
    for _ in range(3):
        files.stands = True
        wait(scene, 15)
        files.stands = False
        wait(scene, 10)
    assert alarms(scene) == ["not-growing"] * 3
    assert len(scene.starts()) == 2
    wait(scene, RENEW_EVERY_S)
    files.stands = True
    wait(scene, 15)
    assert len(scene.starts()) == 3


@pytest.mark.parametrize(
    ("found", "alarm"),
    [
        (d.Grown(None), "file-gone"),
        (d.Grown(100, (True, True)), "file-cut"),
        (d.Grown(9_000_000, (True, True), beheaded=True), "file-cut"),
    ],
)
def test_a_file_that_is_gone_or_cut_off_is_an_alarm_and_the_next_section_takes_over(found: d.Grown, alarm: str) -> None:
    scene, files, _, _ = talking(seconds=11)
    files.bad = found
    wait(scene, 5)
    assert alarms(scene) == [alarm]
    assert [start.key.file for start in scene.starts()] == [1, 2]
    wait(scene, 300)
    assert (alarms(scene), len(scene.starts())) == ([alarm], 2)


def test_files_that_go_one_after_the_other_cost_a_section_a_minute() -> None:
    scene, files, _, _ = talking(seconds=11)
    files.last = 99
    for _ in range(40):
        files.bad = None
        wait(scene, 5)
        files.bad = d.Grown(None)
        wait(scene, 5)
    assert 5 <= len(scene.starts()) <= 8


def test_nothing_takes_over_while_asterisk_is_away() -> None:
    scene, files, _, _ = talking(seconds=11)
    files.bad, scene.connected = d.Grown(None), False
    wait(scene, 30)
    assert alarms(scene) == ["file-gone"]
    assert len(scene.starts()) == 1
    scene.connected = True
    wait(scene, 5)
    assert alarms(scene) == ["file-gone"]
    assert len(scene.starts()) == 2


def test_a_file_that_was_never_there_is_not_told_a_second_time() -> None:
    scene = Scene(rules=STEREO, answers=False, look=Files(bad=d.Grown(None)).look)
    scene.call()
    scene.play()
    key = scene.starts()[0].key
    scene.take(d.MixMonitorAccepted(scene.pbx.now, key, "0x1"), scene.pbx.now)
    scene.take(d.FileWatched(scene.pbx.now, key, seen=False), scene.pbx.now)
    scene.answers = True
    wait(scene, 60)
    assert alarms(scene) == ["file-not-seen"]


def test_a_file_that_is_gone_before_the_first_look_was_there() -> None:
    scene, files, _, _ = talking(seconds=1)
    files.bad = d.Grown(None)
    wait(scene, 5)
    assert alarms(scene) == ["file-gone"]


def test_a_next_section_that_asterisk_refuses_leaves_the_old_one_to_run_and_to_end() -> None:
    scene, files, alice, bob = talking(seconds=11)
    scene.refuse = lambda act: act.key.file == 2
    files.bad = d.Grown(None)
    wait(scene, 5)
    assert scene.states() == [(1, 1, "recording"), (1, 2, "failed")]
    wait(scene, RENEW_EVERY_S + 5)
    assert scene.states() == [(1, 1, "stored"), (1, 2, "failed"), (1, 3, "recording")]
    scene.pbx.over("b1", alice, bob)
    scene.play()
    assert scene.states() == [(1, 1, "stored"), (1, 2, "failed"), (1, 3, "stored")]


def test_while_paused_a_file_has_to_grow_but_nothing_begins() -> None:
    scene, files, alice, _ = talking(seconds=11)
    scene.ask(Verb.PAUSE, alice, "alice")
    files.stands = True
    wait(scene, 30)
    assert alarms(scene) == ["not-growing"]
    assert len(scene.starts()) == 1


def test_before_anybody_talks_a_file_need_not_grow_nor_be_as_long_as_the_ringing() -> None:
    files = Files(stands=True, last=9)
    scene = Scene(rules=EARLY, look=files.look)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.play()
    wait(scene, 60)
    scene.answers = False
    scene.pbx.hangup(alice)
    scene.play()
    scene.take(d.FileInspected(scene.pbx.now, scene.starts()[0].key, replace(REPORT, duration_s=0.0)), scene.pbx.now)
    assert scene.states() == [(1, 1, "stored")]
    assert alarms(scene) == []


# Silence


def test_one_side_that_is_silent_for_long_is_an_alarm_and_the_next_section_is_on_another_leg() -> None:
    scene, files, alice, bob = talking(seconds=6)
    files.heard = (True, False)
    wait(scene, 25)
    assert alarms(scene) == []
    wait(scene, 5)
    fact = scene.fact(FactKind.SECTION_ALARM)
    assert (fact.data["alarm"], fact.data["side"], fact.data["for_s"]) == ("side-silent", "right", 30.0)
    assert [start.leg for start in scene.starts()] == [alice, bob]
    assert [stop.leg for stop in scene.stops()] == [alice]
    assert [start.wav.leg_is_left for start in scene.starts()] == [True, False]
    # It is silent there, too: so it is not the leg.
    files.heard = (False, True)
    wait(scene, 300)
    assert alarms(scene) == ["side-silent"] * 2
    assert len(scene.starts()) == 2


def test_a_leg_that_hears_one_side_only_is_left_alone_for_the_rest_of_the_talk() -> None:
    scene, files, alice, bob = talking("rules:\n  - {id: 1, name: A, record: always, channels: stereo, section: 2m}\n")
    files.heard = (True, False)
    wait(scene, 60)
    files.heard = (True, True)
    wait(scene, 300)
    assert [start.leg for start in scene.starts()][:3] == [alice, bob, bob]


def test_the_silent_side_is_named_as_it_is_on_the_recording() -> None:
    """Bob's phone is outside, so its leg is recorded; the caller is on the left, and bob says nothing."""
    files = Files(heard=(False, True))
    scene = Scene(rules=STEREO, look=files.look)
    scene.call("alice", "trunk")
    scene.play()
    wait(scene, 60)
    assert scene.fact(FactKind.SECTION_ALARM).data["side"] == "right"


@pytest.mark.parametrize("why", ["foreign", "of three"])
def test_where_no_other_leg_would_do_better_it_is_an_alarm_only(why: str) -> None:
    scene, files, _, bob = talking()
    if why == "foreign":
        scene.take(MixMonitorStarted(scene.pbx.now, bob), scene.pbx.now)
    else:
        scene.pbx.enter("b1", scene.pbx.channel("PJSIP/carol-1"))
        scene.play()
    files.heard = (True, False)
    wait(scene, 120)
    assert alarms(scene) == ["side-silent"]
    assert len(scene.starts()) == 1


def test_turns_of_talk_are_no_alarm() -> None:
    scene, files, _, _ = talking()
    for heard in [(True, False), (False, True)] * 5:
        files.heard = heard
        wait(scene, 25)
    assert alarms(scene) == []


def test_both_sides_silent_is_an_alarm_after_a_minute_and_again_after_it_was_well() -> None:
    scene, files, _, _ = talking()
    for _ in range(2):
        files.heard = (False, False)
        wait(scene, 55)
        told = alarms(scene)
        wait(scene, 60)
        assert alarms(scene) == [*told, "silent"]
        files.heard = (True, True)
        wait(scene, 10)
    assert len(scene.starts()) == 1


def test_a_mono_section_without_a_sound_is_an_alarm() -> None:
    scene, files, _, _ = talking("rules:\n  - {id: 1, name: A, record: always}\n")
    files.heard = (False, True)
    wait(scene, 120)
    assert alarms(scene) == ["silent"]
    assert scene.fact(FactKind.SECTION_ALARM).data["for_s"] == 60.0


@pytest.mark.parametrize("why", ["paused", "held"])
def test_silence_that_somebody_wants_is_none_and_is_not_counted_afterwards(why: str) -> None:
    scene, files, alice, bob = talking()
    if why == "paused":
        scene.ask(Verb.PAUSE, alice, "admin", Role.ADMIN)
        files.heard = (False, False)
    else:
        scene.take(ChannelHeld(scene.pbx.now, bob, held=True), scene.pbx.now)
        files.heard = (True, False)
    wait(scene, 300)
    if why == "paused":
        scene.ask(Verb.RESUME, alice, "admin", Role.ADMIN)
    else:
        scene.take(ChannelHeld(scene.pbx.now, bob, held=False), scene.pbx.now)
    wait(scene, 20)
    assert alarms(scene) == []
    wait(scene, 60)
    assert set(alarms(scene)) == {"silent" if why == "paused" else "side-silent"}


# At the end


@pytest.mark.parametrize(
    ("talk_s", "has_s", "told"), [(10, 8.1, False), (10, 7.9, True), (200, 191, False), (200, 189, True)]
)
def test_a_section_much_shorter_than_its_talk_is_told_before_it_is_stored(
    talk_s: int, has_s: float, told: bool
) -> None:
    scene, _, alice, bob = talking(seconds=0)
    wait(scene, talk_s)
    scene.answers = False
    scene.pbx.over("b1", alice, bob)
    scene.play()
    key = scene.starts()[0].key
    scene.take(d.StopAnswered(scene.pbx.now, key), scene.pbx.now)
    scene.take(d.FileInspected(scene.pbx.now, key, replace(REPORT, duration_s=has_s)), scene.pbx.now)
    assert scene.kinds("section.")[-1] is FactKind.SECTION_STORED
    assert alarms(scene) == ["shorter-than-talk"] * told
    if told:
        fact = scene.fact(FactKind.SECTION_ALARM)
        assert fact.data["duration_s"] == has_s
        assert fact.data["talk_s"] == pytest.approx(talk_s, abs=0.5)


def test_a_file_that_cannot_be_read_is_told_with_its_reason() -> None:
    scene, _, alice, bob = talking()
    scene.answers = False
    scene.pbx.over("b1", alice, bob)
    scene.play()
    key = scene.starts()[0].key
    scene.take(d.StopAnswered(scene.pbx.now, key), scene.pbx.now)
    scene.take(d.FileUnreadable(scene.pbx.now, key, "unreadable", "no WAV"), scene.pbx.now)
    assert scene.fact(FactKind.SECTION_ALARM).data["reason"] == "unreadable"
    assert scene.kinds("section.")[-2:] == [FactKind.SECTION_ALARM, FactKind.SECTION_FAILED]
    assert alarms(scene) == ["unreadable"]
