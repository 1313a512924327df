"""What users have started goes with the call: transfers, rules that change, calls that join, restarts."""

from bridge.core.access import Role
from bridge.core.commands import Done, Verb
from bridge.core.ids import Uniqueid
from bridge.core.records import FactKind, SectionState, SectionType
from tests.core.scene import RECORD_ALL, Scene

ON_DEMAND = "rules:\n  - {id: 6, name: Who likes, record: on-demand}\n"
NOT_CAROL = "  - {id: 9, name: Not Carol, record: never, when: {user: carol}}\n"


def talking(rules: str = ON_DEMAND, *, starter: str = "bob") -> tuple[Scene, Uniqueid, Uniqueid]:
    """alice and bob talk, and one of them has started."""
    scene = Scene(rules=rules)
    alice, bob = scene.call()
    scene.play()
    if starter:
        scene.ask(Verb.START, bob, starter)
    return scene, alice, bob


def transfer(scene: Scene, stays: Uniqueid, leaves: Uniqueid, to: str, bridge: str = "b2") -> Uniqueid:
    """Blind: `leaves` hangs up, `stays` is put through to somebody else."""
    scene.pbx.leave("b1", leaves, stays)
    scene.pbx.destroy("b1")
    target = scene.pbx.ring(stays, f"PJSIP/{to}-1")
    scene.pbx.hangup(leaves)
    scene.pbx.wait(1)
    scene.pbx.answered(stays, target, bridge)
    scene.play()
    return target


def test_what_was_started_goes_on_after_a_transfer_and_stays_its_starters() -> None:
    scene, alice, bob = talking()
    carol = transfer(scene, alice, bob, "carol")
    assert scene.states() == [(6, 1, "stored"), (6, 2, "recording")]
    assert [section.owner for section in scene.sections.values()] == ["bob", "bob"]
    assert scene.kinds("record.") == ["record.offered", "record.started"]
    scene.ask(Verb.STOP, carol, "carol")
    assert scene.code == "recording-of-another"
    scene.ask(Verb.STOP, carol, "bob")
    assert scene.code == ""
    assert scene.states()[1] == (6, 2, "stored")


def test_a_call_that_nobody_recorded_is_offered_anew_after_a_transfer() -> None:
    scene, alice, bob = talking(starter="")
    transfer(scene, alice, bob, "carol")
    assert [fact.data["may"] for fact in scene.facts if fact.kind is FactKind.RECORD_OFFERED] == [
        ["alice", "bob"], ["alice", "carol"],
    ]  # fmt: skip


def test_a_rule_that_follows_a_user_records_while_that_user_is_there() -> None:
    rules = "rules:\n  - {id: 6, name: Bob's, record: on-demand, when: {user: bob}, follow: user}\n"
    scene, alice, bob = talking(rules)
    carol = transfer(scene, alice, bob, "carol")
    assert scene.states() == [(6, 1, "stored")]
    again = scene.pbx.channel("PJSIP/bob-2", of=alice)
    scene.pbx.wait(1)
    scene.pbx.enter("b2", again)
    scene.play()
    assert scene.states() == [(6, 1, "stored"), (6, 2, "recording")]
    scene.pbx.leave("b2", carol)
    scene.play()
    assert [section.owner for section in scene.sections.values()] == ["bob", "bob"]


def test_a_never_stands_over_what_a_user_started_and_lets_it_go_on_afterwards() -> None:
    scene, alice, bob = talking(ON_DEMAND + NOT_CAROL, starter="alice")
    carol = transfer(scene, alice, bob, "carol")
    assert scene.states() == [(6, 1, "stored")]
    scene.ask(Verb.START, carol, "carol")
    assert scene.code == "not-allowed-by-rules"
    scene.pbx.leave("b2", carol)
    dave = scene.pbx.ring(alice, "PJSIP/dave-1")
    scene.pbx.wait(1)
    scene.pbx.enter("b2", dave)
    scene.play()
    assert scene.states() == [(6, 1, "stored"), (6, 2, "recording")]
    assert [section.owner for section in scene.sections.values()] == ["alice", "alice"]


