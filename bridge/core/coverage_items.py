"""Coverage as JSON: durations in seconds, times as epoch milliseconds."""

from collections.abc import Mapping

from typing_extensions import TypedDict

from bridge.core.accounts import Reason
from bridge.core.coverage import CallCoverage, RuleCoverage, Sums, Tally
from bridge.core.ids import RuleId
from bridge.core.views import epoch_ms


class RuleCoverageItem(TypedDict):
    """What a rule came to in a call; `ruleId` is null where no rule had to do with it."""

    ruleId: int | None
    talkedS: float
    recordedS: float
    reasons: dict[str, float]
    sections: int


class CoverageItem(TypedDict):
    """A call: how much of it was recorded, why not the rest, and the same for each rule that had to do with it.

    `recordedS` and all `reasons` (by their words) together are `talkedS`. `faulty`: somebody has to look at it.
    """

    cdr: int
    callId: str
    recordIds: list[str]
    startedAt: int
    endedAt: int
    direction: str
    source: str
    destination: str
    participants: list[str]
    talkedS: float
    recordedS: float
    reasons: dict[str, float]
    rules: list[RuleCoverageItem]
    faulty: bool


class SumsItem(TypedDict):
    """Coverage of calls added up."""

    calls: int
    talkedS: float
    recordedS: float
    reasons: dict[str, float]


class RuleSumsItem(SumsItem):
    """Those of a rule; `ruleId` is null for calls that no rule had to do with."""

    ruleId: int | None


class TotalsItem(SumsItem):
    """All calls together, and by rule; `faulty` is the number of calls that somebody has to look at."""

    faulty: int
    rules: list[RuleSumsItem]


class DayItem(TotalsItem):
    """The calls that ended on a day (`2026-03-02`)."""

    day: str


CoverageAnswer = TypedDict(
    "CoverageAnswer",
    {
        "from": int,
        "until": int,
        "total": int,
        "totals": TotalsItem,
        "days": list[DayItem],
        "items": list[CoverageItem],
    },
)
"""Coverage of the calls that ended in a time. `total` is of how many calls `items` are a page."""


def coverage_item(number: int, call: CallCoverage) -> CoverageItem:
    """A call, with its CDR's number."""
    cdr = call.cdr
    return {
        "cdr": number,
        "callId": cdr.call_id,
        "recordIds": list(cdr.record_ids),
        "startedAt": epoch_ms(cdr.started_at),
        "endedAt": epoch_ms(cdr.ended_at),
        "direction": cdr.direction,
        "source": cdr.source_number,
        "destination": cdr.destination_number,
        "participants": list(cdr.participants),
        "talkedS": round(call.talked_s, 3),
        "recordedS": round(call.recorded_s, 3),
        "reasons": _reasons(call.reasons),
        "rules": [_rule(rule) for rule in call.rules],
        "faulty": call.faulty,
    }


def totals_item(sums: Tally) -> TotalsItem:
    """All calls together, and by rule."""
    by_rule = sorted(sums.by_rule.items(), key=lambda item: -1 if item[0] is None else item[0])
    return {**_sums(sums.all), "faulty": sums.faulty, "rules": [_rule_sums(*one) for one in by_rule]}


def _rule(rule: RuleCoverage) -> RuleCoverageItem:
    return {
        "ruleId": rule.rule_id,
        "talkedS": round(rule.talked_s, 3),
        "recordedS": round(rule.recorded_s, 3),
        "reasons": _reasons(rule.reasons),
        "sections": rule.sections,
    }


def _rule_sums(rule_id: RuleId | None, sums: Sums) -> RuleSumsItem:
    return {"ruleId": rule_id, **_sums(sums)}


def _sums(sums: Sums) -> SumsItem:
    return {
        "calls": sums.calls,
        "talkedS": round(sums.talked_s, 3),
        "recordedS": round(sums.recorded_s, 3),
        "reasons": _reasons(sums.reasons),
    }


def _reasons(reasons: Mapping[Reason, float]) -> dict[str, float]:
    return {str(reason): round(reasons[reason], 3) for reason in Reason if reason in reasons}
