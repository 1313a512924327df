"""Conferences of ConfBridge, with people coming and going. Number 380."""

import asyncio

from tests.flows.flow import flow
from tests.flows.together import leg, together
from tests.network.call import Call
from tests.network.config import BOB_DID
from tests.network.network import Network

CONFERENCE, CONFERENCE_DID = "380", "4930580"

# Quiet: whoever comes first would be told so for seconds before it is in the conference.
PBX_EXTRA = {
    "confbridge.conf": "[flows-quiet]\ntype = user\nquiet = yes\n",
    "extensions.conf": f"""
[internal]
exten => {CONFERENCE},1,ConfBridge(flows,,flows-quiet)
 same => n,Hangup()
[from-trunk]
exten => {CONFERENCE_DID},1,Goto(internal,{CONFERENCE},1)
""",
}


async def _join(net: Network, *names: str) -> dict[str, Call]:
    """One after the other."""
    calls = {}
    for name in names:
        calls[name] = await net.call(name, CONFERENCE)
        await calls[name].answered()
    return calls


async def _all_go(calls: dict[str, Call]) -> None:
    for call in calls.values():
        await call.hangup()


@flow()
async def conference(net: Network) -> None:
    calls = await _join(net, "alice", "bob", "carol")
    await together(net, "alice", "bob", "carol")
    await _all_go(calls)


@flow()
async def conference_coming_and_going(net: Network) -> None:
    calls = await _join(net, "alice", "bob")
    await together(net, "alice", "bob")
    calls |= await _join(net, "carol")
    await together(net, "alice", "bob", "carol")
    await calls.pop("alice").hangup()
    await together(net, "bob", "carol")
    calls |= await _join(net, "dave")
    await together(net, "bob", "carol", "dave")
    await calls.pop("bob").hangup()
    await calls.pop("carol").hangup()
    await asyncio.sleep(0.5)
    calls |= await _join(net, "alice")
    await together(net, "alice", "dave")
    await _all_go(calls)


@flow()
async def conference_with_outside(net: Network) -> None:
    calls = await _join(net, "alice", "bob")
    await together(net, "alice", "bob")
    outside = await net.inbound(did=CONFERENCE_DID)
    await together(net, "alice", "bob", "trunk")
    await calls.pop("alice").hangup()
    await together(net, "bob", "trunk")
    await outside.hangup()
    await _all_go(calls)


@flow()
async def conference_left_by_two_at_once(net: Network) -> None:
    calls = await _join(net, "alice", "bob", "carol", "dave")
    await together(net, "alice", "bob", "carol", "dave")
    await asyncio.gather(calls.pop("alice").hangup(), calls.pop("carol").hangup())
    await together(net, "bob", "dave")
    await _all_go(calls)


@flow()
async def conference_of_three_left_by_two_at_once(net: Network) -> None:
    calls = await _join(net, "alice", "bob", "carol")
    await together(net, "alice", "bob", "carol")
    await asyncio.gather(calls.pop("alice").hangup(), calls.pop("bob").hangup())
    calls |= await _join(net, "dave")
    await together(net, "carol", "dave")
    await _all_go(calls)


@flow()
async def conference_from_a_talk(net: Network) -> None:
    """Both legs of a talk are redirected to where another already waits."""
    calls = await _join(net, "carol")
    outside = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await net.pbx.action(
        "Redirect",
        Channel=leg(net, "trunk"),
        Context="internal",
        Exten=CONFERENCE,
        Priority="1",
        ExtraChannel=leg(net, "bob"),
        ExtraContext="internal",
        ExtraExten=CONFERENCE,
        ExtraPriority="1",
    )
    await together(net, "bob", "carol", "trunk")
    await outside.hangup()
    await together(net, "bob", "carol")
    await _all_go(calls)
    await net.hangup("bob")


@flow()
async def conference_and_a_talk_again(net: Network) -> None:
    """A conference of three, of which one is redirected to another phone."""
    calls = await _join(net, "alice", "bob", "carol")
    await together(net, "alice", "bob", "carol")
    await net.pbx.action("Redirect", Channel=leg(net, "alice"), Context="internal", Exten="104", Priority="1")
    await together(net, "alice", "dave", length_s=0)
    await together(net, "bob", "carol")
    await together(net, "alice", "dave", length_s=0)
    await _all_go(calls)
