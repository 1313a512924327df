"""What a run kept of its talks, by Asterisk's own events and the WAVs, and what of it is wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge.core.records import FactKind
from tests.faults.seen import Seen, ended_at, name_of
from tests.faults.windows import ALONE, alone, both_ran, heard_in_silence, look
from tests.flows.rules import Rule, covered
from tests.flows.truth import Truth
from tests.flows.verdict import find, judge

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


def account(seen: Seen, rules: Sequence[Rule]) -> Account:
    """What must hold of every run, whatever was done to it."""
    made = Account(faults=[*_files(seen), *_twice(seen)])
    started = {Path(monitor.path).with_suffix(".wav").name for monitor in seen.truth.monitors}
    ended = {"failed", "lost"}
    # Of an intent whose MixMonitor was never asked for there is nothing to keep.
    empty = {name_of(record_id, one) for record_id, ones in seen.records.items() for one in ones
             if one["state"] in ended and f"{name_of(record_id, one)}.wav" not in started}  # fmt: skip
    records = {record_id: [one for one in ones if name_of(record_id, one) not in empty]
               for record_id, ones in seen.records.items()}  # fmt: skip
    found = find(seen.truth, records, seen.spool)
    found = replace(found, gone=found.gone | empty)
    made.faults += found.faults
    made.sections, made.kept = len(seen.truth.monitors), len(found.sections)
    made.playable_s = sum(len(section.samples) / section.rate for section in found.sections)
    made.written_s = sum(
        ended_at(seen.truth, monitor, found.sections) - monitor.began for monitor in seen.truth.monitors
    )
    for rule in rules:
        truth, ours = _of_rule(covered(seen.truth, rule), rule), found.of(rule.id)
        # What is recorded without a talk is looked for below, where it is known when the daemon was away.
        made.faults += [fault for fault in judge(truth, ours).faults if not fault.endswith(ALONE)]
        made.faults = [fault for fault in made.faults if not both_ran(seen, fault)]
        made.faults += alone(seen, truth, ours.sections)
        for talk in truth.talks:
            hole_s, kept_s, lost = look(seen, truth, talk, ours.sections)
            made.hole_s += hole_s
            made.unreached += (hole_s > 0 and kept_s == 0) or seen.unseen(talk)
            made.faults += [f"{rule.label}, {words}" for words in lost]
    made.faults += heard_in_silence(seen, found.sections)
    return made


def _of_rule(truth: Truth, rule: Rule) -> Truth:
    """The rule's own MixMonitors, by their files' names."""
    ours = [one for one in truth.monitors if Path(one.path).stem.split("_")[-2] == str(rule.id)]
    return replace(truth, monitors=ours)


def _files(seen: Seen) -> list[str]:
    """Whatever lies in the spool that no section names, and what is open for ever."""
    named = {f"{name_of(record_id, one)}.wav" for record_id, ones in seen.records.items() for one in ones}
    there = [path.name for path in seen.spool.rglob("*") if path.is_file()]
    faults = [f"{name} lies in the spool, and no section names it" for name in there if name not in named]
    faults += [f"{name_of(record_id, one)} is {one['state']} for ever" for record_id, ones in seen.records.items()
               for one in ones if one["state"] not in ("stored", "failed", "lost")]  # fmt: skip
    return faults


def _twice(seen: Seen) -> list[str]:
    """What is told twice, of what happens once."""
    facts = Counter(
        (str(fact.kind), fact.call_id, fact.record_id, fact.rule_id, fact.file)
        for fact in (numbered.fact for numbered in seen.facts)
        if fact.kind in _ONCE
    )
    entries = Counter((entry["eventId"], entry["userName"], entry["deviceName"]) for entry in seen.journal)
    return [f"{what} is told {many} times" for what, many in (*facts.items(), *entries.items()) if many > 1]
