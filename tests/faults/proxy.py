"""A TCP proxy between the daemon and AMI that cuts, stalls or slows the connection, at once or at given bytes."""

import asyncio
import contextlib
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Self

Side = str
ASTERISK, DAEMON = "asterisk", "daemon"
"""Who says the bytes."""


class Mode(Enum):
    """How a connection goes on. STALL: it stays open, and nothing passes either way any more."""

    PASS = auto()
    STALL = auto()
    DRIBBLE = auto()
    CUT = auto()


@dataclass(slots=True)
class Trap:
    """What to do when `side` says `needle`: with `passes` behind the message, else before anything of it."""

    side: Side
    needle: bytes
    passes: bool
    mode: Mode


class Proxy:
    """An async context manager; `port` is where the daemon connects. Who connects later is let through.

    `sprung` is set once the trap was, `taken` counts the connections that were let through.
    """

    def __init__(self, asterisk_port: int) -> None:
        self.port = 0
        self.mode = Mode.PASS
        self.open = True
        self.taken = 0
        self.sprung = asyncio.Event()
        self._asterisk_port = asterisk_port
        self._trap: Trap | None = None
        self._pairs: set[_Pair] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*(pair.task for pair in self._pairs), return_exceptions=True)
        await self._server.wait_closed()

    def trap(self, side: Side, needle: bytes, *, passes: bool, mode: Mode = Mode.CUT) -> None:
        """Spring at the next message of that side with these bytes in it."""
        self.sprung.clear()
        self._trap = Trap(side, needle, passes, mode)

    def spring(self, mode: Mode) -> None:
        """Do it now."""
        self.sprung.set()
        (self.stall if mode is Mode.STALL else self.cut)()

    def cut(self) -> None:
        """Break every connection, as a cable that is pulled, but at once."""
        for pair in list(self._pairs):
            pair.abort()

    def stall(self) -> None:
        """From now on nothing passes on the connections that there are; they stay open."""
        for pair in self._pairs:
            pair.stalled = True

    def dribble(self) -> None:
        """From now on all bytes pass in small pieces."""
        self.mode = Mode.DRIBBLE

    def springs(self, side: Side, data: bytes) -> Trap | None:
        """The trap, if these bytes spring it; it springs once."""
        trap = self._trap
        if trap is None or trap.side != side or trap.needle not in data:
            return None
        self._trap = None
        self.sprung.set()
        return trap

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self.open:
                raise ConnectionRefusedError
            there = await asyncio.open_connection("127.0.0.1", self._asterisk_port)
        except OSError:
            writer.transport.abort()
            return
        self.taken += 1
        pair = _Pair(self, (reader, writer), there)
        self._pairs.add(pair)
        try:
            await pair.run()
        finally:
            self._pairs.discard(pair)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pair:
    """One connection of the daemon, and ours to Asterisk."""

    def __init__(self, proxy: Proxy, daemon: Stream, asterisk: Stream) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.stalled = False
        self._cut = asyncio.Event()
        self._proxy = proxy
        self._daemon, self._asterisk = daemon, asterisk

    def abort(self) -> None:
        self._cut.set()
        for _, writer in (self._daemon, self._asterisk):
            writer.transport.abort()

    async def run(self) -> None:
        (here, to_here), (there, to_there) = self._daemon, self._asterisk
        both = {
            asyncio.create_task(self._pass(DAEMON, here, to_there)),
            asyncio.create_task(self._pass(ASTERISK, there, to_here)),
        }
        try:
            await asyncio.wait(both, return_when="FIRST_COMPLETED")
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for writer in (to_here, to_there):
                writer.transport.abort()

    async def _pass(self, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                trap = self._proxy.springs(side, data)
                if trap is not None and trap.passes:
                    writer.write(data)
                    await writer.drain()
                if trap is not None and trap.mode is Mode.CUT:
                    self.abort()
                    return
                if trap is not None and trap.mode is Mode.STALL:
                    self.stalled = True
                if self.stalled:
                    await self._cut.wait()
                    return
                if trap is None or not trap.passes:
                    await self._write(writer, data)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self._proxy.mode is not Mode.DRIBBLE:
            writer.write(data)
            await writer.drain()
            return
        for at in range(0, len(data), 7):
            writer.write(data[at : at + 7])
            await writer.drain()
            await asyncio.sleep(0.0005)
