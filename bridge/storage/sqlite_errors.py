"""What SQLite's errors mean for the one who runs the PBX: StoreErrors that name the remedy."""

import sqlite3
from pathlib import Path

from bridge.core.errors import StoreError

# Primary result codes, https://www.sqlite.org/rescode.html: what is wrong is the database or its disk, not the row.
_TROUBLE = {
    sqlite3.SQLITE_BUSY: (
        "locked",
        "another program keeps it locked: `fuser {path}` names it; end it or let it finish",
    ),
    sqlite3.SQLITE_LOCKED: (
        "locked",
        "another program keeps it locked: `fuser {path}` names it; end it or let it finish",
    ),
    sqlite3.SQLITE_FULL: ("full", "its disk is full: make room in {folder}"),
    sqlite3.SQLITE_READONLY: (
        "read-only",
        "it cannot be written: mount its disk for writing, and make {path} and its folder belong to recbridge's user",
    ),
    sqlite3.SQLITE_PERM: ("read-only", "it may not be opened: make {path} belong to the user that recbridge runs as"),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot-open",
        "it cannot be opened: make the folder {folder}, and let it belong to the user that recbridge runs as",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "corrupt",
        "it is damaged: move {path} and {path}-wal aside, put a backup there; `sqlite3 FILE .recover` saves the rest",
    ),
    sqlite3.SQLITE_NOTADB: (
        "corrupt",
        "it is no SQLite database: move {path} aside or name another file in `database:`",
    ),
    sqlite3.SQLITE_IOERR: ("disk-error", "its disk cannot be read or written: see `dmesg`, and check {folder}"),
    sqlite3.SQLITE_PROTOCOL: ("locked", "its locks do not work: {folder} must be on a local disk, not on NFS"),
    sqlite3.SQLITE_NOMEM: ("no-memory", "there is no memory left for it"),
}

# What a build of SQLite lacks has no code of its own.
_LACKING = ("no such module: ", "no such tokenizer: ", "error in tokenizer constructor")


def primary_code(error: Exception) -> int | None:
    """SQLite's primary result code, None where the error is Python's own."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_trouble(error: Exception) -> bool:
    """Whether the database as a whole is in trouble, so that trying other rows would be no better."""
    return primary_code(error) in _TROUBLE


def store_error(error: Exception, path: Path) -> StoreError:
    """The StoreError for an error of sqlite3, with `reason` among its details: `locked`, `full`, `refused-value`, …"""
    code = primary_code(error)
    if code in _TROUBLE:
        reason, remedy = _TROUBLE[code]
        return StoreError(f"database {path}: {remedy.format(path=path, folder=path.parent)} ({error})", reason=reason)
    if str(error).startswith(_LACKING):
        return StoreError(
            f"database {path}: this Python's SQLite ({sqlite3.sqlite_version}) lacks what searches need: run recbridge "
            f"with a Python whose SQLite is 3.38 or newer and has FTS5, as Debian 12's ({error})",
            reason="no-fts5",
        )
    return StoreError(f"database {path}: it does not take this: {error}", reason="refused-value")
