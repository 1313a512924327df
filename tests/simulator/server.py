"""The TCP side: banner, login, rights, filters, responses and events, as Asterisk frames them."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.network.config import BRIDGE_SECRET, BRIDGE_USER, TONES
from tests.simulator.actions import ACTIONS, RefusedError
from tests.simulator.clock import Clock
from tests.simulator.pbx import Pbx
from tests.simulator.wire import EventFilter, Headers, block, header, parse

_BANNER = b"Asterisk Call Manager/11.0.0\r\n"
# Whoever leaves so much unread is cut off, as by Asterisk's writetimeout.
_UNREAD_BYTES = 2**24
_LINE_BYTES = 1024
_HEADERS = 128


@dataclass(frozen=True, slots=True)
class User:
    """A section of manager.conf. Without `system` in `write`, MixMonitor answers `Permission denied`."""

    secret: str
    read: frozenset[str] = frozenset({"system", "call", "agent", "user", "dialplan", "cdr"})
    write: frozenset[str] = frozenset({"system", "call"})


class Simulator:
    """AMI on 127.0.0.1; an async context manager. `port` is 0 for any free one, and then tells which.

    `pbx` is where calls are acted (see `calls`); WAVs go below `spool` alone. `accounts` are the manager users, one
    with all that the daemon needs by default (without `system` where it may not record); they may be changed while it
    runs, and count from the next login. `logged_in` is set from the first login on. All time is the `clock`'s: how
    long a call lasts, and its WAV.
    """

    def __init__(
        self,
        spool: Path,
        username: str = BRIDGE_USER,
        secret: str = BRIDGE_SECRET,
        *,
        may_record: bool = True,
        accounts: Mapping[str, User] | None = None,
        port: int = 0,
        clock: Clock | None = None,
        systemname: str = "",
        tones: Mapping[str, int] = TONES,
    ) -> None:
        usual = User(secret) if may_record else User(secret, write=frozenset({"call", "reporting"}))
        self.accounts = dict(accounts or {username: usual})
        self.port = port
        self.pbx = Pbx(spool, clock=clock, systemname=systemname, tones=tones)
        self.sessions: set[Session] = set()
        self.logged_in = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self.pbx.spool.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self.sessions):
            session.cut()
        await asyncio.gather(*(session.task for session in list(self.sessions)), return_exceptions=True)
        await self.pbx.close()

    async def drained(self) -> None:
        """Return when no session has much left to read."""
        for session in list(self.sessions):
            await session.drained()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self, reader, writer)
        self.sessions.add(session)
        try:
            await session.run()
        finally:
            self.sessions.discard(session)


class Session:
    """One connection."""

    def __init__(self, simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.user: User | None = None
        self._simulator = simulator
        self._reader = reader
        self._writer = writer
        self._filters: list[EventFilter] = []
        self._events = True

    def cut(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()

    async def drained(self) -> None:
        """Return when the client has read most of what it was told, or is gone."""
        with contextlib.suppress(OSError):
            await self._writer.drain()

    async def run(self) -> None:
        """Answer actions until the client goes, or is sent away."""
        pbx = self._simulator.pbx
        pbx.listeners.append(self._tell)
        self._writer.write(_BANNER)
        try:
            while await self._act(await self._read()):
                await self._writer.drain()
        except (asyncio.IncompleteReadError, ValueError, OSError):
            pass
        finally:
            pbx.listeners.remove(self._tell)
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _read(self) -> Headers:
        """One action; ValueError for one that is longer than Asterisk takes."""
        lines: list[bytes] = []
        while line := (await self._reader.readuntil(b"\n")).rstrip(b"\r\n"):
            if len(line) > _LINE_BYTES or len(lines) == _HEADERS:
                raise ValueError("too long for Asterisk")
            lines.append(line)
        return parse(b"\n".join(lines))

    async def _act(self, action: Headers) -> bool:
        """Do one action; whether the session goes on."""
        name = header(action, "Action")
        action_id = header(action, "ActionID")
        answer_to = [("ActionID", action_id)] if action_id else []
        if name.lower() == "login":
            return self._login(action, answer_to)
        if name.lower() == "logoff":
            self._say([("Response", "Goodbye"), *answer_to, ("Message", "Thanks for all the fish.")])
            return False
        try:
            if not name:
                raise RefusedError("Missing action in request")
            if self.user is None:
                raise RefusedError("Permission denied")
            await self._do(name, action, answer_to, self.user)
        except RefusedError as error:
            self._say([("Response", "Error"), *answer_to, ("Message", str(error)), *error.headers])
        return True

    def _login(self, action: Headers, answer_to: Headers) -> bool:
        user = self._simulator.accounts.get(header(action, "Username"))
        if user is None or user.secret != header(action, "Secret"):
            self._say([("Response", "Error"), *answer_to, ("Message", "Authentication failed")])
            return False
        self._say([("Response", "Success"), *answer_to, ("Message", "Authentication accepted")])
        self.user = user
        self._simulator.logged_in.set()
        self._events = header(action, "Events").lower() not in ("off", "no", "false")
        uptime = str(int(self._simulator.pbx.clock.now() - self._simulator.pbx.booted))
        # Only this session is told; it has no Timestamp (measured).
        booted = [("Event", "FullyBooted"), ("Privilege", "system,all"), ("Uptime", uptime), ("LastReload", uptime)]
        if self._events and "system" in user.read:
            self._say([*booted, ("Status", "Fully Booted")])
        return True

    async def _do(self, name: str, action: Headers, answer_to: Headers, user: User) -> None:
        match name.lower():
            case "filter":
                self._filter(action, user)
                self._say([("Response", "Success"), *answer_to, ("Message", "Success")])
                return
            case "listcommands":
                may = [(known, each) for known, each in ACTIONS.items() if _may(user, each.classes)]
                listed = [
                    (
                        known,
                        f"{each.synopsis}  (Priv: {','.join((*each.classes, 'all')) if each.classes else '<none>'})",
                    )
                    for known, each in may
                ]
                self._say([("Response", "Success"), *answer_to, *listed])
                return
        found = next((each for known, each in ACTIONS.items() if known.lower() == name.lower()), None)
        if found is None:
            raise RefusedError(f"Invalid/unknown command: {name}. Use Action: ListCommands to show available commands.")
        if not _may(user, found.classes):
            raise RefusedError("Permission denied")
        answer = await found.handler(self._simulator.pbx, action)
        self._say([("Response", "Success"), *answer_to, *answer.headers])
        for event, headers in answer.items:
            self._say([("Event", event), *answer_to, *headers])
        if answer.complete:
            end = [("EventList", "Complete"), ("ListItems", str(len(answer.items)))]
            self._say([("Event", answer.complete), *answer_to, *end, *answer.tail])
        if answer.then is not None:
            answer.then()

    def _filter(self, action: Headers, user: User) -> None:
        if not _may(user, ("system",)):
            raise RefusedError("Permission denied")
        if header(action, "Operation").lower() != "add":
            raise RefusedError("Unknown operation")
        parsed = EventFilter.parse(header(action, "MatchCriteria"), header(action, "Filter"))
        if parsed is None:
            raise RefusedError("Filter was formatted incorrectly.  Check the syntax of the filter given.")
        self._filters.append(parsed)

    def _tell(self, kind: str, event: Headers) -> None:
        if self.user is None or not self._events or kind not in self.user.read:
            return
        if not self._filters or any(each.passes(event) for each in self._filters):
            self._say(event)

    def _say(self, headers: Headers) -> None:
        self._writer.write(block(headers))
        if self._writer.transport.get_write_buffer_size() > _UNREAD_BYTES:
            self.cut()


def _may(user: User, classes: tuple[str, ...]) -> bool:
    return not classes or not user.write.isdisjoint(classes) or "all" in user.write
