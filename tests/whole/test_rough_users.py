"""Users and clients who do what nobody expects, at a real Asterisk: what they may not do, and what is left of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.demo.daemon import Daemon
from tests.network.network import Network
from tests.whole.test_on_demand import ask, channel_of, finished, running, talking

RULES = """\
rules:
  - {id: 1, name: Whoever of them likes, record: on-demand, when: {user: [alice, bob, carol]}}
"""


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as running_daemon:
        yield running_daemon


async def codes(daemon: Daemon, channel: str, token: str, *verbs: str) -> list[str]:
    """What is said to each of these commands, one after the other."""
    return [(await ask(daemon, verb, channel, token))[1].get("error_id", "done") for verb in verbs]


async def test_whose_phone_only_rang_may_do_nothing(daemon: Daemon, network: Network) -> None:
    """The rule names her, but she is not in the talk, and the call is not hers to see any more."""
    await network.behave("carol", "ring")
    carol, bob = await daemon.new_token("carol", "user"), await daemon.new_token("bob", "user")
    call = await talking(network, daemon, "alice", "600")
    channel = await channel_of(network, "bob")
    async with asyncio.timeout(20):
        while (await daemon.get("/api/v1/calls", carol))[1]["items"]:  # noqa: ASYNC110 - the daemon is another process
            await asyncio.sleep(0.02)
    assert await codes(daemon, channel, bob, "start") == ["done"]
    assert await codes(daemon, channel, carol, "start", "pause", "resume", "stop") == ["no-such-channel"] * 4
    (section,) = await finished(daemon, call, 3)
    assert section["identity"] == "bob"
    record_id = next(entry["recordId"] for entry in await daemon.journal(3) if entry["recordId"])
    assert (await daemon.get(f"/api/v1/records/{record_id}", carol))[0] == 404


async def test_who_has_left_a_call_starts_nothing_in_it_but_stops_what_is_its_own(
    daemon: Daemon, network: Network
) -> None:
    alice, bob = await daemon.new_token("alice", "user"), await daemon.new_token("bob", "user")
    call = await talking(network, daemon, "alice", "102")
    channel = await channel_of(network, "alice")
    assert await codes(daemon, channel, bob, "start") == ["done"]
    await network.press("bob", "#1")
    await asyncio.sleep(0.5)
    await network.press("bob", "103")
    await network.talking("carol")
    await running(daemon, "recording", 1)
    assert await codes(daemon, channel, alice, "pause", "stop") == ["pause-not-allowed", "recording-of-another"]
    assert await codes(daemon, channel, bob, "pause", "resume", "stop", "start") == [
        "done", "done", "done", "no-such-channel",
    ]  # fmt: skip
    assert await codes(daemon, channel, alice, "start", "stop") == ["done", "done"]
    owners = {section["identity"] for section in await finished(daemon, call, 3)}
    assert owners == {"alice", "bob"}


async def test_a_client_that_goes_away_while_it_waits_leaves_the_call_controllable(
    daemon: Daemon, network: Network
) -> None:
    """Whether its command was still read is not ours to say: what then is must fit what is done next."""
    alice = await daemon.new_token("alice", "user")
    call = await talking(network, daemon, "alice", "102")
    channel = await channel_of(network, "alice")
    body = json.dumps({"channel": channel}).encode()
    for verb in ("start", "pause", "resume", "stop") * 3:
        _, writer = await asyncio.open_connection("127.0.0.1", daemon.http_port)
        writer.write(
            f"POST /api/v1/monitor/{verb} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {alice}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.transport.abort()
    async with asyncio.timeout(20):  # until none of them comes in between any more
        while await codes(daemon, channel, alice, "start", "pause", "resume", "stop") != ["done"] * 4:
            await codes(daemon, channel, alice, "resume", "stop")
    for section in await finished(daemon, call):
        assert section["state"] == "stored"


async def test_a_start_that_its_own_stop_overtakes_does_not_blame_asterisk(daemon: Daemon, network: Network) -> None:
    alice = await daemon.new_token("alice", "user")
    call = await talking(network, daemon, "alice", "102")
    channel = await channel_of(network, "alice")
    said = set()
    for _ in range(10):
        answers = await asyncio.gather(*(ask(daemon, verb, channel, alice) for verb in ("start", "stop")))
        said.add(answers[0][1].get("error_id"))
        await asyncio.sleep(0.2)
        await ask(daemon, "stop", channel, alice)
    await call.hangup()
    assert "not-confirmed" not in said


async def test_who_owns_a_paused_recording_is_said_after_a_restart(daemon: Daemon, network: Network) -> None:
    bob = await daemon.new_token("bob", "user")
    call = await talking(network, daemon, "alice", "102")
    channel = await channel_of(network, "alice")
    assert (await ask(daemon, "start", channel, bob))[0] == 200
    assert (await ask(daemon, "pause", channel, bob))[0] == 200
    await daemon.kill()
    await daemon.start()
    _, body = await daemon.get("/api/v1/calls")
    assert [(one["state"], one["identity"]) for one in body["items"][0]["rules"]] == [("paused", "bob")]
    await call.hangup()
