"""A small AMI client for the tests: an instrument of its own, so that a defect of the product cannot hide in it."""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

# A repeated header's values are joined by newlines.
Message = dict[str, str]
Predicate = Callable[[Message], bool]
HISTORY = 200_000  # events kept; the oldest go first


class AmiError(Exception):
    """Asterisk refused an action, the connection ended, or a deadline passed."""


def parse(block: bytes) -> Message:
    """One AMI message, without its blank line, as a dict; lines without a colon are left out."""
    message: Message = {}
    for line in block.decode("utf-8", "surrogateescape").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            value = value.removeprefix(" ")
            message[name] = f"{message[name]}\n{value}" if name in message else value
    return message


class Ami:
    """One logged-in connection; use it as `async with await Ami.connect(…)`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._responses: dict[str, asyncio.Future[Message]] = {}
        self._lists: dict[str, tuple[list[Message], asyncio.Future[list[Message]]]] = {}
        self._waiting: list[tuple[Predicate, asyncio.Future[Message]]] = []
        self._events: deque[Message] = deque(maxlen=HISTORY)
        self._seen = 0
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, port: int, username: str, secret: str, *, deadline_s: float = 10) -> Self:
        """Connect to 127.0.0.1 and log in with all events on; AmiError where that fails."""
        async with asyncio.timeout(deadline_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
            await reader.readuntil(b"\r\n")  # the banner
        ami = cls(reader, writer)
        ami._task = asyncio.create_task(ami._read(), name=f"ami {username}@{port}")
        try:
            await ami.action("Login", Username=username, Secret=secret, deadline_s=deadline_s)
        except BaseException:
            await ami.close()
            raise
        return ami

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; what still waits fails with AmiError."""
        self._writer.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def action(self, name: str, *, deadline_s: float = 10, **headers: str) -> Message:
        """Send an action and return its response; AmiError where it is refused."""
        return await self._send(name, f"test-{next(self._ids)}", deadline_s, headers)

    async def listing(self, name: str, *, deadline_s: float = 10, **headers: str) -> list[Message]:
        """Send an action that answers with a list, and return the list's items."""
        action_id = f"test-{next(self._ids)}"
        done: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        self._lists[action_id] = ([], done)
        try:
            await self._send(name, action_id, deadline_s, headers)
            async with asyncio.timeout(deadline_s):
                return await done
        except TimeoutError:
            raise AmiError(f"the list of {name} did not end in {deadline_s} s") from None
        finally:
            del self._lists[action_id]

    @property
    def mark(self) -> int:
        """Where the events stand now: `since` of `wait_for` and `events`."""
        return self._seen

    def events(self, since: int = 0) -> list[Message]:
        """The events that came after the mark `since` (of the connection's whole life, up to HISTORY)."""
        dropped = self._seen - len(self._events)
        return list(itertools.islice(self._events, max(0, since - dropped), None))

    async def wait_for(self, predicate: Predicate, *, deadline_s: float = 20, since: int = 0) -> Message:
        """The first event after the mark that fulfils the predicate, whether it has come already or not.

        AmiError at the deadline, with the names of the events that came instead, or when the connection ends.
        """
        for event in self.events(since):
            if predicate(event):
                return event
        waiting: tuple[Predicate, asyncio.Future[Message]] = (predicate, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(deadline_s):
                return await waiting[1]
        except TimeoutError:
            names = " ".join(event["Event"] for event in self.events(since)[-40:])
            raise AmiError(f"no such event in {deadline_s} s; there were: {names}") from None
        finally:
            self._waiting.remove(waiting)

    async def _send(self, name: str, action_id: str, deadline_s: float, headers: dict[str, str]) -> Message:
        response: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._responses[action_id] = response
        lines = {"Action": name, "ActionID": action_id, **headers}
        if any("\r" in value or "\n" in value for value in lines.values()):
            raise AmiError(f"a line break in {lines}")
        self._writer.write("".join(f"{key}: {value}\r\n" for key, value in lines.items()).encode() + b"\r\n")
        try:
            async with asyncio.timeout(deadline_s):
                message = await response
        except TimeoutError:
            raise AmiError(f"no response to {name} in {deadline_s} s") from None
        finally:
            del self._responses[action_id]
        if message["Response"] == "Error":
            raise AmiError(f"{name}: {message.get('Message', 'refused')}")
        return message

    async def _read(self) -> None:
        reason = "Asterisk closed the connection"
        try:
            while True:
                self._take(parse((await self._reader.readuntil(b"\r\n\r\n"))[:-4]))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            reason = f"{reason}: {error!r}"
        finally:
            waiting = [future for _, future in self._waiting] + [future for _, future in self._lists.values()]
            for future in (*self._responses.values(), *waiting):
                if not future.done():
                    future.set_exception(AmiError(reason))

    def _take(self, message: Message) -> None:
        action_id = message.get("ActionID", "")
        if "Event" not in message:  # OriginateResponse is an event with a Response in it
            response = self._responses.get(action_id)
            if response is not None and not response.done():
                response.set_result(message)
            return
        if action_id in self._lists:
            items, done = self._lists[action_id]
            if message.get("EventList") != "Complete":
                items.append(message)
            elif not done.done():
                done.set_result(items)
            return
        self._seen += 1
        self._events.append(message)
        for predicate, future in self._waiting:
            if not future.done() and predicate(message):
                future.set_result(message)
