"""Databases of schemas that knew no chain."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage import kept
from tests.storage.chained import database_of, file_of, head_at, look, tamper
from tests.storage.databases import apply, asked, backups, kept_facts, schema_of

AUDIO = b"\1\2" * 3000
MANY = """
WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 2500)
INSERT INTO facts SELECT n, 'pbx1', 'call.began', 1785585600123456 + n, n || '.1', NULL, NULL, NULL,
    CASE n % 2 WHEN 1 THEN '{"dialed":"0' || n || '"}' ELSE '{"x":"\\u00fc\\udcfc"}' END, '["alice"]' FROM counted;
INSERT INTO fact_personal (fact, name, systemname, value)
    SELECT number, 'name', systemname, CASE number WHEN 7 THEN NULL ELSE CAST(X'4dfc' AS TEXT) END FROM facts;
"""
STORED = """
INSERT INTO facts VALUES (2501, 'pbx1', 'section.stored', 1785585600123456, '1.1', :record, 1, 1, '{"state":"stored"}',
    '[]');
"""
SECTION = """
INSERT INTO sections (systemname, record_id, rule_id, file, call_id, state, type, leg, leg_channel, headchannel,
    tailchannel, path, requested_at, tags, stereo, leg_is_left, rate_hz, sha256, size_bytes, duration_s)
VALUES ('pbx1', :record, 1, 1, '1.1', 'stored', 'auto', '1.1', 'a', 'a', 'b', :path, 1, '[]', 0, 0, 8000, :sha256,
    :size, 0.1234567890123456789)
"""


@pytest.fixture(params=[1, 2])
async def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a database that was filled by an older schema's code."""
    database = database_of(tmp_path)
    await apply(database, schema_of(request.param, tmp_path / "schema"))
    section = kept.section(1)
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(MANY)
        connection.execute(STORED, {"record": section.record_id})
        values = {"record": section.record_id, "path": section.path, "size": len(AUDIO)}
        connection.execute(SECTION, {**values, "sha256": hashlib.sha256(AUDIO).hexdigest()})
        connection.commit()
    file_of(tmp_path, 1).parent.mkdir(parents=True)
    file_of(tmp_path, 1).write_bytes(AUDIO)
    await kept_facts(database, 1)
    return tmp_path


async def test_what_was_there_is_chained_with_what_comes(upgraded: Path) -> None:
    found = look(upgraded)
    assert (found.first, found.facts, found.files) == (None, 2502, 1)
    # The number that was dialled was among the data of every second one.
    assert (found.personal, found.erased) == (2500 + 1250 + 1, 1)
    assert found.head == head_at(upgraded, 2502)
    assert len(backups(database_of(upgraded))) == 1


async def test_a_fact_of_before_says_what_its_file_was(upgraded: Path) -> None:
    file_of(upgraded, 1).write_bytes(AUDIO[::-1])
    first = look(upgraded).first
    assert first is not None
    assert (first.what, first.fact) == ("file-changed", 2501)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE facts SET at = at + 1 WHERE number = 1001",
        "UPDATE fact_personal SET value = 'Eve' WHERE fact = 1001 AND name = 'name'",
        "UPDATE fact_personal SET value = 'Eve', salt = x'00' WHERE fact = 7 AND name = 'name'",
        "UPDATE fact_personal SET value = '0' WHERE fact = 2499 AND name = 'dialed'",
    ],
)
async def test_a_change_of_what_was_there_is_found(upgraded: Path, sql: str) -> None:
    tamper(upgraded, sql)
    assert look(upgraded).misfits == 1


async def test_what_was_there_is_guarded_again(upgraded: Path) -> None:
    for sql in ("UPDATE facts SET at = 1", "UPDATE fact_personal SET value = 'Eve'", "DELETE FROM facts"):
        with pytest.raises(sqlite3.IntegrityError):
            asked(database_of(upgraded), sql)


async def test_no_two_values_have_the_same_salt(upgraded: Path) -> None:
    sql = "SELECT count(salt), count(DISTINCT salt), count(DISTINCT digest), count(*) FROM fact_personal"
    ((salts, distinct, digests, count),) = asked(database_of(upgraded), sql)
    assert (salts, distinct, digests) == (3750, 3750, count)
