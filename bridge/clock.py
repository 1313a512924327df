"""The daemon's time: the machine's, but it never goes back while calls run."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

log = structlog.get_logger()

_JUMP = timedelta(seconds=1)
"""A step of the machine's clock that is told; a smaller one back is stood still for."""
_NONE = timedelta(0)


class SteadyClock:
    """Gives `wall`'s time. When that is set back it goes on from where it was, as fast as time passes (`steady`, in s).

    It is `ahead` of the machine's clock then, so that nothing that lasts is cut off or lasts less than nothing, until
    `catch_up`, or until that clock is set forward again.
    """

    def __init__(self, wall: Callable[[], datetime], steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._last = wall()
        self._at_s = steady()
        self.ahead = _NONE

    def __call__(self) -> datetime:
        """The time, aware; never before what it gave last."""
        at_s, wall = self._steady(), self._wall()
        expected = self._last + timedelta(seconds=at_s - self._at_s)
        step = wall + self.ahead - expected
        if step < -_JUMP:
            self.ahead -= step
            log.warning("clock-set-back", by_s=-step.total_seconds(), what="our time goes on until no call runs")
        elif step > _JUMP and self.ahead:
            self.ahead = max(_NONE, self.ahead - step)
        self._last = max(self._last, wall + self.ahead)
        self._at_s = at_s
        return self._last

    def go_on_from(self, at: datetime) -> None:
        """Something lasts that an earlier run saw at this time: ours does not begin before it."""
        step = at - self()
        if step > _NONE:
            self.ahead += step
            self._last = at
            if step > _JUMP:
                log.warning("clock-set-back", by_s=step.total_seconds(), what="our time goes on until no call runs")

    def catch_up(self) -> None:
        """Nothing lasts at the moment: go by the machine's clock again."""
        if self.ahead:
            self.ahead = _NONE
            self._last = self._wall()
            self._at_s = self._steady()
