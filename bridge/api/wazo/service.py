"""What Wazo's clients ask of a service itself: whether it is there, how it is, and how it is set up."""

from aiohttp import web

from bridge.api.answers import json_response
from bridge.api.auth import Access
from bridge.api.dependencies import dependencies
from bridge.api.wazo.access import needs_admin


async def reachable(request: web.Request) -> web.StreamResponse:  # noqa: ARG001  # aiohttp's shape
    """`HEAD /1.0` and the like: the clients' `is_server_reachable`."""
    return web.Response()


async def status(request: web.Request, access: Access) -> web.StreamResponse:  # noqa: ARG001  # a handler's shape
    """`GET /1.0/status`: wazo-call-logd's parts, each `ok` or `fail`.

    Its bus is our connection to Asterisk, its task queue whatever else keeps us from our work, its service token ours
    as long as anybody's token can be looked up at all.
    """
    codes = {reason.code for reason in dependencies(request).not_ready()}
    of_asterisk = {code for code in codes if code.startswith("asterisk-")}
    return json_response(
        {
            "bus_consumer": {"status": "fail" if of_asterisk else "ok"},
            "task_queue": {"status": "fail" if codes - of_asterisk else "ok"},
            "service_token": {"status": "ok"},
        }
    )


async def config(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.0/config`, admins alone: what of our configuration has a name in wazo-call-logd's. No secrets."""
    needs_admin(access, "call-logd.config.read")
    deps = dependencies(request)
    return json_response({"debug": False, "tenant_uuid": str(deps.tenant_uuid), "systemname": deps.systemname})
