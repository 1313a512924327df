"""What a request wants of a file: Range and its conditions, as RFC 9110 (chapters 13 and 14) has them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells one state of a file from another. `etag` has its quotes."""

    size: int
    mtime_ns: int

    @property
    def etag(self) -> str:
        """A strong validator."""
        return f'"{self.mtime_ns:x}-{self.size:x}"'

    @property
    def last_modified(self) -> str:
        """As HTTP writes a date."""
        return format_datetime(datetime.fromtimestamp(self.mtime_ns // 10**9, UTC), usegmt=True)


def not_modified(headers: Mapping[str, str], stamp: FileStamp) -> bool:
    """Whether the client has this state already."""
    known = headers.get("If-None-Match")
    if known is not None:
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        return "*" in tags or stamp.etag in tags
    # The date that we gave: a client sends it back as it is.
    return headers.get("If-Modified-Since") == stamp.last_modified


def wanted_range(headers: Mapping[str, str], stamp: FileStamp) -> range | None:
    """The bytes asked for, empty where the file has none of them; None for the whole file.

    The whole file too for several ranges at once, for a Range that is none, and where If-Range names another state.
    """
    found = _RANGE.fullmatch(headers.get("Range", ""))
    if found is None or headers.get("If-Range", stamp.etag) not in {stamp.etag, stamp.last_modified}:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:
        return range(max(0, stamp.size - _number(last)), stamp.size)
    if last and _number(last) < _number(first):
        return None
    return range(_number(first), min(_number(last) + 1, stamp.size) if last else stamp.size)


def _number(digits: str) -> int:
    stripped = digits.lstrip("0")
    return int(stripped or "0") if len(stripped) <= _MOST_DIGITS else 10**_MOST_DIGITS
