"""Who is heard when: a Goertzel filter for each party's tone over windows of 100 ms.

A source is the path of a WAV (16 bit PCM; one whose header was never finished counts as empty), or one channel's
samples as an array. Parties are named as in `TONES`.
"""

import math
import wave
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.network.config import TONES

WINDOW_S = 0.1
# A tone counts from this share of the window's power on: seven voices at one level stay above it, µ-law's noise
# (-38 dB) and what leaks from one tone into another's filter (-31 dB) stay below.
SHARE = 0.04
FLOOR_DBFS = -50.0

Samples = npt.NDArray[np.int16]


def samples(path: Path) -> tuple[npt.NDArray[np.int16], int]:
    """The frames of a WAV as an array of (frames, channels), and the rate in Hz."""
    with wave.open(str(path)) as wav:
        if wav.getsampwidth() != 2:
            raise ValueError(f"{path}: not 16 bit PCM")
        frames = np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2")
        return frames.reshape(-1, wav.getnchannels()), wav.getframerate()


def heard(
    source: Path | Samples, rate: int = 8000, *, channel: int = 0, tones: Mapping[str, int] = TONES
) -> list[set[str]]:
    """The parties heard in each window of 100 ms; `rate` counts for arrays only."""
    if isinstance(source, Path):
        frames, rate = samples(source)
        source = frames[:, channel]
    size = round(rate * WINDOW_S)
    windows = source[: len(source) // size * size].reshape(-1, size).astype(np.float64) / 32768
    power = np.mean(windows**2, axis=1)
    window = np.hanning(size)
    time = np.arange(size) / rate
    found: list[set[str]] = [set() for _ in windows]
    for name, frequency in tones.items():
        wave_ = window * np.exp(-2j * math.pi * frequency * time)
        tone = 2 * (np.abs(windows @ wave_) / window.sum()) ** 2  # a sine of amplitude A has A²/2
        for index in np.flatnonzero((tone > SHARE * power) & (tone > 10 ** (FLOOR_DBFS / 10))):
            found[index].add(name)
    return found


def seconds(source: Path | Samples, rate: int = 8000, **options: Any) -> dict[str, float]:
    """How long each party is heard, in seconds."""
    counts = Counter(name for window in heard(source, rate, **options) for name in window)
    return {name: round(count * WINDOW_S, 1) for name, count in counts.items()}


def who(source: Path | Samples, rate: int = 8000, *, at_least_s: float = 0.3, **options: Any) -> set[str]:
    """The parties heard for at least so many seconds altogether."""
    return {name for name, length in seconds(source, rate, **options).items() if length >= at_least_s}


def hum(name: str, length_s: float, rate: int = 8000, amplitude: float = 0.2) -> Samples:
    """A party's tone, as the phones hum it."""
    time = np.arange(round(length_s * rate)) / rate
    return np.round(32767 * amplitude * np.sin(2 * math.pi * TONES[name] * time)).astype(np.int16)


def write_wav(path: Path, mono: Samples, rate: int = 8000) -> None:
    """Write one channel of samples as a WAV; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(mono.astype("<i2").tobytes())
