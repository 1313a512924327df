"""What those who act on a running call know of the recorder, and who it is that wants something."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bridge.core import calls as c
from bridge.core import journal
from bridge.core.applying import Applies
from bridge.core.ids import Identity, RuleId
from bridge.core.people import People
from bridge.core.records import FactKind, Section, SectionState
from bridge.core.rule import Rule
from bridge.core.sectioner import Sectioner, Stretch
from bridge.core.sections import RUNNING
from bridge.core.spans import Spans
from bridge.core.tracker import CallTracker


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants something, `by` api, phone or pause_at_most."""

    identity: Identity
    admin: bool
    by: str


class Stage(Protocol):
    """The recorder, as far as it is asked here."""

    tracker: CallTracker
    sectioner: Sectioner
    people: People
    applies: Applies
    spans: Spans

    def stretches_of(self, call: c.Call) -> list[Stretch]:
        """What may be recorded of a call now."""

    def arrange(self, call: c.Call, now: datetime) -> None:
        """Demands have changed: end and begin what that asks for, and offer what may be started now."""

    def audience(self, call: c.Call) -> tuple[Identity, ...]:
        """Whom a call concerns now: the users on it, and those who have started something."""

    def note(
        self,
        kind: FactKind,
        at: datetime,
        call: c.Call,
        data: Mapping[str, Any],
        personal: Mapping[str, str],
        *,
        audience: Collection[Identity] | None = None,
    ) -> None:
        """Keep a fact about a call, for those whom it concerns now unless others are named."""


def note_done(
    stage: Stage, kind: FactKind, call: c.Call, asker: Asker, rules: Iterable[RuleId], *, now: datetime
) -> None:
    """Note what somebody has done to these rules of a call."""
    stage.note(kind, now, call, {"by": asker.by, "rules": sorted(rules)}, {"identity": asker.identity})


def active_rules(stage: Stage, call: c.Call) -> dict[RuleId, Rule]:
    """The rules that record a call now, or would if they were not paused."""
    return {rule_id: rule for one in stage.stretches_of(call) for rule_id, rule in one.wanted.items()}


def running_sections(stage: Stage, call: c.Call) -> list[Section]:
    """The sections of a call that run, or are about to."""
    on_legs = (section for leg in call.channels for section in stage.sectioner.book.on_leg(leg))
    return [section for section in on_legs if section.state in RUNNING or section.state is SectionState.REQUESTED]


def users_on(stage: Stage, call: c.Call) -> frozenset[Identity]:
    """The users who are on a call now, whether or not they talk."""
    return frozenset(journal.identities([leg for leg in call.legs if leg.ended_at is None], stage.people))
