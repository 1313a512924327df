"""Finished calls: a list that goes on after a cursor, how many there are of which kind and on which day, and CSV."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from aiohttp import web
from typing_extensions import TypedDict

from bridge.api import pages
from bridge.api.answers import ForbiddenError, json_response
from bridge.api.auth import Access
from bridge.api.cdr_queries import CdrDaysQuery, CdrFields, CdrsQuery, Order, cursor_of, search_of, walk_of
from bridge.api.csv_lines import csv_line, wants_csv
from bridge.api.dependencies import dependencies
from bridge.api.operations import MediaType, Operation
from bridge.api.validation import query_of
from bridge.core.access import Scope
from bridge.core.cdr_lists import CdrFacets, CdrSearch, CdrWalk
from bridge.core.cdr_views import CdrItem, cdr_item
from bridge.core.store import Store

_PART = 500
_COLUMNS = (
    "id",
    "started_at",
    "answered_at",
    "ended_at",
    "talked_s",
    "direction",
    "status",
    "source_number",
    "source_name",
    "source_user",
    "destination_number",
    "destination_name",
    "destination_user",
    "dialed",
    "queue",
    "users",
    "recordings",
    "recorded_s",
    "tags",
    "call_id",
)


class CdrItems(TypedDict):
    """A part of a list. `next` is the `cursor` for what comes after it, null at the end.

    `total` are all calls that the reader may see, `filtered` those that are found: with `atLeast` there are at least so
    many.
    """

    items: list[CdrItem]
    next: str | None
    total: int
    filtered: int
    atLeast: bool


class FacetValue(TypedDict):
    """How many of the calls that are found have this value."""

    value: str
    count: int


class RecordedValue(TypedDict):
    """How many of the calls that are found have a recording, or none."""

    value: bool
    count: int


class CdrFacetItems(TypedDict):
    """The 100 most frequent values of each; of the facets that `atLeast` names each has at least so many calls."""

    direction: list[FacetValue]
    status: list[FacetValue]
    recorded: list[RecordedValue]
    queue: list[FacetValue]
    user: list[FacetValue]
    tag: list[FacetValue]
    atLeast: list[str]


class CdrDayItem(TypedDict):
    """A day, as 2026-03-02, with how many calls began on it, and how many of these have a recording."""

    day: str
    calls: int
    recorded: int


class CdrDayItems(TypedDict):
    """The days with calls, in their order; with `atLeast` there are at least so many."""

    items: list[CdrDayItem]
    atLeast: bool


async def cdrs(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/cdrs`: finished calls, also as CSV: that is for tokens that may export."""
    query = query_of(request, CdrsQuery)
    walk = walk_of(query, access.reader)
    store = dependencies(request).store
    if wants_csv(request):
        if Scope.EXPORT not in access.reader.scopes:
            raise ForbiddenError("this token may not export, and CSV is many calls at once")
        headers = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": "attachment; filename=calls.csv"}
        return await pages.send(request, web.StreamResponse(headers=headers), _csv(store, walk, access))
    return json_response(await _items(store, walk, query.order, access))


async def _items(store: Store, walk: CdrWalk, order: Order, access: Access) -> CdrItems:
    part = await store.cdr_part(walk)
    return {
        "items": [cdr_item(call, access.reader) for call in part.items],
        "next": None if part.next is None else cursor_of(part.next, order),
        "total": part.total,
        "filtered": part.filtered.calls,
        "atLeast": not part.filtered.exact,
    }


async def cdr_facets(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/cdrs/facets`: how many there are of which kind."""
    query = query_of(request, CdrFields)
    found = await dependencies(request).store.cdr_facets(search_of(query, access.reader))
    return json_response(_facets(found))


def _facets(found: CdrFacets) -> CdrFacetItems:
    recorded = [RecordedValue(value=value == "true", count=count) for value, count in found.counts["recorded"].items()]
    return {
        "direction": _values(found, "direction"),
        "status": _values(found, "status"),
        "recorded": recorded,
        "queue": _values(found, "queue"),
        "user": _values(found, "user"),
        "tag": _values(found, "tag"),
        "atLeast": sorted(found.bounded),
    }


def _values(found: CdrFacets, name: str) -> list[FacetValue]:
    return [FacetValue(value=value, count=count) for value, count in found.counts[name].items()]


async def cdr_days(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/cdrs/days`: on which day there are how many."""
    query = query_of(request, CdrDaysQuery)
    search = search_of(query, access.reader)
    return json_response(await _days(dependencies(request).store, search, ZoneInfo(query.zone)))


async def _days(store: Store, search: CdrSearch, zone: ZoneInfo) -> CdrDayItems:
    found = await store.cdr_days(search, zone)
    items = [CdrDayItem(day=one.day.isoformat(), calls=one.calls, recorded=one.recorded) for one in found.items]
    return {"items": items, "atLeast": not found.exact}


async def _csv(store: Store, walk: CdrWalk, access: Access) -> AsyncIterator[bytes]:
    """All that is found: of however many calls only a part is in memory."""
    yield csv_line(_COLUMNS)
    walk = replace(walk, limit=_PART, counted=False)
    while True:
        part = await store.cdr_part(walk)
        for call in part.items:
            yield csv_line(_cells(cdr_item(call, access.reader)))
        if part.next is None:
            return
        walk = replace(walk, place=part.next)


def _cells(item: CdrItem) -> list[object]:
    """One call, in the order of _COLUMNS."""
    source, destination = item["source"], item["destination"]
    return [
        item["id"],
        _time(item["startedAt"]),
        _time(item["answeredAt"]),
        _time(item["endedAt"]),
        item["talkedS"],
        item["direction"],
        item["status"],
        *(source["number"], source["name"], source["identity"]),
        *(destination["number"], destination["name"], destination["identity"]),
        item["dialed"],
        item["queue"],
        ";".join(item["participants"]),
        item["sections"],
        item["recordedS"],
        ";".join(item["tags"]),
        item["callId"],
    ]


def _time(at_ms: int | None) -> str:
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


_PATH = "/api/v1/cdrs"
OPERATIONS = (
    Operation(
        "GET",
        _PATH,
        cdrs,
        "Finished calls: search, filters, and a list that goes on after a cursor; CSV needs the scope export",
        {200: (CdrItems, MediaType("text/csv"))},
        CdrsQuery,
        errors=(403,),
        headers=("Accept",),
    ),
    Operation(
        "GET", f"{_PATH}/facets", cdr_facets, "How many finished calls of which kind", {200: CdrFacetItems}, CdrFields
    ),
    Operation("GET", f"{_PATH}/days", cdr_days, "How many finished calls a day", {200: CdrDayItems}, CdrDaysQuery),
)
