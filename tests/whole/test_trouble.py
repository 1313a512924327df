"""What an admin sees when something is not as it should be, and what is kept all the same."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.demo.daemon import Daemon, free_port
from tests.network import config, tones
from tests.network.network import Network
from tests.whole.test_main_job import talk


async def words(daemon: Daemon) -> dict[str, str]:
    """The reasons that /ready gives an admin."""
    status, body = await daemon.get("/ready")
    assert status == 503
    return {one["code"]: one["message"] for one in body["messages"]}


async def test_an_asterisk_that_is_not_there_is_named_and_waited_for(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "b", free_port(), tmp_path / "spool", wait_ready=False) as daemon:
        await daemon.until_not_ready("asterisk-unreachable")
        assert "127.0.0.1" in (await words(daemon))["asterisk-unreachable"]


async def test_a_wrong_password_is_said_once_and_clearly(network: Network, tmp_path: Path) -> None:
    async with Daemon(tmp_path / "b", network.pbx_ami_port, network.spool, secret="wrong", wait_ready=False) as daemon:
        await daemon.until_not_ready("asterisk-login-refused")
        assert "manager.conf" in (await words(daemon))["asterisk-login-refused"]
        assert daemon.log.count("asterisk-login-refused") == 1
        assert "wrong" not in daemon.log


async def test_missing_rights_are_named_with_their_remedy(network: Network, tmp_path: Path) -> None:
    async with Daemon(
        tmp_path / "b",
        network.pbx_ami_port,
        network.spool,
        username=config.LISTENER_USER,
        secret=config.LISTENER_SECRET,
        wait_ready=False,
    ) as daemon:
        await daemon.until_not_ready("asterisk-rights-missing")
        assert "system" in (await words(daemon))["asterisk-rights-missing"]


async def test_a_spool_that_the_two_do_not_share_is_found_out(network: Network, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "b", network.pbx_ami_port, network.spool)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    daemon.local_spool = elsewhere
    async with daemon:
        await talk(network, "alice", "102")
        await talk(network, "alice", "102")
        await daemon.until_not_ready("spool-not-shared")
        assert str(elsewhere) in (await words(daemon))["spool-not-shared"]
        entry = (await daemon.journal(4))[0]
        (section,) = await daemon.records(entry["recordId"])
        assert (section["state"], section["reason"]) == ("failed", "file-missing")


async def test_a_missing_spool_does_not_keep_it_from_starting(network: Network, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    async with Daemon(tmp_path / "b", network.pbx_ami_port, missing, wait_ready=False) as daemon:
        await daemon.until_not_ready("spool-missing")


async def test_a_daemon_killed_in_a_call_goes_on_with_its_recording(network: Network, tmp_path: Path) -> None:
    async with Daemon(tmp_path / "b", network.pbx_ami_port, network.spool) as daemon:
        call = await network.call("alice", "102")
        await call.answered()
        await asyncio.sleep(1)
        await daemon.kill()
        await asyncio.sleep(0.5)
        await daemon.start()
        await asyncio.sleep(1)
        await call.hangup()
        entry = (await daemon.journal(2))[0]
        sections = await daemon.records(entry["recordId"])
        assert [(one["file"], one["state"]) for one in sections] == [(1, "stored")]
        assert sections[0]["duration"] == pytest.approx(entry["connected"], abs=1)
        (path,) = daemon.spool.rglob(f"{entry['recordId']}_*.wav")
        assert tones.who(path) == {"alice", "bob"}


async def test_it_ends_in_order_when_told_to(network: Network, tmp_path: Path) -> None:
    async with Daemon(tmp_path / "b", network.pbx_ami_port, network.spool) as daemon:
        assert await daemon.stop() == 0
        assert '"stopped"' in daemon.log


async def test_broken_files_are_refused_with_every_place(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "b", free_port(), tmp_path / "spool")
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10.yml").write_text(
        "rules:\n  - {id: 1, name: A, record: allways}\n  - {id: 1, nmae: B, record: never}\n"
    )
    daemon.rules = rules
    daemon.write_config()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "run", "--config", str(daemon.config), stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert [line.split(": ")[0] for line in err.decode().splitlines()] == [
        f"{rules}/10.yml:{place}" for place in ("2:30", "3:5", "3:10", "3:13")
    ]
