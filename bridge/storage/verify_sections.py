"""Holds sections and their files against what facts say of them. Blocks."""

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.core.errors import MediaError
from bridge.core.ids import RecordId, RuleId, SectionKey
from bridge.core.records import SectionState
from bridge.storage import file_check
from bridge.storage.findings import Findings, Misfit
from bridge.storage.spool import Spool
from bridge.storage.values import text_out, time_in

_IDS = 1000
_UNLINKED_WITHIN = timedelta(minutes=1)
"""A file goes after the commit that says so."""

_SECTION = """
SELECT state, path, sha256, size_bytes, duration_s, deleted_at FROM sections
WHERE record_id = CAST(? AS TEXT) AND rule_id = ? AND file = ?
"""
_OF_FILE = ("path", "sha256", "size_bytes", "duration_s")
_LAST_SECTION = "SELECT coalesce(max(id), 0) FROM sections"
# The index facts_call leads to the facts.
_WITHOUT_FACT = """
SELECT record_id, rule_id, file, told.kind FROM sections
JOIN (SELECT 'section.stored' AS kind UNION ALL SELECT 'section.deleted') AS told
    ON CASE told.kind WHEN 'section.stored' THEN state = 'stored' ELSE deleted_at IS NOT NULL END
WHERE id > ? AND id <= ? AND NOT EXISTS (
    SELECT 1 FROM facts WHERE facts.call_id = sections.call_id AND facts.kind = told.kind
    AND facts.record_id = sections.record_id AND facts.rule_id = sections.rule_id AND facts.file = sections.file)
ORDER BY id
"""


class SectionCheck:
    """Rows are read with `chaining.plain_rows`. What is found goes into `found`; `tell` is called while a file is read.

    Without a `spool` no file is looked at.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        spool: Spool | None,
        found: Findings,
        tell: Callable[[Findings], None],
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._found = found
        self._tell = tell

    def stored(self, fact: sqlite3.Row) -> None:
        """A fact says that a section was stored: so says its row, and so is its file."""
        self._found.sections += 1
        told = _data_of(fact)
        section = self._section(fact)
        if section is None:
            self._misfit("section-missing", "the fact says that it was stored, but there is no such section", fact)
            return
        if section["state"] != SectionState.STORED.value.encode():
            self._misfit("section-changed", f"it was stored, and is {text_out(section['state'])!r} now", fact)
        values = {name: _plain(section[name]) for name in _OF_FILE}
        wrong = [name for name in _OF_FILE if values[name] != told.get(name)]
        if wrong:
            words = ", ".join(f"{name} is {values[name]!r}, and was {told.get(name)!r}" for name in wrong)
            self._misfit("section-changed", words, fact)
        if self._spool is not None and section["deleted_at"] is None:
            self._file(self._spool, fact, told)

    def deleted(self, fact: sqlite3.Row) -> None:
        """A fact says that a section's file was deleted: so says its row, and it is gone."""
        self._found.deleted += 1
        section = self._section(fact)
        if section is None:
            self._misfit("section-missing", "the fact says that it was deleted, but there is no such section", fact)
        elif section["deleted_at"] is None:
            self._misfit("section-changed", "its file was deleted, but the section does not say so", fact)
        path = _data_of(fact).get("path")
        since = time_in(datetime.now(UTC) - _UNLINKED_WITHIN)
        if self._spool is None or not isinstance(path, str) or since is None or fact["at"] > since:
            return
        try:
            there = file_check.is_there(self._spool.local_path(path))
        except MediaError:
            return  # no file of ours
        if there:
            self._misfit("file-not-deleted", "the file was deleted, and is there", fact, path)

    def without_fact(self) -> None:
        """Sections that say of themselves what no fact says."""
        ((last,),) = self._connection.execute(_LAST_SECTION)
        for after in range(0, last, _IDS):
            for row in self._connection.execute(_WITHOUT_FACT, (after, after + _IDS)).fetchall():
                key = _key_of(row)
                what = text_out(row["kind"]).removeprefix("section.")
                words = f"section {_named(key)}: it says that it was {what}, but no fact does"
                self._found.add(Misfit("section-without-fact", words, section=key))
            self._tell(self._found)

    def _file(self, spool: Spool, fact: sqlite3.Row, told: dict[str, Any]) -> None:
        path, size, sha256 = told.get("path"), told.get("size_bytes"), told.get("sha256")
        if not (isinstance(path, str) and isinstance(size, int) and isinstance(sha256, str)):
            self._misfit("file-unknown", "the fact does not say what its file was", fact)
            return
        self._found.files += 1
        try:
            problem = file_check.look_at(spool.local_path(path), size, sha256, self._read)
        except MediaError as error:
            problem = "file-unreadable", error.message
        if problem is not None and not self._deleted_meanwhile(fact):
            self._misfit(problem[0], f"{path}: {problem[1]}", fact, path)

    def _read(self, count: int) -> None:
        self._found.bytes += count
        self._tell(self._found)

    def _deleted_meanwhile(self, fact: sqlite3.Row) -> bool:
        section = self._section(fact)
        return section is not None and section["deleted_at"] is not None

    def _section(self, fact: sqlite3.Row) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(
            _SECTION, (fact["record_id"], fact["rule_id"], fact["file"])
        ).fetchone()
        return row

    def _misfit(self, what: str, words: str, fact: sqlite3.Row, path: str | None = None) -> None:
        key = _key_of(fact)
        message = f"fact {fact['number']}: section {_named(key)}: {words}"
        self._found.add(Misfit(what, message, fact["number"], key, path))


def _data_of(fact: sqlite3.Row) -> dict[str, Any]:
    """What the fact says; nothing where somebody has changed it into no JSON."""
    try:
        data = json.loads(fact["data"])
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _plain(value: bytes | float | None) -> str | float | None:
    return text_out(value) if isinstance(value, bytes) else value


def _key_of(row: sqlite3.Row) -> SectionKey:
    record = row["record_id"]
    return SectionKey(RecordId("" if record is None else text_out(record)), RuleId(row["rule_id"]), row["file"])


def _named(key: SectionKey) -> str:
    return "/".join(map(str, key))
