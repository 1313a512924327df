"""Gives calls and sections of older schemas what a search needs. Blocks: call it in the connection's thread."""

import sqlite3
from collections.abc import Callable
from typing import Any

from bridge.core.cdrs import recording_uuid
from bridge.core.ids import SectionKey
from bridge.storage.folding import lines
from bridge.storage.values import text_in, text_out

_PAGE = 10_000

# The columns of `bridge.storage.folding.found_by`, in its order.
_CDRS = """
SELECT id, source_name, source_number, destination_name, destination_number, dialed FROM cdrs
WHERE id > ? ORDER BY id LIMIT ?
"""
_SET_FOUND_BY = "UPDATE cdrs SET found_by = CAST(? AS TEXT) WHERE id = ?"
_SECTIONS = "SELECT id, record_id, rule_id, file FROM sections WHERE id > ? ORDER BY id LIMIT ?"
_SET_UUID = "UPDATE sections SET uuid = ? WHERE id = ?"

_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('cdrs', 'sections')"
_FILL = (
    "INSERT INTO cdr_search (cdr_search) VALUES ('rebuild')",
    "INSERT INTO recording_search (recording_search) VALUES ('rebuild')",
)


def complete_existing(connection: sqlite3.Connection) -> None:
    """Set `found_by` of the calls and `uuid` of the sections that are there, and fill the indexes of both.

    Inside a transaction. Triggers would fill them row by row, which takes several times as long, and nothing is
    recorded meanwhile.
    """
    before = connection.row_factory, connection.text_factory
    connection.row_factory, connection.text_factory = None, text_out
    try:
        triggers = connection.execute(_TRIGGERS).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        _set(connection, _CDRS, _SET_FOUND_BY, lambda texts: text_in(lines(texts)))
        _set(connection, _SECTIONS, _SET_UUID, lambda key: str(recording_uuid(SectionKey(*key))))
        for statement in (*_FILL, *(sql for _, sql in triggers)):
            connection.execute(statement)
    finally:
        connection.row_factory, connection.text_factory = before


def _set(
    connection: sqlite3.Connection, select: str, update: str, value: Callable[[tuple[Any, ...]], str | bytes | None]
) -> None:
    last = -(2**63)
    while page := connection.execute(select, (last, _PAGE)).fetchall():
        connection.executemany(update, [(value(row[1:]), row[0]) for row in page])
        last = page[-1][0]
