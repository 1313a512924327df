"""The append-only file for what the database cannot take: `bridge.core.store.Intents`.

A first line that names the format, then a line for each intent: the length of its JSON and the JSON's CRC-32, in
hexadecimal digits, and the JSON, in ASCII. What follows the last line is zeros: room that is taken while there is some.
"""

import contextlib
import itertools
import json
import os
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from bridge.core.records import CallStatus
from bridge.core.store import CHANGES, AddCdr, Intent, Mark
from bridge.storage.plain import plain, read
from bridge.storage.replacing import sync_folder

log = structlog.get_logger()

RESERVED_BYTES = 4 << 20
_FIRST_LINE = b"recbridge intents 1\n"
_BLOCK_BYTES = 1 << 16
_HEAD_BYTES = 18
"""`0000012c 1b2f3c4d ` before the JSON."""
_LONGEST_BYTES = 64 << 20
_KINDS = {kind.__name__: kind for kind in CHANGES}


def line_of(intent: Intent) -> bytes:
    """The line of an intent."""
    changes = [[type(change).__name__, plain(change)] for change in intent.changes]
    value = {"run": intent.last.run, "number": intent.last.number, "changes": changes}
    text = json.dumps(value, separators=(",", ":")).encode("ascii")
    return b"%08x %08x %s\n" % (len(text), zlib.crc32(text), text)


def text_of(line: bytes) -> bytes | None:
    """The JSON of a line; None where the line is torn or changed."""
    text = line[_HEAD_BYTES:-1]
    whole = line.endswith(b"\n") and line[:_HEAD_BYTES] == b"%08x %08x " % (len(text), zlib.crc32(text))
    return text if whole else None


def intent_of(text: bytes) -> Intent | None:
    """From the JSON of a whole line; None where it holds what this code does not know."""
    try:
        value = json.loads(text)
        changes = tuple(read(_KINDS[name], _as_now(name, change)) for name, change in value["changes"])
        return Intent(Mark(value["run"], value["number"]), changes)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def any_left(path: Path) -> bool:
    """Whether a file has intents, or what cannot be read; changes nothing. Raises OSError."""
    with path.open("rb") as file:
        first = file.read(len(_FIRST_LINE))
        return bool(first.strip(b"\0") and first != _FIRST_LINE) or any(
            block.strip(b"\0") for block in iter(lambda: file.read(_BLOCK_BYTES), b"")
        )


def _as_now(name: str, change: dict[str, Any]) -> dict[str, Any]:
    """A change as this version says it: older ones had no status of a call (as in schema/0004_dialects.sql)."""
    if name != AddCdr.__name__ or "status" in change["cdr"]:
        return change
    answered = change["cdr"]["answered_at"] is not None
    status = CallStatus.ANSWERED if answered else CallStatus.UNKNOWN
    return {"cdr": {**change["cdr"], "status": status.value}}


class IntentsFile:
    """`path`, made with mode 0600 and 4 MB of room when it is first used. It is read by one thread at a time, written
    by one, and not emptied while it is read.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        """`clock` names what is moved aside."""
        self._path = path
        self._clock = clock
        self._descriptor: int | None = None
        self._end = len(_FIRST_LINE)
        self._broken = False
        self._unread = 0

    @property
    def size_bytes(self) -> int:
        """What is written and not taken in yet; the room that is reserved does not count."""
        return self._end - len(_FIRST_LINE)

    def append(self, intents: Sequence[Intent]) -> None:
        """Add them; on return they are on disk. Raises OSError; then nothing of them is there."""
        descriptor = self._opened()
        if self._broken:
            self._move_aside()
            descriptor = self._opened()
        lines = b"".join(map(line_of, intents))
        try:
            _write(descriptor, lines, self._end)
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                _wipe(descriptor, self._end, self._end + len(lines))
            raise
        self._end += len(lines)

    def read(self, offset: int, most: int) -> tuple[Sequence[Intent], int]:
        """From an offset on (0: the beginning) intents, until they have `most` changes or more, and where to go on.

        What cannot be read is left out, and `clear` moves it aside. Raises OSError.
        """
        descriptor = self._opened()
        found: list[Intent] = []
        count = 0
        offset = max(offset, len(_FIRST_LINE))
        # A buffer of its own each time: what is written goes past it.
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(offset)
            while offset < self._end and count < most:
                line = file.readline(_LONGEST_BYTES)
                offset += len(line)
                text = text_of(line.lstrip(b"\0"))
                intent = intent_of(text) if text is not None else None
                if intent is not None:
                    found.append(intent)
                    count += len(intent.changes)
        if offset >= self._unread:
            self._unread = 0
        return found, offset

    def clear(self) -> None:
        """Empty it; on return that is on disk. What could not be read, or was not, is moved aside. Raises OSError."""
        descriptor = self._opened()
        if self._broken or self._unread:
            self._move_aside()
            self._opened()
            return
        _wipe(descriptor, len(_FIRST_LINE), self._end)
        self._end = len(_FIRST_LINE)
        self._reserve(descriptor)

    def close(self) -> None:
        """Close it; the next call opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _opened(self) -> int:
        if self._descriptor is not None:
            return self._descriptor
        if self._path.is_dir():
            self._move_aside()
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            self._look(descriptor)
            self._reserve(descriptor)
            sync_folder(self._path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return descriptor

    def _look(self, descriptor: int) -> None:
        """Find the end of what can be read, and whether what cannot is more than a last line that was cut off."""
        torn = strange = 0
        self._end = offset = len(_FIRST_LINE)
        self._broken = False
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            first = file.read(len(_FIRST_LINE))
            if not first.strip(b"\0"):
                _write(descriptor, _FIRST_LINE, 0)
            elif first != _FIRST_LINE:
                strange += 1
            file.seek(offset)
            while line := file.readline(_LONGEST_BYTES):
                offset += len(line)
                stripped = line.lstrip(b"\0")
                if not stripped:
                    continue
                text = text_of(stripped)
                if text is None:
                    torn += 1
                    continue
                strange += intent_of(text) is None
                self._broken |= torn > 0 or stripped != line
                self._end = offset
        # What is there before we write: where it ends.
        self._unread = self._end if self._end > len(_FIRST_LINE) else 0
        self._broken |= strange > 0
        if self._broken:
            what = "what can be read of it is taken in, then it is moved aside"
            log.error("intents-unreadable", file=str(self._path), lines=torn + strange, what=what)
        elif torn:
            log.warning("intents-torn", file=str(self._path), what="the last write was cut off, and is skipped")
            _wipe(descriptor, self._end, offset)

    def _reserve(self, descriptor: int) -> None:
        try:
            os.posix_fallocate(descriptor, 0, RESERVED_BYTES)
            os.fsync(descriptor)
        except OSError as error:
            log.warning("intents-not-reserved", file=str(self._path), problem=error.strerror)

    def _move_aside(self) -> None:
        name = f"{self._path.name}.broken-{self._clock():%Y%m%dT%H%M%SZ}"
        places = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        place = next(place for place in map(self._path.with_name, places) if not place.exists())
        self._path.rename(place)
        self.close()
        sync_folder(self._path.parent)
        log.error("intents-moved-aside", file=str(place), what="keep it: changes in it may be lost")


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _wipe(descriptor: int, start: int, end: int) -> None:
    """Zeros in place of what was written, on disk; the room that is reserved stays."""
    keep = max(start, RESERVED_BYTES)
    if end > keep:
        os.ftruncate(descriptor, keep)
    _write(descriptor, bytes(min(end, keep) - start), start)
    os.fsync(descriptor)
