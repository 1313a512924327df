"""From an older schema to this code's: what is kept, what is left beside."""

import contextlib
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import aiosqlite
import pytest
import structlog

from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber
from bridge.core.store import PutDemand, PutPause
from bridge.storage.database import SqliteStore
from bridge.storage.migrations import SCHEMA, migrate
from tests.storage import kept
from tests.storage.databases import NEWEST, apply, asked, backups, content, kept_facts, schema_of
from tests.storage.mounted import can_mount, tmpfs

NEXT = NEWEST + 1
NOTE = f"""
-- A comment; with a semicolon.
ALTER TABLE tokens ADD COLUMN note TEXT;
CREATE TRIGGER note_is_short BEFORE INSERT ON tokens WHEN length(NEW.note) > 9
BEGIN
    SELECT RAISE(ABORT, 'too long; shorten it');
END;
PRAGMA user_version = {NEXT};
"""
FIRST_ROWS = """
INSERT INTO facts VALUES (1, 'pbx1', 'call.began', 1785585600123456, '1.1', NULL, NULL, NULL, '{"n":1}', '["alice"]');
INSERT INTO fact_personal VALUES (1, 'name', 'pbx1', CAST(X'4dfc' AS TEXT));
INSERT INTO cdrs VALUES (1, 'pbx1', '1.1', 1, 2, 3, 'inbound', '', '', NULL, '', '', NULL, '', '', '', 0.5, NULL);
INSERT INTO tokens VALUES ('t1', 'pbx1', '00', 'alice', 'user', '[]', 1785585600123456, NULL);
"""
FIRST_TABLES = (
    "SELECT number, systemname, kind, at, call_id, record_id, rule_id, file, data, audience FROM facts",
    "SELECT fact, name, systemname, value FROM fact_personal",
    "SELECT id, systemname, call_id, started_at, answered_at, ended_at, talked_s, hangup_cause FROM cdrs",
    "SELECT id, systemname, secret_sha256, identity, role, scopes, created_at, expires_at FROM tokens",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recbridge.db"


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SCHEMA, tmp_path / "schema"))


async def test_a_new_database_needs_no_backup(path: Path) -> None:
    await kept_facts(path, 1)
    await kept_facts(path, 1)
    assert asked(path, "PRAGMA user_version") == [(NEWEST,)]
    assert backups(path) == []


async def test_a_migration_leaves_a_backup_of_what_was(path: Path, schema: Path) -> None:
    await kept_facts(path, 3)
    (schema / f"{NEXT:04}_note.sql").write_text(NOTE)
    with structlog.testing.capture_logs() as logs:
        await apply(path, schema)
    assert asked(path, "PRAGMA user_version") == [(NEXT,)]
    assert asked(path, "SELECT note FROM tokens") == []
    (backup,) = backups(path)
    line = logs[-1]
    assert [one["event"] for one in logs] == [
        "database-upgrade",
        "database-backed-up",
        "database-schema",
        "database-upgraded",
    ]
    assert (line["event"], line["schema_was"], line["schema"]) == ("database-upgraded", NEWEST, NEXT)
    assert line["backup"] == str(backup)
    assert backup.name.startswith(f"recbridge.db.v{NEWEST}-")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert asked(backup, "PRAGMA user_version") == [(NEWEST,)]
    assert asked(backup, "SELECT count(*) FROM facts") == [(3,)]
    await apply(path, schema)
    assert backups(path) == [backup]


@pytest.fixture
async def first(path: Path, tmp_path: Path) -> Path:
    """A database of the first schema with a few rows; its folder of files is `v1`."""
    await apply(path, schema_of(1, tmp_path / "v1"))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(FIRST_ROWS)
    assert asked(path, "PRAGMA user_version") == [(1,)]
    return path


def rows_of_first(path: Path) -> list[list[tuple[object, ...]]]:
    return [asked(path, sql) for sql in FIRST_TABLES]


async def test_a_database_of_the_first_schema_gets_the_new_tables_and_keeps_its_rows(first: Path) -> None:
    before = rows_of_first(first)
    store = await SqliteStore.open(first, "pbx1")
    try:
        assert (await store.demands(), await store.pauses(), await store.user_flags()) == ([], [], {})
        await store.commit([PutDemand(kept.demand()), PutPause(kept.pause())])
        assert await store.demands() == [kept.demand()]
        (fact,) = await store.facts_after(FactNumber(0), 10)
        assert fact.fact.personal == {"name": "M\udcfc"}
    finally:
        await store.close()
    assert asked(first, "PRAGMA user_version") == [(NEWEST,)]
    assert rows_of_first(first) == before
    (backup,) = backups(first)
    assert backup.name.startswith("recbridge.db.v1-")
    assert asked(backup, "PRAGMA user_version") == [(1,)]
    assert rows_of_first(backup) == before


async def test_a_migration_over_several_versions_leaves_one_backup(first: Path, schema: Path) -> None:
    (schema / f"{NEXT:04}_note.sql").write_text(NOTE)
    await apply(first, schema)
    assert asked(first, "PRAGMA user_version") == [(NEXT,)]
    (backup,) = backups(first)
    assert asked(backup, "PRAGMA user_version") == [(1,)]


