"""What is placed for each capture. A scenario ends when the network is idle again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.captures import lines
from tests.flows.catalogue import by_kind
from tests.network.ami import Message
from tests.network.call import Call, CallFailedError
from tests.network.config import ANSWERED_DID, BOB_DID, GROUP_DID
from tests.network.network import Network

TALK_S = 1.2
Play = Callable[[Network], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A folder of `fixtures/`: `22-busy` for Asterisk 22. `flow` is one of tests/flows, in which a call moves."""

    play: Play
    release: int
    systemname: str | None = None
    flow: bool = False

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{self.release}-{self.play.__name__.replace('_', '-')}"

    @property
    def suite(self) -> str:
        """Debian's suite with this Asterisk."""
        return {22: "sid", 16: "bullseye"}[self.release]


SCENARIOS: list[Scenario] = []


def on(*releases: int, systemname: str | None = None) -> Callable[[Play], Play]:
    """The scenario is captured on these releases of Asterisk."""

    def keep(play: Play) -> Play:
        SCENARIOS.extend(Scenario(play, release, systemname) for release in releases)
        return play

    return keep


async def entered(net: Network, *channels: str, times: int = 1) -> None:
    """Return when channels of these names have entered an Asterisk bridge so often, in this scenario."""

    def are_in() -> bool:
        seen = [event["Channel"] for event in net.pbx.events() if event["Event"] == "BridgeEnter"]
        return all(sum(one.startswith(channel) for one in seen) >= times for channel in channels)

    async with asyncio.timeout(30):
        while not are_in():  # noqa: ASYNC110 - several events, in any order
            await asyncio.sleep(0.02)


async def event(net: Network, name: str, **headers: str) -> Message:
    """The first such event of this scenario."""
    return await net.wait_for_event(
        lambda one: one["Event"] == name and all(one.get(key, "").startswith(value) for key, value in headers.items())
    )


async def talk(net: Network, call: Call, *channels: str, length_s: float = TALK_S) -> None:
    """Answered, in a bridge, and some time of talk."""
    await call.answered()
    await entered(net, *channels)
    await asyncio.sleep(length_s)


async def unanswered(call: Call) -> None:
    """The call comes to nothing."""
    with contextlib.suppress(CallFailedError):
        await call.answered()
        raise AssertionError("answered")
    await call.ended()


# -- Talks


@on(22, 16)
async def inside(net: Network) -> None:
    call = await net.call("alice", "102")
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    await call.hangup()


@on(22)
async def callee_hangs_up(net: Network) -> None:
    call = await net.call("alice", "102")
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    await net.hangup("bob")
    await call.ended()


@on(22, 16)
async def inbound(net: Network) -> None:
    call = await net.inbound("+4915112345", name="Erika Muster", did=BOB_DID)
    await talk(net, call, "PJSIP/trunk", "PJSIP/bob")
    await call.hangup()


@on(22)
async def inbound_anonymous(net: Network) -> None:
    call = await net.inbound("anonymous", did=BOB_DID)
    await talk(net, call, "PJSIP/trunk", "PJSIP/bob")
    await call.hangup()


@on(22, 16)
async def outbound(net: Network) -> None:
    call = await net.call("alice", "0301234567")
    await talk(net, call, "PJSIP/alice", "PJSIP/trunk")
    await net.hangup("outside")
    await call.ended()


@on(22, 16)
async def ring_group(net: Network) -> None:
    await net.behave("bob", "answer", after_s=60)
    call = await net.inbound(did=GROUP_DID)
    await talk(net, call, "PJSIP/trunk", "PJSIP/carol")
    await call.hangup()


@on(22, 16)
async def local_optimised(net: Network) -> None:
    call = await net.call("alice", "700")
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    await event(net, "LocalOptimizationEnd")
    await call.hangup()


@on(22)
async def local_kept(net: Network) -> None:
    call = await net.call("alice", "701")
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    await call.hangup()


@on(22)
async def conference(net: Network) -> None:
    calls = [await net.call(party, lines.CONFERENCE) for party in ("alice", "bob")]
    await entered(net, "PJSIP/alice", "PJSIP/bob")
    calls.append(await net.call("carol", lines.CONFERENCE))
    await entered(net, "PJSIP/carol")
    await asyncio.sleep(TALK_S)
    for call in calls:
        await call.hangup()
        await asyncio.sleep(0.3)


