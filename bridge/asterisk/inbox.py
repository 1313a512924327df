"""What Asterisk says, in order, on its way to the daemon: one bounded queue."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from bridge.asterisk.wire import RawMessage
from bridge.core.messages import SnapshotTaken


@dataclass(frozen=True, slots=True)
class Connected:
    """Asterisk is there, and this is all it has. Events that follow may tell again what the snapshot already holds.

    `restarted`: it is another run of Asterisk than the one before, whose MixMonitors are gone. `uptime_s` is None where
    Asterisk did not say it. `may_record` and `missing` are the manager user's rights (`bridge.asterisk.rights`);
    `filtered`: Asterisk sends only the events that are used.
    """

    at: datetime
    version: str
    system_name: str
    uptime_s: int | None
    restarted: bool
    may_record: bool
    missing: tuple[str, ...]
    filtered: bool
    snapshot: SnapshotTaken


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone: `code` and `reason` are the error's. Nothing is seen until the next Connected."""

    at: datetime
    code: str
    reason: str


Item = RawMessage | Connected | Lost


class Inbox:
    """Events of one connection after the other, with the connections' own life among them.

    At most `bound` events wait. When that is reached, `offer` takes no more and says so; the connection is dropped
    then, and made anew only when half of the room is free again (`room`), so a consumer that stands still costs
    memory for one full queue and no more. The next snapshot brings everything up to date.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._items: deque[Item] = deque()
        self._held: deque[Item] = deque()
        # Where events go now, and how many may be there: the one look that each event takes.
        self._into = self._items
        self._room = bound
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items) + len(self._held)

    def hold(self) -> None:
        """Keep events back until `release`: a snapshot is being taken."""
        self._into = self._held
        self._room = self.bound - len(self._items)

    def release(self, connected: Connected) -> None:
        """Hand on the snapshot, and then what was kept back."""
        self._items.append(connected)
        self._items.extend(self._held)
        self._take_up()

    def end(self, lost: Lost | None) -> None:
        """The connection is over. `lost` is None where it never was Connected: what was kept back means nothing."""
        if lost is not None:
            self._items.append(lost)
        self._take_up()

    def _take_up(self) -> None:
        self._held.clear()
        self._into, self._room = self._items, self.bound
        if self._items:
            self._filled.set()

    def offer(self, message: RawMessage) -> bool:
        """Add an event; False when there is no room."""
        into = self._into
        waiting = len(into)
        if waiting >= self._room:
            if len(self._items) > self.bound // 2:
                self._drained.clear()
            return False
        into.append(message)
        if not waiting:
            self._filled.set()
        return True

    async def room(self) -> None:
        """Wait until the consumer has caught up, if it had fallen behind. How long is the consumer's affair."""
        await self._drained.wait()

    async def next_batch(self, limit: int) -> list[Item]:
        """Up to `limit` items, at least one; [] only after `close`, when all has been read. One reader at a time."""
        while not self._items:
            if self._closed:
                return []
            self._filled.clear()
            await self._filled.wait()
        if len(self._items) <= limit:
            batch = list(self._items)
            self._items.clear()
        else:
            batch = list(islice(self._items, limit))
            for _ in batch:
                self._items.popleft()
        if len(self._items) <= self.bound // 2:
            self._drained.set()
        return batch

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._filled.set()
        self._drained.set()
