"""Pausing and resuming: what falls silent, who may, what begins meanwhile."""

import pytest

from bridge.core.access import Role
from bridge.core.commands import Done, Verb
from bridge.core.ids import Uniqueid
from bridge.core.records import FactKind, SectionState
from tests.core.scene import Scene

RULES = """\
rules:
  - {id: 1, name: Users may, record: always, pause: user}
  - {id: 2, name: Nobody may, record: always}
  - {id: 3, name: On two sides, record: always, pause: user, channels: stereo}
  - {id: 6, name: Who likes, record: on-demand}
"""
ONE = "rules:\n  - {id: 1, name: Users may, record: always, pause: user%s}\n"
PAUSED = "paused"
RECORDING = "recording"


def talking(rules: str = RULES, *, answers: bool = True) -> tuple[Scene, Uniqueid, Uniqueid]:
    """alice and bob talk."""
    scene = Scene(rules=rules, answers=answers)
    alice, bob = scene.call()
    scene.play()
    return scene, alice, bob


def now(scene: Scene) -> dict[int, str]:
    """The state of each rule's newest section."""
    return {section.rule_id: str(section.state) for section in scene.sections.values()}


def next_partner(scene: Scene, leaves: Uniqueid, name: str, bridge: str = "b1") -> Uniqueid:
    scene.pbx.leave(bridge, leaves)
    scene.pbx.hangup(leaves)
    other = scene.pbx.channel(f"PJSIP/{name}-1")
    scene.pbx.wait(1)
    scene.pbx.enter(bridge, other)
    scene.play()
    return other


def test_a_user_pauses_all_that_lets_users_and_what_it_started_itself() -> None:
    scene, alice, bob = talking()
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.PAUSE, bob, "bob")
    assert now(scene) == {1: PAUSED, 2: RECORDING, 3: PAUSED, 6: RECORDING}
    scene.ask(Verb.PAUSE, alice, "alice")
    assert now(scene) == {1: PAUSED, 2: RECORDING, 3: PAUSED, 6: PAUSED}
    answer = scene.answered[-1]
    assert isinstance(answer, Done)
    assert [(section.rule_id, section.state) for section in answer.sections] == [
        (1, SectionState.PAUSED), (3, SectionState.PAUSED), (6, SectionState.PAUSED),
    ]  # fmt: skip
    scene.ask(Verb.PAUSE, bob, "bob")
    assert scene.code == "record-paused"
    assert [fact.data["rules"] for fact in scene.facts if fact.kind is FactKind.RECORD_PAUSED] == [[1, 3], [1, 3, 6]]


def test_an_admin_pauses_everything_and_no_user_resumes_that() -> None:
    scene, alice, _ = talking()
    scene.ask(Verb.PAUSE, alice, "eve", Role.ADMIN)
    assert set(now(scene).values()) == {PAUSED}
    scene.ask(Verb.RESUME, alice, "alice")
    assert scene.code == "recording-of-another"
    scene.ask(Verb.RESUME, alice, "eve", Role.ADMIN)
    assert set(now(scene).values()) == {RECORDING}
    assert (scene.code, scene.pauses) == ("", {})


def test_who_may_not_pause_is_told_so_and_nothing_changes() -> None:
    scene, alice, bob = talking("rules:\n  - {id: 2, name: Nobody may, record: always}\n")
    scene.ask(Verb.PAUSE, alice, "alice")
    assert scene.code == "pause-not-allowed"
    assert (scene.mutes(), scene.kinds("record.")) == ([], [])
    scene.ask(Verb.RESUME, bob, "bob")
    assert scene.code == "not-paused"
    quiet, alice, _ = talking("rules: []\n")
    quiet.ask(Verb.PAUSE, alice, "alice")
    assert quiet.code == "not-recording"


def test_who_has_left_the_call_and_who_never_was_on_it_pauses_nothing() -> None:
    scene, alice, bob = talking(ONE % "")
    next_partner(scene, bob, "carol")
    scene.ask(Verb.PAUSE, alice, "bob")
    assert scene.code == "no-such-channel"
    scene.ask(Verb.PAUSE, alice, "dave", Role.SUPERVISOR, of="alice")
    assert scene.code == "pause-not-allowed"
    assert RECORDING in now(scene).values()


