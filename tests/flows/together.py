"""Who is in a talk with whom now, by the PBX's own events: what the flows wait for, and so prove that they happen."""

import asyncio
from collections.abc import Callable

from tests.flows.flow import TALK_S
from tests.network.ami import AmiError, Message
from tests.network.config import PHONES
from tests.network.network import Network

PARTIES = (*PHONES, "trunk")
DEADLINE_S = 20


def party(channel: str) -> str | None:
    """`alice` of `PJSIP/alice-00000001`; None for a Local half. Every outside party is `trunk`."""
    technology, _, rest = channel.partition("/")
    name = rest.rpartition("-")[0]
    return name if technology == "PJSIP" and name in PARTIES else None


def talks(events: list[Message]) -> list[list[str]]:
    """The parties of each talk after these events, sorted; through Local channels that stay, too.

    A party with two legs in a talk stands in it twice. Whoever is alone, parked or waits is in none.
    """
    bridges: dict[str, dict[str, str]] = {}  # uniqueid of an Asterisk bridge -> uniqueid -> name of each channel
    for event in events:
        match event["Event"]:
            case "BridgeEnter" if event["BridgeTechnology"] != "holding_bridge":
                bridges.setdefault(event["BridgeUniqueid"], {})[event["Uniqueid"]] = event["Channel"]
            case "BridgeLeave":
                bridges.get(event["BridgeUniqueid"], {}).pop(event["Uniqueid"], None)
            case "Rename":
                for members in bridges.values():
                    if event["Uniqueid"] in members:
                        members[event["Uniqueid"]] = event["Newname"]
    groups: list[set[str]] = []
    for members in bridges.values():
        group = set(members.values())
        for other in [one for one in groups if _pairs(one) & _pairs(group)]:
            groups.remove(other)
            group |= other
        groups.append(group)
    found = [sorted(filter(None, map(party, group))) for group in groups]
    return sorted(parties for parties in found if len(parties) > 1)


def _pairs(channels: set[str]) -> set[str]:
    return {name.removesuffix(";1").removesuffix(";2") for name in channels if name.startswith("Local/")}


async def together(net: Network, *parties: str, length_s: float = TALK_S) -> None:
    """Return when these parties and no other are in one talk, and have talked for some time; AmiError."""
    wanted = sorted(parties)
    await until(net, lambda: wanted in talks(net.pbx.events()), f"a talk of {', '.join(wanted)}")
    await asyncio.sleep(length_s)
    still = talks(net.pbx.events())
    if wanted not in still:
        raise AmiError(f"the talk of {', '.join(wanted)} did not last; there are {still}")


async def until(net: Network, met: Callable[[], bool], what: str) -> None:
    """Return when the PBX's events fulfil the condition; AmiError."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not met():  # noqa: ASYNC110 - several events, in any order
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AmiError(f"no {what} in {DEADLINE_S} s; there are {talks(net.pbx.events())}") from None


def leg(net: Network, name: str) -> str:
    """The party's newest channel on the PBX that still lives, by name; AmiError where it has none."""
    gone = {event["Uniqueid"] for event in net.pbx.events() if event["Event"] == "Hangup"}
    legs = [
        event["Channel"]
        for event in net.pbx.events()
        if event["Event"] == "Newchannel" and party(event["Channel"]) == name and event["Uniqueid"] not in gone
    ]
    if not legs:
        raise AmiError(f"{name} has no leg on the PBX")
    return legs[-1]
