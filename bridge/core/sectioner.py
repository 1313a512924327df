"""Begins and ends sections: on which leg, under which number, and what MixMonitor and the disk say to it.

Which rules apply when is the recorder's affair. Over 300 lines: every report and every end touches the same few
dictionaries of what waits, runs and is being replaced, and they have to change together.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.core import calls as c
from bridge.core import decisions as d
from bridge.core import journal
from bridge.core import messages as m
from bridge.core.book import SectionBook
from bridge.core.errors import AsteriskTimeoutError, AsteriskUnreachableError
from bridge.core.ids import RecordId, RuleId, SectionKey, Uniqueid, record_id
from bridge.core.legs import Candidate, choose
from bridge.core.monitors import Monitors
from bridge.core.numbering import Numbering
from bridge.core.people import People
from bridge.core.records import FactKind, Section, SectionState, SectionType
from bridge.core.rules import Answers, Channels, Rule
from bridge.core.sections import RUNNING, SectionEvent, allows
from bridge.core.tracker import CallTracker

STOP_AGAIN_S = 5.0
"""How long after a StopMixMonitor without an answer the next one is sent."""

_NO_ANSWER = frozenset({AsteriskUnreachableError.code, AsteriskTimeoutError.code})
_TRIES = 6


@dataclass(slots=True, eq=False)
class Stretch:
    """Something that is recorded: a talk, or the time before one. The rules that apply, and each one's section."""

    talk: c.Talk
    answers: Answers
    wanted: dict[RuleId, Rule]
    sections: dict[RuleId, SectionKey] = field(default_factory=dict)

    @property
    def call(self) -> c.Call:
        """The call that it belongs to now."""
        return next(iter(self.talk.parties.values())).call


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A section that waits for a leg that will hear both sides."""

    stretch: Stretch
    rule: Rule
    asked_at: datetime
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class _Longest:
    """When a section is long enough: the next one begins before it ends."""

    stretch: Stretch
    rule: Rule
    due: datetime


class Sectioner:
    """Owns the sections that are not final. What is to be kept and done goes into `out`."""

    def __init__(
        self,
        tracker: CallTracker,
        people: People,
        out: list[d.Decision],
        files: Mapping[tuple[RecordId, RuleId], int],
    ) -> None:
        self.people = people
        self.book = SectionBook(out)
        self.monitors = Monitors()
        self._tracker = tracker
        self._out = out
        self.numbering = Numbering(files)
        self._waiting: dict[tuple[int, RuleId], _Waiting] = {}
        self._asked: dict[SectionKey, tuple[Stretch, Rule]] = {}
        self._tries: Counter[tuple[int, RuleId]] = Counter()
        self._longest: dict[SectionKey, _Longest] = {}
        self._replaces: dict[SectionKey, SectionKey] = {}
        self._unstopped: dict[SectionKey, datetime | None] = {}
        self._restored: list[Section] = []
        self.reports: dict[type, Callable[[Any, datetime], None]] = {
            d.MixMonitorAccepted: self._accepted,
            d.MixMonitorRefused: self._refused,
            d.StopAnswered: self._stop_answered,
            d.StopUnanswered: self._stop_unanswered,
            d.FileWatched: self._file_watched,
            d.FileInspected: self._file_inspected,
            d.FileUnreadable: self._file_unreadable,
            d.Tick: self._tick,
        }

    def wake_at(self) -> datetime | None:
        """When a Tick is wanted, if nothing happens before."""
        times = [one.retry_at for one in self._waiting.values()]
        times += [one.due for one in self._longest.values()]
        times += [again_at for again_at in self._unstopped.values() if again_at is not None]
        return min(times, default=None)

    # Beginning

    def begin(self, stretch: Stretch, rule: Rule, now: datetime, *, asked_at: datetime | None = None) -> None:
        """Begin the section of a rule, or wait up to 100 ms for a leg that will hear both sides."""
        asked_at = asked_at or now
        parties = stretch.talk.parties
        if not parties:  # over already: one snapshot can bring several changes of a talk
            return
        caller = stretch.call.caller
        # The mixed others are on one side of a stereo section: in a talk of three or more only the left party's own
        # leg has the left party alone.
        left = self._left(stretch)
        stereo_of_many = rule.channels is Channels.STEREO and len(parties) > 2
        choice = choose(
            [
                Candidate(
                    uniqueid=party.uniqueid,
                    outside=party is left if stereo_of_many else journal.outside(party, self.people),
                    caller=party is caller,
                    foreign=self.monitors.foreign_on(party.uniqueid),
                    ended_at=self.monitors.ended_on(party.uniqueid),
                )
                for party in parties.values()
            ],
            now,
            asked_at,
        )
        if choice.leg is None:
            if choice.retry_at is not None:
                self._waiting[stretch.talk.number, rule.id] = _Waiting(stretch, rule, asked_at, choice.retry_at)
            return
        leg = parties[choice.leg]
        section = self._new(stretch, rule, leg, now)
        stretch.sections[rule.id] = section.key
        if choice.compromise is not None:
            data = {"channel": leg.name, "reason": choice.compromise}
            self.book.note(FactKind.LEG_COMPROMISE, section, now, data)
        self.monitors.asked_to_start(leg.uniqueid)
        self._asked[section.key] = (stretch, rule)
        beep_s = round(rule.beep.total_seconds()) if rule.beep is not None else None
        self._out.append(d.StartMixMonitor(section.key, leg.uniqueid, d.wav_of(section), beep_s))
        if rule.section is not None:
            self._longest[section.key] = _Longest(stretch, rule, now + rule.section)

    @staticmethod
    def _left(stretch: Stretch) -> c.Channel:
        """Who is on the left: the call's caller while it is there, else the party longest in the call."""
        caller = stretch.call.caller
        if caller.uniqueid in stretch.talk.parties:
            return caller
        return min(stretch.talk.parties.values(), key=lambda party: party.began_at)

    def _new(self, stretch: Stretch, rule: Rule, leg: c.Channel, now: datetime) -> Section:
        call = stretch.call
        parties = sorted(stretch.talk.parties.values(), key=lambda party: party.began_at)
        caller = call.caller
        if call.record_id is None:
            there = (*parties, *(other for other in call.legs if other.ended_at is None))
            other = next((party for party in there if party is not caller), None)
            call.record_id = record_id(caller.uniqueid, other.uniqueid if other is not None else None)
        file = self.numbering.take(call.call_id, call.record_id, rule.id)
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
            tags=rule.tags,
            stereo=rule.channels is Channels.STEREO,
            leg_is_left=leg is self._left(stretch),
            rate_hz=rule.rate,
            keep_s=rule.keep.total_seconds() if rule.keep is not None else None,
        )
        self.book.keep(section)
        self.book.note(FactKind.SECTION_REQUESTED, section, now)
        return section

    def refresh(self, stretch: Stretch, now: datetime) -> None:
        """Parties have joined or left: a section whose leg left ends, and the next begins on another."""
        users = journal.identities(list(stretch.talk.parties.values()), self.people)
        for rule_id in list(stretch.sections):
            section = self.book.get(stretch.sections[rule_id])
            if section is None or section.leg not in stretch.talk.parties:
                self.end(stretch, rule_id, now)
                self.begin(stretch, stretch.wanted[rule_id], now)
            elif not set(users) <= set(section.participants):
                everyone = tuple(dict.fromkeys((*section.participants, *users)))
                self.book.keep(replace(section, participants=everyone))

    # Ending

    def end(self, stretch: Stretch, rule_id: RuleId, now: datetime) -> None:
        """End a rule's section in a stretch, and the one before it if that still runs; nothing waits any more."""
        self._waiting.pop((stretch.talk.number, rule_id), None)
        del self._tries[stretch.talk.number, rule_id]
        key = stretch.sections.pop(rule_id, None)
        while key is not None:
            self._longest.pop(key, None)
            section = self.book.get(key)
            if section is not None:
                self._stop(section, now)
            key = self._replaces.pop(key, None)

    def end_all(self, stretch: Stretch, now: datetime) -> None:
        """The stretch is over."""
        for rule_id in list(stretch.wanted):
            self.end(stretch, rule_id, now)

    def leg_gone(self, leg: Uniqueid, now: datetime) -> None:
        """MixMonitor dies with its channel, and there is no MixMonitorStop at hangup (ASTERISK.md)."""
        self.monitors.gone(leg)
        for section in self.book.on_leg(leg):
            if section.state is SectionState.REQUESTED:
                self.book.move(section, SectionEvent.STOP, now)
            elif section.state is not SectionState.STOPPING or section.mixmonitor_id is not None:
                self._close(section, now)

    def _stop(self, section: Section, now: datetime) -> None:
        if not allows(section.state, SectionEvent.STOP):
            return
        self.monitors.ended(section.leg, now)
        self._ask_to_stop(self.book.move(section, SectionEvent.STOP, now))

    def _ask_to_stop(self, section: Section) -> None:
        """Needs MixMonitor's answer first: without an id StopMixMonitor would stop whoever is the newest."""
        if section.mixmonitor_id is not None:
            self.monitors.asked_to_stop(section.leg)
            self._out.append(d.StopMixMonitor(section.key, section.leg, section.mixmonitor_id))

    def _close(self, section: Section, now: datetime) -> None:
        if not allows(section.state, SectionEvent.ENDED):
            return
        if section.leg in self._tracker.channels:
            self.monitors.ended(section.leg, now)
        self._longest.pop(section.key, None)
        self._unstopped.pop(section.key, None)
        closed = self.book.move(section, SectionEvent.ENDED, now, ended_at=section.ended_at or now)
        self._out.append(d.InspectFile(closed.key, d.wav_of(closed)))

    # After a restart, or a time without Asterisk

    def restore(self, sections: Sequence[Section], now: datetime) -> None:
        """Take in the sections that an earlier run left open, before the first snapshot.

        They are stopped when the snapshot shows that their leg is still there, else closed; what is talked from
        then on goes into new sections.
        """
        self._restored = sorted(sections, key=lambda section: section.requested_at, reverse=True)
        for section in sections:
            self.book.restore(section)
            if section.state is SectionState.CLOSED:
                self._out.append(d.InspectFile(section.key, d.wav_of(section)))
                continue
            if section.state is not SectionState.STOPPING:
                self.book.move(section, SectionEvent.STOP, now)
            self._unstopped[section.key] = None

    def before_snapshot(self, now: datetime) -> None:
        """Talks that the snapshot shows must not choose a leg on which one of ours is about to be stopped."""
        for key in self._unstopped:
            section = self.book.get(key)
            if section is not None:
                self.monitors.ended(section.leg, now)

    def know_again(self) -> None:
        """A recordId is fixed when first needed: calls that the first snapshot shows keep what an earlier run gave."""
        for section in self._restored:
            call = self._call_of(section)
            if call is not None:
                call.record_id = call.record_id or section.record_id
                if section.started_at is not None:
                    call.records[section.record_id] = None
        self._restored = []

    def _call_of(self, section: Section) -> c.Call | None:
        leg = self._tracker.channels.get(section.leg)
        return leg.call if leg is not None else self._tracker.call_of(section.call_id)

    def after_snapshot(self, now: datetime) -> None:
        """Stop what could not be stopped while Asterisk or we were away."""
        keys, self._unstopped = list(self._unstopped), {}
        for key in keys:
            section = self.book.get(key)
            if section is None:
                continue
            if section.leg in self._tracker.channels and section.mixmonitor_id is not None:
                self._ask_to_stop(section)
            else:
                self._close(section, now)
            if section.leg not in self._tracker.channels:
                self.monitors.gone(section.leg)

    # Reports

    def _accepted(self, report: d.MixMonitorAccepted, now: datetime) -> None:
        self._asked.pop(report.key, None)
        section = self.book.get(report.key)
        if section is None or not allows(section.state, SectionEvent.ACCEPTED):
            return
        known = self.book.move(
            section, SectionEvent.ACCEPTED, report.at, mixmonitor_id=report.mixmonitor_id, started_at=report.at
        )
        call = self._call_of(section)
        if call is not None:
            call.records[section.record_id] = None
        before = self._replaces.pop(report.key, None)
        if before is not None:
            old = self.book.get(before)
            if old is not None:
                self._stop(old, now)
        if known.state is SectionState.STOPPING:
            if section.leg in self._tracker.channels:
                self._ask_to_stop(known)
            else:
                self._close(known, now)
        else:
            self._out.append(d.WatchFile(known.key, d.wav_of(known)))

    def _refused(self, report: d.MixMonitorRefused, now: datetime) -> None:
        asked = self._asked.pop(report.key, None)
        section = self.book.get(report.key)
        if section is None or not allows(section.state, SectionEvent.REFUSED):
            return
        self.monitors.not_started(section.leg)
        longest = self._longest.pop(report.key, None)
        before = self._replaces.pop(report.key, None)
        if before is not None and longest is not None and self.book.get(before) is not None:
            # The one that it should have taken over from goes on, and it is tried again when this would have ended.
            longest.stretch.sections[section.rule_id] = before
            self._longest[before] = longest
        elif asked is not None and report.code in _NO_ANSWER:
            self._try_again(*asked, section, now)
        reason = report.code if section.leg in self._tracker.channels else "channel-gone"
        self.book.move(section, SectionEvent.REFUSED, now, reason=reason, ended_at=now, message=report.message)

    def _try_again(self, stretch: Stretch, rule: Rule, section: Section, now: datetime) -> None:
        """Asterisk did not answer: the talk goes on, so ask again, after 1, 2, 4 … seconds, six times at most.

        Should the first MixMonitor run after all, its events make it somebody else's, and another leg is taken.
        """
        key = (stretch.talk.number, rule.id)
        if stretch.sections.get(rule.id) == section.key and self._tries[key] < _TRIES:
            del stretch.sections[rule.id]
            self._waiting[key] = _Waiting(stretch, rule, now, now + timedelta(seconds=2 ** self._tries[key]))
            self._tries[key] += 1

    def _stop_answered(self, report: d.StopAnswered, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is not None:
            self._close(section, now)

    def _stop_unanswered(self, report: d.StopUnanswered, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is not None and section.state is SectionState.STOPPING:
            self.monitors.not_stopped(section.leg)
            # It writes on after its talk. Without a connection the next snapshot is what to wait for.
            lost = report.code == AsteriskUnreachableError.code
            self._unstopped[section.key] = None if lost else now + timedelta(seconds=STOP_AGAIN_S)
            self.book.note(FactKind.SECTION_ALARM, section, now, {"alarm": "stop-unanswered", "code": report.code})

    def _file_watched(self, report: d.FileWatched, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is not None and not report.seen:
            self.book.note(FactKind.SECTION_ALARM, section, now, {"alarm": "file-not-seen"})

    def _file_inspected(self, report: d.FileInspected, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is not None and allows(section.state, SectionEvent.CHECKED):
            self.book.move(section, SectionEvent.CHECKED, now, report=report.report)

    def _file_unreadable(self, report: d.FileUnreadable, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is not None and allows(section.state, SectionEvent.UNREADABLE):
            self.book.move(section, SectionEvent.UNREADABLE, now, reason=report.reason, message=report.message)

    def _tick(self, tick: d.Tick, now: datetime) -> None:
        for waiting_key, waiting in [(key, one) for key, one in self._waiting.items() if one.retry_at <= tick.at]:
            del self._waiting[waiting_key]
            self.begin(waiting.stretch, waiting.rule, now, asked_at=waiting.asked_at)
        for key, longest in [(key, one) for key, one in self._longest.items() if one.due <= tick.at]:
            del self._longest[key]
            section = self.book.get(key)
            if section is not None and section.state in RUNNING:
                self._take_over(section, longest, now)
        for key in [key for key, at in self._unstopped.items() if at is not None and at <= tick.at]:
            del self._unstopped[key]
            section = self.book.get(key)
            if section is not None:
                self._ask_to_stop(section)

    def _take_over(self, section: Section, longest: _Longest, now: datetime) -> None:
        """Begin the next section; the old one is stopped when the new one runs."""
        self.begin(longest.stretch, longest.rule, now)
        successor = longest.stretch.sections[longest.rule.id]
        if successor != section.key:
            self._replaces[successor] = section.key
        else:  # no leg at the moment
            self._waiting.pop((longest.stretch.talk.number, longest.rule.id), None)
            self._longest[section.key] = replace(longest, due=now + timedelta(seconds=1))

    def foreign(self, event: m.MixMonitorStarted | m.MixMonitorStopped) -> bool:
        """Take a MixMonitor event; whether it is about somebody else's."""
        if isinstance(event, m.MixMonitorStarted):
            return self.monitors.started(event.uniqueid)
        return self.monitors.stopped(event.uniqueid)
