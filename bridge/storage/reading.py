"""Opens a database to be read beside a daemon that writes it. Blocks."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bridge.core.errors import StoreError
from bridge.storage.migrations import SCHEMA
from bridge.storage.sqlite_errors import primary_code, store_error

_OURS = 1380270914
_BUSY_S = 5.0


@contextmanager
def opened_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can change nothing, in autocommit; for what SQLite says no to inside, too, raises StoreError.

    Also for a database that is not this code's, is missing, or has another schema.
    """
    if not path.exists():
        raise StoreError(f"database {path}: there is none: see `database:` in the configuration", reason="missing")
    try:
        with closing(_connect(path)) as connection:
            _check(connection, path)
            yield connection
    except sqlite3.Error as error:
        raise store_error(error, path) from error


def is_older(path: Path) -> bool:
    """Whether opening it for the store would bring it to this code's schema; False where it cannot be read at all."""
    try:
        with opened_to_read(path):
            return False
    except StoreError as error:
        return error.details.get("reason") == "older"


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.execute("PRAGMA user_version").fetchall()
    except sqlite3.OperationalError as error:
        connection.close()
        wal = path.with_name(f"{path.name}-wal")
        unread = wal.exists() and wal.stat().st_size > 0
        if primary_code(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY} or unread:
            raise
        # A copy in a folder where nothing can be written: nobody writes it, and a reader needs no -shm beside it.
        connection = sqlite3.connect(f"{uri}&immutable=1", uri=True, isolation_level=None)
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    newest = max(int(file.name[:4]) for file in SCHEMA.glob("[0-9]*.sql"))
    ((version,),) = connection.execute("PRAGMA user_version")
    ((application,),) = connection.execute("PRAGMA application_id")
    if application != _OURS:
        raise StoreError(
            f"database {path}: it is not recbridge's: see `database:` in the configuration", reason="foreign"
        )
    if version > newest:
        raise StoreError(
            f"database {path}: it was written by a newer recbridge (schema {version}, this one knows {newest}): "
            "use that one's command",
            reason="newer",
        )
    if version < newest:
        raise StoreError(
            f"database {path}: it is of an older recbridge (schema {version}, this one has {newest}): start the daemon "
            "once, which brings it up to date",
            reason="older",
        )
