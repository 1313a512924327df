"""Opening databases of every kind: new, older, newer, damaged, somebody else's."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.core.errors import StoreError
from bridge.core.store import AppendFact
from bridge.storage.database import SqliteStore
from bridge.storage.migrations import SCHEMA
from bridge.storage.sqlite_errors import store_error
from tests.storage import kept
from tests.storage.databases import asked, content, kept_facts
from tests.storage.rights import without_rights


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recbridge.db"


def test_every_schema_file_has_its_place() -> None:
    numbers = sorted(int(file.name[:4]) for file in SCHEMA.glob("*.sql"))
    assert numbers == list(range(1, len(numbers) + 1))


async def test_every_row_carries_the_systemname(path: Path) -> None:
    await kept_facts(path, 0)
    tables = asked(path, "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    assert len(tables) > 13
    # A full-text index has only what it was made from.
    for name, sql in [(name, sql) for name, sql in tables if "_search" not in str(name)]:
        assert "systemname TEXT NOT NULL" in str(sql), name
        assert "STRICT" in str(sql), name


async def test_two_that_open_a_new_database_at_once_both_get_it(path: Path) -> None:
    results = await asyncio.gather(*(SqliteStore.open(path, "pbx1") for _ in range(4)), return_exceptions=True)
    stores = [result for result in results if isinstance(result, SqliteStore)]
    try:
        assert [result for result in results if result not in stores] == []
        for store in stores:
            await store.commit([AppendFact(kept.fact())])
        assert await stores[0].fact_bounds() == (1, 4)
    finally:
        for store in stores:
            await store.close()


async def refused(path: Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await (await SqliteStore.open(path, "pbx1", busy_s=0.2)).close()
    assert str(path) in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "sql", ["CREATE VIRTUAL TABLE t USING fts99 (x)", "CREATE VIRTUAL TABLE t USING fts5 (x, tokenize = 'fourgram')"]
)
def test_a_sqlite_without_what_searches_need_is_told_with_the_remedy(path: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as database, pytest.raises(sqlite3.Error) as caught:
        database.execute(sql)
    error = store_error(caught.value, path)
    assert error.details["reason"] == "no-fts5"
    assert "a Python whose SQLite is 3.38 or newer and has FTS5" in error.message


async def test_a_sqlite_without_fts5_is_refused_before_any_call_ends(path: Path) -> None:
    await kept_facts(path, 1)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = replace(sql, 'fts5', 'fts99') WHERE name = 'cdr_search'")
        database.commit()
    assert (await refused(path)).details["reason"] == "no-fts5"


async def test_a_newer_database_is_refused_and_left_alone(path: Path) -> None:
    await kept_facts(path, 1)
    asked(path, "PRAGMA user_version = 99")
    error = await refused(path)
    assert error.details["reason"] == "newer"
    assert "99" in error.message
    assert asked(path, "PRAGMA user_version") == [(99,)]


async def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    asked(path, "CREATE TABLE theirs (a)")
    before = content(path)
    assert (await refused(path)).details["reason"] == "foreign"
    assert content(path) == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"rules:\n" * 1000)
    error = asyncio.run(refused(path))
    assert error.details["reason"] == "corrupt"
    assert "no SQLite database" in error.message


async def test_a_damaged_database_is_refused_with_the_remedy(path: Path) -> None:
    await kept_facts(path, 2000)
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xa5" * 4096 * 8)
    error = await refused(path)
    assert error.details["reason"] == "corrupt"
    assert "backup" in error.message
    assert ".recover" in error.message


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    error = await refused(tmp_path / "missing" / "recbridge.db")
    assert error.details["reason"] == "cannot-open"
    assert "make the folder" in error.message


def test_a_database_that_may_only_be_read_is_refused_at_once() -> None:
    with TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        path = Path(made) / "recbridge.db"
        asyncio.run(kept_facts(path, 1))
        path.chmod(0o444)
        with without_rights():
            error = asyncio.run(refused(path))
    assert error.details["reason"] == "read-only"
    assert "belong to recbridge's user" in error.message


async def test_a_database_that_stays_locked_is_refused_and_opens_later(path: Path) -> None:
    await kept_facts(path, 1)
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert (await refused(path)).details["reason"] == "locked"
    finally:
        other.close()
    await kept_facts(path, 1)
