"""Durations as admins write them: `15s`, `2m`, `2h`, `90d`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhd])")


def parse_duration(text: object) -> timedelta:
    """A whole number and a unit: s, m, h or d. Raises ValueError in words for an admin."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text} is no duration: a number and s, m, h or d, like 15s, 2m or 90d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A field of a model that takes such a text."""
