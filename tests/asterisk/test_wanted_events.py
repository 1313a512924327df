"""Events that are asked for while somebody wants them."""

import asyncio

import pytest

from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected
from bridge.asterisk.wire import RawMessage
from bridge.core.messages import CHANNEL_EVENTS, SOFT_EXPLICIT, HangupRequested, parse
from tests.asterisk.fake_server import fake_asterisk
from tests.asterisk.harness import connected, running
from tests.network.network import Network


async def test_they_are_asked_for_in_the_running_session_once() -> None:
    async with fake_asterisk() as fake, running(fake) as connection:
        await connected(connection)
        before = len(fake.actions)
        await connection.want_events(CHANNEL_EVENTS)
        await connection.want_events(CHANNEL_EVENTS)
        asked = [action.get("MatchCriteria") for action in fake.actions[before:] if action.name == "Filter"]
        assert asked == [f"name({name})" for name in CHANNEL_EVENTS]
        assert not any(action.name == "Login" for action in fake.actions[before:])


async def _until_parsed(connection: AmiConnection, want: type) -> list[object]:
    """What comes, up to an event of this type."""
    found: list[object] = []
    async with asyncio.timeout(20):
        while True:
            for item in await connection.next_batch(100):
                event = parse(item, item.received_at) if isinstance(item, RawMessage) else item
                found.append(event)
                if isinstance(event, want):
                    return found


@pytest.mark.parametrize("early", [True, False])
async def test_a_real_asterisk_sends_them_from_then_on(network: Network, *, early: bool) -> None:
    connection = AmiConnection("127.0.0.1", network.pbx_ami_port, network.bridge_user, network.bridge_secret)
    if early:
        await connection.want_events(CHANNEL_EVENTS)
    task = asyncio.create_task(connection.run())
    try:
        await _until_parsed(connection, Connected)
        if not early:
            await connection.want_events(CHANNEL_EVENTS)
        call = await network.call("alice", "102")
        await call.answered()
        bob = next(one["Channel"] for one in await network.channels() if one["Channel"].startswith("PJSIP/bob"))
        await asyncio.to_thread(network.cli, f"channel request hangup {bob}")
        request = (await _until_parsed(connection, HangupRequested))[-1]
        assert isinstance(request, HangupRequested)
        assert request.soft
        assert request.cause == SOFT_EXPLICIT
    finally:
        connection.close()
        await task
        await network.idle(hangup=True)
