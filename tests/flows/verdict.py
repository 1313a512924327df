"""Holds the sections that were stored against what really happened: `judge` says what was kept and what is wrong."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, count, groupby, islice, pairwise
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from tests.flows.truth import Monitor, Talk, Truth
from tests.network import tones
from tests.network.config import OUTSIDERS, PHONES

WINDOW_S = tones.WINDOW_S
FIRST_S = 0.1
"""A talk's first part, which is excepted, and what somebody who joins later is given to be heard."""
COVERED_S = 0.06
"""How much of a window a section must cover: a WAV has whole packets of 20 ms, and the last may be missing (LACKING_S).
With 70 ms one window of 3,600 is not, with 60 ms all are (measured)."""
EDGE_S = 0.04
"""How much earlier or later than it was connected somebody may be heard: two packets (none was needed; measured)."""
TWICE_S = 0.03
"""How long two sections of one rule may overlap in a talk: one ends with the answer to an action (8 ms; measured)."""
TAIL_S = 1.0
"""How soon after its talk's end a section must have stopped: on a busy machine it took 70 ms (measured). What it hears
of the next talk until then is no double recording."""

LACKING_S = 0.05
"""A WAV is up to 36 ms shorter than the time from its MixMonitor's start to its end (measured). It lacks 200 to 250 ms
where its leg dialled keys while held: nothing comes from the leg then, and nothing to it."""

LONGER_S = 0.06
"""A WAV is up to 36 ms longer than the time from its MixMonitor's start to its end, where its leg's voice comes in
bursts: the leg of an attended transfer's target (measured). The end of one that wrote until then is no earlier."""

_GONE = "channel-gone"
"""A section may fail so: its leg hung up in the moment in which it was asked for. Had there been a talk to keep (longer
than GLITCH_S), it is missed in what is kept."""
_VOICES = frozenset((*PHONES, *OUTSIDERS))


def _never(_until: float) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Section:
    """One stored section. `leg` and `began` come from Asterisk, not from the daemon."""

    record_id: str
    rule_id: int
    file: int
    leg: str
    call: str
    began: float
    samples: tones.Samples
    rate: int
    stopped: float = inf
    """When its MixMonitor ended, by Asterisk."""
    stood_still_s: float = 0.0
    """For how long nothing at all came to the leg and from it, so that the WAV did not grow."""
    quiet_s: Callable[[float], float] = _never
    """How much of the time between its begin and that time its leg was quiet: it may have stood still only then."""

    @property
    def ended(self) -> float:
        return self.began + len(self.samples) / self.rate + self.stood_still_s

    @property
    def name(self) -> str:
        return f"{self.record_id}_{self.rule_id}_{self.file:03d}"

    def covers_s(self, began: float, ended: float) -> float:
        """How much of that time is in it."""
        return max(0.0, min(self.ended, ended) - max(self.began, began))

    def window(self, at: float) -> tones.Samples:
        """The window from `at` on; what the section does not cover is silence."""
        size = round(WINDOW_S * self.rate)
        still_s = self.stood_still_s * self.quiet_s(at) / self.quiet_s(self.ended) if self.stood_still_s else 0.0
        first = round((at - self.began - still_s) * self.rate)
        window = np.zeros(size, dtype=np.int16)
        there = self.samples[max(first, 0) : max(first + size, 0)]
        offset = max(-first, 0)
        window[offset : offset + len(there)] = there
        return window

    def heard(self, at: float) -> set[str]:
        """The parties heard in the window from `at` on."""
        return tones.heard(self.window(at), self.rate)[0] & _VOICES


@dataclass(slots=True)
class Verdict:
    """`faults` must be empty; `lost` says where `kept_s` is less than `talk_s`. Both are sentences."""

    talk_s: float = 0.0
    kept_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """What the daemon has: its stored sections in the order of time, names of those that came to nothing because their
    leg was gone, and what is wrong with the others."""

    sections: Sequence[Section]
    gone: frozenset[str] = frozenset()
    faults: Sequence[str] = ()

    def of(self, rule_id: int) -> "Found":
        """The sections of one rule."""
        return Found([one for one in self.sections if one.rule_id == rule_id], self.gone)


