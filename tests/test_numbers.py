"""What is looked at now and then, so that whoever reads the metrics waits for nobody."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from bridge.backlog import Backlog
from bridge.core.errors import StoreError
from bridge.core.exports import Export, ExportId, ExportStatus
from bridge.core.ids import Identity
from bridge.core.store import PutExport
from bridge.loop_lag import LoopLag
from tests.fakes import MemoryStore
from tests.storage.kept import NOON

ASKED = Export(
    id=ExportId("e1"),
    owner=Identity("alice"),
    asked_at=NOON,
    status=ExportStatus.PENDING,
    calls=1,
    recordings=1,
)


class Turns:
    """A sleep that ends what sleeps after so many times; before each it does something."""

    def __init__(self, count: int, before: Callable[[int], Awaitable[None]]) -> None:
        self._left = count
        self._before = before

    async def __call__(self, _: float) -> None:
        self._left -= 1
        if self._left < 0:
            raise asyncio.CancelledError
        await self._before(self._left)


async def until_cancelled(run: Awaitable[None]) -> None:
    task = asyncio.ensure_future(run)
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_exports_that_wait_are_counted_and_the_oldest_told() -> None:
    store = MemoryStore()
    later = replace(ASKED, id=ExportId("e2"), asked_at=NOON + timedelta(hours=1), status=ExportStatus.PROCESSING)
    done = replace(ASKED, id=ExportId("e3"), asked_at=NOON - timedelta(days=1), status=ExportStatus.FINISHED)
    await store.commit([PutExport(one) for one in (ASKED, later, done)])
    seen = []

    async def after_a_look(left: int) -> None:
        seen.append((backlog.exports, backlog.oldest_at))
        if left == 2:
            await store.commit([PutExport(replace(ASKED, status=ExportStatus.FINISHED))])
        else:
            store.broken = StoreError("locked", reason="locked")

    backlog = Backlog(store, sleep=Turns(3, after_a_look))
    await until_cancelled(backlog.run())
    assert seen == [(2, NOON), (1, later.asked_at), (1, later.asked_at)]


async def test_a_loop_that_stands_still_is_late() -> None:
    async def stand_still(left: int) -> None:
        if left == 0:
            time.sleep(0.5)  # noqa: ASYNC251  # that is what is measured

    lag = LoopLag(sleep=Turns(3, stand_still))
    await until_cancelled(lag.run())
    assert lag.late.count == 3
    assert lag.late.sum >= 0.25
    assert dict(lag.late.buckets())["0.1"] <= 2