def test_a_users_pause_does_not_end_the_pause_of_an_admin_of_the_same_name() -> None:
    """alice has an admin's token and a user's. Rule 6 resumes by itself, and alice pauses it again as a user."""
    own = "rules:\n  - {id: 2, name: Nobody may, record: always}\n  - {id: 6, name: Own, record: on-demand%s}\n"
    scene, alice, _ = talking(own % ", pause_at_most: 2s")
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.PAUSE, alice, "alice", Role.ADMIN)
    scene.tick(3)
    assert now(scene) == {2: PAUSED, 6: RECORDING}
    scene.ask(Verb.PAUSE, alice, "alice")
    assert now(scene) == {2: PAUSED, 6: PAUSED}


def test_a_pause_that_is_over_before_asterisk_confirmed_it_is_not_answered_as_one() -> None:
    scene, alice, _ = talking(ONE % ", pause_at_most: 2s")
    scene.answers = False
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.tick(3)
    assert scene.code == "not-confirmed"


def test_the_answer_comes_when_every_section_is_silent() -> None:
    scene, alice, _ = talking(answers=False)
    for start in scene.starts():
        scene.answer(start, scene.pbx.now)
    scene.ask(Verb.PAUSE, alice, "alice")
    first, second = scene.mutes()
    scene.answer(first, scene.pbx.now)
    assert scene.answered == []
    scene.answer(second, scene.pbx.now)
    assert isinstance(scene.answered[0], Done)
    assert [kind for kind in scene.kinds() if kind.endswith("paused")] == [
        "record.paused", "section.paused", "section.paused",
    ]  # fmt: skip
    scene.ask(Verb.RESUME, alice, "alice")
    assert len(scene.answered) == 1
    for unmute in scene.mutes()[2:]:
        assert not unmute.muted
        scene.answer(unmute, scene.pbx.now)
    assert now(scene) == {1: RECORDING, 2: RECORDING, 3: RECORDING}
    assert isinstance(scene.answered[1], Done)


def test_a_section_that_is_still_being_started_is_muted_once_it_runs() -> None:
    scene, alice, _ = talking(ONE % "", answers=False)
    scene.ask(Verb.PAUSE, alice, "alice")
    assert (scene.mutes(), scene.answered) == ([], [])
    scene.answer(scene.starts()[0], scene.pbx.now)
    (mute,) = scene.mutes()
    assert (mute.muted, scene.answered) == (True, [])
    scene.answer(mute, scene.pbx.now)
    assert isinstance(scene.answered[0], Done)


def test_nothing_begins_while_paused_whatever_the_call_does() -> None:
    scene, alice, bob = talking(ONE % "")
    scene.ask(Verb.PAUSE, alice, "alice")
    carol = next_partner(scene, bob, "carol")
    assert scene.states() == [(1, 1, "stored")]
    scene.pbx.leave("b1", carol, alice)
    scene.pbx.enter("park", alice, bridge_type="base", technology="holding_bridge")
    scene.play()
    scene.ask(Verb.PAUSE, alice, "alice")
    assert scene.code == "not-recording"
    scene.pbx.leave("park", alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b3", alice, carol)
    scene.play()
    assert len(scene.starts()) == 1
    scene.ask(Verb.RESUME, alice, "alice")
    assert scene.states() == [(1, 1, "stored"), (1, 2, RECORDING)]
    answer = scene.answered[-1]
    assert isinstance(answer, Done)
    assert [(section.file, section.state) for section in answer.sections] == [(2, SectionState.RECORDING)]


def test_nothing_is_started_while_paused() -> None:
    scene, alice, _ = talking()
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.ask(Verb.START, alice, "alice")
    assert scene.code == "record-paused"
    scene.ask(Verb.RESUME, alice, "alice")
    scene.ask(Verb.START, alice, "alice")
    assert scene.code == ""


def test_a_pause_ends_with_what_it_paused() -> None:
    scene, alice, _ = talking("rules:\n  - {id: 6, name: Who likes, record: on-demand}\n")
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.ask(Verb.STOP, alice, "alice")
    assert scene.states() == [(6, 1, "stored")]
    assert scene.pauses == {}
    scene.ask(Verb.START, alice, "alice")
    assert scene.states() == [(6, 1, "stored"), (6, 2, RECORDING)]


@pytest.mark.parametrize("parked", [False, True])
def test_stopping_ones_own_leaves_paused_what_the_system_records(parked: bool) -> None:
    scene, alice, bob = talking()
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.PAUSE, alice, "alice")
    if parked:
        scene.pbx.leave("b1", alice, bob)
        scene.play()
    scene.ask(Verb.STOP, alice, "alice")
    if parked:
        scene.pbx.wait(1)
        scene.pbx.enter("b2", alice, bob)
        scene.play()
    assert [rule for rule, state in now(scene).items() if state == RECORDING] == [2]
    scene.ask(Verb.RESUME, alice, "alice")
    assert [rule for rule, state in now(scene).items() if state == RECORDING] == [1, 2, 3]


