"""What users do to the recording of a call that goes on: start, stop, pause and resume, by the API and on the phone.

It keeps who has started what (demands) and what is paused; the recorder asks it which rules that leaves.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from bridge.core import calls as c
from bridge.core import errors as e
from bridge.core import journal
from bridge.core.access import Role
from bridge.core.answering import Answering
from bridge.core.applying import Applies
from bridge.core.commands import Command, Refused, Verb
from bridge.core.decisions import Decision
from bridge.core.ids import CallId, Identity, RuleId, Uniqueid
from bridge.core.people import People
from bridge.core.records import Demand, FactKind, Pause, Section, SectionState
from bridge.core.rule import Pause as MayPause
from bridge.core.rule import Rule
from bridge.core.sectioner import Sectioner, Stretch
from bridge.core.sections import RUNNING
from bridge.core.store import EndDemand, EndPause, PutDemand, PutPause
from bridge.core.tracker import CallTracker


class Stage(Protocol):
    """The recorder, as far as it is asked here."""

    tracker: CallTracker
    sectioner: Sectioner
    people: People
    applies: Applies

    def stretches_of(self, call: c.Call) -> list[Stretch]:
        """What may be recorded of a call now."""

    def arrange(self, call: c.Call, now: datetime) -> None:
        """Demands have changed: end and begin what that asks for, and offer what may be started now."""

    def note(
        self, kind: FactKind, at: datetime, call: c.Call, data: Mapping[str, Any], personal: Mapping[str, str]
    ) -> None:
        """Keep a fact about a call."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants something, `by` api or phone."""

    identity: Identity
    admin: bool
    by: str


