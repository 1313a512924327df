"""Begins and ends sections: on which leg, under which number, and what MixMonitor says to it.

Which rules apply when is the recorder's affair. Over 300 lines: every report and every end touches the same few
dictionaries of what waits, runs and is being replaced, and they have to change together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.core import calls as c
from bridge.core import decisions as d
from bridge.core import journal
from bridge.core import messages as m
from bridge.core.accounts import Reason
from bridge.core.book import SectionBook
from bridge.core.checking import Checking
from bridge.core.errors import AsteriskTimeoutError, AsteriskUnreachableError
from bridge.core.ids import CallId, ChannelName, Identity, RecordId, RuleId, SectionKey, Uniqueid, record_id
from bridge.core.legs import SETTLE_S, Candidate, choose
from bridge.core.monitors import Monitors
from bridge.core.muting import Muting
from bridge.core.numbering import Numbering
from bridge.core.people import People
from bridge.core.records import Alarm, FactKind, Section, SectionState, SectionType
from bridge.core.rules import Answers, Channels, Rule
from bridge.core.sections import ASTERISK_RESTARTED, ENDED_UNSEEN, RUNNING, SectionEvent, allows
from bridge.core.seeking import Seeking
from bridge.core.tracker import CallTracker

STOP_AGAIN_S = 5.0
"""How long after a StopMixMonitor without an answer the next one is sent."""
RENEW_EVERY_S = 60.0
"""How soon a file that does not do may be given up for the next one again: what ails one may ail the next, too."""


_NO_ANSWER = frozenset({AsteriskUnreachableError.code, AsteriskTimeoutError.code})
_ASK_AGAIN_S = 5.0
_BOOTED_SLACK = timedelta(seconds=2)


@dataclass(slots=True, eq=False)
class Stretch:
    """Something that is recorded: a talk, or the time before one.

    `wanted` are the rules that record it, `owners` those users who started some of them on demand, `sections` what
    each writes now. `offered` are the rules that users may start, and which users; `told` to whom that was said.
    `why_not` says why rules that hold for the call do not record this talk, where that is so; `reasons` say it of each
    rule that has to do with the call and does not (see `applying.Applying`). `renewed` is when a file
    was given up for the next one; `moved` are the rules that left one of the `deaf` legs, which hear one side only.
    """

    talk: c.Talk
    answers: Answers
    wanted: dict[RuleId, Rule]
    owners: dict[RuleId, Identity] = field(default_factory=dict)
    offered: dict[RuleId, tuple[Rule, frozenset[Identity]]] = field(default_factory=dict)
    told: dict[RuleId, frozenset[Identity]] = field(default_factory=dict)
    why_not: str | None = None
    reasons: Mapping[RuleId | None, Reason] = field(default_factory=dict)
    sections: dict[RuleId, SectionKey] = field(default_factory=dict)
    renewed: dict[RuleId, datetime] = field(default_factory=dict)
    moved: set[RuleId] = field(default_factory=set)
    deaf: set[Uniqueid] = field(default_factory=set)

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


def _by_age(stretch: Stretch) -> list[c.Channel]:
    return sorted(stretch.talk.parties.values(), key=lambda party: party.began_at)


def ends(stretch: Stretch) -> tuple[ChannelName, ChannelName]:
    """The headchannel and tailchannel of a talk: its caller's, and the other's who is longest in the call."""
    parties, caller = _by_age(stretch), stretch.call.caller
    head = next((party for party in parties if party is caller), parties[0])
    tail = next((party for party in parties if party is not head), head)
    return head.name, tail.name


class Sectioner:
    """Owns the sections that are not final. What is to be kept and done goes into `out`.

    `silent(call, rule)` says whether a rule is paused in a call: nothing begins then, and what runs is muted.
    """

    def __init__(
        self,
        tracker: CallTracker,
        people: People,
        out: list[d.Decision],
        files: Mapping[tuple[RecordId, RuleId], int],
        silent: Callable[[c.Call, Rule], bool],
    ) -> None:
        self.people = people
        self._silent = silent
        self.book = SectionBook(out)
        self.monitors = Monitors()
        self._tracker = tracker
        self._out = out
        self.numbering = Numbering(files)
        self._waiting: dict[tuple[int, RuleId], _Waiting] = {}
        self._place: dict[SectionKey, tuple[Stretch, Rule]] = {}
        self._suspect: dict[SectionKey, bool] = {}
        self._of_before: set[SectionKey] = set()
        self._blind = False
        self.muting = Muting(self.book, out, self._not_muted, self._of_before)
        self.seeking = Seeking(self.book, out, self._there, self._not_there)
        self.checking = Checking(self.book, out)
        self._snapshot: m.SnapshotTaken | None = None
        self.paused_before: frozenset[RecordId] = frozenset()
        """The records that an earlier run had paused."""
        self.touched: dict[CallId, None] = {}
        """The calls about whose records something new is known."""
        self._longest: dict[SectionKey, _Longest] = {}
        self._replaces: dict[SectionKey, SectionKey] = {}
        self._unstopped: dict[SectionKey, datetime | None] = {}
        self.reports: dict[type, Callable[[Any, datetime], None]] = {
            d.MixMonitorAccepted: self._accepted,
            d.MixMonitorRefused: self._refused,
            d.StopAnswered: self._stop_answered,
            d.StopUnanswered: self._stop_unanswered,
            d.MuteAnswered: self.muting.answered,
            d.MuteUnanswered: self.muting.unanswered,
            d.MixMonitorProbed: self._probed,
            d.MixMonitorFound: self.seeking.found,
            d.MixMonitorNotSought: self.seeking.not_sought,
            d.FileWatched: self.checking.watched,
            d.FileInspected: self.checking.inspected,
            d.FileUnreadable: self.checking.unreadable,
        }

    def wake_at(self) -> datetime | None:
        """When a Tick is wanted, if nothing happens before."""
        times = [one.retry_at for one in self._waiting.values()]
        times += [one.due for one in self._longest.values()]
        times += [again_at for again_at in self._unstopped.values() if again_at is not None]
        times += [at for at in (self.seeking.wake_at(), self.checking.wake_at()) if at is not None]
        return min(times, default=None)

    # Beginning

    def begin(self, stretch: Stretch, rule: Rule, now: datetime, *, asked_at: datetime | None = None) -> None:
        """Begin the section of a rule, or wait up to 100 ms for a leg that will hear both sides; not while paused."""
        asked_at = asked_at or now
        self._waiting.pop((stretch.talk.number, rule.id), None)
        parties = stretch.talk.parties
        if not parties:  # over already: one snapshot can bring several changes of a talk
            return
        if self._blind:  # whether its talk goes on the first snapshot tells
            return
        if self._silent(stretch.call, rule):
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
                    deaf=party.uniqueid in stretch.deaf,
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
        self._place[section.key] = (stretch, rule)
        beep_s = round(rule.beep.total_seconds()) if rule.beep is not None else None
        self._out.append(d.StartMixMonitor(section.key, leg.uniqueid, d.wav_of(section), beep_s))
        if rule.section is not None:
            self._longest[section.key] = _Longest(stretch, rule, now + rule.section)

    def begin_missing(self, stretch: Stretch, now: datetime) -> None:
        """Begin what should be recorded and is not, nor waits for anything."""
        for rule_id, rule in list(stretch.wanted.items()):
            if rule_id not in stretch.sections and not self.waits(stretch, rule_id):
                self.begin(stretch, rule, now)

    def waits(self, stretch: Stretch, rule_id: RuleId) -> bool:
        """Whether the section of a rule will begin by itself."""
        return (stretch.talk.number, rule_id) in self._waiting

    @staticmethod
    def _left(stretch: Stretch) -> c.Channel:
        """Who is on the left: the call's caller while it is there, else the party longest in the call."""
        caller = stretch.call.caller
        if caller.uniqueid in stretch.talk.parties:
            return caller
        return min(stretch.talk.parties.values(), key=lambda party: party.began_at)

    def _new(self, stretch: Stretch, rule: Rule, leg: c.Channel, now: datetime) -> Section:
        call = stretch.call
        record = self.record_of(stretch)
        file = self.numbering.take(call.call_id, record, rule.id)
        head, tail = ends(stretch)
        owner = stretch.owners.get(rule.id)
        section = Section(
            record_id=record,
            rule_id=rule.id,
            file=file,
            call_id=call.call_id,
            state=SectionState.REQUESTED,
            type=SectionType.AUTO if owner is None else SectionType.MANUAL,
            owner=owner,
            leg=leg.uniqueid,
            leg_channel=leg.name,
            headchannel=head,
            tailchannel=tail,
            path=f"{now:%Y/%m/%d}/{record}_{rule.id}_{file:03d}.wav",
            requested_at=now,
            participants=journal.identities(_by_age(stretch), self.people),
            tags=rule.tags,
            stereo=rule.channels is Channels.STEREO,
            leg_is_left=leg is self._left(stretch),
            rate_hz=rule.rate,
            keep_s=rule.keep.total_seconds() if rule.keep is not None else None,
            talk_id=stretch.talk.talk_id,
        )
        self.book.keep(section)
        self.book.note(FactKind.SECTION_REQUESTED, section, now)
        return section

    def any_open(self, call: c.Call, rule_id: RuleId) -> bool:
        """Whether a rule has sections in a call that are not final."""
        return any(section.rule_id == rule_id for leg in call.channels for section in self.book.on_leg(leg))

    @staticmethod
    def record_of(stretch: Stretch) -> RecordId:
        """The call's recordId, fixed when it is first needed: the caller's uniqueid and the other party's."""
        call = stretch.call
        if call.record_id is None:
            caller = call.caller
            there = (*_by_age(stretch), *(other for other in call.legs if other.ended_at is None))
            other = next((party for party in there if party is not caller), None)
            call.record_id = record_id(caller.uniqueid, other.uniqueid if other is not None else None)
        return call.record_id

    def refresh(self, stretch: Stretch, now: datetime) -> None:
        """Parties have joined or left: a section whose leg left ends, and the next begins on another."""
        users = journal.identities(list(stretch.talk.parties.values()), self.people)
        for rule_id in list(stretch.sections):
            self._drop_replaced(stretch, stretch.sections[rule_id], now)
            section = self.book.get(stretch.sections[rule_id])
            if section is None or section.leg not in stretch.talk.parties:
                self.end(stretch, rule_id, now)
                self.begin(stretch, stretch.wanted[rule_id], now)
            elif not set(users) <= set(section.participants):
                everyone = tuple(dict.fromkeys((*section.participants, *users)))
                self.book.keep(replace(section, participants=everyone))

    def _drop_replaced(self, stretch: Stretch, successor: SectionKey, now: datetime) -> None:
        """A section that runs on until the next one does ends, too, when its leg leaves."""
        before = self._replaces.get(successor)
        old = self.book.get(before) if before is not None else None
        if old is not None and old.leg not in stretch.talk.parties:
            del self._replaces[successor]
            self._stop(old, now)

    # Ending

    def end(self, stretch: Stretch, rule_id: RuleId, now: datetime) -> None:
        """End a rule's section in a stretch, and the one before it if that still runs; nothing waits any more."""
        self._waiting.pop((stretch.talk.number, rule_id), None)
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

    def stop_all(self, now: datetime) -> None:
        """What runs, or may run, ends; also what no stretch knows any more."""
        for section in self.book.open():
            self._stop(section, now)

    def leg_gone(self, leg: c.Channel, now: datetime) -> None:
        """MixMonitor dies with its channel, and there is no MixMonitorStop at hangup (ASTERISK.md)."""
        self.monitors.gone(leg.uniqueid)
        for section in self.book.on_leg(leg.uniqueid):
            if section.key in self.seeking:
                leg.call.records[section.record_id] = None  # maybe it ran: the journal has to name what there is of it
                self._close(section, now)
            elif section.state is SectionState.REQUESTED:
                self.book.move(section, SectionEvent.STOP, now)
            elif section.state is not SectionState.STOPPING or section.mixmonitor_id is not None:
                self._close(section, now)

    def _stop(self, section: Section, now: datetime) -> None:
        if not allows(section.state, SectionEvent.STOP):
            return
        self._note_end(section, now)
        self._ask_to_stop(self.book.move(section, SectionEvent.STOP, now))

    def _note_end(self, section: Section, now: datetime) -> None:
        if section.leg in self._tracker.channels:
            self.monitors.ended(section.leg, now)

    def _ask_to_stop(self, section: Section) -> None:
        """Needs MixMonitor's answer first: without an id StopMixMonitor would stop whoever is the newest."""
        if section.mixmonitor_id is not None:
            self._of_before.discard(section.key)
            self.monitors.asked_to_stop(section.leg)
            self._out.append(d.StopMixMonitor(section.key, section.leg, section.mixmonitor_id))

    def _close(self, section: Section, now: datetime, *, reason: str | None = None) -> None:
        if not allows(section.state, SectionEvent.ENDED):
            return
        self._note_end(section, now)
        self._longest.pop(section.key, None)
        self._unstopped.pop(section.key, None)
        self._place.pop(section.key, None)
        self._suspect.pop(section.key, None)
        self._of_before.discard(section.key)
        self.seeking.forget(section.key)
        self.muting.forget(section.key)
        reason = reason or self._unseen(section)
        closed = self.book.move(section, SectionEvent.ENDED, now, ended_at=section.ended_at or now, reason=reason)
        self.checking.inspect(closed)

    def _unseen(self, section: Section) -> str | None:
        """Why nobody saw the end of a section that a snapshot ends."""
        if self._snapshot is None:
            return None
        booted_at = self._snapshot.booted_at
        restarted = booted_at is not None and section.requested_at < booted_at - _BOOTED_SLACK
        return ASTERISK_RESTARTED if restarted else ENDED_UNSEEN

    # After a restart, or a time without Asterisk

    def restore(self, sections: Sequence[Section]) -> None:
        """Take in the sections that an earlier run left open; the first snapshot says what became of their legs."""
        for section in sections:
            self.book.restore(section)
            if section.state is SectionState.CLOSED:
                self.checking.inspect(section)
            else:
                self._of_before.add(section.key)
                self.seeking.lose(section.key)

    def homeless(self, leg: Uniqueid) -> list[Section]:
        """The sections of an earlier run on a leg that belong to no stretch yet."""
        return [one for one in self.book.on_leg(leg) if one.key in self._of_before and one.key not in self._place]

    def revive(self, stretch: Stretch) -> None:
        """A stretch that an earlier run saw goes on, and its sections with it; what is missing waits for a snapshot."""
        self._blind = True
        for rule_id, rule in stretch.wanted.items():
            ours = [
                section
                for leg in stretch.talk.parties
                for section in self.homeless(leg)
                if section.rule_id == rule_id
                and section.owner == stretch.owners.get(rule_id)
                and (section.state in RUNNING or section.state is SectionState.REQUESTED)
            ]
            if not ours:
                continue
            # While one took over from another both ran.
            section = max(ours, key=lambda one: (one.state in RUNNING, one.requested_at, one.file))
            stretch.sections[rule_id] = section.key
            self._place[section.key] = (stretch, rule)
            if rule.section is not None:
                self._longest[section.key] = _Longest(stretch, rule, section.requested_at + rule.section)

    @contextmanager
    def snapshot(self, snapshot: m.SnapshotTaken, now: datetime) -> Iterator[None]:
        """While what a snapshot shows is handled: nobody saw the end of what has ended."""
        self._snapshot, self._blind = snapshot, False
        self._before_snapshot(now)
        try:
            yield
        finally:
            self._snapshot = None

    def _before_snapshot(self, now: datetime) -> None:
        """Talks that the snapshot shows must not choose a leg on which one of ours is about to be stopped."""
        self.monitors.connected_anew()
        for section in self.book.open():
            if section.key in self._unstopped or (section.key in self._of_before and section.key not in self._place):
                self.monitors.ended(section.leg, now)
            elif section.state is SectionState.REQUESTED and section.key not in self.seeking:
                self.monitors.asked_to_start(section.leg)

    def know_again(self) -> None:
        """A recordId is fixed when first needed: calls keep what an earlier run gave them."""
        for section in self.book.open():
            call = self._call_of(section)
            if call is not None:
                call.record_id = call.record_id or section.record_id

    def _call_of(self, section: Section) -> c.Call | None:
        leg = self._tracker.channels.get(section.leg)
        return leg.call if leg is not None else self._tracker.call_of(section.call_id)

    def after_snapshot(self, now: datetime) -> None:
        """Close what is gone, stop what nobody wants any more, and see whether the rest runs."""
        for section in self.book.open():
            if section.state is SectionState.CLOSED:
                continue
            if section.leg not in self._tracker.channels:
                self.monitors.gone(section.leg)
                self._close(section, now)
            elif section.state is SectionState.STOPPING:
                self._stop_after_all(section)
            elif section.key in self._of_before and section.key not in self._place:
                stopping = self.book.move(section, SectionEvent.STOP, now)
                self._stop_after_all(stopping)
            elif section.state in RUNNING or section.key in self.seeking:
                self.seeking.seek(section)

    def _stop_after_all(self, section: Section) -> None:
        """Of a section that is to be stopped: ask again where the answer was lost, or after it if it has no id."""
        unstopped = section.key in self._unstopped
        self._unstopped.pop(section.key, None)
        if section.mixmonitor_id is None:
            if section.key in self.seeking:
                self.seeking.seek(section)
        elif unstopped or section.key in self._of_before:
            self.seeking.forget(section.key)
            self._ask_to_stop(section)

    def _there(self, section: Section, mixmonitor_id: str, now: datetime) -> None:
        """It runs, whatever we knew of it."""
        if section.mixmonitor_id is None:
            # When it began is not known better.
            self._begun(section, mixmonitor_id, section.requested_at, now, now)
        known = self.book.get(section.key)
        place = self._place.get(section.key)
        if known is None or known.state not in RUNNING or place is None:
            return
        stretch, rule = place
        if section.key in self._of_before:
            self._of_before.discard(section.key)
            self.book.note(FactKind.SECTION_ADOPTED, known, now)
            # It may have been told to fall silent or to go on without anybody knowing.
            silent = self._silent(stretch.call, rule)
            if silent or known.state is SectionState.PAUSED or known.record_id in self.paused_before:
                self.muting.again(known, muted=silent)

    def _not_there(self, section: Section, now: datetime) -> None:
        """It does not run: it ended while we did not look, or never began. What there is of it is kept."""
        place = self._place.get(section.key)
        if section.state is SectionState.REQUESTED:
            self.monitors.not_started(section.leg)
            if self._runs_on(section):
                place = None
        elif section.state in RUNNING:
            self.book.note(FactKind.SECTION_ALARM, section, now, {"alarm": Alarm.ENDED_UNSEEN})
        self._close(section, now, reason=ENDED_UNSEEN)
        self._begin_next(place, section, now)

    # Reports

    def _accepted(self, report: d.MixMonitorAccepted, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is not None and allows(section.state, SectionEvent.ACCEPTED):
            self._begun(section, report.mixmonitor_id, report.at, report.at, now)

    def _begun(self, section: Section, mixmonitor_id: str, started_at: datetime, at: datetime, now: datetime) -> None:
        known = self.book.move(section, SectionEvent.ACCEPTED, at, mixmonitor_id=mixmonitor_id, started_at=started_at)
        call = self._call_of(section)
        if call is not None:
            call.records[section.record_id] = None
            self.touched[call.call_id] = None
        before = self._replaces.pop(section.key, None)
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
            place = self._place.get(known.key)
            if place is not None and self._silent(place[0].call, place[1]):
                self.muting.mute(known)

    def _refused(self, report: d.MixMonitorRefused, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is None or not allows(section.state, SectionEvent.REFUSED):
            return
        if report.code in _NO_ANSWER:
            self._unanswered(section, report.code, now)
            return
        self._place.pop(report.key, None)
        self.monitors.not_started(section.leg)
        self.muting.forget(report.key)
        self._runs_on(section)
        self._longest.pop(report.key, None)
        reason = report.code if section.leg in self._tracker.channels else "channel-gone"
        self.book.move(section, SectionEvent.REFUSED, now, reason=reason, ended_at=now, message=report.message)

    def _unanswered(self, section: Section, code: str, now: datetime) -> None:
        """It may run all the same, or begin any moment: nothing else is begun in its place before Asterisk says."""
        if section.leg not in self._tracker.channels:
            self._close(section, now)
        elif code == AsteriskTimeoutError.code:
            self.seeking.seek(section)
        else:
            self.seeking.lose(section.key, now + timedelta(seconds=_ASK_AGAIN_S))

    def _runs_on(self, section: Section) -> bool:
        """Where a section should have taken over from another, that goes on; tried again when this would have ended."""
        longest = self._longest.pop(section.key, None)
        before = self._replaces.pop(section.key, None)
        runs_on = self.book.get(before) if before is not None else None
        place = self._place.get(before) if before is not None else None
        if place is None or runs_on is None or runs_on.state not in RUNNING:
            return False
        place[0].sections[section.rule_id] = runs_on.key
        if longest is not None:
            self._longest[runs_on.key] = longest
        return True

    def _stop_answered(self, report: d.StopAnswered, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is not None:
            if not report.ran:  # no event will come of it, and the next one is of somebody else's
                self.monitors.not_stopped(section.leg)
            self._close(section, now)

    def _stop_unanswered(self, report: d.StopUnanswered, now: datetime) -> None:
        section = self.book.get(report.key)
        if section is not None and section.state is SectionState.STOPPING:
            self.monitors.not_stopped(section.leg)
            # It writes on after its talk. Without a connection the next snapshot is what to wait for.
            lost = report.code == AsteriskUnreachableError.code
            self._unstopped[section.key] = None if lost else now + timedelta(seconds=STOP_AGAIN_S)
            self.book.note(FactKind.SECTION_ALARM, section, now, {"alarm": Alarm.STOP_UNANSWERED, "code": report.code})

    def tick(self, tick: d.Tick, now: datetime) -> None:
        """Time has passed: what has waited for it happens."""
        self.seeking.tick(tick.at)
        self.checking.tick(tick.at)
        for waiting_key, waiting in [(key, one) for key, one in self._waiting.items() if one.retry_at <= tick.at]:
            del self._waiting[waiting_key]
            self.begin(waiting.stretch, waiting.rule, now, asked_at=waiting.asked_at)
        for key, longest in [(key, one) for key, one in self._longest.items() if one.due <= tick.at]:
            del self._longest[key]
            section = self.book.get(key)
            if section is not None and section.state in RUNNING:
                if not self._take_over(section, longest.stretch, longest.rule, now):
                    self._longest[section.key] = replace(longest, due=now + timedelta(seconds=1))
            elif section is not None and section.state is SectionState.REQUESTED:
                self._longest[key] = replace(longest, due=now + timedelta(seconds=1))
        for key in [key for key, at in self._unstopped.items() if at is not None and at <= tick.at]:
            del self._unstopped[key]
            section = self.book.get(key)
            if section is not None:
                self._ask_to_stop(section)

    def _take_over(self, section: Section, stretch: Stretch, rule: Rule, now: datetime) -> bool:
        """Begin the next section; the old one is stopped when the new one runs. False: no leg now, or paused."""
        self.begin(stretch, rule, now)
        successor = stretch.sections[rule.id]
        if successor == section.key:
            self._waiting.pop((stretch.talk.number, rule.id), None)
            return False
        self._replaces[successor] = section.key
        return True

    def renew(self, section: Section, now: datetime, elsewhere: bool) -> None:
        """What a running section writes is not what it should be: begin the next one, and then end it.

        At most once a minute; `elsewhere`, where it hears one side only: on another leg that may do better, once for
        each talk and rule. Nothing is done while the rule is paused.
        """
        place = self._place.get(section.key)
        if place is None or place[0].sections.get(place[1].id) != section.key:
            return
        stretch, rule = place
        if not (self._may_move(section, stretch, rule, now) if elsewhere else self._may_renew(stretch, rule, now)):
            return
        deaf = {section.leg} - stretch.deaf if elsewhere else set()
        stretch.deaf |= deaf
        if not self._take_over(section, stretch, rule, now):
            stretch.deaf -= deaf
            return
        self._longest.pop(section.key, None)
        if elsewhere:
            stretch.moved.add(rule.id)
        else:
            stretch.renewed[rule.id] = now

    @staticmethod
    def _may_renew(stretch: Stretch, rule: Rule, now: datetime) -> bool:
        last = stretch.renewed.get(rule.id)
        return last is None or now - last >= timedelta(seconds=RENEW_EVERY_S)

    def _may_move(self, section: Section, stretch: Stretch, rule: Rule, now: datetime) -> bool:
        """In a stereo section of three or more no other leg has the left party alone."""
        others = [party for party in stretch.talk.parties if party != section.leg and party not in stretch.deaf]
        if rule.id in stretch.moved or (rule.channels is Channels.STEREO and len(stretch.talk.parties) > 2):
            return False
        settled = now - timedelta(seconds=SETTLE_S)
        return any(
            not self.monitors.foreign_on(party) and (self.monitors.ended_on(party) or settled) <= settled
            for party in others
        )

    # Somebody else's MixMonitors

    def foreign(self, event: m.MixMonitorStarted | m.MixMonitorStopped) -> bool:
        """Take a MixMonitor event; whether it is about somebody else's."""
        leg = event.uniqueid
        if isinstance(event, m.MixMonitorStarted):
            return self.monitors.started(leg)
        if self.monitors.ours_stopped(leg):
            return False
        theirs = self.monitors.theirs_stopped(leg)
        # Without an id StopMixMonitor ends the newest one on the channel, whoever started it; the event says no more.
        for section in self.book.on_leg(leg):
            if section.state in RUNNING and section.mixmonitor_id is not None:
                self._suspect[section.key] = theirs
                self._out.append(d.ProbeMixMonitor(section.key, leg, d.wav_of(section), section.mixmonitor_id))
        return theirs

    def _probed(self, report: d.MixMonitorProbed, now: datetime) -> None:
        """Was it ours that somebody has stopped? Then the next section begins."""
        theirs = self._suspect.pop(report.key, False)
        section = self.book.get(report.key)
        if report.runs or section is None or section.state not in RUNNING:
            return
        if theirs:
            self.monitors.theirs_runs(section.leg)
        self.book.note(FactKind.SECTION_ALARM, section, now, {"alarm": Alarm.STOPPED_BY_OTHERS})
        place = self._place.get(section.key)
        self._close(section, now)
        self._begin_next(place, section, now)

    def _not_muted(self, section: Section, now: datetime) -> None:
        """Whether it is silent nobody knows: it is stopped. A pause lets nothing follow, a resume the next section."""
        place = self._place.get(section.key)
        self._stop(section, now)
        self._begin_next(place, section, now)

    def _begin_next(self, place: tuple[Stretch, Rule] | None, section: Section, now: datetime) -> None:
        if place is None:
            return
        stretch, rule = place
        if stretch.sections.get(rule.id) == section.key and rule.id in stretch.wanted:
            self.end(stretch, rule.id, now)
            self.begin(stretch, rule, now)
