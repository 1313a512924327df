"""The daemon is told to end, on a real Asterisk: what becomes of recordings, and of who listens."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.network import Network
from tests.whole.test_main_job import wav

RULES = """\
rules:
  - {id: 1, name: All, record: always}
  - {id: 2, name: In stereo, record: always, channels: stereo}
"""


@pytest.fixture
def daemon(network: Network, tmp_path: Path) -> Daemon:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "10.yml").write_text(RULES)
    return Daemon(tmp_path / "b", network.pbx_ami_port, network.spool, rules=tmp_path / "rules")


async def recording(daemon: Daemon) -> str:
    """The record's id, once all its rules record."""
    async with asyncio.timeout(30):
        while True:
            _, body = await daemon.get("/api/v1/calls")
            for call in body["items"]:
                if call["recordId"] and all(rule["state"] == "recording" for rule in call["rules"]):
                    record_id: str = call["recordId"]
                    return record_id
            await asyncio.sleep(0.05)


def monitors(network: Network) -> int:
    """How many MixMonitors run in Asterisk."""
    channels = [line.split("!")[0] for line in network.cli("core show channels concise").splitlines()]
    return sum(network.cli(f"mixmonitor list {channel}").count("0x") for channel in channels if channel)


async def test_recordings_are_stopped_and_stored_before_the_end_where_that_is_wanted(
    daemon: Daemon, network: Network
) -> None:
    daemon.arguments = ("--stop-recordings",)
    async with daemon:
        call = await network.call("alice", "102")
        await call.answered()
        record_id = await recording(daemon)
        await asyncio.sleep(1)
        assert monitors(network) == 2
        assert await daemon.stop(60) == 0
        assert monitors(network) == 0
        paths = sorted(daemon.spool.rglob(f"{record_id}_*"))
        assert [path.name for path in paths] == [f"{record_id}_1_001.wav", f"{record_id}_2_001.wav"]
        assert tones.who(paths[0]) == {"alice", "bob"}
        # The call runs on, and so does its recording once the daemon is back.
        daemon.arguments = ()
        await daemon.start()
        assert [(one["file"], one["state"]) for one in await daemon.records(record_id) if one["file"] == 1] == [
            (1, "stored")
        ] * 2
        assert await recording(daemon) == record_id
        await asyncio.sleep(1)
        await call.hangup()
        await daemon.journal(2)
        sections = await daemon.records(record_id)
        assert sorted((one["ruleId"], one["file"], one["state"]) for one in sections) == [
            (rule, file, "stored") for rule in (1, 2) for file in (1, 2)
        ]
        assert all(min(tones.seconds(wav(daemon, record_id, one)).values()) > 0.5 for one in sections)


async def test_an_asterisk_that_hangs_does_not_keep_it_from_ending_and_nothing_is_lost(
    daemon: Daemon, network: Network
) -> None:
    daemon.arguments = ("--stop-recordings",)
    pbx = network.asterisks[0].pid
    assert pbx is not None
    async with daemon:
        call = await network.call("alice", "102")
        await call.answered()
        record_id = await recording(daemon)
        await asyncio.sleep(1)
        os.kill(pbx, signal.SIGSTOP)
        try:
            assert await daemon.stop(60) == 0
        finally:
            os.kill(pbx, signal.SIGCONT)
        assert "recordings-not-stopped" in daemon.log
        daemon.arguments = ()
        await daemon.start()
        await recording(daemon)  # the next: what was to be stopped is
        await call.hangup()
        await daemon.journal(2, deadline_s=60)
        sections = await daemon.records(record_id)
        assert {one["state"] for one in sections} == {"stored"}
        assert all(tones.who(wav(daemon, record_id, one)) for one in sections if one["file"] == 1)