class Control:
    """Owns demands and pauses. What is to be kept goes into `out`."""

    def __init__(self, stage: Stage, out: list[Decision]) -> None:
        self._stage = stage
        self._out = out
        self._demands: dict[CallId, dict[RuleId, Demand]] = {}
        self._pauses: dict[CallId, dict[Identity, Pause]] = {}
        self._restored: tuple[Sequence[Demand], Sequence[Pause]] = ((), ())
        self._answering = Answering(self, stage.sectioner.book, stage.sectioner.muting, out)
        self._verbs: dict[Verb, Callable[[c.Channel, Asker, datetime], list[RuleId]]] = {
            Verb.START: self._start,
            Verb.STOP: self._stop,
            Verb.PAUSE: self._pause,
            Verb.RESUME: self._resume,
        }

    # What the recorder asks

    def demands_in(self, call: c.Call) -> dict[RuleId, Demand]:
        """What users have started in a call."""
        return self._demands.get(call.call_id, {})

    def silent(self, call: c.Call, rule: Rule) -> bool:
        """Whether a rule is paused in a call."""
        return any(self._covers(pause, call, rule) for pause in self._pauses.get(call.call_id, {}).values())

    def _covers(self, pause: Pause, call: c.Call, rule: Rule) -> bool:
        return rule.id not in pause.resumed and self._may_pause(Asker(pause.by, pause.admin, ""), call, rule)

    def _may_pause(self, asker: Asker, call: c.Call, rule: Rule) -> bool:
        """One's own recordings, automatic ones where their rule lets users, and admins all."""
        demand = self.demands_in(call).get(rule.id)
        if asker.admin:
            return True
        return demand.owner == asker.identity if demand is not None else rule.pause is MayPause.USER

    def wake_at(self) -> datetime | None:
        """When `tick` is wanted, if nothing happens before."""
        dues = [due for call, pause in self._running_pauses() for due in self._dues(call, pause).values()]
        answer_by = self._answering.wake_at()
        return min([*dues, *([answer_by] if answer_by is not None else [])], default=None)

    # Commands

    def command(self, command: Command, now: datetime) -> None:
        """Do what is asked; the answer comes at once, or when Asterisk has confirmed."""
        asker = Asker(command.reader.identity, command.reader.role is Role.ADMIN, "api")
        channel = self._channel(command)
        try:
            if channel is None:
                raise e.UnknownChannelError(
                    "there is no such channel in a call that you may see", channel=command.channel
                )
            stretch = self._stretch_of(channel)
            rules = self._verbs[command.verb](channel, asker, now)
        except e.ControlError as error:
            if channel is not None:
                self._note_refusal(command.verb, channel, asker, error, now)
            self._out.append(Refused(command.number, error))
            return
        self._answering.wait(command, channel, stretch, rules, now)

    def _channel(self, command: Command) -> c.Channel | None:
        channels = self._stage.tracker.channels
        channel = channels.get(Uniqueid(command.channel)) or next(
            (one for one in channels.values() if one.name == command.channel), None
        )
        if channel is None:
            return None
        owners = [demand.owner for demand in self.demands_in(channel.call).values()]
        audience = (*journal.identities(channel.call.legs, self._stage.people), *owners)
        return channel if command.reader.sees(audience) else None

    def toggle(self, channel: c.Channel, now: datetime, *, allowed: bool = True) -> None:
        """The record key of a phone: the first press starts, the next pauses, the next resumes.

        `allowed` False is a queue's setting for its members. Who may not hears nothing change, and a fact says so.
        """
        user = journal.user_of(channel, self._stage.people)
        asker = Asker(user.identity if user is not None else Identity(""), admin=False, by="phone")
        try:
            if user is None:
                raise e.NotAllowedByRulesError("only users record")
            if not allowed:
                raise e.NotAllowedByRulesError("the queue does not let its members record")
            verb = self._next_verb(channel, asker)
            self._verbs[verb](channel, asker, now)
        except e.ControlError as error:
            self._note_refusal(None, channel, asker, error, now)

    def _next_verb(self, channel: c.Channel, asker: Asker) -> Verb:
        call = channel.call
        if self._pauses.get(call.call_id):
            return Verb.RESUME
        stretch = self._stretch_of(channel)
        demands = self.demands_in(call)
        if stretch is not None and self._startable(stretch, asker).keys() - demands.keys():
            return Verb.START
        if any(self._may_pause(asker, call, rule) for rule in self._active(call).values()):
            return Verb.PAUSE
        return Verb.START  # whose refusal says why

    def _note_refusal(
        self, verb: Verb | None, channel: c.Channel, asker: Asker, error: e.ControlError, now: datetime
    ) -> None:
        data = {"verb": str(verb or "toggle"), "by": asker.by, "code": error.code, "channel": channel.name}
        self._stage.note(FactKind.CONTROL_REFUSED, now, channel.call, data, {"identity": asker.identity})

    def _note(self, kind: FactKind, call: c.Call, asker: Asker, rules: Iterable[RuleId], now: datetime) -> None:
        data = {"by": asker.by, "rules": sorted(rules)}
        self._stage.note(kind, now, call, data, {"identity": asker.identity})

    # Starting and stopping

    def _stretch_of(self, channel: c.Channel) -> Stretch | None:
        """The talk that a channel is in."""
        stretches = self._stage.stretches_of(channel.call)
        return next((one for one in stretches if channel.talk is not None and one.talk is channel.talk), None)

    @staticmethod
    def _startable(stretch: Stretch, asker: Asker) -> dict[RuleId, Rule]:
        return {rule.id: rule for rule, may in stretch.offered.values() if asker.admin or asker.identity in may}

    def _start(self, channel: c.Channel, asker: Asker, now: datetime) -> list[RuleId]:
        call = channel.call
        if channel.local:
            raise e.LocalChannelError("a Local channel is no party: name the phone's channel", channel=channel.name)
        stretch = self._stretch_of(channel)
        if stretch is None:
            raise e.NotInTalkError("the channel is not connected with another party", channel=channel.name)
        if self._pauses.get(call.call_id):
            raise e.RecordPausedError("the record is paused: resume it first")
        allowed, demands = self._startable(stretch, asker), self.demands_in(call)
        new = [rule_id for rule_id in allowed if rule_id not in demands]
        if not allowed:
            raise e.NotAllowedByRulesError(f"no rule lets you record this talk: {stretch.answers.why_not()}")
        if not new:
            if any(demands[rule_id].owner == asker.identity for rule_id in allowed):
                raise e.AlreadyRecordingError("you record this talk already", rules=sorted(allowed))
            raise e.RecordedByAnotherError("another user records this talk already", rules=sorted(allowed))
        record = self._stage.sectioner.record_of(stretch)
        for rule_id in new:
            demand = Demand(record, rule_id, call.call_id, asker.identity, now)
            self._demands.setdefault(call.call_id, {})[rule_id] = demand
            self._out.append(PutDemand(demand))
        self._note(FactKind.RECORD_STARTED, call, asker, new, now)
        self._stage.arrange(call, now)
        return new

    def _stop(self, channel: c.Channel, asker: Asker, now: datetime) -> list[RuleId]:
        call = channel.call
        demands = self.demands_in(call)
        mine = [rule_id for rule_id, demand in demands.items() if asker.admin or demand.owner == asker.identity]
        if not mine:
            if demands:
                raise e.NotYourRecordingError("another user has started this recording", rules=sorted(demands))
            if self._active(call):
                raise e.AutomaticRecordingError("the system records this by itself: it cannot be stopped")
            raise e.NotRecordingError("nothing is recorded on demand here")
        self._note(FactKind.RECORD_STOPPED, call, asker, mine, now)
        for rule_id in mine:
            self.end_demand(call, rule_id)
        self._after_end(call, now)
        active = self._active(call)
        return [rule_id for rule_id in mine if rule_id not in active]  # the system may record by that rule by now

    def end_demand(self, call: c.Call, rule_id: RuleId) -> None:
        """Nobody wants this rule's recording any more; `arrange` follows."""
        demand = self._demands.get(call.call_id, {}).pop(rule_id, None)
        if demand is not None:
            self._out.append(EndDemand(demand.record_id, rule_id))

    def start_failed(self, call: c.Call, rules: Iterable[RuleId], now: datetime) -> None:
        """Who started was told that it came to nothing: it must not come to something later."""
        for rule_id in rules:
            self.end_demand(call, rule_id)
        self._after_end(call, now)

    def _after_end(self, call: c.Call, now: datetime) -> None:
        """Demands are over, and what was paused for their sake alone is not paused any more."""
        self._stage.arrange(call, now)
        for pause in list(self._pauses.get(call.call_id, {}).values()):
            self._drop_if_idle(call, pause)
        self._go_on(call, now)

    # Pausing and resuming

    def _active(self, call: c.Call) -> dict[RuleId, Rule]:
        """The rules that record a call now, or would if they were not paused."""
        return {rule_id: rule for one in self._stage.stretches_of(call) for rule_id, rule in one.wanted.items()}

    def _pause(self, channel: c.Channel, asker: Asker, now: datetime) -> list[RuleId]:
        call = channel.call
        active = self._active(call)
        if not active:
            raise e.NotRecordingError("nothing is recorded at the moment")
        mine = {rule_id: rule for rule_id, rule in active.items() if self._may_pause(asker, call, rule)}
        if not mine:
            raise e.PauseNotAllowedError("no rule that records this call lets you pause it", rules=sorted(active))
        if all(self.silent(call, rule) for rule in mine.values()):
            raise e.RecordPausedError("it is paused already")
        stretch = next(one for one in self._stage.stretches_of(call) if one.wanted)
        record = self._stage.sectioner.record_of(stretch)
        pause = Pause(record, call.call_id, asker.identity, asker.admin, now)
        self._keep_pause(call, pause)
        self._note(FactKind.RECORD_PAUSED, call, asker, mine, now)
        self._mute(call)
        return list(mine)

    def _keep_pause(self, call: c.Call, pause: Pause) -> None:
        pauses = self._pauses.setdefault(call.call_id, {})
        before = pauses.get(pause.by)
        if before is not None and before.record_id != pause.record_id:
            self._out.append(EndPause(before.record_id, before.by))
        pauses[pause.by] = pause
        self._out.append(PutPause(pause))

    def _mute(self, call: c.Call) -> None:
        """What runs is silent where its rule is paused, and only there."""
        active, muting = self._active(call), self._stage.sectioner.muting
        for section in self.sections_of(call):
            rule = active.get(section.rule_id)
            if rule is not None:
                (muting.mute if self.silent(call, rule) else muting.unmute)(section)

    def _resume(self, channel: c.Channel, asker: Asker, now: datetime) -> list[RuleId]:
        call = channel.call
        pauses = self._pauses.get(call.call_id)
        if not pauses:
            raise e.NotPausedError("the record is not paused")
        active = self._active(call)
        mine = [pause for pause in pauses.values() if self._may_resume(asker, call, pause, active)]
        if not mine:
            raise e.NotYourRecordingError("somebody else has paused it")
        rules = [rule_id for rule_id, rule in active.items() if any(self._covers(pause, call, rule) for pause in mine)]
        for pause in mine:
            self._end_pause(call, pause)
        self._note(FactKind.RECORD_RESUMED, call, asker, rules, now)
        self._go_on(call, now)
        return rules

    def _may_resume(self, asker: Asker, call: c.Call, pause: Pause, active: dict[RuleId, Rule]) -> bool:
        if asker.admin or asker.identity == pause.by:
            return True
        covered = [rule for rule in active.values() if self._covers(pause, call, rule)]
        return not pause.admin and bool(covered) and all(self._may_pause(asker, call, rule) for rule in covered)

    def _end_pause(self, call: c.Call, pause: Pause) -> None:
        pauses = self._pauses[call.call_id]
        del pauses[pause.by]
        if not pauses:
            del self._pauses[call.call_id]
        self._out.append(EndPause(pause.record_id, pause.by))

    def _go_on(self, call: c.Call, now: datetime) -> None:
        """What is not paused any more records again: what was muted, and what had nothing begun meanwhile."""
        self._mute(call)
        sectioner = self._stage.sectioner
        for stretch in self._stage.stretches_of(call):
            for rule_id, rule in list(stretch.wanted.items()):
                begun = rule_id in stretch.sections or sectioner.waits(stretch, rule_id)
                if not begun and not self.silent(call, rule):
                    sectioner.begin(stretch, rule, now)

    def sections_of(self, call: c.Call) -> list[Section]:
        """Those of a call that run, or are about to."""
        book = self._stage.sectioner.book
        return [
            section
            for uniqueid in call.channels
            for section in book.on_leg(uniqueid)
            if section.state in RUNNING or section.state is SectionState.REQUESTED
        ]

    def stop_unconfirmed(self, sections: Iterable[Section], now: datetime) -> None:
        """A pause must not leave something that may still record."""
        for section in sections:
            self._stage.sectioner.muting.give_up(section, now)

    def is_paused(self, call: c.Call, rule_id: RuleId) -> bool:
        """Whether a rule that records a call now is paused."""
        rule = self._active(call).get(rule_id)
        return rule is not None and self.silent(call, rule)

    def paused_at_all(self, call: c.Call) -> bool:
        """Whether anything of a call is paused."""
        return call.call_id in self._pauses

    # Time, calls that join and end, restarts

    def _running_pauses(self) -> list[tuple[c.Call, Pause]]:
        calls = self._stage.tracker.calls
        return [
            (calls[call_id], pause)
            for call_id, pauses in self._pauses.items()
            if call_id in calls
            for pause in pauses.values()
        ]

    def _dues(self, call: c.Call, pause: Pause) -> dict[RuleId, datetime]:
        """When which rule resumes by itself."""
        return {
            rule_id: pause.since + rule.pause_at_most
            for rule_id, rule in self._active(call).items()
            if rule.pause_at_most is not None and self._covers(pause, call, rule)
        }

    def tick(self, now: datetime) -> None:
        """Resume what has been paused for as long as its rule allows."""
        for call, pause in self._running_pauses():
            over = [rule_id for rule_id, due in self._dues(call, pause).items() if due <= now]
            if not over:
                continue
            resumed = replace(pause, resumed=(*pause.resumed, *over))
            self._pauses[call.call_id][pause.by] = resumed
            self._out.append(PutPause(resumed))
            self._note(FactKind.RECORD_RESUMED, call, Asker(pause.by, pause.admin, "pause_at_most"), over, now)
            self._drop_if_idle(call, resumed)
            self._go_on(call, now)

    def _drop_if_idle(self, call: c.Call, pause: Pause) -> None:
        """A pause that holds nothing back any more, in this talk or a later one, is over."""
        if not any(self._covers(pause, call, rule) for rule in self._stage.applies.recording_in(call)):
            self._end_pause(call, pause)

    def answer(self, now: datetime) -> None:
        """Tell those who wait what they waited for."""
        self._answering.look(now)

    def joined(self, call: c.Call, gone: c.Call) -> None:
        """Two calls are one: what was started or paused in either is so in both."""
        for rule_id, demand in self._demands.pop(gone.call_id, {}).items():
            self._out.append(EndDemand(demand.record_id, rule_id))
            demands = self._demands.setdefault(call.call_id, {})
            if rule_id not in demands:
                record = call.record_id or demand.record_id
                demands[rule_id] = replace(demand, record_id=record, call_id=call.call_id)
                self._out.append(PutDemand(demands[rule_id]))
        pauses = self._pauses.pop(gone.call_id, {})
        for by, pause in pauses.items():
            self._out.append(EndPause(pause.record_id, by))
            other = self._pauses.get(call.call_id, {}).get(by, pause)
            both = replace(
                pause,
                record_id=call.record_id or other.record_id,
                call_id=call.call_id,
                admin=pause.admin or other.admin,
                since=max(pause.since, other.since),
                resumed=tuple(rule_id for rule_id in pause.resumed if rule_id in other.resumed),
            )
            self._keep_pause(call, both)
        if self.paused_at_all(call):
            self._mute(call)

    def over(self, call: c.Call) -> None:
        """The call is over."""
        for demand in self._demands.pop(call.call_id, {}).values():
            self._out.append(EndDemand(demand.record_id, demand.rule_id))
        for pause in self._pauses.pop(call.call_id, {}).values():
            self._out.append(EndPause(pause.record_id, pause.by))

    def restore(self, demands: Sequence[Demand], pauses: Sequence[Pause]) -> None:
        """Take in what an earlier run kept, before the first snapshot."""
        self._restored = (demands, pauses)

    def know_again(self) -> None:
        """The first snapshot is there: what belongs to a call that goes on holds, the rest is over."""
        demands, pauses = self._restored
        self._restored = ((), ())
        for demand in demands:
            call = self._stage.tracker.call_of(demand.call_id)
            if call is None:
                self._out.append(EndDemand(demand.record_id, demand.rule_id))
            else:
                call.record_id = call.record_id or demand.record_id
                self._demands.setdefault(call.call_id, {})[demand.rule_id] = demand
        for pause in pauses:
            call = self._stage.tracker.call_of(pause.call_id)
            if call is None:
                self._out.append(EndPause(pause.record_id, pause.by))
            else:
                call.record_id = call.record_id or pause.record_id
                self._pauses.setdefault(call.call_id, {})[pause.by] = pause
