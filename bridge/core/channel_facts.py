"""Facts about channels: that they came, how far their dialling is, when their audio was in an Asterisk bridge, why it
left, and why they ended.

They are said only while somebody wants them: they are many. Every channel that is a real leg counts. Through a Local
channel that optimises itself away its audio goes on as it was. Everything that was told to begin is told to end, once,
also where a restart or a lost connection hid it; what was told is kept with the call (`calls.Told`). Where two calls
become one, all that was told for the one that is gone ends for it, and begins for the other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from bridge.core import calls as c
from bridge.core import journal
from bridge.core import messages as m
from bridge.core.channel_ends import ChannelEnds, Why
from bridge.core.decisions import Decision
from bridge.core.ids import BridgeUniqueid, Uniqueid
from bridge.core.records import Fact, FactKind
from bridge.core.sip_codes import NORMAL_CLEARING, end_of
from bridge.core.stage import Stage
from bridge.core.store import AppendFact


class Progress(StrEnum):
    """How far the dialling of a channel is. The words are stable."""

    DIALING = "dialing"
    RINGING = "ringing"
    ACTIVE = "active"
    ON_HOLD = "on-hold"
    HUNG_UP = "hung-up"


_UNANSWERED = ("", Progress.DIALING, Progress.RINGING)


class ChannelFacts:
    """Says what happens to channels, while `wanted`. Those that are there when that is turned on are told then.

    `heard` has every event before the tracker, `look` after it; `ended` and `joined` have its changes.
    """

    def __init__(self, recorder: Stage, out: list[Decision]) -> None:
        self.wanted = False
        self._stage = recorder
        self._out = out
        self._telling = False
        self._blind = False
        self._booted_at: datetime | None = None
        self._ends = ChannelEnds(recorder.tracker)

    def restored(self) -> None:
        """Calls of an earlier run are there, and with them what was told of them; the snapshot tells the rest."""
        self._blind = self._telling = True

    def wake_at(self) -> datetime | None:
        """When `tick` is wanted, if nothing happens before."""
        return self._ends.wake_at()

    def tick(self, now: datetime) -> None:
        """Time has passed: who has left and is still there lives on."""
        for uniqueid in self._ends.due(now):
            channel = self._stage.tracker.channels.get(uniqueid)
            left = self._ends.left(uniqueid)
            if channel is not None and left is not None and self._here(channel) is None:
                self._leave(channel, self._ends.why_left(channel), left.at)
            self._ends.settled(uniqueid)

    def heard(self, event: m.Event) -> None:
        """What is about to happen: who leaves whom, and why."""
        if self.wanted is not self._telling and not self._blind:
            self._turn(event.at)
        if self.wanted:
            self._ends.hear(event)
            self._booted_at = event.booted_at if isinstance(event, m.SnapshotTaken) else None

    def look(self, event: m.Event) -> None:
        """It has happened: tell what is different now."""
        if self._blind and isinstance(event, m.SnapshotTaken):
            self._blind = False
            self._telling = self.wanted
        if self.wanted and not self._blind:
            for channel in self._concerned(event):
                self._look(channel, event.at)

    def ended(self, channel: c.Channel) -> None:
        """A channel hung up."""
        if self.wanted and channel.told is not None and channel.ended_at is not None:
            self._end(channel, channel.told, channel.ended_at)
        self._ends.gone(channel.uniqueid)

    def joined(self, call: c.Call, at: datetime) -> None:
        """Another call has become part of this one."""
        if not self.wanted or self._blind:
            return
        for channel in call.channels.values():
            if channel.ended_at is None and channel.told is not None and channel.told.call_id != call.call_id:
                self._look(channel, at)

    def _turn(self, at: datetime) -> None:
        """It is wanted now, or not any more."""
        self._telling = self.wanted
        self._ends.clear()
        for channel in list(self._stage.tracker.channels.values()):
            if self.wanted:
                self._look(channel, at)
            else:
                self._forget(channel)

    def _concerned(self, event: m.Event) -> Iterable[c.Channel]:
        channels = self._stage.tracker.channels
        if isinstance(event, m.SnapshotTaken | m.BridgeDestroyed):
            return list(channels.values())
        uniqueid = event.called if isinstance(event, m.DialBegan) else getattr(event, "uniqueid", Uniqueid(""))
        found = channels.get(uniqueid)
        return () if found is None else (found,)

    # What is different

    def _look(self, channel: c.Channel, at: datetime) -> None:
        if channel.told is None and channel.local:
            return
        told = channel.told or self._begin(channel, channel.began_at, at)
        if told.call_id != channel.call.call_id:
            told = self._move(channel, told, at)
        here, left = self._here(channel), self._ends.left(channel.uniqueid)
        if told.stream is not None and here != told.stream.here:
            through_local = left is not None and left.optimizing
            if here is not None and through_local and self._stage.tracker.optimizing(here):
                told = self._keep(channel, replace(told, stream=replace(told.stream, here=here)))
            elif channel.bridge is not None or left is None:
                why = self._ends.why_left(channel)
                told = self._leave(channel, why, at if left is None else left.at) or told
            # Else: nobody knows yet what becomes of it.
        if channel.bridge is not None:
            self._ends.settled(channel.uniqueid)
        if here is not None and told.stream is None:
            told = self._keep(channel, replace(told, stream=c.ToldStream(here, at, here)))
            self._say(FactKind.CHANNEL_JOINED, channel, told, at, {})
        self._progress(channel, told, at)

    def _here(self, channel: c.Channel) -> BridgeUniqueid | None:
        """The Asterisk bridge in which its audio is."""
        bridge = self._stage.tracker.bridges.get(channel.bridge) if channel.bridge is not None else None
        return bridge.uniqueid if bridge is not None and bridge.talking else None

    def _begin(self, channel: c.Channel, since: datetime, at: datetime) -> c.Told:
        told = self._keep(channel, c.Told(channel.call.call_id, since))
        self._say(FactKind.CHANNEL_BEGAN, channel, told, at, {})
        return told

    def _move(self, channel: c.Channel, told: c.Told, at: datetime) -> c.Told:
        """Its call is another one now."""
        into = {"into": channel.call.call_id}
        told = self._leave(channel, Why.MOVED, at, into) or told
        told = self._dialed_over(channel, told, NORMAL_CLEARING, at)
        self._say(FactKind.CHANNEL_ENDED, channel, told, at, {"reason": str(Why.HUNG_UP), "cause": None, **into})
        return self._begin(channel, at, at)

    def _end(self, channel: c.Channel, told: c.Told, at: datetime) -> None:
        why = self._ends.why_ended(channel, self._booted_at)
        left = self._ends.left(channel.uniqueid)
        told = self._leave(channel, why, at if left is None else left.at) or told
        told = self._dialed_over(channel, told, end_of(channel, forced=why is Why.FORCED), at)
        self._say(FactKind.CHANNEL_ENDED, channel, told, at, {"reason": str(why), "cause": channel.cause})
        self._forget(channel)

    def _leave(
        self, channel: c.Channel, why: Why, at: datetime, more: Mapping[str, Any] | None = None
    ) -> c.Told | None:
        told = channel.told
        if told is None or told.stream is None:
            return told
        self._say(FactKind.CHANNEL_LEFT, channel, told, at, {"reason": str(why), **(more or {})})
        return self._keep(channel, replace(told, stream=None))

    def _progress(self, channel: c.Channel, told: c.Told, at: datetime) -> None:
        now = _progress_of(channel)
        if now is None or now == told.progress:
            return
        if now in _UNANSWERED and (told.progress not in _UNANSWERED or told.progress == Progress.RINGING):
            return  # a restart of ours has forgotten how far it was
        first = told.dialed_at is None
        told = self._keep(channel, replace(told, progress=now, dialed_at=told.dialed_at or at))
        self._say(FactKind.CHANNEL_PROGRESS, channel, told, at, {"state": str(now), "first": first})

    def _dialed_over(self, channel: c.Channel, told: c.Told, end: tuple[int, str], at: datetime) -> c.Told:
        if told.dialed_at is None:
            return told
        code, words = end
        data = {"state": str(Progress.HUNG_UP), "first": False, "code": code, "message": words}
        self._say(FactKind.CHANNEL_PROGRESS, channel, told, at, data)
        return self._keep(channel, replace(told, progress="", dialed_at=None))

    # Keeping and saying

    def _keep(self, channel: c.Channel, told: c.Told) -> c.Told:
        channel.told = told
        self._stage.sectioner.touched[channel.call.call_id] = None
        return told

    def _forget(self, channel: c.Channel) -> None:
        channel.told = None
        self._stage.sectioner.touched[channel.call.call_id] = None

    def _say(self, kind: FactKind, channel: c.Channel, told: c.Told, at: datetime, more: Mapping[str, Any]) -> None:
        people, call = self._stage.people, channel.call
        data: dict[str, Any] = {
            "uniqueid": channel.uniqueid,
            "channel": channel.name,
            "dialed": channel.dialed,
            "began": told.since.isoformat(),
        }
        if kind in (FactKind.CHANNEL_JOINED, FactKind.CHANNEL_LEFT) and told.stream is not None:
            data |= {"bridge": told.stream.bridge, "joined": told.stream.since.isoformat()}
        if kind is FactKind.CHANNEL_PROGRESS and told.dialed_at is not None:
            data["dialed_at"] = told.dialed_at.isoformat()
        user = journal.user_of(channel, people)
        personal = {
            "identity": "" if user is None else user.identity,
            "name": journal.name_of(channel, people),
            "number": journal.number_of(channel, call.caller, people),
        }
        record_id = call.record_id if told.call_id == call.call_id else None
        whom = self._stage.audience(call)
        fact = Fact(kind, at, told.call_id, record_id, None, None, {**data, **more}, personal, whom)
        self._out.append(AppendFact(fact))


def _progress_of(channel: c.Channel) -> Progress | None:
    """How far a dialled channel is; None of one that was not dialled, or is no leg."""
    if not channel.dialed or channel.local:
        return None
    if channel.answered_at is not None:
        return Progress.ON_HOLD if channel.held else Progress.ACTIVE
    return Progress.RINGING if channel.ringing else Progress.DIALING
