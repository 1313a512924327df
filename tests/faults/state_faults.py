"""The daemon's clock goes back; its database is locked by another program."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.faults.account import Account, account
from tests.faults.scenarios import book
from tests.faults.seen import Seen
from tests.faults.stage import Stage
from tests.network import config


async def clock_back(stage: Stage) -> None:
    """The daemon's clock goes back an hour in mid-call."""
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(2)
    os.kill(stage.daemon.pid, signal.SIGUSR1)
    await asyncio.sleep(10)
    await call.hangup()


def judge_clock(_: Stage, seen: Seen) -> Account:
    made = account(seen, CLOCK.rules)
    rows = [*(one for ones in seen.records.values() for one in ones), *seen.journal]
    made.faults += [f"a negative time in {row}" for row in rows
                    if (row.get("duration") or 0) < 0 or (row.get("connected") or 0) < 0
                    or (row.get("endedAt") or 2**62) < (row.get("startedAt") or 0)]  # fmt: skip
    cut = [one for ones in seen.records.values() for one in ones]
    made.faults += [f"{len(cut)} sections of 12 s at most 10 s each"] * (len(cut) != 2)
    return made


CLOCK = book("All", "record: always, section: 10s")
_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@asynccontextmanager
async def _locked(database: Path) -> AsyncIterator[None]:
    """Another process has the database for itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LOCK, str(database), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    try:
        yield
    finally:
        process.stdin.close()
        await process.wait()


async def database_locked(stage: Stage, *, killed: bool) -> None:
    """A call goes on, one begins and ends, one begins and goes on while another program has the database."""
    net = stage.net
    goes_on = await net.call("alice", "102")
    await goes_on.answered()
    await asyncio.sleep(1)
    async with _locked(stage.work / "recbridge.db"):
        began = time.time()
        ends = await net.call("carol", "104")
        await ends.answered()
        # The first intent that the database does not take makes its MixMonitor half a second late.
        stage.daemon.away.append((began, time.time()))
        begins = await net.inbound(did=config.BOB_DID)
        await begins.answered()
        await asyncio.sleep(4)
        await ends.hangup()
        await asyncio.sleep(5)
        if killed:
            await stage.daemon.down()
    if killed:
        await stage.daemon.back()
    await asyncio.sleep(1.5)
    for call in (goes_on, begins):
        await call.hangup()
