"""An Asterisk manager interface on loopback that does what a test tells it: a real server, real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SECRET = "correct horse"
COMMANDS = (
    "MixMonitor",
    "StopMixMonitor",
    "MixMonitorMute",
    "CoreShowChannels",
    "BridgeList",
    "BridgeInfo",
    "Setvar",
    "Ping",
)


@dataclass(slots=True)
class Action:
    """One action as it came: its headers in order."""

    headers: list[tuple[str, str]]

    @property
    def name(self) -> str:
        return self.get("Action")

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


Answer = Callable[["FakeAsterisk", Action], bytes | None]


def block(*lines: str) -> bytes:
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def event(name: str, /, **headers: str) -> bytes:
    return block(f"Event: {name}", *(f"{key}: {value}" for key, value in headers.items()))


def listing(action: Action, items: Sequence[Sequence[str]], complete: str) -> bytes:
    answer_to = f"ActionID: {action.get('ActionID')}"
    return b"".join(
        (
            block("Response: Success", answer_to, "EventList: start", "Message: will follow"),
            *(block(item[0], answer_to, *item[1:]) for item in items),
            block(f"Event: {complete}", answer_to, "EventList: Complete", f"ListItems: {len(items)}"),
        )
    )


@dataclass(slots=True)
class FakeAsterisk:
    """What the next connections meet. `answers` stands over the built-in answer; one that is None says nothing."""

    port: int = 0
    uptime: int | None = 100
    denied: frozenset[str] = frozenset()
    channels: Sequence[Sequence[str]] = ()
    bridges: dict[str, Sequence[str]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    greets: bool = True
    actions: list[Action] = field(default_factory=list)
    connections: int = 0
    hung_up: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def names(self) -> list[str]:
        return [action.name for action in self.actions]

    def emit(self, data: bytes) -> None:
        """Send to every session."""
        for writer in self._writers:
            writer.write(data)

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until an action or a connection makes it true."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(condition)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        await self._notify()
        if self.greets:
            writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        try:
            while True:
                text = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape")
                # A lone LF ends a line in Asterisk, too.
                lines = [line.rstrip("\r") for line in text.rstrip("\r\n").split("\n")]
                action = Action([(key, value) for key, _, value in (line.partition(": ") for line in lines)])
                self.actions.append(action)
                if (answer := self._answer(action)) is not None:
                    writer.write(answer)
                if action.name == "Login" and action.get("Secret") != SECRET:
                    await writer.drain()
                    return
                await self._notify()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.hung_up += 1
            self._writers.remove(writer)
            writer.close()
            await self._notify()

    def _answer(self, action: Action) -> bytes | None:
        if action.name in self.answers:
            return self.answers[action.name](self, action)
        if action.name in self.denied:
            return self.no(action, "Permission denied")
        match action.name:
            case "Login":
                if action.get("Secret") != SECRET:
                    return self.no(action, "Authentication failed")
                booted = event("FullyBooted", Uptime=str(self.uptime)) if self.uptime is not None else b""
                return self.yes(action) + booted
            case "ListCommands":
                return self.yes(action, *(f"{name}: does it." for name in COMMANDS if name not in self.denied))
            case "CoreSettings":
                return self.yes(action, "AsteriskVersion: 22.10.1", "SystemName: pbx1")
            case "CoreShowChannels":
                return listing(action, self.channels, "CoreShowChannelsComplete")
            case "BridgeList":
                bridges = [
                    (
                        "Event: BridgeListItem",
                        f"BridgeUniqueid: {name}",
                        "BridgeType: basic",
                        "BridgeTechnology: simple_bridge",
                    )
                    for name in self.bridges
                ]
                return listing(action, bridges, "BridgeListComplete")
            case "BridgeInfo":
                members = self.bridges[action.get("BridgeUniqueid")]
                items = [("Event: BridgeInfoChannel", f"Uniqueid: {member}") for member in members]
                return listing(action, items, "BridgeInfoComplete")
            case "MixMonitor" if action.get("Channel") == "recbridge/none":
                return self.no(action, "No such channel")
            case _:
                return self.yes(action)

    @staticmethod
    def yes(action: Action, *lines: str) -> bytes:
        return block("Response: Success", f"ActionID: {action.get('ActionID')}", *lines)

    @staticmethod
    def no(action: Action, why: str) -> bytes:
        return block("Response: Error", f"ActionID: {action.get('ActionID')}", f"Message: {why}")


def silence(_server: FakeAsterisk, _action: Action) -> None:
    """An answer that never comes."""


@asynccontextmanager
async def fake_asterisk(**settings: object) -> AsyncIterator[FakeAsterisk]:
    """A FakeAsterisk that listens on a free port of loopback."""
    fake = FakeAsterisk()
    for name, value in settings.items():
        setattr(fake, name, value)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", fake.port)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        fake.cut()
        await fake.until(lambda: fake.hung_up == fake.connections)
        await server.wait_closed()
