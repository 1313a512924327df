"""What happens, as it happens: server-sent events and WebSocket, from a cursor on.

https://html.spec.whatwg.org/multipage/server-sent-events.html: an `id:` line without data moves the client's
Last-Event-ID and is no event. So a client that sees little still comes back with a young cursor.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlsplit

import structlog
from aiohttp import WSCloseCode, web
from pydantic import Field

from bridge.api.answers import ForbiddenError, InvalidFieldsError, RequestError, json_text
from bridge.api.auth import Access
from bridge.api.dependencies import FactStream, dependencies
from bridge.api.validation import Fields, query_of
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber
from bridge.core.views import Json, stream_item

log = structlog.get_logger()

_HEARTBEAT_S = 30.0
_WRITE_S = 30
_RETRY_MS = 2000
_MOST_INCOMING = 4096

Cursor = Annotated[int, Field(ge=0, le=2**63 - 1)]


class StreamQuery(Fields):
    """After which fact the stream begins; without it with what comes from now on."""

    after: Cursor | None = None


class WsQuery(Fields):
    """After which fact the stream begins; without it with what comes from now on."""

    since: Cursor | None = None


KEEPALIVE_S = web.AppKey("keepalive_s", float)


async def stream(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/stream`: server-sent events. `Last-Event-ID` counts over `?after=`; 410 for a cursor too old."""
    after = _after(request)
    async with dependencies(request).hub.subscribe(after) as facts:
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await _write(response, f"retry: {_RETRY_MS}\nid: {facts.cursor}\n\n")
        async for items in _visible(facts, access, request.app[KEEPALIVE_S]):
            if items:
                await _write(response, "".join(_event(item) for item in items))
            else:
                await _write(response, f": keepalive\nid: {facts.cursor}\n\n")
        if not facts.cut:
            # So that the client comes back with the youngest cursor; one that is too slow takes nothing.
            await _write(response, f": end\nid: {facts.cursor}\n\n")
        await response.write_eof()
    return response


async def ws(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/ws`: the same as WebSocket messages, one JSON object each. What the client says is not listened to.

    Closes with 1008 when the token expires, 1013 when the client was too slow, 1001 when we end; its reason then is
    `since=<cursor>`, with which to come back.
    """
    _check_origin(request)
    since = query_of(request, WsQuery).since
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=_MOST_INCOMING)
    if not socket.can_prepare(request):
        raise RequestError("this path speaks WebSocket alone")
    async with dependencies(request).hub.subscribe(None if since is None else FactNumber(since)) as facts:
        await socket.prepare(request)
        tasks = [
            asyncio.create_task(_until_closed(socket), name="ws-reader"),
            asyncio.create_task(_send(socket, facts, access, request.app[KEEPALIVE_S]), name="ws-sender"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ended:
            if isinstance(end, Exception) and not isinstance(end, ConnectionError):
                raise end
        if access.over:
            code, why = WSCloseCode.POLICY_VIOLATION, b"the token has expired"
        elif facts.cut:
            code, why = WSCloseCode.TRY_AGAIN_LATER, b"too slow"
        else:
            code, why = WSCloseCode.GOING_AWAY, f"since={facts.cursor}".encode()
        await socket.close(code=code, message=why)
    return socket


async def _visible(facts: FactStream, access: Access, keepalive_s: float) -> AsyncIterator[list[Json]]:
    """What this reader may see, a batch at a time; an empty list where nothing came for so long.

    Ends with the stream, with the token, or when the database cannot be asked (the client comes back for the rest).
    """
    loop = asyncio.get_running_loop()
    quiet_until = loop.time() + keepalive_s
    while not access.over:
        items: list[Json] = []
        try:
            async with asyncio.timeout_at(quiet_until):
                batch = await anext(facts)
        except TimeoutError:
            pass
        except StopAsyncIteration:
            return
        except StoreError as error:
            log.error("stream-without-database", reason=error.message)
            return
        else:
            reader = access.reader
            items = [item for fact in batch if (item := stream_item(fact, reader)) is not None]
        if items or loop.time() >= quiet_until:
            yield items
            quiet_until = loop.time() + keepalive_s


async def _write(response: web.StreamResponse, text: str) -> None:
    try:
        async with asyncio.timeout(_WRITE_S):
            await response.write(text.encode())
    except TimeoutError as error:
        raise ConnectionResetError("the client takes nothing") from error


def _event(item: Json) -> str:
    return f"id: {item['id']}\nevent: {item['type']}\ndata: {json_text(item['data'])}\n\n"


def _after(request: web.Request) -> FactNumber | None:
    after = query_of(request, StreamQuery).after
    header = request.headers.get("Last-Event-ID", "")
    if header:
        if not (header.isascii() and header.isdigit() and len(header) <= 18):
            raise InvalidFieldsError("this is no cursor of ours", {"Last-Event-ID": "it should be a fact's number"})
        after = int(header)
    return None if after is None else FactNumber(after)


async def _until_closed(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


async def _send(socket: web.WebSocketResponse, facts: FactStream, access: Access, keepalive_s: float) -> None:
    async for items in _visible(facts, access, keepalive_s):
        for item in items:
            try:
                async with asyncio.timeout(_WRITE_S):
                    await socket.send_str(json_text(item))
            except TimeoutError as error:
                raise ConnectionResetError("the client takes nothing") from error


def _check_origin(request: web.Request) -> None:
    """A page of another site can open a WebSocket, and says from where. Other clients send no Origin."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        host = ""
    if not host or host.lower() != request.host.lower():
        raise ForbiddenError("this page may not open a WebSocket here", origin=origin)
