"""Legs that are moved from outside the call: manager actions Redirect and Bridge, and dialplan applications.

Numbers 340-349.
"""

from tests.flows.flow import flow
from tests.flows.steps import happened
from tests.flows.together import leg, together
from tests.network.call import Call
from tests.network.config import BOB_DID
from tests.network.network import Network

GOES_ON, CONFERENCE, MOVES, TAKES = "340", "341", "342", "343"
"""Bob, and Dave as soon as Bob is taken away; a conference; moves a leg to Dave, bridges a leg with the caller."""

# Quiet: whoever comes first would be told so for seconds before it is in the conference.
PBX_EXTRA = {
    "confbridge.conf": "[flows-redirects]\ntype = user\nquiet = yes\n",
    "extensions.conf": f"""
[internal]
exten => {GOES_ON},1,Dial(PJSIP/bob,30,gtTkK)
 same => n,Dial(PJSIP/dave,30,tTkK)
 same => n,Goto(end,1)
exten => {CONFERENCE},1,ConfBridge(flows-redirects,,flows-redirects)
 same => n,Hangup()
exten => {MOVES},1,ChannelRedirect(${{FLOWS_LEG}},internal,104,1)
 same => n,Hangup()
exten => {TAKES},1,Bridge(${{FLOWS_LEG}},tTkK)
 same => n,Hangup()
""",
}


async def _redirect(net: Network, name: str, number: str) -> None:
    await net.pbx.action("Redirect", Channel=leg(net, name), Context="internal", Exten=number, Priority="1")


async def _redirect_both(net: Network, names: tuple[str, str], numbers: tuple[str, str]) -> None:
    one, other = names
    await net.pbx.action(
        "Redirect",
        Channel=leg(net, one),
        Context="internal",
        Exten=numbers[0],
        Priority="1",
        ExtraChannel=leg(net, other),
        ExtraContext="internal",
        ExtraExten=numbers[1],
        ExtraPriority="1",
    )


async def _talk_of_alice_and_bob(net: Network, number: str = "102") -> Call:
    call = await net.call("alice", number)
    await together(net, "alice", "bob")
    return call


@flow()
async def redirect_of_caller(net: Network) -> None:
    call = await _talk_of_alice_and_bob(net)
    await _redirect(net, "alice", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def redirect_of_callee(net: Network) -> None:
    call = await _talk_of_alice_and_bob(net)
    await _redirect(net, "bob", "103")
    await together(net, "bob", "carol")
    await call.ended()
    await net.hangup("bob")


@flow()
async def redirect_of_inbound(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await _redirect(net, "trunk", "103")
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def redirect_and_caller_goes_on(net: Network) -> None:
    call = await _talk_of_alice_and_bob(net, GOES_ON)
    await _redirect(net, "bob", "103")
    await together(net, "alice", "dave", length_s=0)
    await together(net, "bob", "carol")
    await together(net, "alice", "dave")
    await call.hangup()
    await net.hangup("carol")


@flow()
async def redirect_of_both_to_two_phones(net: Network) -> None:
    call = await _talk_of_alice_and_bob(net)
    await _redirect_both(net, ("alice", "bob"), ("103", "104"))
    await together(net, "alice", "carol", length_s=0)
    await together(net, "bob", "dave")
    await together(net, "alice", "carol")
    await call.hangup()
    await net.hangup("bob")


@flow()
async def redirect_of_both_into_a_conference(net: Network) -> None:
    call = await _talk_of_alice_and_bob(net)
    await _redirect_both(net, ("alice", "bob"), (CONFERENCE, CONFERENCE))
    for name in ("alice", "bob"):
        await happened(net, "ConfbridgeJoin", Channel=f"PJSIP/{name}")
    await together(net, "alice", "bob")
    await call.hangup()
    await net.hangup("bob")


@flow()
async def redirect_of_both_into_another_talk(net: Network) -> None:
    """As a console does it that makes a talk and its consultation one: all four meet."""
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    other = await net.call("alice", CONFERENCE)
    await happened(net, "ConfbridgeJoin", Channel="PJSIP/alice")
    await net.call("carol", CONFERENCE)
    await together(net, "alice", "carol")
    await _redirect_both(net, ("trunk", "bob"), (CONFERENCE, CONFERENCE))
    await together(net, "alice", "bob", "carol", "trunk")
    await other.hangup()
    await net.hangup("bob")
    await together(net, "carol", "trunk")
    await net.hangup("carol")
    await call.hangup()


@flow()
async def redirect_again_and_again(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    for name, number in (("carol", "103"), ("dave", "104"), ("alice", "101"), ("bob", "102")):
        await _redirect(net, "trunk", number)
        await together(net, "trunk", name)
    await call.hangup()


@flow()
async def redirect_of_callee_again_and_again(net: Network) -> None:
    await _talk_of_alice_and_bob(net)
    for name, number in (("carol", "103"), ("dave", "104"), ("alice", "101")):
        await _redirect(net, "bob", number)
        await together(net, "bob", name)
    await net.hangup("bob")


@flow()
async def bridge_of_two_talks(net: Network) -> None:
    await _talk_of_alice_and_bob(net)
    await net.call("carol", "104")
    await together(net, "carol", "dave")
    await net.pbx.action("Bridge", Channel1=leg(net, "alice"), Channel2=leg(net, "dave"))
    await together(net, "alice", "dave")
    await net.hangup("alice")


@flow()
async def bridge_of_two_callers(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await net.call("carol", "104")
    await together(net, "carol", "dave")
    await net.pbx.action("Bridge", Channel1=leg(net, "trunk"), Channel2=leg(net, "carol"))
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def redirect_in_the_dialplan(net: Network) -> None:
    call = await _talk_of_alice_and_bob(net)
    await net.pbx.action("Setvar", Variable="FLOWS_LEG", Value=leg(net, "alice"))
    await net.call("carol", MOVES)
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def bridge_in_the_dialplan(net: Network) -> None:
    call = await _talk_of_alice_and_bob(net)
    await net.pbx.action("Setvar", Variable="FLOWS_LEG", Value=leg(net, "bob"))
    await net.call("carol", TAKES)
    await together(net, "bob", "carol")
    await call.ended()
    await net.hangup("carol")
