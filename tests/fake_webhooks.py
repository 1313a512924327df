"""Webhooks kept in memory, as the real ones are kept."""

from collections import Counter
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
from tests.fakes import MemoryStore


class MemoryWebhooks:
    """Beside a store in memory; while that is `broken`, this is, too."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._webhooks: dict[WebhookId, Webhook] = {}
        self._deliveries: dict[DeliveryKey, Delivery] = {}

    async def commit(self, changes: Sequence[WebhookChange], facts: Sequence[Fact] = ()) -> Sequence[NumberedFact]:
        numbered = await self._store.commit([AppendFact(fact) for fact in facts])
        _, newest = await self._store.fact_bounds()
        for change in changes:
            match change:
                case PutWebhook(webhook):
                    old = self._webhooks.get(webhook.id, replace(webhook, cursor=newest, failures=()))
                    self._webhooks[webhook.id] = replace(webhook, cursor=old.cursor, failures=old.failures)
                case PutFailures(webhook_id, failures) if webhook_id in self._webhooks:
                    self._webhooks[webhook_id] = replace(self._webhooks[webhook_id], failures=failures)
                case EndWebhook(webhook_id):
                    self._webhooks.pop(webhook_id, None)
                    self._deliveries = {key: one for key, one in self._deliveries.items() if key.webhook != webhook_id}
                case AddDeliveries(webhook_id, cursor, deliveries) if webhook_id in self._webhooks:
                    old = self._webhooks[webhook_id]
                    self._webhooks[webhook_id] = replace(old, cursor=max(old.cursor, cursor))
                    for one in deliveries:
                        self._add(one)
                case PutDelivery(delivery) if delivery.key in self._deliveries:
                    self._deliveries[delivery.key] = delivery
                    if delivery.ended_at is not None:
                        self._next_in_order(delivery, delivery.ended_at)
                case WakeDeliveries(webhook_id, at):
                    for key, one in self._deliveries.items():
                        if key.webhook == webhook_id and one.next_at is not None and one.next_at > at:
                            self._deliveries[key] = replace(one, next_at=at)
                case _:
                    pass
        return numbered

    def _add(self, delivery: Delivery) -> None:
        behind = self._in_order(delivery)
        self._deliveries.setdefault(delivery.key, replace(delivery, next_at=None if behind else delivery.at))

    def _next_in_order(self, ended: Delivery, at: datetime) -> None:
        waiting = self._in_order(ended)
        if waiting and all(one.next_at is None for one in waiting):
            self._deliveries[waiting[0].key] = replace(waiting[0], next_at=at)

    def _in_order(self, delivery: Delivery) -> list[Delivery]:
        return [
            one
            for key, one in sorted(self._deliveries.items())
            if key.webhook == delivery.key.webhook and one.order_key == delivery.order_key
            if one.state is DeliveryState.WAITING
        ]

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        return await self._store.facts_after(number, limit)

    async def webhooks(self) -> Sequence[Webhook]:
        self._store._check()
        return sorted(self._webhooks.values(), key=lambda one: (one.created_at, one.id))

    async def due(self, webhook: WebhookId, limit: int) -> Sequence[Delivery]:
        self._store._check()
        found = [(one.next_at, key, one) for key, one in self._deliveries.items() if one.next_at is not None]
        return [one for _, key, one in sorted(found, key=lambda each: each[:2]) if key.webhook == webhook][:limit]

    async def delivery(self, key: DeliveryKey) -> Delivery | None:
        self._store._check()
        return self._deliveries.get(key)

    async def deliveries(
        self, webhook: WebhookId, state: DeliveryState | None, before: DeliveryKey | None, limit: int
    ) -> Sequence[Delivery]:
        self._store._check()
        found = sorted(self._deliveries.items(), reverse=True)
        return [
            one
            for key, one in found
            if key.webhook == webhook and (state is None or one.state is state) and (before is None or key < before)
        ][:limit]

    async def waiting(self) -> Mapping[WebhookId, int]:
        self._store._check()
        return Counter(key.webhook for key, one in self._deliveries.items() if one.state is DeliveryState.WAITING)

    async def forget_ended(self, delivered_before: datetime, given_up_before: datetime, limit: int) -> int:
        self._store._check()
        before = {DeliveryState.DELIVERED: delivered_before, DeliveryState.GIVEN_UP: given_up_before}
        gone = [
            key
            for key, one in self._deliveries.items()
            if one.state in before and one.ended_at is not None and one.ended_at < before[one.state]
        ][:limit]
        for key in gone:
            del self._deliveries[key]
        return len(gone)
