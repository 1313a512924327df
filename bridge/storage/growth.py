"""Looks at files that Asterisk is writing: how long they are, and whether there is anything but silence in what is new.

A look at a file reads no more than it must: up to the first sample that is not silent, which mostly is the first.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bridge.core.decisions import Growing, Grown
from bridge.core.errors import MediaError
from bridge.core.ids import SectionKey
from bridge.storage.workers import Workers

_HEADER_BYTES = 44
_BLOCK = bytes(4096)
_READ_AT_MOST = 256 * 1024
"""Of one file in one look: 8 s of 16 kHz, and looks are 5 s apart."""


class Looks:
    """Looks at many files with one call, in a thread of its own."""

    def __init__(self, local_path: Callable[[str], Path]) -> None:
        self._local_path = local_path
        self._workers = Workers(1, "growth")

    async def look(self, files: Sequence[Growing], deadline_s: float) -> Mapping[SectionKey, Grown]:
        """What each file is like now.

        Raises MediaError `timeout` where the disk does not answer in time, and at once as long as it has not yet.
        """
        return await self._workers.run(
            "files that are being written", deadline_s, lambda: {one.key: grown(one, self._local_path) for one in files}
        )


def grown(file: Growing, local_path: Callable[[str], Path]) -> Grown:
    """Look at one section's files. What cannot be reached counts as not there."""
    wav = file.wav
    try:
        mixed = local_path(wav.mixed)
        sides = [local_path(name) for name in ((wav.receive, wav.transmit) if wav.stereo else ())]
        size = mixed.stat().st_size
        sizes = [path.stat().st_size for path in sides]
        new = min(size - file.seen, _READ_AT_MOST)
        heard = []
        if new > 0:
            # Each side by its own length: Asterisk writes one after the other.
            heard = [
                _is_heard(path, end - new, end) for path, end in zip(sides or [mixed], sizes or [size], strict=True)
            ]
        return Grown(size, tuple(heard), _is_beheaded(mixed))
    except (OSError, MediaError):
        return Grown(None)


def _is_heard(path: Path, begin: int, end: int) -> bool:
    """Whether any byte of a stretch is not 0, past the header."""
    with path.open("rb", buffering=0) as file:
        at = file.seek(max(begin, _HEADER_BYTES))
        while at < end:
            block = file.read(min(len(_BLOCK), end - at))
            if not block:
                break
            if block != _BLOCK[: len(block)]:
                return True
            at += len(block)
    return False


def _is_beheaded(path: Path) -> bool:
    with path.open("rb", buffering=0) as file:
        head = file.read(4)
    return len(head) == 4 and head != b"RIFF"
