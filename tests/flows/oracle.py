"""Who was connected with whom, from Asterisk's own events alone: what the recordings are held against.

Nothing of the product is used here, so that a defect of it cannot hide in what it is measured with. A real leg is a
PJSIP channel; legs are connected through Asterisk bridges (not holding ones: parking, waiting) and through the two
halves of a Local channel. Times are Asterisk's own (`Timestamp`), in epoch seconds.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from tests.flows.truth import GLITCH_S, Monitor, Party, Stretch, Talk, Truth, Uniqueid
from tests.network.ami import Message
from tests.network.config import OUTSIDERS

KEYS_S = 0.04
"""How long before and after a key or a hold a leg need not be heard: two packets (none was needed; measured)."""

_LEG = re.compile(r"PJSIP/(.+)-[0-9a-f]{8}$")
_OUTSIDE_CALL = re.compile(rf"({'|'.join(OUTSIDERS)})-\d+$")
_LINKING = frozenset({"basic", "stasis"})


def outsiders(pbx: Iterable[Message], phones: Iterable[Message]) -> dict[str, Party]:
    """Which outsider is behind each trunk channel that came in, by its name.

    The carrier's calls have ids of their own (`stranger-3`); they reach the PBX in the order in which they left,
    among those of one number.
    """
    left: dict[str, list[Party]] = {}
    numbers = {event["Uniqueid"]: event["CallerIDNum"] for event in phones if "CallerIDNum" in event
               and event.get("Uniqueid") and event["CallerIDNum"] != "<unknown>"}  # fmt: skip
    for event in phones:
        if event["Event"] == "Newchannel" and (call := _OUTSIDE_CALL.match(event["Uniqueid"])):
            left.setdefault(numbers.get(event["Uniqueid"], ""), []).append(call[1])
    found = {}
    for event in pbx:
        if event["Event"] == "Newchannel" and event["Channel"].startswith("PJSIP/trunk-"):
            waiting = left.get(event["CallerIDNum"], []) if event["ChannelStateDesc"] == "Ring" else []
            found[event["Channel"]] = waiting.pop(0) if waiting else "outside"
    return found


def observe(pbx: Sequence[Message], phones: Sequence[Message]) -> Truth:
    """What happened, from the events of both Asterisks' sessions since before the first call."""
    seen = _Observer(outsiders(pbx, phones))
    for event in pbx:
        if "Timestamp" in event:
            seen.take(event, float(event["Timestamp"]))
    return seen.truth()


