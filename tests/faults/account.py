"""What a run kept of its talks, by Asterisk's own events and the WAVs, and what of it is wrong."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from bridge.core.records import FactKind, NumberedFact
from tests.flows.rules import Rule, covered
from tests.flows.truth import Monitor, Talk, Truth
from tests.flows.verdict import EDGE_S, FIRST_S, WINDOW_S, Section, find, judge, missing

Span = tuple[float, float]
Row = Mapping[str, Any]

SOON_S = 5.0
"""How soon after it is ready again the daemon has to record what is talked: generous, as the machine may be busy."""
BEGIN_S = 0.5
"""What a talk may take until its MixMonitor runs, where the daemon is up: it takes 1 ms on an idle machine."""
SHIFT_S = 0.2
_ALONE = "are recorded without a talk that is covered"
_OVERLAP = re.compile(r"record the same ([0-9.]+) s$")
_ONCE = frozenset(
    {
        FactKind.CALL_BEGAN,
        FactKind.CALL_ENDED,
        FactKind.SECTION_REQUESTED,
        FactKind.SECTION_STORED,
        FactKind.SECTION_FAILED,
        FactKind.SECTION_LOST,
    }
)
_ENTRY = ("userName", "inbound", "internal", "number", "name", "extension", "result", "via", "viaDetails")


@dataclass(slots=True)
class Account:
    """`expected` sections and seconds are those that a MixMonitor wrote or could have written; seconds per rule."""

    sections: int = 0
    kept: int = 0
    written_s: float = 0.0
    """How long Asterisk's MixMonitors ran."""
    playable_s: float = 0.0
    """How long the WAVs of stored sections are."""
    hole_s: float = 0.0
    """Talk while no MixMonitor ran, as the daemon was not there."""
    unreached: int = 0
    """Talks, of each rule, that were over before the daemon was there again: they have no section."""
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Account") -> None:
        """Both together."""
        self.sections += other.sections
        self.kept += other.kept
        self.written_s += other.written_s
        self.playable_s += other.playable_s
        self.hole_s += other.hole_s
        self.faults += other.faults


@dataclass(slots=True)
class Seen:
    """One run: what Asterisk says, what the daemon says, what lies in the spool, and when the daemon was away.

    `joins` is when somebody came into a queue. `unheard` are times in which nobody need be heard (paused, or nobody
    had asked for a recording), `silent` those in which nobody may be.
    """

    truth: Truth
    records: Mapping[str, Sequence[Row]]
    journal: Sequence[Row]
    spool: Path
    facts: Sequence[NumberedFact] = ()
    away: Sequence[Span] = ()
    joins: Sequence[float] = ()
    unheard: Sequence[Span] = ()
    silent: Sequence[Span] = ()
    section_s: float | None = None
    """The longest section that a rule allows."""


def account(seen: Seen, rules: Sequence[Rule]) -> Account:
    """What must hold of every run, whatever was done to it."""
    made = Account(faults=[*_files(seen), *_twice(seen)])
    started = {Path(monitor.path).with_suffix(".wav").name for monitor in seen.truth.monitors}
    ended = {"failed", "lost"}
    # Of an intent whose MixMonitor was never asked for there is nothing to keep.
    empty = {_name(record_id, one) for record_id, ones in seen.records.items() for one in ones
             if one["state"] in ended and f"{_name(record_id, one)}.wav" not in started}  # fmt: skip
    records = {record_id: [one for one in ones if _name(record_id, one) not in empty]
               for record_id, ones in seen.records.items()}  # fmt: skip
    found = find(seen.truth, records, seen.spool)
    found = replace(found, gone=found.gone | empty)
    made.faults += found.faults
    made.sections, made.kept = len(seen.truth.monitors), len(found.sections)
    made.playable_s = sum(len(section.samples) / section.rate for section in found.sections)
    made.written_s = sum(_ended(seen.truth, monitor, found.sections) - monitor.began for monitor in seen.truth.monitors)
    for rule in rules:
        truth, ours = _of_rule(covered(seen.truth, rule), rule), found.of(rule.id)
        # What is recorded without a talk is looked for below, where it is known when the daemon was away.
        made.faults += [fault for fault in judge(truth, ours).faults if not fault.endswith(_ALONE)]
        made.faults = [fault for fault in made.faults if not _both_ran(seen, fault)]
        made.faults += _alone(seen, truth, ours.sections)
        for talk in truth.talks:
            hole_s, kept_s, lost = _look(seen, truth, talk, ours.sections)
            made.hole_s += hole_s
            made.unreached += (hole_s > 0 and kept_s == 0) or _unseen(seen, talk)
            made.faults += [f"{rule.label}, {words}" for words in lost]
    made.faults += _heard_in_silence(seen, found.sections)
    return made


