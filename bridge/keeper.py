"""Keeps what is decided: in the database, in its order and once; and while that cannot be written, in a file."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from bridge.core.errors import StoreError
from bridge.core.histograms import Histogram
from bridge.core.live import NotReady
from bridge.core.records import Fact, FactKind
from bridge.core.store import AppendFact, Change, Intent, Intents, Mark, Store
from bridge.filing import Batch, Filing, Overflow, new_batch
from bridge.outbox import Outbox

log = structlog.get_logger()

_PATIENCE_S = 0.5
"""How long what is to be done next waits for the database; then the file has to do."""
_AGAIN_S = 1.0
"""How long after a failed commit the next one is tried."""
_START_S = 10.0
"""How long the start waits for a database that does not take what an earlier run has left."""
_AT_ONCE = 1000
"""Changes in one commit, where many wait."""
_COMMIT_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_IN_MEMORY = 200_000
"""Changes that wait in memory; those that come then wait in the file alone."""


class Keeper:
    """Batches of changes on their way into the database: one commit at a time, strictly in their order.

    While the database cannot be written, or is slow, those that wait are also in the intents file, which is emptied
    once the database has them all. Each change has its mark, so that none is taken twice whatever becomes of a commit.
    """

    def __init__(
        self,
        store: Store,
        intents: Intents,
        outbox: Outbox,
        clock: Callable[[], datetime],
    ) -> None:
        """`outbox` gets the facts of every commit, in order; `commits` and `failures` count those, with their time."""
        self.outbox = outbox
        self.error: StoreError | None = None
        self.lost = 0
        self.commits = Histogram(_COMMIT_BOUNDS_S)
        self.failures = 0
        self._store = store
        self._filing = Filing(intents)
        self._clock = clock
        self._last = Mark(0, 0)
        self._run = 1
        self._number = 0
        self._waiting: deque[Batch] = deque()
        self._in_memory = 0
        self._trying: list[Batch] = []
        self._piece: int | None = None
        self._overflow = Overflow(intents, self._filing)
        self._since: datetime | None = None
        self._delayed = 0
        self._trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()

    async def take_in(self) -> None:
        """Before anything is read or decided: what the intents file has of earlier runs and the database has not.

        Raises StoreError where the database does not take it within 10 s.
        """
        self._last = await self._store.taken()
        # Higher than all before, even where a file with others cannot be read.
        self._run = max(self._last.run + 1, int(self._clock().timestamp()))
        count = 0
        try:
            while batches := await self._overflow.read(self._last):
                self._run = max(self._run, batches[-1].intent.last.run + 1)
                self._waiting.extend(batch for batch in batches if batch.intent.changes)
                self._in_memory = sum(len(batch.intent.changes) for batch in self._waiting)
                count += self._in_memory
                await self._commit_at_start()
            self._filing.clear()
            await self._filing.write()
        except OSError as error:
            log.error("intents-not-read", problem=str(error))
        self._overflow.rewind()
        if count:
            log.warning("intents-taken-in", changes=count)
            data = {"reason": "restart", "changes": count}
            self._put([AppendFact(Fact(FactKind.DATABASE_WELL, self._clock(), data=data))])

    async def keep(self, changes: Sequence[Change]) -> None:
        """Return when they are in the database, or after 0.5 s or an error in the intents file.

        Where that cannot be written either, memory alone has them, and the log says so. With 200,000 changes in memory
        the file alone takes more; where it does not, they are lost, and that is said. Raises nothing.
        """
        if not changes:
            return
        if self._overflow.active or self._in_memory + len(changes) > _IN_MEMORY:
            self._delayed += len(changes)
            if not await self._overflow.put(self._batch(changes)):
                self._lose(len(changes))
            self._wake.set()
            return
        batch = self._put(changes)
        await asyncio.wait({batch.kept, self._trouble}, timeout=_PATIENCE_S, return_when="FIRST_COMPLETED")
        if not batch.kept.done():
            self._begin_trouble(_slow())
            await self._filing.write()

    async def run(self) -> None:
        """Commit what comes, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting or self._overflow.active:
                try:
                    await self._commit()
                except StoreError as error:
                    self._begin_trouble(error)
                    self.error = error
                    await self._filing.write()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._hurry.wait(), _AGAIN_S)
                    self._hurry.clear()
            self._end_trouble()

    async def end(self) -> None:
        """Before `run` is cancelled: what is not kept by now goes into the file, for the next start."""
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while self._waiting:
                    await asyncio.wait({self._waiting[-1].kept})
        if self._waiting:
            self._begin_trouble(_slow())
        await self._filing.write(last=True)
        alone = sum(len(batch.intent.changes) for batch in self._waiting if not batch.on_file)
        if self._count():
            log.warning("changes-left-in-file", changes=self._count() - alone, what="the next start takes them in")
        if alone:
            self._lose(alone)

    @property
    def well(self) -> bool:
        """Whether nothing waits for a database that cannot be written."""
        return self.error is None

    @property
    def waiting(self) -> int:
        """Changes that the database has not taken yet."""
        return self._count()

    @property
    def bound(self) -> int:
        """So many changes wait in memory at most."""
        return _IN_MEMORY

    def not_ready(self) -> Sequence[NotReady]:
        """What is wrong with what is to be kept."""
        reasons = []
        if self.error is not None:
            where = "in memory alone" if self._filing.fails else "in the intents file"
            since = f"since {self._since:%Y-%m-%d %H:%M:%S} UTC" if self._since is not None else ""
            words = f"{self.error.message}; {self._count()} changes wait, {where}, {since}"
            reasons.append(NotReady("database-not-written", words))
        if self.lost:
            words = (
                f"{self.lost} changes are lost for good: neither the database nor the intents file beside it could be "
                "written, and memory was full; make room there, and restart recbridge to have this line go"
            )
            reasons.append(NotReady("changes-lost", words))
        return reasons

    def _put(self, changes: Sequence[Change]) -> Batch:
        batch = self._batch(changes)
        self._waiting.append(batch)
        self._in_memory += len(changes)
        if self.error is not None:
            self._filing.add([batch])
            self._delayed += len(changes)
        self._wake.set()
        return batch

    def _batch(self, changes: Sequence[Change]) -> Batch:
        self._number += len(changes)
        return new_batch(Intent(Mark(self._run, self._number), tuple(changes)))

    def _count(self) -> int:
        return self._in_memory + self._overflow.count

    def _lose(self, count: int) -> None:
        self.lost += count
        log.error("changes-lost", changes=count, in_all=self.lost)

    async def _commit(self) -> None:
        """The next of what waits; the same as the last time, where that failed. Raises StoreError."""
        if not self._waiting:
            await self._take_back()
            return
        self._trying = self._trying or self._first()
        changes = [change for batch in self._trying for change in batch.intent.changes[batch.done :]][: self._piece]
        last = self._trying[-1].intent.last
        if len(self._trying) == 1:
            left = len(self._trying[0].intent.changes) - self._trying[0].done - len(changes)
            last = Mark(last.run, last.number - left)
        began = time.perf_counter()
        try:
            facts = await self._store.commit(changes, last)
        except StoreError as error:
            self.failures += 1
            if error.details.get("reason") != "refused-value":
                raise
            self._refused(changes)
            return
        except Exception as error:
            self.failures += 1
            log.exception("commit-failed")
            raise StoreError(f"the database could not be written: {error!r}", reason="unexpected") from error
        self.commits.observe(time.perf_counter() - began)
        self._last = last
        self._taken(len(changes))
        self.outbox.put(facts)

    def _first(self) -> list[Batch]:
        batches: list[Batch] = []
        count = 0
        for batch in self._waiting:
            count += len(batch.intent.changes) - batch.done
            if batches and count > (self._piece or _AT_ONCE):
                break
            batches.append(batch)
        return batches

    def _taken(self, count: int) -> None:
        """Of those that were tried this many are kept, or given up."""
        for batch in self._trying:
            part = min(count, len(batch.intent.changes) - batch.done)
            batch.done += part
            count -= part
            self._in_memory -= part
            if batch.done == len(batch.intent.changes):
                self._waiting.popleft()
                batch.kept.set_result(None)
        self._trying = []
        self._piece = None

    def _refused(self, changes: Sequence[Change]) -> None:
        """One change holds a value that the database will never take: it must not hold up all others for ever."""
        if len(changes) == 1:
            log.error("change-given-up", change=repr(changes[0])[:500])
            self._taken(1)
        else:
            self._trying = []
            self._piece = len(changes) // 2

    async def _commit_at_start(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _START_S
        while self._waiting:
            try:
                await self._commit()
            except StoreError:
                if loop.time() >= until:
                    raise
                await asyncio.sleep(_AGAIN_S)

    async def _take_back(self) -> None:
        try:
            batches = await self._overflow.take_back(self._last)
        except OSError as error:
            raise StoreError(f"the intents file cannot be read: {error}", reason="intents-not-read") from error
        self._waiting.extend(batches)
        self._in_memory += sum(len(batch.intent.changes) for batch in batches)

    def _begin_trouble(self, error: StoreError) -> None:
        if self.error is not None:
            return
        self.error = error
        self._since = self._clock()
        waiting = self._in_memory
        self._filing.add(self._waiting)
        self._trouble.set_result(None)
        log.error("database-not-written", reason=error.message)
        data = {"reason": error.details.get("reason", ""), "changes": waiting}
        self._put([AppendFact(Fact(FactKind.DATABASE_TROUBLE, self._since, data=data))])
        self._delayed = waiting

    def _end_trouble(self) -> None:
        if self.error is None:
            return
        log.info("database-written-again", changes=self._delayed)
        data = {"reason": self.error.details.get("reason", ""), "changes": self._delayed}
        self.error = None
        self._trouble = asyncio.get_running_loop().create_future()
        self._filing.clear()
        self._put([AppendFact(Fact(FactKind.DATABASE_WELL, self._clock(), data=data))])


def _slow() -> StoreError:
    return StoreError(f"the database takes more than {_PATIENCE_S:g} s: check the load of its disk", reason="slow")
