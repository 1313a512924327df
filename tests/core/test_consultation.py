"""The talk before an attended transfer, which `consultation: false` leaves out."""

from bridge.core.commands import Verb
from bridge.core.ids import Uniqueid
from bridge.core.now import calls_now
from bridge.core.records import FactKind
from tests.core.scene import Scene

RULES = """\
rules:
  - {id: 1, name: Asking back, record: always}
  - {id: 8, name: Not asking back, record: always, consultation: false}
"""
ONE = "rules:\n  - {id: 8, name: Not asking back, record: always, consultation: false}\n"


def talking(rules: str = RULES) -> tuple[Scene, Uniqueid, Uniqueid]:
    """alice has called bob, and they talk."""
    scene = Scene(rules=rules)
    alice, bob = scene.call()
    scene.play()
    scene.pbx.wait(1)
    return scene, alice, bob


def asks_back(scene: Scene, who: Uniqueid, called: str = "carol", bridge: str = "b2") -> Uniqueid:
    """With Asterisk's own feature: `who` holds the other, leaves it alone and talks with `called` elsewhere."""
    scene.pbx.hold(who)
    carol = scene.pbx.ring(who, f"PJSIP/{called}-1")
    scene.pbx.leave("b1", who)
    scene.pbx.answered(who, carol, bridge)
    scene.play()
    scene.pbx.wait(1)
    return carol


def runs(scene: Scene) -> list[int]:
    """The rules that record now."""
    return sorted({section.rule_id for section in scene.sections.values() if str(section.state) == "recording"})


def reasons(scene: Scene) -> list[str | None]:
    return [fact.data["reason"] for fact in scene.facts if fact.kind is FactKind.TALK_BEGAN]


def test_asking_back_by_feature_is_not_recorded_by_who_does_not_want_it() -> None:
    scene, _, bob = talking()
    assert runs(scene) == [1, 8]
    asks_back(scene, bob)
    assert runs(scene) == [1]


def test_the_fact_and_the_running_call_say_why_nothing_is_recorded() -> None:
    scene, _, bob = talking(ONE)
    asks_back(scene, bob)
    why = "consultation, not wanted by rule 8"
    assert reasons(scene) == [None, why]
    assert [call.reason for call in calls_now(scene.recorder)] == [why]


def test_after_the_transfer_it_is_recorded_again() -> None:
    scene, alice, bob = talking(ONE)
    carol = asks_back(scene, bob)
    scene.pbx.leave("b2", carol, bob)
    scene.pbx.enter("b1", carol)
    scene.pbx.hangup(bob)
    scene.play()
    assert scene.states() == [(8, 1, "stored"), (8, 2, "recording")]
    assert reasons(scene)[-1] is None
    assert scene.starts()[1].leg in (alice, carol)


def test_when_the_one_who_waits_has_hung_up_it_is_a_talk_like_any_other() -> None:
    scene, alice, bob = talking()
    asks_back(scene, bob)
    assert runs(scene) == [1]
    scene.pbx.leave("b1", alice)
    scene.pbx.hangup(alice)
    scene.play()
    assert runs(scene) == [1, 8]


def test_a_swap_back_is_none_and_going_there_again_is_one() -> None:
    scene, _, bob = talking(ONE)
    asks_back(scene, bob)
    scene.pbx.leave("b2", bob)
    scene.pbx.enter("b1", bob)
    scene.play()
    assert runs(scene) == [8]
    scene.pbx.wait(1)
    scene.pbx.leave("b1", bob)
    scene.pbx.enter("b2", bob)
    scene.play()
    assert runs(scene) == []


def test_who_is_retrieved_while_the_parker_is_still_in_the_bridge_consults_nobody() -> None:
    scene, alice, _ = talking(ONE)
    scene.pbx.leave("b1", alice)
    scene.pbx.enter("parked", alice, bridge_type="base", technology="holding_bridge")
    scene.pbx.wait(1)
    scene.pbx.leave("parked", alice)
    carol = scene.pbx.channel("PJSIP/carol-1", exten="721")
    scene.pbx.enter("b2", alice, carol)
    scene.play()
    assert scene.states() == [(8, 1, "stored"), (8, 2, "recording")]


