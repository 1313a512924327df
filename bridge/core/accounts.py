"""What is kept so that every second of a finished call can be accounted for (`bridge.core.coverage`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bridge.core.ids import CallId, RuleId, TalkId
from bridge.core.records import Cdr, Section, SectionState
from bridge.core.sections import ASTERISK_RESTARTED


class Reason(StrEnum):
    """Why a second of a talk was not recorded by a rule. The words are stable: scripts see them."""

    NO_RULE = "no-rule"  # no rule had anything to do with it
    NOT_MATCHED = "not-matched"  # the rule does not match this talk, but another one of the call
    NEVER = "never"
    VARIABLE = "variable"  # the channel variable RECBRIDGE kept it from recording
    ON_DEMAND = "on-demand"  # users could have started it
    PAUSED = "paused"
    CONSULTATION = "consultation"
    FOLLOW = "follow"  # the user whom the rule follows is not in this talk
    # From here on it was to be recorded.
    STARTING = "starting"  # before Asterisk had MixMonitor running
    ENDING = "ending"  # the last moments, under a second
    UNCHECKED = "unchecked"  # its file is not looked into yet
    FAILED = "failed"
    LOST = "lost"
    ASTERISK_AWAY = "asterisk-away"
    RECBRIDGE_AWAY = "recbridge-away"
    UNKNOWN = "unknown"


FAULTS: Final = frozenset({Reason.FAILED, Reason.LOST, Reason.ASTERISK_AWAY, Reason.RECBRIDGE_AWAY, Reason.UNKNOWN})
"""What should not be: somebody has to look."""


@dataclass(frozen=True, slots=True)
class TalkAccount:
    """A talk, from when to when; `ended_at` None while it goes on."""

    talk_id: TalkId
    call_id: CallId
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """What holds for a rule during a part of a talk: to be recorded (`reason` None), or why not.

    `rule_id` None stands where no rule has to do with the talk. Without `ended_at` it lasts as long as its talk.
    Spans of a talk are numbered 1, 2, …
    """

    talk_id: TalkId
    number: int
    rule_id: RuleId | None
    reason: Reason | None
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SectionAccount:
    """What a section has to do with its talk; `duration_s` is that of its file, None where it was not opened.

    `cut` is whether it ended with Asterisk, which had not yet written all of it.
    """

    talk_id: TalkId
    rule_id: RuleId
    state: SectionState
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: float | None
    cut: bool = False


def account_of(section: Section) -> SectionAccount:
    """What counts of a section."""
    return SectionAccount(
        talk_id=section.talk_id,
        rule_id=section.rule_id,
        state=section.state,
        requested_at=section.requested_at,
        started_at=section.started_at,
        ended_at=section.ended_at,
        duration_s=section.report.duration_s if section.report is not None else None,
        cut=section.reason == ASTERISK_RESTARTED,
    )


@dataclass(frozen=True, slots=True)
class Account:
    """A finished call, and all that is kept of its talks. `number` is the CDR's, unique."""

    number: int
    cdr: Cdr
    talks: Sequence[TalkAccount]
    spans: Sequence[Span]
    sections: Sequence[SectionAccount]
