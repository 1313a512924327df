"""What the HTTP side asks of callbacks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.core.access import Reader
from bridge.core.webhooks import Answer, Delivery, DeliveryKey, DeliveryState, FormatName, Webhook, WebhookId


class Callbacks(Protocol):
    """Who keeps and serves webhooks. What is changed is kept, and a fact, on return. Calls raise StoreError."""

    @property
    def all(self) -> Sequence[Webhook]:
        """Oldest first."""

    def one(self, webhook_id: str) -> Webhook | None:
        """One webhook."""

    def waiting(self, webhook_id: WebhookId) -> int:
        """How many deliveries of one that there is wait."""

    def wrong(self, fields: Mapping[str, object], form: FormatName) -> Mapping[str, str]:
        """What is wrong with fields, by their names: `url`, `archive_url`, `secret` and `events`, as far as given."""

    async def add(
        self,
        url: str,
        form: FormatName,
        events: Sequence[str],
        by: Reader,
        *,
        archive_url: str | None = None,
        secret: str | None = None,
    ) -> tuple[Webhook, str]:
        """A new webhook, for what happens from now on, and its secret. Raises TooManyWebhooksError."""

    async def change(self, webhook_id: WebhookId, by: Reader, **values: object) -> Webhook | None:
        """`url`, `archive_url`, `events`, `secret`, `enabled`; None where it is gone. Raises WebhookStateError."""

    async def rotate(self, webhook_id: WebhookId, secret: str | None, by: Reader) -> str | None:
        """A newer secret, which is given back; None where the webhook is gone. Raises WebhookStateError."""

    async def remove(self, webhook_id: WebhookId, by: Reader) -> bool:
        """Forget a webhook and its deliveries; False where there is none."""

    async def deliveries(
        self, webhook_id: WebhookId, state: DeliveryState | None, before: DeliveryKey | None, limit: int
    ) -> Sequence[Delivery]:
        """The newest facts' first; `before` is the last one of the page before."""

    async def resend(self, key: DeliveryKey) -> Delivery | None:
        """Send again what has ended; None where there is no such delivery. Raises WebhookStateError."""

    async def test(self, webhook_id: WebhookId) -> Answer | None:
        """Send `webhook.test` at once; what came of it. None where the webhook is gone."""
