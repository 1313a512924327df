"""What a recorder would have done with a call that is over: events in, what would be recorded out.

`Replay` is a recorder beside an Asterisk that does at once what it is asked. Time is the events' own.
"""

from dataclasses import dataclass, field
from datetime import datetime

from bridge.core import decisions as d
from bridge.core.ids import CallId, ChannelName, RuleId, SectionKey
from bridge.core.messages import Event, MixMonitorStarted, MixMonitorStopped
from bridge.core.people import People
from bridge.core.recorder import Recorder
from bridge.core.records import AudioReport, Cdr, Fact, FactKind, JournalEntry, Section
from bridge.core.rules import Answers, RuleSet
from bridge.core.store import AddCdr, AddJournalEntry, AppendFact, PutSection

_HEADER_BYTES, _SAMPLE_BYTES = 44, 2


@dataclass(frozen=True, slots=True)
class AskedTalk:
    """A talk, its parties' channels, what the rules said to it when it began, and which record it.

    `recording` has rules too that do not match this talk, but follow the call from an earlier one.
    """

    call_id: CallId
    began_at: datetime
    channels: tuple[ChannelName, ...]
    answers: Answers
    recording: tuple[RuleId, ...]


@dataclass(slots=True)
class Replayed:
    """All that would have been kept. `sections` are as they were last, in the order of their beginning."""

    facts: list[Fact] = field(default_factory=list)
    sections: dict[SectionKey, Section] = field(default_factory=dict)
    entries: list[JournalEntry] = field(default_factory=list)
    cdrs: list[Cdr] = field(default_factory=list)
    talks: list[AskedTalk] = field(default_factory=list)


class Replay:
    """Hands events to a recorder and does what it decides. `result` grows with each event."""

    def __init__(self, rules: RuleSet, people: People) -> None:
        self.recorder = Recorder(rules, people)
        self.result = Replayed()
        self._now: datetime | None = None
        self._monitors = 0

    def take(self, event: Event) -> None:
        """Take the next event. MixMonitors that ran while the capture was taken count for nothing: they may have
        been a recorder's own."""
        if isinstance(event, MixMonitorStarted | MixMonitorStopped):
            return
        # Asterisk stamps an event before it queues it, so that stamps may go back by a little.
        now = event.at if self._now is None else max(self._now, event.at)
        self.advance(now)
        self._handle(event, now)

    def advance(self, until: datetime) -> None:
        """Let time pass: what the recorder waits for happens in between."""
        while (wake_at := self.recorder.wake_at()) is not None and wake_at <= until:
            self._handle(d.Tick(wake_at), wake_at)
        self._now = until

    def _handle(self, event: Event | d.Report, now: datetime) -> None:
        for decision in self.recorder.handle(event, now):
            match decision:
                case AppendFact(fact):
                    self._keep_fact(fact)
                case PutSection(section):
                    self.result.sections[section.key] = section
                case AddJournalEntry(entry):
                    self.result.entries.append(entry)
                case AddCdr(cdr):
                    self.result.cdrs.append(cdr)
                case d.StartMixMonitor():
                    self._monitors += 1
                    self._handle(MixMonitorStarted(now, decision.leg), now)
                    self._handle(d.MixMonitorAccepted(now, decision.key, f"0x{self._monitors:x}"), now)
                case d.StopMixMonitor():
                    self._handle(MixMonitorStopped(now, decision.leg), now)
                    self._handle(d.StopAnswered(now, decision.key), now)
                case d.MuteMixMonitor():
                    self._handle(d.MuteAnswered(now, decision.key, decision.muted), now)
                case d.ProbeMixMonitor():
                    self._handle(d.MixMonitorProbed(now, decision.key, runs=True), now)
                case d.FindMixMonitor():
                    self._handle(d.MixMonitorFound(now, decision.key, decision.mixmonitor_id), now)
                case d.WatchFile():
                    self._handle(d.FileWatched(now, decision.key, seen=True), now)
                case d.MeasureFiles():
                    self._handle(d.FilesMeasured(now, {}, connected=True), now)
                case d.InspectFile():
                    self._handle(d.FileInspected(now, decision.key, self._report(decision.key)), now)

    def _keep_fact(self, fact: Fact) -> None:
        self.result.facts.append(fact)
        if fact.kind is FactKind.TALK_BEGAN and fact.call_id is not None:
            stretch = self.recorder.stretches[fact.data["talk"]]
            names = tuple(party.name for party in stretch.talk.parties.values())
            self.result.talks.append(AskedTalk(fact.call_id, fact.at, names, stretch.answers, tuple(stretch.wanted)))

    def _report(self, key: SectionKey) -> AudioReport:
        """A silent file of the section's length."""
        section = self.result.sections[key]
        length_s = 0.0
        if section.started_at is not None and section.ended_at is not None:
            length_s = (section.ended_at - section.started_at).total_seconds()
        channels = 2 if section.stereo else 1
        size = _HEADER_BYTES + round(length_s * section.rate_hz) * channels * _SAMPLE_BYTES
        silence = (0.0,) * channels
        return AudioReport(length_s, size, section.rate_hz, channels, silence, silence, bytes(2 * channels), "0" * 64)
