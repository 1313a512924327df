"""What happens, as it happens: server-sent events and WebSocket, from a cursor on.

https://html.spec.whatwg.org/multipage/server-sent-events.html: an `id:` line without data moves the client's
Last-Event-ID and is no event. So a client that sees little still comes back with a young cursor.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Literal

import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import Field

from bridge.api.answers import ForbiddenError, InvalidFieldsError, RequestError, json_text
from bridge.api.auth import Access
from bridge.api.cross_site import is_own
from bridge.api.dependencies import FactStream, dependencies
from bridge.api.operations import MediaType, Operation
from bridge.api.pascom.commands import Asker, answered
from bridge.api.pascom.subscriptions import Subscriptions
from bridge.api.pascom.xml import MOST_BYTES, to_text
from bridge.api.validation import Fields, query_of
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber
from bridge.core.records import NumberedFact
from bridge.core.views import Json, sees_fact, stream_item

log = structlog.get_logger()

_HEARTBEAT_S = 30.0
_WRITE_S = 30
_RETRY_MS = 2000
_MOST_COMMANDS = 8

Cursor = Annotated[int, Field(ge=0, le=2**63 - 1)]


class StreamQuery(Fields):
    """After which fact the stream begins; without it with what comes from now on."""

    after: Cursor | None = None


class WsQuery(Fields):
    """After which fact the stream begins; without it with what comes from now on. How events are written."""

    since: Cursor | None = None
    format: Literal["json", "xml"] = "json"


KEEPALIVE_S = web.AppKey("keepalive_s", float)


async def stream(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/stream`: server-sent events. `Last-Event-ID` counts over `?after=`; 410 for a cursor too old."""
    after = _after(request)
    async with dependencies(request).hub.subscribe(after) as facts:
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await _write(response, f"retry: {_RETRY_MS}\nid: {facts.cursor}\n\n")
        async for seen in _visible(facts, access, request.app[KEEPALIVE_S]):
            if seen:
                await _write(response, "".join(_event(item) for _, item in seen))
            else:
                await _write(response, f": keepalive\nid: {facts.cursor}\n\n")
        if not (facts.cut or await access.ended()):
            # So that the client comes back with the youngest cursor; one that is too slow takes nothing, and what
            # happened behind its token's end it was not told.
            await _write(response, f": end\nid: {facts.cursor}\n\n")
        await response.write_eof()
    return response