def find(truth: Truth, records: Mapping[str, Sequence[Mapping[str, Any]]], spool: Path) -> Found:
    """The sections of these records, as the API gives them."""
    found, gone, faults = [], set(), []
    monitors = {Path(monitor.path).with_suffix(".wav").name: monitor for monitor in truth.monitors}
    told = {f"{record_id}_{one['ruleId']}_{one['file']:03d}.wav": (record_id, one)
            for record_id, ones in records.items() for one in ones}  # fmt: skip
    faults += [f"{name}: recorded, but no record has it" for name in monitors if name not in told]
    for name, (record_id, one) in told.items():
        monitor, path = monitors.get(name), next(spool.rglob(name), None)
        if one["state"] == "failed" and one["reason"] == _GONE:
            gone.add(name.removesuffix(".wav"))
        elif one["state"] != "stored":
            faults.append(f"{name}: {one['state']} ({one['reason'] or 'no reason given'})")
        elif monitor is None or path is None:
            faults.append(f"{name}: stored, but {'never started' if monitor is None else 'not there'}")
        else:
            found.append(_section(truth, record_id, one, monitor, path))
    return Found(sorted(found, key=lambda section: section.began), frozenset(gone), faults)


def _section(truth: Truth, record_id: str, one: Mapping[str, Any], monitor: Monitor, path: Path) -> Section:
    frames, rate = tones.samples(path)
    stopped = truth.ended(monitor, monitor.began + len(frames) / rate - LONGER_S)
    section = Section(
        record_id, one["ruleId"], one["file"], monitor.leg, monitor.call, monitor.began, _mono(frames), rate, stopped
    )
    quiet = partial(truth.quiet_s, monitor.leg, monitor.began)
    lacking_s = stopped - section.ended
    if not LACKING_S < lacking_s < quiet(stopped) or stopped == inf:
        return section
    return replace(section, stood_still_s=lacking_s, quiet_s=quiet)


def _mono(frames: tones.Samples) -> tones.Samples:
    """All channels in one: who is heard on any of them."""
    mixed: tones.Samples = frames.sum(axis=1, dtype=np.int32).clip(-32768, 32767).astype(np.int16)
    return mixed


def judge(truth: Truth, found: Found) -> Verdict:
    """Everything that must hold for the sections of a rule, whose talks are those that it covers."""
    verdict = Verdict()
    for number, talk in enumerate(truth.talks, 1):
        _keep(truth, talk, number, found.sections, verdict)
    for section in found.sections:
        verdict.faults += _foreign(truth, section)
    verdict.faults += _twice(truth, found.sections)
    verdict.faults += _numbers(found)
    return verdict


def _keep(truth: Truth, talk: Talk, number: int, found: Sequence[Section], verdict: Verdict) -> None:
    """Count the windows of a talk, and those in which a section has everybody who talks."""
    lost: list[tuple[float, str]] = []
    began = talk.began + FIRST_S
    windows = max(0, int((talk.ended - began) / WINDOW_S + 1e-6))
    for at in (began + index * WINDOW_S for index in range(windows)):
        reason = missing(truth, talk, at, found)
        if reason:
            lost.append((at - talk.began, reason))
    verdict.talk_s += windows * WINDOW_S
    verdict.kept_s += (windows - len(lost)) * WINDOW_S
    parties = ", ".join(sorted({party for stretch in talk.stretches for party in stretch.legs.values()}))
    for reason, group in groupby(lost, key=lambda one: one[1]):
        times = [at for at, _ in group]
        verdict.lost.append(
            f"talk {number} ({parties}; {talk.ended - talk.began:.1f} s): from {times[0]:.1f} s "
            f"to {times[-1] + WINDOW_S:.1f} s {reason}"
        )


