"""What other rules would have done with the calls that are over, as a difference to what happened."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from bridge.core.accounts import Reason
from bridge.core.asked import AskedCall, AskedTalk, KeptRules
from bridge.core.hindsight import Following, judge, known_variables, recorded_in, seconds_of
from bridge.core.ids import RuleId
from bridge.core.records import Cdr
from bridge.core.rules import Channels, Rule, RuleSet
from bridge.core.store import Store
from bridge.core.views import epoch_ms

_PAGE: Final = 100
_SAMPLE_BYTES: Final = 2
_PLAIN_RULE: Final = Rule.model_construct()
CONSULTATION: Final = "consultation"
"""What cannot be judged where it was not asked: whether a talk was one before an attended transfer."""


class Kind(StrEnum):
    """How a call differs."""

    SAME = "same"
    NOT_ANY_MORE = "not recorded any more"
    NOW_TOO = "now recorded"
    OTHER = "recorded otherwise"


@dataclass(slots=True)
class CallDifference:
    """A call: for how many seconds each rule was to record it then (`before`), and would have been (`now`).

    `not_judged` are names of variables that were not kept, and `consultation`, by the rules that want them. `unknown`
    is how many of its talks nothing is known of that rules could be asked: of those nothing is counted.
    """

    number: int
    cdr: Cdr
    before: dict[RuleId, float] = field(default_factory=dict)
    now: dict[RuleId, float] = field(default_factory=dict)
    not_judged: dict[RuleId, frozenset[str]] = field(default_factory=dict)
    unknown: int = 0
    differs: bool = False
    rates: dict[RuleId, int] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """How it differs."""
        if not self.differs:
            return Kind.SAME
        if not self.now:
            return Kind.NOT_ANY_MORE
        return Kind.OTHER if self.before else Kind.NOW_TOO


@dataclass(slots=True)
class RuleSums:
    """Calls, seconds and bytes of WAV of one rule."""

    calls: int = 0
    seconds: float = 0.0
    size_bytes: float = 0.0


@dataclass(slots=True)
class Difference:
    """All calls added up; `unknown` are those of which some talk is not known, `not_judged` as in CallDifference."""

    calls: int = 0
    kinds: dict[Kind, int] = field(default_factory=dict)
    unknown: int = 0
    before: dict[RuleId, RuleSums] = field(default_factory=dict)
    now: dict[RuleId, RuleSums] = field(default_factory=dict)
    not_judged: dict[tuple[RuleId, str], int] = field(default_factory=dict)

    def add(self, call: CallDifference, rules: Mapping[RuleId, Rule]) -> None:
        """One call more; `rules` are the new ones."""
        self.calls += 1
        self.kinds[call.kind] = self.kinds.get(call.kind, 0) + 1
        self.unknown += call.unknown > 0
        for sums, seconds_by_rule in ((self.before, call.before), (self.now, call.now)):
            for rule_id, seconds in seconds_by_rule.items():
                rate = bytes_a_second(rules.get(rule_id, _PLAIN_RULE))
                if sums is self.before:
                    rate = call.rates.get(rule_id, rate)
                one = sums.setdefault(rule_id, RuleSums())
                one.calls += 1
                one.seconds += seconds
                one.size_bytes += seconds * rate
        for rule_id, names in call.not_judged.items():
            for name in names:
                self.not_judged[rule_id, name] = self.not_judged.get((rule_id, name), 0) + 1


def bytes_a_second(rule: Rule) -> int:
    """What a second of a rule's WAV takes."""
    return rule.rate * _SAMPLE_BYTES * (2 if rule.channels is Channels.STEREO else 1)


async def differences(store: Store, rules: RuleSet, since: datetime, until: datetime) -> AsyncIterator[CallDifference]:
    """The calls that ended from `since` to before `until` (aware), in the order of their ends. Raises StoreError."""
    then = _RulesOfThen(store)
    last: AskedCall | None = None
    while calls := await store.asked_calls(since, until, _PAGE, last):
        last = calls[-1]
        for call in calls:
            yield compare(call, rules, {number: await then.get(number) for number in _rule_sets(call)})


def _rule_sets(call: AskedCall) -> set[int]:
    return {one.rules for talk in call.talks for one in talk.asked if one.rules is not None}


