"""What one `commit()` asks for, made ready: rows that want only their numbers."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from bridge.core.access import Token
from bridge.core.chain import next_hash
from bridge.core.ids import FactNumber, SectionKey
from bridge.core.records import Cdr, Fact, JournalEntry, NumberedFact, Party, Section, journal_fact
from bridge.core.store import (
    AddCdr,
    AddJournalEntry,
    AppendFact,
    Change,
    EndCall,
    EndDemand,
    EndPause,
    JoinTalks,
    Mark,
    PutAsked,
    PutCall,
    PutDemand,
    PutExport,
    PutHold,
    PutPause,
    PutRules,
    PutSection,
    PutSettings,
    PutSpan,
    PutTalk,
    PutUserFlags,
)
from bridge.storage import accounts, asked, holds, parties, rows, running, statements, wishes
from bridge.storage.export_rows import PUT_EXPORT, export_key, export_row
from bridge.storage.settings import PUT_SETTING, setting_rows
from bridge.storage.values import Row

_WISHES = (
    statements.END_DEMAND,
    statements.PUT_DEMAND,
    statements.END_PAUSE,
    statements.PUT_PAUSE,
    statements.PUT_USER_FLAGS,
    statements.PUT_HOLD,
    statements.END_CALL,
    statements.PUT_CALL,
    PUT_SETTING,
    PUT_EXPORT,
)


@dataclass(frozen=True, slots=True)
class _FactRows:
    fact: Fact
    row: Row
    personal: list[Row]
    entry: Row | None


@dataclass(frozen=True, slots=True)
class _SectionRows:
    row: Row
    key: Row
    participants: list[Row]
    peaks: Row | None


@dataclass(frozen=True, slots=True)
class _CdrRows:
    row: Row
    records: list[Row]
    participants: list[Row]
    parties: list[Row]


@dataclass(slots=True)
class Batch:
    """Changes that are kept together or not at all. `done` is settled once they are on disk or refused.

    `taken` is set when the writer has begun with it: before that it can be withdrawn by cancelling `done`. `mark` is
    the row for its mark, if it has one.
    """

    done: "asyncio.Future[None]"
    taken: bool = False
    mark: Row | None = None
    numbered: list[NumberedFact] = field(default_factory=list)
    facts: list[_FactRows] = field(default_factory=list)
    # The last one of each key: what a key held for a moment inside a commit nobody can see.
    sections: dict[SectionKey, _SectionRows] = field(default_factory=dict)
    cdrs: list[_CdrRows] = field(default_factory=list)
    # What is done last to each demand, pause and user, with the row for it: no two of them touch the same row.
    wishes: dict[tuple[object, ...], tuple[str, Row]] = field(default_factory=dict)
    # In their order: a join is about the rows before it. Of a span, as with sections, the last one.
    talks: list[tuple[str, Row]] = field(default_factory=list)
    spans: dict[tuple[str, int], Row] = field(default_factory=dict)
    # In their order: what is asked is asked of the rules before it.
    asked: list[tuple[str, Row]] = field(default_factory=list)
    tokens: list[Row] = field(default_factory=list)
    # What retention does to rows that are there already: statements of `retention_sql`, run in their order.
    rewrites: Sequence[tuple[str, Sequence[Row]]] = ()

    def add(self, change: Change, systemname: str) -> None:
        """Take one more change. Raises TypeError or ValueError for values that have no row."""
        match change:
            case AppendFact(fact):
                self._add_fact(fact, None, systemname)
            case AddJournalEntry(entry):
                self._add_fact(journal_fact(entry), entry, systemname)
            case PutSection(section):
                self._put_section(section, systemname)
            case AddCdr(cdr, those):
                self._add_cdr(cdr, those, systemname)
            case PutDemand(demand):
                key = wishes.demand_key(demand.record_id, demand.rule_id)
                self._wish(statements.PUT_DEMAND, "demand", key, wishes.demand_row(demand, systemname))
            case EndDemand(record_id, rule_id):
                key = wishes.demand_key(record_id, rule_id)
                self._wish(statements.END_DEMAND, "demand", key, key)
            case PutPause(pause):
                key = wishes.pause_key(pause.record_id, pause.by)
                self._wish(statements.PUT_PAUSE, "pause", key, wishes.pause_row(pause, systemname))
            case EndPause(record_id, by):
                key = wishes.pause_key(record_id, by)
                self._wish(statements.END_PAUSE, "pause", key, key)
            case PutUserFlags(identity, flags):
                row = wishes.flags_row(identity, flags, systemname)
                self._wish(statements.PUT_USER_FLAGS, "flags", {"identity": row["identity"]}, row)
            case PutHold(hold):
                row = holds.hold_row(hold, systemname)
                self._wish(statements.PUT_HOLD, "hold", {"id": row["id"]}, row)
            case PutSettings(settings):
                for row in setting_rows(settings, systemname):
                    self._wish(PUT_SETTING, "setting", {"name": row["name"]}, row)
            case PutExport(export):
                row = export_row(export, systemname)
                self._wish(PUT_EXPORT, "export", export_key(export.id), row)
            case PutCall(call):
                row = running.call_row(call, systemname)
                self._wish(statements.PUT_CALL, "call", running.call_key(call.call_id), row)
            case EndCall(call_id):
                key = running.call_key(call_id)
                self._wish(statements.END_CALL, "call", key, key)
            case PutTalk(talk):
                self.talks.append((accounts.PUT_TALK, accounts.talk_row(talk, systemname)))
            case JoinTalks():
                self.talks.append((accounts.JOIN_TALKS, accounts.join_row(change)))
            case PutRules(kept):
                self.asked.append((asked.PUT_RULES, asked.rules_row(kept, systemname)))
            case PutAsked(one):
                self.asked.append((asked.PUT_ASKED, asked.asked_row(one, systemname)))
            case PutSpan(span):
                self.spans[span.talk_id, span.number] = accounts.span_row(span, systemname)

    def add_token(self, token: Token, systemname: str) -> None:
        """Take a new token."""
        self.tokens.append(rows.token_row(token, systemname))

    def _add_fact(self, fact: Fact, entry: JournalEntry | None, systemname: str) -> None:
        entry_row = None if entry is None else rows.entry_row(entry, systemname)
        self.facts.append(
            _FactRows(fact, rows.fact_row(fact, systemname), rows.personal_rows(fact, systemname), entry_row)
        )

    def _put_section(self, section: Section, systemname: str) -> None:
        key = rows.key_row(section.key)
        row = rows.section_row(section, systemname)
        report = section.report
        peaks = None if report is None else {**key, "systemname": row["systemname"], "peaks": report.peaks}
        participants = [{**key, **one} for one in rows.list_rows(section.participants, systemname)]
        self.sections[section.key] = _SectionRows(row, key, participants, peaks)

    def _add_cdr(self, cdr: Cdr, those: Sequence[Party], systemname: str) -> None:
        self.cdrs.append(
            _CdrRows(
                rows.cdr_row(cdr, systemname),
                rows.list_rows(cdr.record_ids, systemname),
                rows.list_rows(cdr.participants, systemname),
                [parties.party_row(one, position, systemname) for position, one in enumerate(those)],
            )
        )

    def _wish(self, sql: str, what: str, key: Row, row: Row) -> None:
        self.wishes[what, *key.values()] = (sql, row)

    def is_new(self, last: tuple[Mark, int]) -> bool:
        """Whether it comes after the last mark that was taken, given with its last fact.

        What was taken already, only that nobody could be told, is told now: its facts have their numbers.
        """
        if self.mark is None:
            return True
        mark = Mark(self.mark["run"], self.mark["number"])
        if mark > last[0]:
            return True
        first = last[1] - len(self.facts) + 1
        told = enumerate(self.facts, first) if mark == last[0] else ()
        self.numbered = [NumberedFact(FactNumber(number), one.fact) for number, one in told]
        return False


def plan(batches: Sequence[Batch], last_fact: int, last_hash: bytes, last_cdr: int) -> Iterator[tuple[str, list[Row]]]:
    """The statements, each with its rows, that keep these batches.

    Gives every fact and CDR its number, and every fact its hash.
    """
    facts: list[Row] = []
    personal: list[Row] = []
    entries: list[Row] = []
    marks: list[Row] = []
    for batch in batches:
        batch.numbered = []
        for one in batch.facts:
            last_fact += 1
            batch.numbered.append(NumberedFact(FactNumber(last_fact), one.fact))
            row = {**one.row, "number": last_fact}
            last_hash = next_hash(last_hash, rows.chained(row), map(rows.digest_of, one.personal))
            facts.append({**row, "hash": last_hash})
            personal += [{**value, "fact": last_fact} for value in one.personal]
            if one.entry is not None:
                entries.append({**one.entry, "id": last_fact})
        if batch.mark is not None:
            marks.append({**batch.mark, "fact": last_fact})
    yield statements.ADD_FACT, facts
    yield statements.ADD_PERSONAL, personal
    yield statements.ADD_ENTRY, entries

    sections: dict[SectionKey, _SectionRows] = {}
    for batch in batches:
        sections |= batch.sections
    yield statements.PUT_SECTION, [one.row for one in sections.values()]
    yield statements.FORGET_PARTICIPANTS, [one.key for one in sections.values()]
    yield statements.ADD_PARTICIPANT, [row for one in sections.values() for row in one.participants]
    yield statements.FORGET_PEAKS, [one.key for one in sections.values()]
    yield statements.ADD_PEAKS, [one.peaks for one in sections.values() if one.peaks is not None]

    numbered_cdrs = list(enumerate((one for batch in batches for one in batch.cdrs), start=last_cdr + 1))
    yield statements.ADD_CDR, [{**one.row, "id": number} for number, one in numbered_cdrs]
    records = [{**row, "cdr": number} for number, one in numbered_cdrs for row in one.records]
    yield statements.ADD_CDR_RECORD, records
    yield statements.LINK_SECTIONS, records
    yield (
        statements.ADD_CDR_PARTICIPANT,
        [{**row, "cdr": number} for number, one in numbered_cdrs for row in one.participants],
    )
    yield parties.ADD_PARTY, [{**row, "cdr": number} for number, one in numbered_cdrs for row in one.parties]
    yield statements.TALLY_CDR, [{"id": number} for number, _ in numbered_cdrs]

    done: dict[tuple[object, ...], tuple[str, Row]] = {}
    for batch in batches:
        done |= batch.wishes
    for sql in _WISHES:
        yield sql, [row for wanted, row in done.values() if wanted is sql]

    for sql, some in groupby((one for batch in batches for one in batch.talks), key=itemgetter(0)):
        yield sql, [row for _, row in some]
    spans: dict[tuple[str, int], Row] = {}
    for batch in batches:
        spans |= batch.spans
    yield accounts.PUT_SPAN, list(spans.values())
    for sql, some in groupby((one for batch in batches for one in batch.asked), key=itemgetter(0)):
        yield sql, [row for _, row in some]

    yield statements.ADD_ACCESS, [row for batch in batches for row in batch.tokens]

    for batch in batches:
        for rewrite, values in batch.rewrites:
            yield rewrite, list(values)
    yield statements.PUT_TAKEN, marks[-1:]
