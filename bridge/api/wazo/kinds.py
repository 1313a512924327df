"""The kinds of values that Wazo's queries and bodies have: how each is read, and what it says of a wrong one.

Of a body's null nothing is said but where a kind says so.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from bridge.api.validation import EMAIL
from bridge.api.wazo.parsing import NULL, Kind, WrongError, problem

_TRUE = ("t", "true", "on", "y", "yes", "1")
_FALSE = ("f", "false", "off", "n", "no", "0")
# A `+` in a zone that nobody escaped arrives as a blank.
_TIME = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6})\d{0,6})?)?(?:(Z)|([-+ ])(\d{2}):?(\d{2})?)?)?",
    re.ASCII,
)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_EMAIL = re.compile(EMAIL)
_LONGEST_EMAIL = 254

_NO_LIST: Final = problem("Not a valid list.", "type", "list")
_NO_BOOLEAN: Final = problem("Not a valid boolean.", "type", "boolean")
_NO_INTEGER: Final = problem("Not a valid integer.", "type", "integer")
_NO_EMAIL: Final = problem("Not a valid email address.", "type", "email")
_NO_TIME: Final = problem("Not a valid datetime", "type", "datetime")
_NO_STRING: Final = problem("Not a valid string.", "type", "string")
_NO_STRINGS: Final = problem("Not a valid list of strings.", "type", "list")


def _unless_null(read: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: None if value is None else read(value)


TEXT: Final = Kind(_unless_null(str), {"type": "string"})
"""Any text."""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in str("" if value is None else value).split(",") if one)


TEXTS: Final = Kind(_texts, {"type": "string"})
"""Texts with commas between them."""
ANY_OF: Final = Kind(lambda value: tuple(str(value).split(",")), {"type": "string"})
"""One of several values, as confd's lists take it; an empty one counts."""


def choice(*choices: str) -> Kind:
    """One of these."""

    def read(value: Any) -> str:
        if str(value) not in choices:
            words = f"Must be one of: {', '.join(choices)}."
            raise WrongError([problem(words, "enum", {"choices": list(choices)})])
        return str(value)

    return Kind(_unless_null(read), {"type": "string", "enum": list(choices)})


def matching(pattern: re.Pattern[str], message: str) -> Kind:
    """A text like this."""

    def read(value: Any) -> str:
        if not pattern.fullmatch(str(value)):
            raise WrongError([problem(message, "regex", pattern.pattern)])
        return str(value)

    return Kind(_unless_null(read), {"type": "string", "pattern": f"^(?:{pattern.pattern})$"})


def integer(*, least: int = 0, most: int | None = None) -> Kind:
    """A whole number; null where the body says so."""
    bounds = {"min": least} if most is None else {"min": least, "max": most}
    words = f"Must be greater than or equal to {least}"
    words += "." if most is None else f" and less than or equal to {most}."

    def read(value: Any) -> int:
        number = _integer(value)
        if number is None:
            raise WrongError(_NO_INTEGER)
        if number < least or (most is not None and number > most):
            raise WrongError([problem(words, "range", bounds)])
        return number

    limits = {"minimum": least, "maximum": 10**18 - 1 if most is None else most}
    texts = {"type": "string", "pattern": f"^[0-9]{{1,{18 if most is None else len(str(most)) - 1}}}$"}
    return Kind(_unless_null(read), {"anyOf": [{"type": "integer", **limits}, texts, {"type": "null"}]})


def number(*, digits: int) -> Kind:
    """A whole number of at most so many digits, as confd's lists take it."""

    def read(value: Any) -> int:
        text = str(value)
        if not (text.isascii() and text.isdecimal() and len(text) <= digits):
            raise WrongError(_NO_INTEGER)
        return int(text)

    return Kind(_unless_null(read), {"type": "integer", "minimum": 0, "maximum": 10**digits - 1})


def _boolean(value: Any) -> bool:
    word = str(value).lower() if isinstance(value, bool | int | str) else ""
    if word not in {*_TRUE, *_FALSE}:
        raise WrongError(_NO_BOOLEAN)
    return word in _TRUE


_ANY_CASE = "|".join("".join(f"[{c}{c.upper()}]" for c in word) for word in (*_TRUE, *_FALSE))
_WORDS = {"type": "string", "pattern": f"^(?:{_ANY_CASE})$"}

