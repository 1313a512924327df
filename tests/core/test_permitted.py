"""What `may` says of a party before anybody asks is what comes of asking."""

from collections.abc import Callable
from itertools import product

import pytest

from bridge.core.access import Reader, Role, Scope
from bridge.core.commands import Verb
from bridge.core.ids import Identity
from bridge.core.live import PartyNow
from bridge.core.now import calls_now
from bridge.core.views import call_item
from tests.core.scene import RECORD_ALL, Scene

ON_DEMAND = "rules:\n  - {id: 6, name: Who likes, record: on-demand}\n"
ALICES = "rules:\n  - {id: 7, name: Alice's, record: on-demand, when: {user: alice}}\n"
PAUSABLE = "rules:\n  - {id: 1, name: All, record: always, pause: user}\n"
BOTH = PAUSABLE + "  - {id: 6, name: Who likes, record: on-demand}\n  - {id: 2, name: Fixed, record: always}\n"
NEVER = ON_DEMAND + "  - {id: 9, name: Not, record: never}\n"

Step = tuple[Verb, str, str, Role]
U, A = Role.USER, Role.ADMIN
STEPS: dict[str, list[Step]] = {
    "nothing was asked for": [],
    "bob has started": [(Verb.START, "bob", "bob", U)],
    "both have started": [(Verb.START, "bob", "bob", U), (Verb.START, "alice", "alice", U)],
    "root has started": [(Verb.START, "bob", "root", A)],
    "bob has started and paused": [(Verb.START, "bob", "bob", U), (Verb.PAUSE, "bob", "bob", U)],
    "bob has started, root paused": [(Verb.START, "bob", "bob", U), (Verb.PAUSE, "bob", "root", A)],
    "alice has paused": [(Verb.PAUSE, "alice", "alice", U)],
    "root has paused": [(Verb.PAUSE, "alice", "root", A)],
    "both have paused": [(Verb.PAUSE, "alice", "alice", U), (Verb.PAUSE, "bob", "bob", U)],
    "bob has started and stopped": [(Verb.START, "bob", "bob", U), (Verb.STOP, "bob", "bob", U)],
    "alice has paused and resumed": [(Verb.PAUSE, "alice", "alice", U), (Verb.RESUME, "alice", "alice", U)],
}
ASKERS = [("alice", U), ("bob", U), ("carol", U), ("dave", Role.SUPERVISOR), ("root", A), ("alice", A)]


def two(scene: Scene) -> None:
    scene.call()


def consultation(scene: Scene) -> None:
    """bob has alice on hold and asks carol."""
    one, bob = scene.call()
    again = scene.pbx.channel("PJSIP/bob-2", exten="103", of=one)
    carol = scene.pbx.ring(again, "PJSIP/carol-1", number="103")
    scene.pbx.answered(again, carol, "b2")
    scene.play()
    scene.pbx.hold(bob)


def ringing(scene: Scene) -> None:
    alice = scene.pbx.channel("PJSIP/alice-1", exten="102")
    scene.pbx.ring(alice, "PJSIP/bob-1", number="102")


def parked(scene: Scene) -> None:
    alice, _ = scene.call()
    scene.play()
    scene.pbx.leave("b1", alice)
    scene.pbx.enter("lot", alice, technology="holding_bridge")


CALLS: dict[str, Callable[[Scene], None]] = {
    "two": two,
    "consultation": consultation,
    "ringing": ringing,
    "parked": parked,
}


def made(rules: str, call: str, steps: list[Step]) -> Scene:
    scene = Scene(rules=rules)
    CALLS[call](scene)
    scene.play()
    legs = {party.channel: party.uniqueid for party in parties(scene)}
    for verb, leg, identity, role in steps:
        scene.ask(verb, legs.get(f"PJSIP/{leg}-1", "none"), identity, role)  # type: ignore[call-overload]  # a name
    return scene


def parties(scene: Scene) -> list[PartyNow]:
    return [party for call in calls_now(scene.recorder) for party in call.parties]


def reader(identity: str, role: Role, *scopes: Scope) -> Reader:
    of = frozenset({Identity("alice"), Identity("bob")}) if role is Role.SUPERVISOR else frozenset()
    return Reader(Identity(identity), role, frozenset(scopes or Scope), of)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("rules", [ON_DEMAND, ALICES, PAUSABLE, BOTH, NEVER, RECORD_ALL])
def test_what_may_be_done_is_what_is_obeyed(rules: str, call: str) -> None:
    seen = set()
    for name, steps in STEPS.items():
        scene = made(rules, call, steps)
        legs = [party.uniqueid for party in parties(scene)]
        for leg, verb, (identity, role) in product(legs, Verb, ASKERS):
            (party,) = [one for one in parties(scene) if one.uniqueid == leg]
            (now,) = calls_now(scene.recorder)
            asker = reader(identity, role)
            said = asker.sees(now.audience) and party.may[verb].lets(asker)
            scene.ask(verb, leg, identity, role, of="alice" if role is Role.SUPERVISOR else "")
            assert said == (scene.code == ""), f"{name}: {identity} ({role}) {verb} on {party.channel}: {scene.code}"
            seen.add(said)
            if said:  # what is refused changes nothing
                scene = made(rules, call, steps)
    assert False in seen


def test_each_verb_is_allowed_somewhere() -> None:
    allowed = {
        verb
        for steps in STEPS.values()
        for party in parties(made(BOTH, "two", steps))
        for verb, who in party.may.items()
        if who.lets(reader("bob", U))
    }
    assert allowed == set(Verb)


def test_without_the_scope_one_may_nothing() -> None:
    (party, _) = parties(made(ON_DEMAND, "two", []))
    assert party.may[Verb.START].lets(reader("alice", U, Scope.CONTROL))
    assert not party.may[Verb.START].lets(reader("alice", U, Scope.PLAY))
    assert not party.may[Verb.START].lets(reader("root", A, Scope.PLAY))


def test_each_reader_is_told_what_it_may() -> None:
    (now,) = calls_now(made(ALICES, "two", []).recorder)
    for identity, role, wanted in (("alice", U, ["start"]), ("bob", U, []), ("root", A, ["start"])):
        item = call_item(now, reader(identity, role))
        assert [party["may"] for party in item["parties"]] == [wanted, wanted]


def test_a_rule_whose_section_failed_says_so() -> None:
    scene = Scene(rules=RECORD_ALL)
    scene.refuse = lambda act: True  # noqa: ARG005
    scene.call()
    scene.play()
    (now,) = calls_now(scene.recorder)
    assert [(rule.rule_id, rule.state) for rule in now.rules] == [(1, "failed")]
    assert now.reason == "failed"


def test_a_rule_that_records_beside_one_that_failed_is_told_apart() -> None:
    scene = Scene(rules=RECORD_ALL + "  - {id: 2, name: Too, record: always}\n")
    scene.refuse = lambda act: act.key.rule_id == 2
    scene.call()
    scene.play()
    (now,) = calls_now(scene.recorder)
    assert [(rule.rule_id, rule.state) for rule in now.rules] == [(1, "recording"), (2, "failed")]
    assert now.reason is None
