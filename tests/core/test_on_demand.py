"""Recording that users start and stop: offers, answers, and who may."""

import pytest

from bridge.core import decisions as d
from bridge.core.access import Reader, Role, Scope
from bridge.core.commands import ANSWER_WITHIN_S, Done, Refused, Verb
from bridge.core.ids import Identity, Uniqueid
from bridge.core.messages import MixMonitorStarted
from bridge.core.records import FactKind, SectionState, SectionType
from bridge.core.views import record_event
from tests.core.scene import RECORD_ALL, Scene

ON_DEMAND = "rules:\n  - {id: 6, name: Who likes, record: on-demand}\n"
TWO = ON_DEMAND + "  - {id: 7, name: Alice's too, record: on-demand, when: {user: alice}}\n"
RECORD = "1700000000-1_1700000000-2"


def talking(rules: str = ON_DEMAND, *, answers: bool = True) -> tuple[Scene, Uniqueid, Uniqueid]:
    """alice and bob talk."""
    scene = Scene(rules=rules, answers=answers)
    alice, bob = scene.call()
    scene.play()
    return scene, alice, bob


def offers(scene: Scene) -> list[tuple[int | None, list[str]]]:
    return [(fact.rule_id, fact.data["may"]) for fact in scene.facts if fact.kind is FactKind.RECORD_OFFERED]


def test_a_talk_under_an_on_demand_rule_is_offered_and_not_recorded() -> None:
    scene, _, _ = talking()
    fact = scene.fact(FactKind.RECORD_OFFERED)
    assert (fact.record_id, fact.rule_id, fact.file, fact.audience) == (RECORD, 6, None, ("alice", "bob"))
    assert fact.data == {"headchannel": "PJSIP/alice-1", "tailchannel": "PJSIP/bob-1", "may": ["alice", "bob"]}
    assert scene.starts() == []
    event = record_event(fact, Reader(Identity("bob"), Role.USER, frozenset(Scope)))
    assert event is not None
    assert (event["eventType"], event["permission"], event["identity"], event["file"]) == ("stop", "allow", "", None)


def test_only_those_whom_the_rule_names_are_offered_it() -> None:
    scene, alice, bob = talking("rules:\n  - {id: 7, name: Alice's, record: on-demand, when: {user: alice}}\n")
    fact = scene.fact(FactKind.RECORD_OFFERED)
    assert fact.data["may"] == ["alice"]
    event = record_event(fact, Reader(Identity("bob"), Role.USER, frozenset(Scope)))
    assert event is not None
    assert event["permission"] == "deny"
    scene.ask(Verb.START, bob, "bob")
    assert scene.code == "not-allowed-by-rules"
    scene.ask(Verb.START, alice, "alice")
    assert scene.code == ""


def test_nothing_is_offered_where_nobody_on_the_call_may_start_it() -> None:
    rules = (
        "rules:\n  - {id: 6, name: Online, record: on-demand, when: {not: {user: carol}, online_call_record: false}}\n"
    )
    scene, _, bob = talking(rules.replace("false", "true"))
    assert offers(scene) == []
    scene.ask(Verb.START, bob, "bob")
    assert scene.code == "not-allowed-by-rules"


def test_who_has_online_recording_on_may_start_and_the_other_may_not() -> None:
    rules = "rules:\n  - {id: 6, name: Online, record: on-demand, when: {online_call_record: true}}\n"
    users = "users: [{identity: alice, online_call_record_enabled: true}, {identity: bob}]\n"
    scene = Scene(rules=rules, users=users)
    scene.call()
    scene.play()
    assert offers(scene) == [(6, ["alice"])]


