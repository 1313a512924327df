"""The `time` of a rule: days, hours, zones, midnight and the two clock changes of a year."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.document import WrongValueError
from bridge.core.times import DAYS, parse_time

BERLIN = ZoneInfo("Europe/Berlin")


def holds(text: str, at: str) -> bool:
    """`at` as `2026-03-02 08:00`, in UTC."""
    return parse_time(text).holds(datetime.fromisoformat(at).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        # 2026-03-02 is a Monday; Berlin is an hour ahead of UTC in winter, two in summer.
        ("mon-fri 08:00-18:00 Europe/Berlin", "2026-03-02 06:59", False),
        ("mon-fri 08:00-18:00 Europe/Berlin", "2026-03-02 07:00", True),
        ("mon-fri 08:00-18:00 Europe/Berlin", "2026-03-02 16:59:59.999", True),
        ("mon-fri 08:00-18:00 Europe/Berlin", "2026-03-02 17:00", False),
        ("mon-fri 08:00-18:00 Europe/Berlin", "2026-07-06 06:00", True),
        ("mon-fri 08:00-18:00 Europe/Berlin", "2026-03-07 10:00", False),
        ("mon Europe/Berlin", "2026-03-01 22:59", False),
        ("mon Europe/Berlin", "2026-03-01 23:00", True),
        ("mon Europe/Berlin", "2026-03-02 23:00", False),
        ("mon,wed UTC", "2026-03-03 12:00", False),
        ("mon,wed UTC", "2026-03-04 12:00", True),
        ("fri-mon UTC", "2026-03-02 12:00", True),
        ("fri-mon UTC", "2026-03-03 12:00", False),
        ("fri-mon UTC", "2026-03-05 12:00", False),
        ("mon,thu-fri UTC", "2026-03-06 12:00", True),
        ("08:00-18:00 UTC", "2026-03-08 08:00", True),
        ("18:00-24:00 UTC", "2026-03-08 23:59", True),
        ("18:00-24:00 UTC", "2026-03-08 00:00", False),
        ("mon 00:00-24:00 Asia/Kolkata", "2026-03-01 18:30", True),
        ("mon 00:00-24:00 Asia/Kolkata", "2026-03-01 18:29", False),
        # Across midnight: the hours belong to the day on which they begin.
        ("fri 22:00-06:00 UTC", "2026-03-06 21:59", False),
        ("fri 22:00-06:00 UTC", "2026-03-06 22:00", True),
        ("fri 22:00-06:00 UTC", "2026-03-07 05:59", True),
        ("fri 22:00-06:00 UTC", "2026-03-07 06:00", False),
        ("fri 22:00-06:00 UTC", "2026-03-06 05:00", False),
        ("fri 22:00-06:00 UTC", "2026-03-07 22:00", False),
        ("sun 22:00-06:00 UTC", "2026-03-02 03:00", True),
        ("22:00-06:00 UTC", "2026-03-04 03:00", True),
        ("22:00-00:00 UTC", "2026-03-04 23:59", True),
        ("22:00-00:00 UTC", "2026-03-04 00:00", False),
        # Clocks go from 02:00 to 03:00 at 01:00 UTC on Sunday, 2026-03-29.
        ("sun 01:00-02:00 Europe/Berlin", "2026-03-29 00:59", True),
        ("sun 01:00-02:00 Europe/Berlin", "2026-03-29 01:00", False),
        ("sun 02:00-03:00 Europe/Berlin", "2026-03-29 00:59", False),
        ("sun 02:00-03:00 Europe/Berlin", "2026-03-29 01:00", False),
        ("sat 22:00-03:30 Europe/Berlin", "2026-03-29 01:29", True),
        ("sat 22:00-03:30 Europe/Berlin", "2026-03-29 01:30", False),
        # They go from 03:00 back to 02:00 at 01:00 UTC on Sunday, 2026-10-25: the hour from two comes twice.
        ("sun 02:00-03:00 Europe/Berlin", "2026-10-24 23:59", False),
        ("sun 02:00-03:00 Europe/Berlin", "2026-10-25 00:30", True),
        ("sun 02:00-03:00 Europe/Berlin", "2026-10-25 01:30", True),
        ("sun 02:00-03:00 Europe/Berlin", "2026-10-25 02:00", False),
        ("mon-sun 08:00-18:00 America/New_York", "2026-03-08 12:00", True),
        ("mon-sun 08:00-18:00 America/New_York", "2026-03-07 12:59", False),
    ],
)
def test_a_moment_lies_in_it_or_not(text: str, at: str, expected: bool) -> None:
    assert holds(text, at) is expected


@pytest.mark.parametrize(("begins", "hours"), [("2026-03-28 23:00", 23), ("2026-10-24 22:00", 25)])
def test_a_day_on_which_clocks_change_is_covered_as_a_whole(begins: str, hours: int) -> None:
    first = datetime.fromisoformat(begins).replace(tzinfo=UTC)
    sunday = parse_time("sun Europe/Berlin")
    inside = [sunday.holds(first + timedelta(minutes=minute)) for minute in range(-60, hours * 60 + 60)]
    assert inside == [False] * 60 + [True] * (hours * 60) + [False] * 60


def _hours(first: int, last: int) -> str:
    return f"{first // 60:02}:{first % 60:02}-{last // 60:02}:{last % 60:02}"


@given(
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis adds it
)
def test_every_minute_belongs_to_the_day_on_which_the_hours_begin(
    days: set[str], first: int, last: int, at: datetime
) -> None:
    if first == last:
        return
    local = at.astimezone(BERLIN)
    minute = local.hour * 60 + local.minute
    after_midnight = last < first and minute < last
    begun = DAYS[(local.weekday() - after_midnight) % 7]
    inside = first <= minute < last if first < last else minute >= first or minute < last
    assert parse_time(f"{','.join(days)} {_hours(first, last)} Europe/Berlin").holds(at) == (inside and begun in days)


@pytest.mark.parametrize(
    ("text", "words", "suggestion"),
    [
        ("mon-fri 08:00-18:00", "must end with its time zone", None),
        ("mon-fri", "must end with its time zone", None),
        ("mon 08:00-18:00 Europe/Berln", "a time zone that there is not: `Europe/Berln`", "Europe/Berlin"),
        ("mon europe/berlin", "a time zone that there is not", "Europe/Berlin"),
        ("mon localtime", "a time zone that there is not", None),
        ("mon Europe", "a time zone that there is not", "Europe/Rome"),
        ("mon ../etc/passwd", "a time zone that there is not", None),
        ("Monday 08:00-18:00 UTC", "must name days as mon, tue", "mon"),
        ("mo-fr 08:00-18:00 UTC", "not `mo`", None),
        ("mon 8-18 UTC", "must have its hours", "08:00-18:00"),
        ("mon 8:30-18:00 UTC", "must have its hours", "08:30-18:00"),
        ("25:00-26:00 UTC", "must have its hours", None),
        ("24:00-06:00 UTC", "must have its hours", None),
        ("08:00-08:00 UTC", "begins when it ends", None),
        ("Europe/Berlin", "must be days, hours and a zone", None),
        ("", "must be days, hours and a zone", None),
        ("mon 08:00 - 18:00 UTC", "must be days, hours and a zone", None),
    ],
)
def test_what_is_wrong_is_said_with_what_was_meant(text: str, words: str, suggestion: str | None) -> None:
    with pytest.raises(WrongValueError) as raised:
        parse_time(text)
    assert words in str(raised.value)
    if suggestion != "Europe/Rome":  # any zone of Europe is a good guess
        assert raised.value.suggestion == suggestion


def test_the_moment_is_said_as_it_is_called_there() -> None:
    assert parse_time("mon Europe/Berlin").local(datetime(2026, 3, 1, 23, 5, tzinfo=UTC)) == "mon 00:05 Europe/Berlin"
