"""What was seen of a run: by Asterisk, by the daemon, on the disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.core.records import NumberedFact
from tests.flows.truth import Monitor, Talk, Truth
from tests.flows.verdict import Section

Span = tuple[float, float]
Row = Mapping[str, Any]

BEGIN_S = 0.5
"""About how long after something happened the daemon may act on it."""
MOMENT_S = 1.0


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

    @property
    def absences(self) -> list[Span]:
        """When the daemon was away; one that was back for a moment only was not back."""
        spans: list[Span] = []
        for began, back in sorted(self.away):
            if spans and began - spans[-1][1] < MOMENT_S:
                spans[-1] = (spans[-1][0], max(back, spans[-1][1]))
            else:
                spans.append((began, back))
        return spans

    def unseen(self, talk: Talk) -> bool:
        """Whether a talk began and ended while the daemon was away."""
        return any(began - BEGIN_S < talk.began and talk.ended < back + BEGIN_S for began, back in self.absences)


def name_of(record_id: str, one: Row) -> str:
    """What a section's WAV is called, but for its ending."""
    return f"{record_id}_{one['ruleId']}_{one['file']:03d}"


def ended_at(truth: Truth, monitor: Monitor, sections: Sequence[Section]) -> float:
    """When it ended. The event does not say which MixMonitor of the leg it was of, but the file's length does."""
    name = Path(monitor.path).with_suffix("").name
    section = next((one for one in sections if one.name == name), None)
    return section.stopped if section is not None else truth.ended(monitor, monitor.began)
