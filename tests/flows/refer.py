"""Blind transfers by the phones themselves (SIP REFER), and their hold."""

import asyncio

from tests.flows import sip_phone
from tests.flows.flow import TALK_S, flow
from tests.flows.sip_phone import hold, refer, unhold
from tests.flows.steps import alice_and_bob, alone, blind, happened
from tests.flows.together import together
from tests.flows.transfers import COMES_BACK
from tests.network.config import BOB_DID
from tests.network.network import Network

PHONES_EXTRA = sip_phone.PHONES_EXTRA


async def _refers(net: Network, by: str, number: str) -> None:
    """A phone transfers blindly."""
    began = net.pbx.mark
    await refer(net, by, number)
    await happened(
        net, "BlindTransfer", since=began, Result="Success", TransfererChannel=f"PJSIP/{by}-", Extension=number
    )


@flow()
async def refer_by_callee(net: Network) -> None:
    call = await alice_and_bob(net)
    await _refers(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def refer_by_caller(net: Network) -> None:
    await alice_and_bob(net)
    await _refers(net, "alice", "103")
    await together(net, "bob", "carol")
    await net.hangup("carol")


@flow()
async def refer_of_inbound(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await _refers(net, "bob", "103")
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def refer_of_outbound(net: Network) -> None:
    await net.call("alice", "0301234567")
    await together(net, "alice", "trunk")
    await _refers(net, "alice", "103")
    await together(net, "trunk", "carol")
    await net.hangup("outside")


@flow()
async def refer_twice(net: Network) -> None:
    call = await alice_and_bob(net)
    await _refers(net, "bob", "103")
    await together(net, "alice", "carol")
    await _refers(net, "carol", "104")
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def refer_while_held(net: Network) -> None:
    """Most phones hold the talk before they transfer it."""
    call = await alice_and_bob(net)
    await hold(net, "bob")
    await happened(net, "Hold", Channel="PJSIP/bob-")
    await _refers(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def refer_to_busy_comes_back(net: Network) -> None:
    await net.behave("dave", "busy")
    call = await alice_and_bob(net)
    began = net.pbx.mark
    await _refers(net, "bob", COMES_BACK)
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/dave", DialStatus="BUSY")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def refer_to_nobody(net: Network) -> None:
    """The PBX knows no such number, and the talk goes on."""
    call = await alice_and_bob(net)
    began = net.phones.mark
    await refer(net, "bob", "999")
    await net.phones.wait_for(
        lambda one: one["Event"] == "VarSet" and one["Variable"] == "TRANSFERSTATUS" and one["Value"] == "FAILURE",
        since=began,
    )
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def refer_to_announcement(net: Network) -> None:
    call = await alice_and_bob(net)
    await _refers(net, "bob", "800")
    await alone(net, "alice")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@flow()
async def refer_to_queue(net: Network) -> None:
    await net.behave("bob", "ring")
    call = await net.call("alice", "104")
    await together(net, "alice", "dave")
    await _refers(net, "dave", "500")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def refer_after_blind(net: Network) -> None:
    call = await alice_and_bob(net)
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    await _refers(net, "carol", "104")
    await together(net, "alice", "dave")
    await call.hangup()


# -- Hold


async def _holds_and_resumes(net: Network, by: str) -> None:
    began = net.pbx.mark
    await hold(net, by)
    await happened(net, "Hold", since=began, Channel=f"PJSIP/{by}-")
    await asyncio.sleep(TALK_S)
    began = net.pbx.mark
    await unhold(net, by)
    await happened(net, "Unhold", since=began, Channel=f"PJSIP/{by}-")


@flow()
async def hold_by_callee(net: Network) -> None:
    call = await alice_and_bob(net)
    await _holds_and_resumes(net, "bob")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def hold_by_caller(net: Network) -> None:
    call = await alice_and_bob(net)
    await _holds_and_resumes(net, "alice")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def hold_until_hangup(net: Network) -> None:
    """The one who waits gives up."""
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await hold(net, "bob")
    await happened(net, "Hold", Channel="PJSIP/bob-")
    await asyncio.sleep(TALK_S)
    await call.hangup()
