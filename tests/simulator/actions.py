"""The actions: who may do them, and what Asterisk 22.10 answers (all words measured)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.simulator.mixmonitor import MixMonitor
from tests.simulator.pbx import Channel, Pbx
from tests.simulator.wire import Headers, header, option, split_arguments

_MIXMONITOR = re.compile(r"MIXMONITOR\(([^,()]*),filename\)")


class RefusedError(Exception):
    """The action is refused with this message; `headers` follow it."""

    def __init__(self, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Answer:
    """The response's headers, the list's items, the headers of the list's end, and what is told after the response."""

    headers: Headers
    complete: str = ""
    items: tuple[tuple[str, Headers], ...] = ()
    tail: tuple[tuple[str, str], ...] = ()
    then: Callable[[], None] | None = None


Handler = Callable[[Pbx, Headers], Awaitable[Answer]]


async def _ping(pbx: Pbx, _: Headers) -> Answer:
    return Answer([("Ping", "Pong"), ("Timestamp", f"{pbx.clock.now():.6f}")])


async def _core_settings(pbx: Pbx, _: Headers) -> Answer:
    return Answer(
        [
            ("AMIversion", "11.0.0"),
            ("AsteriskVersion", "22.10.1"),
            ("SystemName", pbx.systemname),
            ("CoreMaxCalls", "0"),
            ("CoreMaxLoadAvg", "0.000000"),
            ("CoreRunUser", ""),
            ("CoreRunGroup", ""),
            ("CoreMaxFilehandles", "0"),
            ("CoreRealTimeEnabled", "No"),
            ("CoreCDRenabled", "Yes"),
            ("CoreHTTPenabled", "No"),
            ("SoundsSearchCustomDir", "No"),
        ]
    )


async def _core_status(pbx: Pbx, _: Headers) -> Answer:
    booted = datetime.fromtimestamp(pbx.booted, UTC)
    return Answer(
        [
            ("CoreStartupDate", f"{booted:%Y-%m-%d}"),
            ("CoreStartupTime", f"{booted:%H:%M:%S}"),
            ("CoreReloadDate", f"{booted:%Y-%m-%d}"),
            ("CoreReloadTime", f"{booted:%H:%M:%S}"),
            ("CoreCurrentCalls", str(len({channel.linkedid for channel in pbx.channels.values()}))),
            ("CoreProcessedCalls", str(pbx.calls_processed)),
        ]
    )


async def _core_show_channels(pbx: Pbx, _: Headers) -> Answer:
    items = []
    for channel in pbx.channels.values():
        age_s = int(pbx.clock.now() - channel.began)
        more = [
            ("Application", channel.application[0]),
            ("ApplicationData", channel.application[1]),
            ("Duration", f"{age_s // 3600:02}:{age_s // 60 % 60:02}:{age_s % 60:02}"),
            ("BridgeId", channel.bridge.uniqueid if channel.bridge else ""),
        ]
        items.append(("CoreShowChannel", [*channel.headers(), *more]))
    return _list("Channels will follow", "CoreShowChannelsComplete", items)


async def _bridge_list(pbx: Pbx, _: Headers) -> Answer:
    items = [("BridgeListItem", bridge.headers()) for bridge in pbx.bridges.values()]
    return _list("Bridge listing will follow", "BridgeListComplete", items)


async def _bridge_info(pbx: Pbx, action: Headers) -> Answer:
    if not (name := header(action, "BridgeUniqueid")):
        raise RefusedError("BridgeUniqueid must be provided")
    if (bridge := pbx.bridges.get(name)) is None:
        raise RefusedError("Specified BridgeUniqueid not found")
    items = [("BridgeInfoChannel", channel.headers()) for channel in bridge.members]
    return _list("Bridge channel listing will follow", "BridgeInfoComplete", items, *bridge.headers())


def _list(message: str, complete: str, items: list[tuple[str, Headers]], *tail: tuple[str, str]) -> Answer:
    return Answer([("EventList", "start"), ("Message", message)], complete, tuple(items), tail)


async def _command(pbx: Pbx, action: Headers) -> Answer:
    if not (command := header(action, "Command")):
        raise RefusedError("No command provided")
    follows = ("Message", "Command output follows")
    match command.split():
        case ["mixmonitor", "list", name]:
            if (channel := pbx.find(name)) is None:
                return Answer([follows, ("Output", f"No channel matching '{name}' found.")])
            lines = ["MixMonitor ID\tFile\tReceive File\tTransmit File", "=" * 73]
            lines += [monitor.listed for monitor in reversed(channel.monitors)]
            return Answer([follows, *(("Output", line) for line in lines)])
    known = f"No such command '{command}' (type 'core show help {command}' for other possible commands)"
    raise RefusedError(follows[1], ("Output", known))


