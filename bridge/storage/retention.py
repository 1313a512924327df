"""Deletes what may go: first the fact and the tombstone in one commit, then the files.

Where we die between the two, the next run deletes what is marked and still there.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from bridge.core.decisions import wav_of
from bridge.core.errors import MediaError
from bridge.core.ids import SectionKey
from bridge.core.records import Fact, FactKind, Section
from bridge.core.retention import CallTrace, Hold, Totals, Verdict, judge, totals_of
from bridge.core.store import AppendFact, PutSection
from bridge.storage import orphans, rows, turns
from bridge.storage import retention_sql as sql
from bridge.storage.database import SqliteStore
from bridge.storage.export_parts import Recall
from bridge.storage.traces import rows_of
from bridge.storage.values import json_in, time_in

log = structlog.get_logger()

_WINDOW = 2000
_BATCH = 50
_LEFTOVERS_OF = timedelta(days=1)
"""How far back each run looks for files that a crash, or a disk that was away, left; the daily one looks at all."""
_WISHES_OVER = timedelta(days=7)
_ORPHAN_AFTER = timedelta(hours=1)
_NAMES_AT_ONCE = 500
NOBODY = "recbridge"
"""Who deletes when nobody asked."""


@dataclass(frozen=True, slots=True)
class Order:
    """Who deletes and why: `retention` or `erasure`, with a person's own words. `keep` is as `judge` takes it."""

    why: str
    who: str
    words: str
    keep: timedelta


@dataclass(slots=True)
class Plan:
    """What would go, and what keeps the rest of what was asked for: sections by hold, and by the rule's own `keep`."""

    going: list[SectionKey] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    oldest: datetime | None = None
    newest: datetime | None = None
    held: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    kept_until: datetime | None = None
    open: int = 0

    def add(self, section: Section, verdict: Verdict) -> None:
        """One more section that was looked at."""
        if verdict.may_go:
            at = section.started_at or section.requested_at
            self.going.append(section.key)
            self.totals += totals_of([section])
            self.oldest = at if self.oldest is None else min(self.oldest, at)
            self.newest = at if self.newest is None else max(self.newest, at)
        for hold in verdict.holds:
            self.held[hold] += 1
        if verdict.kept_until is not None:
            self.kept += 1
            self.kept_until = max(self.kept_until or verdict.kept_until, verdict.kept_until)
        self.open += verdict.open


