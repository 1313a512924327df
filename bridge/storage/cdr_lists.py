"""Lists of finished calls as people look through them: a part of one, and how many there are of which kind.

What the tallies tell is exact, however many there are; else the calls themselves are counted, of which `cdr_ways.FEW`
are looked at.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from bridge.core.cdr_lists import (
    CdrDay,
    CdrDays,
    CdrFacets,
    CdrPart,
    CdrPlace,
    CdrSearch,
    CdrWalk,
    Count,
    most_frequent,
)
from bridge.core.cdrs import CdrNumber, CdrOrder, KeptCdr
from bridge.core.ids import Identity
from bridge.storage import cdrs, hearing
from bridge.storage.cdr_tallies import HOUR, Tallied, stretch, tag_out, tallied
from bridge.storage.cdr_ways import Probed, probe, way_to_some, ways
from bridge.storage.hearing import encodable, marks
from bridge.storage.values import json_in, time_out

_ALL = 2**62

_ROWS = f"SELECT cdrs.*, {cdrs.LISTS} FROM cdrs WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608  # bound
_COLUMNS = ", direction, status, cdrs.recorded, queue"
_USERS = """
SELECT identity, count(*) FROM cdr_participants
WHERE cdr IN (SELECT value FROM json_each(?)) AND {whom} GROUP BY identity
"""
_TAGS = """
SELECT CAST(tag AS BLOB), count(DISTINCT cdr) FROM cdr_tags
WHERE cdr IN (SELECT value FROM json_each(?)) AND {which} GROUP BY tag
"""
_HEARD_TAG = """
(source = 'user' OR EXISTS (SELECT 1 FROM sections, json_each(sections.tags) AS of_section
    WHERE sections.cdr = cdr_tags.cdr AND {recordings} AND ({heard}) AND of_section.value = cdr_tags.tag))
"""
_RECORDED = "SELECT id FROM cdrs WHERE id IN (SELECT value FROM json_each(?)) AND {recorded}"

_Answer = TypeVar("_Answer")


class _Call(NamedTuple):
    """A call that is counted; `started_at` in microseconds."""

    started_at: int
    number: int
    direction: str
    status: str
    recorded: int
    queue: str


class _Calls(NamedTuple):
    """Those that are counted one by one: all of them, or as many as are counted at most."""

    calls: Sequence[_Call]
    all: bool


def part(connection: sqlite3.Connection, walk: CdrWalk) -> CdrPart:
    """A part of a list and its counts as of one moment. Blocks: call it in the connection's thread."""
    return _at_once(connection, lambda: _part(connection, walk))


def facets(connection: sqlite3.Connection, search: CdrSearch) -> CdrFacets:
    """How many calls there are of which kind. Blocks: call it in the connection's thread."""
    return _at_once(connection, lambda: _facets(connection, search))


def days(connection: sqlite3.Connection, search: CdrSearch, zone: ZoneInfo) -> CdrDays:
    """How many calls began on which day in that zone. Blocks: call it in the connection's thread."""
    return _at_once(connection, lambda: _days(connection, search, zone))


def _at_once(connection: sqlite3.Connection, answer: Callable[[], _Answer]) -> _Answer:
    cdrs.set_up(connection)
    connection.execute("BEGIN")
    try:
        return answer()
    finally:
        connection.execute("COMMIT")


def _part(connection: sqlite3.Connection, walk: CdrWalk) -> CdrPart:
    search, limit = walk.search, max(walk.limit, 0)
    probed = probe(connection, search, walk.order)
    sql, values = ways(connection, search, walk.order, probed).statement(
        "", walk.order, newest_first=walk.newest_first, limit=limit + 1, place=walk.place
    )
    found = connection.execute(sql, values).fetchall()
    is_end, found = len(found) <= limit, found[:limit]
    items = _kept(connection, [number for _, number in found])
    place = None if is_end or not found else CdrPlace(found[-1][0], CdrNumber(found[-1][1]))
    if not walk.counted:
        return CdrPart(items, place, 0, Count(0))
    ((total,),) = connection.execute(*cdrs.total(search.visible_to))
    return CdrPart(items, place, total, _count(connection, search, probed if probed.few is not None else None))


