"""A recorder at a PBX that exists only as events, with an Asterisk that does what it is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.core import decisions as d
from bridge.core.access import Reader, Role, Scope
from bridge.core.accounts import Span, TalkAccount
from bridge.core.commands import Answer, Command, CommandNumber, Done, Order, Refused, Verb
from bridge.core.ids import CallId, Identity, RecordId, RuleId, SectionKey, TalkId, Uniqueid
from bridge.core.kept import KeptCall
from bridge.core.messages import Event, MixMonitorStarted, MixMonitorStopped
from bridge.core.people import Directory, People, UserFlags, parse_users
from bridge.core.recorder import Recorder
from bridge.core.records import AudioReport, Cdr, Demand, Fact, FactKind, JournalEntry, Party, Pause, Section
from bridge.core.rules import parse_rules
from bridge.core.sections import FINAL
from bridge.core.store import (
    AddCdr,
    AddJournalEntry,
    AppendFact,
    EndCall,
    EndDemand,
    EndPause,
    JoinTalks,
    PutCall,
    PutDemand,
    PutPause,
    PutSection,
    PutSpan,
    PutTalk,
    PutUserFlags,
)
from tests.core.pbx import Pbx

RECORD_ALL = "rules:\n  - {id: 1, name: All, record: always}\n"
REPORT = AudioReport(1.0, 16044, 8000, 1, (0.5,), (0.1,), b"\x00\x00", "0" * 64)
TRUNKS = ("PJSIP/trunk*",)


def directory(text: str = "users: []\n") -> Directory:
    return parse_users(text, "users.yml")


@dataclass
class Scene:
    """`play` hands the PBX's events in; acts are answered at once unless `answers` is off."""

    rules: str = RECORD_ALL
    users: str = "users: []\n"
    answers: bool = True
    pbx: Pbx = field(default_factory=Pbx)
    acts: list[d.Act] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    history: list[Section] = field(default_factory=list)
    entries: list[JournalEntry] = field(default_factory=list)
    cdrs: list[Cdr] = field(default_factory=list)
    parties: dict[CallId, tuple[Party, ...]] = field(default_factory=dict)
    answered: list[Answer] = field(default_factory=list)
    flags: dict[Identity, UserFlags] = field(default_factory=dict)
    demands: dict[tuple[RecordId, RuleId], Demand] = field(default_factory=dict)
    pauses: dict[tuple[RecordId, Identity], Pause] = field(default_factory=dict)
    running: dict[CallId, KeptCall] = field(default_factory=dict)
    talks: dict[TalkId, TalkAccount] = field(default_factory=dict)
    spans: dict[tuple[TalkId, int], Span] = field(default_factory=dict)
    queue_toggles: dict[str, bool] = field(default_factory=dict)
    files: dict[tuple[RecordId, RuleId], int] = field(default_factory=dict)
    refuse: Callable[[d.StartMixMonitor], bool] = lambda act: False  # noqa: ARG005
    look: Callable[[d.Growing], d.Grown] = lambda one: d.Grown(one.seen + 81920, (True, True)[: 1 + one.wav.stereo])
    connected: bool = True
    tell_channels: bool = False

    def __post_init__(self) -> None:
        users = directory(self.users)
        self.recorder = Recorder(
            parse_rules([("rules.yml", self.rules)], users),
            People(users, TRUNKS),
            self.files,
            flags=self.flags,
            queue_toggles=self.queue_toggles,
        )
        self.recorder.tell_channels = self.tell_channels

    def restarted(self, **values: Any) -> "Scene":
        """Another recorder takes up what this one kept; the PBX goes on."""
        files = {(key.record_id, key.rule_id): key.file for key in sorted(self.sections)}
        kept: dict[str, Any] = {
            "rules": self.rules,
            "users": self.users,
            "answers": self.answers,
            "pbx": self.pbx,
            "files": files,
            "flags": dict(self.flags),
            "running": dict(self.running),
            "talks": dict(self.talks),
            "spans": dict(self.spans),
            "demands": dict(self.demands),
            "pauses": dict(self.pauses),
            "queue_toggles": self.queue_toggles,
            "tell_channels": self.tell_channels,
        }
        again = type(self)(**(kept | values))
        again._asked = self._asked
        left = [section for section in self.sections.values() if section.state not in FINAL]
        talks = {talk_id: talk for talk_id, talk in self.talks.items() if talk.ended_at is None}
        again.recorder.spans.restore([*talks.values()], [one for one in self.spans.values() if one.talk_id in talks])
        now, wishes = self.pbx.now, (list(self.demands.values()), list(self.pauses.values()))
        again.sort(again.recorder.restore(left, now, *wishes, list(self.running.values())), now)
        return again

    def play(self) -> None:
        for event in self.pbx.take():
            self.take(event, event.at)

    def take(self, event: Event | d.Report | Order, now: datetime) -> None:
        decisions = self.recorder.handle(event, now)
        self.sort([*decisions, *self.recorder.checkpoint()], now)

    def sort(self, decisions: list[d.Decision], now: datetime) -> None:
        """Everything is kept before anything is done."""
        acts: list[d.Act] = []
        for decision in decisions:
            match decision:
                case AppendFact(fact):
                    self.facts.append(fact)
                case PutSection(section):
                    self.history.append(section)
                case AddJournalEntry(entry):
                    self.entries.append(entry)
                case AddCdr(cdr, parties):
                    self.cdrs.append(cdr)
                    self.parties[cdr.call_id] = parties
                case PutUserFlags(identity, flags):
                    self.flags[identity] = flags
                case PutDemand(demand):
                    self.demands[demand.record_id, demand.rule_id] = demand
                case EndDemand(record_id, rule_id):
                    self.demands.pop((record_id, rule_id), None)
                case PutPause(pause):
                    self.pauses[pause.record_id, pause.by] = pause
                case EndPause(record_id, by):
                    self.pauses.pop((record_id, by), None)
                case PutCall(call):
                    self.running[call.call_id] = call
                case EndCall(call_id):
                    self.running.pop(call_id, None)
                case PutTalk(talk):
                    self.talks[talk.talk_id] = talk
                case PutSpan(span):
                    self.spans[span.talk_id, span.number] = span
                case JoinTalks(call_id, gone):
                    for talk in [talk for talk in self.talks.values() if talk.call_id == gone]:
                        self.talks[talk.talk_id] = replace(talk, call_id=call_id)
                case Done() | Refused():
                    self.answered.append(decision)
                case act if isinstance(act, d.ACTS):
                    self.acts.append(act)
                    acts.append(act)
        for act in acts if self.answers else ():
            self.answer(act, now)

    def answer(self, act: d.Act, now: datetime) -> None:
        match act:
            case d.StartMixMonitor():
                if self.refuse(act):
                    self.take(d.MixMonitorRefused(now, act.key, "asterisk-refused", "No such channel"), now)
                    return
                self.take(MixMonitorStarted(now, act.leg), now)
                self.take(d.MixMonitorAccepted(now, act.key, f"0x{len(self.acts):x}"), now)
            case d.StopMixMonitor():
                self.take(MixMonitorStopped(now, act.leg), now)
                self.take(d.StopAnswered(now, act.key), now)
            case d.MuteMixMonitor():
                self.take(d.MuteAnswered(now, act.key, act.muted), now)
            case d.ProbeMixMonitor():
                self.take(d.MixMonitorProbed(now, act.key, runs=True), now)
            case d.FindMixMonitor():
                self.take(d.MixMonitorFound(now, act.key, act.mixmonitor_id or f"0x{len(self.acts):x}"), now)
            case d.WatchFile():
                self.take(d.FileWatched(now, act.key, seen=True), now)
            case d.InspectFile():
                section = self.sections[act.key]
                began, ended = section.started_at or now, section.ended_at or now
                length_s = max(REPORT.duration_s, (ended - began).total_seconds())
                self.take(d.FileInspected(now, act.key, replace(REPORT, duration_s=length_s)), now)
            case d.MeasureFiles(files):
                self.take(d.FilesMeasured(now, {one.key: self.look(one) for one in files}, self.connected), now)

    def lost(self, start: d.StartMixMonitor, *, runs: bool = False, code: str = "asterisk-timeout") -> None:
        """A start is not answered; Asterisk, asked after it, says whether it runs. What does not run wrote nothing."""
        now = self.pbx.now
        self.take(d.MixMonitorRefused(now, start.key, code, "no answer"), now)
        self.take(d.MixMonitorFound(now, start.key, "0x99" if runs else None), now)
        if not runs:
            self.take(d.FileUnreadable(now, start.key, "file-missing", "it is not there"), now)

    def ask(self, verb: Verb, channel: str, identity: str, role: Role = Role.USER, *, of: str = "") -> None:
        """Somebody gives a command by the API; a supervisor supervises `of`."""
        reader = Reader(Identity(identity), role, frozenset(Scope), frozenset({Identity(of)}) if of else frozenset())
        now = self.pbx.now
        self._asked += 1
        self.take(Command(now, CommandNumber(self._asked), verb, channel, reader), now)

    _asked: int = 0

    @property
    def code(self) -> str:
        """The code of the newest answer; empty where it is that all went well."""
        answer = self.answered[-1]
        return answer.error.code if isinstance(answer, Refused) else ""

    def due(self) -> datetime | None:
        """When the recorder wants to be woken, but for its looks at what is written."""
        recorder = self.recorder
        times = (one.wake_at() for one in (recorder.sectioner, recorder.control, recorder.phones))
        return min((at for at in times if at is not None), default=None)

    def wakes(self) -> None:
        """Time goes on to when the recorder wants to be woken, but for its looks."""
        at = self.due()
        assert at is not None
        self.pbx.now = max(at, self.pbx.now)
        self.take(d.Tick(self.pbx.now), self.pbx.now)

    def tick(self, seconds: float) -> None:
        self.pbx.now += timedelta(seconds=seconds)
        self.take(d.Tick(self.pbx.now), self.pbx.now)

    @property
    def sections(self) -> dict[SectionKey, Section]:
        """Each section as it was kept last."""
        return {section.key: section for section in self.history}

    def starts(self) -> list[d.StartMixMonitor]:
        return [act for act in self.acts if isinstance(act, d.StartMixMonitor)]

    def stops(self) -> list[d.StopMixMonitor]:
        return [act for act in self.acts if isinstance(act, d.StopMixMonitor)]

    def mutes(self) -> list[d.MuteMixMonitor]:
        return [act for act in self.acts if isinstance(act, d.MuteMixMonitor)]

    def fact(self, kind: FactKind) -> Fact:
        """The only fact of this kind."""
        (fact,) = (fact for fact in self.facts if fact.kind is kind)
        return fact

    def states(self) -> list[tuple[int, int, str]]:
        """Rule, file and state of each section, in the order of beginning."""
        return [(section.rule_id, section.file, str(section.state)) for section in self.sections.values()]

    def kinds(self, prefix: str = "") -> list[FactKind]:
        return [fact.kind for fact in self.facts if fact.kind.startswith(prefix)]

    def call(self, caller: str = "alice", called: str = "bob", *, exten: str = "102") -> tuple[Uniqueid, Uniqueid]:
        """A plain call that is answered."""
        one = self.pbx.channel(f"PJSIP/{caller}-1", exten=exten, number="101", caller_name=caller.title())
        two = self.pbx.ring(one, f"PJSIP/{called}-1", number=exten)
        self.pbx.answered(one, two, "b1")
        return one, two
