"""The daemon's own connection against the simulator: it finds all that it needs, and records."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from bridge.asterisk import mixmonitor
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected
from bridge.asterisk.policy import ConnectionState
from bridge.asterisk.wire import RawMessage
from bridge.core.errors import AsteriskRefusedError, LoginRefusedError
from bridge.core.ids import RuleId
from bridge.core.messages import BridgeEntered, ChannelHungUp, Event, MixMonitorStarted, parse
from tests.network.config import BRIDGE_SECRET, BRIDGE_USER
from tests.network.tones import seconds
from tests.simulator import calls
from tests.simulator.clock import SteppedClock
from tests.simulator.server import Simulator

RULE = RuleId(7)
_Event = TypeVar("_Event", bound=Event)


@asynccontextmanager
async def running(
    simulator: Simulator,
    secret: str = BRIDGE_SECRET,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[AmiConnection]:
    connection = AmiConnection("127.0.0.1", simulator.port, BRIDGE_USER, secret, sleep=sleep)
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


async def until(connection: AmiConnection, kind: type[_Event]) -> _Event:
    """The next event of that kind."""
    async with asyncio.timeout(30):
        while True:
            [item] = await connection.next_batch(1)
            assert isinstance(item, RawMessage)
            event = parse(item, item.received_at)
            if isinstance(event, kind):
                return event


async def test_the_connection_comes_up_with_all_rights_and_filters(tmp_path: Path) -> None:
    async with Simulator(tmp_path) as simulator, running(simulator) as connection:
        found = await connected(connection)
        assert connection.state is ConnectionState.CONNECTED
        assert (found.may_record, found.missing, found.filtered) == (True, (), True)
        assert (found.version, found.uptime_s) == ("22.10.1", 0)
        assert found.snapshot.channels == ()
        assert connection.not_ready() == ()


async def test_a_user_that_may_not_record_is_connected_but_not_ready(tmp_path: Path) -> None:
    async with Simulator(tmp_path, may_record=False) as simulator, running(simulator) as connection:
        found = await connected(connection)
        assert (found.may_record, found.missing) == (False, ("MixMonitor",))
        assert [reason.code for reason in connection.not_ready()] == ["asterisk-rights-missing"]


async def test_a_wrong_secret_is_refused(tmp_path: Path) -> None:
    backs_off = asyncio.Event()

    async def sleep(_: float) -> None:
        backs_off.set()
        await asyncio.Event().wait()

    async with Simulator(tmp_path) as simulator, running(simulator, "wrong", sleep=sleep) as connection:
        async with asyncio.timeout(30):
            await backs_off.wait()
        assert connection.state is ConnectionState.LOGIN_REFUSED
        assert isinstance(connection.last_error, LoginRefusedError)


async def test_a_call_that_runs_is_in_the_snapshot_and_is_recorded(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with Simulator(tmp_path, clock=clock) as simulator:
        call = asyncio.create_task(calls.inbound(simulator, 5))
        await clock.advance(1)
        async with running(simulator) as connection:
            snapshot = (await connected(connection)).snapshot
            assert [channel.caller_name for channel in snapshot.channels] == ["Erika Muster", "Bob"]
            assert {member.uniqueid for member in snapshot.members} == {each.uniqueid for each in snapshot.channels}
            leg = snapshot.channels[0].uniqueid
            wav = tmp_path / "2026/11/21/one.wav"
            mixmonitor_id = await mixmonitor.start(connection, leg, str(wav), RULE)
            await until(connection, MixMonitorStarted)
            await clock.advance(2)
            await mixmonitor.stop(connection, leg, mixmonitor_id)
            assert seconds(wav) == {"outside": 2.0, "bob": 2.0}
            with pytest.raises(AsteriskRefusedError, match="Could not stop monitoring channel"):
                await mixmonitor.stop(connection, leg, mixmonitor_id)
            await clock.advance(10)
            acted = await call
            ended = [await until(connection, ChannelHungUp) for _ in range(2)]
            assert {event.uniqueid for event in ended} == {acted.caller, acted.callee}
            with pytest.raises(AsteriskRefusedError, match="No such channel"):
                await mixmonitor.stop(connection, leg, mixmonitor_id)


@pytest.mark.parametrize("act", [calls.inside, calls.inbound, calls.outbound])
async def test_every_call_is_understood(tmp_path: Path, act: calls.Script) -> None:
    clock = SteppedClock()
    async with Simulator(tmp_path, clock=clock) as simulator, running(simulator) as connection:
        await connected(connection)
        call = asyncio.create_task(act(simulator, 2.0))
        await clock.advance(10)
        acted = await call
        entered = [await until(connection, BridgeEntered) for _ in range(2)]
        assert [event.uniqueid for event in entered] == [acted.callee, acted.caller]