BOOLEAN: Final = Kind(_unless_null(_boolean), _WORDS)
"""A query's `True`, `true`, `1` and the like."""
SWITCH: Final = Kind(_boolean, {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, _WORDS]})
"""The same in a body, never null."""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongError(NULL if value is None else _NO_BOOLEAN)
    return value


FLAG: Final = Kind(_flag, {"type": "boolean"})
"""true or false and nothing else."""


def _moment(value: Any) -> datetime:
    at = _time(str(value))
    if at is None:
        raise WrongError(_NO_TIME)
    return at


TIME: Final = Kind(
    _unless_null(_moment),
    {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]},
)
"""An ISO 8601 time, aware; without a zone it is local time, as it is to Wazo's database."""


def _email(value: Any) -> str:
    if not (isinstance(value, str) and len(value) <= _LONGEST_EMAIL and _EMAIL.fullmatch(value)):
        raise WrongError(_NO_EMAIL)
    return value


EMAIL_ADDRESS: Final = Kind(
    _unless_null(_email),
    {"anyOf": [{"type": "string", "pattern": f"^{EMAIL}$", "maxLength": _LONGEST_EMAIL}, {"type": "null"}]},
)
"""An address; nothing that could make further headers of a mail."""


def integers(*, required: bool) -> Kind:
    """A list of whole numbers; `required`: with one at least, and never null."""

    def read(value: Any) -> tuple[int, ...] | None:
        if value is None:
            if required:
                raise WrongError(NULL)
            return None
        if not isinstance(value, list):
            raise WrongError(_NO_LIST)
        if required and not value:
            words = "Shorter than minimum length 1."
            raise WrongError([problem(words, "length", {"min": 1, "max": None})])
        numbers = [_integer(one) for one in value]
        wrong = {str(at): _NO_INTEGER for at, number in enumerate(numbers) if number is None}
        if wrong:
            raise WrongError(wrong)
        return tuple(number for number in numbers if number is not None)

    whole = {"type": "integer", "minimum": -(10**18) + 1, "maximum": 10**18 - 1}
    items = {"anyOf": [whole, {"type": "string", "pattern": "^[0-9]{1,18}$"}]}
    some = {"type": "array", "items": items}
    return Kind(read, {**some, "minItems": 1} if required else {"anyOf": [some, {"type": "null"}]})


def string(*, least: int = 0, most: int | None = None, null: bool = False) -> Kind:
    """A text of a body, of so many characters."""
    limits = {"min": least, "max": most}
    words = f"Length must be between {least} and {most}."

    def read(value: Any) -> str | None:
        if value is None and null:
            return None
        if not isinstance(value, str):
            raise WrongError(_NO_STRING)
        if len(value) < least or (most is not None and len(value) > most):
            raise WrongError([problem(words, "length", limits)])
        return value

    schema: dict[str, Any] = {"type": "string", "minLength": least}
    schema |= {} if most is None else {"maxLength": most}
    return Kind(read, {"anyOf": [schema, {"type": "null"}]} if null else schema)


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise WrongError(_NO_STRINGS)
    return tuple(value)


STRINGS: Final = Kind(_strings, {"type": "array", "items": {"type": "string"}})
"""A list of texts."""


def seconds(*, most: int) -> Kind:
    """A whole number of seconds, one at least; not as text."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongError(_NO_INTEGER)
        if not 1 <= value <= most:
            words = f"Must be greater than or equal to 1 and less than or equal to {most}."
            raise WrongError([problem(words, "range", {"min": 1, "max": most})])
        return value

    return Kind(read, {"type": "integer", "minimum": 1, "maximum": most})


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 10**18 else None
    found = _INTEGER.fullmatch(str(value).strip()) if isinstance(value, int | str) else None
    return int(found[0]) if found else None


def _time(text: str) -> datetime | None:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, utc, sign, zone_hours, zone_minutes = found.groups()
    try:
        at = datetime(  # noqa: DTZ001  # the zone follows
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")),
        )
        offset = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
        zone = timezone(-offset if sign == "-" else offset) if utc or sign else None
    except ValueError:
        return None
    try:
        return at.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # in UTC it is before the year 1 or after 9999
        return _FIRST if at.year == 1 else _LAST
