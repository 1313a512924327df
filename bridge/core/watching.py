"""Looks after what running sections write: whether their files grow, and whether anything is to be heard in them.

What is wrong is a fact of kind SECTION_ALARM, once for each section and kind until it is well again. Asterisk writes in
steps of 32 KiB (2 s of 8 kHz), and nothing at all while neither side sends anything: before the answer, or where both
phones suppress silence (measured).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bridge.core import decisions as d
from bridge.core.book import SectionBook
from bridge.core.ids import SectionKey
from bridge.core.records import Alarm, FactKind, Section, SectionState
from bridge.core.sections import RUNNING, SectionEvent, allows

AT_ONCE = 1000
"""The most sections that one look takes in; the others' turn comes with the next."""
_SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """How often files are looked at, and what is too long, in seconds.

    Not growing: four steps of 8 kHz are missing. One side silent: a phone that is muted and sends nothing at all, while
    the other talks for half a minute on end, is rare; Debian's defect (ASTERISK.md, "Who keeps the recording") lasts.
    Both silent: nobody waits for a whole minute on a line without the faintest noise. A section may be shorter than its
    talk by `short_s`, as the file begins and ends a little later than we hear of it, or by `short_share` of it.
    """

    every_s: float = 5.0
    not_growing_s: float = 8.0
    side_silent_s: float = 30.0
    silent_s: float = 60.0
    short_s: float = 2.0
    short_share: float = 0.05


@dataclass(slots=True)
class _Seen:
    """What is known of one section's files. `silent_s` is how long each side has been silent up to now."""

    was_there: bool = False
    size_bytes: int | None = None
    grew_at: datetime | None = None
    has_grown: bool = False
    silent_s: Sequence[float] = ()
    alarms: set[Alarm] = field(default_factory=set)


