"""What is noted once for each key while it is asked for again and again, as the many parts of one download."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

_ANEW_AFTER = timedelta(minutes=10)

KeyT = TypeVar("KeyT", bound=Hashable)


class _Noted(NamedTuple):
    at: datetime
    kept: asyncio.Task[None]


class NotedLately(Generic[KeyT]):
    """Notes each key, and once more what is asked for more than 10 minutes after it.

    `most` of them are remembered, in memory; beyond that the oldest is forgotten, and so is all of it by a restart:
    then something is noted once more, never once too few.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._noted: OrderedDict[KeyT, _Noted] = OrderedDict()

    async def note(self, key: KeyT, now: datetime, keep: Callable[[], Awaitable[None]]) -> None:
        """Return when `keep` has: now, or lately for the same key. Raises what it raises, and tries it anew then."""
        noted = self._noted.get(key)
        # A clock that was set back tells nothing of how long ago it was.
        if noted is None or not timedelta(0) <= now - noted.at <= _ANEW_AFTER or _failed(noted.kept):
            noted = _Noted(now, asyncio.create_task(_kept(keep), name="noting"))
            self._noted[key] = noted
            self._noted.move_to_end(key)
            if len(self._noted) > self._most:
                self._noted.popitem(last=False)
        # Others may wait for the same: one that goes away must not take it from them.
        await asyncio.shield(noted.kept)


async def _kept(keep: Callable[[], Awaitable[None]]) -> None:
    await keep()


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
