"""Database files, made, migrated and looked into beside the store."""

import shutil
import sqlite3
from pathlib import Path

import aiosqlite

from bridge.core.store import AppendFact
from bridge.storage.database import SqliteStore
from bridge.storage.migrations import SCHEMA, migrate
from bridge.storage.values import text_out
from tests.storage import kept

NEWEST = len(list(SCHEMA.glob("*.sql")))


def schema_of(version: int, folder: Path) -> Path:
    """The schema files of the code that knew no later ones."""
    folder.mkdir()
    for file in SCHEMA.glob("*.sql"):
        if int(file.name[:4]) <= version:
            shutil.copy(file, folder)
    return folder


async def kept_facts(path: Path, count: int) -> None:
    store = await SqliteStore.open(path, "pbx1")
    try:
        await store.commit([AppendFact(kept.fact(n=n)) for n in range(count)])
    finally:
        await store.close()


async def apply(path: Path, folder: Path) -> None:
    database = await aiosqlite.connect(path, isolation_level=None)
    try:
        await migrate(database, path, folder)
    finally:
        await database.close()


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(path)
    database.text_factory = text_out
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def content(path: Path) -> bytes:
    return path.read_bytes()


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.bak"))
