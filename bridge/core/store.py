"""What core asks of whoever keeps things. SQLite is the embedded one (`bridge.storage`)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol, get_args
from zoneinfo import ZoneInfo

from bridge.core.access import Token
from bridge.core.accounts import Account, Span, TalkAccount
from bridge.core.asked import Asked, AskedCall, AskedTalk, KeptRules, Matches
from bridge.core.cdr_lists import CdrDays, CdrFacets, CdrPart, CdrSearch, CdrWalk
from bridge.core.cdrs import CdrNumber, CdrNumbers, CdrPage, CdrQuery, KeptCdr
from bridge.core.exports import ALL_STATUSES, Export, ExportId, ExportStatus
from bridge.core.ids import CallId, FactNumber, Identity, RecordId, RuleId, SectionKey
from bridge.core.kept import KeptCall
from bridge.core.people import UserFlags
from bridge.core.records import Cdr, Demand, Fact, JournalEntry, NumberedEntry, NumberedFact, Party, Pause, Section
from bridge.core.retention import Hold
from bridge.core.settings import Settings


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
    """Add a finished call, with those who were in it."""

    cdr: Cdr
    parties: tuple[Party, ...] = ()


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
class PutCall:
    """Keep a running call as it is now."""

    call: KeptCall


@dataclass(frozen=True, slots=True)
class EndCall:
    """A call does not run any more: forget it, if it was kept."""

    call_id: CallId


@dataclass(frozen=True, slots=True)
class PutUserFlags:
    """Keep what a user wants recorded; it stands over users.yml."""

    identity: Identity
    flags: UserFlags


@dataclass(frozen=True, slots=True)
class PutHold:
    """Keep a legal hold: a new row, or the row of its id with these values."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class PutTalk:
    """Keep a talk as it is accounted for: a new row, or the row of its id with these values."""

    talk: TalkAccount


@dataclass(frozen=True, slots=True)
class PutSpan:
    """Keep what holds for a rule in a part of a talk: a new row, or the row of its talk and number with these."""

    span: Span


@dataclass(frozen=True, slots=True)
class PutRules:
    """Keep the rules that are in force from now on, unless they are those that were in force before."""

    rules: KeptRules


@dataclass(frozen=True, slots=True)
class PutAsked:
    """Keep what the rules kept last were asked of a talk: a new row, or the row of its talk and time with this."""

    asked: Asked


@dataclass(frozen=True, slots=True)
class PutSettings:
    """Keep what an admin has set."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class PutExport:
    """Keep an export: a new row, or the row of its id with these values."""

    export: Export


@dataclass(frozen=True, slots=True)
class JoinTalks:
    """All talks of the call `gone` are `call`'s."""

    call_id: CallId
    gone: CallId


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
    | PutCall
    | EndCall
    | PutTalk
    | PutSpan
    | JoinTalks
    | PutRules
    | PutAsked
    | PutSettings
    | PutExport
)
"""One thing to keep. A batch of them is one commit: all or none."""

CHANGES: Final = get_args(Change)
"""Its types, for isinstance."""


class Mark(NamedTuple):
    """How far a daemon's changes have come: it counts them from 1 on, anew in each run; later runs have higher numbers.

    (0, 0) stands before all.
    """

    run: int
    number: int


@dataclass(frozen=True, slots=True)
class Intent:
    """Changes that are meant to be kept together, numbered one by one: `last` is the last one's mark."""

    last: Mark
    changes: tuple[Change, ...]

    def after(self, taken: Mark) -> "Intent":
        """What of it comes after `taken`."""
        if taken.run != self.last.run:
            return self if taken < self.last else Intent(self.last, ())
        count = max(0, self.last.number - taken.number)
        return Intent(self.last, self.changes[-count:] if count else ())


class Intents(Protocol):
    """The append-only file for what the database cannot take now. Every call blocks, and raises OSError."""

    def append(self, intents: Sequence[Intent]) -> None:
        """Add them, in the order of their marks; on return they are on disk."""

    def read(self, offset: int, most: int) -> tuple[Sequence[Intent], int]:
        """From an offset on (0: the beginning) intents in their order, until they have `most` changes or more.

        Gives where to go on too; no intents: the end. What cannot be read is left out, and the log says so.
        """

    def clear(self) -> None:
        """Empty it; on return that is on disk. What could not be read is moved aside."""