def compare(seen: Seen, undisturbed: Seen, unreached: int) -> list[str]:
    """What differs from a run in which nothing went wrong, but for what happened while the daemon was away.

    Of that it can know only what is left to be seen when it is back: who talks to whom then, and what has ended.
    """
    faults = []
    mine, theirs = _sections(seen), _sections(undisturbed)
    less = sum(theirs.values()) - sum(mine.values())
    if not 0 <= less <= unreached + _splits(seen) or (less == 0 and not _blurred(seen) and mine != theirs):
        faults.append(f"sections {dict(mine)}, undisturbed {dict(theirs)}; {unreached} talks could not be had")
    entries, wanted = _entries(seen), _entries(undisturbed)
    if _blurred(seen):
        users = {entry[0] for entry in entries}
        spoke = {party for talk in seen.truth.talks if not _unseen(seen, talk)
                 for one in talk.stretches for party in one.legs.values()}  # fmt: skip
        faults += [f"the journal lacks {user}" for user in {entry[0] for entry in wanted} & spoke - users]
    else:
        faults += [f"the journal lacks {entry}" for entry in wanted - entries]
        faults += [f"the journal has {entry}, undisturbed it has not" for entry in entries - wanted]
    return faults


def _unseen(seen: Seen, talk: Talk) -> bool:
    """Whether it began and ended while the daemon was away."""
    return any(began - BEGIN_S < talk.began and talk.ended < back + BEGIN_S for began, back in seen.away)


def _splits(seen: Seen) -> int:
    """How many sections were as long as they may be while the daemon was away: those go on."""
    if seen.section_s is None:
        return 0
    ends = [monitor.began + seen.section_s for monitor in seen.truth.monitors]
    return sum(began - BEGIN_S < at < back + BEGIN_S for at in ends for began, back in seen.away)


def _blurred(seen: Seen) -> bool:
    """Whether a talk began or ended, or somebody came into a queue, while the daemon was away."""
    moments = [at for talk in seen.truth.talks for one in talk.stretches for at in (one.began, one.ended)]
    return any(began - BEGIN_S < at < back + BEGIN_S for at in (*moments, *seen.joins) for began, back in seen.away)


def _of_rule(truth: Truth, rule: Rule) -> Truth:
    """The rule's own MixMonitors, by their files' names."""
    ours = [one for one in truth.monitors if Path(one.path).stem.split("_")[-2] == str(rule.id)]
    return replace(truth, monitors=ours)


def _name(record_id: str, one: Row) -> str:
    return f"{record_id}_{one['ruleId']}_{one['file']:03d}"


def _ended(truth: Truth, monitor: Monitor, sections: Sequence[Section]) -> float:
    """When it ended. The event does not say which MixMonitor of the leg it was of, but the file's length does."""
    name = Path(monitor.path).with_suffix("").name
    section = next((one for one in sections if one.name == name), None)
    return section.stopped if section is not None else truth.ended(monitor, monitor.began)


def _look(seen: Seen, truth: Truth, talk: Talk, sections: Sequence[Section]) -> tuple[float, float, list[str]]:
    """How much of a talk could not be had, how much was kept, and what else of it was not."""
    hole_s = kept_s = 0.0
    lost: list[tuple[float, str]] = []
    at = talk.began + FIRST_S
    while at + WINDOW_S <= talk.ended:
        window = (at, at + WINDOW_S)
        if not _inside(window, seen.unheard) and (reason := missing(truth, talk, at, sections)):
            if _could_not(seen, truth, talk, window):
                hole_s += WINDOW_S
            else:
                lost.append((at - talk.began, reason))
        else:
            kept_s += WINDOW_S
        at += WINDOW_S
    parties = ", ".join(sorted({party for stretch in talk.stretches for party in stretch.legs.values()}))
    words = []
    for reason, group in groupby(lost, key=lambda one: one[1]):
        times = [at for at, _ in group]
        if len(times) == 1 and _ran(truth, talk, talk.began + times[0], sections):
            continue  # between two files, on a machine too busy for each packet: by Asterisk it was recorded
        span = f"from {times[0]:.1f} s to {times[-1] + WINDOW_S:.1f} s {reason}"
        words.append(f"talk of {parties}, {talk.ended - talk.began:.1f} s: {span}")
    return hole_s, kept_s, words


def _ran(truth: Truth, talk: Talk, at: float, sections: Sequence[Section]) -> bool:
    """Whether MixMonitors ran for all of the window from `at` on."""
    legs = talk.legs(at, at + WINDOW_S)
    running = [(one.began, _ended(truth, one, sections)) for one in truth.monitors if one.leg in legs]
    moments = (at, at + WINDOW_S / 2, at + WINDOW_S)
    return all(any(began <= moment <= ended for began, ended in running) for moment in moments)


