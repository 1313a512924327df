"""Random but plausible lives of a PBX: whatever happens, the recorder neither breaks nor keeps anything."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import decisions as d
from bridge.core import messages as m
from bridge.core.access import Reader, Role, Scope
from bridge.core.commands import ANSWER_WITHIN_S, Command, CommandNumber, Done, Verb
from bridge.core.ids import BridgeUniqueid, CallId, ChannelName, Identity, Linkedid, SectionKey, Uniqueid
from bridge.core.now import calls_now
from bridge.core.records import FactKind, SectionState, SectionType
from bridge.core.sections import FINAL, RUNNING, TRANSITIONS
from tests.core.scene import REPORT, Scene

RULES = """\
rules:
  - {id: 1, name: All, record: always, pause: user, pause_at_most: 2s}
  - {id: 2, name: Early, record: always, start: ring, section: 10s}
  - {id: 3, name: Alice, record: always, when: {user: alice}, follow: user, channels: stereo}
  - {id: 4, name: Long, record: always, start: answer, when: {direction: inbound}, section: 10s}
  - {id: 5, name: Not Carol, record: never, when: {user: carol}}
  - {id: 6, name: Who likes, record: on-demand}
  - {id: 7, name: Alice if she likes, record: on-demand, when: {user: alice}, follow: user, pause_at_most: 1s}
  - {id: 8, name: Not asking back, record: always, when: {direction: inbound}, consultation: false}
