"""Attended transfers by the keys of either side, completed."""

import asyncio

from tests.flows.flow import TALK_S, flow
from tests.flows.steps import alice_and_bob, alone, blind, bob_asks_carol, consult, hands_over, transferred
from tests.flows.together import together
from tests.network.config import BOB_DID
from tests.network.network import Network

COMPLETE = "*2"

PBX_EXTRA = {"features.conf": f"[general]\natxfercomplete = {COMPLETE}\n"}


@flow()
async def attended_by_callee(net: Network) -> None:
    call = await alice_and_bob(net)
    await hands_over(net, "bob", await bob_asks_carol(net))
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_by_caller(net: Network) -> None:
    await alice_and_bob(net)
    began = await consult(net, "alice", "103")
    await together(net, "alice", "carol")
    await hands_over(net, "alice", began)
    await together(net, "bob", "carol")
    await net.hangup("carol")


@flow()
async def attended_of_inbound(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await hands_over(net, "bob", await bob_asks_carol(net))
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def attended_of_outbound(net: Network) -> None:
    await net.call("alice", "0301234567")
    await together(net, "alice", "trunk")
    began = await consult(net, "alice", "103")
    await together(net, "alice", "carol")
    await hands_over(net, "alice", began)
    await together(net, "trunk", "carol")
    await net.hangup("outside")


@flow()
async def attended_to_outside(net: Network) -> None:
    call = await net.inbound(did=BOB_DID, party="stranger")
    await together(net, "trunk", "bob")
    began = await consult(net, "bob", "0301")
    await together(net, "trunk", "bob")
    await hands_over(net, "bob", began)
    await together(net, "trunk", "trunk")
    await call.hangup()


@flow()
async def attended_completed_by_key(net: Network) -> None:
    call = await alice_and_bob(net)
    began = await bob_asks_carol(net)
    await net.press("bob", COMPLETE)
    await transferred(net, "bob", began)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_completed_while_ringing(net: Network) -> None:
    await net.behave("carol", "answer", after_s=1)
    call = await alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await net.ringing("carol")
    await hands_over(net, "bob", began)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_to_announcement(net: Network) -> None:
    call = await alice_and_bob(net)
    began = await consult(net, "bob", "800")
    await asyncio.sleep(TALK_S)
    await hands_over(net, "bob", began)
    await alone(net, "alice")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@flow()
async def attended_to_queue(net: Network) -> None:
    await net.behave("bob", "ring")
    call = await net.call("alice", "104")
    await together(net, "alice", "dave")
    began = await consult(net, "dave", "500")
    await together(net, "carol", "dave")
    await hands_over(net, "dave", began)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_from_queue(net: Network) -> None:
    """A member of the queue transfers the caller on."""
    await net.behave("bob", "ring")
    call = await net.inbound()
    await together(net, "trunk", "carol")
    began = await consult(net, "carol", "104")
    await together(net, "carol", "dave")
    await hands_over(net, "carol", began)
    await together(net, "trunk", "dave")
    await call.hangup()


# -- Several in a row


@flow()
async def attended_twice(net: Network) -> None:
    call = await alice_and_bob(net)
    await hands_over(net, "bob", await bob_asks_carol(net))
    await together(net, "alice", "carol")
    began = await consult(net, "carol", "104")
    await together(net, "carol", "dave")
    await hands_over(net, "carol", began)
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def attended_after_blind(net: Network) -> None:
    call = await alice_and_bob(net)
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    began = await consult(net, "carol", "104")
    await together(net, "carol", "dave")
    await hands_over(net, "carol", began)
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def blind_after_attended(net: Network) -> None:
    call = await alice_and_bob(net)
    await hands_over(net, "bob", await bob_asks_carol(net))
    await together(net, "alice", "carol")
    await blind(net, "carol", "104")
    await together(net, "alice", "dave")
    await call.hangup()
