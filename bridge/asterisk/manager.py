"""panoramisk, and what of it is replaced: the only module that imports it.

One `AmiManager` is one connection. When that is gone the object is done, so nothing can be replayed; who wants another
connection makes another object (`bridge.asterisk.connection`). panoramisk keeps the pending actions and finds the one
that a message answers; framing, decoding, sending, deadlines and the connection's end are ours.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from bridge.asterisk.torn import is_torn, mended
from bridge.asterisk.wire import Fields, FrameBuffer, RawMessage, encode_action
from bridge.core.errors import (
    AsteriskError,
    AsteriskRefusedError,
    AsteriskTimeoutError,
    AsteriskUnreachableError,
    LoginRefusedError,
    TornMessageError,
)

log = structlog.get_logger()

_ITEM = re.compile(rb"Event: [^\r]*\r\nActionID: ([^\r]*)")

Listener = Callable[[RawMessage], None]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one action: Asterisk's own words in `message`."""

    success: bool
    message: str
    raw: RawMessage

    def header(self, name: str) -> str:
        """The first value of a header, or ''."""
        return self.raw.header(name)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header that repeats."""
        return self.raw.all(name)


class _Action(Action):  # type: ignore[misc]  # panoramisk has no types
    """Complete when Asterisk says so; panoramisk guesses it from words like `will follow`."""

    def add_message(self, message: RawMessage) -> bool:
        """Take one message of the answer; True when it was the last."""
        self.responses.append(message)
        event_list = message.header("EventList").lower()
        if self.as_list and (event_list == "start" or (len(self.responses) > 1 and event_list == "")):
            return False
        if not self.future.done():
            self.future.set_result(self.responses)
        return True


class AmiProtocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """Bytes to messages. Events go by name straight to their one listener, answers to panoramisk."""

    closed: bool
    responses: dict[str, _Action]

    def __init__(self, manager: "AmiManager", clock: Clock) -> None:
        super().__init__()
        self._manager = manager
        self._clock = clock
        self.frames = FrameBuffer()
        self._held: bytes | None = None
        self._status: bytes | None = None
        self._pieces: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        super().connection_made(transport)
        self.factory = self._manager

    def send(self, data: Action, as_list: bool = False) -> "asyncio.Future[list[RawMessage]]":
        """Send an action. Raises InvalidAmiValueError or AsteriskUnreachableError, and then nothing was sent."""
        fields = {name: value for name, value in data.items() if name not in ("Action", "ActionID")}
        wire = encode_action(data["Action"], data.id, fields)
        if self.closed:
            raise AsteriskUnreachableError("the connection to Asterisk is gone")
        data.as_list = as_list
        self.responses[data.id] = data
        self.transport.write(wire)
        future: asyncio.Future[list[RawMessage]] = data.future
        return future

    def data_received(self, data: bytes) -> None:
        """Hand on every message that is whole now."""
        try:
            blocks = self.frames.feed(data)
        except AsteriskError as error:
            self._manager.drop(error)
            return
        now = self._clock()
        listeners = self._manager.listeners
        for block in blocks:
            if self._status is not None:
                if self._of_status(block):
                    self.handle_message(RawMessage(block, now))
                continue
            if self._held is not None and self._of_a_torn_item(block):
                continue
            if self._item_id(block) is not None and is_torn(block):
                self._held = block
                continue
            if block.startswith(b"Event: "):
                if is_torn(block):
                    self._manager.torn(RawMessage(block, now))
                    return
                end = block.find(b"\r\n", 7)
                listener = listeners.get(block[7:end] if end >= 0 else block[7:])
                if listener is not None:
                    try:
                        listener(RawMessage(block, now))
                    except Exception:
                        # One event less is better than the connection less.
                        log.exception("asterisk-event-listener-failed", event_head=repr(block[:60]))
                    if self.closed:
                        return
                    continue
            self.handle_message(RawMessage(block.lstrip(b"\r\n"), now))

    def _of_status(self, block: bytes) -> bool:
        """Whether a message is of the Status list that is being written; its items have lines of their own order.

        Asterisk writes a list in one go (seen on 22.10): whatever else comes meanwhile a caller wrote into an item.
        """
        mine = b"\r\nActionID: " + (self._status or b"") + b"\r\n"
        if mine not in block + b"\r\n" or not block.startswith(b"Event: Status"):
            return False
        if b"\r\nEventList: Complete" in block:
            self._status = None
        return True

    def _item_id(self, block: bytes) -> bytes | None:
        """The ActionID of an item of a list that somebody waits for; it stands right behind the event's name."""
        found = _ITEM.match(block) if self.responses else None
        return found[1] if found is not None and found[1].decode("utf-8", "replace") in self.responses else None

    def _of_a_torn_item(self, block: bytes) -> bool:
        """Take what belongs to a list's item that a caller tore apart; False for the message after it.

        Asterisk writes a list in one go, so what has no ActionID of ours in it is no event.
        """
        if self._item_id(block) is None and not block.startswith(b"Response: "):
            self._pieces.append(block)
            return True
        held, pieces = self._held, self._pieces
        self._held, self._pieces = None, []
        whole = mended(held, pieces or [held]) if held is not None else None
        if whole is not None:
            self.handle_message(RawMessage(whole, self._clock()))
        else:
            log.warning("asterisk-list-item-torn", item_head=repr((held or b"")[:200]))
        return False

    def handle_message(self, message: RawMessage) -> None:
        """An answer, or an item of one; panoramisk finds whose."""
        if self.responses and message.id in self.responses:
            if message.header("EventList") == "start" and self.responses[message.id]["Action"] == "Status":
                self._status = message.id.encode()
            super().handle_message(message)
        elif message.header("Response"):
            # Nobody waits for it any more: its deadline is over.
            log.warning(
                "asterisk-answered-late", response=message.header("Response"), message=message.header("Message")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, whoever closed it."""
        self._manager.connection_lost(exc)

    def close(self) -> None:
        """Close at once, without waiting for a peer that no longer reads, and fail what is pending."""
        if not self.closed:
            self.closed = True
            self.transport.abort()
        pending = list(self.responses.values())
        self.responses.clear()
        for action in pending:
            if not action.future.done():
                action.future.set_exception(
                    AsteriskUnreachableError(f"the connection was lost before {action['Action']} was answered")
                )


class AmiManager(Manager):  # type: ignore[misc]  # panoramisk has no types
    """One connection to one Asterisk, for its whole life. `lost` is done when it is over, with the reason."""

    protocol: AmiProtocol | None

    def __init__(self, host: str, port: int, clock: Clock = utc_now) -> None:
        self.listeners: dict[bytes, Listener] = {}
        super().__init__(host=host, port=port, forgetable_actions=(), protocol_factory=self._make_protocol)
        # Manager.__init__ registers its replay of unanswered actions.
        self.listeners.clear()
        self._clock = clock
        self._reason: AsteriskError | None = None
        self.lost: asyncio.Future[AsteriskError] = asyncio.get_running_loop().create_future()

    def _make_protocol(self) -> AmiProtocol:
        return AmiProtocol(self, self._clock)

    def register_event(self, pattern: str, callback: Listener) -> Listener:
        """Have every event of exactly this name given to `callback`, which must be quick and plain."""
        self.listeners[pattern.encode()] = callback
        return callback

    async def connect(self, deadline_s: float) -> None:
        """Open the connection. Raises AsteriskUnreachableError."""
        where = f"{self.config['host']}:{self.config['port']}"
        if self.lost.done():
            raise AsteriskUnreachableError(f"the connection to {where} was closed")
        try:
            async with asyncio.timeout(deadline_s):
                _, self.protocol = await asyncio.get_running_loop().create_connection(
                    self.config["protocol_factory"], self.config["host"], self.config["port"]
                )
        except TimeoutError:
            raise AsteriskUnreachableError(f"no connection to {where} within {deadline_s:g} s") from None
        except OSError as error:
            raise AsteriskUnreachableError(f"no connection to {where}: {error}") from None
        if self.lost.done():
            # close() came while we waited.
            self.protocol.close()
            raise AsteriskUnreachableError(f"the connection to {where} was closed")

    async def login(self, username: str, secret: str, deadline_s: float, *, events: bool = True) -> None:
        """Log in, with events or without. Raises LoginRefusedError, AsteriskTimeoutError, AsteriskUnreachableError."""
        wanted = "on" if events else "off"
        try:
            await self.action("Login", {"Username": username, "Secret": secret, "Events": wanted}, deadline_s)
        except AsteriskRefusedError as error:
            raise LoginRefusedError(error.message) from None
        except AsteriskTimeoutError:
            raise AsteriskTimeoutError(
                f"{self.config['host']}:{self.config['port']} took the connection, but did not answer a login "
                f"within {deadline_s:g} s: is that Asterisk's manager interface?"
            ) from None
        self.authenticated = True

    async def ping(self, deadline_s: float) -> None:
        """Ask for a sign of life. Raises AsteriskTimeoutError or AsteriskUnreachableError."""
        await self.action("Ping", {}, deadline_s)

    async def send_action(self, action: Any, as_list: bool = False, *, deadline_s: float) -> list[RawMessage]:
        """Send an action and give every message of its answer. Raises AsteriskTimeoutError after the deadline."""
        if self.protocol is None:
            raise AsteriskUnreachableError("there is no connection to Asterisk")
        future = self.protocol.send(action, as_list)
        try:
            async with asyncio.timeout(deadline_s):
                return await future
        except TimeoutError:
            raise AsteriskTimeoutError(f"Asterisk did not answer {action['Action']} within {deadline_s:g} s") from None
        finally:
            self.protocol.responses.pop(action.id, None)

    async def action(self, name: str, fields: Fields, deadline_s: float, *, must_succeed: bool = True) -> Response:
        """Do one action. Raises AsteriskRefusedError on an Error response, unless `must_succeed` is False."""
        messages = await self.send_action(_Action({"Action": name, **fields}), deadline_s=deadline_s)
        return _checked(name, messages[0], must_succeed=must_succeed)

    async def list_action(self, name: str, fields: Fields, deadline_s: float) -> Sequence[RawMessage]:
        """Do an action that answers with a list; the items, and last the event that completed it.

        Half a list is an AsteriskTimeoutError or AsteriskUnreachableError, never a shorter list.
        """
        messages = await self.send_action(_Action({"Action": name, **fields}), True, deadline_s=deadline_s)
        _checked(name, messages[0], must_succeed=True)
        if messages[-1].header("EventList").lower() == "cancelled":
            raise AsteriskRefusedError(f"Asterisk broke off its answer to {name}")
        return messages[1:]

    async def command(self, line: str, deadline_s: float) -> Sequence[str]:
        """Do a CLI command; its output's lines. Needs `command` in manager.conf's `write`."""
        return (await self.action("Command", {"Command": line}, deadline_s)).all("Output")

    def torn(self, message: RawMessage) -> None:
        """Close the connection at an event that a caller tore apart: the next one's snapshot says what is true."""
        name, channel = message.header("Event"), message.header("Channel")
        log.warning("asterisk-message-torn", event_name=name, channel=channel)
        words = f"a number with line breaks tore the event {name} of {channel or 'a channel'} apart"
        self.drop(TornMessageError(words, channel=channel))

    def drop(self, reason: AsteriskError) -> None:
        """Close the connection because of `reason`."""
        if self._reason is None:
            self._reason = reason
        if self.protocol is not None:
            self.protocol.close()
        if not self.lost.done():
            self.lost.set_result(self._reason)

    def close(self) -> None:
        """Close for good; calling it again does nothing."""
        self.drop(AsteriskUnreachableError("the connection was closed"))

    def expect_loss(self, reason: AsteriskError) -> None:
        """Remember why the connection is about to go."""
        self._reason = self._reason or reason

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        words = f"the connection to Asterisk broke: {exc}" if exc else "Asterisk closed the connection"
        self.drop(AsteriskUnreachableError(words))


def _checked(name: str, message: RawMessage, *, must_succeed: bool) -> Response:
    words = message.header("Message")
    response = Response(message.header("Response") in ("Success", "Follows", "Goodbye"), words, message)
    if must_succeed and not response.success:
        raise AsteriskRefusedError(words or f"Asterisk refused {name}", action=name)
    return response
