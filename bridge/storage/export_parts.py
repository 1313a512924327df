"""What exports are made of, and the end of those that hold what is deleted now; any process may do that."""

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import structlog

from bridge.core.cdrs import CdrNumber, file_name, recording_uuid
from bridge.core.exports import Export, ExportId, ExportStatus, Part, Reason, WantedRecording
from bridge.core.ids import FactNumber, RecordId, RuleId, SectionKey
from bridge.core.records import Fact, FactKind, Section
from bridge.core.store import AppendFact, PutExport
from bridge.storage import turns
from bridge.storage.database import SqliteStore
from bridge.storage.export_rows import Rewrites
from bridge.storage.values import json_in, text_in, texts_in, time_out

log = structlog.get_logger()

_ROWS_AT_ONCE = 500
"""A commit of a recording never waits for more than these."""

_ADD = """
INSERT INTO export_parts (export, number, systemname, cdr, record_id, rule_id, file)
VALUES (CAST(:export AS TEXT), :number, CAST(:systemname AS TEXT), :cdr, CAST(:record_id AS TEXT), :rule_id, :file)
"""
_PARTS = """
SELECT export_parts.number, export_parts.cdr AS wanted_by, export_parts.record_id AS record,
    export_parts.rule_id AS rule, export_parts.file AS part, sections.record_id, path,
    coalesce(started_at, requested_at) AS at, ended_at, duration_s, owner, tags, size_bytes, sha256, deleted_at
FROM export_parts LEFT JOIN sections ON sections.record_id = export_parts.record_id
    AND sections.rule_id = export_parts.rule_id AND sections.file = export_parts.file
WHERE export = CAST(? AS TEXT) AND number > ? ORDER BY number LIMIT ?
"""
_DELETED = """
SELECT number FROM export_parts LEFT JOIN sections USING (record_id, rule_id, file)
WHERE export = CAST(? AS TEXT) AND (deleted_at IS NOT NULL OR sections.record_id IS NULL)
"""
_PARTS_DELETED_SINCE = """
SELECT export_parts.number FROM facts CROSS JOIN export_parts USING (record_id, rule_id, file)
WHERE facts.number > ? AND facts.number <= ? AND kind = 'section.deleted' AND export = CAST(? AS TEXT)
"""
_TOTAL_BYTES = """
SELECT coalesce(sum(size_bytes), 0) AS size_bytes FROM export_parts JOIN sections USING (record_id, rule_id, file)
WHERE export = CAST(? AS TEXT) AND deleted_at IS NULL
"""
_LAST_PART = "SELECT max(number) AS last FROM export_parts WHERE export = CAST(? AS TEXT)"
_HAND_OUT = """
INSERT OR IGNORE INTO handed_out (record_id, rule_id, file, export, systemname)
SELECT record_id, rule_id, file, export, systemname FROM export_parts
WHERE export = CAST(:export AS TEXT) AND number BETWEEN :first AND :last
"""
_END_PARTS = "DELETE FROM export_parts WHERE export = CAST(:export AS TEXT)"
_END_SOME = """
DELETE FROM export_parts WHERE export = CAST(:export AS TEXT) AND number IN (SELECT value FROM json_each(:numbers))
"""
_END_STRAY = "DELETE FROM export_parts WHERE export NOT IN (SELECT id FROM exports)"
_FORGET = "DELETE FROM exports WHERE id = CAST(:id AS TEXT)"

# CROSS JOIN: SQLite keeps to that order, the short side first.
_HOLDS_DELETED = """
SELECT DISTINCT export FROM export_parts JOIN sections USING (record_id, rule_id, file) WHERE deleted_at IS NOT NULL
"""
_THIS_HOLDS_DELETED = _HOLDS_DELETED + "AND export = CAST(? AS TEXT)"
_HOLDS_SOME = """
SELECT DISTINCT export FROM json_each(?) AS gone
CROSS JOIN export_parts ON record_id = gone.value ->> 0 AND rule_id = gone.value ->> 1 AND file = gone.value ->> 2
"""
_HOLDS_DELETED_SINCE = """
SELECT DISTINCT export FROM facts CROSS JOIN export_parts USING (record_id, rule_id, file)
WHERE facts.number > ? AND facts.number <= ? AND kind = 'section.deleted'
"""


def folder_of(database: Path) -> Path:
    """Where the zips lie."""
    return database.parent / "exports"


def zip_of(database: Path, export_id: ExportId) -> Path:
    """Where an export's zip lies once it is finished."""
    return folder_of(database) / f"{export_id}.zip"


async def add_parts(store: SqliteStore, export_id: ExportId, systemname: str, parts: Sequence[WantedRecording]) -> None:
    """Keep what an export is to be made of, before itself, in commits so small that nothing waits for them."""
    for first in range(0, len(parts), _ROWS_AT_ONCE):
        some = [
            texts_in(
                {
                    "export": export_id,
                    "number": number,
                    "systemname": systemname,
                    "cdr": cdr,
                    "record_id": key.record_id,
                    "rule_id": key.rule_id,
                    "file": key.file,
                }
            )
            for number, (cdr, key) in enumerate(parts[first : first + _ROWS_AT_ONCE], start=first)
        ]
        await store.commit([], rewrites=[(_ADD, some)])


async def parts(store: SqliteStore, export_id: ExportId, after: int, most: int) -> list[Part]:
    """Up to so many parts with a higher number (the first is 0), as they are kept now."""
    found = await store.select(_PARTS, text_in(export_id), after, most)
    return [_part_of(row) for row in found]


