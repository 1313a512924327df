"""Tokens as an admin looks after them: which there are, and those that are over."""

from collections.abc import Sequence
from datetime import datetime

from bridge.core.access import Token
from bridge.storage.database import SqliteStore
from bridge.storage.rows import token_of
from bridge.storage.values import time_in

_ALL = "SELECT * FROM tokens ORDER BY created_at, id"
_OVER = "SELECT count(*) AS count FROM tokens WHERE expires_at <= ?"
_FORGET = "DELETE FROM tokens WHERE expires_at <= :before"


async def all_tokens(store: SqliteStore) -> Sequence[Token]:
    """Every token, oldest first, those that have expired too. Raises StoreError."""
    return [token_of(row) for row in await store.select(_ALL)]


async def forget_expired(store: SqliteStore, before: datetime) -> int:
    """Forget the tokens that expired up to then (aware); how many. Raises StoreError."""
    ((count,),) = await store.select(_OVER, time_in(before))
    if count:
        await store.commit([], rewrites=[(_FORGET, [{"before": time_in(before)}])])
    return int(count)
