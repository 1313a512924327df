"""What the daemon does by itself now and then: deletes what is over its time, and looks through the spool."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from bridge.core.errors import MediaError, StoreError
from bridge.core.live import NotReady
from bridge.core.retention import Keeping, Totals, at_most_half, in_force
from bridge.storage.database import SqliteStore
from bridge.storage.erasing import Erasing
from bridge.storage.finished_calls import FinishedCalls
from bridge.storage.retention import NOBODY, Order, Retention
from bridge.storage.tokens import forget_expired
from bridge.storage.turns import run_turn

log = structlog.get_logger()

_EVERY = timedelta(hours=1)
_AT_LEAST = timedelta(seconds=1)
_FIRST = timedelta(minutes=5)
_DAY = timedelta(days=1)
_LOOK_THROUGH = _DAY
_COUNTED = timedelta(minutes=10)
"""So long after its end a call's coverage is in the sums (`bridge.books`): until then it stays, whatever is set."""
_PAUSE_S = 0.1
"""After each batch, so that recordings always find the database and the disk free."""


class Housekeeping:
    """Runs every hour (with a `keep` of less than a day every 24th of it), the first time after 5 minutes.

    What was set over HTTP counts from the next run on. It deletes no recordings where that would be more than half of
    all that are stored, and no finished calls where that would be more than half of those: then `warning` says so.
    Tokens go a day after they have expired.
    """

    def __init__(
        self,
        store: SqliteStore,
        database: Path,
        spool: Path,
        *,
        systemname: str,
        keep: Keeping,
        well: Callable[[], bool],
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`keep` is the configuration's. `well`: what the recorder has decided is in the database; until then no file
        is taken for an orphan, and no call for finished.
        """
        self.warning: NotReady | None = None
        self.deleted = Totals()
        """Sections that were deleted since the start because their time was over."""
        self.deleted_calls = 0
        self.failures = 0
        self.done_at: datetime | None = None
        """When a whole run ended last."""
        self._store = store
        self._database = database
        self._retention = Retention(store, database, spool, clock)
        self._erasing = Erasing(self._retention, systemname)
        self._calls = FinishedCalls(self._retention, systemname)
        self._configured = keep
        self._keep = keep
        self._well = well
        self._clock = clock
        self._sleep = sleep
        self._looked_through: datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        await self._sleep(min(_FIRST, self._every()).total_seconds())
        while True:
            try:
                async with run_turn(self._database):
                    await self.once()
                self.done_at = self._clock()
            except (StoreError, MediaError) as error:
                self.failures += 1
                log.warning("housekeeping-put-off", problem=error.message)
            except Exception:  # what it is for must not end the recording of all calls
                self.failures += 1
                log.exception("housekeeping-failed")
            await self._sleep(self._every().total_seconds())

    def _every(self) -> timedelta:
        shortest = self._keep.recordings or _DAY  # what is not kept at all goes every hour
        return max(_AT_LEAST, min(_EVERY, shortest / 24))

    async def once(self) -> None:
        """One run; the caller has the turn. Raises StoreError, MediaError."""
        await self._retention.finish()
        await self._delete()
        now = self._clock()
        forgotten = await forget_expired(self._store, now - _DAY)
        if forgotten:
            log.info("tokens-forgotten", count=forgotten)
        due = self._looked_through is None or now - self._looked_through >= _LOOK_THROUGH
        if due and self._well():
            await self._retention.tidy()
            if self._keep.calls is not None:
                # What calls were found by that were deleted stands in the index's older pieces.
                await self._store.merge_search()
                await self._erasing.clear()
            self._looked_through = now

    async def _delete(self) -> None:
        self._keep = in_force(await self._store.settings(), self._configured)
        plan = await self._retention.expired(self._keep.recordings)
        whole = await self._erasing.with_pending(plan)
        if whole.going and not at_most_half(whole.totals, await self._retention.stored()):
            self._refuse(f"{whole.totals.count} sections ({whole.totals.size_bytes} bytes)")
            return
        if plan.going:
            order = Order("retention", NOBODY, "", self._keep.recordings)
            done = await self._retention.delete(plan.going, order, _PAUSE_S)
            self.deleted = self.deleted + done
            log.info("retention", sections=done.count, bytes=done.size_bytes, held=sum(plan.held.values()))
        for erasure in await self._erasing.pending():
            await self._erasing.work_off(erasure, _PAUSE_S)
        if await self._delete_calls():
            self.warning = None

    async def _delete_calls(self) -> bool:
        """False where it was refused."""
        if self._keep.calls is None:
            return True
        keep = max(self._keep.calls, _COUNTED)
        going = await self._calls.expired(keep) if self._well() else []
        if not going:
            return True
        if not at_most_half(Totals(len(going)), Totals(await self._calls.stored())):
            self._refuse(f"{len(going)} finished calls")
            return False
        done = await self._calls.delete(going, Order("retention", NOBODY, "", keep), _PAUSE_S)
        self.deleted_calls += done
        if done:
            await self._erasing.clear()
        log.info("retention", calls=done)
        return True

    def _refuse(self, what: str) -> None:
        words = (
            f"{what} are to go, more than half of all: nothing of that is deleted; "
            "see `recbridge erase --expired --dry-run`, and if it is right, do it with `--force`"
        )
        if self.warning is None:
            log.error("retention-refused", problem=words)
        self.warning = NotReady("retention-refused", words)
