"""Somebody else's MixMonitor beside ours, on a real Asterisk: theirs is left alone, and ours outlives its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.ami import AmiError
from tests.network.network import Network
from tests.whole.test_main_job import wav
from tests.whole.test_on_demand import channel_of, finished, running, talking


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text("rules:\n  - {id: 1, name: All, record: always}\n")
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as started:
        yield started


async def theirs(network: Network, party: str, path: Path) -> str:
    """Start a MixMonitor that is not ours; gives its channel."""
    channel = await channel_of(network, party)
    began = network.pbx.mark
    await network.pbx.action("MixMonitor", Channel=channel, File=str(path))
    await network.wait_for_event(
        lambda event: event["Event"] == "MixMonitorStart" and event["Channel"] == channel, since=began
    )
    return channel


async def test_ours_goes_on_where_theirs_is_stopped_with_its_id(daemon: Daemon, network: Network) -> None:
    call = await talking(network, daemon, "alice", "102")
    await running(daemon, "recording", 1)
    channel = await channel_of(network, "alice")
    path = network.spool / "theirs-1.wav"
    began = network.pbx.mark
    started = await network.pbx.action("MixMonitor", Channel=channel, File=str(path), Options="i(THEIRS)")
    await network.wait_for_event(lambda event: event["Event"] == "MixMonitorStart", since=began)
    await asyncio.sleep(0.5)
    await network.pbx.action("StopMixMonitor", Channel=channel, MixMonitorID=started["MixMonitorID"])
    await asyncio.sleep(1)
    (section,) = await finished(daemon, call)
    record = (await daemon.journal(2))[0]["recordId"]
    assert tones.seconds(wav(daemon, record, section))["bob"] == pytest.approx(section["duration"], abs=0.4)


async def test_where_a_stop_without_an_id_ends_ours_the_next_section_begins(daemon: Daemon, network: Network) -> None:
    call = await talking(network, daemon, "alice", "102")
    await running(daemon, "recording", 1)
    await asyncio.sleep(0.6)
    # Asterisk alone knows on which leg ours is: stop the newest on each.
    for party in ("alice", "bob"):
        with contextlib.suppress(AmiError):
            await network.pbx.action("StopMixMonitor", Channel=await channel_of(network, party))
    async with asyncio.timeout(20):
        while len(await sections(daemon)) < 2:  # noqa: ASYNC110 - the daemon is another process
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    first, second = await finished(daemon, call)
    assert (first["state"], second["state"]) == ("stored", "stored")
    record = (await daemon.journal(2))[0]["recordId"]
    assert tones.who(wav(daemon, record, second)) == {"alice", "bob"}
    assert second["startedAt"] - first["endedAt"] < 2000


async def sections(daemon: Daemon) -> list[int]:
    """The numbers of the sections that the running call has had."""
    _, body = await daemon.get("/api/v1/calls")
    return [number for one in body["items"][0]["rules"] if one["file"] for number in range(1, one["file"] + 1)]


async def test_theirs_on_one_leg_makes_ours_take_the_other(daemon: Daemon, network: Network) -> None:
    """And ours never ends theirs."""
    await network.behave("carol", "ring")
    await network.behave("bob", "answer", after_s=2)
    call = await network.call("alice", "501")
    await call.answered()
    path = network.spool / "theirs-2.wav"
    channel = await theirs(network, "alice", path)
    await running(daemon, "recording", 1)
    leg = await channel_of(network, "bob")
    await running(daemon, "recording", 1)
    starts = [event["Channel"] for event in network.pbx.events() if event["Event"] == "MixMonitorStart"]
    assert starts[-2:] == [channel, leg]
    await asyncio.sleep(1)
    listed = network.cli(f"mixmonitor list {channel}")
    assert "theirs-2" in listed
    (section,) = await finished(daemon, call, 3)
    record = (await daemon.journal(3))[0]["recordId"]
    assert tones.who(wav(daemon, record, section)) == {"alice", "bob"}
    assert {"alice", "bob"} <= tones.who(path)
