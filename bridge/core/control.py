"""What users do to the recording of a call that goes on: start, stop, pause and resume, by the API and on the phone."""

from collections.abc import Callable, Iterable
from datetime import datetime

from bridge.core import calls as c
from bridge.core import errors as e
from bridge.core import journal
from bridge.core.access import Role
from bridge.core.answering import Answering, Waiting
from bridge.core.commands import Command, Refused, Verb
from bridge.core.decisions import Decision
from bridge.core.demands import Demands
from bridge.core.ids import Identity, RuleId, Uniqueid
from bridge.core.pauses import Pauses
from bridge.core.records import FactKind, Section
from bridge.core.rule import Rule
from bridge.core.sectioner import Stretch
from bridge.core.stage import Asker, Stage, active_rules, note_done


class Control:
    """Takes commands and presses; owns who has started what, and what is paused. Answers go into `out`."""

    def __init__(self, stage: Stage, out: list[Decision]) -> None:
        self._stage = stage
        self._out = out
        self.demands = Demands(stage.tracker, out)
        self.pauses = Pauses(stage, out, self.demands.in_call)
        self._answering = Answering(self, stage.sectioner.book, stage.sectioner.muting, out)
        self._verbs: dict[Verb, Callable[[c.Channel, Asker, datetime], list[RuleId]]] = {
            Verb.START: self._start,
            Verb.STOP: self._stop,
            Verb.PAUSE: lambda channel, asker, now: self.pauses.pause(channel.call, asker, now),
            Verb.RESUME: lambda channel, asker, now: self.pauses.resume(channel.call, asker, now),
        }

    def wake_at(self) -> datetime | None:
        """When `tick` is wanted, if nothing happens before."""
        times = (self.pauses.wake_at(), self._answering.wake_at())
        return min((at for at in times if at is not None), default=None)

    # Who asks for what

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
        self._answering.wait(Waiting(command.verb, command.number, channel, asker, stretch, rules, now))

    def _channel(self, command: Command) -> c.Channel | None:
        channels = self._stage.tracker.channels
        channel = channels.get(Uniqueid(command.channel)) or next(
            (one for one in channels.values() if one.name == command.channel), None
        )
        if channel is None:
            return None
        return channel if command.reader.sees(self._stage.audience(channel.call)) else None

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
            verb, stretch = self._next_verb(channel, asker), self._stretch_of(channel)
            rules = self._verbs[verb](channel, asker, now)
        except e.ControlError as error:
            self._note_refusal(None, channel, asker, error, now)
            return
        self._answering.wait(Waiting(verb, None, channel, asker, stretch, rules, now))

    def _next_verb(self, channel: c.Channel, asker: Asker) -> Verb:
        call = channel.call
        if self.pauses.in_call(call):
            return Verb.RESUME
        stretch = self._stretch_of(channel)
        if stretch is not None and self._startable(stretch, asker).keys() - self.demands.in_call(call).keys():
            return Verb.START
        if any(self.pauses.may_pause(asker, call, rule) for rule in active_rules(self._stage, call).values()):
            return Verb.PAUSE
        return Verb.START  # whose refusal says why

    def _note_refusal(
        self, verb: Verb | None, channel: c.Channel, asker: Asker, error: e.ControlError, now: datetime
    ) -> None:
        """What somebody tried in vain is his own affair."""
        data = {"verb": str(verb or "toggle"), "by": asker.by, "code": error.code, "channel": channel.name}
        personal, audience = {"identity": asker.identity}, (asker.identity,) if asker.identity else ()
        self._stage.note(FactKind.CONTROL_REFUSED, now, channel.call, data, personal, audience=audience)

    # Starting and stopping

    def _stretch_of(self, channel: c.Channel) -> Stretch | None:
        """The talk that a channel is in."""
        stretches = self._stage.stretches_of(channel.call)
        return next((one for one in stretches if channel.talk is not None and one.talk is channel.talk), None)

    @staticmethod
    def _startable(stretch: Stretch, asker: Asker) -> dict[RuleId, Rule]:
        return {rule.id: rule for rule, may in stretch.offered.values() if asker.admin or asker.identity in may}

    def startable(self, channel: c.Channel, asker: Asker) -> tuple[Stretch, list[RuleId]]:
        """The talk of a channel, and what the asker may start in it. Raises ControlError where a start is refused."""
        if channel.local:
            raise e.LocalChannelError("a Local channel is no party: name the phone's channel", channel=channel.name)
        stretch = self._stretch_of(channel)
        if stretch is None:
            raise e.NotInTalkError("the channel is not connected with another party", channel=channel.name)
        new = self._new(stretch, asker)
        if self.pauses.in_call(channel.call):
            raise e.RecordPausedError("the record is paused: resume it first")
        return stretch, new

    def _start(self, channel: c.Channel, asker: Asker, now: datetime) -> list[RuleId]:
        call = channel.call
        stretch, new = self.startable(channel, asker)
        record = self._stage.sectioner.record_of(stretch)
        for rule_id in new:
            self.demands.put(call, record, rule_id, asker.identity, now)
        note_done(self._stage, FactKind.RECORD_STARTED, call, asker, new, now=now)
        self._stage.arrange(call, now)
        return new

    def _new(self, stretch: Stretch, asker: Asker) -> list[RuleId]:
        """The rules of a talk that the asker may start and nobody has. Raises ControlError where there is none."""
        allowed, demands = self._startable(stretch, asker), self.demands.in_call(stretch.call)
        new = [rule_id for rule_id in allowed if rule_id not in demands]
        if new:
            return new
        if any(demands[rule_id].owner == asker.identity for rule_id in allowed):
            raise e.AlreadyRecordingError("you record this talk already", rules=sorted(allowed))
        if allowed:
            raise e.RecordedByAnotherError("another user records this talk already", rules=sorted(allowed))
        automatic = sorted(stretch.wanted.keys() - demands.keys())
        if automatic:
            raise e.AutomaticRecordingError("the system records this talk by itself already", rules=automatic)
        raise e.NotAllowedByRulesError(f"no rule lets you record this talk: {stretch.answers.why_not()}")

    def stoppable(self, call: c.Call, asker: Asker) -> list[RuleId]:
        """The rules that the asker may stop in a call. Raises ControlError where a stop is refused."""
        demands = self.demands.in_call(call)
        mine = [rule_id for rule_id, demand in demands.items() if asker.admin or demand.owner == asker.identity]
        if not mine:
            if demands:
                raise e.NotYourRecordingError("another user has started this recording", rules=sorted(demands))
            if active_rules(self._stage, call):
                raise e.AutomaticRecordingError("the system records this by itself: it cannot be stopped")
            raise e.NotRecordingError("nothing is recorded on demand here")
        return mine

    def _stop(self, channel: c.Channel, asker: Asker, now: datetime) -> list[RuleId]:
        call = channel.call
        mine = self.stoppable(call, asker)
        note_done(self._stage, FactKind.RECORD_STOPPED, call, asker, mine, now=now)
        self._end_demands(call, mine, now)
        active = active_rules(self._stage, call)
        return [rule_id for rule_id in mine if rule_id not in active]  # the system may record by that rule by now

    def _end_demands(self, call: c.Call, rules: Iterable[RuleId], now: datetime) -> None:
        for rule_id in rules:
            self.demands.end(call, rule_id)
        self._stage.arrange(call, now)
        self.pauses.demands_ended(call, now)

    # What follows where Asterisk has not confirmed

    def answer(self, now: datetime) -> None:
        """Tell those who wait what they waited for."""
        self._answering.look(now)

    def not_confirmed(self, verb: Verb, channel: c.Channel, asker: Asker, error: e.ControlError, now: datetime) -> None:
        """Nobody waits for the answer to a key: a fact has it."""
        self._note_refusal(verb, channel, asker, error, now)

    def start_failed(self, call: c.Call, rules: Iterable[RuleId], now: datetime) -> None:
        """Who started was told that it came to nothing: it must not come to something later."""
        self._end_demands(call, rules, now)

    def stop_unconfirmed(self, sections: Iterable[Section], now: datetime) -> None:
        """A pause must not leave something that may still record."""
        for section in sections:
            self._stage.sectioner.muting.give_up(section, now)

    def is_paused(self, call: c.Call, rule_id: RuleId) -> bool:
        """Whether a rule that records a call now is paused."""
        rule = active_rules(self._stage, call).get(rule_id)
        return rule is not None and self.pauses.silent(call, rule)

    def paused_at_all(self, call: c.Call) -> bool:
        """Whether anything of a call is paused."""
        return self.pauses.in_call(call)

    def demanded(self, call: c.Call) -> frozenset[RuleId]:
        """The rules that somebody has started in a call."""
        return frozenset(self.demands.in_call(call))

    # Calls that join and end, restarts

    def joined(self, call: c.Call, gone: c.Call) -> None:
        """Two calls are one: what was started or paused in either is so in both."""
        self.pauses.joined(call, gone, self.demands.joined(call, gone))

    def over(self, call: c.Call) -> None:
        """The call is over."""
        self.demands.over(call)
        self.pauses.over(call)

    def know_again(self, *, all_known: bool) -> None:
        """What an earlier run kept of calls that go on holds; the rest is over once all calls are known."""
        self.demands.know_again(all_known=all_known)
        self.pauses.know_again(all_known=all_known)
