"""Looks now and then how many exports wait, for the metrics: whoever reads those must not wait for the database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from bridge.core.errors import StoreError
from bridge.core.exports import UNDER_WAY
from bridge.core.store import Store

log = structlog.get_logger()

_EVERY_S = 15.0


class Backlog:
    """`exports` are those that wait or are being made, as of the last look; `oldest_at`: when the oldest was asked."""

    def __init__(self, store: Store, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.exports = 0
        self.oldest_at: datetime | None = None
        self._store = store
        self._sleep = sleep

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                under_way = await self._store.exports(UNDER_WAY)
            except StoreError as error:
                log.debug("backlog-not-read", problem=error.message)  # others say it loud enough
            else:
                self.exports = len(under_way)
                self.oldest_at = min((one.asked_at for one in under_way), default=None)
            await self._sleep(_EVERY_S)
