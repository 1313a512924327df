"""What really happened: who talked with whom when, what was recorded, who consulted. `oracle` finds it out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

GLITCH_S = 0.05
"""Connections shorter than this are none, and gaps shorter than this do not end a talk. Optimised Local channels, swaps
and merges take legs apart for up to 4 ms, and put them together for up to 41 ms on the way (measured, 22 and 16).
"""

Uniqueid = str
Party = str
Legs = Mapping[Uniqueid, Party]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The same legs connected, all the time. `first` are those with whom that began, if only a moment before."""

    began: float
    ended: float
    legs: Legs
    first: Legs = field(default_factory=dict, compare=False)


@dataclass(slots=True)
class Talk:
    """Stretches one after another in which at least two who talked before still do."""

    stretches: list[Stretch]

    @property
    def began(self) -> float:
        return self.stretches[0].began

    @property
    def ended(self) -> float:
        return self.stretches[-1].ended

    def legs(self, began: float, ended: float) -> Legs:
        """All who were in it at any time between."""
        return {
            leg: party
            for stretch in self.stretches
            if stretch.began < ended and stretch.ended > began
            for leg, party in stretch.legs.items()
        }

    def throughout(self, began: float, ended: float) -> Legs:
        """Those who were in it all the time between; a gap that ends no talk counts as talk."""
        some = self.legs(began, ended)
        absent = {leg for stretch in self.stretches if stretch.began < ended and stretch.ended > began
                  for leg in some if leg not in stretch.legs}  # fmt: skip
        return {leg: party for leg, party in some.items() if leg not in absent}


@dataclass(frozen=True, slots=True)
class Monitor:
    """A MixMonitor that was started: where, when, and into which file.

    `call` is the oldest channel of its call when it began.
    """

    path: str
    leg: Uniqueid
    began: float
    call: Uniqueid


@dataclass(slots=True)
class Truth:
    """What happened. `quiet` is when a leg need not be heard, nor hears the others: on hold, or while it sends keys."""

    talks: list[Talk]
    monitors: list[Monitor]
    quiet: dict[Uniqueid, list[tuple[float, float]]]
    moments: list[Stretch]
    """Every connection, the shortest too."""
    ends: dict[Uniqueid, list[float]]
    """When a MixMonitor of a leg was stopped, or the leg hung up: which one the event does not say."""
    joins: list[tuple[float, Uniqueid, Uniqueid]]
    """When which two channels became ones of the same call."""
    consultations: list[Stretch]
    """Talk before an attended transfer, while the one to be transferred waits."""

    def ended(self, monitor: Monitor, at_least: float) -> float:
        """When the MixMonitor ended, which wrote until `at_least`; infinity while it runs."""
        return min(
            (at for at in self.ends.get(monitor.leg, ()) if at >= max(monitor.began, at_least)), default=math.inf
        )

    def one_call_since(self, leg: Uniqueid, other: Uniqueid) -> float:
        """From when on both are of one call; infinity when they never were."""
        if leg == other:
            return -math.inf
        groups: dict[Uniqueid, set[Uniqueid]] = {}
        for at, one, another in self.joins:
            first, second = groups.setdefault(one, {one}), groups.setdefault(another, {another})
            first |= second
            groups.update(dict.fromkeys(second, first))
            if leg in first and other in first:
                return at
        return math.inf

    def was_connected(self, leg: Uniqueid, began: float, ended: float) -> bool:
        """Whether it was connected with anybody at any time between, or a moment before."""
        return any(leg in one.legs and one.began < ended and one.ended > began - GLITCH_S for one in self.moments)

    def is_quiet(self, leg: Uniqueid, began: float, ended: float) -> bool:
        """Whether its tone cannot be demanded of all the time between."""
        return self.quiet_s(leg, began, ended) > 0

    def quiet_s(self, leg: Uniqueid, began: float, ended: float) -> float:
        """How much of the time between its tone cannot be demanded."""
        length = reached = 0.0
        for start, end in sorted(self.quiet.get(leg, ())):
            length += max(0.0, min(end, ended) - max(start, began, reached))
            reached = max(reached, end)
        return length

    def with_leg(self, leg: Uniqueid, began: float, ended: float) -> Legs:
        """Everybody who was in a talk with this leg at any time between; itself included."""
        return {
            other: party
            for talk in self.talks
            for stretch in talk.stretches
            if stretch.began < ended and stretch.ended > began and leg in stretch.legs
            for other, party in stretch.legs.items()
        }
