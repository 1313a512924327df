"""Calls that wait for a member of a queue, and go on from there. Numbers 370-379."""

import asyncio

from tests.flows.flow import flow
from tests.flows.steps import blind, consult, happened, transferred
from tests.flows.together import together
from tests.network.config import ANSWERED_DID
from tests.network.network import Network

LOCAL, LOCAL_KEPT, ONE_MEMBER, LEFT = "370", "371", "372", "1"
"""Bob through a Local channel that goes away or stays; Bob alone; what a waiting caller presses to have Dave."""

PBX_EXTRA = {
    "queues.conf": """
[flows-local]
strategy = ringall
timeout = 15
retry = 1
member => Local/102@internal,0,Bob
[flows-local-kept]
strategy = ringall
timeout = 15
retry = 1
member => Local/102@internal/n,0,Bob
[flows-one]
strategy = ringall
timeout = 15
retry = 1
ringinuse = no
context = flows-queue-left
member => PJSIP/bob,0,Bob
""",
    "extensions.conf": f"""
[internal]
exten => {LOCAL},1,Queue(flows-local,tTkK,,,60)
 same => n,Goto(end,1)
exten => {LOCAL_KEPT},1,Queue(flows-local-kept,tTkK,,,60)
 same => n,Goto(end,1)
exten => {ONE_MEMBER},1,Answer()
 same => n,Queue(flows-one,tTkK,,,60)
 same => n,Goto(end,1)
[flows-queue-left]
exten => {LEFT},1,Dial(PJSIP/dave,30,tTkK)
 same => n,Hangup()
""",
}


@flow()
async def queue_through_local(net: Network) -> None:
    call = await net.call("alice", LOCAL)
    await together(net, "alice", "bob")
    await happened(net, "AgentConnect")
    await happened(net, "LocalOptimizationEnd")
    await call.hangup()


@flow()
async def queue_through_local_kept(net: Network) -> None:
    call = await net.call("alice", LOCAL_KEPT)
    await together(net, "alice", "bob")
    await happened(net, "AgentConnect")
    await call.hangup()


@flow()
async def queue_through_local_transferred(net: Network) -> None:
    call = await net.call("alice", LOCAL)
    await together(net, "alice", "bob")
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def queue_through_local_kept_transferred(net: Network) -> None:
    call = await net.call("alice", LOCAL_KEPT)
    await together(net, "alice", "bob")
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def queue_transferred(net: Network) -> None:
    await net.behave("carol", "ring")
    call = await net.inbound()
    await together(net, "trunk", "bob")
    await net.behave("carol")
    await blind(net, "bob", "103")
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def queue_transferred_after_consultation(net: Network) -> None:
    await net.behave("carol", "ring")
    call = await net.inbound()
    await together(net, "trunk", "bob")
    began = await consult(net, "bob", "104")
    await together(net, "bob", "dave")
    await net.hangup("bob")
    await transferred(net, "bob", began)
    await together(net, "trunk", "dave")
    await call.hangup()


@flow()
async def queue_and_back_into_it(net: Network) -> None:
    await net.behave("carol", "ring")
    call = await net.inbound()
    await together(net, "trunk", "bob")
    await net.behave("bob", "ring")
    await net.behave("carol")
    await blind(net, "bob", "500")
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def queue_left_by_caller(net: Network) -> None:
    await net.behave("bob", "ring")
    call = await net.call("alice", ONE_MEMBER)
    await call.answered()
    await net.ringing("bob")
    await net.press("alice", LEFT)
    await happened(net, "QueueCallerLeave")
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def queue_with_two_members(net: Network) -> None:
    await net.behave("carol", "answer", after_s=0.7)
    first = await net.inbound(did=ANSWERED_DID)
    await together(net, "trunk", "bob")
    second = await net.inbound("+4915167890", party="stranger")
    await together(net, "trunk", "carol")
    await together(net, "trunk", "bob", length_s=0)
    await first.hangup()
    await second.hangup()


@flow()
async def queue_with_one_member(net: Network) -> None:
    """The second caller waits until the member is free."""
    first = await net.call("alice", ONE_MEMBER)
    await together(net, "alice", "bob")
    second = await net.call("carol", ONE_MEMBER)
    await second.answered()
    await happened(net, "QueueCallerJoin", Channel="PJSIP/carol")
    await asyncio.sleep(0.5)
    await first.hangup()
    await together(net, "carol", "bob")
    await second.hangup()