class Listener:
    """A client that comes back with its last cursor whenever its stream ends; `seen` is all that it was told."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.seen: list[tuple[int, str]] = []
        self.cursor = 0
        self.ends: list[str] = []

    async def sse(self) -> None:
        while True:
            headers = {**self.daemon.auth(), "Last-Event-ID": str(self.cursor)}
            try:
                async with self.daemon.session.get(
                    f"{self.daemon.url}/api/v1/stream", headers=headers, timeout=aiohttp.ClientTimeout(None)
                ) as response:
                    async for block in _blocks(response):
                        if "event" in block:
                            self.seen.append((int(block["id"]), block["event"]))
                        if "id" in block:
                            self.cursor = int(block["id"])
                        if block.get("") == "end":
                            self.ends.append(block["id"])
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)

    async def ws(self) -> None:
        while True:
            url = f"{self.daemon.url}/api/v1/ws?since={self.cursor}"
            try:
                async with self.daemon.session.ws_connect(url, headers=self.daemon.auth()) as socket:
                    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                        event: dict[str, Any] = json.loads(message.data)
                        self.seen.append((event["id"], event["type"]))
                        self.cursor = event["id"]
                    if message.type is aiohttp.WSMsgType.CLOSE and message.data == 1001:
                        why = message.extra or ""
                        self.cursor = int(why.removeprefix("since="))
                        self.ends.append(why)
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def _blocks(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, str]]:
    while True:
        block: dict[str, str] = {}
        while (line := (await response.content.readline()).decode()) not in {"\n", ""}:
            name, _, value = line.rstrip("\n").partition(":")
            block[name] = value.removeprefix(" ")
        if not block:
            return
        yield block


async def test_who_listens_misses_nothing_and_hears_nothing_twice_over_restarts(
    daemon: Daemon, network: Network
) -> None:
    async with daemon:
        by_sse, by_ws = Listener(daemon), Listener(daemon)
        listening = [asyncio.create_task(by_sse.sse()), asyncio.create_task(by_ws.ws())]
        try:
            for _ in range(2):
                call = await network.call("alice", "102")
                await call.answered()
                await recording(daemon)
                assert await daemon.stop() == 0
                await daemon.start()
                await recording(daemon)
                await call.hangup()
            await daemon.journal(4)
            whole = await _all(daemon)
            assert len([one for one in whole if one[1] == "JournalEntry"]) == 4
            async with asyncio.timeout(60):
                while by_sse.seen[-1:] != whole[-1:] or by_ws.seen[-1:] != whole[-1:]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
        assert by_sse.seen == by_ws.seen == whole
        assert (len(by_sse.ends), len(by_ws.ends)) == (2, 2)


async def _all(daemon: Daemon) -> list[tuple[int, str]]:
    """What one is told who comes at the end; ready when nothing more comes."""
    async with daemon.session.get(f"{daemon.url}/api/v1/stream?after=0", headers=daemon.auth()) as response:
        seen: list[tuple[int, str]] = []
        blocks = _blocks(response)
        while True:
            try:
                async with asyncio.timeout(2):
                    block = await anext(blocks)
            except TimeoutError:
                return seen
            if "event" in block:
                seen.append((int(block["id"]), block["event"]))


async def test_prometheus_reads_what_has_happened(daemon: Daemon, network: Network) -> None:
    async with daemon:
        call = await network.call("alice", "102")
        await call.answered()
        await recording(daemon)
        during = await _metrics(daemon)
        await call.hangup()
        await daemon.journal(2)
        after = await _metrics(daemon)
    assert 'recbridge_sections{state="recording"} 2.0' in during
    assert {"recbridge_calls 1.0", "recbridge_talks 1.0", "recbridge_asterisk_connected 1.0"} <= during
    assert {"recbridge_ready 1.0", "recbridge_calls 0.0"} <= after
    assert 'recbridge_sections_ended_total{outcome="stored"} 2.0' in after
    assert any(line.startswith("recbridge_spool_free_bytes ") for line in after)


async def _metrics(daemon: Daemon) -> set[str]:
    async with daemon.session.get(f"{daemon.url}/metrics") as response:
        assert response.status == 200
        return set((await response.text()).splitlines())
