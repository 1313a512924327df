"""Attended transfers by the keys of either side. Numbers 210-219."""

import asyncio

from tests.flows.flow import TALK_S, flow
from tests.flows.steps import alone, blind, consult, gone, happened, transferred
from tests.flows.together import together
from tests.network.call import Call
from tests.network.config import BOB_DID
from tests.network.network import Network

SHORT = "210"
"""Carol, whose phone rings for a second."""
ABORT, COMPLETE, THREE_WAY, SWAP = "*1", "*2", "*3", "*4"

# Whoever does not answer in NO_ANSWER_S is given up: after a completed transfer the target, then the transferer, who is
# rung twice (the retries count the first try), and between that the target once more.
NO_ANSWER_S = 3
PBX_EXTRA = {
    "features.conf": f"""
[general]
atxfernoanswertimeout = {NO_ANSWER_S}
atxferdropcall = no
atxfercallbackretries = 2
atxferloopdelay = 1
atxferabort = {ABORT}
atxfercomplete = {COMPLETE}
atxferthreeway = {THREE_WAY}
atxferswap = {SWAP}
""",
    "extensions.conf": f"""
[internal]
exten => {SHORT},1,Dial(PJSIP/carol,1,tTkK)
 same => n,Goto(end,1)
""",
}


async def _alice_and_bob(net: Network) -> Call:
    call = await net.call("alice", "102")
    await together(net, "alice", "bob")
    return call


async def _bob_asks_carol(net: Network) -> int:
    began = await consult(net, "bob", "103")
    await together(net, "bob", "carol")
    return began


async def _hands_over(net: Network, by: str, since: int) -> None:
    """The transferer hangs up, and that completes the transfer."""
    await net.hangup(by)
    await transferred(net, by, since)


# -- Completed


@flow()
async def attended_by_callee(net: Network) -> None:
    call = await _alice_and_bob(net)
    await _hands_over(net, "bob", await _bob_asks_carol(net))
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_by_caller(net: Network) -> None:
    await _alice_and_bob(net)
    began = await consult(net, "alice", "103")
    await together(net, "alice", "carol")
    await _hands_over(net, "alice", began)
    await together(net, "bob", "carol")
    await net.hangup("carol")


