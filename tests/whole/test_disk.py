"""The spool's disk in trouble while calls are recorded on a real Asterisk: what is kept, said, and taken up again.

Asterisk has mounts of its own here (and runs as root, whom no mode keeps from writing): what happens to the disk as
recbridge sees it and as Asterisk sees it is done separately.
"""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.chroot import SUITE
from tests.network.network import Network
from tests.storage.mounted import bind, can_mount, tmpfs, unmount
from tests.whole.test_main_job import wav

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not can_mount(), reason="only root may mount"),
]
MB = 2**20
SIZE = 48 * MB
MONO = "rules:\n  - {id: 1, name: All, record: always}\n"
STEREO = "rules:\n  - {id: 1, name: All, record: always, channels: stereo}\n"
DEADLINE_S = 120


@pytest.fixture
async def small(asterisk_chroot: Path) -> AsyncIterator[Network]:  # noqa: ARG001  # there has to be one
    """A network whose spool is a small disk."""
    with tempfile.TemporaryDirectory(prefix="recbridge-disk-") as folder:
        work = Path(folder)
        (work / "spool").mkdir()
        with tmpfs(work / "spool", SIZE):
            async with Network(suite=SUITE, work=work) as network:
                yield network


@contextlib.asynccontextmanager
async def running(network: Network, work: Path, rules: str, extra: str = "") -> AsyncIterator[Daemon]:
    (work / "rules").mkdir()
    (work / "rules" / "10.yml").write_text(rules)
    async with Daemon(work / "b", network.pbx_ami_port, network.spool, rules=work / "rules", extra=extra) as daemon:
        yield daemon


def fill(spool: Path, leave_bytes: int) -> Path:
    """Other people's file that leaves so much."""
    ballast = spool / "ballast"
    room = os.statvfs(spool)
    with ballast.open("wb") as file:
        file.write(bytes(room.f_bavail * room.f_frsize - leave_bytes))
    return ballast


def mounted(spool: Path, option: str) -> None:
    """`ro` or `rw` as recbridge sees it; Asterisk goes on writing by its own mount."""
    subprocess.run(["mount", "-o", f"remount,bind,{option}", str(spool)], check=True)


def mounted_for_asterisk(network: Network, option: str) -> None:
    """`ro` or `rw` as Asterisk sees it; it must have no file open there."""
    pbx = network.asterisks[0]
    enter = ["nsenter", "--target", str(pbx.pid), "--mount", "--root", "--wd=/"]
    subprocess.run([*enter, "mount", "-o", f"remount,bind,{option}", str(network.spool)], check=True)


async def until(daemon: Daemon, path: str, met: Any) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            _, body = await daemon.get(path)
            if met(body):
                return body
            await asyncio.sleep(0.1)


async def settled(daemon: Daemon, record_id: str) -> list[Mapping[str, Any]]:
    body = await until(
        daemon,
        f"/api/v1/records/{record_id}",
        lambda body: all(one["state"] in ("stored", "failed", "lost") for one in body.get("records", [{"state": ""}])),
    )
    return list(body["records"])


async def record_of(daemon: Daemon, place: int = 0) -> str:
    """The newest record's id, by its journal entry."""
    body = await until(daemon, "/api/v1/journal?identity=*", lambda body: len(body["items"]) > place)
    record_id: str = body["items"][place]["recordId"]
    return record_id


