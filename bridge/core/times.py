"""The `time` of a rule: `mon-fri 08:00-18:00 Europe/Berlin`.

Days, hours or both, and always the time zone: a rule must not change its meaning with the machine that it lies on.
What counts is the local wall clock, so that clock changes move nothing.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BeforeValidator, WithJsonSchema

from bridge.core.document import WrongValueError, suggest, text_of

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES: Final = 24 * 60

_DAY = "(?:" + "|".join(DAYS) + ")"
_SOME_DAYS = re.compile(f"{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*")
_HOUR = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = re.compile(f"({_HOUR})-({_HOUR}|24:00)")
# Only the zones proper: not `localtime` (another on each machine), `posix/…` or `right/…` (with leap seconds).
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
_PATTERN = f"(?:{_SOME_DAYS.pattern} +(?:{_HOURS.pattern} +)?|{_HOURS.pattern} +){_ZONE.pattern}"
_MEANT_HOURS = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?-([0-9]{1,2})(?::([0-9]{2}))?")


@dataclass(frozen=True, slots=True)
class WeekTime:
    """Hours of some days of the week. Days count from Monday, 0; `begin` and `end` are minutes of the local day.

    Where `end` is not after `begin` the hours go on past midnight; they belong to the day on which they begin.
    """

    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo

    def holds(self, at: datetime) -> bool:
        """Whether this moment (aware) lies in it; the end does not."""
        local = at.astimezone(self.zone)
        today, minute = local.weekday(), local.hour * 60 + local.minute
        if self.begin < self.end:
            return today in self.days and self.begin <= minute < self.end
        yesterday = (today - 1) % 7
        return (today in self.days and minute >= self.begin) or (yesterday in self.days and minute < self.end)

    def local(self, at: datetime) -> str:
        """The moment as it is called there: `mon 07:59 Europe/Berlin`."""
        local = at.astimezone(self.zone)
        return f"{DAYS[local.weekday()]} {local:%H:%M} {self.zone.key}"


def parse_time(value: object) -> WeekTime:
    """`[DAYS] [HH:MM-HH:MM] ZONE`, with days or hours or both. Raises WrongValueError."""
    text = text_of(value)
    words = text.split()
    zone = _zone(words.pop(), text) if words else None
    days, begin, end = frozenset(range(7)), 0, _DAY_MINUTES
    hours = words.pop() if words and words[-1][0].isdigit() else None
    named = words.pop() if words else None
    if zone is None or words or (hours is None and named is None):
        raise WrongValueError(f"must be days, hours and a zone, like `mon-fri 08:00-18:00 Europe/Berlin`, not `{text}`")
    if named is not None:
        days = _days(named)
    if hours is not None:
        begin, end = _minutes(hours)
    return WeekTime(days, begin, end, zone)


def _zone(name: str, text: str) -> ZoneInfo:
    if name[0].isdigit() or _SOME_DAYS.fullmatch(name):
        raise WrongValueError(f"must end with its time zone, like Europe/Berlin or UTC: `{text}`")
    if _ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass  # nothing of this name, or a folder of zones
    raise WrongValueError(f"names a time zone that there is not: `{name}`", suggest(name, _zones()))


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if _ZONE.fullmatch(name))


def _days(text: str) -> frozenset[int]:
    if not _SOME_DAYS.fullmatch(text):
        wrong = next((day for day in re.split("[-,]", text) if day not in DAYS), text)
        meant = wrong[:3].lower() if wrong[:3].lower() in DAYS else None
        raise WrongValueError(f"must name days as {', '.join(DAYS)}, like mon-fri or sat,sun, not `{wrong}`", meant)
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin = DAYS.index(first)
        found.update((begin + step) % 7 for step in range((DAYS.index(last or first) - begin) % 7 + 1))
    return frozenset(found)


def _minutes(text: str) -> tuple[int, int]:
    match = _HOURS.fullmatch(text)
    if match is None:
        meant = _MEANT_HOURS.fullmatch(text)
        hint = f"{int(meant[1]):02}:{meant[2] or '00'}-{int(meant[3]):02}:{meant[4] or '00'}" if meant else ""
        right = hint if _HOURS.fullmatch(hint) else None
        raise WrongValueError(f"must have its hours from 00:00 to 24:00, like 08:00-18:00, not `{text}`", right)
    begin, end = (int(one[:2]) * 60 + int(one[3:]) for one in match.groups())
    if begin == end:
        raise WrongValueError(f"begins when it ends: `{text}`; leave the hours out for whole days")
    return begin, end


def _checked(value: object) -> str:
    parse_time(value)
    return text_of(value)


TimeText = Annotated[str, BeforeValidator(_checked), WithJsonSchema({"type": "string", "pattern": f"^{_PATTERN}$"})]
