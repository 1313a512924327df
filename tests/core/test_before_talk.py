"""What is recorded of the time before a talk (`start: answer`, `start: ring`) ends where the talk begins."""

from bridge.core.access import Role
from bridge.core.commands import ANSWER_WITHIN_S, Verb
from tests.core.scene import Scene

ANSWER = "rules:\n  - {id: 4, name: From the answer, record: always, start: answer, pause: user}\n"


def test_a_caller_who_comes_into_a_conference_that_talks_already_is_recorded_once() -> None:
    scene = Scene(rules=ANSWER)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.up(alice)
    bob, carol = (scene.pbx.channel(f"PJSIP/{name}-1", exten="801") for name in ("bob", "carol"))
    scene.pbx.enter("c1", bob, carol, bridge_type="base", technology="softmix")
    scene.play()
    assert [str(section.state) for section in scene.sections.values()] == ["recording"] * 2
    scene.pbx.enter("c1", alice, bridge_type="base", technology="softmix")
    scene.play()
    assert [(section.leg, str(section.state)) for section in scene.sections.values()] == [
        (alice, "stored"), (bob, "recording"),
    ]  # fmt: skip


def test_a_pause_of_what_never_ran_leaves_nothing() -> None:
    scene = Scene(rules=ANSWER, answers=False)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.up(alice)
    scene.play()
    (start,) = scene.starts()
    scene.ask(Verb.PAUSE, alice, "eve", Role.ADMIN)
    scene.tick(ANSWER_WITHIN_S)
    assert scene.code == "not-confirmed"
    scene.lost(start)
    assert not scene.recorder.sectioner.muting.is_unsure(start.key)
    assert [str(section.state) for section in scene.sections.values()] == ["failed"]


def test_a_caller_who_hung_up_while_we_were_away_leaves_no_leg_behind() -> None:
    scene = Scene(rules=ANSWER)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.up(alice)
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.play()
    carol = scene.pbx.channel("PJSIP/carol-1", of=alice)
    scene.play()
    scene.pbx.snapshot([bob, carol], [("b1", bob), ("b1", carol)])
    scene.play()
    assert scene.recorder.sectioner.monitors.ended_on(alice) is None
