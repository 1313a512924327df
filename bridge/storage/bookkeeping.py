"""Whether what is counted and derived beside finished calls fits them. Blocks; changes nothing, reads all calls."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from bridge.storage.reading import opened_to_read

_NAMES = "kind, value, direction, status, recorded"
_COUNTED = """
SELECT '' AS kind, '' AS value, direction, status, recorded, count(*) AS calls FROM cdrs WHERE tallied GROUP BY 3, 4, 5
UNION ALL SELECT 'queue', queue, direction, status, recorded, count(*) FROM cdrs
WHERE tallied AND queue <> '' GROUP BY 2, 3, 4, 5
UNION ALL SELECT 'user', identity, direction, status, recorded, count(DISTINCT cdr)
FROM cdr_participants JOIN cdrs ON cdrs.id = cdr WHERE tallied GROUP BY 2, 3, 4, 5
UNION ALL SELECT 'tag', tag, direction, status, recorded, count(DISTINCT cdr)
FROM cdr_tags JOIN cdrs ON cdrs.id = cdr WHERE tallied GROUP BY 2, 3, 4, 5
"""
# Hours, days and months of the same calls: a wrong one of any of them shows.
_TALLIED = f"""
SELECT {_NAMES}, sum(calls) FILTER (WHERE span = 1) AS hours, sum(calls) FILTER (WHERE span = 24) AS days,
    sum(calls) FILTER (WHERE span = 720) AS months
FROM cdr_tallies GROUP BY {_NAMES}
"""  # noqa: S608  # no values in it
_WRONG_TALLIES = f"""
WITH counted AS ({_COUNTED}), kept AS ({_TALLIED})
SELECT kind, sum(1) FROM (
    SELECT {_NAMES} FROM (SELECT {_NAMES}, calls, calls, calls FROM counted EXCEPT SELECT * FROM kept)
    UNION SELECT {_NAMES} FROM (SELECT * FROM kept EXCEPT SELECT {_NAMES}, calls, calls, calls FROM counted))
GROUP BY kind ORDER BY kind
"""  # noqa: S608  # the same
_WRONG_COUNTS = """
WITH counted AS (SELECT systemname, status, recorded, direction, count(*) FROM cdrs GROUP BY 1, 2, 3, 4),
    kept AS (SELECT systemname, status, recorded, direction, count FROM cdr_counts WHERE count <> 0)
SELECT count(*) FROM (SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)
                      UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))
"""
_OF_NOTHING = {
    "talk_spans": "talk_id NOT IN (SELECT talk_id FROM talks)",
    "talk_asked": "talk_id NOT IN (SELECT talk_id FROM talks)",
    "call_coverage": "NOT EXISTS (SELECT 1 FROM cdrs WHERE id = cdr AND cdrs.ended_at = call_coverage.ended_at)",
}
_KINDS = {"": "all calls", "queue": "queues", "user": "users", "tag": "tags"}


def misfits(database: Path) -> list[str]:
    """What does not fit, in words, of one moment; a million calls take seconds. Raises StoreError."""
    with opened_to_read(database) as connection:
        connection.execute("BEGIN")
        return list(_found(connection))


def _found(connection: sqlite3.Connection) -> Iterator[str]:
    for kind, count in connection.execute(_WRONG_TALLIES):
        yield f"{count} tallies of {_KINDS.get(kind, kind)} are not what a recount gives"
    ((wrong,),) = connection.execute(_WRONG_COUNTS)
    if wrong:
        yield f"{wrong} counts of calls are not what a recount gives"
    for table, condition in _OF_NOTHING.items():
        ((count,),) = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}")  # noqa: S608  # ours
        if count:
            yield f"{count} rows of {table} belong to nothing any more"
    strays = len(connection.execute("PRAGMA foreign_key_check").fetchall())
    if strays:
        yield f"{strays} rows point to what is gone"
