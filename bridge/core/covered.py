"""Coverage of the calls that a store keeps, and how it is told."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from bridge.core.accounts import Account, Reason
from bridge.core.coverage import CallCoverage, Sums, Tally, away_times, cover
from bridge.core.store import Store
from bridge.core.views import epoch_ms

_PAGE = 20
"""Some 10 ms of work without a break."""

Json = dict[str, Any]


async def covered(store: Store, since: datetime, until: datetime) -> AsyncIterator[CallCoverage]:
    """The calls that ended from `since` to before `until` (aware), in the order of their ends. Raises StoreError."""
    last: Account | None = None
    while accounts := await store.accounts(since, until, _PAGE, last):
        last = accounts[-1]
        began = [talk.began_at for account in accounts for talk in account.talks]
        away = away_times(await store.away_facts(min(began, default=since), until))
        for account in accounts:
            yield cover(account, away)


async def tally(store: Store, since: datetime, until: datetime) -> Tally:
    """All of them added up. Raises StoreError."""
    sums = Tally()
    async for call in covered(store, since, until):
        sums.add(call)
    return sums


# As JSON: durations in seconds, times as epoch milliseconds


def _reasons(reasons: Mapping[Reason, float]) -> dict[str, float]:
    return {str(reason): round(reasons[reason], 3) for reason in Reason if reason in reasons}


def coverage_item(call: CallCoverage) -> Json:
    """A call: how much of it was recorded, why not the rest, and the same for each rule that had to do with it."""
    cdr = call.cdr
    return {
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
        "rules": [
            {
                "ruleId": rule.rule_id,
                "talkedS": round(rule.talked_s, 3),
                "recordedS": round(rule.recorded_s, 3),
                "reasons": _reasons(rule.reasons),
                "sections": rule.sections,
            }
            for rule in call.rules
        ],
    }


def _sums(sums: Sums) -> Json:
    return {
        "calls": sums.calls,
        "talkedS": round(sums.talked_s, 3),
        "recordedS": round(sums.recorded_s, 3),
        "reasons": _reasons(sums.reasons),
    }


def coverage_totals(sums: Tally) -> Json:
    """All calls together, and by rule; `faulty` is the number of calls that somebody has to look at."""
    by_rule = sorted(sums.by_rule.items(), key=lambda item: -1 if item[0] is None else item[0])
    rules = [{"ruleId": rule_id, **_sums(one)} for rule_id, one in by_rule]
    return {**_sums(sums.all), "faulty": sums.faulty, "rules": rules}
