"""Ringing phones whose calls another takes. Numbers 330-339."""

from tests.flows.flow import flow
from tests.flows.steps import happened
from tests.flows.together import leg, together
from tests.network.call import Call
from tests.network.config import BOB_DID, GROUP_DID
from tests.network.network import Network

BY_NUMBER, BY_MARK, BY_PHONE, MARKED, GROUP = "330", "331", "332", "333", "*8"
"""Takes the call that rings at 102, that is marked, that rings at Bob's phone; rings Bob with a mark; the group's."""

PBX_EXTRA = {
    "extensions.conf": f"""
[internal]
exten => {BY_NUMBER},1,Pickup(102@internal)
 same => n,Hangup()
exten => {BY_MARK},1,Pickup(flows@PICKUPMARK)
 same => n,Hangup()
exten => {BY_PHONE},1,PickupChan(PJSIP/bob)
 same => n,Hangup()
exten => {MARKED},1,Set(__PICKUPMARK=flows)
 same => n,Dial(PJSIP/bob,30,tTkK)
 same => n,Goto(end,1)
""",
    "pjsip.conf": """
[bob](+type=endpoint)
call_group = 1
[dave](+type=endpoint)
pickup_group = 1
""",
}


async def _picked_up(net: Network, call: Call, by: str, number: str) -> None:
    """Bob's phone rings; another phone dials, and has the caller."""
    await net.ringing("bob")
    await net.call(by, number)
    await happened(net, "Pickup", TargetChannel="PJSIP/bob")
    await together(net, "trunk" if call.caller == "outside" else call.caller, by)
    await call.hangup()


@flow()
async def pickup_by_number(net: Network) -> None:
    await net.behave("bob", "ring")
    await _picked_up(net, await net.call("alice", "102"), "carol", BY_NUMBER)


@flow()
async def pickup_by_mark(net: Network) -> None:
    await net.behave("bob", "ring")
    await _picked_up(net, await net.call("alice", MARKED), "carol", BY_MARK)


@flow()
async def pickup_by_phone(net: Network) -> None:
    await net.behave("bob", "ring")
    await _picked_up(net, await net.call("alice", "102"), "carol", BY_PHONE)


@flow()
async def pickup_in_group(net: Network) -> None:
    await net.behave("bob", "ring")
    await _picked_up(net, await net.call("alice", "102"), "dave", GROUP)


@flow()
async def pickup_of_inbound(net: Network) -> None:
    await net.behave("bob", "ring")
    await _picked_up(net, await net.inbound(did=BOB_DID), "carol", BY_NUMBER)


@flow()
async def pickup_of_inbound_in_group(net: Network) -> None:
    await net.behave("bob", "ring")
    await _picked_up(net, await net.inbound(did=BOB_DID), "dave", GROUP)


@flow()
async def pickup_of_a_ring_group(net: Network) -> None:
    await net.behave("bob", "ring")
    await net.behave("carol", "ring")
    await _picked_up(net, await net.inbound(did=GROUP_DID), "dave", BY_PHONE)


@flow()
async def pickup_in_a_queue(net: Network) -> None:
    await net.behave("bob", "ring")
    await net.behave("carol", "ring")
    await _picked_up(net, await net.inbound(), "dave", GROUP)


@flow()
async def pickup_then_transfer(net: Network) -> None:
    """The picker transfers blindly, and the phone that was rung first has the call after all."""
    await net.behave("bob", "ring")
    call = await net.inbound(did=BOB_DID)
    await net.ringing("bob")
    await net.call("carol", BY_NUMBER)
    await together(net, "trunk", "carol")
    await net.behave("bob")
    await net.pbx.action("BlindTransfer", Channel=leg(net, "carol"), Exten="102", Context="internal")
    await together(net, "trunk", "bob")
    await call.hangup()
