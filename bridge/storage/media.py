"""Looks into finished WAVs. The only importer of soundfile.

soundfile gets paths, never file objects: with those it fails under systemd's MemoryDenyWriteExecute (measured).
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import soundfile

from bridge.core.decisions import Wav
from bridge.core.errors import MediaError
from bridge.core.records import AudioReport
from bridge.storage import finishing

_BLOCK_SAMPLES = 65_536
_STRETCHES_PER_S = 10
_STRETCHES_AT_MOST = 4_000
_FULL_SCALE = 32_768
_HEADER_BYTES = 4_096
_POLL_S = 0.005
_POLL_AT_MOST_S = 0.1

T = TypeVar("T")
Samples = npt.NDArray[np.int16]


def inspect(path: Path) -> AudioReport:
    """Read a finished WAV through, in blocks of 64k samples; one hour of 8 kHz takes about 20 ms, its hash 30.

    There are ten stretches for drawing in a second, but never more than 4,000 in all, nor more than samples. A file
    without samples is a report of 0 s. Raises MediaError with `reason`: `file-missing`, `header-unfinished` (it is
    still being written, or whoever wrote it died: libsndfile would read 0 samples), `unreadable`.
    """
    before = _stat(path)
    if not _is_final(path):
        raise _unfinished(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            levels = _Levels(int(file.frames), int(file.channels), int(file.samplerate))
            block = np.empty((_BLOCK_SAMPLES // levels.channels, levels.channels), dtype=np.int16)
            while len(samples := file.read(out=block)):
                levels.take(samples)
        with path.open("rb") as raw:
            sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(path, str(error)) from error
    if levels.taken != levels.frames:
        raise _unreadable(path, f"it ends after {levels.taken} of {levels.frames} samples")
    after = _stat(path)
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise _unfinished(path)
    return levels.report(after.st_size, sha256)


class _Levels:
    """Peak, RMS and what is drawn, gathered block by block."""

    def __init__(self, frames: int, channels: int, rate: int) -> None:
        self.frames = frames
        self.channels = channels
        self.taken = 0
        self._rate = rate
        stretches = min(-(-frames * _STRETCHES_PER_S // rate), _STRETCHES_AT_MOST, frames)
        # Where each stretch begins, and the end of the last.
        self._edges = np.arange(stretches + 1, dtype=np.int64) * frames // max(stretches, 1)
        self._lowest = np.full((channels, stretches), np.iinfo(np.int16).max, dtype=np.int16)
        self._highest = np.full((channels, stretches), np.iinfo(np.int16).min, dtype=np.int16)
        self._squares = [0.0] * channels

    def take(self, block: Samples) -> None:
        """The next samples, a row each."""
        begin, end = self.taken, self.taken + len(block)
        first = int(np.searchsorted(self._edges, begin, side="right")) - 1
        last = int(np.searchsorted(self._edges, end, side="left"))
        starts = np.maximum(self._edges[first:last] - begin, 0)
        for channel in range(self.channels):
            samples = np.ascontiguousarray(block[:, channel])
            lowest, highest = self._lowest[channel, first:last], self._highest[channel, first:last]
            np.minimum(lowest, np.minimum.reduceat(samples, starts), out=lowest)
            np.maximum(highest, np.maximum.reduceat(samples, starts), out=highest)
            # float32 keeps 64k squares to within 1e-4 and halves the time of float64; the sum over blocks is float64.
            as_float = samples.astype(np.float32)
            self._squares[channel] += float(np.dot(as_float, as_float))
        self.taken = end

    def report(self, size_bytes: int, sha256: str) -> AudioReport:
        """What was found, once every sample was taken."""
        # 16 bits to 8, rounded; +127.5 and more would wrap.
        drawn = np.stack((self._lowest, self._highest), axis=-1).astype(np.int32)
        drawn = np.minimum((drawn + 128) >> 8, 127).astype(np.int8)
        if self.frames:
            low, high = self._lowest.min(axis=1).astype(np.int32), self._highest.max(axis=1).astype(np.int32)
            peak = tuple(float(value) / _FULL_SCALE for value in np.maximum(-low, high))
        else:
            peak = (0.0,) * self.channels
        return AudioReport(
            duration_s=self.frames / self._rate,
            size_bytes=size_bytes,
            sample_rate_hz=self._rate,
            channels=self.channels,
            peak=peak,
            rms=tuple(float(np.sqrt(total / max(self.frames, 1))) / _FULL_SCALE for total in self._squares),
            peaks=drawn.transpose(1, 0, 2).tobytes(),
            sha256=sha256,
        )


class MediaInspector:
    """Looks into WAVs in at most `workers` threads of its own; whoever comes while all are busy waits its turn."""

    def __init__(self, *, workers: int = 2, inspection_s: float = 120.0) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="media")
        self._slots = asyncio.Semaphore(workers)
        self._inspection_s = inspection_s

    async def close(self) -> None:
        """Let what runs come to its end, refuse the rest."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    async def inspect_when_final(self, path: Path, deadline_s: float) -> AudioReport:
        """Inspect a WAV once its header holds its sizes: `Hangup` can come milliseconds before that (measured).

        Raises MediaError as `inspect` does: after `deadline_s` with what was still wrong, `file-missing` or
        `header-unfinished`, and with `timeout` where the disk takes longer than `inspection_s` for the reading itself.
        """
        error = await self._poll(deadline_s, lambda: _not_final(path))
        if error is not None:
            raise error
        try:
            return await asyncio.wait_for(self._run(lambda: inspect(path)), self._inspection_s)
        except TimeoutError as late:
            raise MediaError(
                f"{path} could not be read through within {self._inspection_s:g} s: check the disk of the spool",
                reason="timeout",
            ) from late

    async def finish(self, wav: Wav, local_path: Callable[[str], Path], deadline_s: float) -> bool:
        """Make a section's WAV out of what MixMonitor wrote, once that is closed; see `finishing.finish`.

        Raises MediaError as `inspect_when_final` does. What is not there is left to the inspection to find.
        """
        if not wav.stereo and wav.mixed == wav.path:
            return True
        path, mixed = local_path(wav.path), local_path(wav.mixed)
        receive, transmit = local_path(wav.receive), local_path(wav.transmit)
        for part in (mixed, receive, transmit):
            error = await self._poll(deadline_s, partial(_not_final_if_there, part))
            if error is not None:
                raise error
        stereo, leg_is_left = wav.stereo, wav.leg_is_left
        return await self._run(
            lambda: finishing.finish(path, mixed, receive, transmit, stereo=stereo, leg_is_left=leg_is_left)
        )

    async def wait_for_file(self, path: Path, deadline_s: float) -> bool:
        """Whether there is a regular file at `path`, now or within `deadline_s`. Raises MediaError `unreadable`."""
        return await self._poll(deadline_s, lambda: _missing(path)) is None

    async def _poll(self, deadline_s: float, wrong: Callable[[], MediaError | None]) -> MediaError | None:
        """Ask what is wrong until nothing is; after the deadline, gives the last answer (there is at least one)."""
        clock = asyncio.get_running_loop()
        deadline = clock.time() + deadline_s
        pause_s = _POLL_S
        while True:
            error = await self._run(wrong)
            if error is None or clock.time() >= deadline:
                return error
            await asyncio.sleep(min(pause_s, max(deadline - clock.time(), 0)))
            pause_s = min(pause_s * 2, _POLL_AT_MOST_S)

    async def _run(self, work: Callable[[], T]) -> T:
        async with self._slots:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _not_final(path: Path) -> MediaError | None:
    error = _missing(path)
    if error is not None:
        return error
    return None if _is_final(path) else _unfinished(path)


