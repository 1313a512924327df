"""What the coverage of finished calls came to, kept call by call; triggers end what something has changed of."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from bridge.core.accounts import Account, Reason
from bridge.core.cdrs import CdrNumber
from bridge.core.coverage import CallCoverage, RuleCoverage, Sums, Tally
from bridge.core.ids import FactNumber, Identity, RuleId
from bridge.storage import accounts
from bridge.storage.database import SqliteStore
from bridge.storage.values import Row, json_in, time_in, time_out

_CALL = -2
_NO_RULE = -1
_REASONS = {reason: reason.value.replace("-", "_") for reason in Reason}
_US = 1_000_000

_MISSING = f"""
{accounts.CALLS} WHERE ended_at >= ? AND ended_at < ? AND (ended_at, id) > (?, ?)
    AND NOT EXISTS (SELECT 1 FROM call_coverage WHERE call_coverage.ended_at = cdrs.ended_at AND cdr = cdrs.id)
ORDER BY ended_at, id LIMIT max(?, 0)
"""
_CALLS = f"{accounts.CALLS} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY ended_at, id"
_FIRST = "SELECT min(ended_at) AS at FROM cdrs"

# What was read of a call before something in it changed must not be kept after.
_KEEP = f"""
INSERT OR REPLACE INTO call_coverage (ended_at, cdr, rule_id, systemname, faulty, recorded,
    {", ".join(_REASONS.values())})
SELECT ended_at, id, :rule_id, systemname, :faulty, :recorded, {", ".join(f":{name}" for name in _REASONS.values())}
FROM cdrs WHERE id = :cdr AND NOT EXISTS (SELECT 1 FROM facts WHERE facts.call_id = cdrs.call_id AND number > :seen)
"""
_SEEN_BY = "cdr IN (SELECT cdr FROM cdr_participants WHERE identity IN (SELECT CAST(value AS TEXT) FROM json_each({})))"
# CROSS JOIN: SQLite keeps to that order.
_SUMS = f"""
SELECT day.key AS day, rule_id, count(*) AS calls, total(faulty) AS faulty, total(recorded) AS recorded,
    {", ".join(f"total({name}) AS {name}" for name in _REASONS.values())}
FROM json_each(?1) AS day
CROSS JOIN call_coverage ON ended_at >= day.value ->> 0 AND ended_at < day.value ->> 1
WHERE ?2 IS NULL OR {_SEEN_BY.format("?2")} GROUP BY 1, 2
"""
_NUMBERS = f"""
SELECT cdr FROM call_coverage WHERE ended_at >= ?1 AND ended_at < ?2 AND rule_id = {_CALL} AND faulty >= ?3
    AND (?4 IS NULL OR {_SEEN_BY.format("?4")})
ORDER BY ended_at DESC, cdr DESC LIMIT ?5 OFFSET ?6
"""


class KeptCoverage:
    """The sums of a store's calls. Its methods raise StoreError."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def missing(
        self, since: datetime, until: datetime, limit: int, after: Account | None = None
    ) -> Sequence[Account]:
        """Up to `limit` calls that ended from `since` to before `until` (aware) and have none, as `Store.accounts`."""
        last = (-1, 0) if after is None else (time_in(after.cdr.ended_at), after.number)
        return await self._accounts(await self._store.select(_MISSING, time_in(since), time_in(until), *last, limit))

    async def accounts(self, numbers: Sequence[CdrNumber]) -> Sequence[Account]:
        """These calls, in the order of their ends."""
        return await self._accounts(await self._store.select(_CALLS, json_in(list(numbers))))

    async def _accounts(self, calls: Sequence[sqlite3.Row]) -> Sequence[Account]:
        if not calls:
            return []
        these = json_in([row["id"] for row in calls])
        found = [await self._store.select(sql, these) for sql in accounts.OF_THESE]
        return accounts.page(calls, *found)

    async def first_end(self) -> datetime | None:
        """When the first call ended that is kept."""
        ((at,),) = await self._store.select(_FIRST)
        return None if at is None else time_out(at)

    async def keep(self, calls: Sequence[tuple[CdrNumber, CallCoverage]], seen: FactNumber) -> None:
        """Keep what these calls (CDR numbers) came to, unless there is a fact of one after `seen`."""
        rows = [row for number, call in calls for row in _rows(number, call, seen)]
        await self._store.commit([], rewrites=[(_KEEP, rows)])

    async def sums(self, bounds: Sequence[datetime], visible_to: Sequence[Identity] | None) -> Sequence[Tally]:
        """Those of the calls that ended between each two of these times, that one of these took part in (None: all)."""
        days = json_in([[time_in(begin), time_in(end)] for begin, end in pairwise(bounds)])
        found = [Tally() for _ in bounds[1:]]
        for row in await self._store.look_through(_SUMS, days, _identities(visible_to)):
            tally = found[row["day"]]
            sums = Sums(
                row["calls"],
                row["recorded"] / _US,
                row["recorded"] / _US,
                Counter({reason: row[name] / _US for reason, name in _REASONS.items() if row[name]}),
            )
            sums.talked_s += sum(sums.reasons.values())
            if row["rule_id"] == _CALL:
                tally.all, tally.faulty = sums, int(row["faulty"])
            else:
                tally.by_rule[None if row["rule_id"] == _NO_RULE else RuleId(row["rule_id"])] = sums
        return found

    async def numbers(
        self,
        since: datetime,
        until: datetime,
        visible_to: Sequence[Identity] | None,
        *,
        faulty: bool,
        limit: int,
        offset: int,
    ) -> Sequence[CdrNumber]:
        """Of those calls a page, the last ended first; `faulty`: only those that somebody has to look at."""
        identities = _identities(visible_to)
        found = await self._store.look_through(
            _NUMBERS, time_in(since), time_in(until), int(faulty), identities, limit, offset
        )
        return [CdrNumber(row["cdr"]) for row in found]


def _identities(visible_to: Sequence[Identity] | None) -> str | None:
    return None if visible_to is None else json_in(list(visible_to))


def _rows(number: int, call: CallCoverage, seen: FactNumber) -> list[Row]:
    of_rules = [(_NO_RULE if one.rule_id is None else one.rule_id, False, one) for one in call.rules]
    parts: list[tuple[int, bool, CallCoverage | RuleCoverage]] = [(_CALL, call.faulty, call), *of_rules]
    return [
        {
            "cdr": number,
            "rule_id": rule_id,
            "faulty": int(faulty),
            "seen": seen,
            "recorded": _us(one.recorded_s),
            **{name: _us(one.reasons.get(reason, 0.0)) for reason, name in _REASONS.items()},
        }
        for rule_id, faulty, one in parts
    ]


def _us(seconds: float) -> int | None:
    return round(seconds * _US) or None
