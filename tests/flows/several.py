"""Several calls at the same time. Number 390."""

from tests.flows.flow import flow
from tests.flows.together import leg, together
from tests.network.config import BOB_DID
from tests.network.network import Network

THROUGH_DID = "4930590"
"""Straight to outside again."""

PBX_EXTRA = {"extensions.conf": f"[from-trunk]\nexten => {THROUGH_DID},1,Goto(internal,0301234567,1)\n"}


@flow()
async def second_call_of_the_callee(net: Network) -> None:
    """Call waiting: Bob's phone holds two talks, and each goes on when the other ends."""
    first = await net.call("alice", "102")
    await together(net, "alice", "bob")
    second = await net.call("carol", "102")
    await together(net, "carol", "bob")
    await together(net, "alice", "bob", length_s=0)
    await first.hangup()
    await together(net, "carol", "bob")
    await second.hangup()


@flow()
async def second_call_of_the_caller(net: Network) -> None:
    first = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    second = await net.call("bob", "103")
    await together(net, "bob", "carol")
    await together(net, "trunk", "bob", length_s=0)
    await second.hangup()
    await together(net, "trunk", "bob")
    await first.hangup()


@flow()
async def two_talks_become_one(net: Network) -> None:
    """Bob has two legs; his two partners are bridged."""
    first = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await net.call("bob", "103")
    await together(net, "bob", "carol")
    await net.pbx.action("Bridge", Channel1=leg(net, "trunk"), Channel2=leg(net, "carol"))
    await together(net, "trunk", "carol")
    await first.hangup()


@flow()
async def two_talks_of_callees_become_one(net: Network) -> None:
    """Both partners called Bob: two calls that are one then."""
    first = await net.call("alice", "102")
    await together(net, "alice", "bob")
    second = await net.call("carol", "102")
    await together(net, "carol", "bob")
    await net.pbx.action("Bridge", Channel1=leg(net, "alice"), Channel2=leg(net, "carol"))
    await together(net, "alice", "carol")
    await first.hangup()
    await second.ended()


@flow()
async def three_calls_at_once(net: Network) -> None:
    first = await net.call("alice", "102")
    second = await net.call("carol", "104")
    third = await net.inbound(did=THROUGH_DID, party="stranger")
    await together(net, "alice", "bob", length_s=0)
    await together(net, "carol", "dave", length_s=0)
    await together(net, "trunk", "trunk")
    await second.hangup()
    await together(net, "alice", "bob")
    await third.hangup()
    await first.hangup()