class _RulesOfThen:
    """Kept rules, ready to be asked; the few that were asked last stay so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parsed = lru_cache(maxsize=8)(KeptRules.parsed)
        self._kept: dict[int, KeptRules | None] = {}

    async def get(self, number: int) -> RuleSet | None:
        if number not in self._kept:
            if len(self._kept) >= 8:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = await self._store.kept_rules(number)
        kept = self._kept[number]
        return self._parsed(kept) if kept is not None else None


def compare(call: AskedCall, rules: RuleSet, then: Mapping[int, RuleSet | None]) -> CallDifference:
    """What `rules` would have done with a call; `then` are the rules that were asked, by their numbers."""
    found = CallDifference(call.number, call.cdr)
    following = Following(rules)
    for talk in call.talks:
        if not talk.asked:
            found.unknown += 1
            continue
        asked = talk.asked[-1]  # after a restart the rules were asked again
        of_then = then.get(asked.rules) if asked.rules is not None else None
        if of_then is not None:
            found.rates |= {placed.rule.id: bytes_a_second(placed.rule) for placed in of_then.rules}
        judged = judge(rules, asked.talk, known_variables(asked, of_then))
        _add_not_judged(found, judged.undecided)
        recording, offered = following.talk(judged.answers)
        before = recorded_in(talk)
        # What a user started is started again.
        now = {**recording, **{rule_id: rule for rule_id, rule in offered.items() if rule_id in before}}
        now = _without_consultations(found, talk, now, several=len(call.talks) > 1)
        found.differs |= now.keys() != before.keys()
        lasted_s = seconds_of(talk)
        for rule_id, seconds in before.items():
            found.before[rule_id] = found.before.get(rule_id, 0.0) + seconds
        for rule_id in now:
            found.now[rule_id] = found.now.get(rule_id, 0.0) + before.get(rule_id, lasted_s)
    return found


def _add_not_judged(found: CallDifference, undecided: Mapping[RuleId, tuple[str, ...]]) -> None:
    for rule_id, names in undecided.items():
        found.not_judged[rule_id] = found.not_judged.get(rule_id, frozenset()) | frozenset(names)


def _without_consultations(
    found: CallDifference, talk: AskedTalk, now: dict[RuleId, Rule], *, several: bool
) -> dict[RuleId, Rule]:
    """Where the rules of then knew of a consultation, those that want none do not record it."""
    unwanted = {rule_id for rule_id, rule in now.items() if not rule.consultation}
    if any(span.reason is Reason.CONSULTATION for span in talk.spans):
        return {rule_id: rule for rule_id, rule in now.items() if rule_id not in unwanted}
    if several:
        _add_not_judged(found, dict.fromkeys(unwanted - recorded_in(talk).keys(), (CONSULTATION,)))
    return now


# As JSON


def call_item(call: CallDifference) -> dict[str, Any]:
    """A call."""
    cdr = call.cdr
    return {
        "cdr": call.number,
        "callId": cdr.call_id,
        "startedAt": epoch_ms(cdr.started_at),
        "endedAt": epoch_ms(cdr.ended_at),
        "source": cdr.source_identity or cdr.source_number,
        "destination": cdr.destination_identity or cdr.destination_number,
        "difference": str(call.kind),
        "before": [{"ruleId": rule_id, "seconds": round(one, 3)} for rule_id, one in call.before.items()],
        "now": [{"ruleId": rule_id, "seconds": round(one, 3)} for rule_id, one in call.now.items()],
        "notJudged": [{"ruleId": rule_id, "conditions": sorted(names)} for rule_id, names in call.not_judged.items()],
        "unknownTalks": call.unknown,
    }


def totals_item(difference: Difference) -> dict[str, Any]:
    """All of them."""
    sums = RuleSums()
    return {
        "calls": difference.calls,
        "differences": {str(kind): count for kind, count in difference.kinds.items()},
        "unknown": difference.unknown,
        "rules": [
            {
                "ruleId": rule_id,
                **_sums_item("before", difference.before.get(rule_id, sums)),
                **_sums_item("now", difference.now.get(rule_id, sums)),
            }
            for rule_id in sorted({*difference.before, *difference.now})
        ],
        "notJudged": [
            {"ruleId": rule_id, "condition": name, "calls": count}
            for (rule_id, name), count in sorted(difference.not_judged.items())
        ],
    }


def _sums_item(when: str, sums: RuleSums) -> dict[str, Any]:
    size = round(sums.size_bytes)
    return {f"{when}Calls": sums.calls, f"{when}S": round(sums.seconds, 3), f"{when}Bytes": size}
