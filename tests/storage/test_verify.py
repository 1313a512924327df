"""What was changed behind the daemon's back is found, and named."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from bridge.core.chain import GENESIS, Head, next_hash
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber
from bridge.core.store import AppendFact
from bridge.storage import rows
from bridge.storage.chaining import BEFORE_ALL, plain_rows, read_page
from bridge.storage.database import SqliteStore
from bridge.storage.findings import Findings
from bridge.storage.verify import verify
from tests.storage import kept
from tests.storage.chained import COUNT, STORED, database_of, file_of, head_at, look, make, tamper
from tests.storage.databases import apply, asked, kept_facts, schema_of
from tests.storage.rights import without_rights


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    asyncio.run(make(folder))
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return copied(original, tmp_path / "copy")


def copied(original: Path, folder: Path) -> Path:
    return Path(shutil.copytree(original, folder))


def test_what_nobody_has_changed_fits(folder: Path) -> None:
    found = look(folder)
    assert (found.first, found.misfits) == (None, 0)
    assert (found.facts, found.sections, found.deleted, found.erased) == (COUNT, 3, 1, 1)
    assert (found.files, found.bytes) == (2, 10_000)
    assert found.head == head_at(folder, COUNT)


def test_an_empty_database_fits(folder: Path) -> None:
    database_of(folder).unlink()
    asyncio.run(kept_facts(database_of(folder), 0))
    assert look(folder).head == Head(FactNumber(0), GENESIS)


def copy_of(table: str, key: str, of: int, value: int) -> str:
    """One row more, like another but for its key."""
    unique = ", id = (SELECT max(id) + 1 FROM sections)" if table == "sections" else ""
    return f"""
        CREATE TEMP TABLE one AS SELECT * FROM {table} WHERE {key} = {of};
        UPDATE one SET {key} = {value}{unique};
        INSERT INTO {table} SELECT * FROM one
    """  # noqa: S608


SWAP = """
UPDATE facts SET number = -1 WHERE number = 1;
UPDATE facts SET number = 1 WHERE number = 2;
UPDATE facts SET number = 2 WHERE number = -1
"""
CHANGES = [
    ("UPDATE facts SET data = '{\"n\":7}' WHERE number = 2", "fact-changed", 2),
    ("UPDATE facts SET at = at + 1 WHERE number = 4", "fact-changed", 4),
    ("UPDATE facts SET audience = '[\"eve\"]' WHERE number = 3", "fact-changed", 3),
    ("UPDATE facts SET systemname = 'pbx2' WHERE number = 1", "fact-changed", 1),
    ("UPDATE facts SET call_id = NULL WHERE number = 9", "fact-changed", 9),
    ("UPDATE facts SET hash = zeroblob(32) WHERE number = 5", "fact-changed", 5),
    ("UPDATE facts SET hash = NULL WHERE number = 5", "fact-changed", 5),
    ("DELETE FROM facts WHERE number = 5", "fact-missing", 5),
    ("DELETE FROM facts WHERE number = 1", "fact-missing", 1),
    ("DELETE FROM facts WHERE number > 7", "fact-missing", 8),
    (copy_of("facts", "number", 1, 0), "fact-added", 0),
    (SWAP, "fact-changed", 1),
    ("UPDATE fact_personal SET value = 'Eve' WHERE fact = 3 AND name = 'name'", "personal-changed", 3),
    ("UPDATE fact_personal SET value = 'Eve', salt = zeroblob(16) WHERE fact = 2", "personal-changed", 2),
    ("UPDATE fact_personal SET value = NULL WHERE fact = 3 AND name = 'name'", "personal-changed", 3),
    ("UPDATE fact_personal SET salt = NULL WHERE fact = 3 AND name = 'name'", "personal-changed", 3),
    ("UPDATE fact_personal SET digest = zeroblob(32) WHERE fact = 2", "fact-changed", 2),
    ("DELETE FROM fact_personal WHERE fact = 2", "fact-changed", 2),
    ("INSERT INTO fact_personal VALUES (2, 'words', 'pbx1', 'x', x'', x'')", "personal-changed", 2),
    ("INSERT INTO fact_personal VALUES (77, 'words', 'pbx1', 'x', x'', x'')", "fact-missing", 77),
    ("UPDATE sections SET sha256 = 'ab' WHERE file = 1", "section-changed", STORED[0]),
    ("UPDATE sections SET path = '2026/08/01/x.wav' WHERE file = 2", "section-changed", STORED[1]),
    ("UPDATE sections SET size_bytes = 1 WHERE file = 2", "section-changed", STORED[1]),
    ("UPDATE sections SET duration_s = 1 WHERE file = 3", "section-changed", STORED[2]),
    ("UPDATE sections SET state = 'failed' WHERE file = 1", "section-changed", STORED[0]),
    ("DELETE FROM sections WHERE file = 1", "section-missing", STORED[0]),
    ("UPDATE sections SET record_id = 'a_b' WHERE file = 1", "section-missing", STORED[0]),
    ("UPDATE sections SET deleted_at = NULL WHERE file = 3", "file-missing", STORED[2]),
    ("UPDATE sections SET deleted_at = 1 WHERE file = 1", "section-without-fact", None),
    (copy_of("sections", "file", 1, 9), "section-without-fact", None),
]


@pytest.mark.parametrize(("sql", "what", "fact"), CHANGES)
def test_a_change_in_the_database_is_named(folder: Path, sql: str, what: str, fact: int | None) -> None:
    tamper(folder, sql)
    first = look(folder).first
    assert first is not None
    assert (first.what, first.fact) == (what, fact)
    if fact is not None:
        assert first.message.startswith(("fact ", "facts "))
        assert str(fact) in first.message


def one_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4321)
        file.write(b"\xff")


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def no_plain_file(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link(path: Path) -> None:
    path.rename(path.with_suffix(".other"))
    path.symlink_to(path.with_suffix(".other"))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (one_byte, "file-changed"),
        (longer, "file-changed"),
        (lambda path: os.truncate(path, 4999), "file-changed"),
        (lambda path: os.truncate(path, 0), "file-changed"),
        (Path.unlink, "file-missing"),
        (lambda path: shutil.rmtree(path.parent), "file-missing"),
        (no_plain_file, "file-unreadable"),
        (a_link, "file-unreadable"),
    ],
)
def test_a_change_of_a_file_is_named(folder: Path, change: Callable[[Path], None], what: str) -> None:
    change(file_of(folder, 1))
    first = look(folder).first
    assert first is not None
    assert (first.what, first.fact, first.section) == (what, STORED[0], kept.section(1).key)
    assert first.path == kept.section(1).path
    assert kept.section(1).path in first.message


def test_a_deleted_file_that_is_there_again_is_named(folder: Path) -> None:
    file_of(folder, 3).write_bytes(b"x")
    first = look(folder).first
    assert first is not None
    assert (first.what, first.fact) == ("file-not-deleted", 8)


def test_files_can_be_left_out(folder: Path) -> None:
    file_of(folder, 1).unlink()
    tamper(folder, "")
    found = look(folder, files=False)
    assert (found.first, found.files, found.sections) == (None, 0, 3)


def test_the_rest_is_counted(folder: Path) -> None:
    tamper(folder, "UPDATE facts SET data = '{}' WHERE number IN (2, 7); DELETE FROM facts WHERE number = 5")
    file_of(folder, 1).unlink()
    found = look(folder)
    assert found.first is not None
    assert found.first.fact == 2
    # Facts 2, 5 and 7; the first section's file; what fact 7 should say of the third's.
    assert found.misfits == 5


def rehash(folder: Path) -> None:
    """Chain all facts anew, as who rewrites everything would."""
    with closing(sqlite3.connect(database_of(folder))) as database, plain_rows(database):
        page, head = read_page(database, BEFORE_ALL, 100), GENESIS
        for row in page.facts:
            personal = [rows.digest_of(one) for one in page.personal if one["fact"] == row["number"]]
            head = next_hash(head, rows.chained(row), personal)
            database.execute("UPDATE facts SET hash = ? WHERE number = ?", (head, row["number"]))
        database.commit()


def test_a_chain_that_was_rewritten_is_found_by_a_head_that_was_kept(folder: Path) -> None:
    early, late = head_at(folder, 1), head_at(folder, 5)
    tamper(folder, "UPDATE facts SET data = '{}' WHERE number = 2")
    rehash(folder)
    assert look(folder).first is None
    assert look(folder, expected=[early]).first is None
    found = look(folder, expected=[late, early])
    assert found.first is not None
    assert (found.first.what, found.first.fact, found.misfits) == ("head-differs", 5, 1)


def test_an_end_that_was_cut_off_without_a_trace_is_found_by_a_head_that_was_kept(folder: Path) -> None:
    late = head_at(folder, COUNT)
    tamper(folder, "DELETE FROM facts WHERE number > 8; UPDATE sqlite_sequence SET seq = 8 WHERE name = 'facts'; "
                   "DELETE FROM fact_personal WHERE fact > 8")  # fmt: skip
    assert look(folder).first is None
    found = look(folder, expected=[late])
    assert found.first is not None
    assert (found.first.what, found.first.fact) == ("head-differs", COUNT)


def test_a_walk_may_begin_after_a_head_that_was_kept(folder: Path) -> None:
    since = head_at(folder, 4)
    tamper(folder, "UPDATE facts SET data = '{}' WHERE number = 2")
    found = look(folder, since=since)
    assert (found.first, found.facts, found.files) == (None, COUNT - 4, 1)
    assert found.head == head_at(folder, COUNT)
    tamper(folder, "UPDATE facts SET data = '[]' WHERE number = 5")
    first = look(folder, since=since).first
    assert first is not None
    assert (first.what, first.fact) == ("fact-changed", 5)


@pytest.mark.parametrize("number", [0, 4, COUNT, COUNT + 1, 10**18 - 1])
def test_a_walk_from_a_head_that_is_not_there_says_so(folder: Path, number: int) -> None:
    first = look(folder, since=Head(FactNumber(number), bytes([1]) * 32)).first
    assert first is not None
    assert (first.what, first.fact) == ("head-differs", number)


def test_heads_before_the_walk_are_expected_too(folder: Path) -> None:
    since = head_at(folder, 4)
    good, bad = head_at(folder, 2), Head(FactNumber(3), bytes(32))
    assert look(folder, since=since, expected=[good, since]).first is None
    found = look(folder, since=since, expected=[good, bad])
    assert found.first is not None
    assert (found.first.fact, found.misfits) == (3, 1)


COLUMNS = {
    "facts": {
        "number": int, "systemname": str, "kind": str, "at": int, "call_id": str, "record_id": str, "rule_id": int,
        "file": int, "data": str, "audience": str, "hash": bytes,
    },
    "fact_personal": {"fact": int, "name": str, "systemname": str, "value": str, "salt": bytes, "digest": bytes},
}  # fmt: skip
VALUES: dict[type, st.SearchStrategy[object]] = {
    int: st.integers(-(2**63), 2**63 - 1) | st.integers(-1, COUNT + 1),
    str: st.text(max_size=4).map(lambda text: text.encode("utf-8", "replace")),
    bytes: st.binary(max_size=33),
}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_of_a_value_of_a_fact_is_found(
    original: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    table = data.draw(st.sampled_from(sorted(COLUMNS)))
    column = data.draw(st.sampled_from(sorted(COLUMNS[table])))
    value = data.draw(st.none() | VALUES[COLUMNS[table][column]])
    folder = tmp_path_factory.getbasetemp() / "changed"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(database_of(original), database_of(folder))
    tamper(folder, "")
    with closing(sqlite3.connect(database_of(folder))) as database:
        columns = "number, NULL" if table == "facts" else "fact, name"
        keys = data.draw(st.sampled_from(database.execute(f"SELECT {columns} FROM {table}").fetchall()))  # noqa: S608
        bound = "CAST(:value AS TEXT)" if COLUMNS[table][column] is str else ":value"
        key = "number = :one" if table == "facts" else "fact = :one AND name = :two"
        sql = f"UPDATE {table} SET {column} = {bound} WHERE {key} AND {column} IS NOT {bound}"  # noqa: S608
        try:
            changed = database.execute(sql, {"value": value, "one": keys[0], "two": keys[1]}).rowcount
        except sqlite3.IntegrityError:
            reject()
        database.commit()
    assert look(folder, files=False).misfits >= changed
    assert changed or look(folder, files=False).misfits == 0


def test_the_daemon_and_a_command_that_write_at_once_keep_one_chain(tmp_path: Path) -> None:
    asyncio.run(kept_facts(database_of(tmp_path), 0))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(database_of(tmp_path))]) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = look(tmp_path, files=False)
    assert (found.first, found.facts, found.personal) == (None, 3 * 200, 3 * 200)


WRITER = """
import asyncio, sys
from pathlib import Path
from bridge.core.store import AppendFact
from bridge.storage.database import SqliteStore
from tests.storage import kept

