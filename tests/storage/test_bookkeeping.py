"""What is counted beside finished calls is recounted, and what belongs to nothing is found."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.core.ids import Identity
from bridge.core.store import AddCdr
from bridge.storage.bookkeeping import misfits
from bridge.storage.database import SqliteStore
from tests.storage import kept


async def _filled(folder: Path) -> Path:
    path = folder / "recbridge.db"
    store = await SqliteStore.open(path, "pbx1")
    try:
        call = replace(kept.cdr("1.1"), participants=(Identity("alice"), Identity("alice")), queue="support")
        await store.commit([AddCdr(call), AddCdr(replace(kept.cdr("1.2"), queue=""))])
    finally:
        await store.close()
    return path


async def test_what_the_store_has_counted_fits(tmp_path: Path) -> None:
    assert misfits(await _filled(tmp_path)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE cdr_tallies SET calls = 9 WHERE kind = '' AND span = 24", "1 tallies of all calls are"),
        ("DELETE FROM cdr_tallies WHERE kind = 'queue' AND span = 720", "1 tallies of queues are"),
        ("DELETE FROM cdr_tallies WHERE kind = 'user' AND value = 'alice'", "1 tallies of users are"),
        ("INSERT INTO cdr_tallies VALUES ('tag', 'x', 1, 1, 'inbound', 'answered', 0, 'pbx1', 1)", "1 tallies of tags"),
        ("UPDATE cdr_counts SET count = count + 1", "counts of calls are"),
        ("INSERT INTO talk_spans VALUES ('1-1', 1, 'pbx1', NULL, NULL, 1, 2)", "1 rows of talk_spans"),
        ("INSERT INTO talk_asked VALUES ('1-1', 1, 'pbx1', NULL, 1, '{}', 0)", "1 rows of talk_asked"),
        (
            "INSERT INTO call_coverage (ended_at, cdr, rule_id, systemname, faulty) VALUES (1, 1, -2, 'pbx1', 0)",
            "1 rows of call_coverage",
        ),
        ("INSERT INTO cdr_notes VALUES ('n', 99, 'pbx1', 'alice', 1, 'Hello')", "1 rows point to what is gone"),
    ],
)
async def test_whatever_does_not_fit_is_told(tmp_path: Path, change: str, words: str) -> None:
    path = await _filled(tmp_path)
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute(change)
    finally:
        database.close()
    (line,) = misfits(path)
    assert words in line
