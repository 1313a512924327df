"""MixMonitors of ours of which nobody has told us: whether they run is asked of Asterisk, until it says so."""

from collections.abc import Callable
from datetime import datetime, timedelta

from bridge.core import decisions as d
from bridge.core.book import SectionBook
from bridge.core.errors import AsteriskRefusedError, AsteriskUnreachableError
from bridge.core.ids import SectionKey
from bridge.core.records import Section

SEEK_AGAIN_S = 5.0
"""How long after a question without an answer the next one is sent."""
_UNREACHABLE_S = 60.0
"""The next snapshot asks, too; this is for one that came before the report."""


class Seeking:
    """Asks after sections out of sight. `there` is told of one that runs, and its id; `not_there` of one that does not.

    A section is out of sight when its start was not answered, or since an earlier run: neither an answer nor an event
    will come any more. Asterisk does the actions of one connection in their order, so what it says now holds.
    """

    def __init__(
        self,
        book: SectionBook,
        out: list[d.Decision],
        there: Callable[[Section, str, datetime], None],
        not_there: Callable[[Section, datetime], None],
    ) -> None:
        self._book = book
        self._out = out
        self._there = there
        self._not_there = not_there
        self._out_of_sight: dict[SectionKey, datetime | None] = {}

    def __contains__(self, key: SectionKey) -> bool:
        return key in self._out_of_sight

    def lose(self, key: SectionKey, again_at: datetime | None = None) -> None:
        """It is out of sight; it is asked after with the next snapshot, or then."""
        self._out_of_sight[key] = again_at

    def seek(self, section: Section) -> None:
        """Ask after it now."""
        self._out_of_sight[section.key] = None
        self._out.append(d.FindMixMonitor(section.key, section.leg, d.wav_of(section), section.mixmonitor_id))

    def forget(self, key: SectionKey) -> None:
        """It is over."""
        self._out_of_sight.pop(key, None)

    def wake_at(self) -> datetime | None:
        """When `tick` is wanted, if nothing happens before."""
        return min((at for at in self._out_of_sight.values() if at is not None), default=None)

    def tick(self, now: datetime) -> None:
        """Ask again after those that had no answer."""
        for key in [key for key, at in self._out_of_sight.items() if at is not None and at <= now]:
            section = self._book.get(key)
            if section is None:
                del self._out_of_sight[key]
            else:
                self.seek(section)

    def found(self, report: d.MixMonitorFound, now: datetime) -> None:
        """Asterisk has said it."""
        section = self._book.get(report.key)
        if section is None or self._out_of_sight.get(report.key, now) is not None:
            return  # over, or lost sight of again since it was asked
        del self._out_of_sight[report.key]
        if report.mixmonitor_id is None:
            self._not_there(section, now)
        else:
            self._there(section, report.mixmonitor_id, now)

    def not_sought(self, report: d.MixMonitorNotSought, now: datetime) -> None:
        """Asterisk could not say. One that never will (a right is missing) leaves it at what we believe."""
        section = self._book.get(report.key)
        if report.key not in self._out_of_sight or section is None:
            return
        if report.code == AsteriskRefusedError.code:
            del self._out_of_sight[report.key]
            if section.mixmonitor_id is None:
                self._not_there(section, now)
            else:
                self._there(section, section.mixmonitor_id, now)
            return
        again_s = _UNREACHABLE_S if report.code == AsteriskUnreachableError.code else SEEK_AGAIN_S
        self._out_of_sight[report.key] = now + timedelta(seconds=again_s)
