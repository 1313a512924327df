"""Adds up what was recorded of finished calls: since the start for the metrics, and of each day for the log."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import date, datetime, time, timedelta, tzinfo
from pathlib import Path

import structlog

from bridge.core.accounts import Reason
from bridge.core.coverage import Tally
from bridge.core.covered import covered, tally
from bridge.core.errors import StoreError
from bridge.core.store import Store

log = structlog.get_logger()

_EVERY_S = 60.0
_SETTLED = timedelta(minutes=5)
"""So long after a call its last section has been looked into."""
_DAY = timedelta(days=1)


class Books:
    """`totals` are of the calls that ended since the start, but for the last minutes.

    `said` is a file that holds the day of the last line in the log, so that a restart does not say it again. Days are
    those of `zone`, by default of the machine.
    """

    def __init__(
        self,
        store: Store,
        said: Path,
        clock: Callable[[], datetime],
        *,
        zone: tzinfo | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.totals = Tally()
        self._store = store
        self._file = said
        self._clock = clock
        self._zone = zone
        self._sleep = sleep
        self._until = clock()
        self._said: date | None = None

    async def run(self) -> None:
        """Once a minute, until cancelled."""
        self._said = await asyncio.to_thread(self._read)
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.warning("coverage-put-off", problem=error.message)
            except Exception:  # sums must not end the recording of all calls
                log.exception("coverage-failed")
            await self._sleep(_EVERY_S)

    async def look(self) -> None:
        """Add what has ended, and say what the day before was, once. Raises StoreError."""
        settled = self._clock() - _SETTLED
        if settled > self._until:
            calls = [call async for call in covered(self._store, self._until, settled)]
            self._until = settled
            for call in calls:
                self.totals.add(call)
        day = settled.astimezone(self._zone).date() - _DAY
        if self._said is None or self._said < day:
            await self._say(day)

    async def _say(self, day: date) -> None:
        sums = await tally(self._store, self._begin_of(day), self._begin_of(day + _DAY))
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
