"""Journal entries and CDRs, by how calls end."""

import pytest

from bridge.core.messages import DialBegan
from bridge.core.records import CallStatus, JournalEntry, JournalResult
from tests.core.scene import Scene

USERS = """\
users:
  - {identity: alice, id: 6, name: Alice Schön, extensions: [101], devices: [{id: 1, name: Desk, channel: PJSIP/alice}],
     location: {id: 3, name: Office}}
  - {identity: bob, id: 7, name: Bob, extensions: [102], devices: [{id: 2, name: Snom, channel: PJSIP/822}]}
"""


def by_user(scene: Scene) -> dict[str, JournalEntry]:
    return {entry.identity: entry for entry in scene.entries}


def unanswered(scene: Scene, status: str, cause: int) -> None:
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102", number="101")
    bob = scene.pbx.ring(alice, "PJSIP/822-1", number="102")
    scene.pbx.wait(7)
    scene.pbx.dial_ends(alice, bob, status)
    scene.pbx.hangup(bob, alice, cause=cause)
    scene.play()


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("BUSY", JournalResult.BUSY),
        ("NOANSWER", JournalResult.NOANSWER),
        ("CANCEL", JournalResult.CANCEL),
        ("CHANUNAVAIL", JournalResult.FAILED),
        ("CONGESTION", JournalResult.FAILED),
    ],
)
def test_a_call_that_nobody_took_says_why_on_both_sides(status: str, result: JournalResult) -> None:
    scene = Scene(users=USERS)
    unanswered(scene, status, 17)
    entries = by_user(scene)
    assert {entry.result for entry in entries.values()} == {result}
    assert {(entry.duration_s, entry.connected_s, entry.record_id) for entry in entries.values()} == {(7, 0, None)}
    assert scene.starts() == []
    assert (scene.cdrs[0].answered_at, scene.cdrs[0].talked_s, scene.cdrs[0].hangup_cause) == (None, 0, 17)


def test_both_users_see_the_call_from_their_side() -> None:
    scene = Scene(users=USERS)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102", number="101")
    bob = scene.pbx.ring(alice, "PJSIP/822-1", number="102")
    scene.pbx.wait(2)
    scene.pbx.answered(alice, bob, "b1")
    scene.pbx.wait(26)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    entries = by_user(scene)
    seen = entries["alice"]
    assert (seen.inbound, seen.internal, seen.name, seen.number, seen.extension) == (False, True, "Bob", "102", "101")
    assert (seen.user_id, seen.device_id, seen.device_name, seen.location_name) == ("6", "1", "Desk", "Office")
    assert (seen.duration_s, seen.connected_s, seen.result) == (28, 26, JournalResult.HANGUP)
    other = entries["bob"]
    assert (other.inbound, other.name, other.number, other.extension) == (True, "Alice Schön", "101", "102")
    assert other.device_name == "Snom"
    assert seen.record_id == other.record_id == scene.cdrs[0].record_ids[0]


def test_a_caller_from_outside_is_named_by_its_caller_id() -> None:
    scene = Scene(users=USERS)
    trunk = scene.pbx.channel(
        "PJSIP/trunk-1", exten="4930555", number="+4915112345", caller_name="Erika", context="from-trunk"
    )
    scene.pbx.queue(trunk, "support")
    bob = scene.pbx.ring(trunk, "PJSIP/822-1", number="102")
    scene.pbx.answered(trunk, bob, "b1")
    scene.pbx.over("b1", trunk, bob)
    scene.play()
    (entry,) = scene.entries
    assert (entry.identity, entry.inbound, entry.internal) == ("bob", True, False)
    assert (entry.name, entry.number, entry.via, entry.via_details) == ("Erika", "+4915112345", "queue", "support")
    cdr = scene.cdrs[0]
    assert (cdr.direction, cdr.source_number, cdr.dialed, cdr.queue) == ("inbound", "+4915112345", "4930555", "support")
    assert (cdr.source_identity, cdr.destination_identity) == (None, "bob")


def test_a_number_called_outside_is_what_was_dialled() -> None:
    scene = Scene(users=USERS)
    scene.call("alice", "trunk", exten="0301234567")
    scene.pbx.over("b1", *scene.recorder.tracker.channels)
    scene.play()
    scene.pbx.over("b1", *scene.recorder.tracker.channels)
    scene.play()
    (entry,) = scene.entries
    assert (entry.inbound, entry.internal, entry.number) == (False, False, "0301234567")
    assert scene.cdrs[0].direction == "outbound"


def test_a_ring_group_is_said_by_all_who_rang() -> None:
    scene = Scene(users=USERS)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="600", number="101")
    bob = scene.pbx.ring(alice, "PJSIP/822-1", number="102")
    carol = scene.pbx.ring(alice, "PJSIP/carol-1", number="103")
    scene.pbx.wait(2)
    scene.pbx.dial_ends(alice, carol, "CANCEL")
    scene.pbx.hangup(carol, cause=26)
    scene.pbx.answered(alice, bob, "b1")
    scene.pbx.over("b1", alice, bob)
    scene.play()
    entries = by_user(scene)
    assert {(entry.via, entry.via_details) for entry in entries.values()} == {("group", "600")}
    assert entries["carol"].result is JournalResult.CANCEL
    assert entries["carol"].name == "Alice Schön"
    assert scene.cdrs[0].destination_identity == "bob"


