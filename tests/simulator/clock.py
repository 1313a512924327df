"""The time that the simulated PBX lives by."""

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch, and a way to wait in them."""

    def now(self) -> float:
        """The time now."""

    async def sleep(self, length_s: float) -> None:
        """Return when so much of this clock's time has passed."""


class RunningClock:
    """Starts at the machine's time and goes `speed` times as fast as it."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._epoch = time.time()
        self._began = time.monotonic()

    def now(self) -> float:
        """The time now."""
        return self._epoch + (time.monotonic() - self._began) * self._speed

    async def sleep(self, length_s: float) -> None:
        """Return when so much of this clock's time has passed."""
        await asyncio.sleep(length_s / self._speed)


class SteppedClock:
    """Stands still until `advance`: what is written and said in between does not depend on the machine's speed."""

    def __init__(self, epoch: float = 1_795_223_079.0) -> None:
        self._now = epoch
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """The time now."""
        return self._now

    async def sleep(self, length_s: float) -> None:
        """Return when `advance` has gone so far."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + length_s, next(self._order), future))
        await future

    async def advance(self, length_s: float) -> None:
        """Go on; each sleeper that is due runs at its own time, until it sleeps again or is done."""
        await _settle()
        until = self._now + length_s
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = due
            if not future.done():
                future.set_result(None)
            await _settle()
        self._now = until


async def _settle() -> None:
    # The PBX waits on nothing but this clock, so some turns of the loop bring every task to its next sleep:
    # three for each of the MixMonitors that end at one hangup.
    for _ in range(100):
        await asyncio.sleep(0)
