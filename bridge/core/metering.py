"""Measures what the recorder decides as it happens, for the metrics: nothing is kept, nothing depends on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, get_args

from bridge.core import decisions as d
from bridge.core import messages as m
from bridge.core.accounts import Span, TalkAccount
from bridge.core.histograms import Histogram
from bridge.core.ids import RuleId, SectionKey, TalkId, Uniqueid
from bridge.core.records import Section, SectionState
from bridge.core.sections import FINAL
from bridge.core.store import PutSection, PutSpan, PutTalk

START_BOUNDS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_EVENTS = frozenset(get_args(m.Event))


class Lasting:
    """Adds up how long things last, those that go on included; what `total_s` gives never falls."""

    __slots__ = ("_begins_s", "_done_s", "_shown_s", "running")

    def __init__(self) -> None:
        self.running = 0
        self._begins_s = 0.0
        self._done_s = 0.0
        self._shown_s = 0.0

    def begin(self, at_s: float) -> None:
        """One more goes on since then."""
        self.running += 1
        self._begins_s += at_s

    def end(self, began_s: float, at_s: float) -> None:
        """One that began then goes on no more."""
        self.running -= 1
        self._begins_s -= began_s
        self._done_s += max(0.0, at_s - began_s)

    def total_s(self, now_s: float) -> float:
        """Up to now. An end is told a little after it was: then it stands still, as a counter must not go back."""
        self._shown_s = max(self._shown_s, self._done_s + self.running * now_s - self._begins_s)
        return self._shown_s


@dataclass(slots=True)
class _OpenSpan:
    number: int
    began_s: float
    from_talk_s: float | None = None
    """When the talk began, where the rule was to record from then on and MixMonitorStart has not come yet."""


@dataclass(slots=True)
class _OpenTalk:
    began_s: float
    told_s: float
    """When Asterisk says that it began; `began_s` is no earlier than our start."""
    wanted: dict[RuleId, _OpenSpan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metered:
    """What was measured up to now. `lag_s` is by how much the newest event was older than our time when handled."""

    from_talk: Histogram
    from_request: Histogram
    talked_s: float
    wanted_s: Mapping[RuleId, float]
    recorded_s: Mapping[RuleId, float]
    recorded_bytes: int
    events: int
    lag_s: float


class Meter:
    """Takes what came in and what was decided.

    A start is measured from the talk's beginning where the rule was to record from then on, to Asterisk's
    MixMonitorStart for it; both are Asterisk's times where it says them (`timestampevents`). And from our request to
    Asterisk's answer, by our clock.
    """

    def __init__(self, since: datetime) -> None:
        """What went on before `since` counts from then on."""
        self._since = since
        self._from_talk = Histogram(START_BOUNDS_S)
        self._from_request = Histogram(START_BOUNDS_S)
        self._talked = Lasting()
        self._wanted: dict[RuleId, Lasting] = {}
        self._recorded: dict[RuleId, Lasting] = {}
        self._talks: dict[TalkId, _OpenTalk] = {}
        self._running: dict[SectionKey, float] = {}
        self._asked: dict[SectionKey, Section] = {}
        self._on_leg: dict[Uniqueid, list[SectionKey]] = {}
        self._sizes: dict[SectionKey, int | None] = {}
        """Of sections that are not final; None where an earlier run began it, until it is seen first."""
        self._bytes = 0
        self._events = 0
        self._lag_s = 0.0

    def restore(self, talks: Sequence[TalkAccount], spans: Sequence[Span], sections: Sequence[Section]) -> None:
        """What an earlier run left open."""
        for talk in talks:
            self._talk(talk)
        for span in spans:
            self._span(span)
        for section in sections:
            self._section(section, 0.0)

    def take(self, items: Sequence[object], decisions: Sequence[d.Decision], now: datetime) -> None:
        """What came in, and what was decided of it."""
        newest: datetime | None = None
        starts: list[m.MixMonitorStarted] = []
        for item in items:
            kind = type(item)
            if kind in _EVENTS:
                self._events += 1
                newest = item.at  # type: ignore[attr-defined]  # all of them have it
                if kind is m.MixMonitorStarted:
                    starts.append(item)  # type: ignore[arg-type]
            elif kind is d.MixMonitorAccepted:
                self._accepted(item)  # type: ignore[arg-type]
            elif kind is d.FilesMeasured:
                self._measured(item)  # type: ignore[arg-type]
        if newest is not None:
            self._lag_s = (now - newest).total_seconds()
        now_s = self._s(now)
        for decision in decisions:
            match decision:
                case PutSpan() if decision.span.reason is None:
                    self._span(decision.span)
                case PutSection():
                    self._section(decision.section, now_s)
                case PutTalk():
                    self._talk(decision.talk)
        for start in starts:
            self._mixmonitor(start)

    def metered(self, now: datetime) -> Metered:
        """Up to now."""
        now_s = self._s(now)
        return Metered(
            from_talk=self._from_talk,
            from_request=self._from_request,
            talked_s=self._talked.total_s(now_s),
            wanted_s={rule_id: lasting.total_s(now_s) for rule_id, lasting in self._wanted.items()},
            recorded_s={rule_id: lasting.total_s(now_s) for rule_id, lasting in self._recorded.items()},
            recorded_bytes=self._bytes,
            events=self._events,
            lag_s=self._lag_s,
        )

    def _s(self, at: datetime) -> float:
        """Since our start: small numbers add up without rounding."""
        return (at - self._since).total_seconds()

    # Talks

    def _talk(self, talk: TalkAccount) -> None:
        opened = self._talks.get(talk.talk_id)
        if talk.ended_at is not None:
            if opened is not None:
                del self._talks[talk.talk_id]
                ended_s = self._s(talk.ended_at)
                self._talked.end(opened.began_s, ended_s)
                for rule_id, span in opened.wanted.items():
                    self._wanted[rule_id].end(span.began_s, ended_s)
        elif opened is None:
            told_s = self._s(talk.began_at)
            began_s = max(told_s, 0.0)
            self._talks[talk.talk_id] = _OpenTalk(began_s, told_s)
            self._talked.begin(began_s)

    def _span(self, span: Span) -> None:
        talk = self._talks.get(span.talk_id)
        if talk is None or span.rule_id is None or span.reason is not None:
            return
        opened = talk.wanted.get(span.rule_id)
        if span.ended_at is not None:
            if opened is not None and opened.number == span.number:
                del talk.wanted[span.rule_id]
                self._wanted[span.rule_id].end(opened.began_s, self._s(span.ended_at))
        elif opened is None:
            told_s = self._s(span.began_at)
            opened = talk.wanted[span.rule_id] = _OpenSpan(span.number, max(told_s, 0.0))
            if told_s == talk.told_s >= 0.0:
                opened.from_talk_s = told_s
            self._wanted.setdefault(span.rule_id, Lasting()).begin(opened.began_s)

    # Sections

    def _section(self, section: Section, now_s: float) -> None:
        key, state = section.key, section.state
        began_s = self._running.get(key)
        if state is SectionState.RECORDING:
            if began_s is None:
                self._running[key] = now_s
                self._recorded.setdefault(section.rule_id, Lasting()).begin(now_s)
        elif began_s is not None:
            del self._running[key]
            ended_s = now_s if section.ended_at is None else self._s(section.ended_at)
            self._recorded[section.rule_id].end(began_s, ended_s)
        if state is SectionState.REQUESTED and key not in self._asked:
            self._asked[key] = section
            self._on_leg.setdefault(section.leg, []).append(key)
            self._sizes[key] = 0
        elif state is SectionState.CLOSED or state in FINAL:
            self._forget(key)
        if state not in FINAL:
            self._sizes.setdefault(key, None)
            return
        if section.report is not None:
            self._sized(key, section.report.size_bytes)
        self._sizes.pop(key, None)

    def _forget(self, key: SectionKey) -> None:
        section = self._asked.pop(key, None)
        if section is not None:
            keys = self._on_leg[section.leg]
            keys.remove(key)
            if not keys:
                del self._on_leg[section.leg]

    def _accepted(self, report: d.MixMonitorAccepted) -> None:
        section = self._asked.get(report.key)
        if section is not None:
            self._from_request.observe((report.at - section.requested_at).total_seconds())

    def _mixmonitor(self, start: m.MixMonitorStarted) -> None:
        """Asterisk does not say whose it is: of those that we have asked for on this leg the one that waits longest."""
        for key in self._on_leg.get(start.uniqueid, ()):
            section = self._asked[key]
            talk = self._talks.get(section.talk_id)
            span = talk.wanted.get(section.rule_id) if talk is not None else None
            if span is not None and span.from_talk_s is not None:
                self._from_talk.observe(self._s(start.at) - span.from_talk_s)
                span.from_talk_s = None
                return

    def _measured(self, report: d.FilesMeasured) -> None:
        for key, grown in report.grown.items():
            if grown.size_bytes is not None:
                self._sized(key, grown.size_bytes)

    def _sized(self, key: SectionKey, size_bytes: int) -> None:
        if key in self._sizes:
            known = self._sizes[key]
            self._bytes += 0 if known is None else max(0, size_bytes - known)
            self._sizes[key] = max(known or 0, size_bytes)
