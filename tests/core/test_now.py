"""What is said of each party of a call that goes on: with whom it talks, and whether that is recorded."""

from bridge.core.access import Role
from bridge.core.commands import Verb
from bridge.core.ids import Uniqueid
from bridge.core.live import PartyNow
from bridge.core.now import calls_now
from tests.core.scene import RECORD_ALL, Scene

ON_DEMAND = "rules:\n  - {id: 6, name: Who likes, record: on-demand}\n"


def parties(scene: Scene) -> dict[Uniqueid, PartyNow]:
    return {party.uniqueid: party for call in calls_now(scene.recorder) for party in call.parties}


def recorded(scene: Scene, *legs: Uniqueid) -> list[str]:
    found = parties(scene)
    return [found[leg].recording for leg in legs]


def test_a_party_says_who_rang_whom_and_who_answered_when() -> None:
    scene = Scene()
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    bob = scene.pbx.ring(alice, "PJSIP/bob-1", number="102")
    scene.play()
    before = parties(scene)
    assert [(before[leg].dialed, before[leg].answered_at, before[leg].talking_with) for leg in (alice, bob)] == [
        (False, None, ()),
        (True, None, ()),
    ]
    assert before[alice].began_at < before[bob].began_at  # type: ignore[operator]  # both are there
    scene.pbx.up(alice)
    scene.pbx.answered(alice, bob, "b1")
    scene.pbx.hold(bob)
    scene.play()
    after = parties(scene)
    assert after[alice].answered_at is not None
    assert after[bob].answered_at is not None
    assert (after[alice].talking_with, after[bob].talking_with) == ((bob,), (alice,))
    assert (after[alice].bridge, after[bob].bridge) == ("b1", "b1")
    assert (after[alice].held, after[bob].held) == (False, True)
    assert (after[alice].parked, after[bob].parked) == (False, False)


def test_a_party_in_a_holding_bridge_is_parked_and_talks_with_nobody() -> None:
    scene = Scene()
    alice = scene.pbx.channel("PJSIP/alice-1", exten="700")
    scene.pbx.enter("lot", alice, technology="holding_bridge")
    scene.play()
    assert (parties(scene)[alice].parked, parties(scene)[alice].talking_with) == (True, ())


def test_a_party_says_what_is_done_with_its_own_talk() -> None:
    """Alice has Bob on hold and asks Carol: two talks, of which one is recorded."""
    scene = Scene(rules="rules:\n  - {id: 1, name: Bob, record: always, when: {user: bob}, follow: user}\n")
    one, bob = scene.call()
    two = scene.pbx.channel("PJSIP/alice-2", exten="103", of=one)
    carol = scene.pbx.ring(two, "PJSIP/carol-1", number="103")
    scene.pbx.answered(two, carol, "b2")
    scene.play()
    assert recorded(scene, one, bob, two, carol) == ["recording", "recording", "", ""]


def test_what_is_started_paused_resumed_and_stopped_is_seen_on_both_legs() -> None:
    scene = Scene(rules=ON_DEMAND)
    alice, bob = scene.call()
    scene.play()
    seen = [recorded(scene, alice, bob)]
    for verb in (Verb.START, Verb.PAUSE, Verb.RESUME, Verb.STOP):
        scene.ask(verb, bob, "bob")
        seen.append(recorded(scene, alice, bob))
    assert seen == [[state] * 2 for state in ("", "recording", "paused", "recording", "")]


def test_what_is_offered_only_is_not_recorded_and_neither_is_what_failed() -> None:
    scene = Scene()
    scene.refuse = lambda act: True  # noqa: ARG005
    alice, bob = scene.call()
    scene.play()
    assert recorded(scene, alice, bob) == ["", ""]


def test_one_rule_that_records_stands_over_one_that_is_paused() -> None:
    scene = Scene(rules=RECORD_ALL + "  - {id: 2, name: Pausable, record: always, pause: user}\n")
    alice, bob = scene.call()
    scene.play()
    scene.ask(Verb.PAUSE, bob, "bob")
    assert recorded(scene, alice, bob) == ["recording", "recording"]
    scene.ask(Verb.PAUSE, bob, "root", Role.ADMIN)
    assert recorded(scene, alice, bob) == ["paused", "paused"]


def test_who_waits_is_recorded_where_the_rule_begins_with_the_answer() -> None:
    scene = Scene(rules=RECORD_ALL.replace("always", "always, start: answer"))
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.up(alice)
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.play()
    assert recorded(scene, alice, bob) == ["recording", ""]


def test_who_is_parked_while_the_record_is_paused_is_paused() -> None:
    scene = Scene(rules=ON_DEMAND)
    alice, bob = scene.call()
    scene.play()
    scene.ask(Verb.START, bob, "bob")
    scene.ask(Verb.PAUSE, bob, "bob")
    scene.pbx.leave("b1", alice)
    scene.pbx.enter("lot", alice, technology="holding_bridge")
    scene.play()
    assert recorded(scene, alice, bob) == ["paused", "paused"]
