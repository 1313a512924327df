"""Finishes the header of a WAV that nobody closed, from the file's length.

Asterisk writes a header of 44 bytes with both sizes 0 at once, then the audio in steps of 32 KiB, and the sizes when it
closes the file, RIFF's before the data's. Killed, it leaves whole steps behind a header without sizes; what was in its
buffer, up to 2 s of 8 kHz, never was on the disk (measured on 22 and 16). Where there was no room for the header, and
room came, or somebody emptied the file, zeros stand in its place and the audio lies where it would (measured on 22).
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bridge.core.errors import MediaError
from bridge.storage.disk_errors import is_full, media_error
from bridge.storage.replacing import replacing

ENDING = "repairing"
_HEADER_BYTES = 4_096
_PLAIN_BYTES = 44
_NARROW_HZ, _WIDE_HZ = 8_000, 16_000
_COPY_BYTES = 1 << 20
_LARGEST = 0xFFFF_FFFF
"""What 32 bits can say: after 4 GiB, 37 hours of stereo, a header says less than there is."""


@dataclass(frozen=True, slots=True)
class Look:
    """A file as its beginning and its length show it.

    `final`: its sizes fit its length; so has what is no WAV at all, libsndfile says what is wrong with it. `data_at` is
    where its audio begins, None for one that ends before.
    `frame_bytes` is one sample of each channel, `bytes_per_s` a second of all; `headless`: zeros stand for its header.
    """

    size: int
    changed_ns: int
    final: bool
    data_at: int | None = None
    frame_bytes: int = 1
    bytes_per_s: int = 1
    headless: bool = False

    @property
    def audio_bytes(self) -> int:
        """The audio up to the end of the file, in whole frames."""
        return 0 if self.data_at is None else (self.size - self.data_at) // self.frame_bytes * self.frame_bytes


@dataclass(frozen=True, slots=True)
class Repaired:
    """A header that was finished: how much audio it tells of now."""

    audio_bytes: int
    audio_s: float


def look(path: Path) -> Look:
    """Raises MediaError: `file-missing`, `unreadable` where it is no regular file, or trouble of the disk."""
    try:
        # A pipe would keep us waiting for its other end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise MediaError(f"{path} cannot be read as audio: it is no regular file", reason="unreadable")
        with path.open("rb") as file:
            return _look(file)
    except OSError as error:
        raise media_error(path, "read", error) from error


def _look(file: BinaryIO) -> Look:
    head = file.read(_HEADER_BYTES)
    status = os.fstat(file.fileno())
    size, changed_ns = max(status.st_size, len(head)), status.st_mtime_ns
    if size > _PLAIN_BYTES and not any(head[:4]) and not any(head[8:40]):  # the sizes may be there
        rate = _WIDE_HZ if str(file.name).endswith(".wav16") else _NARROW_HZ
        return Look(size, changed_ns, False, _PLAIN_BYTES, 2, 2 * rate, headless=True)
    if not (b"RIFF".startswith(head[:4]) and b"WAVE".startswith(head[8:12])):
        return Look(size, changed_ns, final=True)
    at, frame_bytes, bytes_per_s = 12, 1, 1
    while at + 8 <= len(head):
        length = _number(head, at + 4)
        if head[at : at + 4] == b"data":
            told = _number(head, 4)
            # A byte that only fills up to an even length may be counted or not.
            final = abs(told - min(size - 8, _LARGEST)) <= 1 and at + 8 + length <= size
            final = final and (length > 0 or size == at + 8)
            return Look(size, changed_ns, final, at + 8, frame_bytes, bytes_per_s)
        if head[at : at + 4] == b"fmt ":
            bytes_per_s = _number(head, at + 16) or 1
            frame_bytes = int.from_bytes(head[at + 20 : at + 22], "little") or 1
        at += 8 + length + length % 2
    # Where the file goes on behind such a long header, libsndfile may find its audio.
    return Look(size, changed_ns, final=at + 8 <= size)


def _number(head: bytes, at: int) -> int:
    return int.from_bytes(head[at : at + 4], "little")


def repair(path: Path) -> Repaired | None:
    """Finish the header of a WAV that nobody writes any more; None where it was finished.

    A copy with the right sizes takes the file's place (`replacing`), so Asterisk's user may own it and a crash does no
    harm; with no room for a copy the header is written into the file itself, at once. The audio stays byte for byte,
    but for a part of a last frame, which is dropped. Raises MediaError: `empty` for a file that ends before its audio,
    `still-written` where it changes meanwhile, `disk-full` and the like.
    """
    try:
        with path.open("rb") as file:
            found = _look(file)
            if found.final:
                return None
            if found.data_at is None:
                raise empty(path, found)
            file.seek(0)
            header = file.read(found.data_at)
            header = _finished(_plain(found.bytes_per_s // 2) if found.headless else header, found)
            try:
                _copy(file, header, found, path)
            except OSError as error:
                if not is_full(error):
                    raise
                _write_into(path, header, found, error)
    except OSError as error:
        raise media_error(path, "repaired", error) from error
    return Repaired(found.audio_bytes, found.audio_bytes / found.bytes_per_s)


def empty(path: Path, found: Look) -> MediaError:
    """What to say of a file that ends before its audio."""
    return MediaError(f"{path} ends after {found.size} bytes, before its audio", reason="empty")


def _plain(rate_hz: int) -> bytes:
    """The header that Asterisk writes: one channel of 16 bits, without its sizes."""
    kind = (16).to_bytes(4, "little") + (1).to_bytes(2, "little") + (1).to_bytes(2, "little")
    rates = rate_hz.to_bytes(4, "little") + (2 * rate_hz).to_bytes(4, "little")
    widths = (2).to_bytes(2, "little") + (16).to_bytes(2, "little")
    return b"RIFF" + bytes(4) + b"WAVEfmt " + kind + rates + widths + b"data" + bytes(4)


def _finished(header: bytes, found: Look) -> bytes:
    """The header with the sizes that the file's length tells."""
    riff = min(len(header) - 8 + found.audio_bytes, _LARGEST)
    data = min(found.audio_bytes, (_LARGEST - len(header)) // found.frame_bytes * found.frame_bytes)
    return header[:4] + riff.to_bytes(4, "little") + header[8:-4] + data.to_bytes(4, "little")


def _copy(file: BinaryIO, header: bytes, found: Look, path: Path) -> None:
    with replacing(path, ENDING, lambda: _unchanged(path, found)) as new:
        new.write(header)
        left = found.audio_bytes
        while left:
            block = file.read(min(left, _COPY_BYTES))
            if not block:
                raise _still_written(path)
            new.write(block)
            left -= len(block)


def _write_into(path: Path, header: bytes, found: Look, full: OSError) -> None:
    """No block is added: the bytes are there. A crash before the header is written leaves a file to repair."""
    try:
        with path.open("r+b", buffering=0) as file:
            _unchanged(path, found)
            file.truncate(len(header) + found.audio_bytes)
            os.pwrite(file.fileno(), header, 0)
            os.fsync(file.fileno())
    except OSError as error:
        raise full from error


def _unchanged(path: Path, found: Look) -> None:
    status = path.stat()
    if (status.st_size, status.st_mtime_ns) != (found.size, found.changed_ns):
        raise _still_written(path)


def _still_written(path: Path) -> MediaError:
    return MediaError(f"{path} changes while its header is repaired: somebody still writes it", reason="still-written")