# -- Queues


@on(22, 16)
async def queue(net: Network) -> None:
    await net.behave("bob", "ring")
    call = await net.inbound(name="Erika Muster")
    await talk(net, call, "PJSIP/trunk", "PJSIP/carol")
    await net.hangup("carol")
    await call.ended()


@on(22)
async def queue_abandoned(net: Network) -> None:
    await net.behave("bob", "ring")
    await net.behave("carol", "ring")
    call = await net.inbound()
    await net.ringing("bob")
    await net.ringing("carol")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@on(22)
async def queue_of_two_callers(net: Network) -> None:
    await net.behave("carol", "answer", after_s=0.7)
    first = await net.inbound("+4915112345")
    await talk(net, first, "PJSIP/bob")
    second = await net.inbound("+4915167890", party="stranger")
    await talk(net, second, "PJSIP/carol")
    await first.hangup()
    await second.hangup()


@on(22, 16)
async def queue_answered_first(net: Network) -> None:
    await net.behave("bob", "answer", after_s=TALK_S)
    await net.behave("carol", "ring")
    call = await net.inbound(did=ANSWERED_DID)
    await call.answered()
    await talk(net, call, "PJSIP/trunk", "PJSIP/bob")
    await call.hangup()


# -- No talk


@on(22, 16)
async def busy(net: Network) -> None:
    await net.behave("bob", "busy")
    await unanswered(await net.call("alice", "102"))


@on(22)
async def rejected(net: Network) -> None:
    await net.behave("bob", "reject")
    await unanswered(await net.inbound(did=BOB_DID))


@on(22, 16)
async def not_answered(net: Network) -> None:
    await net.behave("bob", "ring")
    await unanswered(await net.call("alice", lines.UNANSWERED))


@on(22, 16)
async def cancelled(net: Network) -> None:
    await net.behave("bob", "ring")
    call = await net.call("alice", "102")
    await net.ringing("bob")
    await asyncio.sleep(0.5)
    await call.hangup()


@on(22)
async def outbound_busy(net: Network) -> None:
    await net.behave("outside", "busy")
    await unanswered(await net.call("alice", "0301234567"))


@on(22)
async def pbx_answers(net: Network) -> None:
    call = await net.call("alice", "800")
    await call.answered()
    await asyncio.sleep(TALK_S)
    await call.hangup()


@on(22)
async def wrong_number(net: Network) -> None:
    # The PBX refuses it before there is a channel, so that a call beside it is all that there is to see.
    await unanswered(await net.call("alice", "999"))
    await cancelled(net)


# -- Several calls


@on(22)
async def two_at_once(net: Network) -> None:
    first = await net.call("alice", "102")
    second = await net.call("carol", "104")
    await talk(net, first, "PJSIP/alice", "PJSIP/bob")
    await talk(net, second, "PJSIP/carol", "PJSIP/dave")
    await first.hangup()
    await second.hangup()


@on(22)
async def second_call_of_a_user(net: Network) -> None:
    first = await net.call("alice", "102")
    await talk(net, first, "PJSIP/alice", "PJSIP/bob")
    second = await net.inbound(did=BOB_DID, name="Second line")
    await second.answered()
    await entered(net, "PJSIP/trunk")
    await asyncio.sleep(TALK_S)
    await first.hangup()
    await asyncio.sleep(0.5)
    await second.hangup()


@on(22)
async def one_call_after_another(net: Network) -> None:
    for number in ("102", "103"):
        call = await net.call("alice", number)
        await call.answered()
        await asyncio.sleep(TALK_S / 2)
        await call.hangup()
        await net.idle()


# -- Transfers, parking


@on(22, 16)
async def blind_transfer(net: Network) -> None:
    call = await net.call("alice", "102")
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    await net.press("bob", "#1")
    await asyncio.sleep(0.5)
    await net.press("bob", "103")
    await entered(net, "PJSIP/carol")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@on(22)
async def attended_transfer(net: Network) -> None:
    call = await net.inbound(did=BOB_DID)
    await talk(net, call, "PJSIP/trunk", "PJSIP/bob")
    await net.press("bob", "*2")
    await event(net, "Hold")
    await asyncio.sleep(0.5)
    await net.press("bob", "103")
    await entered(net, "PJSIP/carol")
    await asyncio.sleep(TALK_S)
    await net.hangup("bob")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@on(22)
