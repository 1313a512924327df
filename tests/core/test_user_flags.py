"""Flags that an admin sets over HTTP, and keys that an admin has disabled."""

from dataclasses import replace

import pytest

from bridge.core.access import Reader, Role, Scope
from bridge.core.commands import CommandNumber, Done, SetFlags
from bridge.core.ids import Identity, Uniqueid
from bridge.core.people import UserFlags
from bridge.core.records import FactKind
from bridge.core.settings import Settings
from tests.core.scene import Scene

BOB = Identity("bob")
ROOT = Reader(Identity("root"), Role.ADMIN, frozenset(Scope))
OWN = "rules:\n  - {id: 1, name: Own, record: always, when: {user_call_record: true}}\n"
ONLINE = "rules:\n  - {id: 6, name: Online, record: on-demand, when: {online_call_record: true}}\n"
ALL_ON = {
    "call_record_incoming_internal_enabled": True,
    "call_record_incoming_external_enabled": True,
    "call_record_outgoing_internal_enabled": True,
    "call_record_outgoing_external_enabled": True,
}
ONE_ON = UserFlags(call_record_incoming_internal_enabled=True)


def sets(scene: Scene, **changes: bool) -> None:
    scene.take(SetFlags(scene.pbx.now, CommandNumber(7), BOB, changes, ROOT), scene.pbx.now)


def flags_facts(scene: Scene) -> list[dict[str, object]]:
    return [dict(fact.data) for fact in scene.facts if fact.kind is FactKind.USER_FLAGS_SET]


def talks_again(scene: Scene, *legs: Uniqueid) -> None:
    scene.pbx.leave("b1", *legs)
    scene.pbx.wait(1)
    scene.pbx.enter("b2", *legs)
    scene.play()


def test_what_is_set_is_kept_and_is_a_fact_for_its_user() -> None:
    scene = Scene()
    sets(scene, call_record_incoming_internal_enabled=True)
    assert scene.flags == {BOB: ONE_ON}
    assert scene.answered == [Done(CommandNumber(7), ())]
    fact = scene.fact(FactKind.USER_FLAGS_SET)
    assert fact.data["by"] == "api"
    assert fact.data["flags"]["call_record_incoming_internal_enabled"] is True
    assert fact.data["flags"]["online_call_record_enabled"] is False
    assert (fact.personal, fact.audience) == ({"identity": "bob", "asker": "root"}, ("bob",))


def test_what_is_not_named_stays_as_it_is() -> None:
    scene = Scene(users="users: [{identity: bob, online_call_record_enabled: true}]\n")
    sets(scene, call_record_incoming_internal_enabled=True)
    sets(scene, call_record_outgoing_external_enabled=True)
    assert scene.flags[BOB] == UserFlags(
        call_record_incoming_internal_enabled=True,
        call_record_outgoing_external_enabled=True,
        online_call_record_enabled=True,
    )


@pytest.mark.parametrize("changes", [{}, {"call_record_incoming_internal_enabled": True}])
def test_what_changes_nothing_is_answered_and_is_no_fact(changes: dict[str, bool]) -> None:
    scene = Scene(users="users: [{identity: bob, call_record_incoming_internal_enabled: true}]\n")
    sets(scene, **changes)
    assert (scene.flags, flags_facts(scene)) == ({}, [])
    assert scene.answered == [Done(CommandNumber(7), ())]


def test_it_counts_from_the_next_talk() -> None:
    scene = Scene(rules=OWN)
    alice, bob = scene.call()
    scene.play()
    sets(scene, **ALL_ON)
    assert scene.starts() == []
    talks_again(scene, alice, bob)
    assert len(scene.starts()) == 1


def test_what_is_turned_off_goes_on_to_the_end_of_the_talk() -> None:
    scene = Scene(rules=OWN.replace("always,", "always, follow: user,").replace("{user_call", "{user: bob, user_call"))
    sets(scene, **ALL_ON)
    alice, bob = scene.call()
    scene.play()
    sets(scene, **dict.fromkeys(ALL_ON, False))
    assert (len(scene.starts()), scene.stops()) == (1, [])
    scene.pbx.over("b1", alice, bob)
    scene.play()
    scene.call()
    scene.play()
    assert len(scene.starts()) == 1


