"""Opens a database for the store: made private, searched for damage, brought to this code's schema."""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

import aiosqlite

from bridge.core.errors import StoreError
from bridge.storage.migrations import migrate
from bridge.storage.sqlite_errors import store_error
from bridge.storage.values import text_out


class Opened(NamedTuple):
    """A connection to write and two to read, all in autocommit; `searcher` is for questions that take long."""

    writer: aiosqlite.Connection
    reader: aiosqlite.Connection
    searcher: aiosqlite.Connection


async def connect(path: Path, busy_s: float, check_s: float) -> Opened:
    """The connections; raises StoreError with none left open."""
    connections: list[aiosqlite.Connection] = []
    try:
        await asyncio.to_thread(_make_private, path)
        for _ in range(3):
            connection = await aiosqlite.connect(path, timeout=busy_s, isolation_level=None)
            connections.append(connection)
            connection.row_factory = sqlite3.Row
            connection.text_factory = text_out
        writer, *readers = connections
        await _search_damage(writer, path, check_s)
        await migrate(writer, path)
        await _set_up(writer, path, busy_s)
        for reader in readers:
            await reader.execute("PRAGMA query_only = ON")
        # Questions about finished calls come back to the same pages: 2 MB, as by default, hold hardly one of them.
        await readers[-1].execute("PRAGMA cache_size = -32768")
    except BaseException as error:
        for connection in connections:
            await connection.close()
        if isinstance(error, sqlite3.Error):
            raise store_error(error, path) from error
        if isinstance(error, OSError):
            raise StoreError(
                f"database {path}: {error.strerror}: make the folder {path.parent}, and let it belong to the user that "
                "recbridge runs as",
                reason="cannot-open",
            ) from error
        raise
    return Opened(*connections)


def _make_private(path: Path) -> None:
    """Personal data is in it: nobody but its owner may read it."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


async def _search_damage(writer: aiosqlite.Connection, path: Path, check_s: float) -> None:
    try:
        async with asyncio.timeout(check_s):
            ((verdict,),) = await writer.execute_fetchall("PRAGMA quick_check(1)")
    except (TimeoutError, asyncio.CancelledError) as error:
        await writer.interrupt()
        if isinstance(error, TimeoutError):
            return  # nothing found in what there was time for
        raise
    if verdict != "ok":
        damage = sqlite3.DatabaseError(verdict)
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise store_error(damage, path)


async def _begin_wal(writer: aiosqlite.Connection, busy_s: float) -> str:
    """The first change to WAL does not wait for others' locks by itself (measured), so that it is tried again."""
    deadline = asyncio.get_running_loop().time() + busy_s
    while True:
        try:
            ((mode,),) = await writer.execute_fetchall("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or asyncio.get_running_loop().time() >= deadline:
                raise
            await asyncio.sleep(0.02)
        else:
            return str(mode)


async def _set_up(writer: aiosqlite.Connection, path: Path, busy_s: float) -> None:
    mode = await _begin_wal(writer, busy_s)
    if mode != "wal":
        raise StoreError(
            f"database {path}: it cannot have a WAL there: its folder must be on a local disk", reason="no-wal"
        )
    await writer.execute("PRAGMA synchronous = FULL")
    # What is erased is gone from the file too; every connection that writes must do so.
    await writer.execute("PRAGMA secure_delete = ON")
    # Not before the migrations: one may have to rebuild a table that others point to.
    await writer.execute("PRAGMA foreign_keys = ON")
    # SQLite opens a file that may only be read without a word: better told now than at the first call.
    await writer.execute("DELETE FROM tokens WHERE 0")
    # The same of a SQLite that lacks the module: no call that ends could be kept.
    await writer.execute("SELECT 0 FROM cdr_search WHERE 0")
