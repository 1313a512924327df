"""Writing into the daemon's database from a command."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from bridge.config import Config
from bridge.core.access import Token
from bridge.core.errors import StoreError
from bridge.lock import is_taken
from bridge.storage.database import SqliteStore
from bridge.storage.reading import is_older


@contextlib.asynccontextmanager
async def opened(config: Config, *, make: bool = False) -> AsyncIterator[SqliteStore]:
    """The store, also while the daemon runs. Raises StoreError, also where there is none that we are not to `make`.

    A database that root makes by this belongs to its folder's owner: the daemon is not root. (SQLite itself gives
    -wal and -shm to the database's owner.)
    """
    path = config.database
    # What it then writes would not be of the new schema: facts without a hash.
    if is_taken(path) and is_older(path):
        raise StoreError(f"database {path}: the daemon that runs is of an older recbridge: restart it", reason="older")
    made = _is_missing(path)
    if made and not make:
        raise StoreError(f"database {path}: it is not there: has recbridge run yet?", reason="missing")
    store = await SqliteStore.open(path, config.systemname)
    try:
        if made and os.geteuid() == 0:
            folder = path.parent.stat()
            for file in (path, *path.parent.glob(f"{path.name}-*")):
                os.chown(file, folder.st_uid, folder.st_gid)
        yield store
    finally:
        await store.close()


async def keep_token(config: Config, token: Token, *, make: bool = False) -> None:
    """Add a token; `make` as in `opened`. Raises StoreError."""
    async with opened(config, make=make) as store:
        await store.add_token(token)


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:  # its folder is closed to us: opening it will say so
        return False