def _inside(window: Span, spans: Sequence[Span]) -> bool:
    return any(began < window[1] and ended > window[0] for began, ended in spans)


def _could_not(seen: Seen, truth: Truth, talk: Talk, window: Span) -> bool:
    """Whether nobody could have recorded this: the daemon was away (or just back), and no MixMonitor ran.

    One that has lived through a change of partner may lack the new one's voice: nobody was there to begin the next.
    """
    for began, back in seen.away:
        firsts = [one.began for one in truth.monitors if one.began >= back and one.leg in talk.legs(*window)]
        until = min([*firsts, back + SOON_S]) + FIRST_S
        if not (began - BEGIN_S < window[1] and window[0] < until):
            continue
        legs = talk.legs(*window)
        running = [one for one in truth.monitors if one.leg in legs and one.began < window[0]
                   and truth.ended(one, one.began) > window[1]]  # fmt: skip
        if all(truth.with_leg(one.leg, one.began, one.began + WINDOW_S).keys() != legs.keys() for one in running):
            return True
    return False


def _heard_in_silence(seen: Seen, sections: Sequence[Section]) -> list[str]:
    faults = []
    for began, ended in seen.silent:
        for section in sections:
            # A WAV may lack some packets of what was before, and so tell a little early of what comes.
            at = max(began, section.began) + SHIFT_S
            while at + WINDOW_S <= min(ended, section.ended) - SHIFT_S:
                if voices := section.heard(at):
                    faults.append(f"{section.name}: {', '.join(sorted(voices))} is heard while it is paused")
                    break
                at += WINDOW_S
    return faults


def _files(seen: Seen) -> list[str]:
    """Whatever lies in the spool that no section names, and what is open for ever."""
    named = {f"{_name(record_id, one)}.wav" for record_id, ones in seen.records.items() for one in ones}
    there = [path.name for path in seen.spool.rglob("*") if path.is_file()]
    faults = [f"{name} lies in the spool, and no section names it" for name in there if name not in named]
    faults += [f"{_name(record_id, one)} is {one['state']} for ever" for record_id, ones in seen.records.items()
               for one in ones if one["state"] not in ("stored", "failed", "lost")]  # fmt: skip
    return faults


def _alone(seen: Seen, truth: Truth, sections: Sequence[Section]) -> list[str]:
    """What is recorded without a talk while the daemon was there to stop it."""
    faults = []
    for section in sections:
        at, alone_s = section.began, 0.0
        while at + WINDOW_S <= section.ended:
            window = (at, at + WINDOW_S)
            there = not any(began < window[1] and window[0] < back + SOON_S for began, back in seen.away)
            alone_s += WINDOW_S * (there and not truth.with_leg(section.leg, at - EDGE_S, window[1] + EDGE_S))
            at += WINDOW_S
        if alone_s:
            faults.append(f"{section.name}: {alone_s:.1f} s {_ALONE}")
    return faults


def _both_ran(seen: Seen, fault: str) -> bool:
    """Whether two sections overlap because nobody was there to stop the first one."""
    found = _OVERLAP.search(fault)
    return found is not None and any(float(found[1]) < back - began + BEGIN_S for began, back in seen.away)


def _twice(seen: Seen) -> list[str]:
    """What is told twice, of what happens once."""
    facts = Counter(
        (str(fact.kind), fact.call_id, fact.record_id, fact.rule_id, fact.file)
        for fact in (numbered.fact for numbered in seen.facts)
        if fact.kind in _ONCE
    )
    entries = Counter((entry["eventId"], entry["userName"], entry["deviceName"]) for entry in seen.journal)
    return [f"{what} is told {many} times" for what, many in (*facts.items(), *entries.items()) if many > 1]


def _sections(seen: Seen) -> Counter[tuple[str, ...]]:
    """How many stored sections of each rule each record has; records are told by who talked."""
    who: dict[str, list[str]] = {}
    for entry in seen.journal:
        if entry["recordId"]:
            who.setdefault(entry["recordId"], []).append(str(entry["userName"]))
    found: Counter[tuple[str, ...]] = Counter()
    for record_id, ones in seen.records.items():
        for one in ones:
            if one["state"] == "stored":
                found[(*sorted(who.get(record_id, ["nobody"])), f"rule {one['ruleId']}")] += 1
    return found


def _entries(seen: Seen) -> Counter[tuple[Any, ...]]:
    return Counter((*(entry[name] for name in _ENTRY), bool(entry["recordId"])) for entry in seen.journal)