def test_three_in_one_talk_end_it() -> None:
    scene, alice, bob = talking(ONE)
    asks_back(scene, bob)
    scene.pbx.leave("b1", alice)
    scene.pbx.enter("b2", alice)
    scene.play()
    assert scene.states() == [(8, 1, "stored"), (8, 2, "recording")]


def phones_again(scene: Scene, user: str, called: str = "carol") -> tuple[Uniqueid, Uniqueid]:
    """A phone that transfers by itself dials on its second line."""
    second = scene.pbx.channel(f"PJSIP/{user}-2", exten="103")
    carol = scene.pbx.ring(second, f"PJSIP/{called}-1")
    scene.pbx.answered(second, carol, "b2")
    scene.play()
    scene.pbx.wait(1)
    return second, carol


def test_asking_back_by_phone_is_not_recorded_by_who_does_not_want_it() -> None:
    for number, name in ((0, "alice"), (1, "bob")):
        scene, *legs = talking()
        scene.pbx.hold(legs[number])
        phones_again(scene, name)
        assert [state for rule, _, state in scene.states() if rule == 8] == ["recording"]
        assert [state for rule, _, state in scene.states() if rule == 1] == ["recording", "recording"]
        assert reasons(scene)[-1] is None


def test_after_a_transfer_by_phone_it_is_recorded_again() -> None:
    scene, _, bob = talking(ONE)
    scene.pbx.hold(bob)
    second, carol = phones_again(scene, "bob")
    assert reasons(scene)[-1] == "consultation, not wanted by rule 8"
    scene.pbx.leave("b1", bob)
    scene.pbx.leave("b2", second)
    scene.pbx.leave("b2", carol)
    scene.pbx.enter("b1", carol)
    scene.pbx.hangup(bob, second)
    scene.play()
    assert scene.states() == [(8, 1, "stored"), (8, 2, "recording")]


def test_a_second_call_without_a_hold_is_none() -> None:
    scene, _, _ = talking(ONE)
    phones_again(scene, "bob")
    assert [state for _, _, state in scene.states()] == ["recording", "recording"]


def test_a_second_call_after_the_hold_is_over_is_none() -> None:
    scene, _, bob = talking(ONE)
    scene.pbx.hold(bob)
    scene.pbx.hold(bob, held=False)
    phones_again(scene, "bob")
    assert [state for _, _, state in scene.states()] == ["recording", "recording"]


def test_a_call_that_comes_in_meanwhile_is_none() -> None:
    scene, _, bob = talking(ONE)
    scene.pbx.hold(bob)
    dave = scene.pbx.channel("PJSIP/dave-1", exten="102")
    scene.pbx.answered(dave, scene.pbx.ring(dave, "PJSIP/bob-2"), "b2")
    scene.play()
    assert [state for _, _, state in scene.states()] == ["recording", "recording"]


def test_somebody_elses_hold_makes_none() -> None:
    scene, alice, _ = talking(ONE)
    scene.pbx.hold(alice)
    phones_again(scene, "dave")
    assert [state for _, _, state in scene.states()] == ["recording", "recording"]


def test_what_a_user_started_is_not_recorded_while_asking_back_and_goes_on_after_it() -> None:
    scene, _, bob = talking("rules:\n  - {id: 6, name: Who likes, record: on-demand, consultation: false}\n")
    scene.ask(Verb.START, bob, "bob")
    carol = asks_back(scene, bob)
    assert scene.states() == [(6, 1, "stored")]
    assert scene.kinds("record.offered") == ["record.offered"]
    scene.ask(Verb.START, carol, "carol")
    assert scene.code == "not-allowed-by-rules"
    scene.pbx.leave("b2", carol, bob)
    scene.pbx.enter("b1", carol)
    scene.pbx.hangup(bob)
    scene.play()
    assert scene.states() == [(6, 1, "stored"), (6, 2, "recording")]
    assert [section.owner for section in scene.sections.values()] == ["bob", "bob"]