def test_one_phone_after_the_other_is_no_group() -> None:
    scene = Scene(users=USERS)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102", number="101")
    bob = scene.pbx.ring(alice, "PJSIP/822-1", number="102")
    scene.pbx.wait(10)
    scene.pbx.dial_ends(alice, bob, "NOANSWER")
    scene.pbx.hangup(bob)
    carol = scene.pbx.ring(alice, "PJSIP/carol-1", number="103")
    scene.pbx.answered(alice, carol, "b1")
    scene.pbx.over("b1", alice, carol)
    scene.play()
    assert {entry.via for entry in scene.entries} == {""}
    assert by_user(scene)["bob"].result is JournalResult.NOANSWER


def test_a_call_that_the_pbx_answers_is_one_entry_without_talk() -> None:
    scene = Scene(users=USERS)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800", number="101")
    scene.pbx.up(alice)
    scene.pbx.wait(5)
    scene.pbx.hangup(alice)
    scene.play()
    (entry,) = scene.entries
    assert (entry.result, entry.connected_s, entry.number, entry.record_id) == (JournalResult.HANGUP, 0, "800", None)


def test_a_local_channel_alone_is_nobodys_call() -> None:
    scene = Scene(users=USERS)
    one = scene.pbx.channel("Local/x@y-1;1")
    scene.pbx.hangup(one)
    scene.play()
    assert scene.entries == []
    assert scene.cdrs == []


def test_a_phone_that_the_pbx_rang_to_place_a_call_has_that_calls_result() -> None:
    scene = Scene()
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.events.append(DialBegan(scene.pbx.now, None, alice, "101", "", "PJSIP/alice"))
    scene.pbx.dial_ends(alice, alice, "ANSWER")
    scene.pbx.up(alice)
    bob = scene.pbx.ring(alice, "PJSIP/bob-1", number="102")
    scene.pbx.dial_ends(alice, bob, "BUSY")
    scene.pbx.hangup(bob, cause=17)
    scene.pbx.hangup(alice)
    scene.play()
    assert {entry.identity: entry.result for entry in scene.entries} == {"alice": "busy", "bob": "busy"}


def test_an_entry_of_joined_calls_names_the_record_that_took_the_later_sections() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.pbx.wait(1)
    carol = scene.pbx.channel("PJSIP/carol-1", exten="104")
    dave = scene.pbx.ring(carol, "PJSIP/dave-1")
    scene.pbx.answered(carol, dave, "b2")
    scene.pbx.leave("b2", carol)
    scene.pbx.leave("b1", bob)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", carol)
    scene.play()
    older = next(iter(scene.sections.values())).record_id
    assert [section.record_id == older for section in scene.sections.values()] == [True, False, True]
    scene.pbx.hangup(bob, dave)
    scene.pbx.over("b1", alice, carol)
    scene.play()
    assert len(scene.cdrs[0].record_ids) == 2
    assert {entry.record_id for entry in scene.entries} == {older}


def left_alone(scene: Scene, *variables: tuple[str, str]) -> None:
    """Bob does not answer; then the dial plan does something with alice that sets these variables."""
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102", number="101")
    bob = scene.pbx.ring(alice, "PJSIP/822-1", number="102")
    scene.pbx.wait(7)
    scene.pbx.dial_ends(alice, bob, "NOANSWER")
    scene.pbx.hangup(bob, cause=16)
    scene.pbx.wait(3)
    for name, value in variables:
        scene.pbx.variable(alice, name, value)
    scene.pbx.hangup(alice, cause=16)
    scene.play()


@pytest.mark.parametrize(
    ("variables", "status", "details"),
    [
        ((), CallStatus.UNKNOWN, ""),
        ((("VMSTATUS", "SUCCESS"),), CallStatus.VOICEMAIL, "voicemail"),
        ((("VMSTATUS", "FAILED"),), CallStatus.UNKNOWN, ""),
        ((("VMSTATUS", "SUCCESS"), ("VMSTATUS", "FAILED")), CallStatus.UNKNOWN, ""),
        ((("WAZO_BLOCKED_NUMBER_UUID", "2d76d3a5-d41a-498a-abed-bce30b602693"),), CallStatus.BLOCKED, ""),
        ((("WAZO_BLOCKED_NUMBER_UUID", ""),), CallStatus.UNKNOWN, ""),
    ],
)
def test_what_became_of_a_call_that_nobody_took_is_said_by_its_variables(
    variables: tuple[tuple[str, str], ...], status: CallStatus, details: str
) -> None:
    scene = Scene(users=USERS)
    left_alone(scene, *variables)
    (cdr,) = scene.cdrs
    assert (cdr.status, cdr.answered_at) == (status, None)
    assert {entry.result_details for entry in scene.entries} == {details}


def test_a_call_that_somebody_took_was_answered_whatever_it_ends_in() -> None:
    scene = Scene(users=USERS)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102", number="101")
    bob = scene.pbx.ring(alice, "PJSIP/822-1", number="102")
    scene.pbx.answered(alice, bob, "b1")
    scene.pbx.wait(5)
    scene.pbx.leave("b1", bob)
    scene.pbx.variable(alice, "VMSTATUS", "SUCCESS")
    scene.pbx.hangup(bob, alice, cause=16)
    scene.play()
    assert [cdr.status for cdr in scene.cdrs] == [CallStatus.ANSWERED]
    assert {entry.result_details for entry in scene.entries} == {""}


def test_a_cdr_names_the_contexts_of_both_sides() -> None:
    scene = Scene(users=USERS)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102", number="101", context="from-inside")
    bob = scene.pbx.channel("PJSIP/822-1", of=alice, context="from-bob")
    scene.pbx.events.append(DialBegan(scene.pbx.now, alice, bob, "102", "", "PJSIP/822-1"))
    scene.pbx.wait(1)
    scene.pbx.hangup(bob, alice, cause=16)
    scene.play()
    (cdr,) = scene.cdrs
    assert (cdr.context, cdr.destination_context) == ("from-inside", "from-bob")
