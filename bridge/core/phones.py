"""What users do with the keys of their phones: `*3` records this call, `*26` all their calls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, Protocol

from bridge.core import calls as c
from bridge.core import journal, stage
from bridge.core import messages as m
from bridge.core.commands import Done, SetFlags
from bridge.core.control import Control
from bridge.core.decisions import Decision
from bridge.core.ids import Identity, Uniqueid
from bridge.core.people import UserFlags
from bridge.core.presses import Presses
from bridge.core.records import Fact, FactKind
from bridge.core.settings import Settings
from bridge.core.store import AppendFact, PutUserFlags

_CALL_FLAGS = tuple(one.name for one in fields(UserFlags) if one.name.startswith("call_record_"))


class Stage(stage.Stage, Protocol):
    """The recorder, as far as it is asked here."""

    control: Control


class Phones:
    """Takes what is pressed and dialled. `flags` is what users have changed; it stands over users.yml.

    What an admin has set says which keys count.
    """

    def __init__(
        self,
        recorder: Stage,
        out: list[Decision],
        flags: Mapping[Identity, UserFlags],
        queue_toggles: Mapping[str, bool],
    ) -> None:
        self.flags = dict(flags)
        self._settings = Settings()
        self._stage = recorder
        self._out = out
        self._queue_toggles = queue_toggles
        self._presses = Presses()
        self.events: dict[type, Callable[[Any, datetime], None]] = {
            m.RecordToggled: self._record_toggled,
            m.DigitPressed: self._digit_pressed,
            m.CallRecordToggled: self._call_record_toggled,
            SetFlags: self._set_flags,
        }

    def use(self, settings: Settings) -> None:
        """What an admin has set counts from now on."""
        self._settings = settings

    def wake_at(self) -> datetime | None:
        """When `tick` is wanted, if nothing happens before."""
        return self._presses.wake_at()

    def tick(self, now: datetime) -> None:
        """Time has passed."""
        for leg in self._presses.due(now):
            self._toggle(leg, now)

    def gone(self, leg: Uniqueid) -> None:
        """The channel hung up."""
        self._presses.gone(leg)

    def _record_toggled(self, event: m.RecordToggled, now: datetime) -> None:
        channel = self._stage.tracker.channels.get(event.uniqueid)
        if channel is not None:
            leg = self._behind(channel).uniqueid
            if self._presses.toggled(replace(event, uniqueid=leg)):
                self._toggle(leg, now)

    def _digit_pressed(self, event: m.DigitPressed, now: datetime) -> None:  # noqa: ARG002  # one shape for the table
        channel = self._stage.tracker.channels.get(event.uniqueid)
        # A Local channel says again what is pressed on the leg beside it.
        if channel is not None and not channel.local:
            self._presses.digit(event)

    def _toggle(self, leg: Uniqueid, now: datetime) -> None:
        channel = self._stage.tracker.channels[leg]
        if not self._settings.record_toggle:
            self._refuse("record-toggle", channel, "key-disabled", now)
            return
        allowed = self._queue_toggles.get(channel.call.queue, True) or not self._is_member(channel)
        self._stage.control.toggle(channel, now, allowed=allowed)

    def _behind(self, channel: c.Channel) -> c.Channel:
        """Who asks back before a transfer presses through the Local channel: its second half is named (measured)."""
        tracker = self._stage.tracker
        peer = tracker.channels.get(channel.peer) if channel.local and channel.peer is not None else None
        bridge = tracker.bridges.get(peer.bridge) if peer is not None and peer.bridge is not None else None
        if bridge is None:
            return channel
        beside = [tracker.channels[one] for one in bridge.members if not tracker.channels[one].local]
        return beside[0] if len(beside) == 1 else channel

    @staticmethod
    def _is_member(channel: c.Channel) -> bool:
        """Whether a leg was rung in a call of a queue."""
        return channel.call.queue != "" and channel.dialed

    def flags_in(self, call: c.Call, parties: Sequence[c.Channel]) -> Mapping[Identity, UserFlags]:
        """What stands over users.yml in a talk: what users changed, and what the call's queue says of its members."""
        online = self._queue_toggles.get(call.queue)
        if online is None:
            return self.flags
        members = journal.identities([party for party in parties if self._is_member(party)], self._stage.people)
        return {
            **self.flags,
            **{user: replace(self.flags_of(user), online_call_record_enabled=online) for user in members},
        }

    def flags_of(self, user: Identity) -> UserFlags:
        """What holds for a user."""
        return self.flags.get(user) or self._stage.people.directory.flags_of(user)

    def _call_record_toggled(self, event: m.CallRecordToggled, now: datetime) -> None:
        """`*26`: the opposite of "all four on"."""
        channel = self._stage.tracker.channels.get(event.uniqueid)
        if channel is None or not self._presses.flags_toggled(event):
            return
        user = journal.user_of(channel, self._stage.people)
        if user is None or not self._settings.call_record_toggle:
            code = "no-user" if user is None else "key-disabled"
            self._refuse("call-record-toggle", channel, code, now)
            return
        before = self.flags_of(user.identity)
        on = not all(getattr(before, name) for name in _CALL_FLAGS)
        self.flags[user.identity] = replace(before, **dict.fromkeys(_CALL_FLAGS, on))
        self._out.append(PutUserFlags(user.identity, self.flags[user.identity]))
        data = {"by": "phone", "enabled": on}
        self._stage.note(FactKind.USER_FLAGS_SET, now, channel.call, data, {"identity": user.identity})

    def _refuse(self, verb: str, channel: c.Channel, code: str, now: datetime) -> None:
        user = journal.user_of(channel, self._stage.people)
        refusal = {"verb": verb, "by": "phone", "code": code, "channel": channel.name}
        personal = {"identity": user.identity if user is not None else ""}
        self._stage.note(FactKind.CONTROL_REFUSED, now, channel.call, refusal, personal)

    def _set_flags(self, order: SetFlags, now: datetime) -> None:
        before = self.flags_of(order.identity)
        flags = replace(before, **order.changes)
        if flags != before:
            self.flags[order.identity] = flags
            self._out.append(PutUserFlags(order.identity, flags))
            data = {"by": "api", "flags": asdict(flags)}
            personal = {"identity": order.identity, "asker": order.reader.identity}
            audience = (order.identity,)
            self._out.append(
                AppendFact(Fact(FactKind.USER_FLAGS_SET, now, data=data, personal=personal, audience=audience))
            )
        self._out.append(Done(order.number, ()))
