"""The keys *3 and *26 on a real Asterisk, configured with the very text that `recbridge asterisk-conf` prints."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.filters import EVENTS
from bridge.asterisk.inbox import Connected
from bridge.asterisk.wire import RawMessage
from bridge.core.ids import Uniqueid
from bridge.core.messages import DTMF, CallRecordToggled, ChannelHungUp, DigitPressed, Event, RecordToggled, parse
from tests.network.config import BRIDGE_SECRET, BRIDGE_USER
from tests.network.keys import KEYS_SECRET, KEYS_USER
from tests.network.network import Network
from tests.network.tones import heard


@pytest.fixture
def net(keys_network: Network) -> Network:
    return keys_network


async def leg(net: Network, name: str) -> str:
    """The Uniqueid of the party's only channel at the PBX."""
    [found] = [one["Uniqueid"] for one in await net.channels() if one["Channel"].startswith(f"PJSIP/{name}-")]
    return found


async def pressed(net: Network, *parties: str) -> list[tuple[str, str]]:
    """Each presses *3, one after the other; name and first Uniqueid of the UserEvents that came of it, in all."""
    since = net.pbx.mark
    for number, party in enumerate(parties, start=1):
        await net.press(party, "*3")
        async with asyncio.timeout(20):
            while len(toggles(net, since)) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    await net.idle(hangup=True)
    return toggles(net, since)


def toggles(net: Network, since: int) -> list[tuple[str, str]]:
    events = [event for event in net.pbx.events(since) if event["Event"] == "UserEvent"]
    return [(event["UserEvent"], event["Uniqueid"].partition("\n")[0]) for event in events]


@pytest.mark.parametrize("number", ["102", "700", "701", "500"])
async def test_the_key_tells_the_channel_of_the_one_who_pressed_it_once(net: Network, number: str) -> None:
    await net.behave("carol", "ring")
    call = await net.call("alice", number)
    await call.answered()
    alice, bob = await leg(net, "alice"), await leg(net, "bob")
    expected = [("RecordToggle", bob), ("RecordToggle", alice), ("RecordToggle", bob)]
    assert await pressed(net, "bob", "alice", "bob") == expected


@pytest.mark.parametrize(("transferer", "stays"), [("bob", "alice"), ("alice", "bob")])
async def test_the_key_works_for_both_after_a_blind_transfer(net: Network, transferer: str, stays: str) -> None:
    call = await net.call("alice", "102")
    await call.answered()
    await net.press(transferer, "#1")
    await net.press(transferer, "103", pause_s=0.2)
    await net.talking("carol")
    await net.wait_for_event(lambda event: event["Event"] == "BridgeEnter" and "carol" in event["Channel"])
    stayed, carol = await leg(net, stays), await leg(net, "carol")
    assert await pressed(net, "carol", stays) == [("RecordToggle", carol), ("RecordToggle", stayed)]


async def test_the_key_works_for_both_after_an_attended_transfer(net: Network) -> None:
    call = await net.call("alice", "102")
    await call.answered()
    alice = await leg(net, "alice")
    await net.press("bob", "*2")
    await net.press("bob", "103", pause_s=0.2)
    await net.talking("carol")
    await net.wait_for_event(lambda event: event["Event"] == "BridgeEnter" and "carol" in event["Channel"])
    since = net.pbx.mark
    await net.hangup("bob")
    await net.wait_for_event(lambda event: event["Event"] == "LocalOptimizationEnd", since=since)
    carol = await leg(net, "carol")
    assert await pressed(net, "carol", "alice") == [("RecordToggle", carol), ("RecordToggle", alice)]


