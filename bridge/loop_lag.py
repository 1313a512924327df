"""Measures how long the event loop is late: while it is, events, commands and requests wait."""

import asyncio
from collections.abc import Awaitable, Callable

from bridge.core.histograms import Histogram

_EVERY_S = 0.25
_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag:
    """Four times a second; a turn that takes longer than that is seen whenever it comes."""

    def __init__(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.late = Histogram(_BOUNDS_S)
        self._sleep = sleep

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_S
            await self._sleep(_EVERY_S)
            self.late.observe(loop.time() - due)
