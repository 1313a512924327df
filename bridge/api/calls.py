"""The calls that go on now."""

from aiohttp import web

from bridge.api.answers import json_response
from bridge.api.auth import Access
from bridge.api.dependencies import dependencies
from bridge.api.operations import Operation
from bridge.api.validation import Nothing, query_of
from bridge.core.views import CallItems, call_item


async def calls(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/calls`: `{"items": […]}`, oldest first."""
    query_of(request, Nothing)
    reader = access.reader
    running = dependencies(request).live.calls_now()
    return json_response({"items": [call_item(call, reader) for call in running if reader.sees(call.audience)]})


OPERATIONS = (Operation("GET", "/api/v1/calls", calls, "The calls that go on now", {200: CallItems}),)
