"""Reads finished WAVs through: how long, how loud, what to draw. The only importer of soundfile.

soundfile gets paths, never file objects: with those it fails under systemd's MemoryDenyWriteExecute (measured).
"""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from bridge.core.errors import MediaError
from bridge.core.records import AudioReport
from bridge.storage import repair
from bridge.storage.disk_errors import media_error

_BLOCK_SAMPLES = 65_536
_STRETCHES_PER_S = 10
_STRETCHES_AT_MOST = 4_000
# What is short is drawn finer: 800 fill a screen.
_FINE_STRETCHES_PER_S = 100
_FINE_STRETCHES = 800
_FULL_SCALE = 32_768
_SYSTEM_ERROR = 2
"""libsndfile's code for what the system refused."""

Samples = npt.NDArray[np.int16]


def inspect(path: Path) -> AudioReport:
    """Read a finished WAV through, in blocks of 64k samples; one hour of 8 kHz takes about 20 ms, its hash 30.

    There are ten stretches for drawing in a second; up to 100 as long as they are no more than 800 in all; never more
    than 4,000 in all (of an hour each is 0.9 s), nor more than samples. A file without samples is a report of 0 s.
    Raises MediaError with `reason`: `file-missing`, `empty`, `still-written` (its header is unfinished: libsndfile
    would read 0 samples), `unreadable`, or trouble of the disk.
    """
    before = repair.look(path)
    if not before.final:
        raise repair.empty(path, before) if before.data_at is None else _still_written(path)
    try:
        # First, as an error of the disk is told here; libsndfile only finds fewer samples.
        with path.open("rb") as raw:
            sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
        with soundfile.SoundFile(str(path)) as file:
            levels = _Levels(int(file.frames), int(file.channels), int(file.samplerate))
            block = np.empty((_BLOCK_SAMPLES // levels.channels, levels.channels), dtype=np.int16)
            while len(samples := file.read(out=block)):
                levels.take(samples)
    except OSError as error:
        raise media_error(path, "read", error) from error
    except soundfile.SoundFileError as error:
        if getattr(error, "code", None) == _SYSTEM_ERROR:
            raise MediaError(f"{path} cannot be read: {error}", reason="disk-error") from error
        raise _unreadable(path, str(error)) from error
    if levels.taken != levels.frames:
        raise _unreadable(path, f"it ends after {levels.taken} of {levels.frames} samples")
    if repair.look(path) != before:
        raise _still_written(path)
    return levels.report(before.size, sha256)


class _Levels:
    """Peak, RMS and what is drawn, gathered block by block."""

    def __init__(self, frames: int, channels: int, rate: int) -> None:
        self.frames = frames
        self.channels = channels
        self.taken = 0
        self._rate = rate
        fine = min(-(-frames * _FINE_STRETCHES_PER_S // rate), _FINE_STRETCHES)
        stretches = min(max(-(-frames * _STRETCHES_PER_S // rate), fine), _STRETCHES_AT_MOST, frames)
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


def _still_written(path: Path) -> MediaError:
    return MediaError(
        f"{path} is not finished, or changes while it is read: somebody writes it", reason="still-written"
    )


def _unreadable(path: Path, why: str) -> MediaError:
    return MediaError(f"{path} cannot be read as audio: {why}", reason="unreadable")