def test_it_survives_a_restart() -> None:
    before = Scene(rules=OWN)
    sets(before, **ALL_ON)
    scene = before.restarted()
    assert scene.recorder.phones.flags_of(BOB) == UserFlags(*[True] * 4)
    scene.call()
    scene.play()
    assert len(scene.starts()) == 1


def test_a_dialled_26_goes_on_from_what_was_set() -> None:
    scene = Scene()
    sets(scene, **ALL_ON, online_call_record_enabled=True)
    leg = scene.pbx.channel("PJSIP/bob-9", exten="*26")
    scene.pbx.all_calls_key(leg)
    scene.play()
    assert scene.flags[BOB] == UserFlags(online_call_record_enabled=True)


def test_online_recording_is_allowed_and_taken_back() -> None:
    scene = Scene(rules=ONLINE)
    sets(scene, online_call_record_enabled=True)
    _, bob = scene.call()
    scene.pbx.record_key(bob)
    scene.play()
    assert len(scene.starts()) == 1
    again = Scene(rules=ONLINE)
    sets(again, online_call_record_enabled=True)
    sets(again, online_call_record_enabled=False)
    _, bob = again.call()
    again.pbx.record_key(bob)
    again.play()
    assert (again.starts(), again.fact(FactKind.CONTROL_REFUSED).data["code"]) == ([], "not-allowed-by-rules")


def test_a_disabled_26_turns_nothing_and_a_fact_says_so() -> None:
    scene = Scene()
    scene.recorder.phones.use(Settings(call_record_toggle=False))
    leg = scene.pbx.channel("PJSIP/bob-9", exten="*26")
    scene.pbx.all_calls_key(leg)
    scene.play()
    assert (scene.flags, flags_facts(scene)) == ({}, [])
    fact = scene.fact(FactKind.CONTROL_REFUSED)
    assert fact.data == {
        "verb": "call-record-toggle", "by": "phone", "code": "key-disabled", "channel": "PJSIP/bob-9",
    }  # fmt: skip
    assert fact.personal == {"identity": "bob"}


@pytest.mark.parametrize("digits", [False, True], ids=["feature map", "plain DTMF"])
def test_a_disabled_3_starts_nothing_and_a_fact_says_so(digits: bool) -> None:
    scene = Scene(rules="rules:\n  - {id: 6, name: Who likes, record: on-demand}\n")
    _, bob = scene.call()
    scene.play()
    settings = Settings(record_toggle=False)
    scene.recorder.phones.use(settings)
    if digits:
        scene.pbx.digits(bob, "*3")
        scene.play()
        scene.wakes()
    else:
        scene.pbx.record_key(bob)
        scene.play()
    assert scene.starts() == []
    fact = scene.fact(FactKind.CONTROL_REFUSED)
    assert (fact.data["verb"], fact.data["code"], fact.personal) == (
        "record-toggle", "key-disabled", {"identity": "bob"},
    )  # fmt: skip
    scene.recorder.phones.use(replace(settings, record_toggle=True))
    scene.pbx.wait(5)
    scene.pbx.record_key(bob)
    scene.play()
    assert len(scene.starts()) == 1


def test_a_disabled_3_leaves_a_recording_as_it_is() -> None:
    scene = Scene(rules="rules:\n  - {id: 6, name: Who likes, record: on-demand}\n")
    _, bob = scene.call()
    scene.pbx.record_key(bob)
    scene.play()
    scene.recorder.phones.use(Settings(record_toggle=False))
    scene.pbx.record_key(bob)
    scene.play()
    assert [str(section.state) for section in scene.sections.values()] == ["recording"]
    assert scene.fact(FactKind.CONTROL_REFUSED).data["code"] == "key-disabled"
