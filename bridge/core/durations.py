"""Lengths of time as admins write them: `15s`, `2m`, `2h`, `90d`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from bridge.core.document import WrongValueError, text_of

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_MEANT = re.compile(r"0*([1-9][0-9]{0,8})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)", re.IGNORECASE)
_LONGEST = timedelta(days=36_500)


def parse_duration(text: object) -> timedelta:
    """`90d` -> 90 days; up to 100 years. Raises WrongValueError (a ValueError)."""
    words = text_of(text)
    match = _DURATION.fullmatch(words)
    if match is None:
        meant = _MEANT.fullmatch(words.strip())
        raise WrongValueError(
            f"must be a number and s, m, h or d, like 90d, not `{words}`",
            meant[1] + meant[2][0].lower() if meant else None,
        )
    length = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if length > _LONGEST:
        raise WrongValueError(f"is longer than 100 years: `{words}`")
    return length


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]


def between(shortest: str, longest: str) -> AfterValidator:
    """For `Annotated[Duration, between("1s", "1h")]`: from the one to the other, both included."""
    least, most = parse_duration(shortest), parse_duration(longest)

    def check(length: timedelta) -> timedelta:
        if not least <= length <= most:
            raise WrongValueError(f"must be from {shortest} to {longest}")
        return length

    return AfterValidator(check)