"""
USERS = ("alice", "bob", "dave", "admin")
NAMES = ("PJSIP/alice", "PJSIP/bob", "PJSIP/carol", "PJSIP/dave", "PJSIP/trunk")
KINDS = (("basic", "simple_bridge"), ("basic", "softmix"), ("base", "softmix"), ("base", "holding_bridge"))
RUNS = (SectionState.REQUESTED, SectionState.RECORDING, SectionState.PAUSED)
STOPS = frozenset({SectionState.STOPPING})
OPERATIONS = (
    "call", "ring", "up", "enter", "enter", "enter", "leave", "hangup", "local", "optimize", "queue", "variable",
    "rename", "wait", "tick", "tick", "report", "report", "report", "foreign", "snapshot", "blackout", "destroy",
    "ask", "ask", "ask", "press", "dial", "holds", "restart", "settle",
    "illegal",
)  # fmt: skip

Step = tuple[str, int, int]
steps = st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 30), st.integers(0, 30)), max_size=60)


@dataclass
class World:
    """What really is so on the PBX, and an Asterisk that answers when it likes."""

    scene: Scene = field(default_factory=lambda: Scene(rules=RULES, answers=False))
    where: dict[Uniqueid, str] = field(default_factory=dict)
    alive: dict[Uniqueid, None] = field(default_factory=dict)
    bridges: dict[str, tuple[str, str]] = field(default_factory=dict)
    pairs: list[tuple[Uniqueid, Uniqueid]] = field(default_factory=list)
    foreign: Counter[Uniqueid] = field(default_factory=Counter)
    running: dict[SectionKey, tuple[str, Uniqueid]] = field(default_factory=dict)
    made: int = 0
    asked: dict[CommandNumber, Verb] = field(default_factory=dict)
    commands: int = 0
    begun: set[SectionKey] = field(default_factory=set)

    def pick(self, number: int) -> Uniqueid | None:
        alive = list(self.alive)
        return alive[number % len(alive)] if alive else None

    def name(self, number: int) -> str:
        self.made += 1
        return f"{NAMES[number % len(NAMES)]}-{self.made:08x}"

    def do(self, step: Step) -> None:
        operation, one, two = step
        getattr(self, f"_{operation}")(one, two)
        if operation != "blackout":
            self.scene.play()

    def _call(self, one: int, two: int) -> None:
        self.alive[self.scene.pbx.channel(self.name(one), exten=str(100 + two), number="1")] = None

    def _ring(self, one: int, two: int) -> None:
        caller = self.pick(one)
        if caller is not None:
            self.alive[self.scene.pbx.ring(caller, self.name(two), number="102")] = None

    def _up(self, one: int, two: int) -> None:
        channel = self.pick(one)
        if channel is not None:
            self.scene.pbx.dial_ends(channel, channel, ("ANSWER", "BUSY", "CANCEL")[two % 3])
            self.scene.pbx.up(channel)

    def _enter(self, one: int, two: int) -> None:
        channel, bridge = self.pick(one), f"b{two % 4}"
        if channel is None or self.where.get(channel) == bridge:
            return
        self._out(channel)
        if bridge not in self.bridges:
            self.bridges[bridge] = KINDS[two % len(KINDS)]
        kind, technology = self.bridges[bridge]
        self.where[channel] = bridge
        self.scene.pbx.enter(bridge, channel, bridge_type=kind, technology=technology)

    def _out(self, channel: Uniqueid) -> None:
        bridge = self.where.pop(channel, None)
        if bridge is None:
            return
        self.scene.pbx.leave(bridge, channel)
        if bridge not in self.where.values():
            del self.bridges[bridge]
            self.scene.pbx.destroy(bridge)

    def _leave(self, one: int, _: int) -> None:
        channel = self.pick(one)
        if channel is not None:
            self._out(channel)

    def _destroy(self, one: int, _: int) -> None:
        """Everybody is thrown out; a Leave for each comes first."""
        bridge = f"b{one % 4}"
        for channel in [channel for channel, there in self.where.items() if there == bridge]:
            self._out(channel)

    def _hangup(self, one: int, _: int) -> None:
        channel = self.pick(one)
        if channel is not None:
            self._out(channel)
            del self.alive[channel]
            self.foreign.pop(channel, None)
            self.over(channel)
            self.scene.pbx.hangup(channel)

    def _local(self, one: int, _: int) -> None:
        caller = self.pick(one)
        if caller is not None:
            pair = self.scene.pbx.local(f"{self.made}@x", caller)
            self.pairs.append(pair)
            self.alive.update(dict.fromkeys(pair))

    def _optimize(self, one: int, two: int) -> None:
        """The party beside one half takes the place of the other half."""
        pairs = [pair for pair in self.pairs if all(half in self.where for half in pair)]
        if not pairs:
            return
        first, second = pairs[one % len(pairs)]
        self.scene.pbx.optimize(first, second, begin=True)
        beside = [channel for channel, there in self.where.items() if there == self.where[first] and channel != first]
        if beside and two % 3:
            target = self.where[second]
            kind, technology = self.bridges[target]
            mover = beside[0]
            self.scene.pbx.leave(self.where[mover], mover)
            self.scene.pbx.leave(target, second)
            del self.where[second]
            self.where[mover] = target
            self.scene.pbx.enter(target, mover, bridge_type=kind, technology=technology)
        if two % 4:
            self.scene.pbx.optimize(first, second, begin=False)

    def _queue(self, one: int, _: int) -> None:
        channel = self.pick(one)
        if channel is not None:
            self.scene.pbx.queue(channel, "support")

    def _variable(self, one: int, two: int) -> None:
        channel = self.pick(one)
        if channel is not None:
            value = ("always", "never", "on-demand", "")[two % 4]
            self.scene.pbx.events.append(m.VariableSet(self.scene.pbx.now, channel, "RECBRIDGE", value))

    def _rename(self, one: int, two: int) -> None:
        channel = self.pick(one)
        if channel is not None:
            self.scene.pbx.events.append(m.ChannelRenamed(self.scene.pbx.now, channel, ChannelName(self.name(two))))

    def _wait(self, one: int, _: int) -> None:
        self.scene.pbx.wait(one / 10)

    def _tick(self, one: int, _: int) -> None:
        self.scene.tick(one / 10)

    def _foreign(self, one: int, two: int) -> None:
        channel = self.pick(one)
        if channel is None:
            return
        if two % 2:
            self.foreign[channel] += 1
            self.scene.pbx.events.append(m.MixMonitorStarted(self.scene.pbx.now, channel))
        elif self.foreign[channel]:
            self.foreign[channel] -= 1
            self.scene.pbx.events.append(m.MixMonitorStopped(self.scene.pbx.now, channel))

    def _ask(self, one: int, two: int) -> None:
        """Somebody starts, stops, pauses or resumes, of a channel that is there or is not."""
        user = USERS[two % len(USERS)]
        role = Role.ADMIN if user == "admin" else Role.USER
        reader = Reader(Identity(user), role, frozenset(Scope))
        self.commands += 1
        number = CommandNumber(self.commands)
        now = self.scene.pbx.now
        verb = self.asked[number] = tuple(Verb)[one % 4]
        channel = self.pick(one // 4) or Uniqueid("none")
        self.scene.take(Command(now, number, verb, channel, reader), now)

    def _press(self, one: int, two: int) -> None:
        channel = self.pick(one)
        if channel is None:
            return
        at = self.scene.pbx.now
        if two % 3 != 1:
            self.scene.pbx.events += [m.DigitPressed(at, channel, "*"), m.DigitPressed(at, channel, "3")]
        if two % 3 != 2:
            self.scene.pbx.events.append(m.RecordToggled(at, channel))

    def _dial(self, one: int, _: int) -> None:
        channel = self.pick(one)
        if channel is not None:
            self.scene.pbx.events += [m.CallRecordToggled(self.scene.pbx.now, channel)] * 2

    def _holds(self, one: int, two: int) -> None:
        channel = self.pick(one)
        if channel is not None:
            self.scene.pbx.events.append(m.ChannelHeld(self.scene.pbx.now, channel, held=two % 2 == 0))

    def _blackout(self, one: int, two: int) -> None:
        """Things happen while we are not connected; then we are again."""
        self.scene.pbx.take()
        for number in range(one % 5):
            (self._enter, self._hangup, self._leave, self._ring)[(two + number) % 4](one + number, two)
        self.scene.pbx.take()
        self._snapshot(0, 0)
        self.scene.play()

    def _snapshot(self, _: int, __: int) -> None:
        pbx = self.scene.pbx
        at = pbx.now
        self.scene.pbx.events.append(
            m.SnapshotTaken(
                at,
                tuple(
                    m.ChannelSeen(at, one, Linkedid(pbx._linked[one]), pbx._names[one], "", "", "x", "s", state_up=True)
                    for one in self.alive
                ),
                tuple(
                    m.BridgeMember(BridgeUniqueid(there), *self.bridges[there], one)
                    for one, there in self.where.items()
                ),
                tuple(pair for pair in self.pairs if all(half in self.alive for half in pair)),
            )
        )

    def over(self, channel: Uniqueid) -> None:
        """MixMonitors die with their channel."""
        self.running = {key: one for key, one in self.running.items() if one[1] != channel}

    def begin(self, act: d.StartMixMonitor) -> None:
        """Asterisk does it."""
        self.made += 1
        self.running[act.key] = (f"0x{self.made:x}", act.leg)

    def _restart(self, one: int, two: int) -> None:
        """Killed, and started again: what was being done is done, or is not; the PBX goes on meanwhile."""
        self.scene.play()
        for number, act in enumerate(self.scene.acts):
            match act:
                case d.StartMixMonitor() if (number + two) % 2 and act.leg in self.alive:
                    self.begin(act)
                case d.StopMixMonitor() if (number + two) % 2:
                    self.running.pop(act.key, None)
        before = self.scene
        self.scene = before.restarted(facts=before.facts, cdrs=before.cdrs, history=before.history)
        self.asked.clear()
        self.begun.clear()
        self._blackout(one, two)

    def _illegal(self, one: int, two: int) -> None:
        """A report that a section in its state cannot have, or of none that we know: it changes nothing."""
        self.scene.play()
        scene, now = self.scene, self.scene.pbx.now
        sections = scene.sections
        if not sections:
            return
        section = list(sections.values())[one % len(sections)]
        key = section.key if two % 5 else SectionKey(section.record_id, section.rule_id, 999)
        reports: list[tuple[d.Report, frozenset[SectionState]]] = [
            (d.MixMonitorAccepted(now, key, "0x999"), frozenset({SectionState.REQUESTED, SectionState.STOPPING})),
            (d.MixMonitorRefused(now, key, "asterisk-refused", ""), frozenset({SectionState.REQUESTED, *STOPS})),
            (d.StopAnswered(now, key), frozenset({*RUNS, *STOPS})),
            (d.StopUnanswered(now, key, "asterisk-timeout"), STOPS),
            (d.MuteAnswered(now, key, muted=True), frozenset({SectionState.RECORDING})),
            (d.MuteAnswered(now, key, muted=False), frozenset({SectionState.PAUSED})),
            (d.MixMonitorProbed(now, key, runs=False), frozenset(RUNNING)),
            (d.FileInspected(now, key, REPORT), frozenset({SectionState.CLOSED})),
            (d.FileUnreadable(now, key, "unreadable", ""), frozenset({SectionState.CLOSED})),
        ]
        for report, legal in reports:
            if key != section.key or section.state not in legal:
                before = scene.recorder.sectioner.book.open()
                assert scene.recorder.handle(report, now) == []
                assert scene.recorder.sectioner.book.open() == before

    def _settle(self, _: int, __: int) -> None:
        """Asterisk answers everything: then what runs of ours is what we believe."""
        self.scene.play()
        for _ in range(3):
            while self.scene.acts:
                self.answer(self.scene.acts.pop(0), well=True)
            self.scene.tick(61)
        while self.scene.acts:
            self.answer(self.scene.acts.pop(0), well=True)
        book = self.scene.recorder.sectioner.book
        believed = {one.key: (one.mixmonitor_id, one.leg) for one in book.open() if one.state in RUNNING}
        assert believed == self.running

    def _report(self, one: int, two: int) -> None:
        acts = self.scene.acts
        if acts:
            self.answer(acts.pop(one % len(acts)), well=two % 4 != 0)

    def answer(self, act: d.Act, *, well: bool) -> None:
        take, now = self.scene.take, self.scene.pbx.now
        match act:
            case d.StartMixMonitor() if well and act.leg in self.alive:
                take(m.MixMonitorStarted(now, act.leg), now)
                self.begin(act)
                take(d.MixMonitorAccepted(now, act.key, self.running[act.key][0]), now)
            case d.StartMixMonitor() if act.leg in self.alive and self.made % 3:
                if self.made % 2:
                    self.begin(act)
                code = ("asterisk-timeout", "asterisk-unreachable")[self.made // 2 % 2]
                take(d.MixMonitorRefused(now, act.key, code, "no answer"), now)
            case d.StartMixMonitor():
                take(d.MixMonitorRefused(now, act.key, "asterisk-refused", "No such channel"), now)
            case d.StopMixMonitor() if well or act.leg not in self.alive:
                if self.running.pop(act.key, None) is not None:
                    take(m.MixMonitorStopped(now, act.leg), now)
                take(d.StopAnswered(now, act.key), now)
            case d.StopMixMonitor():
                take(d.StopUnanswered(now, act.key, "asterisk-timeout"), now)
            case d.MuteMixMonitor() if well and act.leg in self.alive:
                take(d.MuteAnswered(now, act.key, act.muted), now)
            case d.MuteMixMonitor():
                take(d.MuteUnanswered(now, act.key, act.muted, "asterisk-timeout"), now)
            case d.ProbeMixMonitor():
                if not well:
                    self.running.pop(act.key, None)  # somebody else's StopMixMonitor has ended it
                take(d.MixMonitorProbed(now, act.key, runs=act.key in self.running), now)
            case d.FindMixMonitor() if well:
                mixmonitor_id, _ = self.running.get(act.key, (None, act.leg))
                assert act.mixmonitor_id in (None, mixmonitor_id) or mixmonitor_id is None
                take(d.MixMonitorFound(now, act.key, mixmonitor_id), now)
            case d.FindMixMonitor():
                take(d.MixMonitorNotSought(now, act.key, "asterisk-timeout"), now)
            case d.WatchFile():
                take(d.FileWatched(now, act.key, seen=well), now)
            case d.MeasureFiles(files) if well:
                grown = {one.key: d.Grown(one.seen + 81920, (True, True)[: 1 + one.wav.stereo]) for one in files}
                take(d.FilesMeasured(now, grown, connected=True), now)
            case d.MeasureFiles(files) if len(files) % 2:
                size = (None, 40_000, 9_000_000)[self.made % 3]
                grown = {one.key: d.Grown(size, (False, True)[: 1 + one.wav.stereo], size == 40_000) for one in files}
                self.made += 1
                take(d.FilesMeasured(now, grown, connected=self.made % 5 > 0), now)
            case d.MeasureFiles():
                take(d.FilesNotMeasured(now, "the disk hangs"), now)
            case d.InspectFile() if well:
                take(d.FileInspected(now, act.key, REPORT), now)
            case d.InspectFile():
                take(d.FileUnreadable(now, act.key, "file-missing", ""), now)

    def hold(self) -> None:
        """What is so at any time."""
        recorder = self.scene.recorder
        tracker, sectioner = recorder.tracker, recorder.sectioner
        calls_now(recorder)
        taking_over = set(sectioner._replaces.values())
        running = Counter(
            (section.rule_id, tracker.channels[section.leg].talk)
            for section in sectioner.book._sections.values()
            if section.state in RUNS and section.key not in taking_over and section.leg in tracker.channels
        )
        if not tracker._optimizing:
            assert all(count == 1 for (_, talk), count in running.items() if talk is not None), running
        for number, stretch in recorder.stretches.items():
            for rule_id, rule in stretch.wanted.items():
                silent = recorder.control.pauses.silent(stretch.call, rule)
                begun, waits = rule_id in stretch.sections, (number, rule_id) in sectioner._waiting
                assert begun != waits or (silent and not begun)
                section = sectioner.book.get(stretch.sections[rule_id]) if begun else None
                if section is not None and section.state in RUNNING and section.key not in sectioner.seeking:
                    asked = sectioner.muting._asked.get(section.key, section.state is SectionState.PAUSED)
                    assert asked == silent
            for key in stretch.sections.values():
                section = sectioner.book.get(key)
                if section is not None and section.state in RUNS and not tracker._optimizing:
                    assert section.leg in stretch.talk.parties
        self.hold_control()
        for answer in self.scene.answered:
            verb = self.asked.pop(answer.number, None)
            assert verb is not None, "answered twice"
            if isinstance(answer, Done):
                self.hold_answer(verb, answer)
        self.scene.answered.clear()
        assert {one: kept.bridge for one, kept in tracker.channels.items() if kept.bridge is not None} == self.where

    def hold_control(self) -> None:
        """What is started and paused is kept as it is known; a section is its starter's; a pause is no lie."""
        recorder = self.scene.recorder
        control, book = recorder.control, recorder.sectioner.book
        demands = [demand for of_call in control.demands._demands.values() for demand in of_call.values()]
        pauses = [pause for of_call in control.pauses._pauses.values() for pause in of_call.values()]
        calls = {demand.call_id for demand in demands} | {pause.call_id for pause in pauses}
        assert self.scene.demands == {(demand.record_id, demand.rule_id): demand for demand in demands}
        assert self.scene.pauses == {(pause.record_id, pause.by): pause for pause in pauses}
        assert len(self.scene.demands) == len(demands)
        assert len(self.scene.pauses) == len(pauses)
        assert calls <= recorder.tracker.calls.keys()
        for section in book._sections.values():
            assert (section.owner is None) == (section.type is SectionType.AUTO)
            if section.key not in self.begun:
                self.begun.add(section.key)
                call = recorder.tracker.call_of(section.call_id)
                demand = control.demands.in_call(call).get(section.rule_id) if call is not None else None
                assert section.owner is None or section.state not in RUNS or demand is not None
                if section.owner is not None and demand is not None:
                    assert section.owner == demand.owner

    def hold_answer(self, verb: Verb, answer: Done) -> None:
        """Asterisk has confirmed what is answered."""
        recorder = self.scene.recorder
        for section in answer.sections:
            call = recorder.tracker.call_of(section.call_id)
            paused = call is not None and recorder.control.is_paused(call, section.rule_id)
            match verb:
                case Verb.START:
                    assert section.state in RUNNING
                case Verb.STOP:
                    assert section.state not in {*RUNS, SectionState.STOPPING}
                case Verb.PAUSE if paused:
                    assert section.state not in {SectionState.REQUESTED, SectionState.RECORDING}
                case Verb.RESUME if not paused:
                    assert section.state not in {SectionState.REQUESTED, SectionState.PAUSED}

    def end(self) -> None:
        self.scene.play()
        for channel in list(self.alive):
            self._out(channel)
            del self.alive[channel]
            self.scene.pbx.hangup(channel)
        self.scene.play()
        while self.scene.acts:
            self.answer(self.scene.acts.pop(), well=True)
        self.scene.tick(ANSWER_WITHIN_S)
        self.hold()
        assert self.asked == {}


