"""What is going on now, as the API and the console show it, and whether we are fit for work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bridge.core.access import Reader, Role, Scope
from bridge.core.commands import Verb
from bridge.core.coverage import Tally
from bridge.core.ids import BridgeUniqueid, CallId, ChannelName, Identity, RecordId, RuleId, Uniqueid
from bridge.core.space import Space


@dataclass(frozen=True, slots=True)
class Permitted:
    """Who may do something to a running call now, as far as the rules and the call's state go: users, and admins."""

    users: frozenset[Identity] = frozenset()
    admins: bool = False

    def lets(self, reader: Reader) -> bool:
        """Whether this reader would be obeyed; it needs the scope for it, too."""
        if Scope.CONTROL not in reader.scopes:
            return False
        return self.admins if reader.role is Role.ADMIN else reader.identity in self.users


@dataclass(frozen=True, slots=True)
class PartyNow:
    """A real leg of a running call. `talking` is False while it rings, waits or is alone.

    `talking_with` are the other legs of its talk; `dialed` is whether the PBX rang it, `held` whether its phone has put
    the others on hold, `parked` whether it waits in a holding bridge, parked or sent there. `recording` is what is done
    with what it says: `recording`, `paused` (also where nothing may begin), or '' for nothing. `may` is who may do what
    with its channel (`bridge.core.permitted`); who is not named there nobody.
    """

    uniqueid: Uniqueid
    channel: ChannelName
    identity: Identity | None
    name: str
    number: str
    outside: bool
    talking: bool
    talking_with: tuple[Uniqueid, ...] = ()
    dialed: bool = False
    began_at: datetime | None = None
    answered_at: datetime | None = None
    held: bool = False
    bridge: BridgeUniqueid | None = None
    parked: bool = False
    recording: str = ""
    may: Mapping[Verb, Permitted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleNow:
    """What one rule does in a running call.

    `state` is a section's state (`paused` also where nothing may begin), `matched` (its section is about to begin),
    `failed` (its section could not begin, or ended before its talk; none follows in this talk), `offered` (on demand,
    not started), `blocked` (a `never` rule stands over it) or `unmatched`; then `reason` names the first condition that
    failed.
    """

    rule_id: RuleId
    name: str
    state: str
    file: int | None
    identity: Identity | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class CallNow:
    """A running call. `reason` says why nothing of it is recorded, None where something is."""

    call_id: CallId
    record_id: RecordId | None
    direction: str
    started_at: datetime
    talking_since: datetime | None
    dialed: str
    queue: str
    parties: tuple[PartyNow, ...]
    rules: tuple[RuleNow, ...]
    reason: str | None
    audience: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Contact:
    """What Asterisk knows of the phone behind a channel; '' where it does not tell."""

    address: str = ""
    user_agent: str = ""


class LiveCalls(Protocol):
    """Gives the calls as they are this moment."""

    def calls_now(self) -> Sequence[CallNow]:
        """Oldest first."""


class CoverageTotals(Protocol):
    """Gives what was recorded of the calls that ended since the start, in all and by rule (`bridge.books.Books`)."""

    @property
    def totals(self) -> Tally:
        """Only ever grows: seconds talked, recorded, and missing by reason."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """One thing that keeps us from doing our work: a stable code, and words for an admin with the remedy."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SpoolLook:
    """What a look at the spool found: what hurts recordings now, what soon will, and its disk's room where known."""

    problem: NotReady | None = None
    warning: NotReady | None = None
    space: Space | None = None
