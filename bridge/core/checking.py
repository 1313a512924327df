"""Looks into the files of sections that have ended: stored, failed, lost, or looked at again while the disk is ill."""

from dataclasses import replace
from datetime import datetime, timedelta

from bridge.core import decisions as d
from bridge.core.book import SectionBook
from bridge.core.ids import SectionKey
from bridge.core.records import Alarm, FactKind, Section
from bridge.core.sections import ASTERISK_RESTARTED, ENDED_UNSEEN, SectionEvent, allows

_AGAIN_S = 5.0
_AGAIN_AT_MOST_S = 300.0
_FOR = timedelta(days=7)
"""How long a file that the disk does not let us read is tried, less and less often."""
_UNDER_WAY = timedelta(days=1)


class Checking:
    """Takes closed sections to their final state, by what is in their files. Decisions go into `out`."""

    def __init__(self, book: SectionBook, out: list[d.Decision]) -> None:
        self._book = book
        self._out = out
        self._again: dict[SectionKey, tuple[datetime, float]] = {}

    def inspect(self, closed: Section) -> None:
        """Have the file of a closed section looked into."""
        abandoned = closed.reason == ASTERISK_RESTARTED
        self._out.append(d.InspectFile(closed.key, d.wav_of(closed), abandoned))

    def wake_at(self) -> datetime | None:
        """When `tick` is wanted, if nothing happens before."""
        return min((due for due, _ in self._again.values()), default=None)

    def tick(self, now: datetime) -> None:
        """Look again at what the disk did not let us read."""
        for key, (due, wait_s) in list(self._again.items()):
            closed = self._book.get(key)
            if closed is None:
                del self._again[key]
            elif due <= now:
                self._again[key] = (now + _UNDER_WAY, wait_s)
                self.inspect(closed)

    def watched(self, report: d.FileWatched, now: datetime) -> None:
        """The file of a section that has just begun was seen, or not."""
        section = self._book.get(report.key)
        if section is not None and not report.seen:
            self._book.note(FactKind.SECTION_ALARM, section, now, {"alarm": Alarm.FILE_NOT_SEEN})

    def inspected(self, report: d.FileInspected, now: datetime) -> None:
        """It is whole."""
        section = self._book.get(report.key)
        if section is None or not allows(section.state, SectionEvent.CHECKED):
            return
        self._again.pop(report.key, None)
        if report.repaired:
            self._book.note(FactKind.SECTION_REPAIRED, section, now, {"files": list(report.repaired)})
        # When it began is not known better where nobody was told that it had.
        section = replace(section, started_at=section.started_at or section.requested_at)
        if section.reason in (ENDED_UNSEEN, ASTERISK_RESTARTED) and section.started_at and section.ended_at:
            # Nobody saw its end: its audio tells.
            lasted = timedelta(seconds=report.report.duration_s)
            section = replace(section, ended_at=min(section.ended_at, section.started_at + lasted))
        self._book.move(section, SectionEvent.CHECKED, now, report=report.report)

    def unreadable(self, report: d.FileUnreadable, now: datetime) -> None:
        """It is not there, no audio, or the disk does not let us read it: then it is looked at again, for a week."""
        section = self._book.get(report.key)
        if section is None or not allows(section.state, SectionEvent.UNREADABLE):
            return
        if report.reason in d.TRY_AGAIN and now - (section.ended_at or now) < _FOR:
            self._look_again_later(section, report.reason, now)
            return
        self._again.pop(report.key, None)
        nothing = report.reason in ("file-missing", "empty")
        if nothing and section.reason == ASTERISK_RESTARTED:
            self._book.move(section, SectionEvent.GONE, now, message=report.message)
            return
        reason = "not-started" if nothing and section.started_at is None else report.reason
        self._book.move(section, SectionEvent.UNREADABLE, now, reason=reason, message=report.message)

    def _look_again_later(self, section: Section, reason: str, now: datetime) -> None:
        before = self._again.get(section.key)
        if before is None:
            self._book.note(FactKind.SECTION_ALARM, section, now, {"alarm": Alarm.NOT_READ, "reason": reason})
        wait_s = _AGAIN_S if before is None else min(before[1] * 2, _AGAIN_AT_MOST_S)
        self._again[section.key] = (now + timedelta(seconds=wait_s), wait_s)
