"""Finished calls in all detail, and the tags and notes that people put on them."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.core.accounts import Account
from bridge.core.call_details import MOST_NOTES, MOST_TAGS, CallDetails, CallNote, CallTag, NoteId, TooManyOnCallError
from bridge.core.cdrs import CdrNumber, KeptCdr
from bridge.core.coverage import Stretch, away_times, stretches
from bridge.core.ids import CallId, Identity
from bridge.core.records import Fact, FactKind, Section
from bridge.core.retention import covers
from bridge.core.store import AppendFact
from bridge.core.timeline import KINDS, Kept
from bridge.storage import parties, rows
from bridge.storage.coverage import KeptCoverage
from bridge.storage.database import SqliteStore
from bridge.storage.retention import new_id
from bridge.storage.statements import SECTIONS
from bridge.storage.traces import rows_of
from bridge.storage.values import Row, json_in, texts_in, time_in, time_out

_LISTENED = frozenset({FactKind.RECORDING_PLAYED, FactKind.RECORDING_DOWNLOADED})
_LATER = timedelta(minutes=1)
"""Facts of a call may be stamped after its end by so much."""

_SECTIONS = SECTIONS + "WHERE sections.cdr = ? ORDER BY coalesce(started_at, requested_at), record_id, rule_id, file"
_JOINED = "SELECT data ->> 'joined' AS joined FROM facts WHERE call_id = CAST(? AS TEXT) AND kind = 'call.joined'"
# The index facts_call; a linkedid may live again, so that the times count too.
_FACTS = """
SELECT number, kind, at, call_id, record_id, rule_id, file, data, audience,
       (SELECT json_group_object(name, value) FILTER (WHERE value IS NOT NULL)
        FROM fact_personal WHERE fact = number) AS personal
FROM facts WHERE call_id = CAST(?1 AS TEXT) AND kind IN (SELECT value FROM json_each(?2)) AND at >= ?3 AND at <= ?4
ORDER BY number
"""
# What was in exports that were fetched, by the facts that say who has done it.
_EXPORTED = """
SELECT facts.number, facts.kind, facts.at, facts.call_id, handed_out.record_id, handed_out.rule_id, handed_out.file,
       facts.data, facts.audience,
       (SELECT json_group_object(name, value) FILTER (WHERE value IS NOT NULL)
        FROM fact_personal WHERE fact = facts.number) AS personal
