"""Deletes recordings because somebody asks for it over HTTP."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from bridge.core.access import Reader
from bridge.core.ids import SectionKey
from bridge.core.records import Section
from bridge.storage.database import SqliteStore
from bridge.storage.retention import Order, Retention

log = structlog.get_logger()

_WAIT_S = 10.0
"""Somebody waits for the answer; a batch of another process is over before."""
_WORDS = "asked for over HTTP"


class Deleting:
    """The `Recordings` of the API.

    It goes between the batches of the daemon's own runs, of commands and of setting holds, and does not wait for the
    whole of them.
    """

    def __init__(
        self,
        store: SqliteStore,
        database: Path,
        spool: Path,
        clock: Callable[[], datetime],
        wait_s: float = _WAIT_S,
    ) -> None:
        self._store = store
        self._retention = Retention(store, database, spool, clock)
        self._wait_s = wait_s

    async def delete(self, sections: Sequence[Section], reader: Reader) -> Sequence[SectionKey]:
        """Gives those that must stay: under a hold, while their rule's own `keep` lasts, or not finished yet.

        What is deleted already counts as gone. Raises StoreError, `busy` where another process does not let us; what
        was deleted until then stays deleted.
        """
        keys = list(dict.fromkeys(one.key for one in sections))
        order = Order("erasure", reader.identity, _WORDS, timedelta(0))
        done = await self._retention.delete(keys, order, wait_s=self._wait_s)
        stay = []
        for key in keys:
            section = await self._store.section(key)
            if section is not None and section.deleted_at is None:
                stay.append(key)
        log.info("recordings-deleted", sections=done.count, bytes=done.size_bytes, left=len(stay))
        return stay
