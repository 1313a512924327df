"""Follows channels, Asterisk bridges, talks and calls through AMI's events.

`CallTracker.handle` takes one event and says what it changed. Asterisk's own order is relied on only where it is
promised (within a channel, a bridge, a dial); an event about something unknown is taken as news or passed over,
so that a snapshot followed by events from before it does no harm.

Over 300 lines: one state with one way of changing it; taken apart, each half would need the other's inside.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bridge.core import messages as m
from bridge.core.calls import (
    AsteriskBridge,
    Call,
    CallBegan,
    CallEnded,
    CallProgressed,
    CallsJoined,
    Changed,
    Channel,
    ChannelGone,
    Talk,
    TalkBegan,
    TalkChanged,
    TalkEnded,
)
from bridge.core.ids import BridgeUniqueid, CallId, ChannelName, Linkedid, Uniqueid
from bridge.core.kept import KeptCall, revive, revive_talk

_MERGING_TYPES = frozenset({"basic", "stasis"})
"""BridgeTypes on whose entry Asterisk joins linkedids (ASTERISK.md, "Calls and linkedid")."""


class CallTracker:
    """Follows every channel. `handle` is the only way in; the dictionaries are for reading."""

    def __init__(self, variables: frozenset[str] = frozenset()) -> None:
        self.variables = variables
        """The names of the channel variables that are kept."""
        self.channels: dict[Uniqueid, Channel] = {}
        self.bridges: dict[BridgeUniqueid, AsteriskBridge] = {}
        self.calls: dict[CallId, Call] = {}
        self.holding: dict[Uniqueid, Channel] = {}
        """The channels whose phones have put the others on hold."""
        self._by_linkedid: dict[Linkedid, Call] = {}
        self._talk_in: dict[BridgeUniqueid, Talk] = {}
        self._talks = 0
        self._dirty: dict[BridgeUniqueid, None] = {}
        self._optimizing: dict[Uniqueid, frozenset[BridgeUniqueid]] = {}
        self._changes: list[Changed] = []
        self._handlers: dict[type, Callable[[Any], None]] = {
            m.ChannelSeen: self._seen,
            m.ChannelStateChanged: self._state,
            m.ChannelRenamed: self._renamed,
            m.CallerIdChanged: self._caller_id,
            m.ChannelHungUp: self._hung_up,
            m.DialBegan: self._dial_began,
            m.DialEnded: self._dial_ended,
            m.BridgeEntered: self._entered,
            m.BridgeLeft: self._left,
            m.BridgeDestroyed: self._destroyed,
            m.LocalBridged: self._local_bridged,
            m.LocalOptimizationBegan: self._optimization_began,
            m.LocalOptimizationEnded: self._optimization_ended,
            m.QueueCallerJoined: self._queue_joined,
            m.VariableSet: self._variable_set,
            m.ChannelHeld: self._held,
            m.Transferred: self._transferred,
            m.SnapshotTaken: self._snapshot,
        }

    def restore(self, kept: Sequence[KeptCall]) -> list[Talk]:
        """Take in the calls that an earlier run saw, before the first snapshot, which tells what became of them.

        Their talks are in Asterisk bridges that nobody knows until then. Gives those talks.
        """
        talks = []
        for one in kept:
            call = self.calls[one.call_id] = revive(one)
            self._by_linkedid[Linkedid(call.call_id)] = call
            for channel in call.channels.values():
                self._by_linkedid[channel.linkedid] = call
                if channel.ended_at is None:
                    self.channels[channel.uniqueid] = channel
                    if channel.held:
                        self.holding[channel.uniqueid] = channel
            for kept_talk in one.talks:
                talk = revive_talk(kept_talk, call)
                talks.append(talk)
                self._talks = max(self._talks, talk.number)
                unknown = AsteriskBridge(BridgeUniqueid(f"unknown-{talk.number}"), "", dict.fromkeys(talk.parties))
                self.bridges[unknown.uniqueid] = unknown
                self._talk_in[unknown.uniqueid] = talk
                talk.bridges = frozenset({unknown.uniqueid})
                for party in talk.parties.values():
                    party.bridge = unknown.uniqueid
        return talks

    def handle(self, event: m.Event) -> list[Changed]:
        """Take one event; what it changed, in order. An event that changes nothing gives an empty list."""
        handler = self._handlers.get(type(event))
        if handler is None:
            return []
        handler(event)
        if self._dirty:
            self._settle(event.at)
        if not self._changes:
            return []
        changes, self._changes = self._changes, []
        return changes

    # Channels

    def _seen(self, event: m.ChannelSeen) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is None:
            channel = self._new_channel(event.uniqueid, event.linkedid, event.channel, event.at)
        channel.number, channel.caller_name = event.caller_number, event.caller_name
        channel.context, channel.exten = event.context, event.exten
        channel.dialed = channel.dialed or event.dialed
        if event.queue:
            channel.queue = channel.call.queue = event.queue
        if event.state_up and channel.answered_at is None:
            channel.answered_at = event.at

    def _new_channel(self, uniqueid: Uniqueid, linkedid: Linkedid, name: ChannelName, at: datetime) -> Channel:
        call = self._by_linkedid.get(linkedid)
        if call is None:
            call = Call(CallId(linkedid), at)
            self._by_linkedid[linkedid] = self.calls[call.call_id] = call
        channel = Channel(uniqueid, linkedid, name, "", "", "", "", at, call)
        self.channels[uniqueid] = call.channels[uniqueid] = channel
        if not channel.local and not call.announced:
            call.announced = True
            self._changes.append(CallBegan(call))
        call.live += 1
        return channel

    def _state(self, event: m.ChannelStateChanged) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is None:
            return
        channel.ringing = event.ringing
        if event.state_up and channel.answered_at is None:
            channel.answered_at = event.at
            self._changes.append(CallProgressed(channel.call))

    def _renamed(self, event: m.ChannelRenamed) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is not None:
            channel.name = event.channel
            if channel.bridge is not None:
                self._dirty[channel.bridge] = None

    def _caller_id(self, event: m.CallerIdChanged) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is not None:
            channel.number, channel.caller_name = event.caller_number, event.caller_name

    def _held(self, event: m.ChannelHeld) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is None:
            return
        channel.held = event.held
        if event.held:
            self.holding[event.uniqueid] = channel
        else:
            self.holding.pop(event.uniqueid, None)

    def _transferred(self, event: m.Transferred) -> None:
        for uniqueid in event.transferers:
            channel = self.channels.get(uniqueid)
            if channel is not None:
                channel.transferred = True

    def _hung_up(self, event: m.ChannelHungUp) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is None:
            return
        self.holding.pop(event.uniqueid, None)
        channel.ended_at, channel.cause, channel.sip_status = event.at, event.cause, event.sip_status
        # Should the end of an optimisation get lost, its bridges must not stay as they were for ever.
        self._thaw(event.uniqueid)
        if channel.peer is not None:
            self._thaw(channel.peer)
        self._leave(channel)
        # The talk ends before the channel, the channel before the call.
        self._settle(event.at)
        del self.channels[event.uniqueid]
        self._changes.append(ChannelGone(channel))
        call = channel.call
        call.live -= 1
        if call.live == 0:
            self._end(call)

    def _end(self, call: Call) -> None:
        del self.calls[call.call_id]
        for linkedid in {channel.linkedid for channel in call.channels.values()} | {Linkedid(call.call_id)}:
            if self._by_linkedid.get(linkedid) is call:
                del self._by_linkedid[linkedid]
        self._changes.append(CallEnded(call))

    # Dials, queues, Local channels

    def _dial_began(self, event: m.DialBegan) -> None:
        called = self.channels.get(event.called)
        if called is None:
            return
        called.dialed = True
        called.dialed_by = event.caller
        called.dialed_number = event.called_number
        called.dial_string = event.dial_string
        self._changes.append(CallProgressed(called.call))

    def _dial_ended(self, event: m.DialEnded) -> None:
        called = self.channels.get(event.called)
        if called is not None:
            called.dial_status = event.status

    def _queue_joined(self, event: m.QueueCallerJoined) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is not None:
            channel.queue = channel.call.queue = event.queue
            self._changes.append(CallProgressed(channel.call))

    def _variable_set(self, event: m.VariableSet) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is not None and event.name in self.variables:
            channel.call.variables[event.name] = event.value

    def _local_bridged(self, event: m.LocalBridged) -> None:
        one, two = self.channels.get(event.one), self.channels.get(event.two)
        if one is None or two is None:
            return
        one.peer, two.peer = two.uniqueid, one.uniqueid
        self._touch(one, two)

    def _touch(self, *channels: Channel) -> None:
        for channel in channels:
            if channel.bridge is not None:
                self._dirty[channel.bridge] = None

    def _optimization_began(self, event: m.LocalOptimizationBegan) -> None:
        """From here to its end a leg is taken out of one bridge and put into the other: no party changes."""
        one = self.channels.get(event.one)
        if one is None:
            return
        bridges: frozenset[BridgeUniqueid] = frozenset()
        for half in (one, self.channels.get(event.two)):
            if half is not None and half.bridge is not None:
                bridges |= self._connected(half.bridge)[0]
        self._optimizing[event.one] = bridges

    def optimizing(self, bridge: BridgeUniqueid) -> bool:
        """Whether a Local channel is about to take itself out of the way there."""
        return any(bridge in bridges for bridges in self._optimizing.values())

    def _optimization_ended(self, event: m.LocalOptimizationEnded) -> None:
        self._thaw(event.one)

    def _thaw(self, uniqueid: Uniqueid) -> None:
        for bridge in self._optimizing.pop(uniqueid, ()):
            if bridge in self.bridges:
                self._dirty[bridge] = None

    # Asterisk bridges

    def _entered(self, event: m.BridgeEntered) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is None:  # from before our time, and its Newchannel unseen
            channel = self._new_channel(event.uniqueid, event.linkedid, event.channel, event.at)
        if channel.answered_at is None:
            channel.answered_at = event.at
        bridge = self.bridges.get(event.bridge)
        if bridge is None:
            bridge = self.bridges[event.bridge] = AsteriskBridge(event.bridge, event.technology)
        if channel.bridge != event.bridge:
            self._leave(channel)
            channel.bridge = event.bridge
            bridge.members[event.uniqueid] = None
        bridge.technology, bridge.kind = event.technology, event.bridge_type
        self._dirty[event.bridge] = None
        if event.bridge_type in _MERGING_TYPES:
            for member in bridge.members:
                self._join(channel.call, self.channels[member].call)
        by_linkedid = self._by_linkedid.get(event.linkedid)
        if by_linkedid is not None:
            self._join(channel.call, by_linkedid)

    def _left(self, event: m.BridgeLeft) -> None:
        channel = self.channels.get(event.uniqueid)
        if channel is not None and channel.bridge == event.bridge:
            self._leave(channel)

    def _leave(self, channel: Channel) -> None:
        if channel.bridge is None:
            return
        bridge = self.bridges[channel.bridge]
        bridge.members.pop(channel.uniqueid, None)
        self._dirty[channel.bridge] = None
        channel.bridge = None
        channel.left_by.clear()
        if channel.held and channel.talk is not None:
            for other in channel.talk.parties.values():
                if other.bridge is not None:
                    other.left_by.add(channel.uniqueid)

    def _destroyed(self, event: m.BridgeDestroyed) -> None:
        bridge = self.bridges.get(event.bridge)
        if bridge is None:
            return
        for member in list(bridge.members):
            self._leave(self.channels[member])
        bridge.destroyed = True
        self._dirty[event.bridge] = None

    # Snapshots

    def _snapshot(self, event: m.SnapshotTaken) -> None:
        present = {channel.uniqueid for channel in event.channels}
        self._optimizing.clear()
        # Who has come first: else a call whose other channels have all gone would end.
        for seen in event.channels:
            self._still_there(seen)
        for uniqueid in [uniqueid for uniqueid in self.channels if uniqueid not in present]:
            self._hung_up(m.ChannelHungUp(event.at, uniqueid, None))
        for variable in event.variables:
            self._variable_set(variable)
        for one, two in event.local_pairs:
            self._local_bridged(m.LocalBridged(event.at, one, two))
        where = {member.uniqueid: member for member in event.members}
        for channel in list(self.channels.values()):
            member = where.get(channel.uniqueid)
            if member is None or member.bridge != channel.bridge:
                self._leave(channel)
        for member in event.members:
            channel_in = self.channels.get(member.uniqueid)
            if channel_in is not None:
                self._entered(
                    m.BridgeEntered(
                        event.at,
                        member.bridge,
                        member.bridge_type,
                        member.technology,
                        member.uniqueid,
                        channel_in.linkedid,
                        channel_in.name,
                        None,
                    )
                )
        self._dirty.update(dict.fromkeys(self.bridges))
        self._settle(event.at)
        for bridge in [bridge for bridge, kept in self.bridges.items() if not kept.members]:
            del self.bridges[bridge]  # one that is still there comes back with its next BridgeEnter

        # Whoever waits may have come to do so while we were away.
        self._changes.extend(CallProgressed(call) for call in self.calls.values())

    def _still_there(self, seen: m.ChannelSeen) -> None:
        """Of a known channel a snapshot has another context and extension: where it got to, not what was dialled."""
        known = self.channels.get(seen.uniqueid)
        if known is not None:
            known.name = seen.channel
            seen = replace(seen, context=known.context, exten=known.exten)
        self._seen(seen)

    # Calls that become one

    def call_of(self, call_id: CallId) -> Call | None:
        """The running call of this id, or that it has become part of."""
        return self._by_linkedid.get(Linkedid(call_id))

    def _join(self, one: Call, other: Call) -> None:
        if one is other:
            return
        older, younger = sorted((one, other), key=lambda call: (call.began_at, call.call_id))
        for channel in younger.channels.values():
            channel.call = older
            if self._by_linkedid.get(channel.linkedid) is younger:
                self._by_linkedid[channel.linkedid] = older
        self._by_linkedid[Linkedid(younger.call_id)] = older
        channels = {**older.channels, **younger.channels}
        older.channels = dict(sorted(channels.items(), key=lambda item: item[1].began_at))
        older.live += younger.live
        told, older.announced = older.announced, older.announced or younger.announced
        older.talked_s += younger.talked_s
        older.records.update(younger.records)
        older.queue = older.queue or younger.queue
        older.variables = {**younger.variables, **older.variables}
        del self.calls[younger.call_id]
        if older.announced and not told:  # it had Local halves alone until now
            self._changes.append(CallBegan(older))
        self._changes.append(CallsJoined(older, younger))

    # Talks

    def _connected(self, start: BridgeUniqueid) -> tuple[frozenset[BridgeUniqueid], list[Uniqueid]]:
        """The bridges that hang together through Local pairs, and the parties in them."""
        seen: dict[BridgeUniqueid, None] = {start: None}
        parties: list[Uniqueid] = []
        todo = [start]
        while todo:
            bridge = self.bridges.get(todo.pop())
            if bridge is None or not bridge.talking:
                continue
            for uniqueid in bridge.members:
                channel = self.channels[uniqueid]
                if not channel.local:
                    parties.append(uniqueid)
                    continue
                peer = self.channels.get(channel.peer) if channel.peer is not None else None
                # A half that was picked up goes on as the picker's phone: it is no way through any more.
                if peer is not None and peer.local and peer.bridge is not None and peer.bridge not in seen:
                    seen[peer.bridge] = None
                    todo.append(peer.bridge)
        return frozenset(seen), parties

    def _settle(self, at: datetime) -> None:
        """Bring the talks in line with the bridges that changed, but for those amid an optimisation."""
        frozen = frozenset().union(*self._optimizing.values()) if self._optimizing else frozenset()
        todo = [bridge for bridge in self._dirty if bridge not in frozen]
        if not todo:
            return
        for bridge in todo:
            del self._dirty[bridge]
        old: dict[int, Talk] = {}
        groups: list[tuple[frozenset[BridgeUniqueid], list[Uniqueid]]] = []
        seen: set[BridgeUniqueid] = set()
        while todo:
            bridge = todo.pop(0)
            if bridge in seen:
                continue
            bridges, parties = self._connected(bridge)
            seen |= bridges
            if len(parties) > 1:
                groups.append((bridges, parties))
            for one in bridges:
                talk = self._talk_in.get(one)
                if talk is not None and talk.number not in old:
                    old[talk.number] = talk
                    todo.extend(talk.bridges)
        self._match(sorted(old.values(), key=lambda talk: talk.number), groups, at)
        for bridge in seen:
            kept = self.bridges.get(bridge)
            if kept is not None and kept.destroyed and not kept.members:
                del self.bridges[bridge]

    def _match(
        self, old: list[Talk], groups: list[tuple[frozenset[BridgeUniqueid], list[Uniqueid]]], at: datetime
    ) -> None:
        """A talk goes on where at least two of its parties still hear each other; else it ends."""
        goes_on: list[tuple[Talk, frozenset[BridgeUniqueid], list[Uniqueid]]] = []
        left = list(groups)
        for talk in old:
            shared = [(sum(party in talk.parties for party in parties), bridges, parties) for bridges, parties in left]
            best = max(shared, key=lambda item: item[0], default=None)
            if best is not None and best[0] > 1:
                left.remove((best[1], best[2]))
                goes_on.append((talk, best[1], best[2]))
            else:
                self._end_talk(talk, at)
        for talk, bridges, parties in goes_on:
            self._change_talk(talk, bridges, parties, at)
        for bridges, parties in left:
            self._begin_talk(bridges, parties, at)

    def _call_of(self, parties: Iterable[Uniqueid]) -> Call:
        """The one call of those who talk: talking joins."""
        channels = [self.channels[party] for party in parties]
        for channel in channels[1:]:
            self._join(channels[0].call, channel.call)
        return channels[0].call

    def _begin_talk(self, bridges: frozenset[BridgeUniqueid], parties: list[Uniqueid], at: datetime) -> None:
        call = self._call_of(parties)
        self._talks += 1
        talk = Talk(self._talks, at, {}, bridges)
        for bridge in bridges:
            self._talk_in[bridge] = talk
        for party in parties:
            self._join_talk(talk, self.channels[party], at)
        self._changes.append(TalkBegan(talk, call))

    def _change_talk(
        self, talk: Talk, bridges: frozenset[BridgeUniqueid], parties: list[Uniqueid], at: datetime
    ) -> None:
        for bridge in talk.bridges - bridges:
            if self._talk_in.get(bridge) is talk:
                del self._talk_in[bridge]
        for bridge in bridges:
            self._talk_in[bridge] = talk
        talk.bridges = bridges
        joined = tuple(party for party in parties if party not in talk.parties)
        gone = tuple(party for party in talk.parties if party not in parties)
        if not joined and not gone:
            return
        for party in gone:
            self._leave_talk(talk, party, at)
        call = self._call_of(parties)
        for party in joined:
            self._join_talk(talk, self.channels[party], at)
        self._changes.append(TalkChanged(talk, call, joined, gone))

    def _end_talk(self, talk: Talk, at: datetime) -> None:
        for bridge in talk.bridges:
            if self._talk_in.get(bridge) is talk:
                del self._talk_in[bridge]
        parties = tuple(talk.parties)
        call = self._leave_talk(talk, parties[0], at).call
        for party in parties[1:]:
            self._leave_talk(talk, party, at)
        call.talked_s += (at - talk.began_at).total_seconds()
        self._changes.append(TalkEnded(talk, call, parties))

    @staticmethod
    def _join_talk(talk: Talk, channel: Channel, at: datetime) -> None:
        channel.talk, channel.talking_since = talk, at
        for other in talk.parties.values():
            channel.talked_with[other.uniqueid] = None
            other.talked_with[channel.uniqueid] = None
        talk.parties[channel.uniqueid] = channel

    @staticmethod
    def _leave_talk(talk: Talk, uniqueid: Uniqueid, at: datetime) -> Channel:
        channel = talk.parties.pop(uniqueid)
        if channel.talk is talk and channel.talking_since is not None:
            channel.connected_s += (at - channel.talking_since).total_seconds()
            channel.talk = channel.talking_since = None
        return channel
