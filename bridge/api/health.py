"""For operators and load balancers: does it run, can it do its work."""

from typing import Any, NotRequired

from aiohttp import web
from typing_extensions import TypedDict

from bridge.api.answers import RequestError, error_body, json_response
from bridge.api.auth import AUTHENTICATOR
from bridge.api.dependencies import dependencies
from bridge.api.operations import Operation
from bridge.core.access import Role
from bridge.core.errors import StoreError


class Health(TypedDict):
    """It runs."""

    status: str


class Reason(TypedDict):
    """A code, and words with the remedy."""

    code: str
    message: str


class SpoolRoom(TypedDict):
    """Of the spool's disk."""

    freeBytes: int
    totalBytes: int


class Readiness(TypedDict):
    """Whether recordings are made as they should be; where not, the fields of an error stand beside."""

    ready: bool
    reasons: list[str]
    warnings: NotRequired[list[str]]
    messages: NotRequired[list[Reason]]
    spool: NotRequired[SpoolRoom]
    error_id: NotRequired[str]
    message: NotRequired[str]
    details: NotRequired[dict[str, Any]]
    timestamp: NotRequired[float]


async def health(request: web.Request) -> web.StreamResponse:  # noqa: ARG001  # aiohttp's shape
    """`GET /health`: 200 while the event loop runs."""
    return json_response({"status": "ok"})


async def ready(request: web.Request) -> web.StreamResponse:
    """`GET /ready`: `{"ready", "reasons"}`, 200 or 503; the reasons are codes.

    Where there are some, `warnings` are codes of what an admin should look at, though recordings are made. To an
    admin's token `messages` gives the words with the remedies for both, and `spool` the room on its disk.
    """
    deps = dependencies(request)
    reasons, warnings = deps.not_ready(), deps.warnings()
    body: dict[str, Any] = {}
    if reasons:
        body = error_body("not-ready", "recordings cannot be made as they should", {}, deps.clock())
    body |= {"ready": not reasons, "reasons": [reason.code for reason in reasons]}
    if warnings:
        body["warnings"] = [warning.code for warning in warnings]
    if await _is_admin(request):
        if reasons or warnings:
            body["messages"] = [{"code": one.code, "message": one.message} for one in (*reasons, *warnings)]
        space = deps.space()
        if space is not None:
            body["spool"] = {"freeBytes": space.free_bytes, "totalBytes": space.total_bytes}
    return json_response(body, status=503 if reasons else 200)


async def _is_admin(request: web.Request) -> bool:
    try:
        access = await request.app[AUTHENTICATOR].access(request)
    except (RequestError, StoreError):  # no token, a wrong one, or the database is what is not ready
        return False
    return access.token.role is Role.ADMIN


OPERATIONS = (
    Operation("GET", "/health", health, "Whether it runs", {200: Health}, public=True),
    Operation("GET", "/ready", ready, "Whether it can do its work", {200: Readiness, 503: Readiness}, public=True),
)
