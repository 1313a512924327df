"""Stand-ins that keep the real ones' promises."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from bridge.core.access import Token
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber, Identity, RecordId, RuleId, SectionKey
from bridge.core.people import UserFlags
from bridge.core.records import Cdr, Demand, Fact, NumberedEntry, NumberedFact, Pause, Section, journal_fact
from bridge.core.retention import Hold
from bridge.core.sections import FINAL
from bridge.core.store import (
    AddCdr,
    AddJournalEntry,
    AppendFact,
    Change,
    EndDemand,
    EndPause,
    PutDemand,
    PutHold,
    PutPause,
    PutSection,
    PutUserFlags,
)


def _bytes(text: str) -> bytes:
    """What SQLite compares: a text's bytes, not its characters."""
    return text.encode("utf-8", "surrogateescape")


class MemoryStore:
    """A store that forgets when the process ends. While `broken` is set every call raises it."""

    def __init__(self) -> None:
        self.broken: StoreError | None = None
        self._facts: list[NumberedFact] = []
        self._last = 0
        self._sections: dict[SectionKey, Section] = {}
        self._journal: list[NumberedEntry] = []
        self._cdrs: list[Cdr] = []
        self._demands: dict[tuple[RecordId, RuleId], Demand] = {}
        self._pauses: dict[tuple[RecordId, Identity], Pause] = {}
        self._flags: dict[Identity, UserFlags] = {}
        self._holds: dict[str, Hold] = {}
        self._tokens: dict[str, Token] = {}

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken

    def _append(self, fact: Fact) -> NumberedFact:
        self._last += 1
        numbered = NumberedFact(FactNumber(self._last), fact)
        self._facts.append(numbered)
        return numbered

    async def commit(self, changes: Sequence[Change]) -> Sequence[NumberedFact]:
        self._check()
        facts = []
        for change in changes:
            match change:
                case AppendFact(fact):
                    facts.append(self._append(fact))
                case AddJournalEntry(entry):
                    facts.append(self._append(journal_fact(entry)))
                    self._journal.append(NumberedEntry(facts[-1].number, entry))
                case PutSection(section):
                    self._sections[section.key] = section
                case AddCdr(cdr):
                    self._cdrs.append(cdr)
                case PutDemand(demand):
                    self._demands[demand.record_id, demand.rule_id] = demand
                case EndDemand(record_id, rule_id):
                    self._demands.pop((record_id, rule_id), None)
                case PutPause(pause):
                    self._pauses[pause.record_id, pause.by] = pause
                case EndPause(record_id, by):
                    self._pauses.pop((record_id, by), None)
                case PutUserFlags(identity, flags):
                    self._flags[identity] = flags
                case PutHold(hold):
                    self._holds[hold.id] = hold
        return facts

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        self._check()
        return [fact for fact in self._facts if fact.number > number][: max(limit, 0)]

    async def fact_bounds(self) -> tuple[FactNumber, FactNumber]:
        self._check()
        if not self._facts:
            return FactNumber(1), FactNumber(0)
        return self._facts[0].number, self._facts[-1].number

    async def section(self, key: SectionKey) -> Section | None:
        self._check()
        return self._sections.get(key)

    async def sections_of(self, record_id: RecordId) -> Sequence[Section]:
        self._check()
        return [section for key, section in sorted(self._sections.items()) if key.record_id == record_id]

    async def open_sections(self) -> Sequence[Section]:
        self._check()
        return [section for section in self._sections.values() if section.state not in FINAL]

    async def demands(self) -> Sequence[Demand]:
        self._check()
        return sorted(self._demands.values(), key=lambda one: (one.since, _bytes(one.record_id), one.rule_id))

    async def pauses(self) -> Sequence[Pause]:
        self._check()
        return sorted(self._pauses.values(), key=lambda one: (one.since, _bytes(one.record_id), _bytes(one.by)))

    async def holds(self) -> Sequence[Hold]:
        self._check()
        return sorted(self._holds.values(), key=lambda one: (one.set_at, _bytes(one.id)))

    async def user_flags(self) -> Mapping[Identity, UserFlags]:
        self._check()
        return dict(self._flags)

    async def file_numbers(self, since: datetime) -> Mapping[tuple[RecordId, RuleId], int]:
        self._check()
        highest: dict[tuple[RecordId, RuleId], int] = {}
        for section in self._sections.values():
            if section.requested_at >= since:
                key = (section.record_id, section.rule_id)
                highest[key] = max(highest.get(key, 0), section.file)
        return highest

    async def journal(self, identity: Identity | None, limit: int) -> Sequence[NumberedEntry]:
        self._check()
        found = [one for one in reversed(self._journal) if identity is None or one.entry.identity == identity]
        return found[: max(limit, 0)]

    async def journal_of_record(self, record_id: RecordId) -> Sequence[NumberedEntry]:
        self._check()
        calls = {cdr.call_id for cdr in self._cdrs if record_id in cdr.record_ids}
        return [one for one in self._journal if one.entry.record_id == record_id or one.entry.call_id in calls]

    async def add_token(self, token: Token) -> None:
        self._check()
        if token.id in self._tokens:
            raise StoreError(f"there is a token {token.id} already")
        self._tokens[token.id] = token

    async def token(self, token_id: str) -> Token | None:
        self._check()
        return self._tokens.get(token_id)

    def forget_facts(self, up_to: int) -> None:
        """As retention does."""
        self._facts = [fact for fact in self._facts if fact.number > up_to]
