"""Pauses and time: what is not confirmed, pauses that end by themselves, long sections, restarts."""

from datetime import timedelta

from bridge.core import decisions as d
from bridge.core.commands import Done, Verb
from bridge.core.ids import Uniqueid
from bridge.core.records import FactKind, SectionState
from tests.core.scene import Scene

ONE = "rules:\n  - {id: 1, name: Users may, record: always, pause: user%s}\n"
TWO = ONE + "  - {id: 3, name: The other, record: always, pause: user}\n"


def talking(rules: str, *, answers: bool = True) -> tuple[Scene, Uniqueid, Uniqueid]:
    """alice and bob talk, and are recorded."""
    scene = Scene(rules=rules, answers=answers)
    alice, bob = scene.call()
    scene.play()
    if not answers:
        for start in scene.starts():
            scene.answer(start, scene.pbx.now)
    return scene, alice, bob


def alarms(scene: Scene) -> list[str]:
    return [fact.data["alarm"] for fact in scene.facts if fact.kind is FactKind.SECTION_ALARM]


def unanswered(scene: Scene, mute: d.MuteMixMonitor) -> None:
    scene.take(d.MuteUnanswered(scene.pbx.now, mute.key, mute.muted, "asterisk-timeout"), scene.pbx.now)


def test_a_pause_that_asterisk_does_not_confirm_stops_the_section_and_is_told() -> None:
    scene, alice, bob = talking(ONE % "", answers=False)
    scene.ask(Verb.PAUSE, alice, "alice")
    unanswered(scene, scene.mutes()[0])
    assert scene.code == "not-confirmed"
    assert alarms(scene) == ["not-paused"]
    scene.answer(scene.stops()[0], scene.pbx.now)
    scene.pbx.leave("b1", bob)
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", carol)
    scene.play()
    scene.tick(60)
    assert len(scene.starts()) == 1
    scene.ask(Verb.RESUME, alice, "alice")
    assert [start.key.file for start in scene.starts()] == [1, 2]
    assert len(scene.answered) == 1
    scene.answer(scene.starts()[1], scene.pbx.now)
    assert isinstance(scene.answered[1], Done)


def test_a_pause_that_nobody_answers_stops_the_section_after_a_while() -> None:
    scene, alice, _ = talking(ONE % "", answers=False)
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.wakes()
    assert scene.code == "not-confirmed"
    assert (alarms(scene), len(scene.stops())) == (["not-paused"], 1)


def test_one_section_of_two_that_is_not_confirmed_is_told_however_the_other_ends() -> None:
    scene, alice, _ = talking(TWO % "", answers=False)
    scene.ask(Verb.PAUSE, alice, "alice")
    first, second = scene.mutes()
    unanswered(scene, first)
    scene.answer(scene.stops()[0], scene.pbx.now)
    assert scene.answered == []
    scene.answer(second, scene.pbx.now)
    assert scene.code == "not-confirmed"
    assert [str(section.state) for section in scene.sections.values()] == ["closed", "paused"]


def test_a_section_that_is_being_stopped_may_write_on_and_the_pause_waits_for_its_end() -> None:
    scene, alice, bob = talking(ONE % "", answers=False)
    scene.pbx.leave("b1", bob)
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", carol)
    scene.play()
    scene.answer(scene.starts()[1], scene.pbx.now)
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.answer(scene.mutes()[0], scene.pbx.now)
    assert scene.answered == []
    scene.answer(scene.stops()[0], scene.pbx.now)
    assert isinstance(scene.answered[0], Done)


def test_a_resume_that_asterisk_does_not_confirm_begins_the_next_section() -> None:
    scene, alice, _ = talking(ONE % "", answers=False)
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.answer(scene.mutes()[0], scene.pbx.now)
    scene.ask(Verb.RESUME, alice, "alice")
    unanswered(scene, scene.mutes()[1])
    assert alarms(scene) == ["not-resumed"]
    assert scene.starts()[1].leg != scene.starts()[0].leg
    scene.answer(scene.starts()[1], scene.pbx.now)
    answer = scene.answered[-1]
    assert isinstance(answer, Done)
    assert [section.file for section in answer.sections if section.state is SectionState.RECORDING] == [2]


def test_a_pause_of_nothing_that_is_resumed_before_the_section_runs_mutes_nothing() -> None:
    scene = Scene(rules=ONE % "", answers=False)
    alice, _ = scene.call()
    scene.play()
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.ask(Verb.RESUME, alice, "alice")
    assert len(scene.answered) == 1
    scene.answer(scene.starts()[0], scene.pbx.now)
    assert [type(answer) for answer in scene.answered] == [Done, Done]
    scene.tick(60)
    assert (scene.mutes(), scene.stops()) == ([], [])