async def test_code_of_the_first_schema_refuses_the_second_and_leaves_it_alone(first: Path, tmp_path: Path) -> None:
    await kept_facts(first, 0)
    before = content(first)
    with pytest.raises(StoreError) as caught:
        await apply(first, tmp_path / "v1")
    assert caught.value.details["reason"] == "newer"
    assert content(first) == before
    assert len(backups(first)) == 1


async def test_a_copy_that_another_process_overtook_is_not_left_under_the_wrong_version(
    first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await aiosqlite.connect(first, isolation_level=None)
    execute = database.execute
    try:

        async def overtaken(sql: str, values: tuple[str, ...] = ()) -> aiosqlite.Cursor:
            if sql.startswith("VACUUM"):
                await apply(first, SCHEMA)
            return await execute(sql, values)

        monkeypatch.setattr(database, "execute", overtaken)
        await migrate(database, first)
    finally:
        await database.close()
    (backup,) = backups(first)
    assert asked(backup, "PRAGMA user_version") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_a_backup_that_root_makes_belongs_to_the_databases_owner(first: Path) -> None:
    os.chown(first, 1234, 4321)
    await kept_facts(first, 0)
    (backup,) = backups(first)
    found = backup.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 4321, 0o600)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE half (a); CREATE TABLE facts (a); PRAGMA user_version = NEXT;",
        "CREATE TABLE half (a);",
        "CREATE TABLE half (a REFERENCES facts (number)); INSERT INTO half VALUES (77); PRAGMA user_version = NEXT;",
    ],
)
async def test_a_migration_that_fails_changes_nothing(path: Path, schema: Path, sql: str) -> None:
    await kept_facts(path, 3)
    (schema / f"{NEXT:04}_broken.sql").write_text(sql.replace("NEXT", str(NEXT)))
    with pytest.raises((StoreError, sqlite3.Error)):
        await apply(path, schema)
    assert asked(path, "PRAGMA user_version") == [(NEWEST,)]
    assert asked(path, "SELECT name FROM sqlite_master WHERE name = 'half'") == []
    # A start that is tried every few seconds would fill the disk with them.
    assert backups(path) == []
    await kept_facts(path, 1)
    assert asked(path, "SELECT count(*) FROM facts") == [(4,)]


async def test_where_a_later_migration_fails_the_backup_of_what_was_first_stays(first: Path, schema: Path) -> None:
    (schema / f"{NEXT:04}_broken.sql").write_text("CREATE TABLE half (a);")
    with pytest.raises(StoreError):
        await apply(first, schema)
    assert asked(first, "PRAGMA user_version") == [(NEWEST,)]
    assert len(backups(first)) == 1


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount")
async def test_a_backup_that_finds_no_room_leaves_nothing_of_itself(first: Path, tmp_path: Path) -> None:
    asked_to_write(
        first,
        """
PRAGMA journal_mode = WAL;
WITH RECURSIVE counted (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM counted WHERE value < 9000)
INSERT INTO cdr_records (position, cdr, systemname, record_id) SELECT value, 1, 'pbx1', hex(zeroblob(100)) FROM counted;
""",
    )
    folder = tmp_path / "disk"
    folder.mkdir()
    with tmpfs(folder, 6 << 20):
        path = Path(shutil.copy(first, folder / "recbridge.db"))
        with pytest.raises(StoreError) as caught:
            await kept_facts(path, 0)
        assert caught.value.details["reason"] == "full"
        assert asked(path, "PRAGMA user_version") == [(1,)]
        assert [one.name for one in folder.iterdir() if ".bak" in one.name] == []


async def test_numbers_that_stood_in_a_facts_data_can_be_erased_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "recbridge.db"
    await apply(path, schema_of(2, tmp_path / "schema"))
    asked_to_write(
        path,
        """
INSERT INTO facts VALUES
    (1, 'pbx1', 'call.began', 1, '1.1', NULL, NULL, NULL, '{"channel":"x","dialed":"+49731"}', '[]'),
    (2, 'pbx1', 'journal.entry', 2, '1.1', NULL, NULL, NULL, '{"extension":"822","identity":"alice"}', '[]'),
    (3, 'pbx1', 'talk.began', 3, '1.1', NULL, NULL, NULL, '{"dialed":"stays"}', '[]');
INSERT INTO fact_personal VALUES (1, 'name', 'pbx1', 'Bob');
""",
    )
    store = await SqliteStore.open(path, "pbx1")
    try:
        facts = [one.fact for one in await store.facts_after(FactNumber(0), 9)]
    finally:
        await store.close()
    assert [(dict(one.data), dict(one.personal)) for one in facts] == [
        ({"channel": "x"}, {"name": "Bob", "dialed": "+49731"}),
        ({"identity": "alice"}, {"extension": "822"}),
        ({"dialed": "stays"}, {}),
    ]
    with contextlib.closing(sqlite3.connect(path)) as database, pytest.raises(sqlite3.IntegrityError, match="never"):
        database.execute("UPDATE facts SET data = '{}'")


def asked_to_write(path: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(script)
