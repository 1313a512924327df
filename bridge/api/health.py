"""For operators and load balancers: does it run, can it do its work."""

from aiohttp import web

from bridge.api.answers import RequestError, error_body, json_response
from bridge.api.auth import AUTHENTICATOR
from bridge.api.dependencies import dependencies
from bridge.core.access import Role
from bridge.core.errors import StoreError


async def health(request: web.Request) -> web.StreamResponse:  # noqa: ARG001  # aiohttp's shape
    """`GET /health`: 200 while the event loop runs."""
    return json_response({"status": "ok"})


async def ready(request: web.Request) -> web.StreamResponse:
    """`GET /ready`: `{"ready", "reasons"}`, 200 or 503; the reasons are codes.

    To an admin's token `messages` gives the words with the remedies.
    """
    deps = dependencies(request)
    reasons = deps.not_ready()
    if not reasons:
        return json_response({"ready": True, "reasons": []})
    body = error_body("not-ready", "recordings cannot be made as they should", {}, deps.clock())
    body |= {"ready": False, "reasons": [reason.code for reason in reasons]}
    if await _is_admin(request):
        body["messages"] = [{"code": reason.code, "message": reason.message} for reason in reasons]
    return json_response(body, status=503)


async def _is_admin(request: web.Request) -> bool:
    try:
        access = await request.app[AUTHENTICATOR].access(request)
    except (RequestError, StoreError):  # no token, a wrong one, or the database is what is not ready
        return False
    return access.token.role is Role.ADMIN
