"""Calls that are parked and retrieved. Numbers 310-319 dial, 320-329 are parking spaces."""

import asyncio

from tests.flows.flow import flow
from tests.flows.steps import blind, happened
from tests.flows.together import leg, together
from tests.network.call import Call
from tests.network.config import BOB_DID
from tests.network.network import Network

SHORT, ELSEWHERE = "310", "311"
"""Bob, whose call is parked for two seconds: then it comes back to the parker, or goes on to Dave."""

# Whoever retrieves from the lot `flows` may park again.
PBX_EXTRA = {
    "res_parking.conf": """
[flows]
parkext => 320
parkpos => 321-324
context => flows-parked
parkingtime => 2
comebackdialtime => 20
parkedcallreparking => both
[flows-elsewhere]
parkext => 325
parkpos => 326-329
context => flows-parked-elsewhere
parkingtime => 2
comebacktoorigin => no
comebackcontext => flows-comeback
""",
    "extensions.conf": f"""
[internal]
exten => {SHORT},1,Set(__PARKINGLOT=flows)
 same => n,Dial(PJSIP/bob,30,tTkK)
 same => n,Goto(end,1)
exten => {ELSEWHERE},1,Set(__PARKINGLOT=flows-elsewhere)
 same => n,Dial(PJSIP/bob,30,tTkK)
 same => n,Goto(end,1)
include => flows-parked
include => flows-parked-elsewhere
[flows-comeback]
exten => _[A-Za-z].,1,Dial(PJSIP/dave,30,tTkK)
 same => n,Hangup()
""",
}


async def _park(net: Network, by: str) -> str:
    """Press the keys; the parking space."""
    began = net.pbx.mark
    await net.press(by, "#72")
    return (await happened(net, "ParkedCall", since=began))["ParkingSpace"]


async def _retrieve(net: Network, by: str, space: str) -> Call:
    """Some time later another phone takes the call."""
    await asyncio.sleep(0.5)
    began = net.pbx.mark
    call = await net.call(by, space)
    await happened(net, "UnParkedCall", since=began, ParkingSpace=space)
    return call


@flow()
async def parked_by_callee(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await _retrieve(net, "carol", await _park(net, "bob"))
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def parked_by_caller(net: Network) -> None:
    await net.call("alice", "102")
    await together(net, "alice", "bob")
    retrieval = await _retrieve(net, "carol", await _park(net, "alice"))
    await together(net, "bob", "carol")
    await retrieval.hangup()


@flow()
async def parked_twice(net: Network) -> None:
    call = await net.call("alice", SHORT)
    await together(net, "alice", "bob")
    await _retrieve(net, "carol", await _park(net, "bob"))
    await together(net, "alice", "carol")
    await _retrieve(net, "dave", await _park(net, "carol"))
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def parked_and_retrieved_by_the_parker(net: Network) -> None:
    call = await net.call("alice", "102")
    await together(net, "alice", "bob")
    await _retrieve(net, "bob", await _park(net, "bob"))
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def parked_and_back_to_callee(net: Network) -> None:
    call = await net.call("alice", SHORT)
    await together(net, "alice", "bob")
    await _park(net, "bob")
    await happened(net, "ParkedCallTimeOut")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def parked_and_back_to_caller(net: Network) -> None:
    await net.call("alice", SHORT)
    await together(net, "alice", "bob")
    await _park(net, "alice")
    await happened(net, "ParkedCallTimeOut")
    await together(net, "alice", "bob")
    await net.hangup("bob")


@flow()
async def parked_and_on_to_another(net: Network) -> None:
    call = await net.call("alice", ELSEWHERE)
    await together(net, "alice", "bob")
    await _park(net, "bob")
    await happened(net, "ParkedCallTimeOut")
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def parked_by_blind_transfer(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await blind(net, "bob", "720")
    space = (await happened(net, "ParkedCall"))["ParkingSpace"]
    await _retrieve(net, "carol", space)
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def parked_by_manager(net: Network) -> None:
    call = await net.call("alice", "102")
    await together(net, "alice", "bob")
    await net.pbx.action("Park", Channel=leg(net, "alice"), Parkinglot="default", Timeout="60000")
    await _retrieve(net, "carol", (await happened(net, "ParkedCall"))["ParkingSpace"])
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def parked_and_given_up(net: Network) -> None:
    call = await net.call("alice", "102")
    await together(net, "alice", "bob")
    await _park(net, "bob")
    await asyncio.sleep(0.5)
    await call.hangup()
    await happened(net, "ParkedCallGiveUp")