def test_a_started_section_is_its_starters_and_the_answer_comes_when_it_runs() -> None:
    scene, _, bob = talking(answers=False)
    scene.ask(Verb.START, "PJSIP/bob-1", "bob")
    assert scene.answered == []
    (start,) = scene.starts()
    scene.answer(start, scene.pbx.now)
    (answer,) = scene.answered
    assert isinstance(answer, Done)
    (section,) = answer.sections
    assert (section.key, section.state, section.type) == ((RECORD, 6, 1), SectionState.RECORDING, SectionType.MANUAL)
    assert section.owner == "bob"
    assert scene.demands[section.record_id, section.rule_id].owner == "bob"
    kinds = scene.kinds("record.") + scene.kinds("section.")
    assert kinds == ["record.offered", "record.started", "section.requested", "section.recording"]
    assert scene.fact(FactKind.RECORD_STARTED).personal == {"identity": "bob"}
    assert scene.fact(FactKind.RECORD_STARTED).data == {"by": "api", "rules": [6]}
    scene.ask(Verb.START, bob, "bob")
    assert scene.code == "already-recording"


def test_each_rule_that_matches_records_on_its_own() -> None:
    scene, alice, _ = talking(TWO)
    assert offers(scene) == [(6, ["alice", "bob"]), (7, ["alice"])]
    scene.ask(Verb.START, alice, "alice")
    (answer,) = scene.answered
    assert isinstance(answer, Done)
    assert [(section.rule_id, section.owner) for section in answer.sections] == [(6, "alice"), (7, "alice")]


def test_who_may_start_more_starts_the_rest() -> None:
    scene, alice, bob = talking(TWO)
    scene.ask(Verb.START, bob, "bob")
    scene.ask(Verb.START, alice, "alice")
    assert [(start.key.rule_id, scene.sections[start.key].owner) for start in scene.starts()] == [
        (6, "bob"), (7, "alice"),
    ]  # fmt: skip


def test_others_see_deny_and_can_neither_start_nor_stop() -> None:
    scene, alice, bob = talking()
    scene.ask(Verb.START, alice, "alice")
    recording = scene.fact(FactKind.SECTION_RECORDING)
    permissions = [
        event["permission"]
        if (event := record_event(recording, Reader(Identity(user), role, frozenset(Scope)))) is not None
        else None
        for user, role in (("alice", Role.USER), ("bob", Role.USER), ("eve", Role.ADMIN), ("carol", Role.USER))
    ]
    assert permissions == ["allow", "deny", "allow", None]
    scene.ask(Verb.START, bob, "bob")
    assert scene.code == "recorded-by-another"
    scene.ask(Verb.STOP, bob, "bob")
    assert scene.code == "recording-of-another"
    assert scene.stops() == []
    refused = [fact.data["verb"] for fact in scene.facts if fact.kind is FactKind.CONTROL_REFUSED]
    assert refused == ["start", "stop"]


def test_starting_and_stopping_writes_files_1_2_3_and_offers_anew_each_time() -> None:
    scene, _, bob = talking()
    for _ in range(3):
        scene.ask(Verb.START, bob, "bob")
        scene.pbx.wait(1)
        scene.ask(Verb.STOP, bob, "bob")
        scene.pbx.wait(1)
    assert scene.states() == [(6, 1, "stored"), (6, 2, "stored"), (6, 3, "stored")]
    assert all(isinstance(answer, Done) for answer in scene.answered)
    assert offers(scene) == [(6, ["alice", "bob"])] * 4
    assert scene.demands == {}


def test_the_offer_after_a_stop_is_the_last_word() -> None:
    scene, alice, _ = talking()
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.STOP, alice, "alice")
    assert [str(kind) for kind in scene.kinds()][-3:] == ["section.closed", "section.stored", "record.offered"]


def test_a_start_that_its_own_stop_overtakes_is_told_so() -> None:
    scene, alice, _ = talking()
    scene.answers = False
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.STOP, alice, "alice")
    assert isinstance(scene.answered[0], Refused)
    assert scene.answered[0].error.code == "not-recording"


def test_who_has_left_hears_nothing_more_of_the_call() -> None:
    scene, _, bob = talking()
    scene.pbx.leave("b1", bob)
    scene.pbx.hangup(bob)
    carol = scene.pbx.channel("PJSIP/carol-1")
    scene.pbx.enter("b1", carol)
    scene.play()
    ended = scene.fact(FactKind.TALK_ENDED)
    assert set(ended.audience) == {"alice", "bob"}
    later = [fact for fact in scene.facts[scene.facts.index(ended) + 1 :] if fact.kind.startswith(("talk.", "record."))]
    assert later
    assert all("bob" not in fact.audience for fact in later)


