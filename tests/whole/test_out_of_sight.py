"""MixMonitors that begin, run or end while nobody looks: none runs on unowned, none is begun twice."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.demo.daemon import Daemon
from tests.network.network import Network
from tests.whole.test_on_demand import ask, channel_of, finished, running, talking

RULES = """\
rules:
  - {id: 1, name: Whoever likes, record: on-demand}
"""


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as running_daemon:
        yield running_daemon


@contextmanager
def asterisk_stands_still(network: Network) -> Iterator[None]:
    """It does nothing, and does then what it was asked meanwhile."""
    pid = network.asterisks[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def run(network: Network, *channels: str) -> int:
    """How many MixMonitors run on these channels."""
    return sum(network.cli(f"mixmonitor list {channel}").count("/spool/") for channel in channels)


async def until_run(network: Network, count: int, *channels: str) -> None:
    async with asyncio.timeout(30):
        while run(network, *channels) != count:  # noqa: ASYNC110 - what is asked is at Asterisk
            await asyncio.sleep(0.05)


async def test_nothing_runs_on_after_a_start_that_asterisk_confirms_too_late(daemon: Daemon, network: Network) -> None:
    """The user was told 504: a file that went on until the hangup would be nobody's, and nobody could stop it."""
    alice = await daemon.new_token("alice", "user")
    call = await talking(network, daemon, "alice", "103")
    channel = await channel_of(network, "alice")
    with asterisk_stands_still(network):
        status, _ = await ask(daemon, "start", channel, alice)
    assert status == 504
    await daemon.until_ready()
    await until_run(network, 0, channel)
    assert [one["state"] for one in await finished(daemon, call)] == ["stored"]


async def test_what_a_killed_daemon_asked_for_is_taken_over_by_its_successor(daemon: Daemon, network: Network) -> None:
    """Killed between MixMonitor and its answer: the id is in the channel's variable, and the user may stop it."""
    alice = await daemon.new_token("alice", "user")
    call = await talking(network, daemon, "alice", "103")
    channels = [await channel_of(network, "alice"), await channel_of(network, "carol")]
    with asterisk_stands_still(network):
        asking = asyncio.create_task(ask(daemon, "start", channels[0], alice))
        async with asyncio.timeout(10):
            while (await daemon.get("/api/v1/calls"))[1]["items"][0]["rules"][0]["state"] != "requested":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)  # it has sent what it decided
        await daemon.kill()
    await asyncio.gather(asking, return_exceptions=True)
    await daemon.start()
    await running(daemon, "recording", 1)
    assert run(network, *channels) == 1
    assert (await ask(daemon, "stop", channels[0], alice))[0] == 200
    assert run(network, *channels) == 0
    assert [(one["file"], one["state"]) for one in await finished(daemon, call)] == [(1, "stored")]


async def test_one_that_somebody_stopped_while_the_daemon_was_away_gives_way_to_the_next(
    daemon: Daemon, network: Network
) -> None:
    alice = await daemon.new_token("alice", "user")
    call = await talking(network, daemon, "alice", "103")
    channels = [await channel_of(network, "alice"), await channel_of(network, "carol")]
    assert (await ask(daemon, "start", channels[0], alice))[0] == 200
    await asyncio.sleep(0.5)
    await daemon.kill()
    for channel in channels:
        network.cli(f"mixmonitor stop {channel}")
    await daemon.start()
    await until_run(network, 1, *channels)
    await asyncio.sleep(0.5)
    sections = await finished(daemon, call)
    assert [(one["file"], one["state"]) for one in sections] == [(1, "stored"), (2, "stored")]


async def test_who_came_into_a_queue_while_the_daemon_was_away_is_recorded_as_the_queue_wants(
    network: Network, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text("rules:\n  - {id: 5, name: Q, record: always, when: {queue: support}}\n")
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as daemon:
        await daemon.kill()
        await network.behave("carol", "ring")
        call = await network.inbound("+4915112345")
        await call.answered()
        await network.talking("bob")
        await daemon.start()
        await running(daemon, "recording", 5)
        await asyncio.sleep(0.5)
        sections = await finished(daemon, call, 1)
        assert [(one["ruleId"], one["state"]) for one in sections] == [(5, "stored")]
        assert (await daemon.journal(1))[0]["viaDetails"] == "support"