def _kept(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[KeptCdr]:
    """These calls, in this order."""
    at = {number: row for row in connection.execute(_ROWS, (json_in(numbers),)) for number in (row["id"],)}
    return cdrs.with_recordings(connection, [at[number] for number in numbers])


def _count(connection: sqlite3.Connection, search: CdrSearch, probed: Probed | None) -> Count:
    told = tallied(search)
    if told is None:
        found = _calls(connection, search, probed)
        return Count(len(found.calls), found.all)
    over = stretch(search.wanted.since, search.wanted.until)
    rest = sum(len(_rest(connection, search, one)) for one in over.rest)
    return Count(told.counts(connection, over).total() + rest)


def _calls(connection: sqlite3.Connection, search: CdrSearch, probed: Probed | None = None) -> _Calls:
    """What is counted one by one."""
    way = way_to_some(connection, search, probed)
    sql, values = way.statement(_COLUMNS, CdrOrder.START, newest_first=True, limit=_ALL)
    return _Calls([_Call(*row) for row in connection.execute(sql, values)], not way.is_part)


def _rest(connection: sqlite3.Connection, search: CdrSearch, between: tuple[int, int]) -> Sequence[_Call]:
    """Those of less than an hour, which the tallies cannot tell."""
    since, until = map(_time, between)
    within = replace(search, wanted=replace(search.wanted, since=since, until=until))
    sql, values = ways(connection, within, CdrOrder.START).statement(
        _COLUMNS, CdrOrder.START, newest_first=True, limit=_ALL
    )
    return [_Call(*row) for row in connection.execute(sql, values)]


def _time(at: int) -> datetime | None:
    """None where it is later than any call."""
    try:
        return time_out(at)
    except OverflowError:
        return None


def _facets(connection: sqlite3.Connection, search: CdrSearch) -> CdrFacets:
    told = tallied(search)
    if told is not None:
        return _told(connection, search, told)
    found = _calls(connection, search)
    counts = _counts(connection, search, found.calls)
    bounded = frozenset() if found.all else frozenset(counts)
    return CdrFacets({name: most_frequent(values) for name, values in counts.items()}, bounded)


def _told(connection: sqlite3.Connection, search: CdrSearch, told: Tallied) -> CdrFacets:
    over = stretch(search.wanted.since, search.wanted.until)
    rest = [call for one in over.rest for call in _rest(connection, search, one)]
    counts = _counts(connection, search, rest)
    for (direction, status, recorded), calls in told.counts(connection, over).items():
        counts["direction"][direction] += calls
        counts["status"][status] += calls
        counts["recorded"][_yes_or_no(recorded)] += calls
    bounded: frozenset[str] = frozenset()
    if told.kind == "":
        for kind in ("queue", "user", "tag"):
            counts[kind] += told.values(connection, kind, over)
    else:
        # Of the calls of one queue, user or tag it is not kept what else they are.
        found = _calls(connection, search)
        counted = _counts(connection, search, found.calls)
        counts |= {kind: counted[kind] for kind in ("queue", "user", "tag")}
        bounded = frozenset() if found.all else frozenset({"queue", "user", "tag"})
    return CdrFacets({name: most_frequent(values) for name, values in counts.items()}, bounded)


def _counts(connection: sqlite3.Connection, search: CdrSearch, calls: Sequence[_Call]) -> dict[str, Counter[str]]:
    """The values of each facet in these calls."""
    heard_by, these = search.wanted.heard_by, json_in([call.number for call in calls])
    whom, whose = "1", list[object]()
    if search.visible_to is not None:
        whose = encodable(search.visible_to)
        whom = f"identity IN ({marks(whose)})"
    which, hears = "1", list[object]()
    if heard_by is not None:
        heard, hears = hearing.heard(heard_by)
        which = _HEARD_TAG.format(recordings=hearing.RECORDINGS, heard=heard)
    recorded = _recorded(connection, heard_by, calls)
    users = connection.execute(_USERS.format(whom=whom), [these, *whose]).fetchall() if calls else []
    tags = connection.execute(_TAGS.format(which=which), [these, *hears]).fetchall() if calls else []
    return {
        "direction": Counter(call.direction for call in calls),
        "status": Counter(call.status for call in calls),
        "recorded": Counter(_yes_or_no(call.number in recorded) for call in calls),
        "queue": Counter(call.queue for call in calls if call.queue),
        "user": Counter(dict(map(tuple, users))),
        "tag": Counter({tag_out(tag): count for tag, count in tags}),
    }


def _recorded(
    connection: sqlite3.Connection, heard_by: Sequence[Identity] | None, calls: Sequence[_Call]
) -> frozenset[int]:
    """Which of these have a recording that counts."""
    if heard_by is None:
        return frozenset(call.number for call in calls if call.recorded)
    sql, values = hearing.recorded(True, heard_by)
    these = json_in([call.number for call in calls])
    return frozenset(number for (number,) in connection.execute(_RECORDED.format(recorded=sql), [these, *values]))


def _days(connection: sqlite3.Connection, search: CdrSearch, zone: ZoneInfo) -> CdrDays:
    hours: list[tuple[int, int, int]] = []
    told = tallied(search)
    if told is None:
        calls, is_all = _calls(connection, search)
    else:
        over = stretch(search.wanted.since, search.wanted.until)
        hours, mixed = _by_day(told.hours(connection, over), zone)
        parts = [*over.rest, *((hour * HOUR, (hour + 1) * HOUR) for hour in mixed)]
        calls, is_all = [call for one in parts for call in _rest(connection, search, one)], True
    recorded = _recorded(connection, search.wanted.heard_by, calls)
    all_calls: Counter[date] = Counter()
    with_recording: Counter[date] = Counter()
    for hour, began, of_these in hours:
        day = _day(hour * HOUR, zone)
        all_calls[day] += began
        with_recording[day] += of_these
    for call in calls:
        day = _day(call.started_at, zone)
        all_calls[day] += 1
        with_recording[day] += call.number in recorded
    return CdrDays([CdrDay(day, count, with_recording[day]) for day, count in sorted(all_calls.items())], is_all)


def _by_day(hours: Iterable[tuple[int, int, int]], zone: ZoneInfo) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Hours that are of one day, and those in which another begins: there are zones that are half an hour off."""
    whole: list[tuple[int, int, int]] = []
    mixed: list[int] = []
    for one in hours:
        is_whole = _day(one[0] * HOUR, zone) == _day((one[0] + 1) * HOUR - 1, zone)
        whole += [one] if is_whole else []
        mixed += [] if is_whole else [one[0]]
    return whole, mixed


def _day(at: int, zone: ZoneInfo) -> date:
    try:
        return time_out(at).astimezone(zone).date()
    except OverflowError:  # the last hours of all time
        return time_out(at).date()


def _yes_or_no(value: object) -> str:
    return "true" if value else "false"