def test_a_stop_is_answered_when_the_file_is_closed() -> None:
    scene, _, bob = talking(answers=False)
    scene.ask(Verb.START, bob, "bob")
    scene.answer(scene.starts()[0], scene.pbx.now)
    scene.ask(Verb.STOP, bob, "bob")
    assert len(scene.answered) == 1
    scene.answer(scene.stops()[0], scene.pbx.now)
    answer = scene.answered[-1]
    assert isinstance(answer, Done)
    assert [section.state for section in answer.sections] == [SectionState.CLOSED]


def test_a_stop_that_asterisk_does_not_answer_is_told() -> None:
    scene, _, bob = talking(answers=False)
    scene.ask(Verb.START, bob, "bob")
    scene.answer(scene.starts()[0], scene.pbx.now)
    scene.ask(Verb.STOP, bob, "bob")
    scene.tick(ANSWER_WITHIN_S)
    assert scene.code == "not-confirmed"


@pytest.mark.parametrize("code", ["asterisk-refused", "asterisk-timeout"])
def test_a_start_that_asterisk_refuses_is_refused_and_comes_to_nothing_later(code: str) -> None:
    scene, _, bob = talking(answers=False)
    scene.ask(Verb.START, bob, "bob")
    if code == "asterisk-timeout":
        scene.tick(ANSWER_WITHIN_S)
        scene.lost(scene.starts()[0])
    scene.take(d.MixMonitorRefused(scene.pbx.now, scene.starts()[0].key, code, "no"), scene.pbx.now)
    assert scene.code == "not-confirmed"
    for _ in range(10):
        scene.tick(30)
    assert len(scene.starts()) == 1
    assert scene.demands == {}
    assert len(offers(scene)) == 2
    scene.ask(Verb.START, bob, "bob")
    assert scene.starts()[1].key.file == 2


def test_a_start_without_an_answer_is_refused_in_time_and_stopped_when_it_comes_too_late() -> None:
    scene, _, bob = talking(answers=False)
    scene.ask(Verb.START, bob, "bob")
    scene.wakes()
    assert scene.code == "not-confirmed"
    scene.answer(scene.starts()[0], scene.pbx.now)
    assert len(scene.stops()) == 1
    scene.tick(60)
    assert (len(scene.answered), len(scene.starts())) == (1, 1)


def test_one_rule_of_two_that_asterisk_refuses_leaves_the_other() -> None:
    scene, alice, _ = talking(TWO, answers=False)
    scene.ask(Verb.START, alice, "alice")
    first, second = scene.starts()
    scene.take(d.MixMonitorRefused(scene.pbx.now, first.key, "asterisk-refused", "no"), scene.pbx.now)
    assert scene.answered == []
    scene.answer(second, scene.pbx.now)
    (answer,) = scene.answered
    assert isinstance(answer, Done)
    assert [section.rule_id for section in answer.sections] == [7]
    assert [rule_id for _, rule_id in scene.demands] == [7]


def test_a_stop_of_what_never_ran_names_no_section() -> None:
    scene, _, bob = talking(answers=False)
    scene.ask(Verb.START, bob, "bob")
    scene.ask(Verb.STOP, bob, "bob")
    scene.take(d.MixMonitorRefused(scene.pbx.now, scene.starts()[0].key, "asterisk-refused", "no"), scene.pbx.now)
    start, stop = scene.answered
    assert isinstance(stop, Done)
    assert (stop.sections, type(start).__name__) == ((), "Refused")


def test_a_start_waits_for_a_leg_that_hears_both_sides() -> None:
    scene, alice, bob = talking()
    for leg in (alice, bob):
        scene.take(MixMonitorStarted(scene.pbx.now, leg), scene.pbx.now)
    scene.ask(Verb.START, bob, "bob")
    assert (scene.starts(), scene.answered) == ([], [])
    scene.wakes()
    assert len(scene.starts()) == 1
    assert scene.code == ""


