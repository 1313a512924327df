"""Writes zips of recordings, stored as they are. All functions block.

`zipfile` keeps an object for each file until the end; here the directory grows in a file of its own, so that memory
stays flat whatever the count, and each file is hashed as it is copied.
"""

import contextlib
import errno
import hashlib
import os
import stat
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from bridge.core.errors import MediaError
from bridge.core.exports import Copied
from bridge.storage.disk_errors import is_full
from bridge.storage.orphans import day_folder
from bridge.storage.replacing import sync_folder

_CHUNK = 256 * 1024
_SYNC_EVERY = 64 * 2**20
"""So much is on disk before more is written: else the commits of recordings wait at the end for all of it."""
_MODE = 0o600

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_BIG = 0xFFFF_FFFF
_MANY = 0xFFFF
_PLAIN, _ZIP64 = 20, 45
_UTF8_NAME = 0x800
_UNIX = 3 << 8
_ATTRIBUTES = (stat.S_IFREG | _MODE) << 16


class StoppedError(Exception):
    """The zip is not wanted any more."""


class ZipWriter:
    """One zip that grows at `path` (0600), made anew. Its end is `finish`, else `discard`.

    `stopped` is asked before each chunk. Every method raises MediaError: `no-space`, or `disk-error`; and StoppedError.
    """

    def __init__(self, path: Path, stopped: Callable[[], bool] = lambda: False) -> None:
        self._path = path
        self._stopped = stopped
        self._count = 0
        self._at = 0
        self._synced = 0
        self._day = ""
        self._folder = contextlib.ExitStack()
        self._descriptor = -1
        with _writing(path):
            path.parent.mkdir(_MODE | 0o100, exist_ok=True)
            path.unlink(missing_ok=True)
            self._directory = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115  # closed by finish or discard
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._out = os.fdopen(os.open(path, flags, _MODE), "wb", buffering=_CHUNK)
            except OSError:
                self._directory.close()
                raise

    def copy(self, root: Path, relative: str, name: str, at: datetime) -> Copied | None:
        """Copy a recording of the spool. None where it is missing or unreadable: then nothing of it is in the zip."""
        day, _, file_name = relative.rpartition("/")
        try:
            if day != self._day:
                self.leave()
                self._descriptor = self._folder.enter_context(day_folder(root, relative))
                self._day = day
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            source = os.open(file_name, flags, dir_fd=self._descriptor)
        except (OSError, ValueError, MediaError):
            return None
        if not stat.S_ISREG(os.fstat(source).st_mode):
            os.close(source)
            return None
        with os.fdopen(source, "rb", buffering=0) as file:
            return self._add(file, name, at)

    def leave(self) -> None:
        """Let go of the spool's folder that was copied from last, so that its disk can be unmounted."""
        self._folder.close()
        self._day = ""

    def add(self, file: BinaryIO, name: str, at: datetime) -> Copied | None:
        """Copy what a file holds from where it stands; None where it cannot be read."""
        return self._add(file, name, at)

    def _add(self, file: BinaryIO, name: str, at: datetime) -> Copied | None:
        with _writing(self._path):
            begin = self._at
            entry = _Entry(name, at, begin, wide=os.fstat(file.fileno()).st_size >= _BIG)
            try:
                # Most fit into one chunk; of others the head is corrected when all is known.
                chunk = self._read(file)
                size, crc, digest = len(chunk), zlib.crc32(chunk), hashlib.sha256(chunk)
                self._write(entry.local(size, crc))
                self._write(chunk)
                while chunk:
                    chunk = self._read(file)
                    size, crc = size + len(chunk), zlib.crc32(chunk, crc)
                    digest.update(chunk)
                    self._write(chunk)
                if size >= _BIG and not entry.wide:
                    raise _UnreadableError
            except _UnreadableError:
                self._out.seek(begin)
                self._out.truncate()
                self._at = begin
                return None
            if size > _CHUNK:
                self._out.flush()
                os.pwrite(self._out.fileno(), entry.local(size, crc), begin)
            self._directory.write(entry.central(size, crc))
            self._count += 1
            return Copied(size, digest.hexdigest())

    def finish(self, path: Path) -> int:
        """Have the whole zip at `path`, on disk; gives its size in bytes."""
        with _writing(self._path):
            begin, length = self._at, self._directory.tell()
            self._directory.seek(0)
            while chunk := self._directory.read(_CHUNK):
                self._check()
                self._write(chunk)
            self._write(_end(self._count, length, begin))
            self._out.flush()
            os.fsync(self._out.fileno())
            self._directory.close()
            self._out.close()
            self._check()  # the disk may have hung until nobody waited for it
            self._path.replace(path)
            try:
                sync_folder(path.parent)
            except OSError:
                path.unlink(missing_ok=True)
                raise
            return self._at

    def discard(self) -> None:
        """Remove what there is of it."""
        self.leave()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        for file in (self._directory, self._out):
            with contextlib.suppress(OSError):  # what is buffered may find no room
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def _read(self, file: BinaryIO) -> bytes:
        self._check()
        try:
            return file.read(_CHUNK)
        except OSError as error:
            raise _UnreadableError from error

    def _check(self) -> None:
        if self._stopped():
            raise StoppedError

    def _write(self, chunk: bytes) -> None:
        self._out.write(chunk)
        self._at += len(chunk)
        if self._at - self._synced >= _SYNC_EVERY:
            self._out.flush()
            os.fdatasync(self._out.fileno())
            self._synced = self._at


