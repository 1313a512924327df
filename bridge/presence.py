"""When recbridge was last there: noted beside the database every second, so that a kill leaves its time."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bridge.core.ids import FactNumber
from bridge.core.store import Store
from bridge.lock import lock_of

_EVERY_S = 1.0


async def last_seen(store: Store, database: Path) -> datetime | None:
    """When an earlier run was last there, None where there was none. Raises StoreError."""
    _, highest = await store.fact_bounds()
    facts = await store.facts_after(FactNumber(highest - 1), 1)
    if not facts:
        return None
    noted = await asyncio.to_thread(_noted, database)
    return max(facts[-1].fact.at, noted) if noted is not None else facts[-1].fact.at


async def keep_noting(database: Path, clock: Callable[[], datetime]) -> None:
    """Note every second that we are there, until cancelled."""
    while True:
        await asyncio.to_thread(note, database, clock())
        await asyncio.sleep(_EVERY_S)


def note(database: Path, at: datetime) -> None:
    """The time of the lock file is when its holder was last there. A disk that refuses costs precision alone."""
    with contextlib.suppress(OSError):
        os.utime(lock_of(database), (at.timestamp(), at.timestamp()))


def _noted(database: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(lock_of(database).stat().st_mtime, UTC)
    except OSError:
        return None
