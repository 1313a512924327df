"""Which section numbers are taken, when the daemon starts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from bridge.core.errors import MediaError
from bridge.core.ids import RecordId, RuleId
from bridge.core.store import Store
from bridge.storage.orphans import highest_numbers
from bridge.storage.workers import Workers

log = structlog.get_logger()

_SPOOL_WITHIN_S = 5.0
_LONGEST_CALL = timedelta(days=7)
"""Calls that have run longer than this when the daemon is started begin to count their sections anew."""


async def taken_numbers(store: Store, spool: Path, now: datetime) -> Mapping[tuple[RecordId, RuleId], int]:
    """The section numbers that are taken: those that the database knows, and those of files that are there."""
    days = [(now - timedelta(days=ago)).date() for ago in range(_LONGEST_CALL.days + 1)]
    known = await store.file_numbers(now - _LONGEST_CALL)
    there: Mapping[tuple[RecordId, RuleId], int] = {}
    try:
        there = await Workers(1, "numbers").run(str(spool), _SPOOL_WITHIN_S, lambda: highest_numbers(spool, days))
    except MediaError as error:
        log.error("spool-not-listed", problem=error.message, what="numbers are those that the database knows")
    return {key: max(known.get(key, 0), there.get(key, 0)) for key in {*known, *there}}