class _UnreadableError(Exception):
    """The file that is copied cannot be read."""


class _Entry:
    """One file's two heads, where its zip's byte `begin` is its first. `wide`: 4 GiB and more."""

    def __init__(self, name: str, at: datetime, begin: int, *, wide: bool) -> None:
        self.wide = wide
        self._name = name.encode("utf-8", "replace")
        self._begin = begin
        at = at.astimezone(UTC)
        year = min(max(at.year, 1980), 2107)
        self._date = (year - 1980) << 9 | at.month << 5 | at.day
        self._time = at.hour << 11 | at.minute << 5 | at.second // 2

    def local(self, size: int, crc: int) -> bytes:
        extra = struct.pack("<2H2Q", 1, 16, size, size) if self.wide else b""
        version, small = (_ZIP64, _BIG) if self.wide else (_PLAIN, min(size, _BIG))
        head = _LOCAL.pack(
            b"PK\3\4", version, _UTF8_NAME, 0, self._time, self._date, crc, small, small, len(self._name), len(extra)
        )
        return head + self._name + extra

    def central(self, size: int, crc: int) -> bytes:
        wide = [size, size] if self.wide else []
        wide += [self._begin] if self._begin >= _BIG else []
        extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        version = _ZIP64 if wide else _PLAIN
        small = _BIG if self.wide else size
        head = _CENTRAL.pack(
            b"PK\1\2", _UNIX | version, version, _UTF8_NAME, 0, self._time, self._date, crc, small, small,
            len(self._name), len(extra), 0, 0, 0, _ATTRIBUTES, min(self._begin, _BIG),
        )  # fmt: skip
        return head + self._name + extra


def _end(count: int, length: int, begin: int) -> bytes:
    """The end of a zip whose directory has so many entries and bytes, and begins there."""
    wide = b""
    if count >= _MANY or length >= _BIG or begin >= _BIG:
        record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, length, begin)
        wide = record + struct.pack("<4sIQI", b"PK\6\7", 0, begin + length, 1)
    few = min(count, _MANY)
    return wide + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, few, few, min(length, _BIG), min(begin, _BIG), 0)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "no-space" if is_full(error) or error.errno == errno.EFBIG else "disk-error"
        raise MediaError(f"{path} cannot be written: {error.strerror or error}", reason=reason) from error
