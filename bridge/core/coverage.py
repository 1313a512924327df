"""How much of a finished call was recorded by which rule, and why not the rest. Pure: computed when it is asked.

Every second of a talk is, for each rule that had to do with the call, either recorded or has one reason. What held for
the rule comes first (`spans`): a pause is a pause, whatever a file holds. Where the rule was to record, the sections of
that talk tell the rest: a stored one has recorded from its beginning as long as its file is. Over 300 lines: sums and
stretches are two ways to tell the same pieces.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from bridge.core.accounts import FAULTS, Account, Reason, SectionAccount, Span, TalkAccount
from bridge.core.ids import RuleId, TalkId
from bridge.core.records import Cdr, FactKind, NumberedFact, SectionState

WORTH_S: Final = 1.0
"""A fault up to this long is nobody's concern: a phone that hangs up while MixMonitor starts."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT = 1_000_000
_FOREVER = 2**62
_BAD = {SectionState.FAILED: Reason.FAILED, SectionState.LOST: Reason.LOST}
_RUNS = (None, Reason.STARTING, Reason.UNCHECKED)
# What says most of a moment counts: recorded by any rule, else the reason nearest to recording.
_RANK: Mapping[Reason | None, int] = {None: 0, **{reason: at for at, reason in enumerate(reversed(Reason), start=1)}}


@dataclass(frozen=True, slots=True)
class Away:
    """A time in which nothing was seen; `ended_at` None: it goes on. `restarted`: Asterisk, and with it every talk."""

    reason: Reason
    began_at: datetime
    ended_at: datetime | None
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """`talked_s` is `recorded_s` and all `reasons` together; `rule_id` None where no rule had to do with the call."""

    rule_id: RuleId | None
    talked_s: float
    recorded_s: float
    reasons: Mapping[Reason, float]
    sections: int

    @property
    def fault_s(self) -> float:
        """What is missing and should not be."""
        return sum(seconds for reason, seconds in self.reasons.items() if reason in FAULTS)


@dataclass(frozen=True, slots=True)
class CallCoverage:
    """A finished call. `recorded_s` is by any of the rules, `reasons` where none of them did."""

    cdr: Cdr
    talked_s: float
    recorded_s: float
    reasons: Mapping[Reason, float]
    rules: tuple[RuleCoverage, ...]

    @property
    def faulty(self) -> bool:
        """Whether somebody has to look."""
        return any(rule.fault_s > WORTH_S for rule in self.rules)


@dataclass(slots=True)
class Sums:
    """Coverage added up."""

    calls: int = 0
    talked_s: float = 0.0
    recorded_s: float = 0.0
    reasons: Counter[Reason] = field(default_factory=Counter)

    def add(self, one: RuleCoverage | CallCoverage) -> None:
        """One call more."""
        self.calls += 1
        self.talked_s += one.talked_s
        self.recorded_s += one.recorded_s
        for reason, seconds in one.reasons.items():
            self.reasons[reason] += seconds  # type: ignore[assignment]  # Counter counts seconds as well

    def add_all(self, other: "Sums") -> None:
        """All of these, too."""
        self.calls += other.calls
        self.talked_s += other.talked_s
        self.recorded_s += other.recorded_s
        self.reasons.update(other.reasons)


@dataclass(slots=True)
class Tally:
    """Coverage of many calls: of all, and by rule. `faulty` is the number of calls that somebody has to look at."""

    all: Sums = field(default_factory=Sums)
    by_rule: dict[RuleId | None, Sums] = field(default_factory=dict)
    faulty: int = 0

    def add(self, call: CallCoverage) -> None:
        """One call more."""
        self.all.add(call)
        self.faulty += call.faulty
        for rule in call.rules:
            self.by_rule.setdefault(rule.rule_id, Sums()).add(rule)

    def add_all(self, other: "Tally") -> None:
        """All of these, too."""
        self.all.add_all(other.all)
        self.faulty += other.faulty
        for rule_id, sums in other.by_rule.items():
            self.by_rule.setdefault(rule_id, Sums()).add_all(sums)


# When nobody looked


def away_times(facts: Iterable[NumberedFact]) -> list[Away]:
    """When Asterisk or recbridge was away, out of the facts about that, in their order.

    After a start recbridge counts as away until Asterisk is there: what is talked meanwhile nobody has seen.
    """
    times: list[Away] = []
    reason, since = Reason.RECBRIDGE_AWAY, None
    for numbered in facts:
        fact = numbered.fact
        if fact.kind is FactKind.ASTERISK_CONNECTED:
            if since is not None:
                times.append(Away(reason, since, fact.at, restarted=fact.data.get("restarted") is True))
            since = None
        elif fact.kind is FactKind.ASTERISK_LOST:
            if since is None:
                reason, since = Reason.ASTERISK_AWAY, fact.at
        elif since is None or reason is not Reason.RECBRIDGE_AWAY:
            seen = fact.data.get("previous_seen_at") if fact.kind is FactKind.RECBRIDGE_STARTED else None
            gone_at = datetime.fromisoformat(seen) if isinstance(seen, str) else fact.at
            if since is not None:
                times.append(Away(reason, since, gone_at))
            reason, since = Reason.RECBRIDGE_AWAY, gone_at
    if since is not None:
        times.append(Away(reason, since, None))
    return times


