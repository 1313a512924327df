"""Deletes finished calls that are over their time: CDRs, journal entries, and what their talks came to.

What facts and tombstones know of people in them is forgotten; facts and tombstones stay, as `verify` wants them.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from bridge.core.ids import CallId
from bridge.core.records import Fact, FactKind
from bridge.core.retention import call_may_go
from bridge.core.store import AppendFact, Change, PutSection
from bridge.storage import asked, turns
from bridge.storage import retention_sql as sql
from bridge.storage.retention import Order, Retention
from bridge.storage.traces import KeptRows, rows_of
from bridge.storage.values import Row, text_in, texts_in, time_in

log = structlog.get_logger()

_WINDOW = 2000
_BATCH = 50
_STAYS = frozenset({"who", "words"})
"""Personal values of facts that say who deleted something, and why."""

_LAST = "SELECT coalesce(max(id), 0) AS id FROM cdrs"
_COUNT = "SELECT count(*) AS count FROM cdrs"
# The unary + keeps SQLite to the window of ids.
_DUE = """
SELECT call_id FROM cdrs WHERE id > :after AND id <= :upto AND +ended_at <= :before
    AND NOT EXISTS (SELECT 1 FROM sections WHERE sections.call_id = cdrs.call_id AND deleted_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM cdr_records JOIN sections USING (record_id)
                    WHERE cdr_records.cdr = cdrs.id AND deleted_at IS NULL)
ORDER BY id
"""
_DELETE_ENTRY = "DELETE FROM journal WHERE id = :id"
_UNLINK_SECTIONS = "UPDATE sections SET cdr = NULL WHERE cdr = :id"
# Its records and participants go with it.
_DELETE_CDR = "DELETE FROM cdrs WHERE id = :id"
_DELETE_SPANS = """
DELETE FROM talk_spans WHERE talk_id IN (SELECT talk_id FROM talks WHERE call_id = CAST(:call_id AS TEXT))
"""
_DELETE_OF_CALL = (
    _DELETE_SPANS,
    asked.DELETE_ASKED,
    "DELETE FROM talks WHERE call_id = CAST(:call_id AS TEXT)",
    "DELETE FROM demands WHERE call_id = CAST(:call_id AS TEXT)",
    "DELETE FROM pauses WHERE call_id = CAST(:call_id AS TEXT)",
    # Whoever is to be erased from it is.
    "DELETE FROM erasure_calls WHERE call_id = CAST(:call_id AS TEXT)",
)
_KEEP_NUMBER = """
INSERT INTO deleted_cdrs (id, systemname, last) VALUES (1, CAST(:systemname AS TEXT), :last)
ON CONFLICT (id) DO UPDATE SET last = max(last, excluded.last)
"""


@dataclass(slots=True)
class _Batch:
    """What one commit takes away. `seen` are the calls that were looked at: of joined ones each name comes up."""

    changes: list[Change] = field(default_factory=list)
    personal: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)
    cdrs: dict[int, datetime] = field(default_factory=dict)
    seen: set[CallId] = field(default_factory=set)

    def add(self, kept: KeptRows) -> None:
        for section in kept.sections:
            if section.owner is not None or section.participants:
                self.changes.append(PutSection(replace(section, owner=None, participants=())))
        self.personal += [
            {"fact": number, "name": text_in(name)}
            for number, values in kept.personal.items()
            for name in sorted(values.keys() - _STAYS)
        ]
        self.entries += [{"id": one.number} for one in kept.entries]
        self.calls += [texts_in({"call_id": one}) for one in sorted(kept.call_ids)]
        self.cdrs |= {number: cdr.ended_at for number, cdr in kept.cdrs.items()}


class FinishedCalls:
    """Finds and deletes them, with a Retention's holds and clock; `systemname` stamps the rows."""

    def __init__(self, retention: Retention, systemname: str) -> None:
        self._retention = retention
        self._store = retention.store
        self._systemname = systemname

    async def stored(self) -> int:
        """How many there are. Raises StoreError."""
        ((count,),) = await self._store.select(_COUNT)
        return int(count)

    async def expired(self, keep: timedelta) -> list[CallId]:
        """What is over its time, has no recording any more and is under no hold. Raises StoreError."""
        try:
            before = time_in(self._retention.clock() - keep)
        except OverflowError:  # before there was any time
            return []
        found: list[CallId] = []
        ((last,),) = await self._store.select(_LAST)
        for after in range(0, last, _WINDOW):
            found += [CallId(row["call_id"]) for row in await self._store.select(_DUE, after, after + _WINDOW, before)]
        if await self._retention.holds():
            found = [one for one in found if await self._may_go(await rows_of(self._store, one), keep)]
        return list(dict.fromkeys(found))

    async def delete(self, calls: Sequence[CallId], order: Order, pause_s: float = 0.0) -> int:
        """Delete what of this may still go, in batches with a pause after each; gives how many.

        Raises StoreError, `busy` where the turn of a batch does not come.
        """
        done = 0
        for start in range(0, len(calls), _BATCH):
            async with turns.batch_turn(self._retention.database):
                done += await self._delete(calls[start : start + _BATCH], order)
            await asyncio.sleep(pause_s)
        return done

    async def _delete(self, calls: Sequence[CallId], order: Order) -> int:
        batch = _Batch()
        for call_id in calls:
            if call_id in batch.seen:
                continue
            kept = await rows_of(self._store, call_id)
            batch.seen |= kept.call_ids
            if await self._may_go(kept, order.keep):
                batch.add(kept)
        if not batch.cdrs:
            return 0
        of_calls = [(one, batch.calls) for one in _DELETE_OF_CALL]
        rewrites: list[tuple[str, Sequence[Row]]] = [
            (sql.ERASE_PERSONAL, batch.personal),
            (_DELETE_ENTRY, batch.entries),
            *of_calls,
            (_KEEP_NUMBER, [texts_in({"systemname": self._systemname, "last": max(batch.cdrs)})]),
            (_UNLINK_SECTIONS, [{"id": number} for number in batch.cdrs]),
            (_DELETE_CDR, [{"id": number} for number in batch.cdrs]),
            (asked.DELETE_RULES, [{"now": time_in(self._retention.clock())}]),
        ]
        await self._store.commit([*batch.changes, AppendFact(self._fact(batch, order))], rewrites=rewrites)
        return len(batch.cdrs)

    def _fact(self, batch: _Batch, order: Order) -> Fact:
        data = {
            "why": order.why,
            "calls": len(batch.cdrs),
            "entries": len(batch.entries),
            "keep_s": order.keep.total_seconds(),
            "first_ended_at": min(batch.cdrs.values()).isoformat(),
            "last_ended_at": max(batch.cdrs.values()).isoformat(),
        }
        words = {"who": order.who, "words": order.words}
        return Fact(FactKind.CALLS_DELETED, self._retention.clock(), data=data, personal=words)

    async def _may_go(self, kept: KeptRows, keep: timedelta) -> bool:
        holds = await self._retention.holds()
        return call_may_go(kept.trace(), kept.sections, holds, self._retention.clock(), keep)
