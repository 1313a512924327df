"""Calls that do not move: what the measure itself is measured with."""

import asyncio

from tests.flows.flow import TALK_S, flow
from tests.network.config import BOB_DID
from tests.network.network import Network


@flow()
async def inside(net: Network) -> None:
    call = await net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(TALK_S)
    await call.hangup()


@flow()
async def two_from_outside(net: Network) -> None:
    """Two outsiders with one number, to the same phone; only their tones tell them apart."""
    first = await net.inbound(did=BOB_DID)
    await first.answered()
    await asyncio.sleep(TALK_S / 2)
    second = await net.inbound(did=BOB_DID, party="stranger")
    await second.answered()
    await asyncio.sleep(TALK_S)
    await first.hangup()
    await asyncio.sleep(TALK_S / 2)
    await second.hangup()