async def _getvar(pbx: Pbx, action: Headers) -> Answer:
    name, channel = _variable(pbx, action)
    function = _MIXMONITOR.fullmatch(name)
    if function is not None and channel is not None:
        # The file of one that runs on this very channel under this id, and '' for any other (measured).
        value = next((monitor.file for monitor in channel.monitors if monitor.id == function[1]), "")
    else:
        value = (channel.variables if channel else pbx.variables).get(name, "")
    return Answer([("Variable", name), ("Value", value)])


async def _setvar(pbx: Pbx, action: Headers) -> Answer:
    name, channel = _variable(pbx, action)
    pbx.set_variable(channel, name, header(action, "Value"))
    return Answer([("Message", "Variable Set")])


def _variable(pbx: Pbx, action: Headers) -> tuple[str, Channel | None]:
    if not (name := header(action, "Variable")):
        raise RefusedError("No variable specified")
    return name, _channel(pbx, action) if header(action, "Channel") else None


def _channel(pbx: Pbx, action: Headers) -> Channel:
    if not (name := header(action, "Channel")):
        raise RefusedError("No channel specified")
    if (channel := pbx.find(name)) is None:
        raise RefusedError("No such channel")
    return channel


async def _mixmonitor(pbx: Pbx, action: Headers) -> Answer:
    channel = _channel(pbx, action)
    # The three are joined and split again: a comma in File begins the options, a second one the command.
    joined = ",".join(header(action, name) for name in ("File", "Options", "Command"))
    file, options, command = split_arguments(joined)
    if not file:
        raise RefusedError("Could not start monitoring channel")
    monitor = pbx.monitor(channel, file, options, command)
    told = [("MixMonitorID", monitor.id)] if option(header(action, "Options"), "i") else []
    return Answer(told, then=lambda: pbx.emit("call", "MixMonitorStart", *channel.headers()))


async def _stop_mixmonitor(pbx: Pbx, action: Headers) -> Answer:
    channel = _channel(pbx, action)
    found = _monitors(channel, action)[-1:]
    if not found:
        raise RefusedError("Could not stop monitoring channel")
    await pbx.stop_monitor(channel, found[0])
    return Answer([], then=lambda: pbx.emit("call", "MixMonitorStop", *channel.headers()))


async def _mute(pbx: Pbx, action: Headers) -> Answer:
    channel = _channel(pbx, action)
    direction, state = header(action, "Direction"), header(action, "State")
    sides = {"read": "r", "write": "w", "both": "rw"}.get(direction)
    if not direction:
        raise RefusedError("No direction specified. Must be read, write or both")
    if sides is None:
        raise RefusedError("Invalid direction specified. Must be read, write or both")
    if not state:
        raise RefusedError("No state specified")
    monitors = _monitors(channel, action)
    if not monitors and header(action, "MixMonitorID"):
        raise RefusedError("Cannot set mute flag")
    pbx.mute(channel, monitors, sides, muted=state == "1")
    said = (("Direction", direction), ("State", state))
    return Answer([], then=lambda: pbx.emit("call", "MixMonitorMute", *channel.headers(), *said))


def _monitors(channel: Channel, action: Headers) -> list[MixMonitor]:
    """The one that the action names; all of the channel if it names none."""
    wanted = header(action, "MixMonitorID")
    return [monitor for monitor in channel.monitors if wanted in ("", monitor.id)]


@dataclass(frozen=True, slots=True)
class Action:
    """`classes` are those of which the user's `write` must hold one; an empty set lets everybody."""

    handler: Handler
    synopsis: str
    classes: tuple[str, ...] = ()


ACTIONS: dict[str, Action] = {
    "BridgeInfo": Action(_bridge_info, "Get information about a bridge."),
    "BridgeList": Action(_bridge_list, "Get a list of bridges in the system."),
    "Command": Action(_command, "Execute Asterisk CLI Command.", ("command",)),
    "CoreSettings": Action(_core_settings, "Show PBX core settings (version etc).", ("system", "reporting")),
    "CoreShowChannels": Action(_core_show_channels, "List currently active channels.", ("system", "reporting")),
    "CoreStatus": Action(_core_status, "Show PBX core status variables.", ("system", "reporting")),
    "Getvar": Action(_getvar, "Gets a channel variable or function value.", ("call", "reporting")),
    "MixMonitor": Action(_mixmonitor, "Record a call and mix the audio during the recording.", ("system",)),
    "MixMonitorMute": Action(_mute, "Mute / unMute a Mixmonitor recording.", ("system", "call")),
    "Ping": Action(_ping, "Keepalive command."),
    "Setvar": Action(_setvar, "Sets a channel variable or function value.", ("call",)),
    "StopMixMonitor": Action(_stop_mixmonitor, "Stop recording a call through MixMonitor.", ("system", "call")),
}
