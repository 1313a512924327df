"""One daemon a database."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from bridge.core.errors import RecbridgeError


def lock_of(database: Path) -> Path:
    """The file that is locked; its time is when whoever has it was last there (`bridge.presence`)."""
    return database.with_name(f"{database.name}.lock")


@contextlib.contextmanager
def alone(database: Path) -> Iterator[None]:
    """Be the only daemon with this database; two would record every call twice. Raises RecbridgeError where one is.

    A lock on `<database>.lock`, which the kernel takes back however the process ends.
    """
    lock = lock_of(database)
    try:
        made = not lock.exists()
        descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if made:
            os.utime(descriptor, (0, 0))  # nobody was there before
    except FileNotFoundError:
        yield  # there is no folder: opening the database says so
        return
    except OSError as error:
        raise RecbridgeError(f"database {database}: {lock}: {error.strerror}: let both belong to our user") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RecbridgeError(
            f"database {database}: another recbridge runs with it already: `fuser {lock}` names it"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def is_taken(database: Path) -> bool:
    """Whether a daemon runs with this database, as far as we may see. Makes no file."""
    try:
        descriptor = os.open(lock_of(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
