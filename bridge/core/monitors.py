"""Whose MixMonitors run on which leg. Asterisk's events name the channel only, so ours are told apart by counting."""

from collections import Counter
from datetime import datetime

from bridge.core.ids import Uniqueid


def _take(counter: Counter[Uniqueid], leg: Uniqueid) -> bool:
    """One less, where there is one; nothing is kept of a leg that has none."""
    count = counter[leg]
    if count > 1:
        counter[leg] = count - 1
    else:
        del counter[leg]
    return count > 0


class Monitors:
    """Counts MixMonitorStart and MixMonitorStop events against what we asked for."""

    def __init__(self) -> None:
        self._starting: Counter[Uniqueid] = Counter()
        self._stopping: Counter[Uniqueid] = Counter()
        self._foreign: Counter[Uniqueid] = Counter()
        self._ended: dict[Uniqueid, datetime] = {}

    def asked_to_start(self, leg: Uniqueid) -> None:
        """A start of ours is on its way."""
        self._starting[leg] += 1

    def not_started(self, leg: Uniqueid) -> None:
        """It was refused: no event will come of it."""
        _take(self._starting, leg)

    def asked_to_stop(self, leg: Uniqueid) -> None:
        """A stop of ours is on its way."""
        self._stopping[leg] += 1

    def not_stopped(self, leg: Uniqueid) -> None:
        """It was not carried out: no event will come of it."""
        _take(self._stopping, leg)

    def ended(self, leg: Uniqueid, at: datetime) -> None:
        """One of ours ended on a leg that lives on."""
        self._ended[leg] = at

    def started(self, leg: Uniqueid) -> bool:
        """Take a MixMonitorStart; whether it is somebody else's."""
        if _take(self._starting, leg):
            return False
        self._foreign[leg] += 1
        return True

    def ours_stopped(self, leg: Uniqueid) -> bool:
        """Take a MixMonitorStop; whether it is the one that we asked for."""
        return _take(self._stopping, leg)

    def theirs_stopped(self, leg: Uniqueid) -> bool:
        """Take a MixMonitorStop that we did not ask for; whether one of theirs ran."""
        return _take(self._foreign, leg)

    def theirs_runs(self, leg: Uniqueid) -> None:
        """What had been taken for the end of theirs was ours: theirs runs on."""
        self._foreign[leg] += 1

    def connected_anew(self) -> None:
        """Events of what we have asked for come no more."""
        self._starting.clear()
        self._stopping.clear()

    def gone(self, leg: Uniqueid) -> None:
        """The channel hung up, and all its MixMonitors with it."""
        for counter in (self._starting, self._stopping, self._foreign):
            del counter[leg]
        self._ended.pop(leg, None)

    def foreign_on(self, leg: Uniqueid) -> bool:
        """Whether somebody else's runs on this leg."""
        return self._foreign[leg] > 0

    def ended_on(self, leg: Uniqueid) -> datetime | None:
        """When the last one of ours ended on this leg."""
        return self._ended.get(leg)
