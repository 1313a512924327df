"""Counts values by their size, for the metrics. Cheaper than prometheus_client's own, which locks for threads."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence


class Histogram:
    """How many values were at most as large as each bound. From one thread alone."""

    __slots__ = ("_bounds", "_counts", "_names", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` rise; what is larger than the last is counted, too."""
        self._bounds = tuple(bounds)
        self._names = (*map(str, bounds), "+Inf")
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """One value more; less than nothing (two clocks) counts as nothing, so that the sum never falls."""
        value = max(0.0, value)
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts)

    def buckets(self) -> Iterator[tuple[str, float]]:
        """Each bound in Prometheus' words, and how many were no larger; the last is `+Inf`."""
        below = 0
        for bound, count in zip(self._names, self._counts, strict=True):
            below += count
            yield bound, float(below)