class Store(Protocol):
    """Keeps facts, sections, the journal and tokens of one PBX. Raises StoreError."""

    async def commit(self, changes: Sequence[Change], mark: Mark | None = None) -> Sequence[NumberedFact]:
        """Keep all changes in their order, or none; on return they are on disk. Gives the new facts, numbered.

        With `mark`, the last change's, the store keeps that with them, and takes no changes whose mark is not higher
        than the last one that it took: what became of a commit is not always known, and it is then given again. Of the
        very last ones the facts are told again.
        """

    async def taken(self) -> Mark:
        """The mark of the last changes that came with one."""

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

    async def running_calls(self) -> Sequence[KeptCall]:
        """The calls that ran when they were last seen, oldest first."""

    async def open_talks(self) -> Sequence[TalkAccount]:
        """Talks without an end, oldest first."""

    async def open_spans(self) -> Sequence[Span]:
        """All spans of the talks without an end, by talk and number."""

    async def accounts(
        self, since: datetime, until: datetime, limit: int, after: Account | None = None
    ) -> Sequence[Account]:
        """Up to `limit` calls that ended from `since` to before `until` (aware), in the order of their ends.

        `after` is the last one of the page before. Talks are those that ended, by their beginnings; spans and sections
        go by talk, number and request.
        """

    async def asked_calls(
        self, since: datetime, until: datetime, limit: int, after: AskedCall | None = None
    ) -> Sequence[AskedCall]:
        """Up to `limit` calls that ended from `since` to before `until` (aware), in the order of their ends.

        `after` is the last one of the page before. Talks are those that ended.
        """

    async def asked_call(self, number: CdrNumber) -> AskedCall | None:
        """One finished call, with its talks."""

    async def asked_running(self, call_id: CallId) -> Sequence[AskedTalk]:
        """The talks of a call that runs, by their beginnings; those of a call that had its name before are left out."""

    async def cdrs_named(self, name: str) -> Sequence[CdrNumber]:
        """The finished calls that are called this, or wrote into the record that is; in order."""

    async def kept_rules(self, number: int) -> KeptRules | None:
        """The rules with this number."""

    async def rules_in_force(self) -> KeptRules | None:
        """The rules that were kept last."""

    async def rule_matches(self, since: datetime) -> Mapping[RuleId, Matches]:
        """How often each rule had to do with a call in talks that began since then (aware)."""

    async def away_facts(self, since: datetime, until: datetime) -> Sequence[NumberedFact]:
        """When Asterisk or recbridge came and went, from the last such fact up to `since` on to `until`, in order."""

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

    async def end_token(self, token_id: str) -> bool:
        """Forget a token, and those made with it; on return they open nothing any more. False where there was none."""

    async def settings(self) -> Settings:
        """What an admin has set."""

    async def identities(self) -> Sequence[Identity]:
        """Everybody who took part in a finished call, in order."""

    async def cdr(self, number: CdrNumber) -> KeptCdr | None:
        """One finished call."""

    async def cdrs(self, query: CdrQuery) -> CdrPage:
        """A page of finished calls. `total` counts what is visible, blocked calls too, `filtered` what is found."""

    async def cdr_numbers(self, query: CdrQuery) -> CdrNumbers:
        """The numbers of what `cdrs` would give, all as of one moment."""

    async def cdr_part(self, walk: CdrWalk) -> CdrPart:
        """A part of a list of finished calls, and how many there are."""

    async def cdr_facets(self, search: CdrSearch) -> CdrFacets:
        """How many finished calls there are of which kind."""

    async def cdr_days(self, search: CdrSearch, zone: ZoneInfo) -> CdrDays:
        """How many finished calls began on which day in that zone."""

    async def exports(
        self, statuses: Collection[ExportStatus] = ALL_STATUSES, asked_until: datetime | None = None
    ) -> Sequence[Export]:
        """Those of these statuses, oldest first; with `asked_until` (aware) none that was asked for later."""

    async def export(self, export_id: ExportId) -> Export | None:
        """One export."""