@dataclass(slots=True)
class _Observer:
    trunks: Mapping[str, Party]
    names: dict[Uniqueid, str] = field(default_factory=dict)
    bridge_of: dict[Uniqueid, str] = field(default_factory=dict)
    holding: set[str] = field(default_factory=set)
    running: dict[frozenset[tuple[Uniqueid, Party]], float] = field(default_factory=dict)
    first: dict[frozenset[tuple[Uniqueid, Party]], frozenset[tuple[Uniqueid, Party]]] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)
    monitors: list[Monitor] = field(default_factory=list)
    quiet: dict[Uniqueid, list[tuple[float, float]]] = field(default_factory=dict)
    held: dict[Uniqueid, float] = field(default_factory=dict)
    keys: dict[Uniqueid, float] = field(default_factory=dict)
    born: dict[Uniqueid, int] = field(default_factory=dict)
    parent: dict[Uniqueid, Uniqueid] = field(default_factory=dict)
    joins: list[tuple[float, Uniqueid, Uniqueid]] = field(default_factory=list)
    ends: dict[Uniqueid, list[float]] = field(default_factory=dict)
    dialled: set[Uniqueid] = field(default_factory=set)
    met: dict[frozenset[Uniqueid], int] = field(default_factory=dict)
    waits: dict[Uniqueid, set[Uniqueid]] = field(default_factory=dict)
    consulting: dict[frozenset[tuple[Uniqueid, Party]], float] = field(default_factory=dict)
    consultations: list[Stretch] = field(default_factory=list)
    now: float = 0.0

    def take(self, event: Message, at: float) -> None:
        self.now = max(self.now, at)
        name, leg = event["Event"], event.get("Uniqueid", "")
        if leg and event.get("Channel"):
            self.names[leg] = event["Channel"]
        match name:
            case "Newchannel":
                self._join(leg, event["Linkedid"])
                if event["ChannelStateDesc"] == "Ring":
                    self.dialled.add(leg)
            case "Rename":
                self.names[leg] = event["Newname"]
            case "BridgeEnter":
                self._enter(leg, event)
            case "BridgeLeave":
                self._leave(leg, at)
            case "BridgeDestroy":
                for member in [one for one, bridge in self.bridge_of.items() if bridge == event["BridgeUniqueid"]]:
                    self._leave(member, at)
            case "Hangup":
                self._leave(leg, at)
                self.ends.setdefault(leg, []).append(at)
            case "MixMonitorStop":
                self.ends.setdefault(leg, []).append(at)
            case "Hold":
                self.held.setdefault(leg, at)
            case "Unhold":
                self._unhold(leg, at)
            case "DTMFBegin" if event["Direction"] == "Received":
                self.keys[leg] = at
            case "DTMFEnd" if event["Direction"] == "Received":
                self._be_quiet(leg, self.keys.pop(leg, at) - KEYS_S, at + KEYS_S)
            case "VarSet" if event["Variable"] == "MIXMONITOR_FILENAME":
                self.monitors.append(Monitor(event["Value"], leg, at, self._root(leg)))
            case _:
                return
        self._settle(at)

    def truth(self) -> Truth:
        for leg in list(self.held):
            self._unhold(leg, self.now)
        self.bridge_of.clear()
        self._settle(self.now)
        return Truth(
            _talks(self.stretches),
            self.monitors,
            self.quiet,
            self.stretches,
            self.ends,
            self.joins,
            self.consultations,
        )

    # -- connections

    def _enter(self, leg: Uniqueid, event: Message) -> None:
        bridge = event["BridgeUniqueid"]
        self.bridge_of[leg] = bridge
        (self.holding.add if event["BridgeTechnology"] == "holding_bridge" else self.holding.discard)(bridge)
        self._join(leg, event["Linkedid"])
        if event["BridgeType"] in _LINKING:
            for member in [one for one, other in self.bridge_of.items() if other == bridge]:
                self._join(leg, member)

    def _leave(self, leg: Uniqueid, at: float) -> None:
        self.bridge_of.pop(leg, None)
        self.waits.pop(leg, None)
        if leg in self.held:
            # Who dials the target of an attended transfer holds first (`*2`), and then leaves the bridge.
            for legs in self.running:
                others = {other for other, _ in legs} - {leg}
                if len(others) < len(legs):
                    for other in others & self.bridge_of.keys():
                        self.waits.setdefault(other, set()).add(leg)
        self._unhold(leg, at)

    def _components(self) -> set[frozenset[tuple[Uniqueid, Party]]]:
        """Everybody connected now, in groups of at least two real legs."""
        group: dict[str, str] = {}

        def top(node: str) -> str:
            while (above := group.setdefault(node, node)) != node:
                node = above
            return node

        members: dict[str, set[tuple[Uniqueid, Party]]] = {}
        inside = [(leg, bridge) for leg, bridge in self.bridge_of.items() if bridge not in self.holding]
        for leg, bridge in inside:
            channel = self.names[leg]
            if channel.startswith("Local/"):
                group[top(bridge)] = top(channel.rpartition(";")[0])
        for leg, bridge in inside:
            if real := _LEG.match(self.names[leg]):
                party = self.trunks.get(self.names[leg], real[1])
                members.setdefault(top(bridge), set()).add((leg, party))
        return {frozenset(legs) for legs in members.values() if len(legs) >= 2}

    def _settle(self, at: float) -> None:
        connected = self._components()
        over = [legs for legs in self.running if legs not in connected]
        for legs in over:
            self.stretches.append(Stretch(self.running.pop(legs), at, dict(legs), dict(self.first[legs])))
        for legs in connected - self.running.keys():
            goes_on = [before for before in over if len(before & legs) > 1]
            self.first[legs] = self.first[goes_on[0]] if goes_on else legs
        for legs in connected:
            self.running.setdefault(legs, at)
            for leg, _ in legs:
                self._join(leg, next(iter(legs))[0])
            for (one, _), (other, _) in combinations(legs, 2):
                self.met.setdefault(frozenset((one, other)), len(self.met))
        consulting = {legs for legs in connected if self._left_waiting(legs) or self._holds(legs)}
        for legs in self.consulting.keys() - consulting:
            self.consultations.append(Stretch(self.consulting.pop(legs), at, dict(legs)))
        for legs in consulting:
            self.consulting.setdefault(legs, at)

    # -- consultations

    def _left_waiting(self, talking: frozenset[tuple[Uniqueid, Party]]) -> bool:
        """Whether one of these has left somebody alone in a bridge for somebody whom it met later."""
        legs = {leg for leg, _ in talking}
        connected = {leg for others in self.running for leg, _ in others}
        return any(
            self.met[frozenset((consults, waiting))] < self.met[frozenset((consults, other))]
            for waiting, left_by in self.waits.items()
            if waiting not in connected
            for consults in left_by & legs
            for other in legs - {consults}
        )

    def _holds(self, talking: frozenset[tuple[Uniqueid, Party]]) -> bool:
        """Whether a phone here has dialled, while it holds another talk on its other line."""
        legs = {leg for leg, _ in talking}
        dialling = {party for leg, party in talking if leg in self.dialled and party not in OUTSIDERS}
        return any(
            leg in self.held and leg not in legs and party in dialling
            for others in self.running
            for leg, party in others
        )

    # -- calls: the oldest channel stands for all

    def _root(self, leg: Uniqueid) -> Uniqueid:
        self.born.setdefault(leg, len(self.born))
        while (above := self.parent.get(leg, leg)) != leg:
            leg = above
        return leg

    def _join(self, one: Uniqueid, other: Uniqueid) -> None:
        if not one or not other:
            return
        older, younger = sorted((self._root(one), self._root(other)), key=self.born.__getitem__)
        if older != younger:
            self.parent[younger] = older
            self.joins.append((self.now, older, younger))

    # -- quiet

    def _unhold(self, leg: Uniqueid, at: float) -> None:
        if (began := self.held.pop(leg, None)) is not None:
            self._be_quiet(leg, began - KEYS_S, at + KEYS_S)

    def _be_quiet(self, leg: Uniqueid, began: float, ended: float) -> None:
        self.quiet.setdefault(leg, []).append((began, ended))


def _talks(stretches: Iterable[Stretch]) -> list[Talk]:
    talks: list[Talk] = []
    for stretch in sorted(_lasting(stretches), key=lambda one: one.began):
        for talk in talks:
            last = talk.stretches[-1]
            if -0.001 <= stretch.began - last.ended <= GLITCH_S and len(last.legs.keys() & stretch.legs.keys()) >= 2:
                talk.stretches.append(stretch)
                break
        else:
            talks.append(Talk([stretch]))
    return talks


def _lasting(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Pieces of one stretch put together again, and those too short to be any left out."""
    whole: list[Stretch] = []
    for piece in sorted(stretches, key=lambda one: one.began):
        for index, one in enumerate(whole):
            if one.legs == piece.legs and piece.began - one.ended <= GLITCH_S:
                whole[index] = Stretch(one.began, piece.ended, one.legs)
                break
        else:
            whole.append(piece)
    return [one for one in whole if one.ended - one.began > GLITCH_S]
