"""`make demo` with the plug pulled twice: the table of records is what it would have been."""

import asyncio
from pathlib import Path

import pytest

from tests.demo.__main__ import real_calls, rows
from tests.demo.daemon import Daemon
from tests.network.ami import Message
from tests.network.network import Network

LENGTH_S = 0.3


async def played(network: Network, work: Path, *, pulls: int) -> list[tuple[str, ...]]:
    """The demo's table; in as many of its calls the daemon is killed as soon as it records, and started again."""
    await network.disconnect()
    await network.connect()
    async with Daemon(work / "bridge", network.pbx_ami_port, network.spool) as daemon:
        calls = asyncio.create_task(real_calls(network))
        for _ in range(pulls):
            await network.wait_for_event(_begins, since=network.pbx.mark)
            await asyncio.sleep(1)  # the longer it has run, the more there is to lose
            await daemon.kill()
            await daemon.start()
        await calls
        return await rows(daemon)


def _begins(event: Message) -> bool:
    return event["Event"] == "MixMonitorStart"


def told(table: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """All but how long and where."""
    return [(*row[:2], *row[3:5]) for row in table]


@pytest.mark.timeout(240)
async def test_the_demo_s_table_is_the_same_with_the_plug_pulled_twice(network: Network, tmp_path: Path) -> None:
    undisturbed = await played(network, tmp_path / "undisturbed", pulls=0)
    pulled = await played(network, tmp_path / "pulled", pulls=2)
    assert len(undisturbed) == 3
    assert told(pulled) == told(undisturbed)
    for ours, theirs in zip(pulled, undisturbed, strict=True):
        assert float(ours[2].removesuffix(" s")) == pytest.approx(float(theirs[2].removesuffix(" s")), abs=LENGTH_S)
