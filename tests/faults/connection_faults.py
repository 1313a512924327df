"""The connection to AMI is cut, stalls, is slow, or is refused."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial

from tests.faults.proxy import ASTERISK, DAEMON, Mode, Side
from tests.faults.scenarios import MONO, book
from tests.faults.stage import Scenario, Stage
from tests.network import config


@dataclass(frozen=True, slots=True)
class Phase:
    """When something happens to the connection: at bytes that `side` says, behind or in front of their message."""

    name: str
    side: Side
    needle: bytes
    passes: bool = False


IN_TALK = Phase("in the talk", ASTERISK, b"")
PHASES = (
    Phase("while it rings", ASTERISK, b"Event: DialBegin", passes=True),
    Phase("at BridgeEnter", ASTERISK, b"Event: BridgeEnter"),
    Phase("before MixMonitor", DAEMON, b"Action: MixMonitor\r\n"),
    Phase("between MixMonitor and its answer", DAEMON, b"Action: MixMonitor\r\n", passes=True),
    IN_TALK,
    Phase("at the transfer", ASTERISK, b"Event: BridgeLeave"),
    Phase("between StopMixMonitor and its answer", DAEMON, b"Action: StopMixMonitor\r\n", passes=True),
    Phase("at the hangup", ASTERISK, b"Event: Hangup"),
)


async def moving_call(stage: Stage, *, phase: Phase, mode: Mode) -> None:
    """alice and bob, who sends her on to carol, while the connection breaks once."""
    net, proxy = stage.net, stage.proxy
    before = proxy.taken
    if phase.needle:
        proxy.trap(phase.side, phase.needle, passes=phase.passes, mode=mode)
    back = asyncio.create_task(_away(stage, before))
    call = await net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(1)
    if not phase.needle:
        proxy.spring(mode)
    if mode is Mode.STALL:
        await back  # Asterisk is missed only when it does not answer a ping
    await asyncio.sleep(0.3)
    await net.press("bob", "#1103")
    await net.talking("carol")
    await asyncio.sleep(1.5)
    await call.hangup()
    await back


async def _away(stage: Stage, before: int) -> None:
    await stage.proxy.sprung.wait()
    began = time.time()
    await stage.connected_again(before)
    stage.daemon.away.append((began, time.time()))


async def slow(stage: Stage) -> None:
    """Bytes that come in sevens, slowly, from the first login on."""
    before = stage.proxy.taken
    stage.proxy.dribble()
    stage.proxy.spring(Mode.CUT)
    began = time.time()
    await stage.connected_again(before)
    stage.daemon.away.append((began, time.time()))
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(2.5)
    await call.hangup()


async def refused(stage: Stage) -> None:
    """Asterisk takes no login for a while: one call goes on, one begins and ends, one begins and goes on."""
    net, proxy = stage.net, stage.proxy
    goes_on = await net.call("alice", "102")
    await goes_on.answered()
    await asyncio.sleep(1)
    manager = net.asterisks[0].folder / "etc" / "manager.conf"
    text = await asyncio.to_thread(manager.read_text)
    secret = f"secret = {config.BRIDGE_SECRET}\n"
    assert secret in text
    await asyncio.to_thread(manager.write_text, text.replace(secret, "secret = another\n"))
    await asyncio.to_thread(net.cli, "manager reload")
    before, began = proxy.taken, time.time()
    proxy.spring(Mode.CUT)
    try:
        await stage.daemon.until_not_ready("asterisk-login-refused")
        missed = await net.call("carol", "104")
        await missed.answered()
        await asyncio.sleep(1)
        await missed.hangup()
        begins = await net.inbound(did=config.BOB_DID)
        await begins.answered()
    finally:
        await asyncio.to_thread(manager.write_text, text)
        await asyncio.to_thread(net.cli, "manager reload")
    await stage.connected_again(before)
    stage.daemon.away.append((began, time.time()))
    await asyncio.sleep(1.5)
    await goes_on.hangup()
    await begins.hangup()


def cut(phase: Phase, mode: Mode) -> Scenario:
    return Scenario(phase.name, book("All", MONO), partial(moving_call, phase=phase, mode=mode), proxied=True)
