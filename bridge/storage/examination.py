"""Whether database and spool are sound and fit each other. Blocks; changes nothing, also while the daemon runs."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.core.ids import RecordId, RuleId, SectionKey
from bridge.storage.file_check import is_there
from bridge.storage.orphans import Found, files_by_folder
from bridge.storage.reading import opened_to_read
from bridge.storage.retention_sql import NAMED

_FOREIGN_BY_RIGHT = frozenset({"lost+found"})
"""What a file system has in its topmost folder by itself."""
_AT_ONCE = 500
_DAMAGES = 10
_STORED = "SELECT record_id, rule_id, file, path FROM sections WHERE state = 'stored' AND deleted_at IS NULL"


@dataclass(frozen=True, slots=True)
class MissingFile:
    """A stored section whose file is not where it was stored."""

    key: SectionKey
    path: str


def damage(database: Path) -> list[str]:
    """What SQLite says is broken, at most ten lines; reads the whole database. Raises StoreError."""
    with opened_to_read(database) as connection:
        lines = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_DAMAGES})")]
    return [] if lines == ["ok"] else lines


def unnamed_files(database: Path, spool: Path) -> Iterator[Found]:
    """What lies in the spool and no section names, but for the quarantine. Raises StoreError, MediaError."""
    with opened_to_read(database) as connection:
        for folder in files_by_folder(spool):
            for found in _batched(folder):
                # Asked after the listing: what was requested meanwhile is known.
                named = _named(connection, found)
                yield from (
                    one
                    for one in found
                    if _folder(one.path) != named.get(one.key) and one.path not in _FOREIGN_BY_RIGHT
                )


def missing_files(database: Path, spool: Path) -> Iterator[MissingFile]:
    """Stored sections without their file. Raises StoreError, PermissionError."""
    with opened_to_read(database) as connection:
        for record_id, rule_id, file, path in connection.execute(_STORED):
            if not is_there(spool / path):
                yield MissingFile(SectionKey(RecordId(record_id), RuleId(rule_id), file), path)


def _batched(folder: list[Found]) -> Iterator[list[Found]]:
    for start in range(0, len(folder), _AT_ONCE):
        yield folder[start : start + _AT_ONCE]


def _named(connection: sqlite3.Connection, found: list[Found]) -> dict[SectionKey | None, str]:
    """Of those that are sections', in which folder their files belong."""
    wanted = json.dumps([list(one.key) for one in found if one.key is not None])
    rows = connection.execute(NAMED, (wanted,))
    return {SectionKey(RecordId(row[0]), RuleId(row[1]), row[2]): _folder(row[3]) for row in rows}


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
