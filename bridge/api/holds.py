"""Legal holds, as `recbridge hold` sets and releases them. For admins alone."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from aiohttp import web
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from bridge.api.answers import NotFoundError, RequestError, json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.operations import Operation
from bridge.api.validation import Fields, Nothing, body_of, query_of
from bridge.core.call_details import Holding
from bridge.core.ids import CallId, Identity, RecordId
from bridge.core.retention import Hold, Target
from bridge.core.views import epoch_ms

_PATH = "/api/v1/holds"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""

_Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Why = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\S")]
_Time = Annotated[int, Field(ge=0, le=_LATEST_MS)]


class NewHold(Fields):
    """What is to be held: all that is given has to fit, one at least. `number` as in rules, patterns too."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    call_id: _Text | None = None
    record_id: _Text | None = None
    number: _Text | None = None
    identity: _Text | None = None
    since: Annotated[_Time | None, Field(alias="from")] = None
    until: _Time | None = None
    why: _Why


class Release(Fields):
    """Why it is released."""

    why: _Why


class HoldsQuery(Fields):
    """`all`: those that were released, too."""

    all: bool = False


HoldItem = TypedDict(
    "HoldItem",
    {
        "id": str,
        "callId": str | None,
        "recordId": str | None,
        "number": str | None,
        "identity": str | None,
        "from": int | None,
        "until": int | None,
        "who": str,
        "why": str,
        "setAt": int,
        "releasedAt": int | None,
        "releasedBy": str,
        "releasedWhy": str,
    },
)
"""A legal hold: what it covers, who set it and why, and who released it, if somebody did."""


class HoldItems(TypedDict):
    """Oldest first."""

    items: list[HoldItem]


class NothingToHoldError(RequestError):
    """The target is empty, or no time is within it."""

    code = "nothing-to-hold"


class HoldReleasedError(RequestError):
    """The hold was released before."""

    status = 409
    code = "hold-released"


async def all_holds(request: web.Request, access: Access) -> web.StreamResponse:  # noqa: ARG001  # a handler's shape
    """`GET /api/v1/holds`: those in force."""
    query = query_of(request, HoldsQuery)
    found = await _offered(dependencies(request)).holds()
    items: HoldItems = {"items": [hold_item(one) for one in found if query.all or one.released_at is None]}
    return json_response(items)


async def new_hold(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/holds`: 201; from now on nothing that it covers is deleted, what will be recorded neither."""
    query_of(request, Nothing)
    body = await body_of(request, NewHold)
    deps = dependencies(request)
    target = Target(
        call_id=None if body.call_id is None else CallId(body.call_id),
        record_id=None if body.record_id is None else RecordId(body.record_id),
        number=body.number,
        identity=None if body.identity is None else Identity(body.identity),
        since=_time(body.since),
        until=_time(body.until),
    )
    if target.is_empty:
        raise NothingToHoldError("say what should be held: callId, recordId, number, identity, from or until")
    if target.since is not None and target.until is not None and target.since >= target.until:
        raise NothingToHoldError("from has to be before until")
    hold = Hold(secrets.token_hex(4), target, access.reader.identity, body.why, deps.clock())
    await _offered(deps).put(hold)
    return json_response(hold_item(hold), status=201)


async def release(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/holds/{hold}/release`: it stays on the list, as released."""
    query_of(request, Nothing)
    body = await body_of(request, Release)
    deps = dependencies(request)
    holding, hold_id = _offered(deps), request.match_info["hold"]
    hold = next((one for one in await holding.holds() if one.id == hold_id), None)
    if hold is None:
        raise NotFoundError("there is no such hold")
    if hold.released_at is not None:
        raise HoldReleasedError("this hold was released already", releasedAt=epoch_ms(hold.released_at))
    released = replace(hold, released_at=deps.clock(), released_by=access.reader.identity, released_why=body.why)
    await holding.put(released)
    return json_response(hold_item(released))


def hold_item(hold: Hold) -> HoldItem:
    """A hold as JSON."""
    target = hold.target
    return {
        "id": hold.id,
        "callId": target.call_id,
        "recordId": target.record_id,
        "number": target.number,
        "identity": target.identity,
        "from": None if target.since is None else epoch_ms(target.since),
        "until": None if target.until is None else epoch_ms(target.until),
        "who": hold.who,
        "why": hold.why,
        "setAt": epoch_ms(hold.set_at),
        "releasedAt": None if hold.released_at is None else epoch_ms(hold.released_at),
        "releasedBy": hold.released_by,
        "releasedWhy": hold.released_why,
    }


def _time(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else _EPOCH + timedelta(milliseconds=at_ms)


def _offered(deps: Dependencies) -> Holding:
    if deps.holding is None:
        raise NotFoundError("no holds are set here")
    return deps.holding


OPERATIONS = (
    Operation("GET", _PATH, all_holds, "Legal holds", {200: HoldItems}, query=HoldsQuery, admin=True),
    Operation("POST", _PATH, new_hold, "Set a legal hold", {201: HoldItem}, body=NewHold, admin=True),
    Operation(
        "POST",
        f"{_PATH}/{{hold}}/release",
        release,
        "Release a legal hold",
        {200: HoldItem},
        body=Release,
        errors=(409,),
        admin=True,
    ),
)
