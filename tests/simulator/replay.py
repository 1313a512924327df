"""Plays captures of real calls over the simulator's AMI, many at once, each with ids of its own.

The channels and Asterisk bridges of a capture are the PBX's for as long as they live: they are in every list, and
MixMonitor runs on them as on those of acted calls.
"""

import asyncio
import heapq
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.network.config import TONES
from tests.simulator.pbx import DOWN, RING, RINGING, UP, Bridge, Channel, Pbx
from tests.simulator.server import Simulator
from tests.simulator.wire import Headers, header

_END = b"\r\n\r\n"
# A login is told FullyBooted by the simulator itself; and what was recorded when the capture was taken is not now.
_NOT_PLAYED = ("FullyBooted", "MixMonitorStart", "MixMonitorStop", "MixMonitorMute")
_UNIQUEID = re.compile(r"^((?:[\w-]+-)?\d+\.(\d+))$")
_CHANNEL = re.compile(r"^(.+-)([0-9a-f]+)(?:;[12])?$")
_STATES = {"0": DOWN, "4": RING, "5": RINGING, "6": UP}
_PAUSE_EVERY = 100


@dataclass(frozen=True)
class Capture:
    """The events of a capture as text without their blank line, in order, each with its Timestamp."""

    events: tuple[tuple[float, str], ...]

    @classmethod
    def read(cls, path: Path) -> "Capture":
        """Raises OSError, and ValueError for a file without events that say when they happened."""
        events: list[tuple[float, str]] = []
        for block in path.read_bytes().split(_END):
            text = block.removeprefix(b"\r\n").decode("utf-8", "surrogateescape")
            if text.startswith("Event: ") and not text.startswith(tuple(f"Event: {name}\r\n" for name in _NOT_PLAYED)):
                stamp = re.search(r"^Timestamp: (\d+\.\d+)\r?$", text, re.MULTILINE)
                at = float(stamp[1]) if stamp else events[-1][0] if events else None
                if at is None:
                    raise ValueError(f"{path} has no Timestamps")
                events.append((at, text))
        if not events:
            raise ValueError(f"{path} is no capture")
        return cls(tuple(events))

    @cached_property
    def ids(self) -> "Ids":
        """All that must be another in a copy."""
        found = Ids()
        for _, text in self.events:
            found.look_at(headers_of(text))
        return found

    def copy(self, number: int) -> Iterator[tuple[float, str]]:
        """The events of another call just like it; number 0 is the capture itself."""
        if number == 0:
            yield from self.events
            return
        instead = self.ids.instead(number)
        pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, sorted(instead, key=len, reverse=True)))})(?!\w)")
        for at, text in self.events:
            yield at, pattern.sub(lambda match: instead[match[0]], text)


