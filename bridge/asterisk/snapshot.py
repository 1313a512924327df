"""Everything that Asterisk has just now, asked for after a login."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from bridge.asterisk.wire import Fields, RawMessage
from bridge.core.errors import AsteriskRefusedError
from bridge.core.ids import BridgeUniqueid, Uniqueid
from bridge.core.messages import BridgeMember, ChannelSeen, SnapshotTaken, VariableSet, channel_seen, variable_set


class _Lists(Protocol):
    async def list_action(self, name: str, fields: Fields, deadline_s: float) -> Sequence[RawMessage]: ...


_UNSET = "(null)"
"""What `Status` says of a variable that the channel does not have (measured on 22.10)."""


async def take(
    asterisk: _Lists,
    at: datetime,
    deadline_s: float,
    variables: Collection[str] = (),
    booted_at: datetime | None = None,
) -> SnapshotTaken:
    """Channels, then bridges, then who is in each. Raises AsteriskError.

    The lists are taken one after the other while calls go on, so they may not agree; the events that came meanwhile
    put that right when they are handled after it. A bridge that is gone before it could be asked has no members.
    `deadline_s` is for each list.
    """
    channels = [
        channel
        for item in await asterisk.list_action("CoreShowChannels", {}, deadline_s)
        if item.header("Event") == "CoreShowChannel" and (channel := channel_seen(item, at)) is not None
    ]
    members = []
    for bridge in await asterisk.list_action("BridgeList", {}, deadline_s):
        if bridge.header("Event") == "BridgeListItem":
            members.extend(await _members(asterisk, bridge, deadline_s))
    values = await _variables(asterisk, at, deadline_s, variables) if variables and channels else ()
    return SnapshotTaken(at, tuple(channels), tuple(members), _local_pairs(channels), values, booted_at)


async def _variables(
    asterisk: _Lists, at: datetime, deadline_s: float, names: Collection[str]
) -> tuple[VariableSet, ...]:
    """What the wanted variables are on each channel now (`Status` gives them as `Variable: NAME=value`, measured)."""
    try:
        items = await asterisk.list_action("Status", {"Variables": ",".join(sorted(names))}, deadline_s)
    except AsteriskRefusedError:
        return ()
    found = []
    for item in items:
        for variable in item.all("Variable"):
            name, equals, value = variable.partition("=")
            one = variable_set(item.header("Uniqueid"), name, value, at)
            if equals and value != _UNSET and one is not None:
                found.append(one)
    return tuple(found)


async def _members(asterisk: _Lists, bridge: RawMessage, deadline_s: float) -> list[BridgeMember]:
    bridge_id = bridge.header("BridgeUniqueid")
    try:
        items = await asterisk.list_action("BridgeInfo", {"BridgeUniqueid": bridge_id}, deadline_s)
    except AsteriskRefusedError:
        return []
    return [
        BridgeMember(
            bridge=BridgeUniqueid(bridge_id),
            bridge_type=bridge.header("BridgeType"),
            technology=bridge.header("BridgeTechnology"),
            uniqueid=Uniqueid(item.header("Uniqueid")),
        )
        for item in items
        if item.header("Event") == "BridgeInfoChannel" and item.header("Uniqueid")
    ]


def _local_pairs(channels: Sequence[ChannelSeen]) -> tuple[tuple[Uniqueid, Uniqueid], ...]:
    """The two halves of a Local channel share a name but for `;1` and `;2`."""
    halves = {channel.channel: channel.uniqueid for channel in channels if channel.channel.startswith("Local/")}
    return tuple(
        (uniqueid, other)
        for name, uniqueid in halves.items()
        if name.endswith(";1") and (other := halves.get(type(name)(f"{name[:-2]};2"))) is not None
    )
