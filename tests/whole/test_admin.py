"""What an admin does to a running daemon, by mistake or not."""

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.daemon import Daemon, free_port
from tests.network import tones
from tests.network.network import Network


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program that writes, and takes its time."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("COMMIT")


async def said(daemon: Daemon, word: str) -> None:
    async with asyncio.timeout(20):
        while word not in daemon.log:  # noqa: ASYNC110 - the daemon is another process
            await asyncio.sleep(0.02)


async def test_a_call_is_recorded_while_another_program_locks_the_database(network: Network, tmp_path: Path) -> None:
    async with Daemon(tmp_path / "b", network.pbx_ami_port, network.spool) as daemon:
        with locked(tmp_path / "b" / "recbridge.db"):
            call = await network.call("alice", "102")
            await call.answered()
            await asyncio.sleep(4)
            await call.hangup()
            await daemon.until_not_ready("database-not-written")
        entry = (await daemon.journal(2))[0]
        (section,) = await daemon.records(entry["recordId"])
        assert section["state"] == "stored"
        (path,) = daemon.spool.rglob(f"{entry['recordId']}_*.wav")
        assert tones.who(path) == {"alice", "bob"}


async def test_a_second_daemon_with_the_same_database_does_not_start(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "b", free_port(), tmp_path / "spool", wait_ready=False) as daemon:
        other = tmp_path / "other.yml"
        other.write_text(daemon.config.read_text().replace(str(daemon.http_port), str(free_port())))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge", "run", "--config", str(other), stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            _, err = await process.communicate()
        (line,) = err.decode().splitlines()
        assert process.returncode == 1
        assert "another recbridge runs with it already" in line
        await daemon.kill()
        await daemon.start()  # a lock does not outlive its daemon


@pytest.mark.parametrize(
    ("more", "event"),
    [("retention: {keep: 9d}\n", "configuration-changed"), ("retenton: {}\n", "configuration-refused")],
)
async def test_a_reload_says_that_a_changed_configuration_is_not_in_force(
    tmp_path: Path, more: str, event: str
) -> None:
    async with Daemon(tmp_path / "b", free_port(), tmp_path / "spool", wait_ready=False) as daemon:
        daemon.hang_up()
        await said(daemon, "rules-loaded")
        daemon.config.write_text(daemon.config.read_text() + more)
        daemon.hang_up()
        await said(daemon, event)
        assert daemon.log.count('"configuration-') == 1


async def test_what_cannot_be_reached_comes_with_its_remedy(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "b", free_port(), tmp_path / "spool", wait_ready=False) as daemon:
        await daemon.until_not_ready("asterisk-unreachable")
        _, body = await daemon.get("/ready")
        assert "manager.conf" in body["messages"][0]["message"]
        assert "manager.conf" in (await daemon.command("calls"))[2]
