"""`POST /api/v1/cmd`: one of pascom's commands, and its answer."""

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from aiohttp import web

from bridge.api.answers import RequestError
from bridge.api.auth import AUTHENTICATOR
from bridge.api.dependencies import dependencies
from bridge.api.operations import MediaType, Operation
from bridge.api.pascom.commands import Asker, answered, failure
from bridge.api.pascom.xml import to_text
from bridge.api.requests import error_response
from bridge.api.validation import Nothing, query_of, raw_body
from bridge.core.errors import RecbridgeError

_KEPT = ("WWW-Authenticate", "Retry-After")


async def cmd(request: web.Request) -> web.StreamResponse:
    """The body is a `<cmd>`, or an `<iq>` with one in it; so is the answer, as text/xml where the body was that.

    The status is 200, also for a base.Failure, but before it is known who asks: 401, 429, 503. Of the Content-Type
    nothing else counts; in which encoding the body is its XML declaration or byte order mark says, else it is UTF-8.
    """
    now = dependencies(request).clock()
    try:
        access = await request.app[AUTHENTICATOR].access(request)
    except RecbridgeError as error:
        refused = error_response(error, now)
        headers = {name: refused.headers[name] for name in _KEPT if name in refused.headers}
        return _response(request, failure(refused), refused.status, headers)
    try:
        query_of(request, Nothing)
        document = await raw_body(request)
    except (RequestError, web.HTTPException) as error:
        return _response(request, failure(error_response(error, now)))
    async with answered(Asker(request, access), document) as (answer, *_):
        response = _response(request, answer)
        # Written here, since the events go to the streams when the context is left.
        await response.prepare(request)
        await response.write_eof()
    return response


def _response(
    request: web.Request, answer: Element, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    kind = "text/xml" if request.content_type == "text/xml" else "application/xml"
    body = to_text(answer).encode()
    return web.Response(body=body, status=status, headers=headers, content_type=kind, charset="utf-8")


_XML = MediaType("application/xml", "text/xml")

OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/cmd",
        cmd,
        "One of pascom's commands",
        {200: _XML, 401: _XML, 429: _XML, 503: _XML},
        body=_XML,
        public=True,
        security=("bearer", "token", "session"),
        group="pascom",
    ),
)
