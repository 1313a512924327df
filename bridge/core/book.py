"""The sections that are not final yet, and the only way to change one: by the table, with its fact."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bridge.core.decisions import Decision
from bridge.core.ids import SectionKey, Uniqueid
from bridge.core.records import Fact, FactKind, Section, SectionState
from bridge.core.sections import FINAL, RUNNING, SectionEvent, after
from bridge.core.store import AppendFact, PutSection

_FACT_OF_STATE = {state: FactKind(f"section.{state}") for state in SectionState}


class SectionBook:
    """Holds sections by key and by leg; what is to be kept of a change goes into `out`."""

    def __init__(self, out: list[Decision]) -> None:
        self._out = out
        self._sections: dict[SectionKey, Section] = {}
        self._on_leg: dict[Uniqueid, dict[SectionKey, None]] = {}
        self.running: dict[SectionKey, None] = {}
        """Those whose MixMonitor runs, oldest first."""

    def get(self, key: SectionKey) -> Section | None:
        """The section, unless it is final."""
        return self._sections.get(key)

    def on_leg(self, leg: Uniqueid) -> list[Section]:
        """The sections of one leg."""
        return [self._sections[key] for key in self._on_leg.get(leg, ())]

    def open(self) -> list[Section]:
        """All of them, in the order in which they came."""
        return list(self._sections.values())

    def restore(self, section: Section) -> None:
        """Take in a section that is kept already."""
        self._sections[section.key] = section
        self._on_leg.setdefault(section.leg, {})[section.key] = None
        if section.state in RUNNING:
            self.running[section.key] = None
        else:
            self.running.pop(section.key, None)

    def keep(self, section: Section) -> None:
        """A new section, or one with other values."""
        self.restore(section)
        if section.state in FINAL:
            del self._sections[section.key]
            on_leg = self._on_leg[section.leg]
            del on_leg[section.key]
            if not on_leg:
                del self._on_leg[section.leg]
        self._out.append(PutSection(section))

    def move(self, section: Section, event: SectionEvent, at: datetime, *, message: str = "", **values: Any) -> Section:
        """Take a section to its next state. Raises IllegalTransitionError, having changed nothing."""
        moved = replace(section, state=after(section.state, event), **values)
        self.keep(moved)
        if moved.state is not section.state:
            extra: dict[str, Any] = {}
            if moved.reason is not None:
                extra |= {"reason": moved.reason, "message": message}
            if moved.state is SectionState.STORED and moved.report is not None:
                # What the file was then: facts are chained, and so are the files by it.
                extra |= {"path": moved.path, "sha256": moved.report.sha256}
                extra |= {"size_bytes": moved.report.size_bytes, "duration_s": moved.report.duration_s}
            self.note(_FACT_OF_STATE[moved.state], moved, at, extra)
        return moved

    def note(self, kind: FactKind, section: Section, at: datetime, extra: Mapping[str, Any] | None = None) -> None:
        """A fact about a section, for those who took part in its talk and its owner."""
        data: dict[str, Any] = {
            "state": str(section.state),
            "type": str(section.type),
            "headchannel": section.headchannel,
            "tailchannel": section.tailchannel,
            "requested_at": section.requested_at.isoformat(),
            **(extra or {}),
        }
        fact = Fact(
            kind=kind,
            at=at,
            call_id=section.call_id,
            record_id=section.record_id,
            rule_id=section.rule_id,
            file=section.file,
            data=data,
            personal={"identity": section.owner or ""},
            audience=section.audience,
        )
        self._out.append(AppendFact(fact))