@flow()
async def attended_of_inbound(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await together(net, "trunk", "bob")
    await _hands_over(net, "bob", await _bob_asks_carol(net))
    await together(net, "trunk", "carol")
    await call.hangup()


@flow()
async def attended_of_outbound(net: Network) -> None:
    await net.call("alice", "0301234567")
    await together(net, "alice", "trunk")
    began = await consult(net, "alice", "103")
    await together(net, "alice", "carol")
    await _hands_over(net, "alice", began)
    await together(net, "trunk", "carol")
    await net.hangup("outside")


@flow()
async def attended_to_outside(net: Network) -> None:
    call = await net.inbound(did=BOB_DID, party="stranger")
    await together(net, "trunk", "bob")
    began = await consult(net, "bob", "0301")
    await together(net, "trunk", "bob")
    await _hands_over(net, "bob", began)
    await together(net, "trunk", "trunk")
    await call.hangup()


@flow()
async def attended_completed_by_key(net: Network) -> None:
    call = await _alice_and_bob(net)
    began = await _bob_asks_carol(net)
    await net.press("bob", COMPLETE)
    await transferred(net, "bob", began)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_completed_while_ringing(net: Network) -> None:
    await net.behave("carol", "answer", after_s=1)
    call = await _alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await net.ringing("carol")
    await _hands_over(net, "bob", began)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_to_announcement(net: Network) -> None:
    call = await _alice_and_bob(net)
    began = await consult(net, "bob", "800")
    await asyncio.sleep(TALK_S)
    await _hands_over(net, "bob", began)
    await alone(net, "alice")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@flow()
async def attended_to_queue(net: Network) -> None:
    await net.behave("bob", "ring")
    call = await net.call("alice", "104")
    await together(net, "alice", "dave")
    began = await consult(net, "dave", "500")
    await together(net, "carol", "dave")
    await _hands_over(net, "dave", began)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_from_queue(net: Network) -> None:
    """A member of the queue transfers the caller on."""
    await net.behave("bob", "ring")
    call = await net.inbound()
    await together(net, "trunk", "carol")
    began = await consult(net, "carol", "104")
    await together(net, "carol", "dave")
    await _hands_over(net, "carol", began)
    await together(net, "trunk", "dave")
    await call.hangup()


# -- Not completed


@flow()
async def attended_aborted(net: Network) -> None:
    call = await _alice_and_bob(net)
    began = await _bob_asks_carol(net)
    await net.press("bob", ABORT)
    await gone(net, "carol", since=began)
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_aborted_while_ringing(net: Network) -> None:
    await net.behave("carol", "ring")
    call = await _alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await net.ringing("carol")
    await net.press("bob", ABORT)
    await gone(net, "carol", since=began)
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_target_hangs_up(net: Network) -> None:
    call = await _alice_and_bob(net)
    await _bob_asks_carol(net)
    await net.hangup("carol")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_target_busy(net: Network) -> None:
    await net.behave("carol", "busy")
    call = await _alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/carol", DialStatus="BUSY")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_target_does_not_answer(net: Network) -> None:
    await net.behave("carol", "ring")
    call = await _alice_and_bob(net)
    began = await consult(net, "bob", SHORT)
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/carol", DialStatus="NOANSWER")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_target_rings_too_long(net: Network) -> None:
    """The transferer waits, until Asterisk gives the target up."""
    await net.behave("carol", "ring")
    call = await _alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await gone(net, "carol", since=began)
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_caller_gives_up(net: Network) -> None:
    """The held caller hangs up; those who consult go on talking."""
    call = await _alice_and_bob(net)
    await _bob_asks_carol(net)
    await call.hangup()
    await together(net, "bob", "carol")
    await net.hangup("bob")


# -- Recalled


@flow()
async def attended_recalled(net: Network) -> None:
    """The target does not answer after the transfer, and the transferer is rung."""
    await net.behave("carol", "ring")
    call = await _alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await net.ringing("carol")
    await _hands_over(net, "bob", began)
    await gone(net, "bob", since=began)
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_recalled_then_target_after_all(net: Network) -> None:
    """The transferer is busy when it is recalled, and the target answers at the second try."""
    await net.behave("carol", "ring")
    call = await _alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await net.ringing("carol")
    await net.behave("bob", "busy")
    await _hands_over(net, "bob", began)
    await gone(net, "carol", since=began)
    await net.behave("carol")
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/bob", DialStatus="BUSY")
    await together(net, "alice", "carol")
    await call.hangup()


# -- Between the two


@flow()
async def attended_swapped(net: Network) -> None:
    call = await _alice_and_bob(net)
    began = await _bob_asks_carol(net)
    await net.press("bob", SWAP)
    await together(net, "alice", "bob")
    await net.press("bob", SWAP)
    await together(net, "bob", "carol")
    await _hands_over(net, "bob", began)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_swapped_and_aborted(net: Network) -> None:
    call = await _alice_and_bob(net)
    await _bob_asks_carol(net)
    await net.press("bob", SWAP)
    await together(net, "alice", "bob")
    await net.hangup("carol")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_to_three_way(net: Network) -> None:
    call = await _alice_and_bob(net)
    began = await _bob_asks_carol(net)
    await net.press("bob", THREE_WAY)
    await transferred(net, "bob", began)
    await together(net, "alice", "bob", "carol")
    await net.hangup("bob")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_to_three_way_and_back(net: Network) -> None:
    call = await _alice_and_bob(net)
    began = await _bob_asks_carol(net)
    await net.press("bob", THREE_WAY)
    await transferred(net, "bob", began)
    await together(net, "alice", "bob", "carol")
    await net.hangup("carol")
    await together(net, "alice", "bob")
    await call.hangup()


# -- Several in a row


@flow()
async def attended_twice(net: Network) -> None:
    call = await _alice_and_bob(net)
    await _hands_over(net, "bob", await _bob_asks_carol(net))
    await together(net, "alice", "carol")
    began = await consult(net, "carol", "104")
    await together(net, "carol", "dave")
    await _hands_over(net, "carol", began)
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def attended_after_blind(net: Network) -> None:
    call = await _alice_and_bob(net)
    await blind(net, "bob", "103")
    await together(net, "alice", "carol")
    began = await consult(net, "carol", "104")
    await together(net, "carol", "dave")
    await _hands_over(net, "carol", began)
    await together(net, "alice", "dave")
    await call.hangup()


@flow()
async def blind_after_attended(net: Network) -> None:
    call = await _alice_and_bob(net)
    await _hands_over(net, "bob", await _bob_asks_carol(net))
    await together(net, "alice", "carol")
    await blind(net, "carol", "104")
    await together(net, "alice", "dave")
    await call.hangup()
