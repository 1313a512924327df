"""Writes into the intents file what waits for the database, so that a disk that hangs or is full holds up nobody."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from bridge.core.store import Intent, Intents, Mark

log = structlog.get_logger()

_DEADLINE_S = 0.5
_LAST_DEADLINE_S = 5.0
_AGAIN_S = 1.0
_MOMENT_S = 0.02
_AT_ONCE = 1000
"""Changes that are written, or read, at a time."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Batch:
    """Changes on their way into the database; `kept` is set once they are there. `done` is how many have been taken
    by themselves, because the database refuses one of them.
    """

    intent: Intent
    kept: asyncio.Future[None]
    on_file: bool = False
    done: int = 0


def new_batch(intent: Intent, *, on_file: bool = False) -> Batch:
    """A batch that is not kept yet."""
    return Batch(intent, asyncio.get_running_loop().create_future(), on_file)


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` gives or raises, from a thread of its own that nobody waits for when Python ends."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # without an error there is one

    def body() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # raised where it is waited for
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=body, name="intents", daemon=True).start()
    return await answer


class Filing:
    """Batches go into the file in their order, one write at a time.

    Where a write fails the next is tried a second later at the earliest; until then, and while the disk hangs, memory
    alone has them.
    """

    def __init__(self, intents: Intents) -> None:
        self._intents = intents
        self._queue: deque[Batch] = deque()
        self._job: asyncio.Task[None] | None = None
        self._to_clear = False
        self._hangs = False
        self._failed = False
        self._again_at = 0.0

    @property
    def fails(self) -> bool:
        """Whether the last write failed, or hangs."""
        return self._failed or self._hangs

    def add(self, batches: Iterable[Batch]) -> None:
        """They are to be written, after those before."""
        self._queue.extend(batches)

    def drop(self, batch: Batch) -> None:
        """It is not to be written, if it is not yet."""
        with contextlib.suppress(ValueError):
            self._queue.remove(batch)

    def clear(self) -> None:
        """Everything that is in the file is kept, or will be: empty it."""
        self._to_clear = True
        self._start()

    async def write(self, *, last: bool = False) -> None:
        """Return when all are in the file, or when it is plain that memory alone has them for now; within 0.5 s.

        `last`: there will be no other try. Then it is made also where the one before has failed, and 5 s are waited.
        """
        if last:
            self._again_at = 0.0
        self._start()
        if self._job is None or (self._hangs and not last):
            return
        deadline_s = _LAST_DEADLINE_S if last else _DEADLINE_S
        done, _ = await asyncio.wait({self._job}, timeout=deadline_s)
        if not done:
            self._hangs = True
            log.error("intents-not-written", problem=f"its disk does not answer within {deadline_s:g} s: see `dmesg`")

    def _start(self) -> None:
        if self._job is None and asyncio.get_running_loop().time() >= self._again_at:
            self._job = asyncio.create_task(self._work(), name="intents")

    async def _work(self) -> None:
        try:
            while self._to_clear or self._next():
                if self._to_clear:
                    # Before what came after it was asked for.
                    self._to_clear = False
                    await in_thread(self._intents.clear)
                else:
                    await self._append(self._next())
                self._works()
        except Exception as error:  # a bug there must not end the recording here
            if not self._failed:
                log.error("intents-not-written", problem=str(error))
            self._failed = True
            self._again_at = asyncio.get_running_loop().time() + _AGAIN_S
        finally:
            self._hangs = False
            self._job = None

    def _works(self) -> None:
        if self.fails:
            log.info("intents-written-again")
        self._failed = self._hangs = False

    def _next(self) -> list[Batch]:
        while self._queue and self._queue[0].kept.done():
            self._queue.popleft()
        some: list[Batch] = []
        count = 0
        for batch in self._queue:
            count += len(batch.intent.changes)
            if some and count > _AT_ONCE:
                break
            some.append(batch)
        return some

    async def _append(self, batches: list[Batch]) -> None:
        await in_thread(lambda: self._intents.append([batch.intent for batch in batches]))
        for batch in batches:
            batch.on_file = True
        while self._queue and self._queue[0].on_file:
            self._queue.popleft()


class Overflow:
    """What memory has no room for: it waits in the file alone, behind all that is in memory."""

    def __init__(self, intents: Intents, filing: Filing) -> None:
        self.active = False
        self.count = 0
        self._intents = intents
        self._filing = filing
        self._offset = 0
        self._coming = 0

    async def put(self, batch: Batch) -> bool:
        """Whether the file has it."""
        self.active = True
        self._coming += 1
        self._filing.add([batch])
        await self._filing.write()
        self._coming -= 1
        if batch.on_file:
            self.count += len(batch.intent.changes)
        else:
            self._filing.drop(batch)
        return batch.on_file

    async def read(self, after: Mark) -> list[Batch]:
        """The next in the file; without changes those that the database has. None: the end. Raises OSError."""
        offset = self._offset
        intents, self._offset = await in_thread(lambda: self._intents.read(offset, _AT_ONCE))
        return [new_batch(intent.after(after), on_file=True) for intent in intents]

    async def take_back(self, after: Mark) -> list[Batch]:
        """A piece of what comes after `after`; not `active` any more where there is nothing. Raises OSError."""
        coming = self._coming
        batches = await self.read(after)
        if not batches and not coming and not self._coming:
            self.rewind()
        elif not batches:
            await asyncio.sleep(_MOMENT_S)
        waiting = [batch for batch in batches if batch.intent.changes]
        self.count = max(0, self.count - sum(len(batch.intent.changes) for batch in waiting))
        return waiting

    def rewind(self) -> None:
        """Nothing waits in the file alone."""
        self.active, self.count, self._offset = False, 0, 0