def held(scene: Scene) -> dict[str, object]:
    """Whatever has something in it."""
    recorder = scene.recorder
    things: dict[str, object] = {}
    for owner in (
        recorder,
        recorder.tracker,
        recorder.sectioner,
        recorder.sectioner.book,
        recorder.sectioner.monitors,
        recorder.sectioner.muting,
        recorder.sectioner.seeking,
        recorder.sectioner.checking,
        recorder.watching,
        recorder.control,
        recorder.control.demands,
        recorder.control.pauses,
        recorder.control._answering,
        recorder.applies,
        recorder.phones._presses,
        recorder.spans,
    ):
        slots = vars(owner)
        things |= {name: value for name, value in slots.items() if isinstance(value, dict | list | set) and value}
    fixed = ("_handlers", "_on_change", "_on_event", "reports", "_named", "_rules", "_verbs", "_look", "touched")
    return {name: value for name, value in things.items() if name not in fixed}


@settings(max_examples=300, deadline=None)
@given(steps)
def test_whatever_happens_nothing_breaks_and_nothing_is_held_after_the_end(happens: list[Step]) -> None:
    world = World()
    for step in happens:
        world.do(step)
        world.hold()
    world.end()
    assert_nothing_is_left(world.scene)


@pytest.mark.parametrize("seed", range(40))
def test_so_it_is_in_long_lives_in_which_calls_last(seed: int) -> None:
    chance, world = Random(seed), World()
    weights = [{"hangup": 4, "snapshot": 5, "blackout": 3, "destroy": 4, "leave": 6}.get(one, 10) for one in OPERATIONS]
    for operation in chance.choices(OPERATIONS, weights, k=200):
        world.do((operation, chance.randrange(31), chance.randrange(31)))
        world.hold()
    world.end()
    assert_nothing_is_left(world.scene)