async def audio(daemon: Daemon, record_id: str, section: Mapping[str, Any]) -> bytes:
    path = f"/api/v1/records/{record_id}/{section['ruleId']}/{section['file']}"
    async with daemon.session.get(daemon.url + path, headers=daemon.auth()) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def played(daemon: Daemon, record_id: str, section: Mapping[str, Any]) -> dict[str, float]:
    """Who is heard how long in what the API gives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        path.write_bytes(await audio(daemon, record_id, section))
        frames, _ = tones.samples(path)
        sides = [tones.seconds(path, channel=channel) for channel in range(frames.shape[1])]
    return {name: max(side.get(name, 0.0) for side in sides) for name in ("alice", "bob")}


async def talk(network: Network, talk_s: float) -> None:
    call = await network.call("alice", "102")
    await call.answered()
    await asyncio.sleep(talk_s)
    await call.hangup()


def facts(daemon: Daemon) -> list[tuple[str, str]]:
    """The spool's, as they stand in the database."""
    with contextlib.closing(sqlite3.connect(daemon.work / "recbridge.db")) as database:
        sql = "SELECT kind, data ->> 'code' FROM facts WHERE kind LIKE 'spool.%' ORDER BY number"
        return list(database.execute(sql))


@pytest.mark.parametrize("rules", [MONO, STEREO], ids=["mono", "stereo"])
async def test_a_disk_that_fills_in_a_call_keeps_what_fits_and_the_next_calls_once_there_is_room(
    small: Network, tmp_path: Path, rules: str
) -> None:
    async with running(small, tmp_path, rules) as daemon:
        call = await small.call("alice", "102")
        await call.answered()
        await asyncio.sleep(3)
        ballast = fill(small.spool, 64 * 1024)
        await daemon.until_not_ready("spool-full")
        await asyncio.sleep(8)
        written_s = {path.name: (path.stat().st_size - 44) / 16000 for path in small.spool.rglob("*.wav")}
        await call.hangup()
        first = await record_of(daemon)
        await talk(small, 2)
        assert (await daemon.get("/health"))[0] == 200
        ballast.unlink()
        await daemon.until_ready(DEADLINE_S)
        sections = await settled(daemon, first)
        assert all(one["reason"] for one in sections if one["state"] != "stored")
        kept = [await played(daemon, first, one) for one in sections if one["state"] == "stored"]
        assert sum(min(one["alice"], one["bob"]) for one in kept) > 1.5
        # All that was written, though a side that got less room is filled up with silence.
        for one in sections:
            if one["state"] == "stored":
                stem = wav(daemon, first, one).name.removesuffix(".wav")
                parts = [written_s[name] for name in written_s if name.removesuffix(".wav").startswith(f"{stem}_")]
                assert one["duration"] >= max(parts, default=written_s.get(f"{stem}.wav", 0.0)) - 0.5
        second = await record_of(daemon)
        assert second != first
        assert all(one["state"] == "stored" or one["reason"] for one in await settled(daemon, second))
        await talk(small, 2)
        await until(daemon, "/api/v1/journal?identity=*", lambda body: len(body["items"]) == 6)
        third = await record_of(daemon)
        (section,) = await settled(daemon, third)
        heard = await played(daemon, third, section)
        assert min(heard["alice"], heard["bob"]) > 1.5
        assert facts(daemon) == [("spool.trouble", "spool-full"), ("spool.well", "spool-full")]
        # All that is on the disk is a section's, and is stored.
        names = {path.name for path in small.spool.rglob("*.wav*")}
        every = [(one, section) for one in (first, second, third) for section in await settled(daemon, one)]
        stored = {wav(daemon, one, section).name for one, section in every if section["state"] == "stored"}
        assert stored <= names
        for name in names - stored:
            assert (next(small.spool.rglob(name))).stat().st_size <= 44, name


async def test_little_room_warns_before_it_hurts(small: Network, tmp_path: Path) -> None:
    async with running(small, tmp_path, MONO) as daemon:
        assert (await daemon.get("/ready"))[1]["spool"]["totalBytes"] == SIZE
        ballast = fill(small.spool, 20 * MB)
    config = tmp_path / "b" / "recbridge.yml"
    config.write_text(config.read_text().replace("local:", "low_space: 50%, local:"))
    async with contextlib.AsyncExitStack() as stack:
        daemon.write_config = lambda: None  # type: ignore[method-assign]
        await stack.enter_async_context(daemon)
        status, body = await daemon.get("/ready")
        assert (status, body["ready"], body["warnings"]) == (200, True, ["spool-low"])
        assert "20.0 MiB of 48.0 MiB" in body["messages"][0]["message"]
        assert daemon.log.count('"spool-low"') == 1
        await talk(small, 1)
        (section,) = await settled(daemon, await record_of(daemon))
        assert section["state"] == "stored"
        ballast.unlink()
        await until(daemon, "/ready", lambda body: "warnings" not in body)


