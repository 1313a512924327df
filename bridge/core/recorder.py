"""What happens goes in, what to keep and what to do comes out: which rules apply to which stretch of which call.

`Recorder.handle(event, now)` is the only way in. It holds what runs now; what is over is kept by the store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.core import calls as c
from bridge.core import decisions as d
from bridge.core import journal
from bridge.core import messages as m
from bridge.core.ids import CallId, Identity, RecordId, RuleId
from bridge.core.people import People
from bridge.core.records import Fact, FactKind, Section
from bridge.core.rules import Answers, Follow, RecordMode, Rule, RuleSet, Start, TalkFacts, ask
from bridge.core.sectioner import Sectioner, Stretch
from bridge.core.store import AddCdr, AddJournalEntry, AppendFact
from bridge.core.tracker import CallTracker


@dataclass(frozen=True, slots=True)
class Kept:
    """A rule that once matched in a call. With `follow: user` it holds while one of `users` is in the talk."""

    rule: Rule
    users: frozenset[Identity]

    def holds_for(self, users: frozenset[Identity]) -> bool:
        """Whether it applies to a talk of these users."""
        return self.rule.follow is Follow.CALL or not self.users.isdisjoint(users)


def _may_record(answers: Answers) -> bool:
    """Whether rules may record by themselves: not against a `never`, nor where the variable says on-demand."""
    return not answers.never and answers.variable is not RecordMode.ON_DEMAND


class Recorder:
    """Decides, for every event, what to keep and what to do. Holds no more than the calls that go on now.

    `files` gives the highest section number already used of a record and rule, so that a restart goes on counting.
    """

    def __init__(
        self, rules: RuleSet, people: People, files: Mapping[tuple[RecordId, RuleId], int] | None = None
    ) -> None:
        self._out: list[d.Decision] = []
        self.tracker = CallTracker()
        self.sectioner = Sectioner(self.tracker, people, self._out, files or {})
        self.use_rules(rules, people)
        self.stretches: dict[int, Stretch] = {}
        self.answers: dict[CallId, Answers] = {}
        self._before: dict[CallId, Stretch] = {}
        self._befores = 0
        self._kept: dict[CallId, dict[RuleId, Kept]] = {}
        self._on_change: dict[type, Callable[[Any, datetime], None]] = {
            c.CallBegan: self._call_began,
            c.CallsJoined: self._calls_joined,
            c.CallProgressed: self._call_progressed,
            c.TalkBegan: self._talk_began,
            c.TalkChanged: self._talk_changed,
            c.TalkEnded: self._talk_ended,
            c.ChannelGone: self._channel_gone,
            c.CallEnded: self._call_ended,
        }

    def handle(self, event: m.Event | d.Report, now: datetime) -> list[d.Decision]:
        """Take one event or report; what to keep and what to do, in order."""
        report = self.sectioner.reports.get(type(event))
        if report is not None:
            report(event, now)
        elif isinstance(event, m.MixMonitorStarted | m.MixMonitorStopped):
            self._mixmonitor(event)
        else:
            snapshot = type(event) is m.SnapshotTaken
            if snapshot:
                self.sectioner.before_snapshot(now)
            changes = self.tracker.handle(event)  # type: ignore[arg-type]  # reports are all in the table above
            if snapshot:
                self.sectioner.know_again()
            for change in changes:
                self._on_change[type(change)](change, now)
            if snapshot:
                self.sectioner.after_snapshot(now)
        return self._taken()

    def _taken(self) -> list[d.Decision]:
        if not self._out:
            return []
        out = self._out.copy()
        self._out.clear()
        return out

    def restore(self, sections: Sequence[Section], now: datetime) -> list[d.Decision]:
        """Take in the sections that an earlier run left open, before the first snapshot; see Sectioner."""
        self.sectioner.restore(sections, now)
        return self._taken()

    def use_rules(self, rules: RuleSet, people: People) -> None:
        """New rules count from the next talk."""
        self.rules = rules
        self.people = self.sectioner.people = people
        self.tracker.variables = rules.variables()
        self._early = any(placed.rule.start is not Start.TALK for placed in rules.rules)
        self._named = {placed.rule.id: placed.users for placed in rules.rules}

    def stretches_of(self, call: c.Call) -> list[Stretch]:
        """What may be recorded of a call now: the time before a talk, and its talks."""
        before = self._before.get(call.call_id)
        numbers = dict.fromkeys(leg.talk.number for leg in call.legs if leg.talk is not None)
        return [*([before] if before is not None else []), *(self.stretches[number] for number in numbers)]

    def wake_at(self) -> datetime | None:
        """When a Tick is wanted, if nothing happens before."""
        return self.sectioner.wake_at()

    # Calls

    def _call_began(self, change: c.CallBegan, now: datetime) -> None:  # noqa: ARG002  # one shape for the table
        call = change.call
        channel = call.caller
        self._note(
            FactKind.CALL_BEGAN,
            call.began_at,
            call,
            {"channel": channel.name, "dialed": channel.exten, "context": channel.context},
            {"number": channel.number, "name": channel.caller_name},
        )

    def _calls_joined(self, change: c.CallsJoined, now: datetime) -> None:
        call, gone = change.call, change.gone
        self.sectioner.numbering.joined(call.call_id, gone.call_id)
        for rule_id, one in self._kept.pop(gone.call_id, {}).items():
            kept = self._kept.setdefault(call.call_id, {})
            other = kept.get(rule_id)
            kept[rule_id] = Kept(other.rule, other.users | one.users) if other is not None else one
        answers = self.answers.pop(gone.call_id, None)
        if answers is not None:
            self.answers.setdefault(call.call_id, answers)
        before = self._before.pop(gone.call_id, None)
        if before is not None:
            self.sectioner.end_all(before, now)
        self._note(FactKind.CALL_JOINED, now, call, {"joined": gone.call_id})

    def _call_progressed(self, change: c.CallProgressed, now: datetime) -> None:
        """Before a talk only rules that begin with the answer, or the ringing, are of interest."""
        call = change.call
        caller = call.caller
        if not self._early or caller.local or caller.dialed or caller.ended_at or caller.talk is not None:
            return
        rung = [leg for leg in call.legs if leg.dialed and leg.ended_at is None]
        if caller.answered_at is None and not rung:
            return
        answers = ask(self.rules, self._facts(call, [caller, *rung], now))
        self.answers[call.call_id] = answers
        starts = {Start.RING, Start.ANSWER} if caller.answered_at is not None else {Start.RING}
        rules = {rule.id: rule for rule in answers.recording if rule.start in starts}
        before = self._before.get(call.call_id)
        if before is None:
            if not rules:
                return
            self._befores -= 1
            talk = c.Talk(self._befores, now, {caller.uniqueid: caller}, frozenset())
            before = self._before[call.call_id] = Stretch(talk, answers, {})
        for rule_id in [rule_id for rule_id in before.wanted if rule_id not in rules and not _may_record(answers)]:
            self.sectioner.end(before, rule_id, now)
            del before.wanted[rule_id]
        for rule in rules.values():
            if rule.id not in before.wanted:
                before.wanted[rule.id] = rule
                self.sectioner.begin(before, rule, now)

    def _call_ended(self, change: c.CallEnded, now: datetime) -> None:
        call = change.call
        self._kept.pop(call.call_id, None)
        self.answers.pop(call.call_id, None)
        self.sectioner.numbering.over(call.call_id)
        before = self._before.pop(call.call_id, None)
        if before is not None:
            self.sectioner.end_all(before, now)
        if not call.legs:
            return  # Local halves alone are nobody's call
        ended_at = max(channel.ended_at for channel in call.channels.values() if channel.ended_at is not None)
        finished = journal.cdr(call, self.people, ended_at)
        self._note(
            FactKind.CALL_ENDED,
            ended_at,
            call,
            {"direction": finished.direction, "talked_s": finished.talked_s, "records": list(finished.record_ids)},
        )
        self._out.append(AddCdr(finished))
        self._out.extend(AddJournalEntry(entry) for entry in journal.entries(call, self.people, ended_at))

    def _channel_gone(self, change: c.ChannelGone, now: datetime) -> None:
        channel = change.channel
        self.sectioner.leg_gone(channel.uniqueid, now)
        before = self._before.get(channel.call.call_id)
        if before is not None and channel.uniqueid in before.talk.parties:
            del self._before[channel.call.call_id]
            self.sectioner.end_all(before, now)

    # Talks

    def _facts(self, call: c.Call, parties: Sequence[c.Channel], now: datetime) -> TalkFacts:
        caller = call.caller
        out = next((party for party in parties if journal.outside(party, self.people)), None)
        called = journal.identities([party for party in parties if party.dialed], self.people)
        calling = journal.identities([party for party in parties if not party.dialed], self.people)
        return TalkFacts(
            direction=journal.direction(parties, self.people),
            callers=frozenset(calling),
            callees=frozenset(called),
            number=journal.outside_number(out, caller) if out is not None else "",
            dialed=caller.exten,
            queue=call.queue,
            context=caller.context,
            at=now,
            variables=call.variables,
            channels=tuple(party.name for party in parties),
            call_id=call.call_id,
        )

    def _wanted(self, call: c.Call, answers: Answers) -> dict[RuleId, Rule]:
        """The rules that record a talk: those that match, and those that once did and follow; none against a never."""
        users = answers.talk.users
        kept = self._kept.setdefault(call.call_id, {})
        for rule in answers.recording or (answers.matching(RecordMode.ALWAYS) if answers.never else ()):
            held = self._named.get(rule.id, frozenset()) & users
            before = kept.get(rule.id)
            kept[rule.id] = Kept(rule, held | before.users if before is not None else held)
        if not _may_record(answers):
            return {}
        return {rule_id: one.rule for rule_id, one in kept.items() if one.holds_for(users)}

    def _talk_began(self, change: c.TalkBegan, now: datetime) -> None:
        talk, call = change.talk, change.call
        parties = list(talk.parties.values())
        before = self._before.get(call.call_id)
        if before is not None and not before.talk.parties.keys().isdisjoint(talk.parties):
            # A section never outlives a change of partner (ASTERISK.md): the talk's own begin on the leg that came.
            del self._before[call.call_id]
            self.sectioner.end_all(before, now)
        answers = ask(self.rules, self._facts(call, parties, now))
        self.answers[call.call_id] = answers
        wanted = self._wanted(call, answers)
        stretch = self.stretches[talk.number] = Stretch(talk, answers, wanted)
        self._note(
            FactKind.TALK_BEGAN,
            talk.began_at,
            call,
            {
                "talk": talk.number,
                "channels": [party.name for party in parties],
                "direction": str(answers.talk.direction),
                "recording": list(wanted),
                "reason": None if wanted else answers.why_not(),
            },
        )
        for rule in list(wanted.values()):
            self.sectioner.begin(stretch, rule, now)

    def _talk_changed(self, change: c.TalkChanged, now: datetime) -> None:
        talk, call = change.talk, change.call
        stretch = self.stretches[talk.number]
        names = [party.name for party in talk.parties.values()]
        self._note(FactKind.TALK_CHANGED, now, call, {"talk": talk.number, "channels": names})
        users = frozenset(journal.identities(list(talk.parties.values()), self.people))
        for rule_id, kept in self._kept.get(call.call_id, {}).items():
            if kept.rule.follow is Follow.USER and _may_record(stretch.answers):
                if rule_id in stretch.wanted and not kept.holds_for(users):
                    self.sectioner.end(stretch, rule_id, now)
                    del stretch.wanted[rule_id]
                elif rule_id not in stretch.wanted and kept.holds_for(users):
                    stretch.wanted[rule_id] = kept.rule
                    self.sectioner.begin(stretch, kept.rule, now)
        self.sectioner.refresh(stretch, now)

    def _talk_ended(self, change: c.TalkEnded, now: datetime) -> None:
        self.sectioner.end_all(self.stretches.pop(change.talk.number), now)
        self._note(FactKind.TALK_ENDED, now, change.call, {"talk": change.talk.number})

    # Facts

    def _mixmonitor(self, event: m.MixMonitorStarted | m.MixMonitorStopped) -> None:
        channel = self.tracker.channels.get(event.uniqueid)
        if channel is not None and self.sectioner.foreign(event):
            data = {"channel": channel.name, "runs": isinstance(event, m.MixMonitorStarted)}
            self._note(FactKind.FOREIGN_MIXMONITOR, event.at, channel.call, data)

    def _note(
        self,
        kind: FactKind,
        at: datetime,
        call: c.Call,
        data: Mapping[str, Any],
        personal: Mapping[str, str] | None = None,
    ) -> None:
        audience = journal.identities(call.legs, self.people)
        fact = Fact(kind, at, call.call_id, call.record_id, None, None, data, personal or {}, audience)
        self._out.append(AppendFact(fact))