def assert_facts_are_in_order(scene: Scene) -> None:
    """Each section's facts follow the table to a final one; each talk begins, changes and ends, within its call."""
    told: dict[SectionKey, list[SectionState]] = {}
    talks: dict[int, str] = {}
    for fact in scene.facts:
        if fact.record_id is not None and fact.rule_id is not None and fact.file is not None:
            if fact.kind.startswith("section.") and fact.kind.removeprefix("section.") in set(SectionState):
                key = SectionKey(fact.record_id, fact.rule_id, fact.file)
                told.setdefault(key, []).append(SectionState(fact.kind.removeprefix("section.")))
        elif fact.kind.startswith("talk."):
            talks[fact.data["talk"]] = talks.get(fact.data["talk"], "") + fact.kind.removeprefix("talk.")[0]
    follows = {(before, after) for (before, _), after in TRANSITIONS.items() if before is not after}
    for states in told.values():
        assert states[0] is SectionState.REQUESTED
        assert set(pairwise(states)) <= follows
        assert states[-1] in FINAL
        assert sum(state in FINAL for state in states) == 1
    for story in talks.values():  # the numbers of talks that are over may be given again after a restart
        assert re.fullmatch(r"(?:bc*e)+", story), story


def assert_nothing_is_left(scene: Scene) -> None:
    assert {section.state for section in scene.sections.values()} <= FINAL
    assert held(scene) == {}
    assert_facts_are_in_order(scene)
    requested = [section.key for section in scene.history if section.state is SectionState.REQUESTED]
    assert len(set(requested)) == sum(1 for fact in scene.facts if fact.kind is FactKind.SECTION_REQUESTED)
    assert (scene.demands, scene.pauses, scene.running) == ({}, {}, {})
    assert len(scene.cdrs) <= scene.kinds().count(FactKind.CALL_BEGAN)
    assert_all_talk_is_accounted_for(scene)


def assert_all_talk_is_accounted_for(scene: Scene) -> None:
    """By as many seconds as the CDRs have; at each moment something holds, and of one rule one thing only."""
    talked: Counter[CallId] = Counter()
    for talk in scene.talks.values():
        assert talk.ended_at is not None
        talked[talk.call_id] += (talk.ended_at - talk.began_at) // timedelta(microseconds=1)
        spans = sorted((one for one in scene.spans.values() if one.talk_id == talk.talk_id), key=lambda one: one.number)
        covered_until: dict[object, datetime] = {}
        for span in spans:
            assert covered_until.get(span.rule_id, talk.began_at) <= span.began_at
            assert span.began_at <= max([talk.began_at, *covered_until.values()])
            covered_until[span.rule_id] = span.ended_at or talk.ended_at
        assert max(covered_until.values()) == talk.ended_at
    for call_id in {cdr.call_id for cdr in scene.cdrs} | set(talked):
        told = [cdr.talked_s for cdr in scene.cdrs if cdr.call_id == call_id]
        assert sum(told) == pytest.approx(talked[call_id] / 1_000_000, abs=0.0005 * len(told) + 1e-6)