# Stretches of time, in microseconds


@dataclass(frozen=True, slots=True)
class _Piece:
    """From when to when (excluded) which answer holds; of several the lowest rank counts."""

    begin: int
    end: int
    rank: int
    reason: Reason | None


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _at(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def _swept(pieces: Iterable[_Piece], begin: int, end: int) -> Iterator[tuple[int, int, _Piece | None]]:
    """The stretches from `begin` to `end`, each with the piece of the lowest rank there."""
    cut = [(max(one.begin, begin), min(one.end, end), one) for one in pieces]
    inside = [one for one in cut if one[0] < one[1]]
    begins = sorted(inside, key=lambda one: one[0])
    edges = sorted({begin, end, *(one[0] for one in inside), *(one[1] for one in inside)})
    active: list[tuple[int, int, _Piece]] = []
    next_one = 0
    for here, there in pairwise(edges):
        active = [one for one in active if one[1] > here]
        while next_one < len(begins) and begins[next_one][0] <= here:
            active.append(begins[next_one])
            next_one += 1
        yield here, there, min((one[2] for one in active), key=lambda piece: piece.rank, default=None)


# One rule in one talk


def _held(talk: tuple[int, int], rule_id: RuleId | None, spans: Sequence[Span]) -> list[_Piece]:
    """What held for a rule from the talk's beginning to its end: without gaps, nothing twice."""
    begin, end = talk
    own = [span for span in spans if span.rule_id == rule_id]
    no_rule = [span for span in spans if span.rule_id is None and span.reason is Reason.VARIABLE]
    pieces = [
        _Piece(_us(span.began_at), end if span.ended_at is None else _us(span.ended_at), rank, span.reason)
        for rank, some in enumerate((own, no_rule))
        for span in some
    ]
    other = Reason.UNKNOWN if rule_id is None else Reason.NOT_MATCHED
    return [
        _Piece(here, there, 0, other if piece is None else piece.reason)
        for here, there, piece in _swept(pieces, begin, end)
    ]


def _evidence(sections: Sequence[SectionAccount], away: Sequence[Away]) -> list[_Piece]:
    """What a rule's sections of a talk, and the times away, say where the rule was to record."""
    pieces = [
        _Piece(_us(one.began_at), _FOREVER if one.ended_at is None else _us(one.ended_at), 2, one.reason)
        for one in away
    ]
    in_order = sorted(sections, key=lambda section: section.requested_at)
    for at, section in enumerate(in_order):
        asked = _us(section.requested_at)
        began = asked if section.started_at is None else _us(section.started_at)
        ended = _FOREVER if section.ended_at is None else _us(section.ended_at)
        follows = _us(in_order[at + 1].requested_at) if at + 1 < len(in_order) else _FOREVER
        bad = _BAD.get(section.state)
        if bad is not None:
            # Until the next one is tried nobody records.
            pieces += [_Piece(asked, ended, 1, bad), _Piece(asked, follows, 3, bad)]
            continue
        if section.cut:
            pieces.append(_Piece(began, follows, 3, Reason.LOST))
        pieces.append(_Piece(asked, began, 4, Reason.STARTING))
        if section.state is SectionState.STORED and section.duration_s is not None:
            pieces.append(_Piece(began, began + round(section.duration_s * 1_000_000), 0, None))
        else:
            pieces.append(_Piece(began, ended, 5, Reason.UNCHECKED))
    return pieces


def _answers(held: Sequence[_Piece], evidence: Sequence[_Piece]) -> list[_Piece]:
    """The answer for every moment of a talk."""
    pieces: list[_Piece] = []
    for one in held:
        if one.reason is not None:
            pieces.append(one)
        else:
            pieces += _wanted(one, evidence)
    return pieces


def _wanted(held: _Piece, evidence: Sequence[_Piece]) -> list[_Piece]:
    """Where the rule was to record. Short gaps are those that every beginning and every end of a section has."""
    found = [
        _Piece(here, there, 0, Reason.UNKNOWN if piece is None else piece.reason)
        for here, there, piece in _swept(evidence, held.begin, held.end)
    ]
    pieces = []
    for at, piece in enumerate(found):  # nothing known is one piece: what is known bounds it
        reason = piece.reason
        if reason is Reason.UNKNOWN and piece.end - piece.begin < _SHORT:
            if at + 1 < len(found) and found[at + 1].reason in _RUNS:
                reason = Reason.STARTING
            elif at > 0 and found[at - 1].reason in _RUNS:
                reason = Reason.ENDING
        pieces.append(_Piece(piece.begin, piece.end, 0, reason))
    return pieces


# A call


def _without(pieces: Iterable[_Piece], gone: Sequence[_Piece]) -> Iterator[_Piece]:
    """The pieces, less the times in which nobody can have talked."""
    for piece in pieces:
        for here, there, none in _swept(gone, piece.begin, piece.end):
            if none is None:
                yield _Piece(here, there, _RANK[piece.reason], piece.reason)


def _sums(pieces: Iterable[_Piece]) -> tuple[float, float, dict[Reason, float]]:
    """Talked, recorded, and the reasons of the rest."""
    sums: Counter[Reason | None] = Counter()
    for piece in pieces:
        sums[piece.reason] += piece.end - piece.begin
    reasons = {reason: sums[reason] / 1_000_000 for reason in Reason if sums[reason]}
    return sum(sums.values()) / 1_000_000, sums[None] / 1_000_000, reasons


def _extent(talk: TalkAccount) -> tuple[int, int]:
    begin = _us(talk.began_at)
    return begin, begin if talk.ended_at is None else max(begin, _us(talk.ended_at))


def _rules_of(account: Account) -> list[RuleId | None]:
    """The rules that had to do with a call; None alone where none had."""
    rule_ids = sorted({span.rule_id for span in account.spans if span.rule_id is not None})
    return [*rule_ids, *([] if rule_ids or not account.talks else [None])]


def _said(account: Account, away: Sequence[Away]) -> Iterator[tuple[RuleId | None, TalkId, list[_Piece]]]:
    """The answer of each rule for every moment of each talk."""
    # Asterisk's end is that of all its talks, though we hear of it only when it is there again.
    gone = [_Piece(_us(one.began_at), _us(one.ended_at), 0, None) for one in away if one.restarted and one.ended_at]
    spans: dict[TalkId, list[Span]] = {talk.talk_id: [] for talk in account.talks}
    for span in account.spans:
        spans[span.talk_id].append(span)
    for rule_id in _rules_of(account):
        sections: dict[TalkId, list[SectionAccount]] = {talk.talk_id: [] for talk in account.talks}
        for section in account.sections:
            if section.rule_id == rule_id:
                sections[section.talk_id].append(section)
        for talk in account.talks:
            evidence = _evidence(sections[talk.talk_id], away)
            answers = _answers(_held(_extent(talk), rule_id, spans[talk.talk_id]), evidence)
            yield rule_id, talk.talk_id, list(_without(answers, gone))


def cover(account: Account, away: Sequence[Away]) -> CallCoverage:
    """What came of a call. `away` has the times since it began in which nothing was seen."""
    by_rule: dict[RuleId | None, list[_Piece]] = {rule_id: [] for rule_id in _rules_of(account)}
    by_talk: dict[TalkId, list[_Piece]] = {talk.talk_id: [] for talk in account.talks}
    for rule_id, talk_id, said in _said(account, away):
        by_rule[rule_id] += said
        by_talk[talk_id] += said
    counts = Counter(section.rule_id for section in account.sections)
    rules = [
        RuleCoverage(rule_id, *_sums(pieces), sections=0 if rule_id is None else counts[rule_id])
        for rule_id, pieces in by_rule.items()
    ]
    best = [
        _Piece(here, there, 0, piece.reason)
        for talk in account.talks
        for here, there, piece in _swept(by_talk[talk.talk_id], *_extent(talk))
        if piece is not None
    ]
    return CallCoverage(account.cdr, *_sums(best), rules=tuple(rules))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a talk for which a rule has one answer: recorded (`reason` None), or why not."""

    rule_id: RuleId | None
    talk_id: TalkId
    began_at: datetime
    ended_at: datetime
    reason: Reason | None


def stretches(account: Account, away: Sequence[Away]) -> list[Stretch]:
    """What `cover` adds up, one after the other: by rule, then by talk, then by time; neighbours differ."""
    found: list[Stretch] = []
    for rule_id, talk_id, said in _said(account, away):
        joined: list[_Piece] = []
        for piece in said:
            last = joined[-1] if joined else None
            if last is not None and last.end == piece.begin and last.reason is piece.reason:
                joined[-1] = _Piece(last.begin, piece.end, last.rank, last.reason)
            else:
                joined.append(piece)
        found += [Stretch(rule_id, talk_id, _at(one.begin), _at(one.end), one.reason) for one in joined]
    return found