class Retention:
    """Deletes the audio of sections, one run at a time on each database (`turns.run_turn` is the caller's to take)."""

    def __init__(self, store: SqliteStore, database: Path, spool: Path, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.database = database
        self.clock = clock
        self._spool = spool
        self._exports = Recall(store, database, clock)

    async def holds(self) -> Sequence[Hold]:
        """Those in force."""
        return [hold for hold in await self.store.holds() if hold.released_at is None]

    async def judged(self, section: Section, holds: Sequence[Hold], keep: timedelta) -> Verdict:
        """Whether a section may go now. Raises StoreError."""
        trace: CallTrace | None = None
        if holds:
            kept = await rows_of(self.store, section.call_id, section.record_id)
            trace = kept.trace()
        return judge(section, holds, trace, self.clock(), keep)

    async def stored(self) -> Totals:
        """All sections whose audio is there, or should be. Raises StoreError."""
        totals = Totals()
        ((last,),) = await self.store.select(sql.LAST_SECTION)
        for after in range(0, last, _WINDOW):
            ((count, size),) = await self.store.select(sql.TOTALS, after, after + _WINDOW)
            totals += Totals(count, size)
        return totals

    async def expired(self, keep: timedelta) -> Plan:
        """What is older than its rule's `keep`, else than `keep`. Raises StoreError."""
        plan, holds = Plan(), await self.holds()
        ((last,),) = await self.store.select(sql.LAST_SECTION)
        for after in range(0, last, _WINDOW):
            now = time_in(self.clock())
            found = await self.store.select(sql.DUE, after, after + _WINDOW, keep.total_seconds(), now)
            for section in map(rows.section_of, found):
                plan.add(section, await self.judged(section, holds, keep))
        return plan

    async def asked_for(self, sections: Sequence[Section]) -> Plan:
        """What of these sections may go when somebody asks for it. Raises StoreError."""
        plan, holds = Plan(), await self.holds()
        for section in sections:
            plan.add(section, await self.judged(section, holds, timedelta(0)))
        return plan

    async def delete(
        self, keys: Sequence[SectionKey], order: Order, pause_s: float = 0.0, *, wait_s: float = turns.BATCH_WAIT_S
    ) -> Totals:
        """Delete what of this may still go, in batches with a pause after each.

        Raises StoreError, `busy` where the turn of a batch does not come within `wait_s`.
        """
        done = Totals()
        for start in range(0, len(keys), _BATCH):
            async with turns.batch_turn(self.database, wait_s):
                holds = await self.holds()
                batch = []
                for key in keys[start : start + _BATCH]:
                    section = await self.store.section(key)
                    if section is not None and (await self.judged(section, holds, order.keep)).may_go:
                        batch.append(section)
                if batch:
                    now = self.clock()
                    await self.store.commit([one for each in batch for one in deletion(each, order, now)])
            await self.unlink(batch)
            done += totals_of(batch)
            await asyncio.sleep(pause_s)
        return done

    async def unlink(self, sections: Sequence[Section]) -> int:
        """Delete the files of sections that are marked deleted, and the exports that hold them; gives how many files.

        Never raises for a file. Raises StoreError.
        """
        count = sum([await asyncio.to_thread(self._unlink, section) for section in sections])
        if sections:
            await self._exports.holding(sections)
        return count

    def _unlink(self, section: Section) -> int:
        wav = wav_of(section)
        paths = dict.fromkeys((wav.path, wav.mixed, wav.receive, wav.transmit))
        return sum(self._remove(path) for path in paths)

    def _remove(self, path: str) -> bool:
        try:
            return orphans.remove(self._spool, path)
        except MediaError as error:
            log.error("file-not-deleted", path=path, problem=error.message)
            return False

    async def finish(self) -> int:
        """Delete the files that are marked deleted of late and still there; gives how many. Raises StoreError."""
        since = time_in(self.clock() - _LEFTOVERS_OF)
        left = [rows.section_of(row) for row in await self.store.select(sql.DELETED, since)]
        return await self.unlink(left)

    async def tidy(self) -> int:
        """Look through the whole spool: what is marked deleted goes, what no section names goes into quarantine.

        Demands and pauses that a crash left of calls long over are forgotten. A file younger than an hour is left
        alone. Gives how many were moved. Raises StoreError, MediaError.
        """
        before = time_in(self.clock() - _WISHES_OVER)
        old_wishes = (sql.FORGET_OLD_DEMANDS, sql.FORGET_OLD_PAUSES)
        await self.store.commit([], rewrites=[(one, [{"before": before}]) for one in old_wishes])
        moved = 0
        folders = orphans.files_by_folder(self._spool)
        while (found := await asyncio.to_thread(next, folders, None)) is not None:
            for start in range(0, len(found), _NAMES_AT_ONCE):
                moved += await self._tidy(found[start : start + _NAMES_AT_ONCE])
        return moved

    async def _tidy(self, found: Sequence[orphans.Found]) -> int:
        before = (self.clock() - _ORPHAN_AFTER).timestamp()
        old = {one.path: one for one in found if one.key is not None and one.modified_at <= before}
        # Asked after the listing: what was requested meanwhile is known.
        wanted = json_in([list(one.key) for one in old.values() if one.key is not None])
        known = {
            (row["record_id"], row["rule_id"], row["file"]): row for row in await self.store.select(sql.NAMED, wanted)
        }
        moved = 0
        for path, one in old.items():
            row = known.get(one.key) if one.key is not None else None
            if row is None or row["path"].rpartition("/")[0] != path.rpartition("/")[0]:
                moved += await self._quarantine(one)
            elif row["deleted_at"] is not None:
                await asyncio.to_thread(self._remove, path)
        return moved

    async def _quarantine(self, one: orphans.Found) -> bool:
        to = await asyncio.to_thread(orphans.quarantine_path, self._spool, one.path)
        data = {"path": one.path, "to": to, "size": one.size_bytes}
        await self.store.commit([AppendFact(Fact(FactKind.FILE_QUARANTINED, self.clock(), data=data))])
        try:
            moved = await asyncio.to_thread(orphans.move, self._spool, one.path, to)
        except MediaError as error:
            log.error("orphan-not-moved", path=one.path, problem=error.message)
            return False
        log.warning("orphan-quarantined", path=one.path, to=to, size=one.size_bytes)
        return moved


def deletion(section: Section, order: Order, now: datetime) -> tuple[AppendFact, PutSection]:
    """What is kept of a section whose file goes: the fact, and the tombstone."""
    report = section.report
    data = {
        "why": order.why,
        "path": section.path,
        "sha256": None if report is None else report.sha256,
        "size": None if report is None else report.size_bytes,
        "duration_s": None if report is None else report.duration_s,
        "requested_at": section.requested_at.isoformat(),
        "state": str(section.state),
    }
    fact = Fact(
        kind=FactKind.SECTION_DELETED,
        at=now,
        call_id=section.call_id,
        record_id=section.record_id,
        rule_id=section.rule_id,
        file=section.file,
        data=data,
        personal={"who": order.who, "words": order.words},
    )
    bare = None if report is None else replace(report, peaks=b"")
    return AppendFact(fact), PutSection(replace(section, deleted_at=now, report=bare))


def new_id() -> str:
    """An id for a hold or a request: short enough to be typed."""
    return secrets.token_hex(4)
