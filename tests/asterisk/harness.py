"""A connection that runs against a FakeAsterisk, with sleeps that take no time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.inbox import Connected, Item
from bridge.asterisk.policy import BackOff, Deadlines
from bridge.asterisk.wire import RawMessage
from tests.asterisk.fake_server import SECRET, FakeAsterisk


class Naps:
    """Sleeps that are over at once, until so many were taken; the next lasts until `wake`."""

    def __init__(self, many: int = 1000) -> None:
        self.taken: list[float] = []
        self.many = many
        self._tired = asyncio.Event()
        self._awake = asyncio.Event()

    async def __call__(self, wait_s: float) -> None:
        self.taken.append(wait_s)
        if len(self.taken) >= self.many:
            self._tired.set()
            await self._awake.wait()
        await asyncio.sleep(0)

    async def until_tired(self) -> None:
        async with asyncio.timeout(30):
            await self._tired.wait()

    def wake(self) -> None:
        self.many = 1000
        self._awake.set()


@asynccontextmanager
async def running(
    fake: FakeAsterisk,
    *,
    secret: str = SECRET,
    deadlines: Deadlines | None = None,
    back_off: BackOff | None = None,
    naps: Naps | None = None,
    bound: int = 1000,
) -> AsyncIterator[AmiConnection]:
    connection = AmiConnection(
        "127.0.0.1",
        fake.port,
        "bridge",
        secret,
        bound=bound,
        deadlines=deadlines,
        back_off=back_off,
        chance=lambda: 0.5,
        sleep=naps or Naps(),
    )
    task = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        connection.close()
        async with asyncio.timeout(30):
            await task


async def items(connection: AmiConnection, many: int) -> list[Item]:
    found: list[Item] = []
    async with asyncio.timeout(30):
        while len(found) < many:
            found += await connection.next_batch(many - len(found))
    return found


async def connected(connection: AmiConnection) -> Connected:
    [item] = await items(connection, 1)
    assert isinstance(item, Connected)
    return item


def uniqueids(found: list[Item]) -> list[str]:
    return [item.header("Uniqueid") for item in found if isinstance(item, RawMessage)]
