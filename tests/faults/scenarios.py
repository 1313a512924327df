"""The calls that are met by a kill."""

import asyncio
import time

from tests.faults.stage import Scenario, Stage
from tests.flows.rules import Rule, RuleBook, everything

TALK_S = 2.5


def book(name: str, *options: str) -> RuleBook:
    """Rules that record all talk."""
    rules = (Rule(number, name, each, everything) for number, each in enumerate(options, 1))
    return RuleBook(name, tuple(rules))


async def plain(stage: Stage) -> None:
    """alice and bob."""
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(TALK_S)
    await call.hangup()


async def crowd(stage: Stage) -> None:
    """Three calls that begin and end one after the other: one step of one meets the others in all states."""
    first = await stage.net.call("alice", "102")
    await first.answered()
    await asyncio.sleep(0.8)
    second = await stage.net.inbound("+4915112345", name="Erika Muster", did="4930555")
    await second.answered()
    await asyncio.sleep(0.8)
    third = await stage.net.call("dave", "0301234567")
    await third.answered()
    await asyncio.sleep(0.8)
    await first.hangup()
    await asyncio.sleep(0.8)
    await second.hangup()
    await asyncio.sleep(0.8)
    await third.hangup()


async def on_demand(stage: Stage) -> None:
    """alice has her call with bob recorded, pauses, resumes and stops."""
    call = await stage.net.call("alice", "102")
    await call.answered()
    began = time.time()
    await stage.ask("start", "alice", "recording")
    stage.unheard.append((began - 1, time.time()))
    await asyncio.sleep(1)
    began = time.time()
    await stage.ask("pause", "alice", "paused")
    paused = time.time()
    await asyncio.sleep(1)
    resumed = time.time()
    await stage.ask("resume", "alice", "recording")
    stage.silent.append((paused, resumed))
    stage.unheard.append((began, time.time()))
    await asyncio.sleep(1)
    began = time.time()
    await stage.ask("stop", "alice", "offered")
    stage.unheard.append((began, float("inf")))
    await asyncio.sleep(0.3)
    await call.hangup()


async def transfer(stage: Stage) -> None:
    """bob sends alice on to carol."""
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(1)
    await stage.net.press("bob", "#1103")
    await stage.net.talking("carol")
    await asyncio.sleep(TALK_S)
    await call.hangup()


async def long(stage: Stage) -> None:
    """A call that is longer than a section may be."""
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(14)  # also where the first seconds were missed
    await call.hangup()


async def away(stage: Stage) -> None:
    """While the daemon is down one call ends, one goes on, one is sent on to another phone, and one begins."""
    net = stage.net
    await net.behave("carol", "ring")
    ends = await net.call("alice", "102")
    await ends.answered()
    moves = await net.inbound("+4915112345", did="4930558")
    await moves.answered()
    goes_on = await net.call("dave", "0301234567")
    await goes_on.answered()
    await asyncio.sleep(1)
    await stage.daemon.down()
    await ends.hangup()
    begins = await net.call("alice", "0401234567")
    await begins.answered()
    await stage.daemon.back()
    await asyncio.sleep(1)
    for call in (moves, goes_on, begins):
        await call.hangup()


async def away_and_moved(stage: Stage) -> None:
    """While the daemon is down bob sends alice on to carol."""
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(1)
    await stage.daemon.down()
    await stage.net.press("bob", "#1103")
    await stage.net.talking("carol")
    await asyncio.sleep(0.5)
    await stage.daemon.back()
    await asyncio.sleep(1.5)
    await call.hangup()


MONO = "record: always"
STEREO = "record: always, channels: stereo, rate: 16000"
SCENARIOS = (
    Scenario("plain", book("All", MONO), plain),
    Scenario("stereo", book("All in stereo", STEREO), plain),
    Scenario("crowd", book("All", MONO, STEREO), crowd),
    Scenario("on demand", book("On demand", "record: on-demand"), on_demand),
    Scenario("transfer", book("All", MONO), transfer),
    Scenario("long", book("All", "record: always, section: 10s"), long, section_s=10.0),
    Scenario("away", book("All", MONO), away, life=2),
    Scenario("away and moved", book("All", MONO, STEREO), away_and_moved, life=2),
)
