"""Everything that is kept of one call, so that holds and requests can be asked of it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.core.ids import CallId, FactNumber, Identity, RecordId
from bridge.core.records import CallStatus, Cdr, NumberedEntry, Section
from bridge.core.retention import CallTrace
from bridge.storage import call_people, rows
from bridge.storage import retention_sql as sql
from bridge.storage.database import SqliteStore
from bridge.storage.values import time_out


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The rows of one call; `cdrs` and the facts' `personal` values by their numbers.

    `began_at` is when its first fact says that it began, if there is one. `runs`: it goes on. `numbers`: of all that
    were in it.
    """

    call_ids: frozenset[CallId]
    cdrs: dict[int, Cdr]
    entries: Sequence[NumberedEntry]
    personal: dict[FactNumber, dict[str, str]]
    sections: Sequence[Section]
    began_at: datetime | None
    runs: bool
    numbers: frozenset[str] = frozenset()

    def trace(self) -> CallTrace | None:
        """For holds and requests; None where neither a CDR nor a section is left to be kept."""
        times = [(cdr.started_at, cdr.ended_at) for cdr in self.cdrs.values()]
        times += [(one.requested_at, one.ended_at or one.requested_at) for one in self.sections]
        times += [(one.entry.started_at, one.entry.started_at) for one in self.entries]
        if not times:
            return None
        if self.began_at is not None:
            times.append((self.began_at, self.began_at))
        numbers = {number for cdr in self.cdrs.values() for number in (cdr.source_number, cdr.destination_number)}
        numbers |= {cdr.dialed for cdr in self.cdrs.values()} | self.numbers
        numbers |= {number for one in self.entries for number in (one.entry.number, one.entry.extension)}
        named = ("number", "dialed", "extension")
        numbers |= {values[name] for values in self.personal.values() for name in named if name in values}
        identities = {one for cdr in self.cdrs.values() for one in cdr.participants}
        identities |= {one.entry.identity for one in self.entries}
        identities |= {one for section in self.sections for one in (*section.participants, section.owner) if one}
        return CallTrace(
            call_ids=self.call_ids,
            record_ids=frozenset(
                [one for cdr in self.cdrs.values() for one in cdr.record_ids] + [one.record_id for one in self.sections]
            ),
            numbers=frozenset(numbers - {""}),
            identities=frozenset(identities - {Identity("")}),
            began_at=min(began for began, _ in times),
            ended_at=max(ended for _, ended in times),
            whole=bool(self.cdrs) and not self.runs,
        )


async def rows_of(store: SqliteStore, call_id: CallId, record_id: RecordId | None = None) -> KeptRows:
    """What is kept of a call; calls that were joined with it count, by their records too. Raises StoreError."""
    found: dict[int, sqlite3.Row] = {}
    call_ids: set[CallId] = set()
    records: set[RecordId] = set()
    new_calls, new_records = {call_id}, {record_id} if record_id is not None else set()
    while new_calls or new_records:
        call_ids |= new_calls
        records |= new_records
        rows_found = [row for one in new_calls for row in await store.select(sql.CDRS_OF_CALL, one)]
        rows_found += [row for one in new_records for row in await store.select(sql.CDRS_OF_RECORD, one)]
        found |= {row["id"]: row for row in rows_found}
        joined = [CallId(row["joined"]) for one in new_calls for row in await store.select(sql.JOINED, one)]
        named = [
            RecordId(row["record_id"]) for one in new_calls for row in await store.select(sql.RECORDS_OF_CALL, one)
        ]
        new_calls = {*joined, *(CallId(row["call_id"]) for row in rows_found)} - call_ids
        new_records = set(named) - records
    cdrs = {number: await _cdr(store, row) for number, row in found.items()}
    entries: list[NumberedEntry] = []
    sections: list[Section] = []
    personal: dict[FactNumber, dict[str, str]] = {}
    began: list[int] = []
    runs = False
    for one in sorted(call_ids):
        entries += [rows.entry_of(row) for row in await store.select(sql.ENTRIES_OF_CALL, one)]
        sections += [rows.section_of(row) for row in await store.select(sql.SECTIONS_OF_CALL, one)]
        for row in await store.select(sql.PERSONAL_OF_CALL, one):
            personal.setdefault(FactNumber(row["number"]), {})[row["name"]] = row["value"]
        began += [row["at"] for row in await store.select(sql.BEGAN, one) if row["at"] is not None]
        ((count,),) = await store.select(sql.RUNS, one)
        runs = runs or count > 0
    began_at = time_out(min(began)) if began else None
    numbers = await call_people.numbers_of(store, cdrs)
    return KeptRows(frozenset(call_ids), cdrs, entries, personal, sections, began_at, runs, numbers)


async def _cdr(store: SqliteStore, row: sqlite3.Row) -> Cdr:
    fields = dict(row)
    number = fields.pop("id")
    del fields["systemname"], fields["found_by"], fields["recorded"], fields["tallied"]
    fields["status"] = CallStatus(fields["status"])
    for name in ("started_at", "answered_at", "ended_at"):
        fields[name] = None if fields[name] is None else time_out(fields[name])
    records = [RecordId(one["record_id"]) for one in await store.select(sql.CDR_RECORDS, number)]
    users = [Identity(one["identity"]) for one in await store.select(sql.CDR_PARTICIPANTS, number)]
    return Cdr(**fields, record_ids=tuple(records), participants=tuple(users))
