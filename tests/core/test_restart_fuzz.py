"""Rougher lives than `test_recorder_fuzz`: connections that break in a move, lists that disagree, many restarts."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest

from bridge.core import decisions as d
from bridge.core import messages as m
from bridge.core.commands import Done
from bridge.core.ids import BridgeUniqueid, Linkedid
from bridge.core.people import People
from bridge.core.records import FactKind
from bridge.core.rules import parse_rules
from bridge.core.sections import RUNNING
from tests.core.scene import TRUNKS, Scene, directory
from tests.core.test_recorder_fuzz import OPERATIONS, RULES, Step, World, assert_nothing_is_left

OTHER_RULES = (
    RULES,
    "rules:\n  - {id: 1, name: All, record: always, start: ring, section: 10s, pause: user, pause_at_most: 2s}\n",
    "rules:\n  - {id: 1, name: None, record: never}\n",
    """\
rules:
  - {id: 1, name: Now on demand, record: on-demand, pause_at_most: 1s}
  - {id: 6, name: Now always, record: always, channels: stereo, section: 10s}
""",
    RULES.replace("record: never", "record: always").replace("start: ring, ", ""),
)
ROUGH = ("lost", "lost", "torn", "torn", "restarts", "restarts", "restart", "reload")
_AMI = (d.StartMixMonitor, d.StopMixMonitor, d.MuteMixMonitor, d.ProbeMixMonitor, d.FindMixMonitor)
LESS = {"hangup": 4, "snapshot": 5, "blackout": 3, "destroy": 4, "leave": 6}


@dataclass
class RoughWorld(World):
    """Events of MixMonitors of ours may come late."""

    late: list[m.Event] = field(default_factory=list)

    def do(self, step: Step) -> None:
        super().do(step)
        scene, now = self.scene, self.scene.pbx.now
        scene.take(d.Tick(now), now)
        wake_at = scene.recorder.wake_at()
        assert wake_at is None or wake_at > now, "it would be woken again and again"

    def _moves(self, number: int, one: int, two: int) -> None:
        for step in range(number):
            (self._enter, self._hangup, self._leave, self._ring, self._call, self._local)[(two + step) % 6](
                one + step, two
            )

    def _cut(self, two: int) -> None:
        """The connection breaks: what was being asked is done, or not, and nobody hears of it."""
        self.scene.play()
        acts, self.scene.acts[:] = list(self.scene.acts), []
        for number, act in enumerate(acts):
            done = (number + two) % 2 == 0
            match act:
                case d.StartMixMonitor() if done and act.leg in self.alive:
                    self.begin(act)
                case d.StopMixMonitor() if done:
                    self.running.pop(act.key, None)
            self.refuse(act)
        self._nobody_there()

    def _nobody_there(self) -> None:
        for _ in range(50):
            if not self.scene.acts:
                return
            self.refuse(self.scene.acts.pop(0))
        raise AssertionError("it asks again at once")

    def _hear(self) -> None:
        """What is answered holds when it is."""
        for answer in self.scene.answered:
            verb = self.asked.pop(answer.number)
            if isinstance(answer, Done):
                self.hold_answer(verb, answer)
        self.scene.answered.clear()

    def refuse(self, act: d.Act) -> None:
        """Asterisk is not reached."""
        self._refuse(act)
        self._hear()

    def _refuse(self, act: d.Act) -> None:
        take, now, code = self.scene.take, self.scene.pbx.now, "asterisk-unreachable"
        match act:
            case d.StartMixMonitor():
                take(d.MixMonitorRefused(now, act.key, code, "gone"), now)
            case d.StopMixMonitor():
                take(d.StopUnanswered(now, act.key, code), now)
            case d.MuteMixMonitor():
                take(d.MuteUnanswered(now, act.key, act.muted, code), now)
            case d.ProbeMixMonitor():
                take(d.MixMonitorProbed(now, act.key, runs=True), now)
            case d.FindMixMonitor():
                take(d.MixMonitorNotSought(now, act.key, code), now)
            case d.MeasureFiles():
                take(d.FilesNotMeasured(now, "whatever"), now)
            case _:
                self.answer(act, well=True)

    def _while_away(self, one: int, two: int) -> None:
        """Time passes, users want something, the PBX goes on; no event comes."""
        for number in range(two % 3):
            if number == 1:
                self._ask(one, two)
                self._hear()
            self.scene.tick((one * (number + 1) % 70) / 7)
            self._hear()
            self._nobody_there()
        self._moves(one % 4, one, two)
        self.scene.pbx.take()

    def _lost(self, one: int, two: int) -> None:
        self._cut(one)
        self._while_away(one, two)
        self._torn(one, two, away=False)

    def _torn(self, one: int, two: int, *, away: bool = True) -> None:
        """A snapshot whose lists do not agree, as calls move meanwhile; all events since the login follow it."""
        if away:
            self.scene.play()
            self._moves(one % 3, two, one)
            self.scene.pbx.take()
        pbx = self.scene.pbx
        self._moves(two % 2, one, two)
        at = pbx.now
        alive = list(self.alive)
        pairs = tuple(pair for pair in self.pairs if all(half in self.alive for half in pair))
        self._moves((one + two) % 2, two, one)
        members: list[m.BridgeMember] = []
        for bridge in sorted(self.bridges, reverse=bool(one % 2)):
            if bridge in self.bridges:
                kind, technology = self.bridges[bridge]
                there = [uniqueid for uniqueid, where in self.where.items() if where == bridge]
                members += [m.BridgeMember(BridgeUniqueid(bridge), kind, technology, one_) for one_ in there]
            self._moves((one + two) % 2, one + 1, two + 1)
        since = pbx.take()
        linked, names = pbx._linked, pbx._names
        seen = tuple(
            m.ChannelSeen(at, one_, Linkedid(linked[one_]), names[one_], "", "", "x", "s", state_up=True)
            for one_ in alive
        )
        pbx.events += [m.SnapshotTaken(at, seen, tuple(members), pairs), *since]
        self.scene.play()

    def _restarts(self, one: int, two: int) -> None:
        """Killed once, twice or three times before Asterisk is reached, with other rules."""
        self.scene.play()
        for number, act in enumerate(self.scene.acts):
            match act:
                case d.StartMixMonitor() if (number + two) % 2 and act.leg in self.alive:
                    self.begin(act)
                case d.StopMixMonitor() if (number + two) % 2:
                    self.running.pop(act.key, None)
        for number in range(1 + one % 3):
            before = self.scene
            rules = OTHER_RULES[(one + two + number) % len(OTHER_RULES)] if two % 2 else before.rules
            self.scene = before.restarted(
                facts=before.facts, cdrs=before.cdrs, history=before.history, entries=before.entries, rules=rules
            )
            self.asked.clear()
            self.begun.clear()
            self._nobody_there()
            self._while_away(one + number, two)
        self._torn(one, two, away=False)

    def _restart(self, one: int, two: int) -> None:
        entries = self.scene.entries
        super()._restart(one, two)
        self.scene.entries[:0] = entries

    def _reload(self, one: int, _: int) -> None:
        users = directory(self.scene.users)
        self.scene.rules = OTHER_RULES[one % len(OTHER_RULES)]
        self.scene.recorder.use_rules(parse_rules([("rules.yml", self.scene.rules)], users), People(users, TRUNKS))

    def _settle(self, one: int, two: int) -> None:
        super()._settle(one, two)
        book = self.scene.recorder.sectioner.book
        assert {section.state for section in book.open()} <= RUNNING

    def answer(self, act: d.Act, *, well: bool) -> None:
        if isinstance(act, d.StartMixMonitor) and well and act.leg in self.alive and self.made % 4 == 0:
            now = self.scene.pbx.now
            self.begin(act)
            self.scene.pbx.events.append(m.MixMonitorStarted(now, act.leg))
            self.scene.take(d.MixMonitorAccepted(now, act.key, self.running[act.key][0]), now)
            return
        super().answer(act, well=well)


def live(seed: int, length: int, *, tell_channels: bool = False) -> RoughWorld:
    chance, world = Random(seed), RoughWorld(Scene(rules=RULES, answers=False, tell_channels=tell_channels))
    rough = [one for one in ROUGH if chance.random() < 0.6]
    operations = (*OPERATIONS, *rough)
    weights = [LESS.get(one, 10) if one not in ROUGH else 4 for one in operations]
    for operation in chance.choices(operations, weights, k=length):
        world.do((operation, chance.randrange(31), chance.randrange(31)))
        world.hold()
    world.end()
    return world


def assert_all_is_told_once(scene: Scene) -> None:
    assert max(Counter(cdr.call_id for cdr in scene.cdrs).values(), default=1) == 1
    assert max(Counter((one.call_id, one.identity) for one in scene.entries).values(), default=1) == 1
    assert all(cdr.talked_s >= 0 for cdr in scene.cdrs)
    began = Counter(fact.call_id for fact in scene.facts if fact.kind is FactKind.CALL_BEGAN)
    ended = Counter(fact.call_id for fact in scene.facts if fact.kind is FactKind.CALL_ENDED)
    joined = Counter(fact.data["joined"] for fact in scene.facts if fact.kind is FactKind.CALL_JOINED)
    assert began == ended + joined
    assert {cdr.call_id for cdr in scene.cdrs} == set(ended)


@pytest.mark.parametrize("seed", range(30))
def test_so_it_is_where_the_connection_breaks_and_lists_disagree(seed: int) -> None:
    world = live(seed, 150)
    assert_nothing_is_left(world.scene)
    assert_all_is_told_once(world.scene)
