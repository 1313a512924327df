"""Texts, times and JSON as SQLite takes them, and back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def text_in(value: str | None) -> str | bytes | None:
    """A text for `CAST(? AS TEXT)`: Asterisk's own bytes, also where they are no valid UTF-8."""
    return value if value is None or value.isascii() else value.encode("utf-8", "surrogateescape")


def text_out(value: bytes) -> str:
    """The text_factory that undoes `text_in`."""
    return value.decode("utf-8", "surrogateescape")


def bytes_of(text: str | bytes) -> bytes:
    """What `CAST(:x AS TEXT)` makes of what `text_in` gave."""
    return text.encode() if isinstance(text, str) else text


def texts_in(row: Row) -> Row:
    """The row with `text_in` of each text."""
    return {name: text_in(value) if isinstance(value, str) else value for name, value in row.items()}


def time_in(at: datetime | None) -> int | None:
    """Microseconds since 1970 UTC."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def time_out(value: int) -> datetime:
    """What `time_in` made."""
    return _EPOCH + timedelta(microseconds=value)


def json_in(value: Any) -> str:
    """JSON in ASCII, so that it is valid UTF-8 whatever the values hold. Raises TypeError or ValueError."""
    return _JSON.encode(value)
