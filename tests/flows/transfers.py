"""Blind transfers by the keys of either side. Numbers 200-209."""

import asyncio

from tests.flows.flow import TALK_S, flow
from tests.flows.steps import alice_and_bob, alone, blind, gone, happened
from tests.flows.together import together
from tests.network.config import BOB_DID
from tests.network.network import Network

SHORT, COMES_BACK = "200", "201"
"""Dave, whose phone rings for a second; then the call ends, or goes back to whoever transferred it."""
DAVE_DID = "4930200"

PBX_EXTRA = {
    "extensions.conf": f"""
[internal]
exten => {SHORT},1,Dial(PJSIP/dave,1,tTkK)
 same => n,Goto(end,1)
exten => {COMES_BACK},1,Dial(PJSIP/dave,1,tTkK)
 same => n,GotoIf($["${{BLINDTRANSFER}}" = ""]?end,1)
 same => n,Dial(${{CUT(BLINDTRANSFER,-,1)}},30,tTkK)
 same => n,Goto(end,1)
[from-trunk]
exten => {DAVE_DID},1,Goto(internal,104,1)
""",
}


@flow()
async def blind_by_callee(net: Network) -> None:
    call = await alice_and_bob(net)
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def blind_by_caller(net: Network) -> None:
    await alice_and_bob(net)
    await blind(net, "alice", "103")
    await together(net, "bob", "carol")
    await net.hangup("carol")


@flow()
async def blind_of_inbound(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await blind(net, "bob", "103")
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def blind_of_outbound(net: Network) -> None:
    await net.call("alice", "0301234567")
    await together(net, "alice", "trunk")
    await blind(net, "alice", "103")
    await together(net, "trunk", "carol")
    await net.hangup("outside")


@flow()
async def blind_to_outside(net: Network) -> None:
    """Two outside parties talk through one trunk, and the transferer is gone."""
    call = await net.inbound(did=BOB_DID, party="stranger")
    await together(net, "trunk", "bob")
    await blind(net, "bob", "0301")
    await together(net, "trunk", "trunk")
    await call.hangup()


@flow()
async def blind_twice(net: Network) -> None:
    call = await alice_and_bob(net)
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    await blind(net, "carol", "104")
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def blind_by_one_then_the_other(net: Network) -> None:
    await alice_and_bob(net)
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    await blind(net, "alice", "104")
    await together(net, "carol", "dave")
    await net.hangup("dave")


@flow()
async def blind_there_and_back(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await blind(net, "bob", "103")
    await together(net, "trunk", "carol")
    await blind(net, "carol", "102")
    await together(net, "trunk", "bob")
    await call.hangup()


@flow()
async def blind_to_busy(net: Network) -> None:
    await net.behave("carol", "busy")
    call = await alice_and_bob(net)
    began = await blind(net, "bob", "103")
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/carol", DialStatus="BUSY")
    await call.ended()


@flow()
async def blind_not_answered(net: Network) -> None:
    await net.behave("dave", "ring")
    call = await alice_and_bob(net)
    began = await blind(net, "bob", SHORT)
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/dave", DialStatus="NOANSWER")
    await call.ended()


@flow()
async def blind_to_busy_comes_back(net: Network) -> None:
    await net.behave("dave", "busy")
    call = await alice_and_bob(net)
    began = await blind(net, "bob", COMES_BACK)
    await gone(net, "bob", since=began)
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/dave", DialStatus="BUSY")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def blind_not_answered_comes_back(net: Network) -> None:
    await net.behave("dave", "ring")
    await alice_and_bob(net)
    began = await blind(net, "alice", COMES_BACK)
    await gone(net, "alice", since=began)
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/dave", DialStatus="NOANSWER")
    await together(net, "alice", "bob")
    await net.hangup("alice")


@flow()
async def blind_to_announcement(net: Network) -> None:
    call = await alice_and_bob(net)
    await blind(net, "bob", "800")
    await alone(net, "alice")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@flow()
async def blind_to_queue(net: Network) -> None:
    await net.behave("bob", "ring")
    call = await net.inbound(did=DAVE_DID)
    await together(net, "trunk", "dave")
    began = await blind(net, "dave", "500")
    await happened(net, "QueueCallerJoin", since=began, Channel="PJSIP/trunk")
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def blind_from_queue(net: Network) -> None:
    """A member of the queue transfers the caller on."""
    await net.behave("bob", "ring")
    call = await net.inbound()
    await together(net, "trunk", "carol")
    await blind(net, "carol", "104")
    await together(net, "trunk", "dave")
    await call.hangup()