def _not_final_if_there(path: Path) -> MediaError | None:
    return _not_final(path) if path.exists() else None


def _missing(path: Path) -> MediaError | None:
    try:
        _stat(path)
    except MediaError as error:
        if error.details["reason"] != "file-missing":
            raise
        return error
    return None


def _stat(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MediaError(
            f"{path} is not there: Asterisk and recbridge must see the same folder (`spool:`), and Asterisk must be "
            "allowed to write into it",
            reason="file-missing",
        ) from error
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise _unreadable(path, "it is no regular file")
    return status


def _is_final(path: Path) -> bool:
    """Whether a WAV's header holds its sizes; Asterisk writes both as 0 and sets them when it closes (measured).

    What is no WAV at all counts as final: libsndfile says what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    if len(head) < 12:
        return False
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return True
    if not int.from_bytes(head[4:8], "little"):
        return False
    # The size of RIFF is written before that of the data.
    at = 12
    while at + 8 <= len(head):
        length = int.from_bytes(head[at + 4 : at + 8], "little")
        if head[at : at + 4] == b"data":
            return length > 0 or size == at + 8
        at += 8 + length + length % 2
    return True


def _unfinished(path: Path) -> MediaError:
    return MediaError(
        f"{path} is not finished, its header has no sizes: Asterisk still writes it, or ended without closing it",
        reason="header-unfinished",
    )


def _unreadable(path: Path, why: str) -> MediaError:
    return MediaError(f"{path} cannot be read as audio: {why}", reason="unreadable")