def test_the_variable_makes_any_rule_on_demand() -> None:
    for rules, rule_id in ((RECORD_ALL, 1), ("rules: []\n", 0), (ON_DEMAND, 6)):
        scene = Scene(rules=rules)
        alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
        scene.pbx.variable(alice, "RECBRIDGE", "on-demand")
        scene.pbx.answered(alice, scene.pbx.ring(alice, "PJSIP/bob-1"), "b1")
        scene.play()
        assert scene.fact(FactKind.RECORD_OFFERED).rule_id == rule_id
        assert scene.starts() == []
        scene.ask(Verb.START, alice, "alice")
        (section,) = scene.sections.values()
        assert (section.rule_id, section.type, section.owner) == (rule_id, SectionType.MANUAL, "alice")


def test_the_variable_makes_an_on_demand_rule_automatic_or_forbids_it() -> None:
    for value, states, code in (
        ("always", [(6, 1, "recording")], "recording-automatic"),
        ("never", [], "not-allowed-by-rules"),
    ):
        scene = Scene(rules=ON_DEMAND)
        alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
        scene.pbx.variable(alice, "RECBRIDGE", value)
        scene.pbx.answered(alice, scene.pbx.ring(alice, "PJSIP/bob-1"), "b1")
        scene.play()
        scene.ask(Verb.START, alice, "alice")
        assert scene.code == code
        assert scene.states() == states
        assert scene.kinds("record.") == []
        assert all(section.type is SectionType.AUTO for section in scene.sections.values())


def test_what_becomes_automatic_is_nobodys_and_its_starter_cannot_stop_it() -> None:
    scene = Scene(rules=RECORD_ALL)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.variable(alice, "RECBRIDGE", "on-demand")
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.pbx.answered(alice, bob, "b1")
    scene.play()
    scene.ask(Verb.START, alice, "alice")
    scene.pbx.variable(alice, "RECBRIDGE", "")
    transfer(scene, alice, bob, "carol")
    assert [(section.type, section.owner) for section in scene.sections.values()] == [
        (SectionType.MANUAL, "alice"), (SectionType.AUTO, None),
    ]  # fmt: skip
    scene.ask(Verb.STOP, alice, "alice")
    assert isinstance(scene.answered[-1], Done)
    assert scene.states() == [(1, 1, "stored"), (1, 2, "recording")]
    assert scene.demands == {}
    scene.ask(Verb.STOP, alice, "alice")
    assert scene.code == "recording-automatic"


def three(scene: Scene, starter: str) -> tuple[Uniqueid, Uniqueid, Uniqueid]:
    """alice and bob talk; carol, who has called by herself, comes into their conversation."""
    alice, bob = scene.call()
    carol = scene.pbx.channel("PJSIP/carol-1", exten="800")
    scene.play()
    if starter:
        scene.ask(Verb.START, bob, starter)
    scene.pbx.wait(1)
    scene.pbx.enter("b1", carol)
    scene.play()
    return alice, bob, carol


def test_who_comes_into_the_talk_is_told_what_it_may_start() -> None:
    scene = Scene(rules=ON_DEMAND)
    *_, carol = three(scene, "")
    assert [fact.data["may"] for fact in scene.facts if fact.kind is FactKind.RECORD_OFFERED] == [
        ["alice", "bob"], ["alice", "bob", "carol"],
    ]  # fmt: skip
    scene.ask(Verb.START, carol, "carol")
    assert [section.owner for section in scene.sections.values()] == ["carol"]


def test_who_comes_into_a_talk_that_somebody_records_is_offered_nothing() -> None:
    scene = Scene(rules=ON_DEMAND)
    *_, carol = three(scene, "bob")
    assert scene.kinds("record.") == ["record.offered", "record.started"]
    scene.ask(Verb.START, carol, "carol")
    assert scene.code == "recorded-by-another"


def two_calls(scene: Scene) -> tuple[list[Uniqueid], list[Uniqueid]]:
    """alice talks with bob, and carol with dave; each call is a record of its own."""
    older = list(scene.call())
    carol = scene.pbx.channel("PJSIP/carol-1", exten="104")
    dave = scene.pbx.ring(carol, "PJSIP/dave-1")
    scene.pbx.answered(carol, dave, "b2")
    scene.play()
    return older, [carol, dave]


