"""What may be deleted, and what keeps the rest: holds, a rule's own `keep`, and time.

A hold stands over everything. A rule's own `keep` is a duty to keep: it stands over what a person asks for. What
neither covers goes when somebody asks for it to be erased, or when it is older than the default: what was set over
HTTP, else what the configuration says. All times are aware.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from bridge.core.conditions import plain_number
from bridge.core.ids import CallId, Identity, RecordId
from bridge.core.people import matcher
from bridge.core.records import Section
from bridge.core.sections import FINAL
from bridge.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long recordings are kept where the rule does not say, and finished calls; None is for ever."""

    recordings: timedelta
    calls: timedelta | None = None


def in_force(settings: Settings, configured: Keeping) -> Keeping:
    """What was set over HTTP stands over the configuration. 0 days: until it is over.

    >>> in_force(Settings(recording_days=2), Keeping(timedelta(days=365))).recordings.days
    2
    """
    recordings = configured.recordings if settings.recording_days is None else _days(settings.recording_days)
    return Keeping(recordings, configured.calls if settings.cdr_days is None else _days(settings.cdr_days))


def _days(count: int) -> timedelta:
    return timedelta(days=min(count, timedelta.max.days))


@dataclass(frozen=True, slots=True)
class Target:
    """Which calls are meant: all that is given has to fit.

    `number` is compared as rules do it (without blanks, dashes and brackets; `*` and `?` are patterns), with every
    number of the call; `identity` with every user who took part or owns a section. A call from `since` to `until` is
    one that went on at some time between.
    """

    call_id: CallId | None = None
    record_id: RecordId | None = None
    number: str | None = None
    identity: Identity | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it means all calls."""
        return self == Target()


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: nothing that it covers is deleted, whenever it was recorded. A released one stays as a row."""

    id: str
    target: Target
    who: str
    why: str
    set_at: datetime
    released_at: datetime | None = None
    released_by: str = ""
    released_why: str = ""


@dataclass(frozen=True, slots=True)
class CallTrace:
    """What is known of a finished or running call, as holds and requests ask for it.

    `whole` says that its CDR is there; until then somebody whom nobody knows of may have been in it.
    """

    call_ids: frozenset[CallId]
    record_ids: frozenset[RecordId]
    numbers: frozenset[str]
    identities: frozenset[Identity]
    began_at: datetime
    ended_at: datetime
    whole: bool = True


def number_matches(pattern: str, numbers: Iterable[str]) -> bool:
    """Whether one of the numbers is meant.

    >>> number_matches("+49 731 12345", ["", "+4973112345"]), number_matches("*12345", ["074112345x"])
    (True, False)
    """
    is_meant = _number_matcher(pattern)
    return any(is_meant(plain_number(number)) for number in numbers if number)


@lru_cache(maxsize=64)
def _number_matcher(pattern: str) -> Callable[[str], bool]:
    return matcher([plain_number(pattern)])


def fits(target: Target, trace: CallTrace) -> bool:
    """Whether this call is meant, as far as it is known."""
    return _fits(target, trace, unknown=False)


def covers(hold: Hold, trace: CallTrace) -> bool:
    """Whether a hold that is not released covers a call; where that cannot be told yet, it does."""
    return hold.released_at is None and _fits(hold.target, trace, unknown=not trace.whole)


def _fits(target: Target, trace: CallTrace, *, unknown: bool) -> bool:
    return (
        (target.call_id is None or target.call_id in trace.call_ids)
        and (target.record_id is None or target.record_id in trace.record_ids)
        and (target.number is None or unknown or number_matches(target.number, trace.numbers))
        and (target.identity is None or unknown or target.identity in trace.identities)
        and (target.since is None or unknown or target.since <= trace.ended_at)
        and (target.until is None or target.until >= trace.began_at)
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a section's file may go. If not: the ids of the `holds` over it, or until when it is kept, or it is open.

    `kept_until` is None where nothing but a hold or its state keeps it; `open` is a section that is in no final state.
    """

    may_go: bool
    holds: tuple[str, ...] = ()
    kept_until: datetime | None = None
    open: bool = False


def judge(section: Section, holds: Iterable[Hold], trace: CallTrace | None, now: datetime, keep: timedelta) -> Verdict:
    """Whether a section's file may go now.

    `keep` counts where the rule does not say how long: what is configured for retention, nothing (0) for what somebody
    asks to be erased. `trace` may be None where there are no holds. Neither an open section nor one that is deleted
    already may go.
    """
    if section.state not in FINAL:
        return Verdict(may_go=False, open=True)
    if section.deleted_at is not None:
        return Verdict(may_go=False)
    over = tuple(hold.id for hold in holds if trace is None or covers(hold, trace))
    if over:
        return Verdict(may_go=False, holds=over)
    ended_at = section.ended_at or section.requested_at
    duty = keep if section.keep_s is None else timedelta(seconds=section.keep_s)
    if now - ended_at >= duty:
        return Verdict(may_go=True)
    return Verdict(may_go=False, kept_until=_after(ended_at, duty))


def call_may_go(
    trace: CallTrace | None, sections: Iterable[Section], holds: Iterable[Hold], now: datetime, keep: timedelta
) -> bool:
    """Whether what is known of a finished call may go now: not before its recordings, and all of one call together."""
    return (
        trace is not None
        and trace.whole
        and now - trace.ended_at >= keep
        and all(one.deleted_at is not None for one in sections)
        and not any(covers(hold, trace) for hold in holds)
    )


def _after(at: datetime, length: timedelta) -> datetime:
    try:
        return at + length
    except OverflowError:
        return datetime.max.replace(tzinfo=at.tzinfo)


@dataclass(frozen=True, slots=True)
class Totals:
    """How many sections, and how many bytes of audio."""

    count: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.count + other.count, self.size_bytes + other.size_bytes)


def totals_of(sections: Sequence[Section]) -> Totals:
    """Of some sections; what was never measured has no bytes."""
    return Totals(len(sections), sum(one.report.size_bytes for one in sections if one.report is not None))


def at_most_half(going: Totals, stored: Totals) -> bool:
    """Whether one run may delete so much of all that is stored, this included, without being told to: neither more
    than half of the sections nor more than half of the bytes.
    """
    return going.count * 2 <= stored.count and going.size_bytes * 2 <= stored.size_bytes