def test_two_users_at_once_one_records_and_the_other_is_told_so() -> None:
    scene, alice, bob = talking(answers=False)
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.START, bob, "bob")
    assert scene.code == "recorded-by-another"
    (start,) = scene.starts()
    scene.answer(start, scene.pbx.now)
    assert [type(answer).__name__ for answer in scene.answered] == ["Refused", "Done"]


@pytest.mark.parametrize("accepted", [True, False])
def test_a_hangup_right_after_the_start_is_told_and_leaves_nothing(accepted: bool) -> None:
    scene, alice, bob = talking(answers=False)
    scene.ask(Verb.START, bob, "bob")
    scene.pbx.over("b1", alice, bob)
    scene.play()
    assert scene.code == "talk-over"
    start = scene.starts()[0]
    if accepted:
        scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0x1"), scene.pbx.now)
    else:
        scene.take(d.MixMonitorRefused(scene.pbx.now, start.key, "asterisk-refused", "gone"), scene.pbx.now)
    assert scene.states() == [(6, 1, "closed" if accepted else "failed")]
    assert scene.demands == {}
    assert len(scene.answered) == 1


def test_a_start_right_after_the_hangup_finds_no_channel() -> None:
    scene, alice, bob = talking()
    scene.pbx.over("b1", alice, bob)
    scene.play()
    scene.ask(Verb.START, bob, "bob")
    assert scene.code == "no-such-channel"
    assert scene.kinds("control.") == []


def test_a_channel_of_somebody_elses_call_is_not_there() -> None:
    scene, _, bob = talking()
    for channel in (bob, "PJSIP/bob-1", "PJSIP/nobody-1", ""):
        scene.ask(Verb.START, channel, "carol")
        assert scene.code == "no-such-channel"
    assert scene.kinds("control.") == []


def test_a_channel_that_is_connected_with_nobody_cannot_be_recorded() -> None:
    scene = Scene(rules=ON_DEMAND)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.play()
    for channel, user in ((alice, "alice"), (bob, "bob")):
        scene.ask(Verb.START, channel, user)
        assert scene.code == "not-in-talk"


def test_a_local_channel_is_no_party() -> None:
    scene, alice, _ = talking()
    one, _ = scene.pbx.local("102@internal", alice)
    scene.play()
    scene.ask(Verb.START, one, "alice")
    assert scene.code == "local-channel"


def test_what_the_system_records_is_neither_started_nor_stopped() -> None:
    scene, alice, bob = talking(RECORD_ALL)
    scene.ask(Verb.START, bob, "bob")
    assert scene.code == "recording-automatic"
    for user, role in (("alice", Role.USER), ("eve", Role.ADMIN)):
        scene.ask(Verb.STOP, alice, user, role)
        assert scene.code == "recording-automatic"
    assert scene.states() == [(1, 1, "recording")]


def test_there_is_nothing_to_stop_where_nothing_was_started() -> None:
    scene, _, bob = talking()
    scene.ask(Verb.STOP, bob, "bob")
    assert scene.code == "not-recording"


def test_a_supervisor_sees_the_call_and_an_admin_starts_and_stops_for_all() -> None:
    scene, alice, bob = talking()
    scene.ask(Verb.START, bob, "sue", Role.SUPERVISOR, of="bob")
    assert scene.code == "not-allowed-by-rules"
    scene.ask(Verb.START, bob, "eve", Role.ADMIN)
    (section,) = scene.sections.values()
    assert section.owner == "eve"
    scene.ask(Verb.STOP, alice, "alice")
    assert scene.code == "recording-of-another"
    scene.ask(Verb.STOP, bob, "eve", Role.ADMIN)
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.STOP, bob, "sue", Role.SUPERVISOR, of="bob")
    assert scene.code == "recording-of-another"
    scene.ask(Verb.STOP, bob, "eve", Role.ADMIN)
    assert scene.states() == [(6, 1, "stored"), (6, 2, "stored")]