def _part_of(row: sqlite3.Row) -> Part:
    number, cdr = row["number"], CdrNumber(row["wanted_by"])
    key = SectionKey(RecordId(row["record"]), RuleId(row["rule"]), row["part"])
    if row["record_id"] is None:
        return Part(number, cdr, key)
    at = time_out(row["at"])
    return Part(
        number=number,
        cdr=cdr,
        key=key,
        name=f"{cdr}/{file_name(cdr, at, recording_uuid(key))}",
        path=row["path"],
        at=at,
        ended_at=None if row["ended_at"] is None else time_out(row["ended_at"]),
        duration_s=row["duration_s"] or 0.0,
        owner=row["owner"] or "",
        tags=tuple(json.loads(row["tags"])),
        size_bytes=row["size_bytes"] or 0,
        stored_sha256=row["sha256"] or "",
        deleted=row["deleted_at"] is not None,
    )


async def total_bytes(store: SqliteStore, export_id: ExportId) -> int:
    """Of all its recordings that are there."""
    ((size,),) = await store.look_through(_TOTAL_BYTES, text_in(export_id))
    return int(size)


async def deleted_parts(store: SqliteStore, export_id: ExportId) -> list[int]:
    """The numbers of its parts that are deleted now."""
    return [row["number"] for row in await store.look_through(_DELETED, text_in(export_id))]


async def deleted_since(store: SqliteStore, export_id: ExportId, after: FactNumber, upto: FactNumber) -> list[int]:
    """The numbers of its parts that these facts tell of as deleted."""
    return [row["number"] for row in await store.select(_PARTS_DELETED_SINCE, after, upto, text_in(export_id))]


async def hand_out(store: SqliteStore, export_id: ExportId) -> None:
    """Keep which recordings are in it, for longer than itself: it is about to be fetched."""
    ((last,),) = await store.select(_LAST_PART, text_in(export_id))
    for first in range(0, (last if last is not None else -1) + 1, _ROWS_AT_ONCE):
        row = texts_in({"export": export_id, "first": first, "last": first + _ROWS_AT_ONCE - 1})
        await store.commit([], rewrites=[(_HAND_OUT, [row])])


def ending_parts(export_id: ExportId) -> Rewrites:
    """What forgets of what an export was made."""
    return [(_END_PARTS, [texts_in({"export": export_id})])]


def ending_some(export_id: ExportId, numbers: Sequence[int]) -> Rewrites:
    """What forgets those of its parts that are neither in the zip nor named in its manifest."""
    return [(_END_SOME, [texts_in({"export": export_id, "numbers": json_in(list(numbers))})])]


async def end_stray_parts(store: SqliteStore) -> None:
    """Forget the parts of an export that was never kept itself."""
    await store.commit([], rewrites=[(_END_STRAY, [{}])])


async def forget(store: SqliteStore, exports: Iterable[Export]) -> None:
    """Forget exports that are over."""
    rewrites = [
        one for export in exports for one in (*ending_parts(export.id), (_FORGET, [texts_in({"id": export.id})]))
    ]
    await store.commit([], rewrites=rewrites)


class Recall:
    """Ends finished exports that hold a section whose audio was deleted: its zip goes first, then its state is kept."""

    def __init__(self, store: SqliteStore, database: Path, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._database = database
        self._clock = clock

    async def holding(self, sections: Sequence[Section]) -> list[Export]:
        """End those that hold one of these sections. Raises StoreError."""
        return await self._end(await self._store.select(_HOLDS_SOME, json_in([list(one.key) for one in sections])))

    async def holding_deleted(self) -> list[Export]:
        """End those that hold any section that is deleted. Raises StoreError."""
        return await self._end(await self._store.look_through(_HOLDS_DELETED))

    async def deleted_since(self, after: FactNumber, upto: FactNumber) -> list[Export]:
        """End those that hold a section that these facts tell of as deleted. Raises StoreError."""
        return await self._end(await self._store.select(_HOLDS_DELETED_SINCE, after, upto))

    async def this(self, export: Export) -> bool:
        """End this one if it holds a section that is deleted; gives whether. Raises StoreError."""
        return bool(await self._end(await self._store.look_through(_THIS_HOLDS_DELETED, text_in(export.id))))

    async def _end(self, found: Sequence[Sequence[str]]) -> list[Export]:
        ended = []
        for export_id in [ExportId(row[0]) for row in found]:
            async with turns.recall_turn(self._database):
                export = await self._store.export(export_id)
                # One that is being made sees to it itself before it is finished.
                if export is None or export.status is not ExportStatus.FINISHED:
                    continue
                await asyncio.to_thread(remove_zip, self._database, export_id, cut=True)
                over = export.deleted(Reason.RECORDING_DELETED)
                await self._store.commit(
                    [PutExport(over), AppendFact(ended_fact(over, self._clock()))], rewrites=ending_parts(over.id)
                )
            log.warning("export-recalled", export=over.id, why="a recording in it was deleted")
            ended.append(over)
        return ended


def remove_zip(database: Path, export_id: ExportId, *, cut: bool = False) -> None:
    """Delete a zip, if it is there; what cannot be deleted is emptied, and the log says so.

    `cut`: downloads that run end, too.
    """
    path = zip_of(database, export_id)
    if cut:
        with contextlib.suppress(OSError):
            os.truncate(path, 0)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.error("export-not-deleted", path=str(path), problem=str(error))
        with contextlib.suppress(OSError):
            os.truncate(path, 0)


def ended_fact(export: Export, at: datetime, **data: str) -> Fact:
    """That an export has ended."""
    told = {
        "export": export.id,
        "status": export.status.value,
        "reason": export.reason,
        "recordings": export.recordings,
    }
    return Fact(FactKind.EXPORT_ENDED, at, data=told | {"missing": export.missing} | data)
