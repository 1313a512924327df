"""Coverage: of every finished call how much was recorded by which rule, and why not the rest."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web
from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.api.answers import InvalidFieldsError, NotFoundError, json_text
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.operations import Operation
from bridge.api.validation import Fields, query_of
from bridge.core.access import Reader, visible_to
from bridge.core.coverage import Tally
from bridge.core.coverage_items import CoverageAnswer, CoverageItem, coverage_item, totals_item
from bridge.core.covered import SETTLED, Numbered, covered, settle, these_covered
from bridge.core.views import epoch_ms

_DAY = timedelta(days=1)
_LONGEST = timedelta(days=366)
_PAGE = 50
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(value: object) -> datetime:
    """ISO 8601 with a zone, or epoch milliseconds. In a query `+` is a space unless it is written %2B."""
    text = str(value)
    try:
        if text.isascii() and text.isdigit():
            return _EPOCH + int(text) * _MS
        at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if at.tzinfo is None:
            raise ValueError
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("it should be a time like 2026-03-02T09:00:00+01:00, or epoch milliseconds") from None


def _zone(text: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(text))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it should be a time zone like Europe/Berlin") from None


_MOMENTS = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": "^[0-9]{1,14}$"}]}

Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_MOMENTS)]

Zone = Annotated[ZoneInfo, BeforeValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})]


class CoverageQuery(Fields):
    """Calls that ended from `from` to before `until`: without `until` until now, without `from` a day before it.

    Days are those of `zone`. With `faulty` the items are only those that somebody has to look at.
    """

    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Moment | None = None
    zone: Zone = ZoneInfo("UTC")
    faulty: bool = False
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0


async def coverage(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/coverage`: sums, by rule and by day too, and a page of the calls, newest first.

    Of the calls that the reader took part in, or may look over; `totals` and `days` are of them all, not of the page.
    Days without calls are left out.
    """
    query = query_of(request, CoverageQuery)
    deps = dependencies(request)
    since, until = _bounds(query, deps.clock())
    wanted = _Wanted(deps, access.reader, since, until)
    edges = _midnights(since, until, query.zone)
    days = await wanted.days(edges)
    sums = Tally()
    for day in days:
        sums.add_all(day)
    items = await wanted.page(faulty=query.faulty, limit=query.limit, offset=query.offset)
    answer: CoverageAnswer = {
        "from": epoch_ms(since),
        "until": epoch_ms(until),
        "total": sums.faulty if query.faulty else sums.all.calls,
        "totals": totals_item(sums),
        "days": [
            {"day": begin.astimezone(query.zone).date().isoformat(), **totals_item(day)}
            for begin, day in zip(edges, days, strict=False)
            if day.all.calls
        ],
        "items": [],
    }
    parts = [part async for part in _texts(items)]
    body = json_text(answer).removesuffix("]}") + ",".join(parts) + "]}"
    return web.Response(body=body.encode(), content_type="application/json")


class _Wanted:
    """The calls of a time that a reader may see. Those of the last minutes may still change: they are added up anew."""

    def __init__(self, deps: Dependencies, reader: Reader, since: datetime, until: datetime) -> None:
        if deps.coverages is None:
            raise NotFoundError("coverage is not kept here")
        self._store, self._coverages, self._reader = deps.store, deps.coverages, reader
        self._visible_to = visible_to(reader)
        self._since, self._until = since, until
        self._settled = min(max(since, deps.clock() - SETTLED), until)
        self._fresh: list[Numbered] = []

    async def days(self, edges: Sequence[datetime]) -> list[Tally]:
        """The sums between each two of these times, which begin with the first and end with the last that is wanted."""
        await settle(self._store, self._coverages, self._since, self._settled)
        kept = [min(edge, self._settled) for edge in edges]
        days = list(await self._coverages.sums(kept, self._visible_to))
        async for numbered in covered(self._store, self._settled, self._until):
            cdr = numbered[1].cdr
            if self._reader.sees(cdr.participants):
                self._fresh.append(numbered)
                days[bisect_right(edges, cdr.ended_at) - 1].add(numbered[1])
        return days

    async def page(self, *, faulty: bool, limit: int, offset: int) -> list[Numbered]:
        """Some of them, the last ended first."""
        fresh = [one for one in reversed(self._fresh) if one[1].faulty or not faulty]
        some = fresh[offset : offset + limit]
        numbers = await self._coverages.numbers(
            self._since,
            self._settled,
            self._visible_to,
            faulty=faulty,
            limit=limit - len(some),
            offset=max(0, offset - len(fresh)),
        )
        return [*some, *await these_covered(self._store, self._coverages, numbers)]


def _bounds(query: CoverageQuery, now: datetime) -> tuple[datetime, datetime]:
    until = query.until or now
    try:
        since = query.since or until - _DAY
    except OverflowError:
        since = until
    if since > until:
        raise InvalidFieldsError("the query is not as it should be", {"from": "it is after `until`"})
    if until - since > _LONGEST:
        words = f"at most {_LONGEST.days} days at once: `recbridge coverage` has no bound"
        raise InvalidFieldsError("the query is not as it should be", {"from": words})
    return since, until


def _midnights(since: datetime, until: datetime, zone: ZoneInfo) -> list[datetime]:
    """The beginning, each midnight after it, and the end."""
    edges = [since]
    try:
        day = since.astimezone(zone).date() + _DAY
        while (midnight := datetime.combine(day, time.min, zone).astimezone(UTC)) < until:
            if midnight > since:
                edges.append(midnight)
            day += _DAY
    except OverflowError:  # the end of all times
        pass
    return [*edges, until]


async def _texts(items: Sequence[Numbered]) -> AsyncIterator[str]:
    """Their JSON; each page of them is some 5 ms of work without a break."""
    for first in range(0, len(items), _PAGE):
        for numbered in items[first : first + _PAGE]:
            item: CoverageItem = coverage_item(*numbered)
            yield json_text(item)
        await asyncio.sleep(0)


OPERATIONS = (
    Operation(
        "GET", "/api/v1/coverage", coverage, "How much was recorded, and why not", {200: CoverageAnswer}, CoverageQuery
    ),
)
