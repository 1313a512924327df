"""Puts a new file in another's place so that a crash leaves either the old one or the whole new one."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_MODE = 0o660


@contextlib.contextmanager
def replacing(path: Path, ending: str, last: Callable[[], None] = lambda: None) -> Iterator[BinaryIO]:
    """A file to write; when the body ends it is on disk under the name `path`. Of a body that fails nothing stays.

    It is written as `.NAME.ENDING` in the same folder, over what a crash may have left there. Mode and owner are those
    of the file that it replaces, as far as we may give them, else 0660 and ours. `last` is called before it takes the
    name, and may forbid it by raising. Raises OSError.
    """
    new = unfinished(path, ending)
    new.unlink(missing_ok=True)
    try:
        with new.open("xb") as file:
            yield file
            file.flush()
            _resemble(file.fileno(), path)
            os.fsync(file.fileno())
        last()
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def unfinished(path: Path, ending: str) -> Path:
    """Where the new file is written."""
    return path.with_name(f".{path.name}.{ending}")


def sync_folder(folder: Path) -> None:
    """Have the names of a folder on disk, where its file system can do that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _resemble(descriptor: int, path: Path) -> None:
    try:
        old = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, _MODE)
        return
    # Only root may give a file away; a group of ours we may set.
    for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, owner, group)
    os.fchmod(descriptor, old.st_mode & 0o777)
