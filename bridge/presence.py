"""When recbridge was last there: noted beside the database every second, so that a kill leaves its time."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bridge.core.ids import FactNumber
from bridge.core.records import FactKind
from bridge.core.store import Store
from bridge.lock import lock_of

_EVERY_S = 1.0
_PAGE = 500
_OF_COMMANDS = frozenset({FactKind.HOLD_SET, FactKind.HOLD_RELEASED, FactKind.SECTION_DELETED, FactKind.PERSON_ERASED})
"""What is also done while recbridge does not run."""


async def last_seen(store: Store, database: Path) -> datetime | None:
    """When an earlier run was last there, None where there was none. Raises StoreError."""
    _, highest = await store.fact_bounds()
    while highest > 0:
        page = await store.facts_after(FactNumber(max(0, highest - _PAGE)), _PAGE)
        own = [one.fact.at for one in page if one.number <= highest and one.fact.kind not in _OF_COMMANDS]
        if own:
            noted = await asyncio.to_thread(_noted, database)
            return max(own[-1], noted) if noted is not None else own[-1]
        highest = FactNumber(highest - _PAGE)
    return None


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