def test_a_paused_rule_resumes_by_itself_after_as_long_as_it_allows() -> None:
    scene, alice, _ = talking(TWO % ", pause_at_most: 2m")
    scene.ask(Verb.PAUSE, alice, "alice")
    began = scene.pbx.now
    scene.wakes()
    assert scene.pbx.now - began == timedelta(minutes=2)
    assert [str(section.state) for section in scene.sections.values()] == ["recording", "paused"]
    fact = scene.fact(FactKind.RECORD_RESUMED)
    assert (fact.data, fact.personal) == ({"by": "pause_at_most", "rules": [1]}, {"identity": "alice"})
    assert [pause.resumed for pause in scene.pauses.values()] == [(1,)]
    scene.ask(Verb.RESUME, alice, "alice")
    assert [str(section.state) for section in scene.sections.values()] == ["recording", "recording"]


def test_a_pause_whose_rules_have_all_resumed_is_over() -> None:
    scene, alice, _ = talking(ONE % ", pause_at_most: 2m")
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.wakes()
    assert scene.pauses == {}
    assert scene.due() is None
    scene.ask(Verb.RESUME, alice, "alice")
    assert scene.code == "not-paused"
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.wakes()
    assert [str(section.state) for section in scene.sections.values()] == ["recording"]


def test_a_pause_that_lasts_too_long_while_nobody_talks_ends_with_the_next_talk() -> None:
    scene, alice, bob = talking(ONE % ", pause_at_most: 2m")
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.pbx.leave("b1", alice, bob)
    scene.play()
    scene.tick(300)
    scene.pbx.enter("b2", alice, bob)
    scene.play()
    scene.wakes()
    assert scene.states() == [(1, 1, "stored"), (1, 2, "recording")]


def test_a_longest_section_waits_for_the_end_of_the_pause() -> None:
    scene, alice, _ = talking(ONE % ", section: 10s")
    scene.ask(Verb.PAUSE, alice, "alice")
    for _ in range(30):
        scene.wakes()
    assert scene.states() == [(1, 1, "paused")]
    scene.ask(Verb.RESUME, alice, "alice")
    scene.wakes()
    assert scene.states() == [(1, 1, "stored"), (1, 2, "recording")]


def test_a_pause_while_a_longest_section_is_taken_over_silences_both() -> None:
    scene, alice, _ = talking(ONE % ", section: 10s", answers=False)
    scene.tick(10)
    scene.ask(Verb.PAUSE, alice, "alice")
    (mute,) = scene.mutes()
    scene.answer(mute, scene.pbx.now)
    assert scene.answered == []
    scene.answer(scene.starts()[1], scene.pbx.now)
    assert [(act.key.file, act.muted) for act in scene.mutes()] == [(1, True), (2, True)]
    scene.answer(scene.mutes()[1], scene.pbx.now)
    assert isinstance(scene.answered[0], Done)


def test_a_resume_does_not_begin_twice_what_asterisk_has_not_answered() -> None:
    scene = Scene(rules=TWO % "", answers=False)
    alice, _ = scene.call()
    scene.play()
    first, second = scene.starts()
    scene.answer(first, scene.pbx.now)
    scene.take(d.MixMonitorRefused(scene.pbx.now, second.key, "asterisk-timeout", "nothing"), scene.pbx.now)
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.ask(Verb.RESUME, alice, "alice")
    assert [start.key.rule_id for start in scene.starts()] == [1, 3]
    scene.lost(second)
    for _ in range(5):
        scene.tick(1)
    assert [start.key.rule_id for start in scene.starts()] == [1, 3, 3]


def test_a_restart_takes_up_a_pause() -> None:
    scene, alice, bob = talking(ONE % "")
    scene.ask(Verb.PAUSE, alice, "alice")
    again = Scene(rules=ONE % "", pbx=scene.pbx, pauses=dict(scene.pauses))
    again.sort(
        again.recorder.restore(list(scene.sections.values()), again.pbx.now, [], list(scene.pauses.values())),
        again.pbx.now,
    )
    again.pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    again.play()
    again.tick(1)
    assert again.starts() == []
    again.ask(Verb.RESUME, bob, "bob")
    again.tick(1)
    assert len(again.starts()) == 1
    assert again.pauses == {}


def test_a_restart_drops_the_pause_of_a_call_that_is_over() -> None:
    scene, alice, _ = talking(ONE % "")
    scene.ask(Verb.PAUSE, alice, "alice")
    again = Scene(rules=ONE % "", pbx=scene.pbx, pauses=dict(scene.pauses))
    again.recorder.restore([], again.pbx.now, [], list(scene.pauses.values()))
    again.pbx.snapshot([], [])
    again.play()
    assert again.pauses == {}
