"""What the daemon's parts tell about this moment, for the metrics: plain numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.core.coverage import Tally
from bridge.core.histograms import Histogram
from bridge.core.ids import RuleId
from bridge.core.metering import START_BOUNDS_S, Metered
from bridge.core.records import SectionState

ASTERISK_STATES: Final = ("connecting", "unreachable", "login-refused", "rights-missing", "connected", "closed")
"""`bridge.asterisk.policy.ConnectionState`, which the API does not see."""


def _nothing_metered() -> Metered:
    return Metered(Histogram(START_BOUNDS_S), Histogram(START_BOUNDS_S), 0.0, {}, {}, 0, 0, 0.0)


def _no_times() -> Histogram:
    return Histogram((0.1, 1.0))


@dataclass(frozen=True, slots=True)
class CallbackNumbers:
    """What callbacks do: deliveries that wait, attempts since the start, facts that the slowest has before it."""

    webhooks: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    behind: int = 0
    attempts: Mapping[str, int] = field(default_factory=dict)
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class KeepingNumbers:
    """What becomes of what is kept: commits and those that failed, bytes in the intents file, housekeeping's work.

    `done_at_s` is when housekeeping was through last, Unix time; None: not since the start.
    """

    commits: Histogram = field(default_factory=_no_times)
    commit_failures: int = 0
    intents_bytes: int = 0
    deleted_sections: int = 0
    deleted_bytes: int = 0
    deleted_calls: int = 0
    failures: int = 0
    done_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class WaitingNumbers:
    """Work that nobody waits for: exports and how long the oldest has waited, seconds, and mails."""

    exports: int = 0
    oldest_export_s: float = 0.0
    mails: int = 0
    mails_given_up: int = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is so at this moment. `coverage` sums up the calls that have ended since the start.

    `rules` are those in force; `bounds` say how much may wait in which queue; `spool_low_bytes` is the watermark.
    """

    calls: int = 0
    talks: int = 0
    sections: Mapping[tuple[RuleId, SectionState], int] = field(default_factory=dict)
    rules: Sequence[RuleId] = ()
    asterisk: str = "connecting"
    asterisk_version: str = ""
    asterisk_waiting: int = 0
    inbox_waiting: int = 0
    changes_waiting: int = 0
    bounds: Mapping[str, int] = field(default_factory=dict)
    changes_lost: int = 0
    streams: int = 0
    spool_low_bytes: int | None = None
    metered: Metered = field(default_factory=_nothing_metered)
    coverage: Tally = field(default_factory=Tally)
    callbacks: CallbackNumbers = field(default_factory=CallbackNumbers)
    keeping: KeepingNumbers = field(default_factory=KeepingNumbers)
    waiting: WaitingNumbers = field(default_factory=WaitingNumbers)
    loop_lag: Histogram = field(default_factory=_no_times)
