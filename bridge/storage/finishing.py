"""Makes a section's one WAV out of the files that MixMonitor wrote for it."""

import os
import wave
from pathlib import Path

import numpy as np

from bridge.core.errors import MediaError

_FRAMES = 64 * 1024


def finish(path: Path, mixed: Path, receive: Path, transmit: Path, *, stereo: bool, leg_is_left: bool) -> bool:
    """Have the section's audio at `path`, and the files that it came from gone; all of them must be closed.

    Stereo is joined from what the leg said (`receive`) and what it heard (`transmit`), in blocks; the shorter is
    filled up with silence. The new file is on disk under its name before the old ones go, so that it may be done again
    after a crash. False where a side is missing: the mixed file stands for both then, and nothing is removed. Raises
    MediaError (`unreadable`) where the files cannot be read or written.
    """
    try:
        if not stereo:
            if mixed != path and mixed.exists():
                mixed.replace(path)
            return True
        if not (receive.exists() and transmit.exists()):
            # Joined before, and then cut off; or never written.
            joined = path.exists() and _channels(path) == 2
            if not joined and mixed != path and mixed.exists():
                mixed.replace(path)
            if joined:
                _remove(path, mixed, receive, transmit)
            return joined
        left, right = (receive, transmit) if leg_is_left else (transmit, receive)
        _join(left, right, path)
        _remove(path, mixed, receive, transmit)
    except (OSError, wave.Error, EOFError) as error:
        raise MediaError(f"{path}: its parts cannot be joined: {error}", reason="unreadable") from error
    return True


def _remove(path: Path, *parts: Path) -> None:
    for part in parts:
        if part != path:
            part.unlink(missing_ok=True)


def _channels(path: Path) -> int:
    with wave.open(str(path), "rb") as wav:
        return wav.getnchannels()


def _join(left: Path, right: Path, path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.joining")
    with wave.open(str(left), "rb") as one, wave.open(str(right), "rb") as other, unfinished.open("wb") as file:
        if {(wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) for wav in (one, other)} != {
            (1, 2, one.getframerate())
        }:
            raise wave.Error("the two sides are not both 16 bit mono of one rate")
        with wave.open(file, "wb") as out:
            out.setnchannels(2)
            out.setsampwidth(2)
            out.setframerate(one.getframerate())
            out.setnframes(max(one.getnframes(), other.getnframes()))
            while True:
                sides = [np.frombuffer(wav.readframes(_FRAMES), dtype="<i2") for wav in (one, other)]
                frames = max(map(len, sides))
                if not frames:
                    break
                block = np.zeros((frames, 2), dtype="<i2")
                for channel, side in enumerate(sides):
                    block[: len(side), channel] = side
                out.writeframes(block.tobytes())
        file.flush()
        os.fsync(file.fileno())
    unfinished.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o660)
    unfinished.replace(path)
