"""Webhooks and their deliveries as rows, and back."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.core.ids import FactNumber
from bridge.core.records import Fact, NumberedFact
from bridge.core.store import AppendFact
from bridge.core.webhook_store import (
    AddDeliveries,
    EndWebhook,
    PutDelivery,
    PutFailures,
    PutWebhook,
    WakeDeliveries,
    WebhookChange,
)
from bridge.core.webhooks import Delivery, DeliveryKey, DeliveryState, Webhook, WebhookId
from bridge.storage.database import SqliteStore
from bridge.storage.plain import plain, read
from bridge.storage.values import Row, json_in, texts_in, time_in, time_out

_PUT_WEBHOOK = """
INSERT INTO webhooks (id, systemname, created_at, kept, cursor, failures)
VALUES (:id, CAST(:systemname AS TEXT), :created_at, :kept, (SELECT coalesce(max(number), 0) FROM facts), '[]')
ON CONFLICT (id) DO UPDATE SET kept = excluded.kept
"""
_PUT_FAILURES = "UPDATE webhooks SET failures = :failures WHERE id = :id"
_PUT_CURSOR = "UPDATE webhooks SET cursor = max(cursor, :cursor) WHERE id = :id"
_END_WEBHOOK = "DELETE FROM webhooks WHERE id = :id"
_END_DELIVERIES = "DELETE FROM webhook_deliveries WHERE webhook = :id"
_ADD_DELIVERY = """
INSERT INTO webhook_deliveries
    (webhook, fact, part, systemname, order_key, name, at, state, attempts, next_at, status, error, ended_at)
SELECT :webhook, :fact, :part, CAST(:systemname AS TEXT), CAST(:order_key AS TEXT), CAST(:name AS TEXT), :at, :state,
       :attempts,
       CASE WHEN EXISTS (
           SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_in_order
           WHERE webhook = :webhook AND order_key = CAST(:order_key AS TEXT) AND state = 'waiting'
       ) THEN NULL ELSE :at END,
       :status, CAST(:error AS TEXT), :ended_at
WHERE EXISTS (SELECT 1 FROM webhooks WHERE id = :webhook)
ON CONFLICT DO NOTHING
"""
_PUT_DELIVERY = """
UPDATE webhook_deliveries
SET at = :at, state = :state, attempts = :attempts, next_at = :next_at, status = :status,
    error = CAST(:error AS TEXT), ended_at = :ended_at
WHERE webhook = :webhook AND fact = :fact AND part = :part
"""
_NEXT_IN_ORDER = """
UPDATE webhook_deliveries SET next_at = :ended_at
WHERE webhook = :webhook AND (fact, part) = (
    SELECT fact, part FROM webhook_deliveries INDEXED BY webhook_deliveries_in_order
    WHERE webhook = :webhook AND order_key = CAST(:order_key AS TEXT) AND state = 'waiting' AND next_at IS NULL
    ORDER BY fact, part LIMIT 1
) AND NOT EXISTS (
    SELECT 1 FROM webhook_deliveries INDEXED BY webhook_deliveries_in_order
    WHERE webhook = :webhook AND order_key = CAST(:order_key AS TEXT) AND state = 'waiting' AND next_at >= 0
)
"""
_WAKE = "UPDATE webhook_deliveries SET next_at = :at WHERE webhook = :id AND next_at > :at"
_FORGET = """
DELETE FROM webhook_deliveries WHERE state = :state AND ended_at < :before AND (webhook, fact, part) IN (
    SELECT webhook, fact, part FROM webhook_deliveries
    WHERE state = :state AND ended_at < :before ORDER BY ended_at LIMIT :limit
)
"""
_ENDED_BEFORE = """
SELECT count(*) FROM (
    SELECT 1 FROM webhook_deliveries WHERE state = ? AND ended_at IS NOT NULL AND ended_at < ? LIMIT ?
)
"""
_WEBHOOKS = "SELECT kept, cursor, failures FROM webhooks ORDER BY created_at, id"
_DUE = """
SELECT * FROM webhook_deliveries WHERE webhook = ? AND next_at IS NOT NULL ORDER BY next_at, fact, part LIMIT ?
"""
_DELIVERY = "SELECT * FROM webhook_deliveries WHERE webhook = ? AND fact = ? AND part = ?"
_DELIVERIES = """
SELECT * FROM webhook_deliveries WHERE webhook = ? AND (fact, part) < (?, ?) ORDER BY fact DESC, part DESC LIMIT ?
"""
_DELIVERIES_IN = {
    state: f"""
SELECT * FROM webhook_deliveries WHERE webhook = ? AND (fact, part) < (?, ?) AND state = '{state}'
ORDER BY fact DESC, part DESC LIMIT ?
"""  # noqa: S608  # a state of ours
    for state in DeliveryState
}
_WAITING = "SELECT webhook, count(*) AS count FROM webhook_deliveries WHERE state = 'waiting' GROUP BY webhook"
_LAST = (2**63 - 1, 0)
_READS = 4
"""Of the many that dispatchers have to do so many stand in the store's queue at once: the rest is for others."""

_Statement = tuple[str, Sequence[Row]]