async def write():
    store = await SqliteStore.open(Path(sys.argv[1]), "pbx1")
    for n in range(100):
        await store.commit([AppendFact(kept.fact(n=n)), AppendFact(kept.fact(n=n))])
    await store.close()

asyncio.run(write())
"""


async def test_facts_that_come_during_a_walk_are_walked_too(tmp_path: Path) -> None:
    database = database_of(tmp_path)
    await kept_facts(database, 1200)
    store = await SqliteStore.open(database, "pbx1")
    loop = asyncio.get_running_loop()
    try:

        def one_more(found: Findings) -> None:
            if found.facts < 1700:
                asyncio.run_coroutine_threadsafe(store.commit([AppendFact(kept.fact())] * 100), loop).result(30)

        found = await asyncio.to_thread(verify, database, None, None, (), one_more)
        _, last = await store.fact_bounds()
    finally:
        await store.close()
    assert (found.first, found.facts, found.head.number) == (None, last, last)
    assert last > 1200


def test_a_copy_on_a_disk_that_cannot_be_written_can_be_looked_at(original: Path) -> None:
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = copied(original, Path(made) / "copy")
        database_of(folder).chmod(0o644)
        (folder / "recbridge.db-wal").touch()
        folder.chmod(0o555)
        with without_rights():
            assert look(folder).first is None
        folder.chmod(0o755)


def test_looking_changes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    look(folder)
    # -wal and -shm are the next writer's to take away.
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.db")}.items() <= before.items()
    assert look(folder).first is None


def refused(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        verify(path, None)
    assert str(path) in caught.value.message
    return str(caught.value.details["reason"])


async def test_what_is_no_database_of_this_schema_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "missing.db") == "missing"
    older = tmp_path / "older.db"
    await apply(older, schema_of(2, tmp_path / "v2"))
    assert refused(older) == "older"
    foreign = tmp_path / "foreign.db"
    asked(foreign, "CREATE TABLE theirs (a)")
    assert refused(foreign) == "foreign"
    asked(older, "PRAGMA user_version = 99")
    assert refused(older) == "newer"
    garbled = tmp_path / "garbled.db"
    garbled.write_bytes(b"rules:" * 1000)
    assert refused(garbled) == "corrupt"
