"""Facts about what parties do with each other: who sends whom on, puts whom on hold, who is parked."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from bridge.core import calls as c
from bridge.core import journal
from bridge.core import messages as m
from bridge.core.ids import Uniqueid
from bridge.core.records import FactKind
from bridge.core.stage import Stage


class Moves:
    """Says them once each. `look` has every event after the tracker; few of them are of interest.

    A hold says who holds, not who is held: those who talk with it, or did. Who parks a party Asterisk's bridges do not
    say.
    """

    def __init__(self, recorder: Stage) -> None:
        self._stage = recorder
        self._holding: set[Uniqueid] = set()
        self._parked: set[Uniqueid] = set()
        self._on: dict[type, Callable[[Any], None]] = {
            m.ChannelHeld: self._held,
            m.Transferred: self._transferred,
            m.BridgeEntered: self._moved,
            m.BridgeLeft: self._moved,
            m.ChannelHungUp: self._gone,
            m.SnapshotTaken: self._snapshot,
        }

    def restored(self) -> None:
        """Calls of an earlier run are there, and what it knew of them was told. Who is parked the snapshot tells."""
        self._holding = set(self._stage.tracker.holding)

    def look(self, event: m.Event) -> None:
        """It has happened: tell it."""
        on_event = self._on.get(type(event))
        if on_event is not None:
            on_event(event)

    def _held(self, event: m.ChannelHeld) -> None:
        channel = self._stage.tracker.channels.get(event.uniqueid)
        if channel is None or channel.local or event.held is (event.uniqueid in self._holding):
            return  # phones say it again with each re-INVITE
        if event.held:
            self._holding.add(event.uniqueid)
        else:
            self._holding.discard(event.uniqueid)
        self._say(FactKind.PARTY_HELD if event.held else FactKind.PARTY_UNHELD, channel, event.at, {})

    def _transferred(self, event: m.Transferred) -> None:
        channels = self._stage.tracker.channels
        by = next((channels[one] for one in event.transferers if one in channels), None)
        if by is None:
            return
        data = {
            "how": "blind" if event.blind else "attended",
            "transferers": list(event.transferers),
            "transferee": event.transferee,
            "target": event.target,
        }
        self._say(FactKind.CALL_TRANSFERRED, by, event.at, data, dialed=event.extension)

    def _moved(self, event: m.BridgeEntered | m.BridgeLeft) -> None:
        channel = self._stage.tracker.channels.get(event.uniqueid)
        if channel is not None:
            self._look(channel, event.at)

    def _snapshot(self, event: m.SnapshotTaken) -> None:
        channels = self._stage.tracker.channels
        self._holding &= channels.keys()
        self._parked &= channels.keys()
        for channel in channels.values():
            self._look(channel, event.at)

    def _look(self, channel: c.Channel, at: datetime) -> None:
        if channel.bridge is None and channel.uniqueid not in self._parked:
            return
        bridge = self._stage.tracker.bridges.get(channel.bridge) if channel.bridge is not None else None
        parked = bridge is not None and bridge.parks and not channel.local
        if parked is (channel.uniqueid in self._parked):
            return
        if parked:
            self._parked.add(channel.uniqueid)
        else:
            self._parked.discard(channel.uniqueid)
        self._say(FactKind.PARTY_PARKED if parked else FactKind.PARTY_UNPARKED, channel, at, {})

    def _gone(self, event: m.ChannelHungUp) -> None:
        self._holding.discard(event.uniqueid)
        self._parked.discard(event.uniqueid)

    def _say(self, kind: FactKind, channel: c.Channel, at: datetime, more: dict[str, Any], **personal: str) -> None:
        people, call = self._stage.people, channel.call
        user = journal.user_of(channel, people)
        who = {
            "identity": "" if user is None else user.identity,
            "name": journal.name_of(channel, people),
            "number": journal.number_of(channel, call.caller, people),
            **personal,
        }
        data = {"uniqueid": channel.uniqueid, "channel": channel.name, **more}
        named = {name: value for name, value in who.items() if value}
        self._stage.note(kind, at, call, data, named)
