"""The record keys of phones: `*3` records this call, `*26` all calls of a user."""

import pytest

from bridge.core.access import Role
from bridge.core.commands import Verb
from bridge.core.ids import Uniqueid
from bridge.core.people import UserFlags
from bridge.core.records import FactKind
from tests.core.scene import RECORD_ALL, Scene

ON_DEMAND = "rules:\n  - {id: 6, name: Who likes, record: on-demand}\n"
ALL_ON = UserFlags(True, True, True, True)


def talking(rules: str = ON_DEMAND) -> tuple[Scene, Uniqueid, Uniqueid]:
    """alice and bob talk."""
    scene = Scene(rules=rules)
    alice, bob = scene.call()
    scene.play()
    return scene, alice, bob


def press(scene: Scene, leg: Uniqueid) -> None:
    scene.pbx.record_key(leg)
    scene.play()


def state(scene: Scene) -> str:
    return str(list(scene.sections.values())[-1].state) if scene.sections else ""


def refusals(scene: Scene) -> list[str]:
    return [fact.data["code"] for fact in scene.facts if fact.kind is FactKind.CONTROL_REFUSED]


def test_the_key_starts_then_pauses_then_resumes_ten_times() -> None:
    scene, _, bob = talking()
    seen = []
    for _ in range(10):
        press(scene, bob)
        seen.append(state(scene))
    assert seen == ["recording"] + ["paused", "recording"] * 4 + ["paused"]
    assert len(scene.starts()) == 1
    (section,) = scene.sections.values()
    assert section.owner == "bob"
    assert scene.kinds("record.") == [
        "record.offered", "record.started", *["record.paused", "record.resumed"] * 4, "record.paused",
    ]  # fmt: skip
    assert scene.fact(FactKind.RECORD_STARTED).data == {"by": "phone", "rules": [6]}
    assert scene.answered == []


def test_digits_alone_act_half_a_second_later() -> None:
    scene, _, bob = talking()
    scene.pbx.digits(bob, "*3")
    scene.play()
    assert scene.starts() == []
    scene.wakes()
    assert len(scene.starts()) == 1


def test_digits_and_user_event_of_one_press_act_once() -> None:
    scene, _, bob = talking()
    scene.pbx.digits(bob, "*3")
    scene.pbx.record_key(bob)
    scene.play()
    scene.tick(5)
    assert scene.kinds("record.") == ["record.offered", "record.started"]


def test_digits_of_both_phones_make_no_press() -> None:
    scene, alice, bob = talking()
    scene.pbx.digits(alice, "*")
    scene.pbx.digits(bob, "3")
    scene.play()
    scene.tick(5)
    assert scene.starts() == []


def test_a_hangup_before_the_digits_act_leaves_nothing() -> None:
    scene, alice, bob = talking()
    scene.pbx.digits(bob, "*3")
    scene.pbx.over("b1", alice, bob)
    scene.play()
    assert scene.due() is None
    scene.tick(5)
    assert scene.starts() == []


def test_who_may_not_record_changes_nothing_and_a_fact_says_so() -> None:
    scene, alice, bob = talking("rules:\n  - {id: 6, name: Alice's, record: on-demand, when: {user: alice}}\n")
    press(scene, bob)
    assert refusals(scene) == ["not-allowed-by-rules"]
    fact = scene.fact(FactKind.CONTROL_REFUSED)
    assert fact.data["verb"] == "toggle"
    assert (fact.data["channel"], fact.personal) == ("PJSIP/bob-1", {"identity": "bob"})
    assert (scene.starts(), scene.answered) == ([], [])
    press(scene, alice)
    press(scene, bob)
    assert refusals(scene) == ["not-allowed-by-rules"] * 2
    assert state(scene) == "recording"


def test_the_key_pauses_what_the_system_records_only_where_the_rule_lets_users() -> None:
    scene, _, bob = talking("rules:\n  - {id: 1, name: All, record: always, pause: user}\n")
    press(scene, bob)
    assert state(scene) == "paused"
    press(scene, bob)
    assert state(scene) == "recording"
    never, _, bob = talking(RECORD_ALL)
    press(never, bob)
    assert (state(never), refusals(never)) == ("recording", ["recording-automatic"])


def test_a_start_by_key_that_asterisk_refuses_leaves_nothing_behind_and_the_next_press_starts() -> None:
    scene, _, bob = talking()
    scene.refuse = lambda act: True  # noqa: ARG005
    press(scene, bob)
    assert (state(scene), refusals(scene), scene.demands) == ("failed", ["not-confirmed"], {})
    scene.refuse = lambda act: False  # noqa: ARG005
    press(scene, bob)
    assert state(scene) == "recording"


