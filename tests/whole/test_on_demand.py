"""Users who start, stop, pause and resume on a real Asterisk: the answers, the events, what is on the tape."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.call import Call
from tests.network.network import Network
from tests.whole.test_main_job import wav

RULES = """\
rules:
  - {id: 1, name: Alice if she likes, record: on-demand, when: {caller: alice}}
  - {id: 2, name: Bob if he likes, record: on-demand, when: {user: bob}, channels: stereo}
  - {id: 3, name: Dave's calls, record: always, when: {user: dave}, pause: user}
  - {id: 4, name: Dave's calls for the law, record: always, when: {user: dave}}
  - {id: 5, name: Carol for a while, record: always, when: {caller: carol}, channels: stereo, pause: user,
     pause_at_most: 2s}
"""
Event = dict[str, Any]


class Follower:
    """Reads a stream of RecordEvents."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._grown = asyncio.Event()

    async def run(self, daemon: Daemon, token: str, connected: asyncio.Event) -> None:
        async with daemon.session.ws_connect(f"{daemon.url}/api/v1/ws", headers=daemon.auth(token)) as ws:
            connected.set()
            async for message in ws:
                item = json.loads(message.data)
                if item.get("type") == "RecordEvent":
                    self.events.append(item["data"])
                    self._grown.set()

    async def until(self, met: Callable[[Event], bool]) -> Event:
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if met(event):
                        return event
                self._grown.clear()
                await self._grown.wait()


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as running:
        yield running


async def ask(daemon: Daemon, verb: str, channel: str, token: str) -> tuple[int, dict[str, Any]]:
    url = f"{daemon.url}/api/v1/monitor/{verb}"
    async with daemon.session.post(url, json={"channel": channel}, headers=daemon.auth(token)) as response:
        return response.status, await response.json()


async def follow(daemon: Daemon, token: str) -> tuple[Follower, asyncio.Task[None]]:
    follower, connected = Follower(), asyncio.Event()
    task = asyncio.create_task(follower.run(daemon, token, connected))
    await connected.wait()
    return follower, task


async def talking(network: Network, daemon: Daemon, caller: str, number: str) -> Call:
    """A call that the daemon sees as a talk."""
    call = await network.call(caller, number)
    await call.answered()
    async with asyncio.timeout(20):
        while True:
            _, body = await daemon.get("/api/v1/calls")
            if any(item["talkingSince"] for item in body["items"]):
                return call
            await asyncio.sleep(0.02)


async def running(daemon: Daemon, state: str, rule: int) -> None:
    async with asyncio.timeout(20):
        while True:
            _, body = await daemon.get("/api/v1/calls")
            if any(one["ruleId"] == rule and one["state"] == state for one in body["items"][0]["rules"]):
                return
            await asyncio.sleep(0.02)


async def channel_of(network: Network, party: str) -> str:
    return next(one["Channel"] for one in await network.channels() if f"/{party}-" in one["Channel"])


async def finished(daemon: Daemon, call: Call, entries: int = 2) -> list[Event]:
    await call.hangup()
    entry = (await daemon.journal(entries))[0]
    return [dict(one) for one in await daemon.records(entry["recordId"])]


def of_file(file: int) -> Callable[[Event], bool]:
    return lambda event: event["ruleId"] == 1 and event["file"] == file


async def test_sections_by_starting_and_stopping_with_the_others_looking_on(daemon: Daemon, network: Network) -> None:
    alice, bob = await daemon.new_token("alice", "user"), await daemon.new_token("bob", "user")
    (hers, one), (his, two) = await follow(daemon, alice), await follow(daemon, bob)
    call = await talking(network, daemon, "alice", "102")
    offer = await hers.until(lambda event: event["ruleId"] == 1)
    assert (offer["eventType"], offer["permission"], offer["identity"], offer["file"]) == ("stop", "allow", "", None)
    assert (await his.until(lambda event: event["ruleId"] == 1))["permission"] == "deny"
    for name in ("headchannel", "tailchannel"):
        assert offer[name] in [one["Channel"] for one in await network.channels()]

    for file in (1, 2, 3):
        status, body = await ask(daemon, "start", offer["headchannel"], alice)
        (event,) = body["recordEvents"]
        assert (status, event["eventType"], event["permission"], event["identity"], event["file"]) == (
            200, "start", "allow", "alice", file,
        )  # fmt: skip
        seen = await his.until(of_file(file))
        assert (seen["eventType"], seen["permission"], seen["identity"]) == ("start", "deny", "alice")
        assert (await ask(daemon, "stop", offer["headchannel"], bob))[1]["error_id"] == "recording-of-another"
        assert (await ask(daemon, "start", offer["headchannel"], alice))[1]["error_id"] == "already-recording"
        await asyncio.sleep(0.8)
        status, body = await ask(daemon, "stop", offer["tailchannel"], alice)
        assert (status, [event["eventType"] for event in body["recordEvents"]]) == (200, ["stop"])
    sections = await finished(daemon, call)
    assert [(section["file"], section["type"], section["identity"], section["state"]) for section in sections] == [
        (number, "manual", "alice", "stored") for number in (1, 2, 3)
    ]
    for section in sections:
        assert tones.who(wav(daemon, offer["eventId"], section)) == {"alice", "bob"}
    for task in (one, two):
        task.cancel()
    await asyncio.gather(one, two, return_exceptions=True)


async def test_a_pause_silences_what_allows_it_and_nothing_else(daemon: Daemon, network: Network) -> None:
    bob, dave = await daemon.new_token("bob", "user"), await daemon.new_token("dave", "user")
    call = await talking(network, daemon, "dave", "102")
    await running(daemon, "recording", 3)
    channel = await channel_of(network, "dave")
    status, _ = await ask(daemon, "start", channel, bob)
    assert status == 200
    await asyncio.sleep(1)
    status, body = await ask(daemon, "pause", channel, dave)
    states = {event["ruleId"]: event["state"] for event in body["recordEvents"]}
    assert (status, states) == (200, {3: "paused"})
    await asyncio.sleep(1.5)
    status, body = await ask(daemon, "resume", channel, dave)
    assert (status, [event["state"] for event in body["recordEvents"]]) == (200, ["recording"])
    await asyncio.sleep(1)
    assert (await ask(daemon, "resume", channel, dave))[1]["error_id"] == "not-paused"
    sections = {section["ruleId"]: section for section in await finished(daemon, call)}
    record_id = (await daemon.journal(2))[0]["recordId"]
    silent = {}
    for rule_id, section in sections.items():
        windows = tones.heard(wav(daemon, record_id, section))
        silent[rule_id] = sum(not window for window in windows[2:-2]) * tones.WINDOW_S
    assert silent[3] == pytest.approx(1.5, abs=0.4)
    assert (silent[4], silent[2]) == (0, 0)


async def test_a_paused_stereo_section_is_silent_on_both_sides_and_goes_on_by_itself(
    daemon: Daemon, network: Network
) -> None:
    carol = await daemon.new_token("carol", "user")
    call = await talking(network, daemon, "carol", "101")
    await running(daemon, "recording", 5)
    await asyncio.sleep(0.8)
    assert (await ask(daemon, "pause", await channel_of(network, "carol"), carol))[0] == 200
    await running(daemon, "recording", 5)
    await asyncio.sleep(0.8)
    (section,) = [section for section in await finished(daemon, call) if section["ruleId"] == 5]
    path = wav(daemon, (await daemon.journal(2))[0]["recordId"], section)
    for side, party in ((0, "carol"), (1, "alice")):
        windows = tones.heard(path, channel=side)
        silent = [index for index, window in enumerate(windows[2:-2]) if not window]
        assert len(silent) * tones.WINDOW_S == pytest.approx(2, abs=0.4)
        assert set().union(*windows) == {party}


async def test_while_paused_nothing_begins_whatever_the_call_does(daemon: Daemon, network: Network) -> None:
    dave = await daemon.new_token("dave", "user")
    call = await talking(network, daemon, "dave", "102")
    await running(daemon, "recording", 3)
    channel = await channel_of(network, "dave")
    assert (await ask(daemon, "pause", channel, dave))[0] == 200
    await network.press("bob", "#1")
    await asyncio.sleep(0.5)
    await network.press("bob", "103")
    await network.talking("carol")
    await running(daemon, "paused", 3)
    await asyncio.sleep(1)
    assert (await ask(daemon, "resume", channel, dave))[0] == 200
    await running(daemon, "recording", 3)
    await asyncio.sleep(1)
    sections = [section for section in await finished(daemon, call, 3) if section["ruleId"] == 3]
    record_id = (await daemon.journal(3))[0]["recordId"]
    assert [section["file"] for section in sections] == [1, 2]
    assert tones.who(wav(daemon, record_id, sections[1])) == {"dave", "carol"}
    second = tones.seconds(wav(daemon, record_id, sections[1]))
    assert max(second.values()) < 2


async def test_what_cannot_be_done_is_said(daemon: Daemon, network: Network) -> None:
    alice, dave = await daemon.new_token("alice", "user"), await daemon.new_token("dave", "user")
    admin = daemon.token
    assert (await ask(daemon, "start", "PJSIP/alice-0000ffff", admin))[1]["error_id"] == "no-such-channel"
    waiting = await network.call("alice", "800")
    await waiting.answered()
    channel = await channel_of(network, "alice")
    status, body = await ask(daemon, "start", channel, alice)
    assert (status, body["error_id"]) == (409, "not-in-talk")
    status, body = await ask(daemon, "start", channel, dave)
    assert (status, body["error_id"]) == (404, "no-such-channel")
    await waiting.hangup()
    call = await talking(network, daemon, "alice", "701")
    local = next(one["Channel"] for one in await network.channels() if one["Channel"].startswith("Local/"))
    assert (await ask(daemon, "start", local, alice))[1]["error_id"] == "local-channel"
    assert (await ask(daemon, "stop", await channel_of(network, "alice"), alice))[1]["error_id"] == "not-recording"
    await call.hangup()
    automatic = await talking(network, daemon, "dave", "103")
    await running(daemon, "recording", 4)
    channel = await channel_of(network, "dave")
    for verb in ("stop", "start"):
        status, body = await ask(daemon, verb, channel, dave)
        assert (status, body["error_id"]) == (409, "recording-automatic")
    await automatic.hangup()


async def test_ten_who_start_at_once_make_one_recording(daemon: Daemon, network: Network) -> None:
    alice = await daemon.new_token("alice", "user")
    call = await talking(network, daemon, "alice", "103")
    channel = await channel_of(network, "alice")
    answers = await asyncio.gather(*(ask(daemon, "start", channel, alice) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [200, *[409] * 9]
    (section,) = await finished(daemon, call)
    assert section["file"] == 1


async def test_a_start_and_a_hangup_in_the_same_instant_leave_nothing_open(daemon: Daemon, network: Network) -> None:
    alice = await daemon.new_token("alice", "user")
    for _ in range(5):
        call = await talking(network, daemon, "alice", "103")
        channel = await channel_of(network, "alice")
        (status, body), _ = await asyncio.gather(ask(daemon, "start", channel, alice), call.hangup())
        assert status == 200 or body["error_id"] in ("talk-over", "not-in-talk", "no-such-channel", "not-confirmed")
        await network.idle()
    for entry in await daemon.journal(10):
        for section in await daemon.records(entry["recordId"]) if entry["recordId"] else ():
            assert section["state"] in ("stored", "failed")


async def test_what_alice_started_goes_on_after_a_restart_in_the_middle(daemon: Daemon, network: Network) -> None:
    alice = await daemon.new_token("alice", "user")
    call = await talking(network, daemon, "alice", "102")
    channel = await channel_of(network, "alice")
    assert (await ask(daemon, "start", channel, alice))[0] == 200
    await asyncio.sleep(0.8)
    await daemon.kill()
    await daemon.start()
    await running(daemon, "recording", 1)
    await asyncio.sleep(0.8)
    assert (await ask(daemon, "stop", channel, alice))[0] == 200
    sections = await finished(daemon, call)
    assert [(one["file"], one["identity"], one["state"]) for one in sections] == [(1, "alice", "stored")]
    assert sections[0]["duration"] >= 1.6


async def test_a_pause_outlives_a_restart(daemon: Daemon, network: Network) -> None:
    dave = await daemon.new_token("dave", "user")
    call = await talking(network, daemon, "dave", "102")
    await running(daemon, "recording", 3)
    channel = await channel_of(network, "dave")
    assert (await ask(daemon, "pause", channel, dave))[0] == 200
    await daemon.kill()
    await daemon.start()
    await running(daemon, "paused", 3)
    assert (await ask(daemon, "resume", channel, dave))[0] == 200
    await running(daemon, "recording", 3)
    await call.hangup()


async def test_an_answer_comes_before_its_events(daemon: Daemon, network: Network) -> None:
    alice = await daemon.new_token("alice", "user")
    call = await talking(network, daemon, "alice", "103")
    channel = await channel_of(network, "alice")
    order: list[str] = []

    async def listen(ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            item = json.loads(message.data)
            if item.get("type") == "RecordEvent" and item["data"]["eventType"] == "start":
                order.append("event")
                return

    async with daemon.session.ws_connect(f"{daemon.url}/api/v1/ws", headers=daemon.auth(alice)) as ws:
        listening = asyncio.create_task(listen(ws))
        await ask(daemon, "start", channel, alice)
        order.append("answer")
        async with asyncio.timeout(20):
            await listening
    assert order == ["answer", "event"]
    await call.hangup()
