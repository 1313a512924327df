"""Numbers out of the database that say how it goes, without names. Blocks; changes nothing, also beside the daemon."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bridge.core.retention import Keeping, in_force
from bridge.core.settings import Settings
from bridge.storage.reading import opened_to_read
from bridge.storage.settings import SETTINGS, settings_of
from bridge.storage.values import time_in, time_out

_RECORDED = """
SELECT coalesce(sum(size_bytes), 0) AS size_bytes, min(requested_at) AS since FROM sections WHERE requested_at >= ?
"""
_BEGAN = "SELECT min(requested_at) FROM sections"
_OVERDUE = """
SELECT count(*), min(coalesce(ended_at, requested_at) + coalesce(keep_s, :keep_s) * 1000000) FROM sections
WHERE deleted_at IS NULL AND state IN ('stored', 'failed', 'lost')
"""
_OVERDUE_COUNT = _OVERDUE + "AND coalesce(ended_at, requested_at) + coalesce(keep_s, :keep_s) * 1000000 <= :before"
_HOLDS = "SELECT count(*), min(set_at) FROM holds WHERE released_at IS NULL"
# Those made for a day or less are nobody's to renew: commands make themselves such.
_TOKENS = """
SELECT id, role, expires_at FROM tokens
WHERE made_with IS NULL AND (expires_at IS NULL OR expires_at - created_at > 86400000000) ORDER BY created_at, id
"""
_WEBHOOKS = "SELECT kept ->> 'enabled', kept ->> 'disabled_reason', id FROM webhooks ORDER BY created_at, id"
_DELIVERIES = "SELECT count(*), min(at) FROM webhook_deliveries WHERE state = 'waiting'"
_GIVEN_UP = "SELECT count(*) FROM webhook_deliveries WHERE state = 'given-up' AND ended_at >= ?"
_MAILS = "SELECT count(*), min(asked_at), max(tries) FROM mails"
_EXPORTS = "SELECT count(*) FROM exports"


@dataclass(frozen=True, slots=True)
class TokenEnd:
    """A token by its id: whose role it has, and when it ends, None for never."""

    id: str
    role: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: how many, the oldest since when, and how many had to be given up lately or were tried in vain."""

    waiting: int
    since: datetime | None
    in_vain: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """How it goes. `day_bytes` and `week_bytes` are of the last day and week; the first section `began_at`.

    `next_expiry` is when the next recording is over its time, `overdue` how many have been for more than a day.
    `disabled` are webhooks that recbridge disabled, by id, and why.
    """

    day_bytes: int
    week_bytes: int
    began_at: datetime | None
    keeping: Keeping
    next_expiry: datetime | None
    overdue: int
    holds: int
    held_since: datetime | None
    tokens: tuple[TokenEnd, ...]
    webhooks: int
    disabled: tuple[tuple[str, str], ...]
    deliveries: Backlog
    mails: Backlog
    exports: int


def figures(database: Path, now: datetime, configured: Keeping) -> Figures:
    """Ask for all of them. Raises StoreError."""
    with opened_to_read(database) as connection:
        keeping = in_force(_settings(connection), configured)
        keep: dict[str, object] = {"keep_s": keeping.recordings.total_seconds()}
        overdue = {**keep, "before": time_in(now - timedelta(days=1))}
        ((_, expiry),) = connection.execute(_OVERDUE, keep)
        ((late, _),) = connection.execute(_OVERDUE_COUNT, overdue)
        ((day, _),) = connection.execute(_RECORDED, (time_in(now - timedelta(days=1)),))
        ((week, _),) = connection.execute(_RECORDED, (time_in(now - timedelta(days=7)),))
        ((began,),) = connection.execute(_BEGAN)
        ((holds, held),) = connection.execute(_HOLDS)
        webhooks = connection.execute(_WEBHOOKS).fetchall()
        ((waiting, at),) = connection.execute(_DELIVERIES)
        ((given_up,),) = connection.execute(_GIVEN_UP, (time_in(now - timedelta(days=1)),))
        ((mails, asked, tries),) = connection.execute(_MAILS)
        ((exports,),) = connection.execute(_EXPORTS)
        tokens = [TokenEnd(row[0], row[1], _time(row[2])) for row in connection.execute(_TOKENS)]
    return Figures(
        day_bytes=day,
        week_bytes=week,
        began_at=_time(began),
        keeping=keeping,
        next_expiry=_time(expiry),
        overdue=late,
        holds=holds,
        held_since=_time(held),
        tokens=tuple(tokens),
        webhooks=len(webhooks),
        disabled=tuple((row[2], row[1] or "") for row in webhooks if not row[0] and row[1] != "by-admin"),
        deliveries=Backlog(waiting, _time(at), given_up),
        mails=Backlog(mails, _time(asked), tries or 0),
        exports=exports,
    )


def _settings(connection: sqlite3.Connection) -> Settings:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return settings_of(cursor.execute(SETTINGS))


def _time(value: float | None) -> datetime | None:
    return None if value is None else time_out(int(value))
