"""Coverage: of every finished call how much was recorded by which rule, and why not the rest."""

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.api.answers import InvalidFieldsError, json_response
from bridge.api.auth import Access
from bridge.api.dependencies import dependencies
from bridge.api.operations import Operation
from bridge.api.validation import Fields, query_of
from bridge.core.coverage import CallCoverage, Tally
from bridge.core.covered import coverage_item, coverage_totals, covered
from bridge.core.views import epoch_ms

_DAY = timedelta(days=1)
_LONGEST = timedelta(days=31)
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


_MOMENTS = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": "^[0-9]{1,14}$"}]}

Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_MOMENTS)]


class CoverageQuery(Fields):
    """Calls that ended from `from` to before `until`: without `until` until now, without `from` a day before it."""

    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0


async def coverage(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/coverage`: `{"from", "until", "total", "totals", "items"}`, newest first.

    Of the calls that the reader took part in, or may look over; `total` and `totals` are of them all, not of the page.
    """
    query = query_of(request, CoverageQuery)
    deps = dependencies(request)
    until = query.until or deps.clock()
    try:
        since = query.since or until - _DAY
    except OverflowError:
        since = until
    if since > until:
        raise InvalidFieldsError("the query is not as it should be", {"from": "it is after `until`"})
    if until - since > _LONGEST:
        words = f"at most {_LONGEST.days} days at once: `recbridge coverage` has no bound"
        raise InvalidFieldsError("the query is not as it should be", {"from": words})
    sums = Tally()
    newest: deque[CallCoverage] = deque(maxlen=query.offset + query.limit)
    async for call in covered(deps.store, since, until):
        if access.reader.sees(call.cdr.participants):
            sums.add(call)
            newest.append(call)
    page = list(reversed(newest))[query.offset :]
    return json_response(
        {
            "from": epoch_ms(since),
            "until": epoch_ms(until),
            "total": sums.all.calls,
            "totals": coverage_totals(sums),
            "items": [coverage_item(call) for call in page],
        }
    )


OPERATIONS = (
    Operation(
        "GET", "/api/v1/coverage", coverage, "How much was recorded, and why not", {200: dict[str, Any]}, CoverageQuery
    ),
)
