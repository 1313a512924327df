"""Sections that fall silent and go on: MixMonitorMute, and what Asterisk says to it."""

from collections.abc import Callable, Container, Mapping
from datetime import datetime

from bridge.core import decisions as d
from bridge.core.book import SectionBook
from bridge.core.ids import SectionKey
from bridge.core.records import Alarm, FactKind, Section, SectionState
from bridge.core.sections import RUNNING, SectionEvent, allows


class Muting:
    """Mutes and unmutes running sections. One that Asterisk does not confirm is handed to `failed`.

    Nothing is asked of those `unseen`, which nobody has found again yet: `again` says then what they write.
    """

    def __init__(
        self,
        book: SectionBook,
        out: list[d.Decision],
        failed: Callable[[Section, datetime], None],
        unseen: Container[SectionKey],
    ) -> None:
        self._book = book
        self._out = out
        self._failed = failed
        self._unseen = unseen
        self._asked: dict[SectionKey, bool] = {}
        self._unsure: set[SectionKey] = set()

    def mute(self, section: Section) -> None:
        """Have a running section write silence."""
        self._ask(section, muted=True)

    def unmute(self, section: Section) -> None:
        """Have it write the talk again."""
        self._ask(section, muted=False)

    def again(self, section: Section, *, muted: bool) -> None:
        """Have it write silence, or the talk, whatever it was told before."""
        self._asked[section.key] = not muted
        self._ask(section, muted=muted)

    def is_muted(self, section: Section) -> bool:
        """What was asked for last, whether or not Asterisk has confirmed it."""
        return self._asked.get(section.key, section.state is SectionState.PAUSED)

    def _ask(self, section: Section, *, muted: bool) -> None:
        if section.key in self._unseen or section.state not in RUNNING or section.mixmonitor_id is None:
            return
        if self.is_muted(section) != muted:
            self._asked[section.key] = muted
            self._out.append(d.MuteMixMonitor(section.key, section.leg, section.mixmonitor_id, muted))

    def forget(self, key: SectionKey) -> None:
        """The section does not run any more."""
        self._asked.pop(key, None)
        self._unsure.discard(key)

    def is_unsure(self, key: SectionKey) -> bool:
        """Whether nobody knows what this section wrote last."""
        return key in self._unsure

    def give_up(self, section: Section, now: datetime) -> None:
        """It should be silent by now."""
        self._doubt(section, {"alarm": Alarm.NOT_PAUSED}, now)

    def answered(self, report: d.MuteAnswered, now: datetime) -> None:
        """Asterisk has confirmed."""
        section = self._book.get(report.key)
        event = SectionEvent.PAUSED if report.muted else SectionEvent.RESUMED
        if section is not None and allows(section.state, event):
            self._book.move(section, event, now)

    def unanswered(self, report: d.MuteUnanswered, now: datetime) -> None:
        """It has not: nobody knows what the section writes."""
        section = self._book.get(report.key)
        if section is not None and section.state in RUNNING:
            alarm = Alarm.NOT_PAUSED if report.muted else Alarm.NOT_RESUMED
            self._doubt(section, {"alarm": alarm, "code": report.code}, now)

    def _doubt(self, section: Section, alarm: Mapping[str, str], now: datetime) -> None:
        self._unsure.add(section.key)
        self._book.note(FactKind.SECTION_ALARM, section, now, alarm)
        self._failed(section, now)
