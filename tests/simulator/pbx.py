"""The simulated PBX: channels, bridges, variables, MixMonitors, and the events that tell of them."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.network.config import TONES
from tests.simulator.clock import Clock, RunningClock
from tests.simulator.mixmonitor import MixMonitor
from tests.simulator.wire import Headers, option

_STATES = {0: "Down", 4: "Ring", 5: "Ringing", 6: "Up"}
DOWN, RING, RINGING, UP = _STATES
# A file is final some milliseconds after its channel's Hangup (measured).
_FINAL_AFTER_S = 0.003
_CAUSES = {16: "Normal Clearing", 26: "Answered elsewhere"}


@dataclass(eq=False, slots=True)
class Channel:
    """One leg. `party` says whose tone is heard from it."""

    name: str
    uniqueid: str
    linkedid: str
    party: str
    context: str
    exten: str
    state: int
    caller: tuple[str, str]
    began: float
    connected: tuple[str, str] = ("<unknown>", "<unknown>")
    priority: int = 1
    application: tuple[str, str] = ("", "")
    bridge: "Bridge | None" = None
    variables: dict[str, str] = field(default_factory=dict)
    monitors: list[MixMonitor] = field(default_factory=list)

    def headers(self, prefix: str = "") -> Headers:
        """A channel's headers in Asterisk's order; `prefix` is `Dest` for the other one of a dial."""
        return [
            (f"{prefix}Channel", self.name),
            (f"{prefix}ChannelState", str(self.state)),
            (f"{prefix}ChannelStateDesc", _STATES[self.state]),
            (f"{prefix}CallerIDNum", self.caller[0]),
            (f"{prefix}CallerIDName", self.caller[1]),
            (f"{prefix}ConnectedLineNum", self.connected[0]),
            (f"{prefix}ConnectedLineName", self.connected[1]),
            (f"{prefix}Language", "en"),
            (f"{prefix}AccountCode", ""),
            (f"{prefix}Context", self.context),
            (f"{prefix}Exten", self.exten),
            (f"{prefix}Priority", str(self.priority)),
            (f"{prefix}Uniqueid", self.uniqueid),
            (f"{prefix}Linkedid", self.linkedid),
        ]

    def heard(self) -> tuple[list[str], list[str]]:
        """Who speaks on this leg, and whom it hears."""
        others = self.bridge.members if self.bridge else []
        return [self.party] if self.state == UP else [], [other.party for other in others if other is not self]


@dataclass(eq=False, slots=True)
class Bridge:
    """An Asterisk bridge; of two, if nothing else is said."""

    uniqueid: str
    members: list[Channel] = field(default_factory=list)
    type: str = "basic"
    technology: str = "simple_bridge"

    def headers(self) -> Headers:
        """A bridge's headers in Asterisk's order."""
        return [
            ("BridgeUniqueid", self.uniqueid),
            ("BridgeType", self.type),
            ("BridgeTechnology", self.technology),
            ("BridgeCreator", "<unknown>"),
            ("BridgeName", "<unknown>"),
            ("BridgeNumChannels", str(len(self.members))),
            ("BridgeVideoSourceMode", "none"),
        ]


class Pbx:
    """What goes on in the PBX. `listeners` get each event's class and headers at once, in order.

    WAVs are written below `spool` alone; any other path behaves as one that Asterisk's user may not write:
    Success, and no file. With `writes` off that is so of all.
    """

    def __init__(
        self, spool: Path, *, clock: Clock | None = None, systemname: str = "", tones: Mapping[str, int] = TONES
    ) -> None:
        self.spool = spool
        self.clock = clock or RunningClock()
        self.systemname = systemname
        self.booted = self.clock.now()
        self.calls_processed = 0
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, Bridge] = {}
        self.variables: dict[str, str] = {}
        self.writes = True
        self.listeners: list[Callable[[str, Headers], None]] = []
        self._tones = tones
        self._serial = itertools.count()
        self._pointer = itertools.count(0x7FAB8C005E60, 0x2E0)
        self._closing: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop at once: files that are open stay unfinished, as when Asterisk dies."""
        monitors = [monitor for channel in self.channels.values() for monitor in channel.monitors]
        for monitor in monitors:
            await monitor.abandon()
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def emit(self, kind: str, name: str, *headers: tuple[str, str]) -> None:
        """Tell an event of the class `kind` (call, dialplan, agent, …)."""
        timestamp = f"{self.clock.now():.6f}"
        self.tell(kind, [("Event", name), ("Privilege", f"{kind},all"), ("Timestamp", timestamp), *headers])

    def tell(self, kind: str, message: Headers) -> None:
        """Tell an event of the class `kind` as it is."""
        for listener in self.listeners:
            listener(kind, message)

    def find(self, name_or_uniqueid: str) -> Channel | None:
        """The channel of that name or Uniqueid."""
        found = self.channels.get(name_or_uniqueid)
        return found or next((each for each in self.channels.values() if each.name == name_or_uniqueid), None)

    # -- channels

    def new_channel(
        self,
        endpoint: str,
        party: str,
        context: str,
        exten: str,
        *,
        state: int,
        caller: tuple[str, str],
        linkedid: str = "",
    ) -> Channel:
        """A leg appears; without a linkedid it begins a call."""
        serial, now = next(self._serial), self.clock.now()
        uniqueid = f"{self.systemname}-{int(now)}.{serial}" if self.systemname else f"{int(now)}.{serial}"
        name = f"PJSIP/{endpoint}-{serial:08x}"
        channel = Channel(name, uniqueid, linkedid or uniqueid, party, context, exten, state, caller, now)
        self.channels[uniqueid] = channel
        self.calls_processed += not linkedid
        self.emit("call", "Newchannel", *channel.headers())
        return channel

    def set_state(self, channel: Channel, state: int) -> None:
        """Newstate; a leg that is up is heard."""
        channel.state = state
        self.emit("call", "Newstate", *channel.headers())
        self.retune(channel)

    def newexten(self, channel: Channel, exten: str, application: str, data: str = "") -> None:
        """The dial plan reaches an application."""
        channel.exten, channel.application = exten, (application, data)
        more = (("Extension", exten), ("Application", application), ("AppData", data))
        self.emit("dialplan", "Newexten", *channel.headers(), *more)

    def set_variable(self, channel: Channel | None, name: str, value: str) -> None:
        """VarSet, of a channel or global."""
        where = channel.headers() if channel else [("Channel", "none"), ("Uniqueid", "none")]
        (channel.variables if channel else self.variables)[name] = value
        self.emit("dialplan", "VarSet", *where, ("Variable", name), ("Value", value))

    def connect_line(self, channel: Channel, other: tuple[str, str]) -> None:
        """NewConnectedLine."""
        channel.connected = other
        self.emit("call", "NewConnectedLine", *channel.headers())

    def hang_up(self, channel: Channel, cause: int = 16) -> None:
        """Hangup; without a MixMonitorStop, and the files are final a moment later (both measured)."""
        self.forget(channel)
        self.emit("call", "Hangup", *channel.headers(), ("Cause", str(cause)), ("Cause-txt", _CAUSES[cause]))

    def forget(self, channel: Channel) -> None:
        """The channel is gone; its files are final a moment later."""
        del self.channels[channel.uniqueid]
        if channel.monitors:
            task = asyncio.create_task(self._finish(channel), name=f"finish the files of {channel.name}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    # -- bridges

    def new_bridge(self) -> Bridge:
        """BridgeCreate."""
        bridge = Bridge(str(uuid.uuid4()))
        self.bridges[bridge.uniqueid] = bridge
        self.emit("call", "BridgeCreate", *bridge.headers())
        return bridge

    def enter(self, bridge: Bridge, channel: Channel) -> None:
        """BridgeEnter."""
        bridge.members.append(channel)
        channel.bridge = bridge
        self.emit("call", "BridgeEnter", *bridge.headers(), *channel.headers())
        self.retune(*bridge.members)

    def leave(self, channel: Channel) -> None:
        """BridgeLeave. Whoever is not in a bridge: nothing."""
        if (bridge := channel.bridge) is None:
            return
        bridge.members.remove(channel)
        channel.bridge = None
        self.emit("call", "BridgeLeave", *bridge.headers(), *channel.headers())
        self.retune(channel, *bridge.members)

    def destroy(self, bridge: Bridge) -> None:
        """BridgeDestroy."""
        del self.bridges[bridge.uniqueid]
        self.emit("call", "BridgeDestroy", *bridge.headers())

    # -- MixMonitor

    def monitor(self, channel: Channel, file: str, options: str, command: str) -> MixMonitor:
        """MixMonitor starts, tells the variables and itself. `command` is kept, never run."""
        wanted = {file: "rw"}
        for letter, sides in (("r", "r"), ("t", "w")):
            if extra := option(options, letter):
                wanted[extra] = sides
        monitor = MixMonitor(f"{next(self._pointer):#x}", file, options, command, self.clock)
        monitor.open(wanted if self.writes else {}, self.spool, self._tones)
        channel.monitors.append(monitor)
        self.set_variable(channel, "MIXMONITOR_FILENAME", file)
        if variable := option(options, "i"):
            self.set_variable(channel, variable, monitor.id)
        self.retune(channel)
        return monitor

    async def stop_monitor(self, channel: Channel, monitor: MixMonitor) -> None:
        """StopMixMonitor: its files are final when this returns."""
        channel.monitors.remove(monitor)
        await monitor.close()

    def mute(self, channel: Channel, monitors: list[MixMonitor], sides: str, *, muted: bool) -> None:
        """Silence for `r` (what the leg says), `w` (what it hears), or both; the files' time goes on."""
        for monitor in monitors:
            monitor.muted = (monitor.muted | set(sides)) if muted else (monitor.muted - set(sides))
        self.retune(channel)

    async def _finish(self, channel: Channel) -> None:
        now = self.clock.now()
        for monitor in channel.monitors:
            await monitor.stop_growing()
        try:
            await self.clock.sleep(_FINAL_AFTER_S)
        except asyncio.CancelledError:
            for monitor in channel.monitors:
                await monitor.abandon()
            raise
        for monitor in channel.monitors:
            await monitor.close(now)

    def retune(self, *channels: Channel) -> None:
        """Who is heard in the files of these channels now."""
        now = self.clock.now()
        for channel in channels:
            said, heard = channel.heard()
            for monitor in channel.monitors:
                monitor.hears(said, heard, now)