async def ws(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/ws`: the same as WebSocket messages, one JSON object each.

    A text frame that begins with `<` is one of pascom's commands (`bridge.api.pascom`), and answered by one. They are
    answered in order; while 8 wait no more is read. Other frames are not listened to; one of more than 64 KiB closes
    with 1009. Events are XML with `?format=xml`, or once the client has said by a command which it wants.

    Closes with 1008 when the token expires or is ended, 1013 when the client was too slow, 1001 when we end; its reason
    then is `since=<cursor>`, with which to come back.
    """
    _check_origin(request)
    query = query_of(request, WsQuery)
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, max_msg_size=MOST_BYTES)
    if not socket.can_prepare(request):
        raise RequestError("this path speaks WebSocket alone")
    async with dependencies(request).hub.subscribe(None if query.since is None else FactNumber(query.since)) as facts:
        await socket.prepare(request)
        talk = _Talk(socket, request, access, Subscriptions(xml=query.format == "xml"))
        tasks = [
            asyncio.create_task(talk.answer(), name="ws-answers"),
            asyncio.create_task(talk.tell(facts, request.app[KEEPALIVE_S]), name="ws-sender"),
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
        if await access.ended():
            code, why = WSCloseCode.POLICY_VIOLATION, b"the token is over"
        elif facts.cut:
            code, why = WSCloseCode.TRY_AGAIN_LATER, b"too slow"
        else:
            code, why = WSCloseCode.GOING_AWAY, f"since={facts.cursor}".encode()
        await socket.close(code=code, message=why)
    return socket


class _Talk:
    """What is said on one WebSocket: events, and answers to commands."""

    def __init__(
        self, socket: web.WebSocketResponse, request: web.Request, access: Access, subscriptions: Subscriptions
    ) -> None:
        self._socket = socket
        self._asker = Asker(request, access, subscriptions)
        self._subscriptions = subscriptions
        self._commands: asyncio.Queue[str | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_MOST_COMMANDS)
        self._turn = asyncio.Lock()
        """Whoever holds it sends. It is given on in order: behind the answer that says which events are wanted, none
        of the others comes."""

    async def answer(self) -> None:
        """Answer commands, one by one, until the client has gone or its token is over. Raises ConnectionError."""
        access = self._asker.access
        listening = asyncio.create_task(self._listen(), name="ws-reader")
        try:
            while (document := await self._commands.get()) is not None and not await access.ended():
                async with answered(self._asker, document) as answers, self._turn:
                    for answer in answers:
                        await self._send(to_text(answer))
                self._room.release()
        finally:
            listening.cancel()
            (ended,) = await asyncio.gather(listening, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _listen(self) -> None:
        """Take commands in. With too many that wait nothing more is read, and the client's own buffers fill up."""
        try:
            async for frame in self._socket:
                document = frame.data.lstrip() if frame.type is WSMsgType.TEXT else ""
                if document.startswith("<"):
                    await self._room.acquire()
                    self._commands.put_nowait(document)
        finally:
            self._commands.put_nowait(None)

    async def tell(self, facts: FactStream, keepalive_s: float) -> None:
        """Send events until the stream ends. Raises ConnectionError."""
        access = self._asker.access
        async for seen in _visible(facts, access, keepalive_s):
            for numbered, item in seen:
                async with self._turn:
                    if access.over:  # a slow client takes its time
                        return
                    text = self._written(numbered, item)
                    if text is not None:
                        await self._send(text)

    def _written(self, numbered: NumberedFact, item: Json) -> str | None:
        reader = self._asker.access.reader
        if not sees_fact(numbered.fact, reader):  # any more: it has waited for a slow client
            return None
        if not self._subscriptions.as_xml:
            return json_text(item)
        message = self._subscriptions.message(numbered, item, reader)
        return None if message is None else to_text(message)

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(_WRITE_S):
                await self._socket.send_str(text)
        except TimeoutError as error:
            raise ConnectionResetError("the client takes nothing") from error


async def _visible(
    facts: FactStream, access: Access, keepalive_s: float
) -> AsyncIterator[list[tuple[NumberedFact, Json]]]:
    """What this reader may see, and as what, a batch at a time; an empty list where nothing came for so long.

    Ends with the stream, with the token (one that was ended after as much time as a stream may be silent), or when the
    database cannot be asked (the client comes back for the rest).
    """
    loop = asyncio.get_running_loop()
    quiet_until = look_at = loop.time() + keepalive_s
    while True:
        batch: Sequence[NumberedFact] = ()
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
        if access.over:
            return
        if loop.time() >= look_at:
            if await access.ended():
                return
            look_at = loop.time() + keepalive_s
        reader = access.reader
        seen = [(fact, item) for fact in batch if (item := stream_item(fact, reader)) is not None]
        if seen or loop.time() >= quiet_until:
            yield seen
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


def _check_origin(request: web.Request) -> None:
    """A page of another site can open a WebSocket, and says from where. Other clients send no Origin."""
    origin = request.headers.get("Origin")
    if origin is not None and not is_own(origin, request, dependencies(request).trusted_proxies):
        raise ForbiddenError("this page may not open a WebSocket here", origin=origin)


OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/stream",
        stream,
        "What happens, as server-sent events",
        {200: MediaType("text/event-stream")},
        StreamQuery,
        errors=(410,),
        head=False,
        headers=("Last-Event-ID",),
    ),
    Operation(
        "GET",
        "/api/v1/ws",
        ws,
        "What happens, over a WebSocket",
        {101: None},
        WsQuery,
        errors=(403, 410),
        head=False,
    ),
)