def missing(truth: Truth, talk: Talk, at: float, found: Sequence[Section]) -> str | None:
    """Why the window is not kept; None where it is."""
    legs = talk.legs(at - EDGE_S, at + WINDOW_S + EDGE_S)
    demanded = {
        party
        for leg, party in talk.throughout(at - FIRST_S, at + WINDOW_S).items()
        if not truth.is_quiet(leg, at, at + WINDOW_S)
    } & _VOICES
    some = [one for one in found if one.leg in legs and one.covers_s(at, at + WINDOW_S) > 0]
    running = [one for one in some if one.covers_s(at, at + WINDOW_S) >= COVERED_S]
    if not running and sum(one.covers_s(at, at + WINDOW_S) for one in some) >= COVERED_S:
        # One section ends in this window and the next begins.
        together = sum((one.window(at) for one in some), np.zeros_like(some[0].window(at)))
        if demanded <= set(tones.heard(together, some[0].rate)[0]):
            return None
    lacks = []
    for one in running:
        # A leg that holds hears nobody: what it hears is the PBX's.
        here = set() if truth.is_quiet(one.leg, at, at + WINDOW_S) else demanded
        if not (absent := here - one.heard(at)):
            return None
        lacks.append(f"{one.name} lacks {', '.join(sorted(absent))}")
    return " and ".join(lacks) or "nothing was recorded"


def _foreign(truth: Truth, section: Section) -> list[str]:
    """Who is heard without having been connected, and what was recorded without a talk."""
    strangers: Counter[str] = Counter()
    alone = 0
    whole = int((section.ended - section.began) / WINDOW_S)
    for at in (section.began + index * WINDOW_S for index in range(whole)):
        legs = truth.with_leg(section.leg, at - EDGE_S, at + WINDOW_S + EDGE_S)
        if legs:
            strangers.update(section.heard(at) - set(legs.values()))
        else:
            alone += 1
    faults = [
        f"{section.name}: {party} is heard for {windows * WINDOW_S:.1f} s without being in that talk"
        for party, windows in strangers.items()
    ]
    if alone:
        faults.append(f"{section.name}: {alone * WINDOW_S:.1f} s are recorded without a talk that is covered")
    if not truth.was_connected(section.leg, section.began, section.ended):
        faults.append(f"{section.name}: a section without a talk")
    return faults


def _twice(truth: Truth, found: Sequence[Section]) -> list[str]:
    """Sections at the same time in the same talk."""
    faults = []
    for one, other in combinations(found, 2):
        ends = (one.ended, one.stopped, other.ended, other.stopped)
        both_s = sum(
            max(0.0, min(*ends, stretch.ended) - max(one.began, other.began, stretch.began))
            for talk in truth.talks
            for stretch in talk.stretches
            if one.leg in stretch.legs
            and other.leg in stretch.legs
            and not _is_tail(one, talk)
            and not _is_tail(other, talk)
        )
        if both_s > TWICE_S:
            faults.append(f"{one.name} and {other.name} record the same {both_s:.2f} s")
    return faults


def _is_tail(section: Section, talk: Talk) -> bool:
    """Whether a section is of the talk before, and is being stopped."""
    return section.began < talk.began - EDGE_S and min(section.ended, section.stopped) < talk.began + TAIL_S


def _numbers(found: Found) -> list[str]:
    """Sections of a rule in a record are 1, 2, 3, … in the order in which they began."""

    def key(section: Section) -> tuple[str, int]:
        return section.record_id, section.rule_id

    faults = []
    for (record_id, rule_id), group in groupby(sorted(found.sections, key=lambda one: (key(one), one.began)), key):
        files = [one.file for one in group]
        free = (number for number in count(1) if f"{record_id}_{rule_id}_{number:03d}" not in found.gone)
        if files != list(islice(free, len(files))):
            faults.append(f"{record_id}, rule {rule_id}: sections are numbered {files}")
    return faults


def one_record_each(found: Found) -> list[str]:
    """All that is recorded of one call, once it is one, has one record, whatever the rule."""
    faults = []
    for call, group in groupby(sorted(found.sections, key=lambda one: (one.call, one.began)), lambda one: one.call):
        faults += [
            f"call {call}: after {before.record_id} it is recorded as {after.record_id}"
            for before, after in pairwise(group)
            if before.record_id != after.record_id
        ]
    return faults
