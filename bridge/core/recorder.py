"""What happens goes in, what to keep and what to do comes out: which rules apply to which stretch of which call.

`Recorder.handle(event, now)` is the only way in. It holds what runs now; what is over is kept by the store. Over 300
lines: each change of a call or talk has its few lines here, and they share the same stretches.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from bridge.core import calls as c
from bridge.core import decisions as d
from bridge.core import journal, outcome
from bridge.core import messages as m
from bridge.core.applying import Applies, Applying, may_record
from bridge.core.asked import Asked, KeptRules, facts_to_keep
from bridge.core.channel_facts import ChannelFacts
from bridge.core.commands import Command, Order
from bridge.core.control import Control
from bridge.core.ids import CallId, Identity, RecordId, RuleId, Uniqueid
from bridge.core.kept import KeptCall, keep
from bridge.core.moves import Moves
from bridge.core.people import People, UserFlags
from bridge.core.phones import Phones
from bridge.core.records import Demand, Fact, FactKind, Pause, Section
from bridge.core.rules import Answers, Rule, RuleSet, Start, TalkFacts, ask
from bridge.core.sectioner import Sectioner, Stretch, ends
from bridge.core.spans import Spans
from bridge.core.store import AddCdr, AddJournalEntry, AppendFact, EndCall, PutAsked, PutCall, PutRules
from bridge.core.tracker import CallTracker
from bridge.core.watching import Limits, Watching


class Recorder:
    """Decides, for every event, what to keep and what to do. Holds no more than the calls that go on now.

    `files` gives the highest section number already used of a record and rule, so that a restart goes on counting.
    `flags` is what users have changed of their flags, `queue_toggles` what queues say of their members' record key,
    `limits` what is too long for a file not to grow or to be silent, `kept` is of the rules what is kept of them.
    """

    def __init__(
        self,
        rules: RuleSet,
        people: People,
        files: Mapping[tuple[RecordId, RuleId], int] | None = None,
        *,
        flags: Mapping[Identity, UserFlags] | None = None,
        queue_toggles: Mapping[str, bool] | None = None,
        limits: Limits | None = None,
        kept: KeptRules | None = None,
    ) -> None:
        self._out: list[d.Decision] = []
        self.tracker = CallTracker()
        self.sectioner = Sectioner(self.tracker, people, self._out, files or {}, self._silent)
        self.watching = Watching(self.sectioner.book, self._out, self._held, self.sectioner.renew, limits)
        self.spans = Spans(self._out, self._silent)
        self.control = Control(self, self._out)
        self.applies = Applies(self.tracker, people, self.control.demands.in_call)
        self.phones = Phones(self, self._out, flags or {}, queue_toggles or {})
        self.channel_facts = ChannelFacts(self, self._out)
        self.moves = Moves(self)
        self.use_rules(rules, people, kept)
        self.stretches: dict[int, Stretch] = {}
        self.answers: dict[CallId, Answers] = {}
        self._before: dict[CallId, Stretch] = {}
        self._befores = 0
        self._held_back: dict[int, Stretch] = {}
        self._unsaid: dict[int, Stretch] = {}
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
        self._on_event: dict[type, Callable[[Any, datetime], None]] = {
            **self.sectioner.reports,
            **self.phones.events,
            **self.watching.reports,
            d.FileWatched: self._of_a_file,
            d.FileInspected: self._of_a_file,
            d.FileUnreadable: self._of_a_file,
            d.Tick: self._tick,
            d.StopAll: self._stop_all,
            Command: self.control.command,
            m.MixMonitorStarted: self._mixmonitor,
            m.MixMonitorStopped: self._mixmonitor,
            m.SnapshotTaken: self._snapshot,
        }

    def handle(self, event: m.Event | d.Report | Order, now: datetime) -> list[d.Decision]:
        """Take one event, report or command; what to keep, to do and to answer, in order."""
        self._keep_rules()
        on_event = self._on_event.get(type(event))
        if on_event is not None:
            on_event(event, now)
        else:
            if isinstance(event, m.ChannelHeld | m.VariableSet):
                self._touch(event.uniqueid)
            elif isinstance(event, m.Transferred):
                for uniqueid in event.transferers:
                    self._touch(uniqueid)
            self.channel_facts.heard(event)  # type: ignore[arg-type]  # reports are all in the table above
            for change in self.tracker.handle(event):  # type: ignore[arg-type]
                self._changed(change, now)
            self.moves.look(event)  # type: ignore[arg-type]
            self.channel_facts.look(event)  # type: ignore[arg-type]
        for stretch in list(self._unsaid.values()):
            self._offer(stretch, now)
        self.spans.look(event.at)
        self.control.answer(now)
        return self._taken()

    @property
    def tell_channels(self) -> bool:
        """Whether facts about channels are said (`channel_facts`). It may be set at any time; none are by default."""
        return self.channel_facts.wanted

    @tell_channels.setter
    def tell_channels(self, wanted: bool) -> None:
        self.channel_facts.wanted = wanted

    def _touch(self, uniqueid: Uniqueid) -> None:
        """What no change tells, and no snapshot: who holds or transfers whom, what a channel that goes had said."""
        channel = self.tracker.channels.get(uniqueid)
        if channel is not None:
            self.sectioner.touched[channel.call.call_id] = None

    def _changed(self, change: c.Changed, now: datetime) -> None:
        call = change.channel.call if isinstance(change, c.ChannelGone) else change.call
        self.sectioner.touched[call.call_id] = None
        if isinstance(change, c.CallsJoined):
            self.sectioner.touched[change.gone.call_id] = None
        self._on_change[type(change)](change, now)

    def checkpoint(self) -> list[d.Decision]:
        """The running calls of which something new is known since this was asked last, to be kept with all else."""
        touched, self.sectioner.touched = self.sectioner.touched, {}
        self._keep_rules()
        decisions = self._taken()
        for call_id in touched:
            call = self.tracker.calls.get(call_id)
            if call is None:
                decisions.append(EndCall(call_id))
            elif call.announced:
                decisions.append(PutCall(keep(call, self.applies.kept(call))))
        return decisions

    def _snapshot(self, event: m.SnapshotTaken, now: datetime) -> None:
        with self.sectioner.snapshot(event, now):
            self.channel_facts.heard(event)
            changes = self.tracker.handle(event)
            self.sectioner.know_again()
            self.control.know_again(all_known=True)
            for change in changes:
                self._changed(change, now)
            self.moves.look(event)
            self.channel_facts.look(event)
            self.sectioner.after_snapshot(now)
        for stretch in [*self.stretches.values(), *self._before.values()]:
            self.sectioner.begin_missing(stretch, now)

    def _stop_all(self, _: d.StopAll, now: datetime) -> None:
        for stretch in [*self.stretches.values(), *self._before.values()]:
            self.sectioner.end_all(stretch, now)
        self.sectioner.stop_all(now)

    def _tick(self, tick: d.Tick, now: datetime) -> None:
        self.sectioner.tick(tick, now)
        self.watching.tick(tick.at)
        self.control.pauses.tick(tick.at)
        self.phones.tick(tick.at)
        self.channel_facts.tick(tick.at)

    def _of_a_file(self, report: d.FileWatched | d.FileInspected | d.FileUnreadable, now: datetime) -> None:
        self.watching.overhear(report, now)
        self.sectioner.reports[type(report)](report, now)

    def _held(self, section: Section) -> bool:
        leg = self.tracker.channels.get(section.leg)
        return leg is not None and leg.talk is not None and any(party.held for party in leg.talk.parties.values())

    def _silent(self, call: c.Call, rule: Rule) -> bool:
        return self.control.pauses.silent(call, rule)

    def _taken(self) -> list[d.Decision]:
        if not self._out:
            return []
        out = self._out.copy()
        self._out.clear()
        return out

    def restore(  # noqa: PLR0917  # what an earlier run left, one list a kind
        self,
        sections: Sequence[Section],
        now: datetime,
        demands: Sequence[Demand] = (),
        pauses: Sequence[Pause] = (),
        calls: Sequence[KeptCall] = (),
        seen_at: datetime | None = None,
    ) -> list[d.Decision]:
        """Take in what an earlier run left: as if it had been this one, and the connection lost since then.

        The first snapshot tells what became of it. Rules are asked anew, as at the beginning of each talk. `seen_at` is
        when the earlier run saw anything last.
        """
        talks = self.tracker.restore(calls)
        self.channel_facts.restored()
        self.moves.restored()
        for kept in calls:
            call = self.tracker.calls[kept.call_id]
            self.applies.restore(call, kept.rules)
            self.sectioner.numbering.know(call.call_id, kept.records)
        self.sectioner.restore(sections)
        self.sectioner.paused_before = frozenset(pause.record_id for pause in pauses)
        self.control.demands.restore(demands)
        self.control.pauses.restore(pauses)
        self.control.know_again(all_known=False)
        self._keep_rules()
        for talk in talks:
            self._revive(talk, now)
        for call in self.tracker.calls.values():
            self._revive_before(call, now)
        self.spans.know_again(talks, seen_at or now)
        self.spans.look(now)
        return self._taken()

    def _revive(self, talk: c.Talk, now: datetime) -> None:
        call = next(iter(talk.parties.values())).call
        answers = ask(self.rules, self._facts(call, list(talk.parties.values()), talk.began_at))
        self._keep_asked(talk, answers, now)
        self.answers[call.call_id] = answers
        applying = self.applies.to(talk, call, answers)
        stretch = Stretch(talk, answers, applying.wanted, applying.owners, applying.offered, why_not=applying.why_not)
        stretch.reasons = applying.reasons
        self.spans.touch(stretch)
        stretch.told = {
            rule_id: may
            for rule_id, (_, may) in stretch.offered.items()
            if rule_id not in stretch.owners and not self.sectioner.any_open(call, rule_id)
        }
        self.stretches[talk.number] = stretch
        if stretch.why_not is not None:
            self._held_back[talk.number] = stretch
        self.sectioner.revive(stretch)

    def _revive_before(self, call: c.Call, now: datetime) -> None:
        """What was recorded before a talk, on the leg of a caller that waits."""
        caller = call.caller
        if caller.talk is not None or not self.sectioner.homeless(caller.uniqueid):
            return
        legs = [leg for leg in call.legs if leg.dialed and leg.ended_at is None]
        answers = self.answers[call.call_id] = ask(self.rules, self._facts(call, [caller, *legs], now))
        self._befores -= 1
        talk = c.Talk(self._befores, now, {caller.uniqueid: caller}, frozenset())
        rules = {rule.id: rule for rule in answers.recording if rule.start is not Start.TALK}
        before = self._before[call.call_id] = Stretch(talk, answers, rules)
        self.sectioner.revive(before)
        before.wanted = {rule_id: rule for rule_id, rule in rules.items() if rule_id in before.sections}

    def use_rules(self, rules: RuleSet, people: People, kept: KeptRules | None = None) -> None:
        """New rules count from the next talk; `kept` is kept of them before anything is asked of them."""
        self._new_rules = kept
        self.rules = rules
        self.people = self.sectioner.people = people
        self.applies.use_rules(rules, people)
        self.tracker.variables = rules.variables() | outcome.VARIABLES
        self._early = any(placed.rule.start is not Start.TALK for placed in rules.rules)

    def _keep_rules(self) -> None:
        if self._new_rules is not None:
            self._out.append(PutRules(self._new_rules))
            self._new_rules = None

    def _keep_asked(self, talk: c.Talk, answers: Answers, now: datetime) -> None:
        self._out.append(PutAsked(Asked(talk.talk_id, now, facts_to_keep(answers.talk, self.rules))))

    def stretches_of(self, call: c.Call) -> list[Stretch]:
        """What may be recorded of a call now: the time before a talk, and its talks."""
        before = self._before.get(call.call_id)
        numbers = dict.fromkeys(leg.talk.number for leg in call.legs if leg.talk is not None)
        # A talk that one snapshot shows may not have been handled yet.
        talks = [self.stretches[number] for number in numbers if number in self.stretches]
        return [*([before] if before is not None else []), *talks]

    def audience(self, call: c.Call) -> tuple[Identity, ...]:
        """Whom a call concerns: the users on it, and those who have started something; when all are gone, all."""
        legs = [leg for leg in call.legs if leg.ended_at is None] or call.legs
        owners = (demand.owner for demand in self.control.demands.in_call(call).values())
        return tuple(dict.fromkeys((*journal.identities(legs, self.people), *owners)))

    def _with(self, call: c.Call, gone: Sequence[Uniqueid]) -> tuple[Identity, ...]:
        """Whom a call concerns, and those who have just left its talk."""
        left = journal.identities([call.channels[one] for one in gone if one in call.channels], self.people)
        return tuple(dict.fromkeys((*self.audience(call), *left)))

    def wake_at(self) -> datetime | None:
        """When a Tick is wanted, if nothing happens before."""
        those = (self.sectioner, self.control, self.phones, self.watching, self.channel_facts)
        return min((at for at in (one.wake_at() for one in those) if at is not None), default=None)

    # Calls

    def _call_began(self, change: c.CallBegan, now: datetime) -> None:  # noqa: ARG002  # one shape for the table
        call = change.call
        channel = call.caller
        self.note(
            FactKind.CALL_BEGAN,
            call.began_at,
            call,
            {"channel": channel.name, "context": channel.context},
            {"number": channel.number, "name": channel.caller_name, "dialed": channel.exten},
        )

    def _calls_joined(self, change: c.CallsJoined, now: datetime) -> None:
        call, gone = change.call, change.gone
        self.sectioner.numbering.joined(call.call_id, gone.call_id)
        self.control.joined(call, gone)
        self.spans.joined(call, gone)
        self.applies.joined(call, gone)
        answers = self.answers.pop(gone.call_id, None)
        if answers is not None:
            self.answers.setdefault(call.call_id, answers)
        before = self._before.pop(gone.call_id, None)
        if before is not None:
            self.sectioner.end_all(before, now)
        if gone.announced:  # Local halves alone were nobody's call
            self.note(FactKind.CALL_JOINED, now, call, {"joined": gone.call_id})
        self.channel_facts.joined(call, now)

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
        for rule_id in [rule_id for rule_id in before.wanted if rule_id not in rules and not may_record(answers)]:
            self.sectioner.end(before, rule_id, now)
            del before.wanted[rule_id]
        for rule in rules.values():
            if rule.id not in before.wanted:
                before.wanted[rule.id] = rule
                self.sectioner.begin(before, rule, now)

    def _call_ended(self, change: c.CallEnded, now: datetime) -> None:
        call = change.call
        self.applies.over(call)
        self.answers.pop(call.call_id, None)
        self.control.over(call)
        self.sectioner.numbering.over(call.call_id)
        before = self._before.pop(call.call_id, None)
        if before is not None:
            self.sectioner.end_all(before, now)
        if not call.legs:
            return  # Local halves alone are nobody's call
        ended_at = max(channel.ended_at for channel in call.channels.values() if channel.ended_at is not None)
        finished = journal.cdr(call, self.people, ended_at)
        self.note(
            FactKind.CALL_ENDED,
            ended_at,
            call,
            {"direction": finished.direction, "talked_s": finished.talked_s, "records": list(finished.record_ids)},
        )
        self._out.append(AddCdr(finished, journal.parties(call, self.people, ended_at)))
        self._out.extend(AddJournalEntry(entry) for entry in journal.entries(call, self.people, ended_at))

    def _channel_gone(self, change: c.ChannelGone, now: datetime) -> None:
        channel = change.channel
        self.sectioner.leg_gone(channel, now)
        self.phones.gone(channel.uniqueid)
        self.channel_facts.ended(channel)
        if self._held_back:
            self._look_again(now)
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
            flags=self.phones.flags_in(call, parties),
            channels=tuple(party.name for party in parties),
            call_id=call.call_id,
        )

    def arrange(self, call: c.Call, now: datetime) -> None:
        """Bring what records a call's talks in line with what is wanted of them now."""
        for stretch in self.stretches_of(call):
            if stretch is not self._before.get(call.call_id):
                self._arrange(stretch, now)

    def _arrange(self, stretch: Stretch, now: datetime) -> None:
        applying = self.applies.to(stretch.talk, stretch.call, stretch.answers)
        for rule_id in [rule_id for rule_id in stretch.wanted if rule_id not in applying.wanted]:
            self.sectioner.end(stretch, rule_id, now)
        new = [rule for rule_id, rule in applying.wanted.items() if rule_id not in stretch.wanted]
        self._apply(stretch, applying, new, now)

    def _apply(self, stretch: Stretch, applying: Applying, new: Sequence[Rule], now: datetime) -> None:
        """Begin what is new, and tell those on the call what they may start: anew when it is free again."""
        stretch.wanted, stretch.owners, stretch.offered = applying.wanted, applying.owners, applying.offered
        stretch.why_not, stretch.reasons = applying.why_not, applying.reasons
        self.spans.touch(stretch)
        if stretch.why_not is None:
            self._held_back.pop(stretch.talk.number, None)
        else:
            self._held_back[stretch.talk.number] = stretch
        for rule in new:
            self.sectioner.begin(stretch, rule, now)
        for rule_id in [
            rule_id for rule_id in stretch.told if rule_id not in stretch.offered or rule_id in stretch.owners
        ]:
            del stretch.told[rule_id]
        self._offer(stretch, now)

    def _offer(self, stretch: Stretch, now: datetime) -> None:
        """An offer follows the last word on what was recorded by its rule before: it is what holds."""
        self._unsaid.pop(stretch.talk.number, None)
        for rule_id, (_, may) in stretch.offered.items():
            if rule_id in stretch.owners or may <= stretch.told.get(rule_id, frozenset()):
                continue
            if self.sectioner.any_open(stretch.call, rule_id):
                self._unsaid[stretch.talk.number] = stretch
            else:
                stretch.told[rule_id] = may
                self._note_offer(stretch, rule_id, may, now)

    def _note_offer(self, stretch: Stretch, rule_id: RuleId, may: frozenset[Identity], now: datetime) -> None:
        record, (head, tail) = self.sectioner.record_of(stretch), ends(stretch)
        data = {"headchannel": head, "tailchannel": tail, "may": sorted(may)}
        call = stretch.call
        fact = Fact(FactKind.RECORD_OFFERED, now, call.call_id, record, rule_id, None, data, {}, self.audience(call))
        self._out.append(AppendFact(fact))

    def _talk_began(self, change: c.TalkBegan, now: datetime) -> None:
        talk, call = change.talk, change.call
        parties = list(talk.parties.values())
        self._end_before(talk, call, now)
        answers = ask(self.rules, self._facts(call, parties, now))
        self._keep_asked(talk, answers, now)
        self.answers[call.call_id] = answers
        self.applies.remember(call, answers)
        applying = self.applies.to(talk, call, answers)
        stretch = self.stretches[talk.number] = Stretch(talk, answers, applying.wanted)
        wanted = list(applying.wanted)
        data = {
            "talk": talk.number,
            "channels": [party.name for party in parties],
            "parties": [party.uniqueid for party in parties],
            "direction": str(answers.talk.direction),
            "recording": wanted,
            "reason": None if wanted else applying.why_not or answers.why_not(),
        }
        self.note(FactKind.TALK_BEGAN, talk.began_at, call, data)
        self._apply(stretch, applying, list(applying.wanted.values()), now)

    def _end_before(self, talk: c.Talk, call: c.Call, now: datetime) -> None:
        """Who waited talks. A section never outlives a change of partner (ASTERISK.md): the talk has its own."""
        before = self._before.get(call.call_id)
        if before is not None and not before.talk.parties.keys().isdisjoint(talk.parties):
            del self._before[call.call_id]
            self.sectioner.end_all(before, now)

    def _talk_changed(self, change: c.TalkChanged, now: datetime) -> None:
        talk, call = change.talk, change.call
        stretch = self.stretches[talk.number]
        self._end_before(talk, call, now)
        names = [party.name for party in talk.parties.values()]
        data = {"talk": talk.number, "channels": names, "parties": list(talk.parties)}
        self.note(FactKind.TALK_CHANGED, now, call, data, audience=self._with(call, change.left))
        if talk.parties:  # else over already: one snapshot can bring several changes of a talk
            self._arrange(stretch, now)
            self.sectioner.refresh(stretch, now)

    def _talk_ended(self, change: c.TalkEnded, now: datetime) -> None:
        self._held_back.pop(change.talk.number, None)
        self._unsaid.pop(change.talk.number, None)
        self.spans.end(change.talk, change.call)
        self.sectioner.end_all(self.stretches.pop(change.talk.number), now)
        data = {"talk": change.talk.number}
        self.note(FactKind.TALK_ENDED, now, change.call, data, audience=self._with(change.call, change.parties))

    def _look_again(self, now: datetime) -> None:
        """Who was consulted while somebody waited is not any more when that one has hung up."""
        for stretch in list(self._held_back.values()):
            if stretch.talk.parties:
                self._arrange(stretch, now)

    # Facts

    def _mixmonitor(self, event: m.MixMonitorStarted | m.MixMonitorStopped, now: datetime) -> None:  # noqa: ARG002
        channel = self.tracker.channels.get(event.uniqueid)
        if channel is not None and self.sectioner.foreign(event):
            data = {"channel": channel.name, "runs": isinstance(event, m.MixMonitorStarted)}
            self.note(FactKind.FOREIGN_MIXMONITOR, event.at, channel.call, data)

    def note(
        self,
        kind: FactKind,
        at: datetime,
        call: c.Call,
        data: Mapping[str, Any],
        personal: Mapping[str, str] | None = None,
        *,
        audience: Collection[Identity] | None = None,
    ) -> None:
        """Keep a fact about a call, for those whom it concerns now unless others are named."""
        whom = self.audience(call) if audience is None else tuple(audience)
        fact = Fact(kind, at, call.call_id, call.record_id, None, None, data, personal or {}, whom)
        self._out.append(AppendFact(fact))