async def test_a_disk_that_turns_read_only_in_a_call_holds_up_only_what_must_be_written(
    small: Network, tmp_path: Path
) -> None:
    async with running(small, tmp_path, STEREO) as daemon:
        call = await small.call("alice", "102")
        await call.answered()
        await asyncio.sleep(2)
        mounted(small.spool, "ro")
        await daemon.until_not_ready("spool-read-only")
        await call.hangup()
        first = await record_of(daemon)
        mounted_for_asterisk(small, "ro")
        await talk(small, 1)
        await until(daemon, "/api/v1/journal?identity=*", lambda body: len(body["items"]) == 4)
        second = await record_of(daemon)
        states = [one["state"] for one in await daemon.records(first)]
        assert "failed" not in states
        mounted_for_asterisk(small, "rw")
        mounted(small.spool, "rw")
        await daemon.until_ready(DEADLINE_S)
        kept = [await played(daemon, first, one) for one in await settled(daemon, first) if one["state"] == "stored"]
        assert sum(min(one["alice"], one["bob"]) for one in kept) > 1.5
        assert all(one["state"] == "failed" and one["reason"] for one in await settled(daemon, second))
        await talk(small, 1)
        await until(daemon, "/api/v1/journal?identity=*", lambda body: len(body["items"]) == 6)
        (section,) = await settled(daemon, await record_of(daemon))
        assert section["state"] == "stored"
        assert facts(daemon) == [("spool.trouble", "spool-read-only"), ("spool.well", "spool-read-only")]


async def test_a_folder_that_asterisk_may_not_write_is_said_and_taken_up_again(small: Network, tmp_path: Path) -> None:
    async with running(small, tmp_path, MONO) as daemon:
        mounted_for_asterisk(small, "ro")
        await talk(small, 1)
        await daemon.until_not_ready("spool-not-shared")
        (section,) = await settled(daemon, await record_of(daemon))
        assert (section["state"], section["reason"]) == ("failed", "file-missing")
        mounted_for_asterisk(small, "rw")
        await talk(small, 1)
        await daemon.until_ready(DEADLINE_S)
        await until(daemon, "/api/v1/journal?identity=*", lambda body: len(body["items"]) == 4)
        (section,) = await settled(daemon, await record_of(daemon))
        assert section["state"] == "stored"


async def test_a_disk_that_goes_away_in_a_call_loses_nothing_that_is_on_it(small: Network, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bind(small.spool, elsewhere)
    try:
        async with running(small, tmp_path, MONO) as daemon:
            call = await small.call("alice", "102")
            await call.answered()
            await asyncio.sleep(2)
            unmount(small.spool)
            await daemon.until_not_ready("spool-unmounted")
            await call.hangup()
            first = await record_of(daemon)
            # Killed and started again it knows where the disk belongs.
            await daemon.kill()
            daemon.wait_ready = False
            await daemon.start()
            await daemon.until_not_ready("spool-unmounted")
            await talk(small, 1)
            await until(daemon, "/api/v1/journal?identity=*", lambda body: len(body["items"]) == 4)
            second = await record_of(daemon)
            states = [one["state"] for record in (first, second) for one in await daemon.records(record)]
            assert "failed" not in states
            assert list(small.spool.iterdir()) == []
            bind(elsewhere, small.spool)
            await daemon.until_ready(DEADLINE_S)
            for record, at_least_s in ((first, 1.5), (second, 0.5)):
                kept = [await played(daemon, record, one) for one in await settled(daemon, record)]
                assert sum(min(one["alice"], one["bob"]) for one in kept) > at_least_s
    finally:
        unmount(elsewhere)
