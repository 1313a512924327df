"""Facts about what parties do with each other, each said once."""

import pytest

from bridge.core import messages as m
from bridge.core.ids import Uniqueid
from bridge.core.records import FactKind, JournalResult
from tests.core.scene import Scene

USERS = """
users:
  - {identity: alice, name: Alice Adams, extensions: ["101"], devices: [{id: a, name: A, channel: PJSIP/alice}]}
  - {identity: bob, name: Bob Baker, extensions: ["102"], devices: [{id: b, name: B, channel: PJSIP/bob}]}
"""
NEW = {
    FactKind.CALL_TRANSFERRED,
    FactKind.PARTY_HELD,
    FactKind.PARTY_UNHELD,
    FactKind.PARTY_PARKED,
    FactKind.PARTY_UNPARKED,
}


@pytest.fixture
def scene() -> Scene:
    return Scene(users=USERS)


def said(scene: Scene) -> list[str]:
    return [str(kind) for kind in scene.kinds() if kind in NEW]


def transferred(scene: Scene, *by: Uniqueid, of: Uniqueid, blind: bool = True, to: Uniqueid | None = None) -> None:
    extension = "103" if blind else ""
    scene.pbx.events.append(m.Transferred(scene.pbx.now, by, of, blind, to, extension))


def parked(scene: Scene, channel: Uniqueid) -> None:
    scene.pbx.enter("lot", channel, bridge_type="parking", technology="holding_bridge")


def test_a_hold_is_said_once_with_who_holds_to_those_on_the_call(scene: Scene) -> None:
    _, two = scene.call()
    scene.pbx.hold(two)
    scene.pbx.hold(two)
    scene.pbx.hold(two, held=False)
    scene.pbx.hold(two, held=False)
    scene.play()
    assert said(scene) == ["party.held", "party.unheld"]
    fact = scene.fact(FactKind.PARTY_HELD)
    assert fact.data == {"uniqueid": two, "channel": "PJSIP/bob-1"}
    assert fact.personal == {"identity": "bob", "name": "Bob Baker", "number": "102"}
    assert set(fact.audience) == {"alice", "bob"}


def test_what_was_never_held_is_not_taken_back(scene: Scene) -> None:
    one, _ = scene.call()
    scene.pbx.hold(one, held=False)
    scene.play()
    assert said(scene) == []


def test_a_restart_says_no_hold_again_and_knows_its_end(scene: Scene) -> None:
    one, two = scene.call()
    scene.pbx.hold(one)
    scene.play()
    again = scene.restarted()
    again.pbx.snapshot([one, two], [("b1", one), ("b1", two)])
    again.pbx.hold(one)
    again.pbx.hold(one, held=False)
    again.play()
    assert said(again) == ["party.unheld"]


def test_a_transfer_names_who_did_it_to_whom_and_what_was_dialled(scene: Scene) -> None:
    one, two = scene.call()
    transferred(scene, two, of=one)
    scene.play()
    fact = scene.fact(FactKind.CALL_TRANSFERRED)
    assert fact.data == {
        "uniqueid": two,
        "channel": "PJSIP/bob-1",
        "how": "blind",
        "transferers": [two],
        "transferee": one,
        "target": None,
    }
    assert fact.personal["dialed"] == "103"
    assert "103" not in str(fact.data)


def test_the_journal_says_redirect_of_who_sent_the_other_on_and_of_nobody_else(scene: Scene) -> None:
    one, two = scene.call()
    transferred(scene, two, of=one, blind=False)
    scene.pbx.over("b1", two, one)
    scene.play()
    results = {entry.identity: (entry.result, entry.result_details) for entry in scene.entries}
    assert results == {"alice": (JournalResult.HANGUP, ""), "bob": (JournalResult.REDIRECT, "to")}


def test_who_sent_the_other_on_is_known_over_a_restart(scene: Scene) -> None:
    one, two = scene.call()
    transferred(scene, two, of=one)
    scene.pbx.leave("b1", two)
    scene.play()
    again = scene.restarted()
    again.pbx.snapshot([one], [])
    again.pbx.hangup(one)
    again.play()
    assert ("bob", "redirect") in [(entry.identity, str(entry.result)) for entry in again.entries]


def test_a_transfer_by_somebody_unknown_is_passed_over(scene: Scene) -> None:
    one, _ = scene.call()
    transferred(scene, Uniqueid("9.9"), of=one)
    scene.play()
    assert said(scene) == []


def test_who_is_parked_is_told_once_and_again_when_it_leaves(scene: Scene) -> None:
    one, two = scene.call()
    scene.pbx.leave("b1", two)
    parked(scene, two)
    scene.pbx.snapshot([one, two], [])  # as one that was taken before it was parked
    scene.play()
    assert said(scene) == ["party.parked", "party.unparked"]
    assert scene.fact(FactKind.PARTY_PARKED).personal["identity"] == "bob"


def test_who_waits_elsewhere_is_not_parked(scene: Scene) -> None:
    one, two = scene.call()
    scene.pbx.leave("b1", one, two)
    scene.pbx.enter("w", two, bridge_type="base", technology="holding_bridge")
    scene.play()
    assert said(scene) == []


def test_the_parties_of_a_call_are_kept_with_it(scene: Scene) -> None:
    one, two = scene.call()
    scene.pbx.over("b1", one, two)
    scene.play()
    ((first, second),) = scene.parties.values()
    assert (first.uniqueid, first.identity, first.name, first.number, first.dialed) == (
        one, "alice", "Alice Adams", "101", False,
    )  # fmt: skip
    assert (second.uniqueid, second.dialed, second.dial_status, second.outside) == (two, True, "ANSWER", False)
    assert first.ended_at >= second.began_at


def test_of_a_call_that_rang_very_many_the_caller_and_those_who_talked_are_kept(scene: Scene) -> None:
    one = scene.pbx.channel("PJSIP/alice-1", exten="600", number="101")
    for n in range(250):
        scene.pbx.hangup(scene.pbx.ring(one, f"PJSIP/phone{n}-1", number="600"))
    two = scene.pbx.ring(one, "PJSIP/bob-1", number="600")
    scene.pbx.answered(one, two, "b1")
    scene.pbx.over("b1", one, two)
    scene.play()
    (parties,) = scene.parties.values()
    assert len(parties) == 200
    assert {one, two} <= {party.uniqueid for party in parties}
