"""Reads facts as the chain sees them, and chains those of older schemas. Blocks: call it in the connection's thread."""

import json
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from bridge.core.chain import GENESIS, SALT_BYTES, next_hash, personal_digest
from bridge.core.records import FactKind
from bridge.storage import rows
from bridge.storage.values import json_in, text_out

BEFORE_ALL = -(2**63)

_PAGE = 1000

_FACTS = """
SELECT number, systemname, kind, at, call_id, record_id, rule_id, file, data, audience, hash FROM facts
WHERE number > ? ORDER BY number LIMIT ?
"""
# Those of facts that are not there, too.
_PERSONAL = """
SELECT fact, systemname, name, value, salt, digest FROM fact_personal WHERE fact > ? AND fact <= ? ORDER BY fact, name
"""
_FILE = """
SELECT path, sha256, size_bytes, duration_s FROM sections
WHERE record_id = CAST(? AS TEXT) AND rule_id = ? AND file = ? AND sha256 IS NOT NULL
"""
_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('facts', 'fact_personal')"
_SET_DIGEST = "UPDATE fact_personal SET salt = ?, digest = ? WHERE fact = ? AND name = CAST(? AS TEXT)"
_SET_HASH = "UPDATE facts SET data = CAST(? AS TEXT), hash = ? WHERE number = ?"


class Page(NamedTuple):
    """Facts in the order of their numbers, and the personal values up to the last of them."""

    facts: Sequence[sqlite3.Row]
    personal: Sequence[sqlite3.Row]


@contextmanager
def plain_rows(connection: sqlite3.Connection) -> Iterator[None]:
    """Rows with their texts as bytes, which is what is hashed."""
    before = connection.row_factory, connection.text_factory
    connection.row_factory, connection.text_factory = sqlite3.Row, bytes
    try:
        yield
    finally:
        connection.row_factory, connection.text_factory = before


def read_page(connection: sqlite3.Connection, after: int, limit: int) -> Page:
    """The next facts after a number; without one, the personal values that lie beyond. Within `plain_rows`."""
    facts = connection.execute(_FACTS, (after, limit)).fetchall()
    last = facts[-1]["number"] if facts else 2**63 - 1
    return Page(facts, connection.execute(_PERSONAL, (after, last)).fetchall())


def chain_existing(connection: sqlite3.Connection) -> None:
    """Give the facts that are there their hashes, and their personal values salt and digest, inside a transaction.

    What a section's file was stands in the facts that say that it was stored; of older ones it is taken from its row.
    """
    triggers = connection.execute(_TRIGGERS).fetchall()
    for name, _ in triggers:
        connection.execute(f'DROP TRIGGER "{name}"')
    with plain_rows(connection):
        after, head = BEFORE_ALL, GENESIS
        while (page := read_page(connection, after, _PAGE)).facts:
            head = _chain(connection, page, head)
            after = page.facts[-1]["number"]
    for _, sql in triggers:
        connection.execute(sql)


def _chain(connection: sqlite3.Connection, page: Page, head: bytes) -> bytes:
    personal = defaultdict(list)
    digests = []
    for row in page.personal:
        salt = secrets.token_bytes(SALT_BYTES)
        # Of a value that is erased already, one of nothing.
        digest = personal_digest(salt, row["name"], row["value"] or b"")
        personal[row["fact"]].append(rows.digest_of({**dict(row), "digest": digest}))
        digests.append((None if row["value"] is None else salt, digest, row["fact"], row["name"]))
    connection.executemany(_SET_DIGEST, digests)
    hashes = []
    for row in page.facts:
        data = _with_file(connection, row)
        head = next_hash(head, rows.chained({**dict(row), "data": data}), personal[row["number"]])
        hashes.append((data, head, row["number"]))
    connection.executemany(_SET_HASH, hashes)
    return head


def _with_file(connection: sqlite3.Connection, row: sqlite3.Row) -> bytes:
    data: bytes = row["data"]
    if row["kind"] != FactKind.SECTION_STORED.value.encode():
        return data
    file = connection.execute(_FILE, (row["record_id"], row["rule_id"], row["file"])).fetchone()
    if file is None:
        return data
    known = {
        "path": text_out(file["path"]),
        "sha256": text_out(file["sha256"]),
        "size_bytes": file["size_bytes"],
        "duration_s": file["duration_s"],
    }
    return json_in({**json.loads(data), **known}).encode()