FROM sections CROSS JOIN handed_out USING (record_id, rule_id, file)
CROSS JOIN facts ON facts.kind = 'export.downloaded' AND facts.data ->> 'export' = handed_out.export
WHERE sections.cdr = ? ORDER BY facts.number
"""
_TAGS = "SELECT tag, source, by, at FROM cdr_tags WHERE cdr = ? ORDER BY tag, source"
_NOTES = "SELECT id, text, by, at FROM cdr_notes WHERE cdr = ? ORDER BY at, id"
_ADD_TAG = """
INSERT INTO cdr_tags (cdr, tag, source, systemname, started_at, by, at)
SELECT id, CAST(:tag AS TEXT), 'user', CAST(:systemname AS TEXT), started_at, CAST(:by AS TEXT), :at
FROM cdrs WHERE id = :cdr ON CONFLICT DO NOTHING
"""
_END_TAG = "DELETE FROM cdr_tags WHERE cdr = :cdr AND tag = CAST(:tag AS TEXT) AND source = 'user'"
_ADD_NOTE = """
INSERT INTO cdr_notes (id, cdr, systemname, by, at, text)
SELECT :id, id, CAST(:systemname AS TEXT), CAST(:by AS TEXT), :at, CAST(:text AS TEXT) FROM cdrs WHERE id = :cdr
"""
_END_NOTE = "DELETE FROM cdr_notes WHERE cdr = :cdr AND id = CAST(:id AS TEXT)"


class SqliteCallBook:
    """A `bridge.core.call_details.CallBook`; `systemname` stamps the rows. It is the only one that writes them."""

    def __init__(self, store: SqliteStore, systemname: str, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._coverage = KeptCoverage(store)
        self._systemname = systemname
        self._clock = clock
        self._lock = asyncio.Lock()

    async def details(self, call: KeptCdr) -> CallDetails:
        """All that is kept of a call."""
        cdr, number = call.cdr, call.number
        sections = [rows.section_of(row) for row in await self._store.select(_SECTIONS, number)]
        those = [parties.party_of(row) for row in await self._store.select(parties.PARTIES, number)]
        facts = await self._facts(call)
        account = next(iter(await self._coverage.accounts([number])), None)
        keys = {section.key for section in sections}
        listened = [
            fact for fact in facts if fact.kind in _LISTENED and (fact.record_id, fact.rule_id, fact.file) in keys
        ]
        listened += await self._exported(number, sections)
        holds = [one for one in await self._store.holds() if one.released_at is None]
        trace = (await rows_of(self._store, cdr.call_id)).trace() if holds else None
        return CallDetails(
            call=call,
            kept=Kept(
                cdr=cdr,
                sections=sections,
                parties=those,
                talks=[] if account is None else account.talks,
                stretches=[] if account is None else await self._stretches(account),
                facts=[fact for fact in facts if fact.kind in KINDS],
            ),
            tags=await self.tags(number),
            notes=await self.notes(number),
            listened=listened,
            holds=[one for one in holds if trace is not None and covers(one, trace)],
        )

    async def _exported(self, number: CdrNumber, sections: Sequence[Section]) -> list[Fact]:
        """For each recording that was in an export which somebody fetched the fact of that; it concerns those in it."""
        in_it = {tuple(one.key): one.audience for one in sections}
        facts = [rows.fact_of(row).fact for row in await self._store.select(_EXPORTED, number)]
        keys = [(fact.record_id, fact.rule_id, fact.file) for fact in facts]
        return [replace(fact, audience=in_it[key]) for fact, key in zip(facts, keys, strict=True) if key in in_it]

    async def tags(self, number: CdrNumber) -> Sequence[CallTag]:
        """Those of a call, in order."""
        return [_tag_of(row) for row in await self._store.select(_TAGS, number)]

    async def notes(self, number: CdrNumber) -> Sequence[CallNote]:
        """Those of a call, oldest first."""
        return [_note_of(row) for row in await self._store.select(_NOTES, number)]

    async def tag(self, call: KeptCdr, tag: str, by: Identity) -> bool:
        """Put a tag on a call; False where it has it already from a person. Raises TooManyOnCallError."""
        async with self._lock:
            there = [row["tag"] for row in await self._store.select(_TAGS, call.number) if row["source"] == "user"]
            if tag in there:
                return False
            if len(there) >= MOST_TAGS:
                raise TooManyOnCallError(f"a call has {MOST_TAGS} tags at most", MOST_TAGS)
            now = self._clock()
            row = {"cdr": call.number, "tag": tag, "systemname": self._systemname, "by": by, "at": time_in(now)}
            fact = _fact(FactKind.CALL_TAGGED, call, by, now, {}, {"tag": tag})
            await self._commit(fact, _ADD_TAG, row)
            return True

    async def untag(self, call: KeptCdr, tag: str, by: Identity) -> bool:
        """Take away what a person has put on it; False where there is none."""
        async with self._lock:
            there = [row["tag"] for row in await self._store.select(_TAGS, call.number) if row["source"] == "user"]
            if tag not in there:
                return False
            fact = _fact(FactKind.CALL_UNTAGGED, call, by, self._clock(), {}, {"tag": tag})
            await self._commit(fact, _END_TAG, {"cdr": call.number, "tag": tag})
            return True

    async def note(self, call: KeptCdr, text: str, by: Identity) -> CallNote:
        """Add a note. Raises TooManyOnCallError."""
        async with self._lock:
            if len(await self.notes(call.number)) >= MOST_NOTES:
                raise TooManyOnCallError(f"a call has {MOST_NOTES} notes at most", MOST_NOTES)
            note = CallNote(NoteId(new_id()), text, by, self._clock())
            row = {
                "id": note.id,
                "cdr": call.number,
                "systemname": self._systemname,
                "by": by,
                "at": time_in(note.at),
                "text": text,
            }
            await self._commit(_fact(FactKind.CALL_NOTED, call, by, note.at, {"note": note.id}, {}), _ADD_NOTE, row)
            return note

    async def remove_note(self, call: KeptCdr, note_id: NoteId, by: Identity) -> bool:
        """Remove a note for good; False where there is none."""
        async with self._lock:
            if all(one.id != note_id for one in await self.notes(call.number)):
                return False
            fact = _fact(FactKind.CALL_NOTE_REMOVED, call, by, self._clock(), {"note": note_id}, {})
            await self._commit(fact, _END_NOTE, {"cdr": call.number, "id": note_id})
            return True

    async def _commit(self, fact: Fact, statement: str, row: Row) -> None:
        await self._store.commit([AppendFact(fact)], rewrites=[(statement, [texts_in(row)])])

    async def _facts(self, call: KeptCdr) -> list[Fact]:
        """Those of the call and of all that became part of it, in the order of their numbers."""
        names: list[CallId] = [call.cdr.call_id]
        for name in names:  # it grows meanwhile
            found = [CallId(row["joined"]) for row in await self._store.select(_JOINED, name)]
            names += [one for one in found if one not in names]
        since, until = time_in(call.cdr.started_at), time_in(call.cdr.ended_at + _LATER)
        last = time_in(datetime.max.replace(tzinfo=call.cdr.ended_at.tzinfo))
        found_facts = {}
        for kinds, to in ((KINDS, until), (_LISTENED, last)):
            wanted = json_in(sorted(kinds))
            for name in names:
                for row in await self._store.select(_FACTS, name, wanted, since, to):
                    found_facts[row["number"]] = rows.fact_of(row).fact
        return [found_facts[number] for number in sorted(found_facts)]

    async def _stretches(self, account: Account) -> Sequence[Stretch]:
        began = min((talk.began_at for talk in account.talks), default=account.cdr.started_at)
        facts = await self._store.away_facts(began, account.cdr.ended_at + timedelta(microseconds=1))
        return stretches(account, away_times(facts))


def _tag_of(row: sqlite3.Row) -> CallTag:
    if row["source"] == "rule":
        return CallTag(row["tag"])
    return CallTag(row["tag"], Identity(row["by"] or ""), None if row["at"] is None else time_out(row["at"]))


def _note_of(row: sqlite3.Row) -> CallNote:
    return CallNote(NoteId(row["id"]), row["text"], Identity(row["by"]), time_out(row["at"]))


def _fact(  # noqa: PLR0917  # what all four have
    kind: FactKind, call: KeptCdr, by: Identity, at: datetime, data: Row, personal: dict[str, str]
) -> Fact:
    cdr = call.cdr
    return Fact(
        kind=kind,
        at=at,
        call_id=cdr.call_id,
        data={"cdr": call.number, **data},
        personal={"identity": by, **personal},
        audience=cdr.participants,
    )