def join(scene: Scene, older: list[Uniqueid], younger: list[Uniqueid]) -> None:
    """An attended transfer: the second of both calls goes, the first ones talk."""
    scene.pbx.leave("b2", *younger)
    scene.pbx.destroy("b2")
    scene.pbx.leave("b1", older[1])
    scene.pbx.wait(1)
    scene.pbx.enter("b1", younger[0])
    scene.pbx.hangup(older[1], younger[1])
    scene.play()


def test_what_was_started_in_either_of_two_calls_goes_on_when_they_become_one() -> None:
    scene = Scene(rules=ON_DEMAND)
    older, younger = two_calls(scene)
    scene.ask(Verb.START, younger[0], "carol")
    join(scene, older, younger)
    first, second = scene.sections.values()
    assert (first.file, second.file, second.owner, second.state) == (1, 1, "carol", SectionState.RECORDING)
    assert (first.record_id, second.record_id) == ("1700000000-3_1700000000-4", "1700000000-1_1700000000-2")
    scene.ask(Verb.STOP, older[0], "carol")
    assert scene.code == ""
    assert scene.demands == {}


def test_where_both_calls_were_recorded_the_older_ones_starter_owns_what_follows() -> None:
    scene = Scene(rules=ON_DEMAND)
    older, younger = two_calls(scene)
    scene.ask(Verb.START, older[0], "alice")
    scene.ask(Verb.START, younger[0], "carol")
    join(scene, older, younger)
    assert [section.owner for section in scene.sections.values()] == ["alice", "carol", "alice"]
    assert [demand.owner for demand in scene.demands.values()] == ["alice"]
    scene.pbx.over("b1", older[0], younger[0])
    scene.play()
    assert scene.demands == {}


def test_what_was_paused_stays_silent_where_another_owns_it_after_calls_join() -> None:
    scene = Scene(rules=ON_DEMAND)
    older, younger = two_calls(scene)
    scene.ask(Verb.START, older[0], "alice")
    scene.ask(Verb.START, younger[0], "carol")
    scene.ask(Verb.PAUSE, younger[0], "carol")
    join(scene, older, younger)
    assert "recording" not in [str(section.state) for section in scene.sections.values()]
    scene.ask(Verb.RESUME, younger[0], "carol")
    assert [(section.owner, str(section.state)) for section in scene.sections.values()][-1] == ("alice", "recording")


def test_a_restart_takes_up_what_was_started() -> None:
    scene, alice, bob = talking()
    again = scene.restarted()
    again.pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    again.play()
    assert (again.starts(), again.stops()) == ([], [])
    assert again.kinds("record.") == []
    again.ask(Verb.STOP, alice, "alice")
    assert again.code == "recording-of-another"
    again.ask(Verb.STOP, alice, "eve", Role.ADMIN)
    assert again.demands == {}


def test_what_becomes_automatic_while_paused_goes_on_when_its_starter_stops() -> None:
    scene = Scene(rules=RECORD_ALL)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.variable(alice, "RECBRIDGE", "on-demand")
    bob = scene.pbx.ring(alice, "PJSIP/bob-1")
    scene.pbx.answered(alice, bob, "b1")
    scene.play()
    scene.ask(Verb.START, alice, "alice")
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.pbx.variable(alice, "RECBRIDGE", "")
    transfer(scene, alice, bob, "carol")
    assert scene.states() == [(1, 1, "stored")]
    scene.ask(Verb.STOP, alice, "alice")
    assert scene.states() == [(1, 1, "stored"), (1, 2, "recording")]
    assert (scene.demands, scene.pauses) == ({}, {})


def test_a_restart_drops_what_was_started_in_calls_that_are_over() -> None:
    scene, _, _ = talking()
    again = scene.restarted()
    again.pbx.snapshot([], [])
    again.play()
    assert again.demands == {}


def test_a_restart_takes_up_what_was_started_in_a_call_that_has_become_part_of_another() -> None:
    scene = Scene(rules=ON_DEMAND)
    older, younger = two_calls(scene)
    scene.ask(Verb.START, younger[0], "carol")
    join(scene, older, younger)
    again = scene.restarted()
    again.pbx._linked[younger[0]] = again.pbx._linked[older[0]]  # what Asterisk does when they meet
    there = [older[0], younger[0]]
    again.pbx.snapshot(there, [("b1", one) for one in there])
    again.play()
    assert (again.starts(), again.stops()) == ([], [])
    assert [demand.owner for demand in again.demands.values()] == ["carol"]
