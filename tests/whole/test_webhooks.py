"""A receiver of Standard Webhooks beside a daemon and a real Asterisk: signed, each at least once, in order."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.demo.daemon import Daemon
from tests.feed.receiver import Receiver
from tests.network.network import Network

RULES = "rules:\n  - {id: 1, name: All, record: always}\n"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    extra = "webhooks: {allow_private: true}\n"
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules, extra=extra) as running:
        yield running


async def asked(daemon: Daemon, method: str, path: str, **values: Any) -> dict[str, Any]:
    url, auth = f"{daemon.url}/api/v1/webhooks{path}", daemon.auth(daemon.token)
    async with daemon.session.request(method, url, headers=auth, json=values or None) as answer:
        body: dict[str, Any] = await answer.json()
        assert answer.status in (200, 201), body
        return body


async def hook(daemon: Daemon, receiver: Receiver) -> str:
    made = await asked(daemon, "POST", "", url=receiver.url)
    receiver.secret = made["secret"]  # from here on it looks at every signature
    return str(made["id"])


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not met():  # noqa: ASYNC110  # what is waited for comes over the network
            await asyncio.sleep(0.01)


def kinds(receiver: Receiver) -> list[str]:
    return [body["type"] for _, _, body in receiver.seen]


async def is_over(receiver: Receiver) -> None:
    """Until the receiver has heard that a recording is stored and a call has ended."""
    await until(lambda: {"section.stored", "call.ended", "journal.entry"} <= set(kinds(receiver)))


def happened(daemon: Daemon, webhook_id: str) -> list[tuple[int, str | None]]:
    """The facts since the callback was set up, with their calls, but for those about callbacks: as the database has
    them."""
    with closing(sqlite3.connect(f"file:{daemon.work / 'recbridge.db'}?mode=ro", uri=True)) as database:
        found = database.execute("SELECT number, kind, call_id FROM facts ORDER BY number").fetchall()
        (created,) = database.execute("SELECT min(number) FROM facts WHERE kind = 'webhook.set'").fetchone()
    assert webhook_id.startswith("whk_")
    return [(number, call) for number, kind, call in found if number > created and not kind.startswith("webhook.")]


def assert_all_in_order(receiver: Receiver, facts: list[tuple[int, str | None]]) -> None:
    calls = dict(facts)
    came: dict[str | None, list[int]] = defaultdict(list)
    for _, message_id, _ in receiver.seen:
        number = int(message_id.split("_")[3])
        if number not in came[calls[number]]:  # what was on its way when the daemon died may come twice
            came[calls[number]].append(number)
    assert sorted(number for some in came.values() for number in some) == [number for number, _ in facts]
    assert all(some == sorted(some) for some in came.values())


async def test_a_recorded_call_is_told_over_two_deaths_of_the_daemon(
    daemon: Daemon, network: Network, receiver: Receiver
) -> None:
    webhook_id = await hook(daemon, receiver)
    call = await network.call("alice", "102")
    await call.answered()
    await until(lambda: "section.recording" in kinds(receiver))
    for _ in range(2):
        await daemon.kill()
        await daemon.start()
    await call.hangup()
    await is_over(receiver)
    state = await asked(daemon, "GET", f"/{webhook_id}")
    assert state["enabled"]
    facts = happened(daemon, webhook_id)
    await until(lambda: {int(one.split("_")[3]) for _, one, _ in receiver.seen} >= {number for number, _ in facts})
    assert_all_in_order(receiver, facts)
    (stored,) = {body["data"]["eventId"] for _, _, body in receiver.seen if body["type"] == "section.stored"}
    assert stored
    bodies = {one: body for _, one, body in receiver.seen}
    assert all(bodies[one] == body for _, one, body in receiver.seen)  # each time the same
    listed = await asked(daemon, "GET", f"/{webhook_id}/deliveries?limit=1000")
    assert {one["id"] for one in listed["items"]} == set(bodies)


async def test_one_that_said_410_gets_all_that_happened_meanwhile_once_it_is_enabled_again(
    daemon: Daemon, network: Network, receiver: Receiver
) -> None:
    webhook_id = await hook(daemon, receiver)
    receiver.status = 410
    first = await network.call("alice", "102")
    await first.answered()
    await first.hangup()
    await network.idle()
    async with asyncio.timeout(30):
        while (await asked(daemon, "GET", f"/{webhook_id}"))["enabled"]:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.05)
    tried = receiver.asked
    await daemon.stop()
    await daemon.start()
    state = await asked(daemon, "GET", f"/{webhook_id}")
    assert (state["enabled"], state["disabledReason"]) == (False, "gone")
    second = await network.call("carol", "104")
    await second.answered()
    await second.hangup()
    await network.idle()
    assert (receiver.asked, receiver.seen) == (tried, [])
    receiver.status = 200
    await asked(daemon, "PATCH", f"/{webhook_id}", enabled=True)
    await until(lambda: kinds(receiver).count("call.ended") == 2)
    facts = happened(daemon, webhook_id)
    await until(lambda: {int(one.split("_")[3]) for _, one, _ in receiver.seen} >= {number for number, _ in facts})
    assert_all_in_order(receiver, facts)
