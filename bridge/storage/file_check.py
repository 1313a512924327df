"""Whether a file still is what it was when it was stored. Blocks."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

_BLOCK = 2**20


def look_at(path: Path, size_bytes: int, sha256: str, read: Callable[[int], None]) -> tuple[str, str] | None:
    """None where it is; else a code and words. `read` is told how many bytes more were read.

    Raises PermissionError where it may not be read.
    """
    try:
        # Nothing but a file that lies there itself; a FIFO would keep us waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return "file-missing", "it is missing"
    except PermissionError:
        raise
    except OSError as error:
        return "file-unreadable", f"it cannot be opened: {error.strerror}"
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return "file-unreadable", "it is no plain file"
        if found.st_size != size_bytes:
            return "file-changed", f"it has {found.st_size:,} bytes, not {size_bytes:,}"
        digest = hashlib.sha256()
        left = size_bytes
        try:
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                digest.update(block)
                left -= len(block)
                read(len(block))
        except OSError as error:
            return "file-unreadable", f"it cannot be read: {error.strerror}"
    if digest.hexdigest() != sha256:
        return "file-changed", f"its SHA-256 is {digest.hexdigest()}, not {sha256}"
    return None


def is_there(path: Path) -> bool:
    """Whether anything lies there. Raises PermissionError where that cannot be seen."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
