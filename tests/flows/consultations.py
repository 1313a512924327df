"""Attended transfers that take another way: aborted, recalled, swapped, made a talk of three. Number 210."""

from tests.flows.flow import flow
from tests.flows.steps import alice_and_bob, bob_asks_carol, consult, gone, hands_over, happened, transferred
from tests.flows.together import together
from tests.network.network import Network

SHORT = "210"
"""Carol, whose phone rings for a second."""
ABORT, THREE_WAY, SWAP = "*1", "*3", "*4"

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
atxferthreeway = {THREE_WAY}
atxferswap = {SWAP}
""",
    "extensions.conf": f"""
[internal]
exten => {SHORT},1,Dial(PJSIP/carol,1,tTkK)
 same => n,Goto(end,1)
""",
}


# -- Not completed


@flow()
async def attended_aborted(net: Network) -> None:
    call = await alice_and_bob(net)
    began = await bob_asks_carol(net)
    await net.press("bob", ABORT)
    await gone(net, "carol", since=began)
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_aborted_while_ringing(net: Network) -> None:
    await net.behave("carol", "ring")
    call = await alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await net.ringing("carol")
    await net.press("bob", ABORT)
    await gone(net, "carol", since=began)
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_target_hangs_up(net: Network) -> None:
    call = await alice_and_bob(net)
    await bob_asks_carol(net)
    await net.hangup("carol")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_target_busy(net: Network) -> None:
    await net.behave("carol", "busy")
    call = await alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/carol", DialStatus="BUSY")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_target_does_not_answer(net: Network) -> None:
    await net.behave("carol", "ring")
    call = await alice_and_bob(net)
    began = await consult(net, "bob", SHORT)
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/carol", DialStatus="NOANSWER")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_target_rings_too_long(net: Network) -> None:
    """The transferer waits, until Asterisk gives the target up."""
    await net.behave("carol", "ring")
    call = await alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await gone(net, "carol", since=began)
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_caller_gives_up(net: Network) -> None:
    """The held caller hangs up; those who consult go on talking."""
    call = await alice_and_bob(net)
    await bob_asks_carol(net)
    await call.hangup()
    await together(net, "bob", "carol")
    await net.hangup("bob")


# -- Recalled


@flow()
async def attended_recalled(net: Network) -> None:
    """The target does not answer after the transfer, and the transferer is rung."""
    await net.behave("carol", "ring")
    call = await alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await net.ringing("carol")
    await hands_over(net, "bob", began)
    await gone(net, "bob", since=began)
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_recalled_then_target_after_all(net: Network) -> None:
    """The transferer is busy when it is recalled, and the target answers at the second try."""
    await net.behave("carol", "ring")
    call = await alice_and_bob(net)
    began = await consult(net, "bob", "103")
    await net.ringing("carol")
    await net.behave("bob", "busy")
    await hands_over(net, "bob", began)
    await gone(net, "carol", since=began)
    await net.behave("carol")
    await happened(net, "DialEnd", since=began, DestChannel="PJSIP/bob", DialStatus="BUSY")
    await together(net, "alice", "carol")
    await call.hangup()


# -- Between the two


@flow()
async def attended_swapped(net: Network) -> None:
    call = await alice_and_bob(net)
    began = await bob_asks_carol(net)
    await net.press("bob", SWAP)
    await together(net, "alice", "bob")
    await net.press("bob", SWAP)
    await together(net, "bob", "carol")
    await hands_over(net, "bob", began)
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_swapped_and_aborted(net: Network) -> None:
    call = await alice_and_bob(net)
    await bob_asks_carol(net)
    await net.press("bob", SWAP)
    await together(net, "alice", "bob")
    await net.hangup("carol")
    await together(net, "alice", "bob")
    await call.hangup()


@flow()
async def attended_to_three_way(net: Network) -> None:
    call = await alice_and_bob(net)
    began = await bob_asks_carol(net)
    await net.press("bob", THREE_WAY)
    await transferred(net, "bob", began)
    await together(net, "alice", "bob", "carol")
    await net.hangup("bob")
    await together(net, "alice", "carol")
    await call.hangup()


@flow()
async def attended_to_three_way_and_back(net: Network) -> None:
    call = await alice_and_bob(net)
    began = await bob_asks_carol(net)
    await net.press("bob", THREE_WAY)
    await transferred(net, "bob", began)
    await together(net, "alice", "bob", "carol")
    await net.hangup("carol")
    await together(net, "alice", "bob")
    await call.hangup()
