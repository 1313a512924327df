"""An export's zip while it is made: recordings, and at its end the manifest. All methods block."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from bridge.core.errors import MediaError
from bridge.core.exports import MANIFEST, MANIFEST_COLUMNS, Copied, Part, csv_lines, manifest_row
from bridge.core.space import LowSpace, Space, in_words
from bridge.storage.disk_errors import is_full
from bridge.storage.zips import StoppedError, ZipWriter

_PART = ".part"
_ZIP = ".zip"


class ExportZip:
    """Makes `path`; until `finish` it is another file beside it.

    `room` is what it leaves of the disk for recordings. Methods raise MediaError (`no-space`, `disk-error`) and
    StoppedError, once `stopped` says so: then nothing is left, even where nobody waits for it any more.
    """

    def __init__(self, path: Path, spool: Path, room: LowSpace, stopped: Callable[[], bool]) -> None:
        self._path = path
        self._spool = spool
        self._room = room
        self._zip = ZipWriter(path.with_suffix(_PART), stopped)
        try:
            self._manifest = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115  # closed by discard
            self._manifest.write(csv_lines([MANIFEST_COLUMNS]))
        except OSError as error:
            self._zip.discard()
            raise _not_written(path, error) from error

    def check_room(self, wanted_bytes: int = 0) -> None:
        """Raises MediaError (`no-space`) where so much more would take what recordings may need."""
        found = os.statvfs(self._path.parent)
        if not found.f_blocks:
            return
        space = Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
        if space.free_bytes - wanted_bytes < self._room.of(space):
            words = f"{in_words(wanted_bytes)} wanted, {in_words(space.free_bytes)} free in {self._path.parent}"
            raise MediaError(f"{words}, of which some is left for recordings: make room", reason="no-space")

    def copy(self, parts: Sequence[Part]) -> list[Copied | None]:
        """Copy what is there of these; None for what is not."""
        try:
            return [self._copy(part) for part in parts]
        except StoppedError:
            self.discard()
            raise
        finally:
            self._zip.leave()

    def _copy(self, part: Part) -> Copied | None:
        if part.deleted or part.at is None:
            return None
        self.check_room(part.size_bytes)
        return self._zip.copy(self._spool, part.path, part.name, part.at)

    def note(self, copied: Iterable[tuple[Part, Copied | None]]) -> None:
        """Enter them in the manifest."""
        try:
            self._manifest.write(csv_lines(manifest_row(part, one) for part, one in copied))
        except OSError as error:
            raise _not_written(self._path, error) from error

    def finish(self, at: datetime) -> int:
        """Have the zip at its path, on disk; gives its size in bytes."""
        try:
            self._manifest.seek(0)
        except OSError as error:
            raise _not_written(self._path, error) from error
        try:
            if self._zip.add(self._manifest, MANIFEST, at) is None:
                raise MediaError(f"{self._path}: its manifest cannot be read again", reason="disk-error")
            return self._zip.finish(self._path)
        except StoppedError:
            self.discard()
            raise

    def discard(self) -> None:
        """Close everything, and remove what is half made; nothing of a finished one."""
        with contextlib.suppress(OSError):
            self._manifest.close()
        self._zip.discard()


def sweep(folder: Path, finished: Callable[[str], bool]) -> list[str]:
    """Remove what a crash left: half made zips, and zips whose export's id is not `finished`. Gives their names.

    Raises OSError.
    """
    removed = []
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if path.suffix == _PART or (path.suffix == _ZIP and not finished(path.stem)):
                path.unlink(missing_ok=True)
                removed.append(path.name)
    return removed


def _not_written(path: Path, error: OSError) -> MediaError:
    reason = "no-space" if is_full(error) else "disk-error"
    return MediaError(f"{path} cannot be written: {error.strerror or error}", reason=reason)