def test_who_resumes_lifts_its_own_pause_and_hears_that_anothers_stands() -> None:
    scene, alice, _ = talking(ONE % "" + "  - {id: 2, name: Nobody may, record: always}\n")
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.ask(Verb.PAUSE, alice, "eve", Role.ADMIN)
    scene.ask(Verb.RESUME, alice, "alice")
    answer = scene.answered[-1]
    assert isinstance(answer, Done)
    assert [section.state for section in answer.sections] == [SectionState.PAUSED]
    assert now(scene) == {1: PAUSED, 2: PAUSED}
    assert [pause.by for pause in scene.pauses.values()] == ["eve"]


def test_a_user_resumes_what_another_user_paused_where_both_may() -> None:
    scene, alice, bob = talking(ONE % "")
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.ask(Verb.RESUME, bob, "bob")
    assert scene.code == ""
    assert now(scene) == {1: RECORDING}


def test_calls_that_become_one_are_paused_if_either_was() -> None:
    scene = Scene(rules=ONE % "")
    alice, bob = scene.call()
    carol = scene.pbx.channel("PJSIP/carol-1", exten="104")
    dave = scene.pbx.ring(carol, "PJSIP/dave-1")
    scene.pbx.answered(carol, dave, "b2")
    scene.play()
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.pbx.leave("b1", alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b2", alice)
    scene.play()
    assert scene.states() == [(1, 1, "stored"), (1, 1, PAUSED)]
    scene.pbx.over("b2", alice, carol, dave)
    scene.pbx.hangup(bob)
    scene.play()
    assert scene.pauses == {}


def test_a_pause_of_the_younger_call_goes_on_in_the_older_ones_record() -> None:
    scene = Scene(rules=ONE % "")
    alice, _ = scene.call()
    carol = scene.pbx.channel("PJSIP/carol-1", exten="104")
    dave = scene.pbx.ring(carol, "PJSIP/dave-1")
    scene.pbx.answered(carol, dave, "b2")
    scene.play()
    scene.ask(Verb.PAUSE, carol, "carol")
    scene.pbx.leave("b2", carol)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", carol)
    scene.play()
    assert scene.states() == [(1, 1, PAUSED), (1, 1, "stored")]
    (pause,) = scene.pauses.values()
    assert f"{pause.record_id} {pause.call_id}" == "1700000000-1_1700000000-2 1700000000.1"
    scene.ask(Verb.RESUME, alice, "carol")
    assert now(scene)[1] == "stored"
    assert [str(section.state) for section in scene.sections.values()] == [RECORDING, "stored"]


def test_one_user_has_one_pause_of_a_call_though_its_record_becomes_another() -> None:
    rules = ONE % ", pause_at_most: 2s" + "  - {id: 3, name: Long, record: always, pause: user}\n"
    scene = Scene(rules=rules)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    carol = scene.pbx.channel("PJSIP/carol-1", exten="104")
    dave = scene.pbx.ring(carol, "PJSIP/dave-1")
    scene.pbx.answered(carol, dave, "b2")
    scene.play()
    scene.ask(Verb.PAUSE, carol, "carol")
    scene.tick(2)
    assert now(scene) == {1: RECORDING, 3: PAUSED}
    scene.pbx.enter("b2", alice)
    scene.play()
    scene.ask(Verb.PAUSE, carol, "carol")
    assert now(scene) == {1: PAUSED, 3: PAUSED}
    (pause,) = scene.pauses.values()
    assert (pause.record_id, pause.resumed) == (f"{alice}_{carol}".replace(".", "-"), ())
