"""What every request walks through: access log, error bodies, security headers."""

import http
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

import structlog
from aiohttp import HttpVersion11, web

from bridge.api.addresses import client_address
from bridge.api.answers import NotFoundError, RequestError, error_body, json_response
from bridge.api.dependencies import dependencies
from bridge.api.http_numbers import HTTP
from bridge.api.wazo.errors import in_wazo_words, is_wazo
from bridge.core.errors import (
    ControlError,
    CursorGoneError,
    ForbiddenControlError,
    NotConfirmedError,
    StoreError,
    TooManyCommandsError,
    TooManyStreamsError,
    UnknownChannelError,
)

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_TOKEN = re.compile(r"rb_[0-9a-f]{16}")

_GONE = 499
"""As nginx logs it: the client went away, or the server stopped, before there was an answer."""


@dataclass(slots=True)
class _Progress:
    """How far a request is: `response` is the answer that has begun."""

    request_id: str
    response: web.StreamResponse | None = None


_PROGRESS: ContextVar[_Progress | None] = ContextVar("progress", default=None)
"""Of this task's request: aiohttp runs each in a task of its own."""


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001  # aiohttp's shape
    """Headers of every answer, also of one that no handler made; what a handler set itself stays."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "recbridge"  # aiohttp has put its own and Python's version there
    progress = _PROGRESS.get()
    if progress is not None:
        progress.response = response
        response.headers["X-Request-Id"] = progress.request_id


def _shown(raw_path: str) -> str:
    """A path as the log may have it, still percent-encoded (no line breaks): tokens stand in some of Wazo's, and a tag
    is what somebody wrote about a call."""
    shown: list[str] = []
    before = ""
    for segment in raw_path.split("/"):
        plain = unquote(segment)
        shown.append("…" if segment and (before in {"token", "tags"} or _TOKEN.search(plain)) else segment)
        before = plain
    return "/".join(shown)


@web.middleware
async def log_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line for each request. Never its query string or headers: tokens and tickets travel there, nor a token."""
    progress = _Progress(secrets.token_hex(8))
    _PROGRESS.set(progress)
    began = time.monotonic()
    status = _GONE
    response: web.StreamResponse | None = None
    with structlog.contextvars.bound_contextvars(request_id=progress.request_id):
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            duration_s = time.monotonic() - began
            request.app[HTTP].count(request, response, status, duration_s)
            log.info(
                "request",
                method=request.method,
                path=_shown(request.rel_url.raw_path),
                status=status,
                remote=client_address(request, dependencies(request).trusted_proxies),
                duration_ms=round(duration_s * 1000, 1),
            )


@web.middleware
async def error_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into the one error body; an answer that has begun is broken off."""
    try:
        return await handler(request)
    except Exception as error:
        progress = _PROGRESS.get()
        begun = progress.response if progress is not None else None
        if begun is None and not isinstance(error, ConnectionError):
            now = dependencies(request).clock()
            slash = isinstance(error, web.HTTPNotFound) and request.path.endswith("/")
            wrong = NotFoundError("there is nothing at this path: none ends with a slash") if slash else error
            answer = error_response(wrong, now)
            return in_wazo_words(answer, now) if is_wazo(request.path) else answer
        if not isinstance(error, ConnectionError):
            log.error("answer-broken-off", exc_info=error)
        if request.transport is not None:
            request.transport.abort()
        # Nobody gets it any more; aiohttp would log as an error what is only a client that has gone.
        return begun if begun is not None else web.Response(status=_GONE)


def _from_aiohttp(error: web.HTTPException, now: datetime) -> web.Response:
    status = http.HTTPStatus(error.status)
    code, message = {
        404: ("not-found", "there is nothing at this path"),
        405: ("method-not-allowed", "this path does not take this method"),
        413: ("body-too-large", "the request's body is too large"),
    }.get(error.status, (status.phrase.lower().replace(" ", "-"), status.description or status.phrase))
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return json_response(error_body(code, message, {}, now), status=error.status, headers=headers)


def error_response(error: Exception, now: datetime) -> web.Response:
    """The answer to a request that ended with this error; what is nobody's mistake but ours is logged."""
    match error:
        case web.HTTPException():
            return _from_aiohttp(error, now)
        case RequestError():
            body = error_body(error.code, error.message, error.details, now)
            return json_response(body, status=error.status, headers=error.headers)
        case CursorGoneError():
            return json_response(error_body(error.code, error.message, error.details, now), status=410)
        case TooManyStreamsError():
            body = error_body(error.code, error.message, {}, now)
            return json_response(body, status=503, headers={"Retry-After": "10"})
        case TooManyCommandsError():
            body = error_body(error.code, error.message, {}, now)
            return json_response(body, status=503, headers={"Retry-After": "10"})
        case ControlError():
            return json_response(error_body(error.code, error.message, error.details, now), status=_status(error))
        case StoreError():
            # Its own words name files of this machine: they are for the log.
            log.error("request-without-database", reason=error.message)
            body = error_body(error.code, "the database cannot be asked at the moment", {}, now)
            return json_response(body, status=503, headers={"Retry-After": "10"})
        case _:
            log.error("internal-error", exc_info=error)
            body = error_body("internal-error", "something went wrong here, and the log says what", {}, now)
            return json_response(body, status=500)


def _status(error: ControlError) -> int:
    match error:
        case UnknownChannelError():
            return 404
        case ForbiddenControlError():
            return 403
        case NotConfirmedError():
            return 504
        case _:
            return 409


async def expected(request: web.Request) -> None:
    """Ask for the body where a client waits for that; another Expect may be ignored (RFC 9110, 10.1.1).

    aiohttp's own answers it outside of all middlewares, and fails over one that is no UTF-8.
    """
    if request.version >= HttpVersion11 and request.headers["Expect"].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


async def nothing_here(request: web.Request) -> web.StreamResponse:
    """For every path and method that nobody has. A route, so that `expected` holds here too. Raises 404 or 405."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        found, methods = await resource.resolve(request)
        if found is None:
            allowed |= methods
    if allowed:
        raise web.HTTPMethodNotAllowed(request.method, allowed)
    raise web.HTTPNotFound


class _IntoOurs(logging.Handler):
    """Says in our log what aiohttp says in its own: of an error the kind alone, as what came in may hold a token."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        error = record.exc_info[0] if record.exc_info else None
        log.log(record.levelno, "http", problem=record.getMessage(), error=error.__name__ if error else None)


SERVER_LOG = logging.getLogger("bridge.api.server")
"""Where aiohttp says what no handler saw, as bytes that are no HTTP."""
SERVER_LOG.propagate = False
SERVER_LOG.addHandler(_IntoOurs())
