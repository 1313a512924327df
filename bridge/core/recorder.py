"""The section table: what happens goes in, what to keep and what to do comes out.

`Recorder.handle(event, now)` is the only way in. It holds what runs now; what is over is kept by the store.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bridge.core import calls as c
from bridge.core import decisions as d
from bridge.core import journal
from bridge.core import messages as m
from bridge.core.book import SectionBook
from bridge.core.ids import CallId, Identity, RecordId, RuleId, SectionKey, Uniqueid, record_id
from bridge.core.legs import Candidate, choose
from bridge.core.monitors import Monitors
from bridge.core.people import People
from bridge.core.records import Fact, FactKind, Section, SectionState, SectionType
from bridge.core.rules import Answers, RecordMode, Rule, RuleSet, TalkFacts, ask
from bridge.core.sections import SectionEvent, allows
from bridge.core.store import AddCdr, AddJournalEntry, AppendFact
from bridge.core.tracker import CallTracker


@dataclass(slots=True)
class TalkState:
    """What is recorded of one talk: the rules that apply, and the running section of each."""

    answers: Answers
    wanted: dict[RuleId, Rule]
    sections: dict[RuleId, SectionKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A section that waits for a leg that will hear both sides."""

    talk: c.Talk
    rule: Rule
    asked_at: datetime
    retry_at: datetime