async def parked(net: Network) -> None:
    call = await net.call("alice", "102")
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    await net.press("bob", "#72")
    space = (await event(net, "ParkedCall"))["ParkingSpace"]
    await asyncio.sleep(0.5)
    retrieval = await net.call("carol", space)
    await talk(net, retrieval, "PJSIP/carol")
    await call.hangup()


# -- Variables, names


@on(22, 16)
async def variable_inherited(net: Network) -> None:
    call = await net.call("alice", lines.CAMPAIGN)
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    await call.hangup()


@on(22)
async def variable_set_in_talk(net: Network) -> None:
    call = await net.call("alice", lines.OWN_CAMPAIGN)
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    channel = (await event(net, "Newchannel", Channel="PJSIP/alice"))["Uniqueid"]
    await net.pbx.action("Setvar", Channel=channel, Variable="CAMPAIGN", Value="spring 2026")
    await net.press("bob", "#1")
    await asyncio.sleep(0.5)
    await net.press("bob", "103")
    await entered(net, "PJSIP/carol")
    await asyncio.sleep(TALK_S)
    await call.hangup()


@on(22, systemname="pbx1")
async def systemname(net: Network) -> None:
    await inbound(net)


async def _claimed(net: Network, *, name: str = "", number: str = "+4915112345") -> None:
    call = await lines.claims(net, name=name, number=number)
    await call.answered()
    await asyncio.sleep(0.4)
    await call.hangup()
    await net.idle()


@on(22, 16)
async def names_in_utf8(net: Network) -> None:
    for name in ("Ännchen Müller-Őz", "Ольга", "田中 太郎", "Zoë 🎻"):
        await _claimed(net, name=name)


@on(22, 16)
async def names_quoted(net: Network) -> None:
    for name in ('Anna "Ännchen" Müller', "C:\\new\\table", 'back\\slash "and\\" quote', "O'Brien", "tab\tbell\a"):
        await _claimed(net, name=name)


@on(22, 16)
async def names_hostile(net: Network) -> None:
    for name in (
        '"><script>alert(1)</script>',
        "; rm -rf /",
        "Erika\\r\\n\\r\\nEvent: Hangup",
        "Erika%0D%0AAction: Command",
        "a,b|c,d",
        "x" * 200,
        "${SHELL(touch /tmp/x)}",
        "../../etc/passwd",
        "'; DROP TABLE section; --",
        "%s%n {0} \x1b[31mred",
    ):
        await _claimed(net, name=name)


@on(22)
async def numbers_hostile(net: Network) -> None:
    for number in (
        '"><script>alert(1)</script>',
        "; rm -rf /",
        "a,b|c,d",
        "9" * 200,
        "${SHELL(touch /tmp/x)}",
        "../../etc/passwd",
        "' OR 1=1 --",
    ):
        await _claimed(net, number=number)


@on(22, 16)
async def number_with_line_breaks(net: Network) -> None:
    await _claimed(net, number="123\r\nUniqueid: 1\r\nLinkedid: 1")


@on(22, 16)
async def forged_hangup(net: Network) -> None:
    call = await net.call("alice", "102")
    await talk(net, call, "PJSIP/alice", "PJSIP/bob")
    victim = (await event(net, "Newchannel", Channel="PJSIP/alice"))["Uniqueid"]
    forged = f"1\r\n\r\nEvent: Hangup\r\nUniqueid: {victim}\r\n\r\n"
    liar = await lines.claims(net, number=forged, did=lines.MACHINE_DID)
    await liar.answered()
    await asyncio.sleep(TALK_S)
    await liar.hangup()
    await call.hangup()


@on(22)
async def name_looked_up_with_line_breaks(net: Network) -> None:
    # A phone that is rung would never know: the name goes into the INVITE as it is, and breaks it.
    call = await net.inbound(did=lines.LOOKED_UP_DID)
    await call.answered()
    await asyncio.sleep(TALK_S)
    await call.hangup()


# Every flow is a capture on 22, but for those above that go the same way; on 16 they are played (make test-matrix).
_NAMES = {scenario.name for scenario in SCENARIOS}
_MOVES = [Scenario(flow.play, 22, flow=True) for flows in by_kind(22).values() for flow in flows]
SCENARIOS.extend(scenario for scenario in _MOVES if scenario.name not in _NAMES)
