"""Adds up what was recorded of finished calls: since the start for the metrics, and of each day for the log."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path

import structlog

from bridge.core.accounts import Reason
from bridge.core.coverage import Tally
from bridge.core.covered import SETTLED, Coverages, settle
from bridge.core.errors import StoreError
from bridge.core.store import Store

log = structlog.get_logger()

_EVERY_S = 60.0
_DAY = timedelta(days=1)
_OLD_AT_ONCE = 5000
"""So many calls of before are added up at a look: 1 to 2 s of work, in pieces of 10 ms."""
_OLD_STEP = timedelta(days=7)


class Books:
    """`totals` are of the calls that ended since the start, but for the last minutes.

    `said` is a file that holds the day of the last line in the log, so that a restart does not say it again. Days are
    those of `zone`, by default of the machine.
    """

    def __init__(
        self,
        store: Store,
        coverages: Coverages,
        said: Path,
        clock: Callable[[], datetime],
        *,
        zone: tzinfo | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.totals = Tally()
        self._store = store
        self._coverages = coverages
        self._file = said
        self._clock = clock
        self._zone = zone
        self._sleep = sleep
        self._until = self._all_after = clock()
        self._said: date | None = None

    async def run(self) -> None:
        """Once a minute, until cancelled."""
        self._said = await asyncio.to_thread(self._read)
        while True:
            try:
                await self.look()
                await self.look_back()
            except StoreError as error:
                log.warning("coverage-put-off", problem=error.message)
            except Exception:  # sums must not end the recording of all calls
                log.exception("coverage-failed")
            await self._sleep(_EVERY_S)

    async def look(self) -> None:
        """Add what has ended, and say what the day before was, once. Raises StoreError."""
        settled = self._clock() - SETTLED
        if settled > self._until:
            self.totals.add_all(await self._sums(self._until, settled))
            self._until = settled
        day = settled.astimezone(self._zone).date() - _DAY
        if self._said is None or self._said < day:
            await self._say(day)

    async def look_back(self) -> None:
        """Add up some calls of before the start that have no sums, the last ones first. Raises StoreError."""
        first = await self._coverages.first_end()
        left = _OLD_AT_ONCE
        while first is not None and left > 0 and self._all_after > first:
            step = max(first, self._all_after - _OLD_STEP)
            done = await settle(self._store, self._coverages, step, self._all_after, left)
            left -= done
            if left > 0:
                self._all_after = step

    async def _sums(self, since: datetime, until: datetime) -> Tally:
        await settle(self._store, self._coverages, since, until)
        (sums,) = await self._coverages.sums([since, until], None)
        return sums

    async def _say(self, day: date) -> None:
        sums = await self._sums(self._begin_of(day), self._begin_of(day + _DAY))
        log.info(
            "coverage",
            day=day.isoformat(),
            calls=sums.all.calls,
            talked_s=round(sums.all.talked_s, 1),
            recorded_s=round(sums.all.recorded_s, 1),
            missing={str(one): round(sums.all.reasons[one], 1) for one in Reason if sums.all.reasons[one]},
            faulty=sums.faulty,
        )
        self._said = day
        await asyncio.to_thread(self._write, day)

    def _begin_of(self, day: date) -> datetime:
        midnight = datetime.combine(day, time.min, self._zone)
        return midnight if self._zone is not None else midnight.astimezone()

    def _read(self) -> date | None:
        try:
            return date.fromisoformat(self._file.read_text("ascii").strip())
        except (OSError, ValueError):
            return None

    def _write(self, day: date) -> None:
        with contextlib.suppress(OSError):  # it is said once more after the next start then
            self._file.write_text(f"{day.isoformat()}\n", "ascii")
