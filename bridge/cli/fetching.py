"""Has a zip of the daemon in a file: piece by piece, looked through, and under its name only once it is whole."""

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from bridge.cli.asking import Asking
from bridge.core.errors import RecbridgeError
from bridge.core.exports import MANIFEST

_BLOCK: Final = 1024 * 1024
_IN_ZIP: Final = frozenset({"ok", "changed"})

Told = Callable[[int, int], None]
"""Is told how much is done of how much."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What stands in `FILE.export`: which export it will be, what was asked for, and of which state of the zip."""

    id: str
    asked: dict[str, Any]
    etag: str | None = None


class Target:
    """The file, and what stands beside it until it is whole: `FILE.part`, and `FILE.export`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.part = file.with_name(f"{file.name}.part")
        self._note = file.with_name(f"{file.name}.export")

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Nobody else works on it meanwhile. Raises RecbridgeError, OSError."""
        self.part.touch(mode=0o600)  # recordings: nobody but its owner may read them
        with self.part.open("ab") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RecbridgeError(f"{self.part}: another recbridge export is at it") from None
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    if self.begun() is None and not self.part.stat().st_size:
                        self.part.unlink()

    def begun(self) -> Begun | None:
        """What an earlier run has begun. Raises RecbridgeError."""
        try:
            return Begun(**json.loads(self._note.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            raise RecbridgeError(f"{self._note}: it is damaged: remove it and {self.part}, to begin anew") from None

    def note(self, begun: Begun) -> None:
        """Keep what is begun, so that another run can go on."""
        new = self._note.with_name(f"{self._note.name}.new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(asdict(begun), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._note)

    def forget(self) -> None:
        """Begin anew the next time."""
        self._note.unlink(missing_ok=True)
        with self.part.open("r+b") as part:
            part.truncate()

    def finish(self) -> None:
        """It is whole: have it under its name."""
        with self.part.open("rb") as part:
            os.fsync(part.fileno())
        self.part.replace(self.file)
        folder = os.open(self.file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._note.unlink(missing_ok=True)


async def fetch(asking: Asking, target: Target, begun: Begun, size: int, told: Told) -> Begun:
    """Have the zip of `size` bytes in the part file, from where it ended. Raises RecbridgeError, OSError."""
    have = target.part.stat().st_size
    if have > size:
        have = 0
    told(have, size)
    if have < size:
        headers = {"Range": f"bytes={have}-", "If-Range": begun.etag} if have and begun.etag else {}
        async with asking.response("GET", f"/api/v1/exports/{begun.id}/download", headers=headers) as response:
            if response.status != 206:  # from the start: there is nothing yet, or it is another state of the zip
                have = 0
            begun = replace(begun, etag=response.headers["ETag"])
            target.note(begun)
            with target.part.open("r+b") as part:
                part.seek(have)
                part.truncate()
                async for block in response.content.iter_chunked(_BLOCK):
                    part.write(block)
                    have += len(block)
                    told(have, size)
    if have != size:
        raise RecbridgeError(f"the zip has {have} bytes and should have {size}")
    return begun


def check(path: Path, told: Told) -> None:
    """Every file in the zip is what its manifest says, by its SHA-256. Raises RecbridgeError where one is not."""
    try:
        with zipfile.ZipFile(path) as made:
            manifest = made.read(MANIFEST).decode("utf-8", "replace")
            rows = [row for row in csv.DictReader(io.StringIO(manifest)) if row["status"] in _IN_ZIP]
            for number, row in enumerate(rows):
                told(number, len(rows))
                if _digest(made, row["file_name"]) != row["sha256"]:
                    raise RecbridgeError(f"{row['file_name']} in the zip is damaged")
            told(len(rows), len(rows))
    except (zipfile.BadZipFile, KeyError, EOFError, zlib.error) as error:
        raise RecbridgeError(f"the zip is damaged: {error}") from None


def _digest(made: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with made.open(name) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
