"""The connection against a real Asterisk, with the manager user that `recbridge asterisk-conf` prints."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bridge.asterisk import mixmonitor
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected
from bridge.asterisk.policy import ConnectionState
from bridge.asterisk.wire import RawMessage
from bridge.core.errors import AsteriskRefusedError
from bridge.core.ids import RuleId, Uniqueid
from bridge.core.messages import BridgeEntered, Event, MixMonitorStarted, MixMonitorStopped, parse
from tests.network.config import LISTENER_SECRET, LISTENER_USER
from tests.network.network import Network


@asynccontextmanager
async def running(
    network: Network, username: str, secret: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[AmiConnection]:
    connection = AmiConnection("127.0.0.1", network.pbx_ami_port, username, secret, sleep=sleep)
    task = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        connection.close()
        await task


async def connected(connection: AmiConnection) -> Connected:
    async with asyncio.timeout(30):
        [item] = await connection.next_batch(1)
    assert isinstance(item, Connected)
    return item


async def until(connection: AmiConnection, wanted: Callable[[Event], bool], names: set[str] | None = None) -> Event:
    """The next event that is wanted; `names` takes up what else was sent."""
    async with asyncio.timeout(30):
        while True:
            [item] = await connection.next_batch(1)
            assert isinstance(item, RawMessage)
            if names is not None:
                names.add(item.header("Event"))
            if (event := parse(item, item.received_at)) is not None and wanted(event):
                return event


async def test_the_printed_user_sees_a_call_and_records_it(network: Network) -> None:
    async with running(network, network.bridge_user, network.bridge_secret) as connection:
        found = await connected(connection)
        assert (found.may_record, found.missing, found.filtered) == (True, (), True)
        assert found.version
        assert found.uptime_s is not None
        assert connection.not_ready() == ()
        call = await network.call("alice", "102")
        await call.answered()
        entered: list[BridgeEntered] = []
        while len(entered) < 2:
            event = await until(connection, lambda event: isinstance(event, BridgeEntered))
            assert isinstance(event, BridgeEntered)
            entered.append(event)
        leg = entered[0].uniqueid

        async with running(network, network.bridge_user, network.bridge_secret) as second:
            snapshot = (await connected(second)).snapshot
        assert {entry.uniqueid for entry in entered} <= {channel.uniqueid for channel in snapshot.channels}
        assert {(entry.bridge, entry.uniqueid) for entry in entered} == {
            (member.bridge, member.uniqueid) for member in snapshot.members
        }

        wav = network.spool / "connection.wav"
        mixmonitor_id = await mixmonitor.start(connection, leg, str(wav), RuleId(7))
        await until(connection, lambda event: isinstance(event, MixMonitorStarted) and event.uniqueid == leg)
        kept = await connection.action("Getvar", {"Channel": leg, "Variable": mixmonitor.variable(RuleId(7))})
        assert kept.header("Value") == mixmonitor_id
        async with asyncio.timeout(30):
            while not wav.exists():  # noqa: ASYNC110 - MixMonitor's own thread makes it, some time after the answer
                await asyncio.sleep(0.02)
        await mixmonitor.stop(connection, leg, mixmonitor_id)
        await until(connection, lambda event: isinstance(event, MixMonitorStopped) and event.uniqueid == leg)
        with pytest.raises(AsteriskRefusedError, match="Could not stop monitoring channel"):
            await mixmonitor.stop(connection, leg, mixmonitor_id)
        with pytest.raises(AsteriskRefusedError, match="No such channel"):
            await mixmonitor.start(connection, Uniqueid("1.1"), str(wav), RuleId(7))
        await call.hangup()
    await network.idle()


async def test_asterisk_keeps_the_events_back_that_are_not_used(network: Network) -> None:
    async with running(network, network.bridge_user, network.bridge_secret) as connection:
        await connected(connection)
        manager = connection._manager
        assert manager is not None
        stray: list[RawMessage] = []
        for name in ("VarSet", "Newexten", "RTCPSent", "SuccessfulAuth", "NewConnectedLine", "SoftHangupRequest"):
            manager.register_event(name, stray.append)
        call = await network.call("alice", "102")
        await call.answered()
        await call.hangup()
        await network.idle()
        # Its answer comes after all that was to be sent before it.
        await connection.action("Ping", {})
        assert stray == []


async def test_a_user_that_may_only_listen_is_connected_but_not_ready(network: Network) -> None:
    async with running(network, LISTENER_USER, LISTENER_SECRET) as connection:
        found = await connected(connection)
        assert (found.may_record, found.filtered) == (False, False)
        assert "MixMonitor" in found.missing
        [why] = connection.not_ready()
        assert why.code == "asterisk-rights-missing"
        assert "write = system,call" in why.message


async def test_a_wrong_secret_is_refused(network: Network) -> None:
    waiting = asyncio.Event()

    async def wait(_wait_s: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async with running(network, network.bridge_user, "wrong", sleep=wait) as connection:
        async with asyncio.timeout(30):
            await waiting.wait()
        assert connection.state is ConnectionState.LOGIN_REFUSED


async def test_the_longest_line_and_the_most_headers_that_we_send_are_taken(network: Network) -> None:
    async with running(network, network.bridge_user, network.bridge_secret) as connection:
        await connected(connection)
        await connection.action("Ping", {"X": "x" * (1022 - 3)})
        await connection.action("Ping", {"X": ["x"] * 126})
