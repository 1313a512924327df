"""MixMonitor's files: WAVs that grow while the call runs, with the tones of those who are heard."""

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

# What each party adds: ten of them fit before anything clips.
_AMPLITUDE = 0.09
# Asterisk's buffer: a file begins with its 44 bytes of header and grows by this much (measured on 22.10).
STEP_BYTES = 32_768
RATES_HZ = {".wav": 8000, ".wav16": 16000}
HEADER_BYTES = 44


class TonesFile:
    """One WAV, mono, 16 bit, as Asterisk writes it: both sizes in its header are 0 until it is closed (measured).

    Whoever is said to be heard is heard until it is said otherwise; a party without a frequency is silent.
    """

    def __init__(self, path: Path, began: float, tones: Mapping[str, int]) -> None:
        """Make the folders and the file, or empty it. Raises OSError, and KeyError for a format it does not write."""
        self.path = path
        self._rate = RATES_HZ[path.suffix]
        self._tones = tones
        self._began = began
        self._samples = 0
        self._heard: tuple[str, ...] = ()
        self._pending = bytearray()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._file.write(self._header(0))

    @property
    def step_s(self) -> float:
        """How much time one step of growth takes."""
        return STEP_BYTES / 2 / self._rate

    def hears(self, parties: Sequence[str], at: float) -> None:
        """From `at` on these are heard, and no others."""
        self.grow(at)
        self._heard = tuple(parties)

    def grow(self, at: float) -> None:
        """Write what was heard until `at`, in whole steps."""
        samples = max(round((at - self._began) * self._rate), self._samples)
        time = np.arange(self._samples, samples) / self._rate
        mix = np.zeros(len(time))
        for party in self._heard:
            if frequency := self._tones.get(party):
                mix += np.sin(2 * np.pi * frequency * time)
        self._pending += np.clip(np.round(mix * _AMPLITUDE * 32767), -32768, 32767).astype("<i2").tobytes()
        self._samples = samples
        whole = len(self._pending) // STEP_BYTES * STEP_BYTES
        self._file.write(self._pending[:whole])
        del self._pending[:whole]

    def close(self, at: float) -> None:
        """Write the rest, then both sizes."""
        self.grow(at)
        self._file.write(self._pending)
        os.pwrite(self._file.fileno(), self._header(self._samples * 2), 0)
        self._file.close()

    def abandon(self) -> None:
        """Leave it as it is, like a process that dies: without sizes, and without what was in the buffer."""
        self._file.close()

    def _header(self, data_bytes: int) -> bytes:
        riff_bytes = data_bytes + HEADER_BYTES - 8 if data_bytes else 0
        return struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            *(b"RIFF", riff_bytes, b"WAVE", b"fmt ", 16, 1, 1, self._rate, self._rate * 2, 2, 16, b"data", data_bytes),
        )
