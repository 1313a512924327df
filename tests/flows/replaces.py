"""Attended transfers by the phones themselves: a phone has two talks, and sends REFER with Replaces."""

import asyncio

from tests.flows.flow import TALK_S, flow
from tests.flows.sip_phone import hold, legs, refer
from tests.flows.steps import alice_and_bob, alone, blind, happened, transferred
from tests.flows.together import talks, together, until
from tests.network.call import Call
from tests.network.config import BOB_DID
from tests.network.network import Network


async def _holds_and_calls(net: Network, by: str, number: str) -> Call:
    """A phone holds its talk and calls the target on a second line."""
    began = net.pbx.mark
    await hold(net, by)
    await happened(net, "Hold", since=began, Channel=f"PJSIP/{by}-")
    return await net.call(by, number)


async def _refers_to_second_line(net: Network, by: str, number: str) -> None:
    """A phone with two talks brings the parties of both together."""
    began = net.pbx.mark
    _, second = await legs(net, by)
    await refer(net, by, number, replaces=second)
    await transferred(net, by, began)


@flow()
async def replaces_by_callee(net: Network) -> None:
    call = await alice_and_bob(net)
    await _holds_and_calls(net, "bob", "103")
    await together(net, "bob", "carol")
    await _refers_to_second_line(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def replaces_by_caller(net: Network) -> None:
    await alice_and_bob(net)
    await _holds_and_calls(net, "alice", "103")
    await together(net, "alice", "carol")
    await _refers_to_second_line(net, "alice", "103")
    await together(net, "bob", "carol")
    await net.hangup("carol")


@flow()
async def replaces_of_inbound(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await _holds_and_calls(net, "bob", "103")
    await together(net, "bob", "carol")
    await _refers_to_second_line(net, "bob", "103")
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def replaces_to_outside(net: Network) -> None:
    call = await net.inbound(did=BOB_DID, party="stranger")
    await together(net, "trunk", "bob")
    second = await _holds_and_calls(net, "bob", "0301234567")
    await second.answered()
    await until(net, lambda: talks(net.pbx.events()) == [["bob", "trunk"]] * 2, "second talk of trunk, bob")
    await asyncio.sleep(TALK_S)
    await _refers_to_second_line(net, "bob", "0301234567")
    await together(net, "trunk", "trunk")
    await call.hangup()


@flow()
async def replaces_of_two_callers(net: Network) -> None:
    """Both called the transferer."""
    call = await alice_and_bob(net)
    await hold(net, "bob")
    await happened(net, "Hold", Channel="PJSIP/bob-")
    await net.call("carol", "102")
    await together(net, "bob", "carol")
    await _refers_to_second_line(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def replaces_while_ringing(net: Network) -> None:
    await net.behave("carol", "answer", after_s=1)
    call = await alice_and_bob(net)
    await _holds_and_calls(net, "bob", "103")
    await net.ringing("carol")
    await _refers_to_second_line(net, "bob", "103")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def replaces_to_announcement(net: Network) -> None:
    call = await alice_and_bob(net)
    await _holds_and_calls(net, "bob", "800")
    await asyncio.sleep(TALK_S)
    await _refers_to_second_line(net, "bob", "800")
    await alone(net, "alice")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@flow()
async def replaces_to_queue(net: Network) -> None:
    await net.behave("bob", "ring")
    call = await net.call("alice", "104")
    await together(net, "alice", "dave")
    await _holds_and_calls(net, "dave", "500")
    await together(net, "carol", "dave")
    await _refers_to_second_line(net, "dave", "500")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def replaces_from_queue(net: Network) -> None:
    """A member of the queue transfers the caller on."""
    await net.behave("bob", "ring")
    call = await net.inbound()
    await together(net, "trunk", "carol")
    await _holds_and_calls(net, "carol", "104")
    await together(net, "carol", "dave")
    await _refers_to_second_line(net, "carol", "104")
    await together(net, "trunk", "dave")
    await call.hangup()


@flow()
async def replaces_twice(net: Network) -> None:
    call = await alice_and_bob(net)
    await _holds_and_calls(net, "bob", "103")
    await together(net, "bob", "carol")
    await _refers_to_second_line(net, "bob", "103")
    await together(net, "alice", "carol")
    await _holds_and_calls(net, "carol", "104")
    await together(net, "carol", "dave")
    await _refers_to_second_line(net, "carol", "104")
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def blind_after_replaces(net: Network) -> None:
    call = await alice_and_bob(net)
    await _holds_and_calls(net, "bob", "103")
    await together(net, "bob", "carol")
    await _refers_to_second_line(net, "bob", "103")
    await together(net, "alice", "carol")
    await blind(net, "carol", "104")
    await together(net, "alice", "dave")
    await call.hangup()
