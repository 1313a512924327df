"""On a real Asterisk: what is over its time goes by itself, what a rule keeps stays, and more than half asks first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.demo.daemon import Daemon
from tests.network.network import Network
from tests.whole.test_main_job import TALK_S, talk

RULES = """\
rules:
  - {id: 1, name: Inside, record: always, when: {direction: internal}}
  - {id: 2, name: From outside, record: always, when: {direction: inbound}, keep: 1h}
"""
CALLER = "+4915112345"


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    work = tmp_path / "bridge"
    extra = "retention: {keep: 3s}\n"
    async with Daemon(work, network.pbx_ami_port, network.spool, rules=rules, extra=extra) as running:
        yield running


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await met():
                return
            await asyncio.sleep(0.1)


async def until_warned(daemon: Daemon, *warnings: str) -> None:
    async def warned() -> bool:
        status, body = await daemon.get("/ready")
        return (status, tuple(body.get("warnings", ()))) == (200, warnings)

    await until(warned)


async def test_recordings_go_when_their_time_is_over(daemon: Daemon, network: Network) -> None:
    await talk(network, "alice", "102")
    inside = (await daemon.journal(2))[0]["recordId"]
    await until_warned(daemon, "retention-refused")
    (section,) = await daemon.records(inside)
    assert (section["deleted"], len(section["audioFiles"])) == (False, 1)

    call = await network.inbound(CALLER)
    await call.answered()
    # Longer than the other, which is then less than half.
    await asyncio.sleep(2 * TALK_S)
    await call.hangup()
    outside = (await daemon.journal(3))[0]["recordId"]
    await until_warned(daemon)

    async def deleted() -> bool:
        return bool((await daemon.records(inside))[0]["deleted"])

    async def gone() -> bool:
        return not list(network.spool.rglob(f"{inside}_*"))

    await until(deleted)
    status, body = await daemon.get(f"/api/v1/records/{inside}/1/1")
    assert (status, body["error_id"]) == (410, "recording-deleted")
    (kept,) = await daemon.records(outside)
    assert (kept["state"], kept["deleted"]) == ("stored", False)

    code, out, err = await daemon.command("erase", "--number", CALLER, "--why", "asked for it", "--yes", "--force")
    assert code == 0, err
    assert "1 sections stay, the last until" in out
    assert "erased from 0 calls; 1 wait" in out
    names = [path.name for path in network.spool.rglob(f"{outside}_*.wav")]
    assert names == [f"{outside}_2_001.wav"]
    await until(gone)