def test_what_somebody_tried_in_vain_is_told_to_nobody_else() -> None:
    scene, _, bob = talking("rules:\n  - {id: 6, name: Alice, record: on-demand, when: {user: alice}}\n")
    press(scene, bob)
    assert scene.fact(FactKind.CONTROL_REFUSED).audience == ("bob",)


def test_a_key_does_not_resume_what_an_admin_paused() -> None:
    scene, _, bob = talking()
    press(scene, bob)
    scene.ask(Verb.PAUSE, bob, "eve", Role.ADMIN)
    press(scene, bob)
    assert (state(scene), refusals(scene)) == ("paused", ["recording-of-another"])


def test_somebody_outside_is_no_user() -> None:
    scene = Scene(rules=ON_DEMAND)
    trunk = scene.pbx.channel("PJSIP/trunk-1", exten="102", context="from-trunk", number="+4930123456")
    scene.pbx.answered(trunk, scene.pbx.ring(trunk, "PJSIP/bob-1"), "b1")
    scene.play()
    press(scene, trunk)
    scene.pbx.all_calls_key(trunk)
    scene.play()
    assert (scene.starts(), scene.flags) == ([], {})
    assert refusals(scene) == ["not-allowed-by-rules", "no-user"]


@pytest.mark.parametrize(
    ("queue_says", "user_says", "starts"),
    [(None, True, 1), (None, False, 0), (True, False, 1), (True, True, 1), (False, True, 0), (False, False, 0)],
)
def test_a_queues_setting_stands_over_its_members_own(queue_says: bool | None, user_says: bool, starts: int) -> None:
    scene = Scene(
        rules="rules:\n  - {id: 6, name: Online, record: on-demand, when: {online_call_record: true}}\n",
        users=f"users: [{{identity: bob, online_call_record_enabled: {str(user_says).lower()}}}]\n",
        queue_toggles={} if queue_says is None else {"support": queue_says},
    )
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.queue(alice, "support")
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.pbx.answered(alice, bob, "b1")
    scene.play()
    press(scene, bob)
    assert len(scene.starts()) == starts
    assert len(refusals(scene)) == 1 - starts


@pytest.mark.parametrize(("queue", "starts"), [("support", 0), ("", 1), ("sales", 1)])
def test_a_queue_that_does_not_let_its_members_record_says_nothing_of_others(queue: str, starts: int) -> None:
    scene = Scene(rules=ON_DEMAND, queue_toggles={"support": False, "sales": True})
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    if queue:
        scene.pbx.queue(alice, queue)
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.pbx.answered(alice, bob, "b1")
    scene.play()
    press(scene, bob)
    assert len(scene.starts()) == starts
    if not starts:
        press(scene, alice)
        assert [section.owner for section in scene.sections.values()] == ["alice"]


def dials_26(scene: Scene, user: str) -> None:
    leg = scene.pbx.channel(f"PJSIP/{user}-9", exten="*26")
    scene.pbx.all_calls_key(leg)
    scene.pbx.all_calls_key(leg)
    scene.pbx.hangup(leg)
    scene.play()


def test_dialling_26_sets_all_four_flags_to_the_opposite_of_all_on() -> None:
    scene = Scene(users="users: [{identity: bob, call_record_incoming_internal_enabled: true}]\n")
    dials_26(scene, "bob")
    assert scene.flags == {"bob": ALL_ON}
    dials_26(scene, "bob")
    assert scene.flags == {"bob": UserFlags()}
    dials_26(scene, "alice")
    assert scene.flags["alice"] == ALL_ON  # type: ignore[index]  # an identity is text
    facts = [fact for fact in scene.facts if fact.kind is FactKind.USER_FLAGS_SET]
    assert [(fact.data, fact.personal["identity"]) for fact in facts] == [
        ({"by": "phone", "enabled": True}, "bob"),
        ({"by": "phone", "enabled": False}, "bob"),
        ({"by": "phone", "enabled": True}, "alice"),
    ]


def test_26_leaves_recording_by_key_as_it_is() -> None:
    scene = Scene(users="users: [{identity: bob, online_call_record_enabled: true}]\n")
    dials_26(scene, "bob")
    assert list(scene.flags.values()) == [UserFlags(True, True, True, True, online_call_record_enabled=True)]


def test_26_counts_from_the_next_talk() -> None:
    scene = Scene(rules="rules:\n  - {id: 1, name: Own, record: always, when: {user_call_record: true}}\n")
    alice, bob = scene.call()
    scene.play()
    dials_26(scene, "bob")
    assert scene.starts() == []
    scene.pbx.leave("b1", alice, bob)
    scene.pbx.wait(1)
    scene.pbx.enter("b2", alice, bob)
    scene.play()
    assert len(scene.starts()) == 1
