"""What core asks of whoever keeps things. SQLite is the embedded one (`bridge.storage`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, get_args

from bridge.core.access import Token
from bridge.core.ids import FactNumber, Identity, RecordId, RuleId, SectionKey
from bridge.core.people import UserFlags
from bridge.core.records import Cdr, Demand, Fact, JournalEntry, NumberedEntry, NumberedFact, Pause, Section
from bridge.core.retention import Hold


@dataclass(frozen=True, slots=True)
class AppendFact:
    """Add a fact; it gets the next number."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class PutSection:
    """Keep a section as it is now: a new row, or the row of its key with these values."""

    section: Section


@dataclass(frozen=True, slots=True)
class AddJournalEntry:
    """Add a journal entry and the fact that announces it; the fact's number is the entry's id."""

    entry: JournalEntry


@dataclass(frozen=True, slots=True)
class AddCdr:
    """Add a finished call."""

    cdr: Cdr


@dataclass(frozen=True, slots=True)
class PutDemand:
    """Keep a demand: a new row, or the row of its record and rule with these values."""

    demand: Demand


@dataclass(frozen=True, slots=True)
class EndDemand:
    """Forget a demand, if there is one."""

    record_id: RecordId
    rule_id: RuleId


@dataclass(frozen=True, slots=True)
class PutPause:
    """Keep a pause: a new row, or the row of its record and user with these values."""

    pause: Pause


@dataclass(frozen=True, slots=True)
class EndPause:
    """Forget a user's pause of a record, if there is one."""

    record_id: RecordId
    by: Identity


@dataclass(frozen=True, slots=True)
class PutUserFlags:
    """Keep what a user wants recorded; it stands over users.yml."""

    identity: Identity
    flags: UserFlags


@dataclass(frozen=True, slots=True)
class PutHold:
    """Keep a legal hold: a new row, or the row of its id with these values."""

    hold: Hold


Change = (
    AppendFact
    | PutSection
    | AddJournalEntry
    | AddCdr
    | PutDemand
    | EndDemand
    | PutPause
    | EndPause
    | PutUserFlags
    | PutHold
)
"""One thing to keep. A batch of them is one commit: all or none."""

CHANGES: Final = get_args(Change)
"""Its types, for isinstance."""


class Store(Protocol):
    """Keeps facts, sections, the journal and tokens of one PBX. Raises StoreError."""

    async def commit(self, changes: Sequence[Change]) -> Sequence[NumberedFact]:
        """Keep all changes in their order, or none; on return they are on disk. Gives the new facts, numbered."""

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        """Up to `limit` facts with a higher number, in order."""

    async def fact_bounds(self) -> tuple[FactNumber, FactNumber]:
        """The lowest and the highest number kept; (1, 0) where there is none."""

    async def section(self, key: SectionKey) -> Section | None:
        """One section."""

    async def sections_of(self, record_id: RecordId) -> Sequence[Section]:
        """A record's sections, by rule and file."""

    async def open_sections(self) -> Sequence[Section]:
        """Sections that are in no final state (stored, failed, lost)."""

    async def demands(self) -> Sequence[Demand]:
        """All that are kept, oldest first."""

    async def pauses(self) -> Sequence[Pause]:
        """All that are kept, oldest first."""

    async def holds(self) -> Sequence[Hold]:
        """All legal holds that were ever set, oldest first."""

    async def user_flags(self) -> Mapping[Identity, UserFlags]:
        """What users have changed of their flags."""

    async def file_numbers(self, since: datetime) -> Mapping[tuple[RecordId, RuleId], int]:
        """The highest section number of each record and rule that was requested since then (aware)."""

    async def journal(self, identity: Identity | None, limit: int) -> Sequence[NumberedEntry]:
        """The newest entries first, of one user or of all."""

    async def journal_of_record(self, record_id: RecordId) -> Sequence[NumberedEntry]:
        """The entries of the calls that wrote into this record, oldest first."""

    async def add_token(self, token: Token) -> None:
        """Keep a new token."""

    async def token(self, token_id: str) -> Token | None:
        """The token with this public part, expired or not."""