@dataclass
class Ids:
    """What a capture calls its channels and Asterisk bridges."""

    uniqueids: dict[str, int] = field(default_factory=dict)
    channels: dict[str, tuple[str, str]] = field(default_factory=dict)
    bridges: dict[str, None] = field(default_factory=dict)

    def look_at(self, event: Headers) -> None:
        """Take in what one event names."""
        for name, value in event:
            if name.endswith("BridgeUniqueid"):
                self.bridges[value] = None
            elif name.endswith(("Uniqueid", "Linkedid")) and (found := _UNIQUEID.match(value)):
                self.uniqueids[found[1]] = int(found[2])
            elif name.endswith(("Channel", "Newname")) and (named := _CHANNEL.match(value)):
                self.channels[value.partition(";")[0]] = named[1], named[2]

    def instead(self, number: int) -> dict[str, str]:
        """What copy `number` calls them: numbers go up past the last of the copy before it."""
        serials = number * _span(list(self.uniqueids.values()))
        numbers = number * _span([int(hexadecimal, 16) for _, hexadecimal in self.channels.values()])
        return {
            **{old: f"{old.rpartition('.')[0]}.{serial + serials}" for old, serial in self.uniqueids.items()},
            **{
                old: f"{stem}{int(hexadecimal, 16) + numbers:0{len(hexadecimal)}x}"
                for old, (stem, hexadecimal) in self.channels.items()
            },
            **{old: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{old} {number}")) for old in self.bridges},
        }


def _span(numbers: Sequence[int]) -> int:
    return max(numbers) - min(numbers) + 1 if numbers else 0


def headers_of(text: str) -> Headers:
    """An event's headers; values stay as they are, blanks at their ends too."""
    lines = (line.partition(":") for line in text.split("\r\n"))
    return [(name, value.removeprefix(" ")) for name, colon, value in lines if colon]


async def play(
    simulator: Simulator, captures: Sequence[Capture], *, copies: int = 1, at_once: bool = False, now: bool = False
) -> int:
    """Play so many copies of each capture side by side, event by event, and return how many events were sent.

    They take their own time by the simulator's clock; with `at_once` only as long as the clients take to read. With
    `now` each Timestamp is when it is sent, else the capture's own. Captures that share ids must not be played
    together.
    """
    pbx, clock = simulator.pbx, simulator.pbx.clock
    mirror = Mirror(pbx)
    streams = [_from_start(capture, number) for number in range(copies) for capture in captures]
    began = clock.now()
    sent = 0
    for at, text in heapq.merge(*streams, key=lambda event: event[0]):
        if at_once:
            if sent % _PAUSE_EVERY == 0:
                await asyncio.sleep(0)
                await simulator.drained()
        elif (wait := began + at - clock.now()) > 0:
            await clock.sleep(wait)
        event = headers_of(text)
        if now:
            event = [(name, f"{clock.now():.6f}" if name == "Timestamp" else value) for name, value in event]
        mirror.take(event)
        pbx.tell(header(event, "Privilege").partition(",")[0], event)
        sent += 1
    await simulator.drained()
    return sent


def _from_start(capture: Capture, number: int) -> Iterator[tuple[float, str]]:
    began = capture.events[0][0]
    return ((at - began, text) for at, text in capture.copy(number))


class Mirror:
    """Keeps the PBX's channels and Asterisk bridges as the events of captures say."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._takes: dict[str, Callable[[Headers], None]] = {
            "Newchannel": self._born,
            "Rename": self._renamed,
            "Hangup": self._hung_up,
            "VarSet": self._variable_set,
            "BridgeEnter": self._entered,
            "BridgeLeave": self._left,
            "BridgeDestroy": self._destroyed,
        }

    def take(self, event: Headers) -> None:
        """What an event changes is so before it is told."""
        channel = self._pbx.channels.get(header(event, "Uniqueid"))
        if channel is not None and header(event, "ChannelState"):
            channel.state = _STATES.get(header(event, "ChannelState"), RING)
            channel.caller = header(event, "CallerIDNum"), header(event, "CallerIDName")
            channel.connected = header(event, "ConnectedLineNum"), header(event, "ConnectedLineName")
            channel.context, channel.exten = header(event, "Context"), header(event, "Exten")
            channel.linkedid = header(event, "Linkedid")
            if application := header(event, "Application"):
                channel.application = application, header(event, "AppData")
        take = self._takes.get(header(event, "Event"))
        if take is not None:
            take(event)

    def _born(self, event: Headers) -> None:
        name, uniqueid = header(event, "Channel"), header(event, "Uniqueid")
        endpoint = name.partition("/")[2].rpartition("-")[0]
        self._pbx.channels[uniqueid] = Channel(
            name=name,
            uniqueid=uniqueid,
            linkedid=header(event, "Linkedid"),
            party=endpoint if endpoint in TONES else "outside",
            context=header(event, "Context"),
            exten=header(event, "Exten"),
            state=_STATES.get(header(event, "ChannelState"), RING),
            caller=(header(event, "CallerIDNum"), header(event, "CallerIDName")),
            began=self._pbx.clock.now(),
        )
        self._pbx.calls_processed += header(event, "Linkedid") == uniqueid

    def _renamed(self, event: Headers) -> None:
        if channel := self._pbx.channels.get(header(event, "Uniqueid")):
            channel.name = header(event, "Newname")

    def _hung_up(self, event: Headers) -> None:
        if channel := self._pbx.channels.get(header(event, "Uniqueid")):
            self._leave(channel)
            self._pbx.forget(channel)

    def _variable_set(self, event: Headers) -> None:
        if channel := self._pbx.channels.get(header(event, "Uniqueid")):
            channel.variables[header(event, "Variable")] = header(event, "Value")

    def _entered(self, event: Headers) -> None:
        channel = self._pbx.channels.get(header(event, "Uniqueid"))
        if channel is None:
            return
        uniqueid = header(event, "BridgeUniqueid")
        bridge = self._pbx.bridges.setdefault(uniqueid, Bridge(uniqueid))
        bridge.type, bridge.technology = header(event, "BridgeType"), header(event, "BridgeTechnology")
        self._leave(channel)
        bridge.members.append(channel)
        channel.bridge = bridge
        self._pbx.retune(*bridge.members)

    def _left(self, event: Headers) -> None:
        if channel := self._pbx.channels.get(header(event, "Uniqueid")):
            self._leave(channel)

    def _leave(self, channel: Channel) -> None:
        bridge, channel.bridge = channel.bridge, None
        if bridge is not None:
            bridge.members.remove(channel)
            self._pbx.retune(channel, *bridge.members)

    def _destroyed(self, event: Headers) -> None:
        bridge = self._pbx.bridges.pop(header(event, "BridgeUniqueid"), None)
        for channel in bridge.members if bridge is not None else ():
            channel.bridge = None
