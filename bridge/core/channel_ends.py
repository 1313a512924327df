"""Why channels leave Asterisk bridges and end, as far as Asterisk's events tell."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.core import messages as m
from bridge.core.calls import Channel
from bridge.core.ids import BridgeUniqueid, Uniqueid
from bridge.core.sip_codes import NETWORK_CAUSES
from bridge.core.tracker import CallTracker

LEAVES_WITHIN_S = 2.0
"""How long it is waited for what becomes of a channel that has left its Asterisk bridge: who has not hung up lives on.

A Hangup follows within milliseconds (measured), but for an `h` extension that takes its time.
"""


class Why(StrEnum):
    """Why a channel's audio left an Asterisk bridge, or a channel ended. The words are stable."""

    HUNG_UP = "hung-up"
    """By the party itself, the other one, or the dialplan."""
    FORCED = "forced"
    """By somebody who was not on the call: an admin."""
    NETWORK = "network"
    MOVED = "moved"
    """Somebody else has put it elsewhere: a transfer, parking, a redirect."""
    LEFT = "left"
    """It went by itself, or was left alone, and lives on."""


@dataclass(frozen=True, slots=True)
class Left:
    """How a channel left an Asterisk bridge: as the `first` of those who then went, and with others `held` by it.

    `optimizing`: a Local channel is taking itself out of the way there.
    """

    at: datetime
    first: bool
    held: bool
    optimizing: bool


@dataclass(slots=True)
class _Known:
    """What Asterisk said of a channel that goes; it is gone with it, and with a restart of ours."""

    left: Left | None = None
    far: bool = False
    cause: int | None = None
    explicit: bool = False
    transferer: bool = False
    transferee: bool = False


_NOTHING = _Known()


class ChannelEnds:
    """Hears the events before the tracker has them."""

    def __init__(self, tracker: CallTracker) -> None:
        self._tracker = tracker
        self._known: dict[Uniqueid, _Known] = {}
        self._broken: set[BridgeUniqueid] = set()

    def hear(self, event: m.Event) -> None:
        """Take one event."""
        match event:
            case m.HangupRequested():
                self._hangup_requested(event)
            case m.Transferred():
                for uniqueid in event.transferers:
                    self._of(uniqueid).transferer = True
                if event.transferee is not None:
                    self._of(event.transferee).transferee = True
            case m.BridgeLeft():
                self._left(event)
            case m.BridgeEntered() | m.BridgeDestroyed():
                self._broken.discard(event.bridge)
            case m.SnapshotTaken():
                self._broken.clear()  # who entered since nobody saw

    def clear(self) -> None:
        """Nothing is known any more."""
        self._known.clear()
        self._broken.clear()

    def gone(self, uniqueid: Uniqueid) -> None:
        """The channel is not there any more."""
        self._known.pop(uniqueid, None)

    def left(self, uniqueid: Uniqueid) -> Left | None:
        """How the channel left, while nobody knows what becomes of it."""
        return self._known.get(uniqueid, _NOTHING).left

    def settled(self, uniqueid: Uniqueid) -> None:
        """What became of a channel that left is known: it lives on."""
        known = self._known.get(uniqueid)
        if known is not None:
            known.left, known.transferee = None, False

    def wake_at(self) -> datetime | None:
        """When the first of those who left is taken to live on."""
        times = (known.left.at for known in self._known.values() if known.left is not None)
        first = min(times, default=None)
        return None if first is None else first + timedelta(seconds=LEAVES_WITHIN_S)

    def due(self, now: datetime) -> list[Uniqueid]:
        """Those who left long enough ago."""
        before = now - timedelta(seconds=LEAVES_WITHIN_S)
        return [one for one, known in self._known.items() if known.left is not None and known.left.at <= before]

    def why_ended(self, channel: Channel, booted_at: datetime | None) -> Why:
        """Why a channel ended; `booted_at` is when Asterisk was started, where only a snapshot told of the end."""
        known = self._known.get(channel.uniqueid, _NOTHING)
        if known.explicit:
            return Why.FORCED
        if not {channel.cause, known.cause}.isdisjoint(NETWORK_CAUSES):
            return Why.NETWORK
        if booted_at is not None and channel.began_at < booted_at:
            return Why.NETWORK  # it ended with its Asterisk
        if known.far or known.transferer or known.left is None:
            return Why.HUNG_UP
        # Neither did its phone hang up, nor was it left alone: the manager's Hangup. A kick, a limit of Dial and the
        # key of the feature `disconnect` look the same (measured on 22.10).
        return Why.FORCED if known.left.first else Why.HUNG_UP

    def why_left(self, channel: Channel) -> Why:
        """Why a channel that lives on left."""
        known = self._known.get(channel.uniqueid, _NOTHING)
        if known.far:
            return Why.HUNG_UP  # its dialplan is not through yet
        if known.transferee:
            return Why.MOVED
        left = known.left
        return Why.MOVED if left is not None and left.first and not left.held else Why.LEFT

    def _of(self, uniqueid: Uniqueid) -> _Known:
        if uniqueid not in self._tracker.channels:
            return _Known()  # nobody's
        return self._known.setdefault(uniqueid, _Known())

    def _hangup_requested(self, event: m.HangupRequested) -> None:
        known = self._of(event.uniqueid)
        if not event.soft:
            known.far, known.cause = True, event.cause
        elif event.cause == m.SOFT_EXPLICIT:
            known.explicit = True

    def _left(self, event: m.BridgeLeft) -> None:
        channel = self._tracker.channels.get(event.uniqueid)
        bridge = self._tracker.bridges.get(event.bridge)
        if channel is None or bridge is None or channel.bridge != event.bridge:
            return
        # Who is left alone goes since the others went; in a conference others stay.
        first = event.bridge not in self._broken or len(bridge.members) > 1
        self._broken.add(event.bridge)
        if bridge.talking and not channel.local:
            optimizing = self._tracker.optimizing(event.bridge)
            self._of(event.uniqueid).left = Left(event.at, first, channel.held, optimizing)
