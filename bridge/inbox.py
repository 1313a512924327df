"""The one queue in front of the recorder: AMI events and reports, in the order in which they came."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """A queue that gives all it has at once, so that a batch of events becomes one commit.

    `put_many` waits while more than `bound` items lie in it: the AMI connection's own queue fills then, and what
    happens at that one's bound is said there. `put_now` is for reports, of which there is one for each act under
    way: it never waits.
    """

    def __init__(self, bound: int) -> None:
        self._items: deque[Item] = deque()
        self._bound = bound
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._items)

    def put_now(self, item: Item) -> None:
        """Add one item."""
        self._items.append(item)
        self._filled.set()

    def wake(self) -> None:
        """Have `take` come back now, with what there is."""
        self._filled.set()

    async def put_many(self, items: list[Item]) -> None:
        """Add items once there is room."""
        await self._room.wait()
        self._items.extend(items)
        self._filled.set()
        if len(self._items) > self._bound:
            self._room.clear()

    async def take(self, limit: int, timeout_s: float | None) -> list[Item]:
        """Up to `limit` items, as soon as there is one; nothing after `timeout_s`."""
        if not self._items:
            self._filled.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._filled.wait()
            except TimeoutError:
                return []
        taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        if len(self._items) <= self._bound:
            self._room.set()
        return taken
