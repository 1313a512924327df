"""Values of queries and bodies as Wazo takes them, and what it says of wrong ones.

Facts from marshmallow's fields and xivo-lib-python's `mallow`: a wrong type is one `{message, constraint_id,
constraint}`, a wrong value a list of them; unknown fields are ignored.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from aiohttp import web

from bridge.api.validation import raw_body
from bridge.api.wazo.errors import InvalidDataError

_TRUE = frozenset({"t", "true", "on", "y", "yes", "1"})
_FALSE = frozenset({"f", "false", "off", "n", "no", "0"})
# A `+` in a zone that nobody escaped arrives as a blank.
_TIME = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6})\d{0,6})?)?(?:(Z)|([-+ ])(\d{2}):?(\d{2})?)?)?",
    re.ASCII,
)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:localhost|[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+)"
"""The whole of an address that mails are sent to: nothing in it could make further headers of a mail."""
_EMAIL = re.compile(EMAIL)

Problem = dict[str, object]


def problem(message: str, constraint_id: str, constraint: object) -> Problem:
    """What is wrong with a value."""
    return {"message": message, "constraint_id": constraint_id, "constraint": constraint}


NULL = problem("Field may not be null.", "not_null", "not_null")
MISSING = problem("Missing data for required field.", "required", "required")
NO_LIST = problem("Not a valid list.", "type", "list")
NO_BOOLEAN = problem("Not a valid boolean.", "type", "boolean")
NO_INTEGER = problem("Not a valid integer.", "type", "integer")
NO_EMAIL = problem("Not a valid email address.", "type", "email")
NO_TIME = problem("Not a valid datetime", "type", "datetime")


class Values:
    """Reads the values of a query or body one by one, and remembers what is wrong with them."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.problems: dict[str, object] = {}

    def check(self) -> None:
        """Raises InvalidDataError where something was wrong."""
        if self.problems:
            raise InvalidDataError(self.problems)

    def text(self, name: str) -> str | None:
        """Any text."""
        value = self.given.get(name)
        return None if value is None else str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Texts with commas between them."""
        return tuple(one for one in (self.text(name) or "").split(",") if one)

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of these."""
        value = self.text(name)
        if value is not None and value not in choices:
            words = f"Must be one of: {', '.join(choices)}."
            self.problems[name] = [problem(words, "enum", {"choices": list(choices)})]
            return None
        return value

    def matching(self, name: str, pattern: re.Pattern[str], message: str) -> str | None:
        """A text like this."""
        value = self.text(name)
        if value is not None and not pattern.fullmatch(value):
            self.problems[name] = [problem(message, "regex", pattern.pattern)]
            return None
        return value

    def integer(self, name: str, *, least: int = 0, most: int | None = None) -> int | None:
        """A whole number; null where the body says so or says nothing."""
        value = self.given.get(name)
        if value is None:
            return None
        number = _integer(value)
        if number is None:
            self.problems[name] = NO_INTEGER
        elif number < least or (most is not None and number > most):
            bounds = {"min": least} if most is None else {"min": least, "max": most}
            words = f"Must be greater than or equal to {least}"
            words += "." if most is None else f" and less than or equal to {most}."
            self.problems[name] = [problem(words, "range", bounds)]
        return number

    def boolean(self, name: str) -> bool | None:
        """`True`, `true`, `1` and the like."""
        value = self.text(name)
        if value is None:
            return None
        word = value.lower()
        if word not in _TRUE | _FALSE:
            self.problems[name] = NO_BOOLEAN
        return word in _TRUE

    def time(self, name: str) -> datetime | None:
        """An ISO 8601 time, aware; without a zone it is local time, as it is to Wazo's database."""
        value = self.text(name)
        if value is None:
            return None
        at = _time(value)
        if at is None:
            self.problems[name] = NO_TIME
        return at

    def email(self, name: str) -> str | None:
        """An address; nothing that could make further headers of a mail."""
        value = self.given.get(name)
        if value is not None and not (isinstance(value, str) and len(value) <= 254 and _EMAIL.fullmatch(value)):
            self.problems[name] = NO_EMAIL
            return None
        return value

    def integers(self, name: str, *, required: bool) -> Sequence[int] | None:
        """A list of whole numbers; `required`: with one at least."""
        value = self.given.get(name)
        if value is None:
            if required:
                self.problems[name] = NULL if name in self.given else MISSING
            return None
        if not isinstance(value, list):
            self.problems[name] = NO_LIST
            return None
        if required and not value:
            words = "Shorter than minimum length 1."
            self.problems[name] = [problem(words, "length", {"min": 1, "max": None})]
            return None
        numbers = [_integer(one) for one in value]
        wrong = {str(at): NO_INTEGER for at, number in enumerate(numbers) if number is None}
        if wrong:
            self.problems[name] = wrong
        return [number for number in numbers if number is not None]


async def json_body(request: web.Request) -> Mapping[str, Any]:
    """The body's fields, whatever its content type; none where there is no body. Raises InvalidDataError."""
    raw = await raw_body(request)
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidDataError({"_schema": ["The body is no JSON."]}) from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidDataError({"_schema": ["Invalid input type."]})
    return body


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