class Recorder:
    """Decides, for every event, what to keep and what to do. Holds no more than the calls that go on now.

    `files` gives the highest section number already used of a record and rule, so that a restart goes on counting.
    """

    def __init__(
        self, rules: RuleSet, people: People, files: Mapping[tuple[RecordId, RuleId], int] | None = None
    ) -> None:
        self.tracker = CallTracker()
        self.rules = rules
        self.people = people
        self.talks: dict[int, tuple[c.Talk, TalkState]] = {}
        self.answers: dict[CallId, Answers] = {}
        self._waiting: dict[tuple[int, RuleId], Waiting] = {}
        self._kept: dict[CallId, dict[RuleId, Rule]] = {}
        self._files = Counter(dict(files or {}))
        self._monitors = Monitors()
        self._unstopped: set[SectionKey] = set()
        self._out: list[d.Decision] = []
        self.sections = SectionBook(self._out)
        self._on_change: dict[type, Callable[[Any, datetime], None]] = {
            c.CallBegan: self._call_began,
            c.CallsJoined: self._calls_joined,
            c.TalkBegan: self._talk_began,
            c.TalkChanged: self._talk_changed,
            c.TalkEnded: self._talk_ended,
            c.ChannelGone: self._channel_gone,
            c.CallEnded: self._call_ended,
        }
        self._on_report: dict[type, Callable[[Any, datetime], None]] = {
            m.MixMonitorStarted: self._mixmonitor_started,
            m.MixMonitorStopped: self._mixmonitor_stopped,
            d.MixMonitorAccepted: self._accepted,
            d.MixMonitorRefused: self._refused,
            d.StopAnswered: self._stop_answered,
            d.StopUnanswered: self._stop_unanswered,
            d.FileWatched: self._file_watched,
            d.FileInspected: self._file_inspected,
            d.FileUnreadable: self._file_unreadable,
            d.Tick: self._tick,
        }

    def handle(self, event: m.Event | d.Report, now: datetime) -> list[d.Decision]:
        """Take one event or report; what to keep and what to do, in order."""
        report = self._on_report.get(type(event))
        if report is not None:
            report(event, now)
        else:
            snapshot = type(event) is m.SnapshotTaken
            if snapshot:
                self._about_to_stop_again(now)
            for change in self.tracker.handle(event):  # type: ignore[arg-type]  # reports are all in the table above
                self._on_change[type(change)](change, now)
            if snapshot:
                self._stop_again(now)
        if not self._out:
            return []
        return self._taken()

    def _taken(self) -> list[d.Decision]:
        out = self._out.copy()
        self._out.clear()
        return out

    def restore(self, sections: Sequence[Section], now: datetime) -> list[d.Decision]:
        """Take in the sections that an earlier run left open, before the first snapshot.

        They are stopped when the snapshot shows that their leg is still there, else closed; what is talked from
        then on goes into new sections.
        """
        for section in sections:
            self.sections.restore(section)
            if section.state is SectionState.CLOSED:
                self._out.append(d.InspectFile(section.key, section.path))
                continue
            if section.state is not SectionState.STOPPING:
                self.sections.move(section, SectionEvent.STOP, now)
            self._unstopped.add(section.key)
        return self._taken()

    def use_rules(self, rules: RuleSet, people: People) -> None:
        """New rules count from the next talk."""
        self.rules = rules
        self.people = people

    def wake_at(self) -> datetime | None:
        """When a Tick is wanted, if nothing happens before."""
        return min((waiting.retry_at for waiting in self._waiting.values()), default=None)

    # Calls and talks

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
        kept = self._kept.pop(gone.call_id, {})
        if kept:
            self._kept[call.call_id] = {**kept, **self._kept.get(call.call_id, {})}
        answers = self.answers.pop(gone.call_id, None)
        if answers is not None:
            self.answers.setdefault(call.call_id, answers)
        self._note(FactKind.CALL_JOINED, now, call, {"joined": gone.call_id})

    def _talk_facts(self, talk: c.Talk, call: c.Call, now: datetime) -> TalkFacts:
        parties = list(talk.parties.values())
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
        )

    def _talk_began(self, change: c.TalkBegan, now: datetime) -> None:
        talk, call = change.talk, change.call
        answers = ask(self.rules, self._talk_facts(talk, call, now))
        self.answers[call.call_id] = answers
        kept = self._kept.setdefault(call.call_id, {})
        # A rule that once matched holds for the rest of the call, but `never` is asked anew for each talk.
        kept.update({rule.id: rule for rule in answers.matching(RecordMode.ALWAYS)})
        wanted = {} if answers.never else dict(kept)
        state = TalkState(answers, wanted)
        self.talks[talk.number] = (talk, state)
        self._note(
            FactKind.TALK_BEGAN,
            talk.began_at,
            call,
            {
                "talk": talk.number,
                "channels": [party.name for party in talk.parties.values()],
                "direction": answers.talk.direction,
                "recording": list(wanted),
                "reason": None if wanted else answers.why_not(),
            },
        )
        for rule in wanted.values():
            self._begin(talk, state, call, rule, now, asked_at=now)

    def _talk_changed(self, change: c.TalkChanged, now: datetime) -> None:
        talk, state = self.talks[change.talk.number]
        names = [party.name for party in talk.parties.values()]
        self._note(FactKind.TALK_CHANGED, now, change.call, {"talk": talk.number, "channels": names})
        users = journal.identities(list(talk.parties.values()), self.people)
        for rule_id, key in list(state.sections.items()):
            section = self.sections.get(key)
            if section is None or section.leg not in talk.parties:
                del state.sections[rule_id]
                if section is not None:
                    self._stop(section, now)
                self._begin(talk, state, change.call, state.wanted[rule_id], now, asked_at=now)
            elif not set(users) <= set(section.participants):
                everyone = tuple(dict.fromkeys((*section.participants, *users)))
                self.sections.keep(replace(section, participants=everyone))

    def _talk_ended(self, change: c.TalkEnded, now: datetime) -> None:
        _, state = self.talks.pop(change.talk.number)
        for rule_id in state.wanted:
            self._waiting.pop((change.talk.number, rule_id), None)
        for key in state.sections.values():
            section = self.sections.get(key)
            if section is not None:
                self._stop(section, now)
        self._note(FactKind.TALK_ENDED, now, change.call, {"talk": change.talk.number})

    def _channel_gone(self, change: c.ChannelGone, now: datetime) -> None:
        uniqueid = change.channel.uniqueid
        self._monitors.gone(uniqueid)
        for section in self.sections.on_leg(uniqueid):
            self._leg_gone(section, now)

    def _leg_gone(self, section: Section, now: datetime) -> None:
        """MixMonitor dies with its channel, and there is no MixMonitorStop at hangup (ASTERISK.md)."""
        if section.state is SectionState.REQUESTED:
            self.sections.move(section, SectionEvent.STOP, now)
        elif section.state is not SectionState.STOPPING or section.mixmonitor_id is not None:
            self._close(section, now)

    def _call_ended(self, change: c.CallEnded, now: datetime) -> None:  # noqa: ARG002  # one shape for the table
        call = change.call
        self._kept.pop(call.call_id, None)
        self.answers.pop(call.call_id, None)
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

    # Sections

    def _begin(
        self, talk: c.Talk, state: TalkState, call: c.Call, rule: Rule, now: datetime, *, asked_at: datetime
    ) -> None:
        caller = call.caller
        choice = choose(
            [
                Candidate(
                    uniqueid=party.uniqueid,
                    outside=journal.outside(party, self.people),
                    caller=party is caller,
                    foreign=self._monitors.foreign_on(party.uniqueid),
                    ended_at=self._monitors.ended_on(party.uniqueid),
                )
                for party in talk.parties.values()
            ],
            now,
            asked_at,
        )
        if choice.leg is None:
            if choice.retry_at is not None:
                self._waiting[talk.number, rule.id] = Waiting(talk, rule, asked_at, choice.retry_at)
            return
        leg = talk.parties[choice.leg]
        section = self._new_section(talk, call, rule, leg, now)
        state.sections[rule.id] = section.key
        if choice.compromise is not None:
            data = {"channel": leg.name, "reason": choice.compromise}
            self.sections.note(FactKind.LEG_COMPROMISE, section, now, data)
        self._monitors.asked_to_start(leg.uniqueid)
        self._out.append(d.StartMixMonitor(section.key, leg.uniqueid, section.path))

    def _new_section(self, talk: c.Talk, call: c.Call, rule: Rule, leg: c.Channel, now: datetime) -> Section:
        parties = sorted(talk.parties.values(), key=lambda party: party.began_at)
        caller = call.caller
        other = next((party for party in parties if party is not caller), None)
        if call.record_id is None:
            call.record_id = record_id(caller.uniqueid, other.uniqueid if other is not None else None)
        self._files[call.record_id, rule.id] += 1
        file = self._files[call.record_id, rule.id]
        head = next((party for party in parties if party is caller), parties[0])
        tail = next((party for party in parties if party is not head), head)
        section = Section(
            record_id=call.record_id,
            rule_id=rule.id,
            file=file,
            call_id=call.call_id,
            state=SectionState.REQUESTED,
            type=SectionType.AUTO,
            owner=None,
            leg=leg.uniqueid,
            leg_channel=leg.name,
            headchannel=head.name,
            tailchannel=tail.name,
            path=f"{now:%Y/%m/%d}/{call.record_id}_{rule.id}_{file:03d}.wav",
            requested_at=now,
            participants=journal.identities(parties, self.people),
        )
        self.sections.keep(section)
        self.sections.note(FactKind.SECTION_REQUESTED, section, now)
        return section

    def _stop(self, section: Section, now: datetime) -> None:
        if not allows(section.state, SectionEvent.STOP):
            return
        self._monitors.ended(section.leg, now)
        stopping = self.sections.move(section, SectionEvent.STOP, now)
        self._ask_to_stop(stopping)

    def _ask_to_stop(self, section: Section) -> None:
        """Needs MixMonitor's answer first: without an id StopMixMonitor would stop whoever is the newest."""
        if section.mixmonitor_id is not None:
            self._monitors.asked_to_stop(section.leg)
            self._out.append(d.StopMixMonitor(section.key, section.leg, section.mixmonitor_id))

    def _about_to_stop_again(self, now: datetime) -> None:
        """Talks that the snapshot shows must not choose a leg on which one of ours is about to be stopped."""
        for key in self._unstopped:
            section = self.sections.get(key)
            if section is not None:
                self._monitors.ended(section.leg, now)

    def _stop_again(self, now: datetime) -> None:
        """What could not be stopped while Asterisk or we were away."""
        keys, self._unstopped = self._unstopped, set()
        for key in keys:
            section = self.sections.get(key)
            if section is None:
                continue
            if section.leg in self.tracker.channels and section.mixmonitor_id is not None:
                self._ask_to_stop(section)
            else:
                self._close(section, now)

    def _close(self, section: Section, now: datetime) -> None:
        if not allows(section.state, SectionEvent.ENDED):
            return
        if section.leg in self.tracker.channels:
            self._monitors.ended(section.leg, now)
        closed = self.sections.move(section, SectionEvent.ENDED, now, ended_at=section.ended_at or now)
        self._out.append(d.InspectFile(closed.key, closed.path))

    def _accepted(self, report: d.MixMonitorAccepted, now: datetime) -> None:
        section = self.sections.get(report.key)
        if section is None or not allows(section.state, SectionEvent.ACCEPTED):
            return
        known = self.sections.move(
            section, SectionEvent.ACCEPTED, report.at, mixmonitor_id=report.mixmonitor_id, started_at=report.at
        )
        call = self.tracker.calls.get(section.call_id) or self._call_of_leg(section.leg)
        if call is not None:
            call.records[section.record_id] = None
        if known.state is SectionState.STOPPING:
            if section.leg in self.tracker.channels:
                self._ask_to_stop(known)
            else:
                self._close(known, now)
        else:
            self._out.append(d.WatchFile(known.key, known.path))

    def _call_of_leg(self, leg: Uniqueid) -> c.Call | None:
        channel = self.tracker.channels.get(leg)
        return channel.call if channel is not None else None

    def _refused(self, report: d.MixMonitorRefused, now: datetime) -> None:
        section = self.sections.get(report.key)
        if section is None or not allows(section.state, SectionEvent.REFUSED):
            return
        self._monitors.not_started(section.leg)
        reason = report.code if section.leg in self.tracker.channels else "channel-gone"
        self.sections.move(section, SectionEvent.REFUSED, now, reason=reason, ended_at=now, message=report.message)

    def _stop_answered(self, report: d.StopAnswered, now: datetime) -> None:
        section = self.sections.get(report.key)
        if section is not None:
            self._close(section, now)

    def _stop_unanswered(self, report: d.StopUnanswered, now: datetime) -> None:
        section = self.sections.get(report.key)
        if section is not None and section.state is SectionState.STOPPING:
            self._monitors.not_stopped(section.leg)
            self._unstopped.add(section.key)
            self.sections.note(FactKind.SECTION_ALARM, section, now, {"alarm": "stop-unanswered", "code": report.code})

    def _file_watched(self, report: d.FileWatched, now: datetime) -> None:
        section = self.sections.get(report.key)
        if section is not None and not report.seen:
            self.sections.note(FactKind.SECTION_ALARM, section, now, {"alarm": "file-not-seen"})

    def _file_inspected(self, report: d.FileInspected, now: datetime) -> None:
        section = self.sections.get(report.key)
        if section is not None and allows(section.state, SectionEvent.CHECKED):
            self.sections.move(section, SectionEvent.CHECKED, now, report=report.report)

    def _file_unreadable(self, report: d.FileUnreadable, now: datetime) -> None:
        section = self.sections.get(report.key)
        if section is not None and allows(section.state, SectionEvent.UNREADABLE):
            self.sections.move(section, SectionEvent.UNREADABLE, now, reason=report.reason, message=report.message)

    def _mixmonitor_started(self, event: m.MixMonitorStarted, now: datetime) -> None:  # noqa: ARG002
        if self._monitors.started(event.uniqueid):
            self._note_foreign(event, runs=True)

    def _mixmonitor_stopped(self, event: m.MixMonitorStopped, now: datetime) -> None:  # noqa: ARG002
        if self._monitors.stopped(event.uniqueid):
            self._note_foreign(event, runs=False)

    def _note_foreign(self, event: m.MixMonitorStarted | m.MixMonitorStopped, *, runs: bool) -> None:
        channel = self.tracker.channels.get(event.uniqueid)
        if channel is not None:
            data = {"channel": channel.name, "runs": runs}
            self._note(FactKind.FOREIGN_MIXMONITOR, event.at, channel.call, data)

    def _tick(self, tick: d.Tick, now: datetime) -> None:
        for key, waiting in [(key, one) for key, one in self._waiting.items() if one.retry_at <= tick.at]:
            del self._waiting[key]
            _, state = self.talks[waiting.talk.number]
            call = next(iter(waiting.talk.parties.values())).call
            self._begin(waiting.talk, state, call, waiting.rule, now, asked_at=waiting.asked_at)

    def _note(
        self,
        kind: FactKind,
        at: datetime,
        call: c.Call,
        data: Mapping[str, Any],
        personal: Mapping[str, str] | None = None,
    ) -> None:
        audience: Sequence[Identity] = journal.identities(call.legs, self.people)
        self._out.append(
            AppendFact(Fact(kind, at, call.call_id, call.record_id, None, None, data, personal or {}, tuple(audience)))
        )
