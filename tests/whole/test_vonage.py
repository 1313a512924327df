"""A receiver of Vonage's session monitoring and archive callbacks, beside a daemon and a real Asterisk."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.demo.daemon import Daemon, free_port
from tests.feed.test_vonage import REFERENCE, shape
from tests.network.network import Network

RULES = "rules:\n  - {id: 1, name: All, record: always}\n"
Body = dict[str, Any]


class Monitor:
    """What a customer of Vonage's has: one URL for sessions, one for archives, each answers 200."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.archives: list[Body] = []
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = f"http://127.0.0.1:{free_port()}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/sessions", self._session)
        app.router.add_post("/archives", self._archive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", int(self.url.rpartition(":")[2])).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _session(self, request: web.Request) -> web.Response:
        return await self._take(request, self.bodies)

    async def _archive(self, request: web.Request) -> web.Response:
        return await self._take(request, self.archives)

    async def _take(self, request: web.Request, into: list[Body]) -> web.Response:
        assert request.content_type == "application/json"
        body = json.loads(await request.read())
        shape(body, REFERENCE[body["event"]])
        into.append(body)
        self._news.set()
        return web.Response()

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not met():
                self._news.clear()
                await self._news.wait()

    async def until_over(self) -> None:
        """Until everybody of every call is gone, and its recordings are there."""
        await self.until(
            lambda: (
                bool(self.bodies)
                and len(self.of("connectionCreated")) == len(self.of("connectionDestroyed"))
                and len(self.of("callCreated")) == len(self.of("callDestroyed"))
                and any(one["status"] == "available" for one in self.archives)
            )
        )

    def of(self, event: str) -> list[Body]:
        return [one for one in self.bodies if one["event"] == event]

    def forget(self) -> None:
        self.bodies.clear()
        self.archives.clear()


@pytest.fixture
async def monitor() -> AsyncIterator[Monitor]:
    one = Monitor()
    await one.start()
    try:
        yield one
    finally:
        await one.close()


@pytest.fixture
async def daemon(network: Network, monitor: Monitor, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    extra = "systemname: pbx7\nwebhooks: {allow_private: true}\n"
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules, extra=extra) as running:
        token = await running.new_token("root", "admin")
        wanted = {"url": f"{monitor.url}/sessions", "archiveUrl": f"{monitor.url}/archives", "format": "vonage"}
        url = f"{running.url}/api/v1/webhooks"
        async with running.session.post(url, json=wanted, headers=running.auth(token)) as answer:
            assert answer.status == 201, await answer.text()
        yield running


def who(body: Body) -> str:
    """Whose connection a body is about."""
    connection = body.get("connection") or body["stream"]["connection"]
    return str(json.loads(connection["data"])["identity"])


async def test_a_call_is_told_as_a_session_and_its_recording_as_an_archive(
    daemon: Daemon, network: Network, monitor: Monitor
) -> None:
    call = await network.call("alice", "102")
    await call.answered()
    await monitor.until(lambda: any(one["status"] == "started" for one in monitor.archives))
    await asyncio.sleep(1.2)  # what is to be heard
    await call.hangup()
    await monitor.until_over()

    told = [one for one in monitor.bodies if "connection" in one or "stream" in one]
    assert Counter((one["event"], one.get("reason")) for one in told) == {
        ("connectionCreated", None): 2,
        ("connectionDestroyed", "clientDisconnected"): 2,
        ("streamCreated", None): 2,
        ("streamDestroyed", "clientDisconnected"): 2,
    }
    for name in ("alice", "bob"):
        assert [one["event"] for one in told if who(one) == name] == [
            "connectionCreated",
            "streamCreated",
            "streamDestroyed",
            "connectionDestroyed",
        ]
    steps = [one.get("state") or one["event"] for one in monitor.bodies if "call" in one]
    assert steps == ["callCreated", "DIALING", "RINGING", "ACTIVE", "HANGUP", "callDestroyed"]
    (over,) = monitor.of("callDestroyed")
    assert (over["reason_code"], over["reason_message"]) == ("700", "Normal Clearing")
    (bob,) = [one["connection"]["id"] for one in monitor.of("connectionCreated") if who(one) == "bob"]
    assert {one["call"]["connectionId"] for one in monitor.bodies if "call" in one} == {bob}

    assert [one["status"] for one in monitor.archives] == ["started", "stopped", "available"]
    sessions = {one["sessionId"] for one in (*monitor.bodies, *monitor.archives)}
    assert len(sessions) == 1
    assert {one["projectId"] for one in (*monitor.bodies, *monitor.archives)} == {"pbx7"}
    there = monitor.archives[-1]
    assert there["url"] == f"{daemon.url}/api/v1/records/{there['name']}"
    token = await daemon.new_token("root", "admin")
    async with daemon.session.get(there["url"], headers=daemon.auth(token)) as audio:
        assert audio.status == 200
        assert len(await audio.read()) == there["size"] > 16_000
    assert there["duration"] >= 1


@pytest.mark.usefixtures("daemon")
async def test_who_is_hung_up_by_an_admin_was_forced_and_the_other_was_not(network: Network, monitor: Monitor) -> None:
    for how in ("manager", "console"):
        monitor.forget()
        call = await network.call("alice", "102")
        await call.answered()
        await monitor.until(lambda: len(monitor.of("streamCreated")) == 2)
        (bob,) = [one["Channel"] for one in await network.channels() if one["Channel"].startswith("PJSIP/bob")]
        if how == "manager":
            await network.pbx.action("Hangup", Channel=bob)
        else:
            await asyncio.to_thread(network.cli, f"channel request hangup {bob}")
        await monitor.until_over()
        for event in ("streamDestroyed", "connectionDestroyed"):
            assert {who(one): one["reason"] for one in monitor.of(event)} == {
                "alice": "clientDisconnected",
                "bob": "forceDisconnected",
            }, how
        assert [one["reason_code"] for one in monitor.of("callDestroyed")] == ["703"]


@pytest.mark.usefixtures("daemon")
async def test_a_busy_phone_is_a_sip_call_that_failed(network: Network, monitor: Monitor) -> None:
    await network.behave("bob", "busy")
    call = await network.call("alice", "102")
    await call.ended()
    await monitor.until(lambda: len(monitor.of("connectionDestroyed")) == 2)
    (over,) = monitor.of("callDestroyed")
    assert (over["reason_code"], over["reason_message"]) == ("486", "Busy Here")
    assert not monitor.of("streamCreated")


@pytest.mark.usefixtures("daemon")
async def test_a_blind_transfer_unpublishes_the_one_who_is_moved(network: Network, monitor: Monitor) -> None:
    call = await network.call("alice", "102")
    await call.answered()
    await monitor.until(lambda: len(monitor.of("streamCreated")) == 2)
    await network.press("bob", "#1")
    await network.press("bob", "103")
    await network.talking("carol")
    await monitor.until(lambda: len(monitor.of("streamCreated")) == 4)
    await call.hangup()
    await monitor.until_over()
    reasons = [(who(one), one["reason"]) for one in monitor.of("streamDestroyed")]
    assert sorted(reasons) == [
        ("alice", "clientDisconnected"),
        ("alice", "forceUnpublished"),
        ("bob", "clientDisconnected"),
        ("carol", "clientDisconnected"),
    ]
    assert {one["reason"] for one in monitor.of("connectionDestroyed")} == {"clientDisconnected"}


async def test_a_killed_daemon_tells_the_end_of_all_that_it_had_begun(
    daemon: Daemon, network: Network, monitor: Monitor
) -> None:
    staying = await network.call("alice", "102")
    await staying.answered()
    going = await network.call("carol", "104")
    await going.answered()
    await monitor.until(lambda: len(monitor.of("streamCreated")) == 4)
    await daemon.kill()
    await going.hangup()
    await network.wait_for_event(lambda event: event["Event"] == "Hangup" and "dave" in event["Channel"])
    await daemon.start()
    await monitor.until(lambda: len({one["connection"]["id"] for one in monitor.of("connectionDestroyed")}) == 2)
    await staying.hangup()
    await monitor.until(lambda: len({one["connection"]["id"] for one in monitor.of("connectionDestroyed")}) == 4)
    for what in ("connection", "stream"):
        # What was on its way when the daemon was killed may have come twice.
        created = {json.dumps(one[what]) for one in monitor.of(f"{what}Created")}
        assert len(created) == 4
        destroyed = {json.dumps(one[what]["id"]) for one in monitor.of(f"{what}Destroyed")}
        assert destroyed == {json.dumps(json.loads(one)["id"]) for one in created}
    assert {one["reason"] for one in monitor.of("connectionDestroyed")} == {"clientDisconnected"}
