"""Databases full of finished calls, as a PBX with sixty users makes them, for benchmarks of what looks through them."""

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.core.cdrs import recording_uuid
from bridge.core.ids import RecordId, RuleId, SectionKey
from bridge.storage.database import SqliteStore
from bridge.storage.folding import lines
from bridge.storage.values import time_in
from tests.storage.databases import apply, schema_of

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
USERS = [f"user{n:02}" for n in range(60)]
QUEUES = [f"queue{n}" for n in range(8)]
MAIN_NUMBER = "+4973112345"
RARE_NUMBER = "+49301234567"
_BEFORE = 4
"""The schema that is filled: the way from it to the newest one is measured too."""

_CDRS = f"INSERT INTO cdrs VALUES ({', '.join('?' * 22)})"  # noqa: S608  # marks alone
_SECTIONS = """
INSERT INTO sections (id, systemname, record_id, rule_id, file, call_id, state, type, owner, leg, leg_channel,
    headchannel, tailchannel, path, requested_at, started_at, ended_at, tags, duration_s, size_bytes, sample_rate_hz,
    channels, peak, rms, sha256, stereo, leg_is_left, rate_hz, talk_id, cdr, uuid)
VALUES (?, 'pbx', ?, 1, 1, ?, 'stored', 'auto', ?, '1.1', 'PJSIP/a-1', 'PJSIP/a-1', 'PJSIP/b-1', ?, ?, ?, ?, ?, ?,
    1000000, 8000, 2, '[0.5,0.5]', '[0.1,0.1]', ?, 1, 1, 8000, '', ?, ?)
"""
_REBUILD = (
    "INSERT INTO cdr_search (cdr_search) VALUES ('rebuild')",
    "INSERT INTO recording_search (recording_search) VALUES ('rebuild')",
    "INSERT INTO cdr_counts SELECT systemname, status, recorded, direction, count(*) FROM cdrs GROUP BY 1, 2, 3, 4",
)


@dataclass(frozen=True, slots=True)
class History:
    """So many calls over so many days up to NOW."""

    calls: int
    over: timedelta


def make(path: Path, history: History) -> float:
    """Make the database as the schema before had it; gives how many seconds its upgrade took."""
    with TemporaryDirectory() as folder:
        asyncio.run(apply(path, schema_of(_BEFORE, Path(folder) / "schema")))
    database = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = OFF", "cache_size = -200000"):
            database.execute(f"PRAGMA {pragma}")
        _fill(database, history)
    finally:
        database.close()
    began = time.monotonic()
    asyncio.run(_opened(path))
    took_s = time.monotonic() - began
    for backup in path.parent.glob(f"{path.name}.v*.bak"):
        backup.unlink()
    return took_s


async def _opened(path: Path) -> None:
    await (await SqliteStore.open(path, "pbx")).close()


def _fill(database: sqlite3.Connection, history: History) -> None:
    triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    database.execute("BEGIN")
    chance = random.Random(1)
    for batch in _batches(chance, history):
        calls, records, participants, sections = zip(*batch, strict=True)
        database.executemany(_CDRS, calls)
        database.executemany("INSERT INTO cdr_records VALUES (?, 0, 'pbx', ?)", records)
        database.executemany(
            "INSERT INTO cdr_participants VALUES (?, ?, 'pbx', ?)", [row for some in participants for row in some]
        )
        database.executemany(_SECTIONS, [row for row in sections if row is not None])
    for statement in (*_REBUILD, *(sql for _, sql in triggers)):
        database.execute(statement)
    database.execute("COMMIT")


_Row = tuple[object, ...]


def _batches(chance: random.Random, history: History) -> Iterator[list[tuple[_Row, _Row, list[_Row], _Row | None]]]:
    contacts = [(f"+49{chance.randrange(10**9, 10**10)}", f"{_NAMES[n % len(_NAMES)]} {n}") for n in range(20_000)]
    first, step = NOW - history.over, history.over / history.calls
    batch = []
    for number in range(1, history.calls + 1):
        batch.append(_call(chance, number, first + step * (number - 1), contacts))
        if len(batch) == 10_000:
            yield batch
            batch = []
    if batch:
        yield batch


_NAMES = ["Maier", "Schmidt", "Quandt", "Yilmaz", "Nowak", "Rossi", "Dubois", "Jensen", "Novak", "Silva"]


def _call(
    chance: random.Random, number: int, at: datetime, contacts: list[tuple[str, str]]
) -> tuple[_Row, _Row, list[_Row], _Row | None]:
    phone, name = contacts[min(int(chance.expovariate(1 / 3000)), len(contacts) - 1)]
    if chance.random() < 0.0002:
        phone, name = RARE_NUMBER, "Zacharias Uhl"
    user, other = chance.choice(USERS), chance.choice(USERS)
    direction = chance.choices(["inbound", "outbound", "internal"], [5, 3, 2])[0]
    inside = (user.title(), f"8{USERS.index(user):02}", user)
    outside = (name, phone, None)
    source, destination = (outside, inside) if direction == "inbound" else (inside, outside)
    if direction == "internal":
        destination = (other.title(), f"8{USERS.index(other):02}", other)
    dialed = MAIN_NUMBER if direction == "inbound" else destination[1]
    queue = chance.choice(QUEUES) if direction == "inbound" and chance.random() < 0.4 else ""
    answered = chance.random() < 0.8
    talked_s = round(chance.lognormvariate(4.5, 1.2), 2) if answered else 0.0
    status = "answered" if answered else chance.choices(["unknown", "voicemail", "blocked"], [97, 2, 1])[0]
    started, ended = time_in(at) or 0, time_in(at + timedelta(seconds=8 + talked_s)) or 0
    record, call_id = f"{number}-1_{number}-2", f"{number}.1"
    recorded = answered and chance.random() < 0.75
    row = (
        number, "pbx", call_id, started, started + 8_000_000 if answered else None, ended, direction,
        source[0], source[1], source[2], destination[0], destination[1], destination[2], dialed, "from-x", queue,
        talked_s, 16, status, "", lines((source[0], source[1], destination[0], destination[1], dialed)), int(recorded),
    )  # fmt: skip
    users = list(dict.fromkeys(one for one in (source[2], destination[2]) if one is not None))
    participants: list[_Row] = [(number, position, one) for position, one in enumerate(users)]
    section: _Row | None = None
    if recorded:
        tags = [
            tag for tag, share in (("sales", 0.3), ("support", 0.2), ("complaint", 0.0005)) if chance.random() < share
        ]
        uuid = str(recording_uuid(SectionKey(RecordId(record), RuleId(1), 1)))
        section = (
            number, record, call_id, user, f"2026/03/02/{record}_1_001.wav", started + 8_000_000, started + 8_000_000,
            ended, json.dumps(tags, separators=(",", ":")), talked_s, "0" * 64, number, uuid,
        )  # fmt: skip
    return row, (number, record), participants, section