class Watching:
    """Has the files of all running sections measured with one act, never two at a time, and judges what it found.

    `held(section)` says whether somebody in its talk has put the others on hold. `renew(section, now, elsewhere)` has
    the next section begin before this one ends, on another leg (`elsewhere`) or where it likes; or nothing, where that
    is not to be.
    """

    def __init__(
        self,
        book: SectionBook,
        out: list[d.Decision],
        held: Callable[[Section], bool],
        renew: Callable[[Section, datetime, bool], None],
        limits: Limits | None = None,
    ) -> None:
        self._book = book
        self._out = out
        self._held = held
        self._renew = renew
        self._limits = limits or Limits()
        self._seen: dict[SectionKey, _Seen] = {}
        self._looked_at: datetime | None = None
        self._under_way = False
        self._turn = 0
        self.reports: dict[type, Callable[[Any, datetime], None]] = {
            d.FilesMeasured: self._measured,
            d.FilesNotMeasured: self._not_measured,
        }

    def wake_at(self) -> datetime | None:
        """When the next look is due; None while one is under way, and while nothing runs."""
        running = next(iter(self._book.running), None)
        section = self._book.get(running) if running is not None else None
        if section is None or section.started_at is None or self._under_way:
            return None
        since = max(section.started_at, self._looked_at or section.started_at)
        return since + timedelta(seconds=self._limits.every_s)

    def tick(self, at: datetime) -> None:
        """Look, if it is time; forget what does not run any more."""
        running = self._book.running
        for key in self._seen.keys() - running.keys():
            del self._seen[key]
        due = self.wake_at()
        if due is None or due > at:
            return
        keys = list(running)
        if len(keys) > AT_ONCE:
            self._turn %= len(keys)
            keys = [*keys[self._turn :], *keys[: self._turn]][:AT_ONCE]
            self._turn += AT_ONCE
        self._looked_at, self._under_way = at, True
        self._out.append(
            d.MeasureFiles(tuple(self._growing(section) for section in map(self._book.get, keys) if section))
        )

    def _growing(self, section: Section) -> d.Growing:
        seen = self._seen.setdefault(section.key, _Seen())
        return d.Growing(section.key, d.wav_of(section), seen.size_bytes or 0)

    # What was found

    def _measured(self, report: d.FilesMeasured, now: datetime) -> None:
        self._under_way = False
        for key, grown in report.grown.items():
            section, seen = self._book.get(key), self._seen.get(key)
            if section is None or seen is None or section.state not in RUNNING:
                continue
            if self._is_broken(section, seen, grown, report.at, now) and report.connected:
                self._renew(section, now, False)
            elif Alarm.SIDE_SILENT in seen.alarms and report.connected:
                self._renew(section, now, True)

    def _not_measured(self, report: d.FilesNotMeasured, now: datetime) -> None:  # noqa: ARG002  # one shape for the table
        """The next look is due as ever; that the disk is slow is said by those who look after the spool."""
        self._under_way = False

    def _is_broken(self, section: Section, seen: _Seen, grown: d.Grown, at: datetime, now: datetime) -> bool:
        """Take in what was found; whether another file would do what this one does not do any more."""
        size, before = grown.size_bytes, seen.size_bytes
        if size is None:
            if seen.was_there:  # else it was never seen, which is said already
                self._alarm(section, seen, Alarm.FILE_GONE, now, {"size_bytes": before})
            return seen.was_there
        seen.was_there, seen.size_bytes = True, size
        seen.alarms.discard(Alarm.FILE_GONE)
        if grown.beheaded or size < (before or 0):
            self._alarm(section, seen, Alarm.FILE_CUT, now, {"size_bytes": size})
        if before is None or size > before or seen.grew_at is None or _alone(section):
            seen.has_grown = seen.has_grown or (before is not None and size > before)
            seen.grew_at = at
            seen.alarms.discard(Alarm.NOT_GROWING)
        if before is not None and size > before:
            self._listen(section, seen, grown, (size - before) / (section.rate_hz * _SAMPLE_BYTES), now)
        still_s = (at - seen.grew_at).total_seconds()
        if still_s >= self._limits.not_growing_s:
            data = {"size_bytes": size, "for_s": round(still_s, 1)}
            self._alarm(section, seen, Alarm.NOT_GROWING, now, data)
        # One that has never grown says nothing about its file: there may be nothing to write.
        return Alarm.FILE_CUT in seen.alarms or (Alarm.NOT_GROWING in seen.alarms and seen.has_grown)

    def _listen(self, section: Section, seen: _Seen, grown: d.Grown, new_s: float, now: datetime) -> None:
        if not grown.heard or section.state is SectionState.PAUSED or _alone(section) or self._held(section):
            seen.silent_s = ()
            return
        so_far = seen.silent_s or (0.0,) * len(grown.heard)
        seen.silent_s = [0.0 if heard else s + new_s for heard, s in zip(grown.heard, so_far, strict=True)]
        longest, shortest = max(seen.silent_s), min(seen.silent_s)
        if shortest >= self._limits.silent_s:
            self._alarm(section, seen, Alarm.SILENT, now, {"for_s": round(shortest, 1)})
        elif shortest == 0:
            seen.alarms.discard(Alarm.SILENT)
        if longest < self._limits.side_silent_s:
            seen.alarms.discard(Alarm.SIDE_SILENT)
        elif shortest == 0:  # the other one is heard, now
            leg_is_silent = seen.silent_s[0] > 0
            side = "left" if leg_is_silent == section.leg_is_left else "right"
            self._alarm(section, seen, Alarm.SIDE_SILENT, now, {"side": side, "for_s": round(longest, 1)})

    def _alarm(self, section: Section, seen: _Seen, alarm: Alarm, now: datetime, data: Mapping[str, Any]) -> None:
        if alarm not in seen.alarms:
            seen.alarms.add(alarm)
            self._book.note(FactKind.SECTION_ALARM, section, now, {"alarm": alarm, **data})

    # What else is said of a file

    def overhear(self, report: d.FileWatched | d.FileInspected | d.FileUnreadable, now: datetime) -> None:
        """Its file is there; or, before the section's last word: it is shorter than its talk, or cannot be read."""
        section = self._book.get(report.key)
        if isinstance(report, d.FileWatched):
            if section is not None and section.state in RUNNING and report.seen:
                self._seen.setdefault(section.key, _Seen()).was_there = True
            return
        if section is None or not allows(section.state, SectionEvent.CHECKED) or section.started_at is None:
            return
        if isinstance(report, d.FileUnreadable):
            if report.reason not in d.TRY_AGAIN:
                said = {"alarm": Alarm.UNREADABLE, "reason": report.reason}
                self._book.note(FactKind.SECTION_ALARM, section, now, said)
            return
        # With a reason nobody saw its end: then its audio tells how long it was.
        if section.ended_at is None or section.reason is not None or _alone(section):
            return
        talk_s, has_s = (section.ended_at - section.started_at).total_seconds(), report.report.duration_s
        if talk_s - has_s > max(self._limits.short_s, self._limits.short_share * talk_s):
            data = {"alarm": Alarm.SHORTER_THAN_TALK, "duration_s": round(has_s, 1), "talk_s": round(talk_s, 1)}
            self._book.note(FactKind.SECTION_ALARM, section, now, data)


def _alone(section: Section) -> bool:
    """Whether it began with nobody to talk to (`start: answer`, `start: ring`): then maybe nobody sends anything."""
    return section.headchannel == section.tailchannel
