"""Brings a database to the schema of this code: numbered SQL files, one transaction each, a backup before the first."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import aiosqlite
import structlog

from bridge.core.errors import StoreError
from bridge.storage.chaining import chain_existing
from bridge.storage.linking import complete_existing

log = structlog.get_logger()

SCHEMA = Path(__file__).parent / "schema"
"""`0001_initial.sql`, `0002_….sql`: each ends by setting `user_version` to its own number."""

STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {3: chain_existing, 4: complete_existing}
"""What SQL alone cannot do, after the file of that number and in its transaction."""


async def migrate(database: aiosqlite.Connection, path: Path, folder: Path = SCHEMA) -> None:
    """Apply the files that `database` (at `path`, autocommit) has not seen yet, in order.

    Before the first of them a database of an earlier version is copied beside itself as
    `<name>.v<version>-<UTC time>.bak`; a new one, of version 0, is not. Raises StoreError for a database that is newer
    than the code or somebody else's, sqlite3.Error for what SQLite says no to, OSError where the copy cannot be made;
    the database is then as it was before the file that failed.
    """
    files = await asyncio.to_thread(_files, folder)
    # In one transaction: another process may be making the same database just now.
    await database.execute("BEGIN")
    version = await _number(database, "PRAGMA user_version")
    tables = await _number(database, "SELECT count(*) FROM sqlite_master")
    await database.execute("COMMIT")
    newest = max(files)
    if version > newest:
        raise StoreError(
            f"database {path}: it was written by a newer recbridge (schema {version}, this one knows {newest}): "
            "install that version again, or put the backup from before the upgrade back",
            reason="newer",
        )
    if version == 0 and tables:
        raise StoreError(
            f"database {path}: it belongs to another program: name another file in `database:`", reason="foreign"
        )
    backup = None
    if 0 < version < newest:
        size_mb = (await asyncio.to_thread(path.stat)).st_size >> 20
        what = "a large one takes minutes, with room for two more of it; calls are recorded when it is done"
        log.warning("database-upgrade", database=str(path), schema_is=version, schema=newest, mb=size_mb, what=what)
        backup = await _back_up(database, path, version)
        log.info("database-backed-up", backup=str(backup))
    try:
        for number in sorted(number for number in files if number > version):
            await _apply(database, files[number], number)
            if backup is not None:
                log.info("database-schema", schema=number)
    except BaseException:
        # It is what the database still is: left behind at each start, such copies would fill the disk.
        if backup is not None and await _number(database, "PRAGMA user_version") == version:
            backup.unlink(missing_ok=True)
        raise
    if backup is not None:
        log.info("database-upgraded", database=str(path), schema_was=version, schema=newest, backup=str(backup))


async def _apply(database: aiosqlite.Connection, file: Path, number: int) -> None:
    statements = list(_statements(await asyncio.to_thread(file.read_text, encoding="utf-8")))
    await database.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while we waited for the lock.
        if await _number(database, "PRAGMA user_version") < number:
            for statement in statements:
                await database.execute(statement)
            if number in STEPS:
                await database._execute(STEPS[number], database._conn)  # type: ignore[no-untyped-call]  # noqa: SLF001
            if await database.execute_fetchall("PRAGMA foreign_key_check"):
                raise StoreError(f"{file.name}: it leaves rows that point nowhere", reason="migration")
            if await _number(database, "PRAGMA user_version") != number:
                raise StoreError(f"{file.name}: it does not set user_version to {number}", reason="migration")
        await database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            await database.execute("ROLLBACK")
        raise


async def _back_up(database: aiosqlite.Connection, path: Path, version: int) -> Path:
    backup = path.with_name(f"{path.name}.v{version}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.bak")
    try:
        # Made by us first, since it holds what the database holds: nobody else may read it.
        await asyncio.to_thread(backup.touch, mode=0o600, exist_ok=False)
        await database.execute("VACUUM INTO ?", (str(backup),))
        await asyncio.to_thread(_hand_over, backup, path)
        # Where another process has migrated it meanwhile, the copy may be of a later version: that one has its own.
        if await _number(database, "PRAGMA user_version") != version:
            await asyncio.to_thread(backup.unlink)
    except BaseException:
        for rest in (backup, backup.with_name(f"{backup.name}-journal")):
            rest.unlink(missing_ok=True)
        raise
    return backup


def _files(folder: Path) -> dict[int, Path]:
    return {int(file.name[:4]): file for file in folder.glob("[0-9][0-9][0-9][0-9]_*.sql")}


def _hand_over(backup: Path, path: Path) -> None:
    """Have the copy on disk, and belong to the database's owner: a command of root's may have made it."""
    descriptor = os.open(backup, os.O_RDONLY)
    try:
        if os.geteuid() == 0:
            owner = path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _statements(script: str) -> Iterator[str]:
    """The script's statements one by one: `executescript` would commit before the first."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


async def _number(database: aiosqlite.Connection, sql: str) -> int:
    ((value,),) = await database.execute_fetchall(sql)
    return int(value)
