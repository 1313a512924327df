"""What callbacks ask of whoever keeps things: webhooks, and their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.core.ids import FactNumber
from bridge.core.records import Fact, NumberedFact
from bridge.core.webhooks import Delivery, DeliveryKey, DeliveryState, Webhook, WebhookId


@dataclass(frozen=True, slots=True)
class PutWebhook:
    """Keep a webhook: a new row, whose cursor is the newest fact, or these values but for `cursor` and `failures`."""

    webhook: Webhook


@dataclass(frozen=True, slots=True)
class PutFailures:
    """Keep when the latest attempts of a webhook failed."""

    webhook: WebhookId
    failures: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class EndWebhook:
    """Forget a webhook and its deliveries."""

    webhook: WebhookId


@dataclass(frozen=True, slots=True)
class AddDeliveries:
    """Up to the fact `cursor` these were made. Those that are there already, or of no webhook any more, are left out.

    Each waits behind those of its order key that wait, or its `next_at` is its `at`.
    """

    webhook: WebhookId
    cursor: FactNumber
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class PutDelivery:
    """Keep what became of a delivery that is there. If it has ended the next of its order key is due."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class WakeDeliveries:
    """What a webhook's receiver is tried with later is due at once."""

    webhook: WebhookId
    at: datetime


WebhookChange = PutWebhook | PutFailures | EndWebhook | AddDeliveries | PutDelivery | WakeDeliveries
"""One thing to keep. They are kept in their order, all or none."""


class WebhookStore(Protocol):
    """Keeps webhooks and deliveries beside the facts. Raises StoreError."""

    async def commit(self, changes: Sequence[WebhookChange], facts: Sequence[Fact] = ()) -> Sequence[NumberedFact]:
        """Keep these facts and then all changes, or nothing; on return they are on disk. Gives the facts, numbered.

        Each change may be given again, where it is not known what became of it.
        """

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        """Up to `limit` facts with a higher number, in order."""

    async def webhooks(self) -> Sequence[Webhook]:
        """All, oldest first."""

    async def due(self, webhook: WebhookId, limit: int) -> Sequence[Delivery]:
        """What waits for its time and for no other delivery, the next first."""

    async def delivery(self, key: DeliveryKey) -> Delivery | None:
        """One delivery."""

    async def deliveries(
        self, webhook: WebhookId, state: DeliveryState | None, before: DeliveryKey | None, limit: int
    ) -> Sequence[Delivery]:
        """The newest facts' first, in one state or in any; `before` is the last one of the page before."""

    async def waiting(self) -> Mapping[WebhookId, int]:
        """How many wait, of each webhook that has some."""

    async def forget_ended(self, delivered_before: datetime, given_up_before: datetime, limit: int) -> int:
        """Forget up to so many that were delivered, or given up, before these times; gives how many."""
