"""The database is locked by another program while there is a call, and the daemon is killed: all is there once."""

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.network import Network
from tests.whole.test_main_job import wav

TALK_S = 3.0
RULE = "rules:\n  - {id: 1, name: All, record: always}\n"


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program that has the database for itself."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("COMMIT")


@pytest.fixture
def daemon(network: Network, tmp_path: Path) -> Daemon:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10.yml").write_text(RULE)
    return Daemon(tmp_path / "b", network.pbx_ami_port, network.spool, rules=rules)


def asked(daemon: Daemon, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(daemon.work / "recbridge.db")) as database:
        return database.execute(sql).fetchall()


def intents(daemon: Daemon) -> bytes:
    """What waits in the file beside the database."""
    first, _, rest = (daemon.work / "recbridge.db.intents").read_bytes().rstrip(b"\0").partition(b"\n")
    assert first == b"recbridge intents 1"
    return rest


async def until_in_file(daemon: Daemon, *words: str) -> None:
    async with asyncio.timeout(30):
        while not all(word.encode() in intents(daemon) for word in words):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)


async def all_is_there_once(daemon: Daemon, least_s: float, count: int = 1) -> None:
    """A journal entry for each of the two, one CDR, facts without gaps, whole WAVs, and an empty file."""
    entries = await daemon.journal(2)
    assert Counter(entry["userName"] for entry in entries) == {"alice": 1, "bob": 1}
    record_id = entries[0]["recordId"]
    sections = await daemon.records(record_id)
    assert [(one["file"], one["state"]) for one in sections] == [(n + 1, "stored") for n in range(count)]
    seconds = 0.0
    for section in sections:
        path = wav(daemon, record_id, section)
        assert tones.who(path) == {"alice", "bob"}
        assert path.stat().st_size == section["audioFiles"][0]["size"]
        seconds += section["duration"]
    assert seconds > least_s
    assert len(asked(daemon, "SELECT * FROM cdrs")) == 1
    kinds = Counter(kind for (kind,) in asked(daemon, "SELECT kind FROM facts"))
    assert kinds["call.ended"] == kinds["call.began"] == 1
    assert kinds["section.requested"] == kinds["section.stored"] == count
    assert kinds["journal.entry"] == 2
    numbers = [number for (number,) in asked(daemon, "SELECT number FROM facts ORDER BY number")]
    assert numbers == list(range(1, len(numbers) + 1))
    async with asyncio.timeout(20):
        while intents(daemon):  # noqa: ASYNC110 - another process empties it
            await asyncio.sleep(0.05)


async def test_a_call_under_a_lock_and_a_kill_before_it_is_lifted(network: Network, daemon: Daemon) -> None:
    async with daemon:
        with locked(daemon.work / "recbridge.db"):
            call = await network.call("alice", "102")
            await call.answered()
            await daemon.until_not_ready("database-not-written")
            await asyncio.sleep(TALK_S)
            await call.hangup()
            await until_in_file(daemon, '"state":"stored"', '"AddCdr"', '"AddJournalEntry"')
            await daemon.kill()
        assert asked(daemon, "SELECT * FROM sections") == []
        await daemon.start()
        await all_is_there_once(daemon, least_s=TALK_S - 1)
        (taken,) = [json.loads(line) for line in daemon.log.splitlines() if "intents-taken-in" in line]
        assert taken["changes"] > 10
        facts = asked(daemon, "SELECT kind, data FROM facts WHERE kind LIKE 'database.%' ORDER BY number")
        assert [(kind, json.loads(data)["reason"]) for kind, data in facts] == [
            ("database.trouble", "locked"),
            ("database.well", "restart"),
        ]


async def test_a_kill_in_the_middle_of_a_call_under_a_lock(network: Network, daemon: Daemon) -> None:
    async with daemon:
        with locked(daemon.work / "recbridge.db"):
            call = await network.call("alice", "102")
            await call.answered()
            await until_in_file(daemon, '"state":"recording"')
            await asyncio.sleep(TALK_S / 2)
            await daemon.kill()
        await daemon.start()
        await asyncio.sleep(TALK_S / 2)
        await call.hangup()
        await all_is_there_once(daemon, least_s=TALK_S - 1)


async def test_a_stop_under_a_lock(network: Network, daemon: Daemon) -> None:
    async with daemon:
        with locked(daemon.work / "recbridge.db"):
            call = await network.call("alice", "102")
            await call.answered()
            await asyncio.sleep(TALK_S)
            await call.hangup()
            await until_in_file(daemon, '"AddCdr"', '"state":"stored"')
            assert await daemon.stop() == 0
        await daemon.start()
        await all_is_there_once(daemon, least_s=TALK_S - 1)


async def test_a_file_that_the_database_does_not_know_is_not_written_over(network: Network, tmp_path: Path) -> None:
    """The database was lost, or an older one was put back, while a call runs: numbers go on after the files' own."""
    async with Daemon(tmp_path / "b", network.pbx_ami_port, network.spool) as daemon:
        call = await network.call("alice", "102")
        await call.answered()
        await network.wait_for_event(lambda event: event["Event"] == "MixMonitorStart")
        await asyncio.sleep(1)
        await daemon.kill()
        for file in daemon.work.glob("recbridge.db*"):
            file.unlink()
        before = {path.name for path in network.spool.rglob("*_001.wav")}
        daemon.token = ""
        await daemon.start()
        await asyncio.sleep(1)
        await call.hangup()
        entry = (await daemon.journal(2))[0]
        assert [(one["file"], one["state"]) for one in await daemon.records(entry["recordId"])] == [(2, "stored")]
        assert f"{entry['recordId']}_1_001.wav" in before
