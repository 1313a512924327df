"""Which leg of a talk to record on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.core.ids import Uniqueid

SETTLE_S = 0.1
"""How long a leg must have been without a MixMonitor of ours before the next one hears both sides (ASTERISK.md,
"Who keeps the recording": stop, wait 100 ms, start helped 8 of 8 times; at once, never)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A party that could be recorded on.

    `foreign` is whether somebody else's MixMonitor runs there, `ended_at` when the last one of ours did. `deaf`: one of
    ours that began there in this talk hears one side only.
    """

    uniqueid: Uniqueid
    outside: bool
    caller: bool
    foreign: bool
    ended_at: datetime | None
    deaf: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Either a leg, with what is wrong with it if it is the least bad one, or when to ask again."""

    leg: Uniqueid | None
    retry_at: datetime | None = None
    compromise: str | None = None


def choose(candidates: Sequence[Candidate], now: datetime, asked_at: datetime) -> Choice:
    """The outside party's leg, else the caller's, else the first, among those that will hear both sides.

    `asked_at` is when the section was first wanted: where every leg has something against it, the least bad one is
    taken 100 ms after that.
    """
    settle = timedelta(seconds=SETTLE_S)

    def rank(candidate: Candidate) -> tuple[bool, bool, bool]:
        return (candidate.deaf, not candidate.outside, not candidate.caller)

    def settled(candidate: Candidate) -> bool:
        return candidate.ended_at is None or now - candidate.ended_at >= settle

    good = [candidate for candidate in candidates if not candidate.foreign and settled(candidate)]
    if good:
        return Choice(min(good, key=rank).uniqueid)
    if now - asked_at < settle:
        return Choice(None, retry_at=asked_at + settle)
    least_bad = min(candidates, key=lambda candidate: (not settled(candidate), candidate.foreign, *rank(candidate)))
    return Choice(least_bad.uniqueid, compromise="foreign-mixmonitor" if least_bad.foreign else "just-ended")