async def test_pressing_the_key_cuts_out_no_one(net: Network) -> None:
    call = await net.call("alice", "102")
    await call.answered()
    bob = await leg(net, "bob")
    hears = net.spool / "hears.wav"
    options = f"i(X)t({hears})"
    answer = await net.pbx.action("MixMonitor", Channel=bob, File=str(net.spool / "both.wav"), Options=options)
    since = net.pbx.mark
    await net.press("bob", "*3")
    await net.wait_for_event(lambda event: event["Event"] == "UserEvent", since=since)
    await asyncio.sleep(1)  # of talk after it
    await net.pbx.action("StopMixMonitor", Channel=bob, MixMonitorID=answer["MixMonitorID"])
    without = "".join("a" if "alice" in window else "." for window in heard(hears)[1:-1])
    assert len(without) > 10
    assert "...." not in without  # keys that no feature takes cut half a second out of both ways (measured)
    await call.hangup()


@asynccontextmanager
async def listening(net: Network, *, dtmf: bool, may_read_keys: bool) -> AsyncIterator[AmiConnection]:
    user, secret = (KEYS_USER, KEYS_SECRET) if may_read_keys else (BRIDGE_USER, BRIDGE_SECRET)
    events = (*EVENTS, DTMF) if dtmf else EVENTS
    connection = AmiConnection("127.0.0.1", net.pbx_ami_port, user, secret, events=events)
    task = asyncio.create_task(connection.run())
    try:
        async with asyncio.timeout(30):
            [first] = await connection.next_batch(1)
        assert isinstance(first, Connected)
        assert first.filtered
        yield connection
    finally:
        connection.close()
        await task


async def until_hung_up(connection: AmiConnection, uniqueid: str) -> list[Event]:
    """The typed events up to the Hangup of this channel."""
    found: list[Event] = []
    async with asyncio.timeout(30):
        while True:
            for item in await connection.next_batch(100):
                assert isinstance(item, RawMessage)
                event = parse(item, item.received_at)
                if event is not None:
                    found.append(event)
                if isinstance(event, ChannelHungUp) and event.uniqueid == uniqueid:
                    return found


@pytest.mark.parametrize(
    ("dtmf", "may_read_keys", "digits"),
    [(False, False, ""), (False, True, ""), (True, False, ""), (True, True, "*3")],
)
async def test_our_user_hears_the_key_and_digits_only_where_wanted_and_allowed(
    net: Network, dtmf: bool, may_read_keys: bool, digits: str
) -> None:
    async with listening(net, dtmf=dtmf, may_read_keys=may_read_keys) as connection:
        call = await net.call("alice", "102")
        await call.answered()
        bob = await leg(net, "bob")
        assert await pressed(net, "bob") == [("RecordToggle", bob)]
        events = await until_hung_up(connection, bob)
    of_keys = [event for event in events if isinstance(event, DigitPressed | RecordToggled)]
    assert [event.uniqueid for event in of_keys] == [bob] * (len(digits) + 1)
    # The press itself is told first, key by key.
    assert "".join(event.digit for event in of_keys if isinstance(event, DigitPressed)) == digits
    assert isinstance(of_keys[-1], RecordToggled)


async def test_dialling_the_extension_is_told_by_itself_and_by_its_user_event(net: Network) -> None:
    since = net.pbx.mark
    async with listening(net, dtmf=False, may_read_keys=False) as connection:
        call = await net.call("alice", "*26")
        await call.answered()
        await call.ended()
        await net.idle()
        [(kind, alice)] = toggles(net, since)
        assert kind == "CallRecordToggle"
        events = await until_hung_up(connection, alice)
    told = Counter(event.uniqueid for event in events if isinstance(event, CallRecordToggled))
    extensions = [event for event in net.pbx.events(since) if event["Event"] == "Newexten"]
    # Newexten comes for each of the extension's steps.
    assert told == {Uniqueid(alice): sum(one["Extension"] == "*26" for one in extensions) + 1}
    assert told[Uniqueid(alice)] >= 2


async def test_the_printed_features_are_loaded_as_printed(net: Network) -> None:
    assert re.search(r"^recbridge\s+no def\s+\*3\s*$", net.cli("features show"), re.MULTILINE)
    assert "DYNAMIC_FEATURES=recbridge" in net.cli("dialplan show globals")