class SqliteWebhooks:
    """A `bridge.core.webhook_store.WebhookStore` in the store's database. Who may read its file may sign, too."""

    def __init__(self, store: SqliteStore, systemname: str) -> None:
        self._store = store
        self._systemname = systemname
        self._reads = asyncio.Semaphore(_READS)

    async def commit(self, changes: Sequence[WebhookChange], facts: Sequence[Fact] = ()) -> Sequence[NumberedFact]:
        """Keep these facts and then all changes, or nothing; on return they are on disk. Gives the facts, numbered."""
        statements = [one for change in changes for one in self._statements(change)]
        return await self._store.commit([AppendFact(fact) for fact in facts], rewrites=statements)

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        """Up to `limit` facts with a higher number, in order."""
        async with self._reads:
            return await self._store.facts_after(number, limit)

    async def webhooks(self) -> Sequence[Webhook]:
        """All, oldest first."""
        return [_webhook_of(row) for row in await self._store.select(_WEBHOOKS)]

    async def due(self, webhook: WebhookId, limit: int) -> Sequence[Delivery]:
        """What waits for its time and for no other delivery, the next first."""
        async with self._reads:
            return [_delivery_of(row) for row in await self._store.select(_DUE, webhook, limit)]

    async def delivery(self, key: DeliveryKey) -> Delivery | None:
        """One delivery."""
        found = await self._store.select(_DELIVERY, *key)
        return _delivery_of(found[0]) if found else None

    async def deliveries(
        self, webhook: WebhookId, state: DeliveryState | None, before: DeliveryKey | None, limit: int
    ) -> Sequence[Delivery]:
        """The newest facts' first, in one state or in any; `before` is the last one of the page before."""
        last = _LAST if before is None else (before.fact, before.part)
        sql = _DELIVERIES if state is None else _DELIVERIES_IN[state]
        return [_delivery_of(row) for row in await self._store.select(sql, webhook, *last, limit)]

    async def waiting(self) -> Mapping[WebhookId, int]:
        """How many wait, of each webhook that has some."""
        return {WebhookId(row["webhook"]): row["count"] for row in await self._store.select(_WAITING)}

    async def forget_ended(self, delivered_before: datetime, given_up_before: datetime, limit: int) -> int:
        """Forget up to so many that were delivered, or given up, before these times; gives how many."""
        gone = 0
        for state, before in ((DeliveryState.DELIVERED, delivered_before), (DeliveryState.GIVEN_UP, given_up_before)):
            ((count,),) = await self._store.select(_ENDED_BEFORE, state, time_in(before), limit - gone)
            if count:
                row: Row = {"state": str(state), "before": time_in(before), "limit": count}
                await self._store.commit([], rewrites=[(_FORGET, [row])])
            gone += count
        return gone

    def _statements(self, change: WebhookChange) -> Sequence[_Statement]:
        match change:
            case PutWebhook(webhook):
                return [(_PUT_WEBHOOK, [_webhook_row(webhook, self._systemname)])]
            case PutFailures(webhook_id, failures):
                return [(_PUT_FAILURES, [{"id": webhook_id, "failures": json_in(list(map(time_in, failures)))}])]
            case EndWebhook(webhook_id):
                return [(sql, [{"id": webhook_id}]) for sql in (_END_WEBHOOK, _END_DELIVERIES)]
            case AddDeliveries(webhook_id, cursor, deliveries):
                rows = [_delivery_row(one, self._systemname) for one in deliveries]
                return [(_ADD_DELIVERY, rows), (_PUT_CURSOR, [{"id": webhook_id, "cursor": cursor}])]
            case PutDelivery(delivery):
                row = _delivery_row(delivery, self._systemname)
                last = [] if delivery.state is DeliveryState.WAITING else [(_NEXT_IN_ORDER, [row])]
                return [(_PUT_DELIVERY, [row]), *last]
            case WakeDeliveries(webhook_id, at):
                return [(_WAKE, [{"id": webhook_id, "at": time_in(at)}])]


def _webhook_row(webhook: Webhook, systemname: str) -> Row:
    kept = plain(webhook)
    del kept["cursor"], kept["failures"]
    values = {"id": webhook.id, "systemname": systemname, "created_at": time_in(webhook.created_at)}
    return texts_in({**values, "kept": json_in(kept)})


def _webhook_of(row: sqlite3.Row) -> Webhook:
    failures = tuple(map(time_out, json.loads(row["failures"])))
    bare = read(Webhook, {**json.loads(row["kept"]), "cursor": row["cursor"], "failures": []})
    return replace(bare, failures=failures)


def _delivery_row(delivery: Delivery, systemname: str) -> Row:
    webhook, fact, part = delivery.key
    return texts_in(
        {
            "webhook": webhook,
            "fact": fact,
            "part": part,
            "systemname": systemname,
            "order_key": delivery.order_key,
            "name": delivery.name,
            "at": time_in(delivery.at),
            "state": str(delivery.state),
            "attempts": delivery.attempts,
            "next_at": time_in(delivery.next_at),
            "status": delivery.status,
            "error": delivery.error,
            "ended_at": time_in(delivery.ended_at),
        }
    )


def _delivery_of(row: sqlite3.Row) -> Delivery:
    return Delivery(
        key=DeliveryKey(WebhookId(row["webhook"]), FactNumber(row["fact"]), row["part"]),
        order_key=row["order_key"],
        name=row["name"],
        at=time_out(row["at"]),
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        next_at=None if row["next_at"] is None else time_out(row["next_at"]),
        status=row["status"],
        error=row["error"],
        ended_at=None if row["ended_at"] is None else time_out(row["ended_at"]),
    )
