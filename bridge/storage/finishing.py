"""Makes a section's one WAV out of the files that MixMonitor wrote for it."""

import contextlib
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bridge.core.errors import MediaError
from bridge.storage import repair
from bridge.storage.disk_errors import media_error
from bridge.storage.replacing import replacing, sync_folder, unfinished

_FRAMES = 64 * 1024
_JOINING = "joining"


def finish(path: Path, mixed: Path, receive: Path, transmit: Path, *, stereo: bool, leg_is_left: bool) -> bool:
    """Have the section's audio at `path`, and the files that it came from gone; all of them must be closed.

    Stereo is joined from what the leg said (`receive`) and what it heard (`transmit`), in blocks; the shorter is
    filled up with silence. The new file is on disk under its name before the old ones go, so that it may be done again
    after a crash. False where a side is missing: the mixed file stands for both then, and nothing is removed; where
    that has less than the other side has, the missing one is silence. Raises MediaError: `unreadable` where the files
    are no such audio, `disk-full` and the like (`decisions.TRY_AGAIN`), and all that MixMonitor wrote is left then.
    """
    try:
        whole = _finish(path, mixed, receive, transmit, stereo=stereo, leg_is_left=leg_is_left)
        _sweep(path, mixed, receive, transmit)
    except OSError as error:
        raise media_error(path, "joined" if stereo else "given its name", error) from error
    except (wave.Error, EOFError, struct.error) as error:
        raise MediaError(f"{path}: its parts cannot be joined: {error}", reason="unreadable") from error
    return whole


def _finish(path: Path, mixed: Path, receive: Path, transmit: Path, *, stereo: bool, leg_is_left: bool) -> bool:
    if not stereo:
        _rename(mixed, path)
        return True
    frames = {side: _frames(side) for side in (receive, transmit)}
    sides = [side if frames[side] is not None else None for side in frames]
    there = [side for side in sides if side is not None]
    left_to_right = sides if leg_is_left else sides[::-1]
    if len(there) == 2:
        _join(left_to_right, path)
        _remove(path, mixed, receive, transmit)
        return True
    # Joined before, and then cut off; or never written.
    joined = _frames(path, channels=2) is not None
    if joined:
        _remove(path, mixed, receive, transmit)
    elif there and (_frames(mixed) or 0) < (frames[there[0]] or 0):
        _join(left_to_right, path)
        _remove(path, mixed, receive, transmit)
    else:
        _rename(mixed, path)
    return joined


def _rename(mixed: Path, path: Path) -> None:
    if mixed != path and mixed.exists():
        mixed.replace(path)
        sync_folder(path.parent)


def _remove(path: Path, *parts: Path) -> None:
    for part in parts:
        if part != path:
            part.unlink(missing_ok=True)


def _sweep(*paths: Path) -> None:
    """Remove what an earlier try left half made when it was killed."""
    for path in set(paths):
        for ending in (repair.ENDING, _JOINING):
            left = unfinished(path, ending)
            if left.exists():  # a disk that is read-only refuses to remove what is not there, too
                left.unlink()


def _frames(part: Path, *, channels: int = 1) -> int | None:
    """How many frames a part has; None where it is missing, or ends before its audio, or has other channels."""
    try:
        found = repair.look(part)
    except MediaError as error:
        if error.details["reason"] == "file-missing":
            return None
        raise
    if found.data_at is None and not found.final:
        return None
    with wave.open(str(part), "rb") as wav:
        return wav.getnframes() if wav.getnchannels() == channels else None


def _join(sides: Sequence[Path | None], path: Path) -> None:
    """Write left and right into one; None is silence."""
    with contextlib.ExitStack() as stack:
        wavs = [stack.enter_context(wave.open(str(side), "rb")) if side is not None else None for side in sides]
        there = [wav for wav in wavs if wav is not None]
        rate, left = there[0].getframerate(), max(wav.getnframes() for wav in there)
        if {(wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) for wav in there} != {(1, 2, rate)}:
            raise wave.Error("the two sides are not both 16 bit mono of one rate")
        file = stack.enter_context(replacing(path, _JOINING))
        file.write(_stereo_header(rate, left))
        while left:
            blocks = [np.frombuffer(wav.readframes(_FRAMES) if wav else b"", dtype="<i2") for wav in wavs]
            frames = max(map(len, blocks))
            if not frames:
                raise EOFError("they end before their headers say")
            joined = np.zeros((frames, 2), dtype="<i2")
            for channel, side in enumerate(blocks):
                joined[: len(side), channel] = side
            file.write(joined.tobytes())
            left -= frames


def _stereo_header(rate: int, frames: int) -> bytes:
    size = 4 * frames
    # The wave module's writer, left with a full disk, fails once more when it is forgotten.
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 2, rate, 4 * rate, 4, 16, b"data", size
    )
