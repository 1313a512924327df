"""Phones whose calls are forwarded: by a 302 of the phone, and by the dialplan. Numbers 360-369."""

from tests.flows.flow import flow
from tests.flows.steps import happened
from tests.flows.together import together
from tests.network.call import Call
from tests.network.config import BOB_DID, GROUP_DID
from tests.network.network import Network

TO_CAROL, TO_OUTSIDE, TWICE = "360", "361", "362"
"""Forwarded by the dialplan to Carol, to outside, and to Carol through two numbers."""
OUTSIDE = "0301234567"

PBX_EXTRA = {
    "extensions.conf": f"""
[internal]
exten => {TO_CAROL},1,Dial(Local/103@internal,30)
 same => n,Goto(end,1)
exten => {TO_OUTSIDE},1,Dial(Local/{OUTSIDE}@internal/n,30)
 same => n,Goto(end,1)
exten => {TWICE},1,Dial(Local/{TO_CAROL}@internal,30)
 same => n,Goto(end,1)
""",
}
FORWARDERS = ("bob", "carol")
# One more priority in a phone's extension, as `DO_bob` names a label there.
PHONES_EXTRA = {
    "extensions.conf": "[phones]\n"
    + "".join(
        f"exten => {name},90(forward),Transfer(${{FORWARD_{name}}})\n same => n,Hangup()\n" for name in FORWARDERS
    ),
}


async def _forwards(net: Network, name: str, number: str) -> None:
    """The phone answers 302 to what comes from now on."""
    await net.phones.action("Setvar", Variable=f"FORWARD_{name}", Value=f"sip:{number}@127.0.0.1")
    await net.phones.action("Setvar", Variable=f"DO_{name}", Value="forward")


async def _ends_with(net: Network, call: Call, name: str) -> None:
    await together(net, "trunk" if call.caller == "outside" else call.caller, name)
    await call.hangup()


@flow()
async def forwarded_by_phone(net: Network) -> None:
    await _forwards(net, "bob", "103")
    call = await net.call("alice", "102")
    await happened(net, "DialEnd", DestChannel="PJSIP/bob", DialStatus="CANCEL")
    await _ends_with(net, call, "carol")


@flow()
async def forwarded_by_phone_to_outside(net: Network) -> None:
    await _forwards(net, "bob", OUTSIDE)
    await _ends_with(net, await net.call("alice", "102"), "trunk")


@flow()
async def forwarded_by_phone_twice(net: Network) -> None:
    await _forwards(net, "bob", "103")
    await _forwards(net, "carol", "104")
    await _ends_with(net, await net.inbound(did=BOB_DID), "dave")


@flow()
async def forwarded_by_phone_in_a_ring_group(net: Network) -> None:
    await _forwards(net, "bob", "104")
    await net.behave("carol", "ring")
    await _ends_with(net, await net.inbound(did=GROUP_DID), "dave")


@flow()
async def forwarded_by_phone_and_kept(net: Network) -> None:
    """The callee's Local channel stays, and the forwarding one goes away."""
    await _forwards(net, "bob", "103")
    await _ends_with(net, await net.call("alice", "701"), "carol")


@flow()
async def forwarded_in_dialplan(net: Network) -> None:
    await _ends_with(net, await net.call("alice", TO_CAROL), "carol")


@flow()
async def forwarded_in_dialplan_twice(net: Network) -> None:
    await _ends_with(net, await net.call("alice", TWICE), "carol")


@flow()
async def forwarded_in_dialplan_to_outside(net: Network) -> None:
    await _ends_with(net, await net.call("alice", TO_OUTSIDE), "trunk")


@flow()
async def inbound_forwarded_to_outside(net: Network) -> None:
    """Both parties are outside."""
    await _forwards(net, "bob", OUTSIDE)
    call = await net.inbound(did=BOB_DID, party="stranger")
    await together(net, "trunk", "trunk")
    await call.hangup()
