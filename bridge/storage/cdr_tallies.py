"""How many calls began when, of which kind: read from the tallies that are kept (`cdr_tallies`), not counted.

Hours at the ends of a stretch of time that are not whole are left to be counted.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.core.cdr_lists import CdrSearch
from bridge.core.cdrs import CdrFilter
from bridge.core.records import CallStatus
from bridge.storage.hearing import Condition, encodable
from bridge.storage.values import json_in, text_out, time_in

HOUR = 3_600_000_000
_DAY, _MONTH = 24, 720
_EVER = 2**40
"""Hours, further away than any call."""

# From one start that there is to the next: what is of one time stands together, of all values.
_STARTS = """
WITH RECURSIVE starts (span, start, last) AS (
    SELECT value ->> 0,
        (SELECT min(start) FROM cdr_tallies WHERE span = part.value ->> 0 AND start >= part.value ->> 1), value ->> 2
    FROM json_each(:spans) AS part
    UNION ALL
    SELECT span, (SELECT min(start) FROM cdr_tallies WHERE span = starts.span AND start > starts.start), last
    FROM starts WHERE start < last)
"""
_OF_STARTS = """
FROM starts CROSS JOIN cdr_tallies ON cdr_tallies.span = starts.span AND cdr_tallies.start = starts.start
WHERE starts.start < starts.last AND kind = :kind
"""
_ONE_VALUE = f"""
{_STARTS} SELECT direction, status, recorded, sum(calls) {_OF_STARTS} AND value = {{value}} AND {{conditions}}
GROUP BY 1, 2, 3
"""
_EACH_VALUE = f"{_STARTS} SELECT CAST(value AS BLOB), sum(calls) {_OF_STARTS} AND {{conditions}} GROUP BY value"
_HOURS = f"""
{_STARTS} SELECT starts.start, sum(calls), sum(calls * recorded) {_OF_STARTS} AND value = {{value}} AND {{conditions}}
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole hours since 1970 from `first` to before `last`, and what is left of the time around them (microseconds,
    each from its first to before its second)."""

    first: int
    last: int
    rest: tuple[tuple[int, int], ...]

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """The largest spans that it is made of: hours in each, first, and the one after the last."""
        yield from _split(self.first, self.last, (_MONTH, _DAY, 1))


def stretch(since: datetime | None, until: datetime | None) -> Stretch:
    """From one time to before another; None is no bound."""
    begin = -_EVER * HOUR if since is None else _micros(since)
    end = _EVER * HOUR if until is None else _micros(until)
    first, last = -(-begin // HOUR), end // HOUR
    if begin >= end:
        return Stretch(0, 0, ())
    if first >= last:
        return Stretch(0, 0, ((begin, end),))
    rest = ((begin, first * HOUR), (last * HOUR, end))
    return Stretch(first, last, tuple(one for one in rest if one[0] < one[1]))


def _micros(at: datetime) -> int:
    return time_in(at) or 0


def _split(first: int, last: int, sizes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Hours from `first` to before `last` as spans of these sizes, the largest first."""
    if first >= last:
        return
    size, *smaller = sizes
    begin, end = -(-first // size), last // size
    if begin >= end:
        yield from _split(first, last, smaller)
        return
    yield size, begin, end
    yield from _split(first, begin * size, smaller)
    yield from _split(end * size, last, smaller)


@dataclass(frozen=True, slots=True)
class Tallied:
    """What the tallies can be asked: those of one kind and value, under what is kept with each.

    `value` is SQL with `bound` for its mark.
    """

    kind: str
    value: str
    bound: object
    wanted: CdrFilter

    def counts(self, connection: sqlite3.Connection, over: Stretch) -> Counter[tuple[str, str, int]]:
        """How many calls by direction, status and whether they are recorded."""
        sql, values = self._conditions()
        values |= {"spans": json_in(list(over.spans())), "kind": self.kind, "value": self.bound}
        found = connection.execute(_ONE_VALUE.format(value=self.value, conditions=sql), values)
        return Counter({(direction, status, recorded): calls for direction, status, recorded, calls in found})

    def values(self, connection: sqlite3.Connection, kind: str, over: Stretch) -> Counter[str]:
        """How many calls each value of another kind has; only where this is asked for no value of its own."""
        sql, values = self._conditions()
        values |= {"spans": json_in(list(over.spans())), "kind": kind}
        found = connection.execute(_EACH_VALUE.format(conditions=sql), values)
        out = tag_out if kind == "tag" else text_out
        return Counter({out(value): calls for value, calls in found})

    def hours(self, connection: sqlite3.Connection, over: Stretch) -> list[tuple[int, int, int]]:
        """Hours since 1970, each with how many calls began in it, and how many of them are recorded."""
        sql, values = self._conditions()
        values |= {"spans": json_in([(1, over.first, over.last)]), "kind": self.kind, "value": self.bound}
        return list(map(tuple, connection.execute(_HOURS.format(value=self.value, conditions=sql), values)))

    def _conditions(self) -> tuple[str, dict[str, object]]:
        wanted = self.wanted
        parts = ["status <> :status" if wanted.status is None else "status = :status"]
        values: dict[str, object] = {"status": (wanted.status or CallStatus.BLOCKED).value}
        if wanted.direction is not None:
            known = encodable([wanted.direction])
            parts.append("direction = CAST(:direction AS TEXT)" if known else "0")
            values["direction"] = known[0] if known else None
        if wanted.recorded is not None:
            parts.append("recorded = :recorded")
            values["recorded"] = int(wanted.recorded)
        return " AND ".join(parts), values


def tallied(search: CdrSearch) -> Tallied | None:
    """What the tallies are to be asked for this, or None: they cannot tell it."""
    wanted = search.wanted
    others = replace(wanted, since=None, until=None, direction=None, status=None, recorded=None)
    others = replace(others, queue=None, user=None, call_tags=())
    if search.visible_to is not None or others != CdrFilter() or wanted.queue == "":
        return None
    asked = [one for one in (_queue(wanted), _user(wanted), *map(_tag, wanted.call_tags)) if one is not None]
    if len(asked) > 1:
        return None
    kind, (value, bound) = asked[0] if asked else ("", (":value", [""]))
    return Tallied(kind, value, bound[0], wanted) if bound else None


def tag_out(tag: bytes) -> str:
    """A tag as it came in JSON, also where it is no valid UTF-8."""
    return tag.decode("utf-8", "surrogatepass")


def _queue(wanted: CdrFilter) -> tuple[str, Condition] | None:
    return None if wanted.queue is None else ("queue", _text(wanted.queue))


def _user(wanted: CdrFilter) -> tuple[str, Condition] | None:
    return None if wanted.user is None else ("user", _text(wanted.user))


def _tag(tag: str) -> tuple[str, Condition]:
    return "tag", ("json_extract(:value, '$')", [json_in(tag)])


def _text(text: str) -> Condition:
    return "CAST(:value AS TEXT)", encodable([text])
