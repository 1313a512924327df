"""Who has taken part in calls, and what flags were changed. Blocks; changes nothing, also beside the daemon."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from bridge.core.ids import Identity
from bridge.core.people import UserFlags
from bridge.storage.reading import opened_to_read
from bridge.storage.values import text_out, time_out

# From one identity to the next in the index, however many calls each has.
_SEEN = """
WITH RECURSIVE seen (identity) AS (
    SELECT min(identity) FROM cdr_participants
    UNION ALL
    SELECT (SELECT min(identity) FROM cdr_participants WHERE identity > seen.identity) FROM seen
    WHERE seen.identity IS NOT NULL
)
SELECT identity,
    (SELECT started_at FROM cdrs WHERE id = (SELECT max(cdr) FROM cdr_participants AS mine
        WHERE mine.identity = seen.identity)) AS started_at
FROM seen WHERE identity IS NOT NULL
"""
_NAMES = [one.name for one in fields(UserFlags)]
_FLAGS = f"SELECT identity, {', '.join(_NAMES)} FROM user_flags"  # noqa: S608  # names of ours


@dataclass(frozen=True, slots=True)
class PeopleSeen:
    """`last_call` is when the latest finished call of each began; `flags` are those that stand over users.yml."""

    last_call: Mapping[Identity, datetime]
    flags: Mapping[Identity, UserFlags]


def people_seen(database: Path) -> PeopleSeen:
    """Who has taken part in what is kept. Raises StoreError."""
    with opened_to_read(database) as connection:
        connection.text_factory = text_out
        last = {Identity(who): time_out(at) for who, at in connection.execute(_SEEN) if at is not None}
        flags = {Identity(row[0]): UserFlags(*map(bool, row[1:])) for row in connection.execute(_FLAGS)}
    return PeopleSeen(last, flags)
