"""All webhooks: set up by admins, each with a dispatcher of its own."""

import asyncio
import contextvars
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from bridge.core.access import Reader
from bridge.core.errors import StoreError, TooManyWebhooksError, WebhookStateError
from bridge.core.live import NotReady
from bridge.core.records import Fact, FactKind
from bridge.core.webhook_store import (
    AddDeliveries,
    EndWebhook,
    PutDelivery,
    PutFailures,
    PutWebhook,
    WakeDeliveries,
    WebhookChange,
)
from bridge.core.webhook_urls import host_of, wrong_url
from bridge.core.webhooks import (
    MOST,
    MOST_SECRETS,
    Answer,
    Delivery,
    DeliveryKey,
    DeliveryState,
    FormatName,
    Policy,
    Secret,
    Webhook,
    WebhookId,
    again,
    disabled,
    enabled,
    set_fact,
    valid_secrets,
    with_secret,
    wrong_events,
)
from bridge.feed.dispatcher import Dispatcher, Surroundings, Tally
from bridge.feed.sender import Sender
from bridge.feed.signing import new_secret, wrong_secret

log = structlog.get_logger()

_LOOK_EVERY_S = 3600.0
_AGAIN_S = 0.5
_FORGET_AT_ONCE = 500


class Webhooks:
    """Keeps first, then lets it count. Every call raises StoreError."""

    def __init__(self, surroundings: Surroundings, sender: Callable[[], Sender] | None = None) -> None:
        self._around = surroundings
        self._sender = sender or self._new_sender
        self._dispatchers: dict[WebhookId, Dispatcher] = {}
        self._tasks: dict[WebhookId, asyncio.Task[None]] = {}
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Go on with all that are kept."""
        waiting = await self._around.store.waiting()
        for webhook in await self._around.store.webhooks():
            self._begin(webhook, waiting.get(webhook.id, 0))
        await self._around.changed(self.all)

    async def run(self) -> None:
        """Forget old deliveries, until cancelled."""
        while True:
            wait_s = _LOOK_EVERY_S
            try:
                wait_s = await self._tidy()
            except StoreError as error:
                log.warning("webhook-deliveries-not-forgotten", problem=error.message)
            except Exception:  # what it is for must not end the recording of all calls
                log.exception("webhook-deliveries-not-forgotten")
            await asyncio.sleep(wait_s)

    async def close(self) -> None:
        """End all dispatchers; what was being sent is sent again after the next start."""
        for webhook_id in list(self._tasks):
            self._tasks[webhook_id].cancel()
        for webhook_id in list(self._tasks):
            await self._end(webhook_id, self._dispatchers[webhook_id])

    @property
    def all(self) -> Sequence[Webhook]:
        """Oldest first, with the cursors as they are now."""
        return [replace(one.webhook, cursor=one.cursor) for one in self._dispatchers.values()]

    @property
    def warning(self) -> NotReady | None:
        """Those that were disabled, but for those that an admin disabled."""
        ids = [one.id for one in self.all if not one.enabled and one.disabled_reason != "by-admin"]
        if not ids:
            return None
        words = (
            f"callbacks are disabled, and what happens waits for them: {', '.join(ids)}; try each with POST …/test, "
        )
        return NotReady("webhook-disabled", f'{words}then PATCH it with {{"enabled": true}}, or delete it')

    def tally(self) -> Tally:
        """Of all together."""
        tallies = [one.tally for one in self._dispatchers.values()]
        return Tally(*(sum(getattr(one, name) for one in tallies) for name in Tally.__slots__))

    def behind(self) -> int:
        """How many facts the enabled webhook that is behind most has not taken in."""
        newest = self._around.hub.published
        return max(
            (max(0, newest - one.cursor) for one in self._dispatchers.values() if one.webhook.enabled), default=0
        )

    def one(self, webhook_id: str) -> Webhook | None:
        """One webhook."""
        found = self._dispatchers.get(WebhookId(webhook_id))
        return None if found is None else replace(found.webhook, cursor=found.cursor)

    def waiting(self, webhook_id: WebhookId) -> int:
        """How many deliveries of it wait."""
        return self._dispatchers[webhook_id].tally.waiting

    def wrong(self, fields: Mapping[str, object], form: FormatName) -> Mapping[str, str]:
        """What is wrong with fields, by their names: `url`, `archive_url`, `secret` and `events`, as far as given."""
        found: dict[str, str | None] = {}
        for name in ("url", "archive_url"):
            value = fields.get(name)
            if isinstance(value, str):
                found[name] = wrong_url(value, allow_private=self._around.allow_private)
        if fields.get("archive_url") is not None and form is not FormatName.VONAGE:
            found["archive_url"] = "only the format vonage has archives of their own"
        events, secret = fields.get("events"), fields.get("secret")
        if isinstance(events, list | tuple) and all(isinstance(one, str) for one in events):
            found["events"] = wrong_events(events, {one: its.NAMES for one, its in self._around.formats.items()}, form)
        if isinstance(secret, str):
            found["secret"] = wrong_secret(secret)
        return {name: words for name, words in found.items() if words is not None}

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
        now = self._around.clock()
        value = secret or new_secret()
        webhook = Webhook(
            WebhookId(f"whk_{secrets.token_hex(8)}"), url, form, tuple(events), (Secret(value),), now, archive_url
        )
        async with self._lock:
            if len(self._dispatchers) >= MOST:
                raise TooManyWebhooksError(f"there are {MOST} webhooks already: delete one first")
            fact = set_fact(webhook, host_of(url), by.identity, now)
            await self._commit([PutWebhook(webhook)], fact)
            # As it was kept: its cursor is the newest fact's.
            (kept,) = [one for one in await self._around.store.webhooks() if one.id == webhook.id]
            self._begin(kept, 0)
            await self._around.changed(self.all)
        return kept, value

    async def change(self, webhook_id: WebhookId, by: Reader, **values: object) -> Webhook | None:
        """`url`, `archive_url`, `events`, `secret` (as `rotate`), `enabled`; None where it is gone.

        Enabled again it goes on from its cursor, and what waits is tried at once. Raises WebhookStateError.
        """
        async with self._lock:
            dispatcher = self._dispatchers.get(webhook_id)
            if dispatcher is None:
                return None
            now = self._around.clock()
            wanted, secret = values.pop("enabled", None), values.pop("secret", None)
            webhook: Webhook = replace(dispatcher.webhook, **values)  # type: ignore[arg-type]  # checked by who asks
            changes: list[WebhookChange] = []
            if secret is not None:
                webhook = _rotated(webhook, str(secret), now)
            if wanted is True and not webhook.enabled:
                webhook = enabled(webhook)
                changes = [PutFailures(webhook_id, ()), WakeDeliveries(webhook_id, now)]
            elif wanted is False and webhook.enabled:
                webhook = disabled(webhook, "by-admin", now)
            if "events" in values:  # what happened before is not asked for now, whatever comes between
                changes.append(AddDeliveries(webhook_id, dispatcher.cursor))
            fact = set_fact(webhook, host_of(webhook.url), by.identity, now)
            await self._commit([PutWebhook(webhook), *changes], fact)
            dispatcher.use(webhook)
            await self._around.changed(self.all)
            return webhook

    async def rotate(self, webhook_id: WebhookId, secret: str | None, by: Reader) -> str | None:
        """A newer secret, which is given back; None where the webhook is gone. The old ones sign for 24 hours more.

        Raises WebhookStateError.
        """
        value = secret or new_secret()
        return value if await self.change(webhook_id, by, secret=value) is not None else None

    async def remove(self, webhook_id: WebhookId, by: Reader) -> bool:
        """Forget a webhook and its deliveries; False where there is none."""
        async with self._lock:
            dispatcher = self._dispatchers.get(webhook_id)
            if dispatcher is None:
                return False
            data = {"webhook": webhook_id, "host": host_of(dispatcher.webhook.url)}
            fact = Fact(FactKind.WEBHOOK_REMOVED, self._around.clock(), data=data, personal={"identity": by.identity})
            await self._commit([EndWebhook(webhook_id)], fact)
            del self._dispatchers[webhook_id]
            await self._around.changed(self.all)
        await self._end(webhook_id, dispatcher)
        return True

    async def deliveries(
        self, webhook_id: WebhookId, state: DeliveryState | None, before: DeliveryKey | None, limit: int
    ) -> Sequence[Delivery]:
        """The newest facts' first."""
        return await self._around.store.deliveries(webhook_id, state, before, limit)

    async def resend(self, key: DeliveryKey) -> Delivery | None:
        """Send again what has ended; None where there is no such delivery. Raises WebhookStateError."""
        found = await self._around.store.delivery(key)
        dispatcher = self._dispatchers.get(key.webhook)
        if found is None or dispatcher is None:
            return None
        if found.state is DeliveryState.WAITING:
            raise WebhookStateError("this delivery still waits, and is sent by itself")
        delivery = again(found, self._around.clock())
        await self._commit([PutDelivery(delivery)])
        dispatcher.tally.waiting += 1
        dispatcher.wake()
        return delivery

    async def test(self, webhook_id: WebhookId) -> Answer | None:
        """Send `webhook.test` at once, also to one that is disabled; what came of it counts for nothing."""
        dispatcher = self._dispatchers.get(webhook_id)
        if dispatcher is None:
            return None
        at = self._around.clock().isoformat().replace("+00:00", "Z")
        body = {"type": "webhook.test", "timestamp": at, "data": {"webhook": webhook_id}}
        return await dispatcher.post(dispatcher.webhook.url, f"msg_{webhook_id}_test_{secrets.token_hex(4)}", body)

    def _new_sender(self) -> Sender:
        policy = self._around.policy
        return Sender(allow_private=self._around.allow_private, timeout_s=policy.timeout_s, parallel=policy.parallel)

    def _begin(self, webhook: Webhook, waiting: int) -> None:
        dispatcher = Dispatcher(webhook, self._sender(), self._around, self._disable, waiting)
        self._dispatchers[webhook.id] = dispatcher
        # Not of the request that sets it up: that one's id would stand in every line of the log about this webhook.
        context = contextvars.Context()
        self._tasks[webhook.id] = asyncio.create_task(dispatcher.run(), name=f"webhook {webhook.id}", context=context)

    async def _end(self, webhook_id: WebhookId, dispatcher: Dispatcher) -> None:
        task = self._tasks.pop(webhook_id)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await dispatcher.close()

    async def _commit(self, changes: Sequence[WebhookChange], *facts: Fact) -> None:
        self._around.publish(await self._around.store.commit(changes, facts))

    async def _disable(self, webhook_id: WebhookId, reason: str) -> None:
        async with self._lock:
            dispatcher = self._dispatchers.get(webhook_id)
            if dispatcher is None or not dispatcher.webhook.enabled:
                return
            now = self._around.clock()
            webhook = disabled(dispatcher.webhook, reason, now)
            host = host_of(webhook.url)
            data = {"webhook": webhook_id, "host": host, "reason": reason}
            # Before: rather two mails than none, where we die or the database fails between. It fails again then.
            await self._around.warn(*_mail(webhook, host, self._around.policy))
            await self._commit([PutWebhook(webhook)], Fact(FactKind.WEBHOOK_DISABLED, now, data=data))
            dispatcher.use(webhook)
        log.error("webhook-disabled", **data)

    async def _tidy(self) -> float:
        """Forget some that ended long ago; gives when to come back, in seconds."""
        now, policy = self._around.clock(), self._around.policy
        before = now - policy.keep_delivered, now - policy.keep_given_up
        gone = await self._around.store.forget_ended(*before, _FORGET_AT_ONCE)
        return _LOOK_EVERY_S if gone < _FORGET_AT_ONCE else _AGAIN_S


def _rotated(webhook: Webhook, secret: str, now: datetime) -> Webhook:
    if len(valid_secrets(webhook, now)) >= MOST_SECRETS:
        raise WebhookStateError(f"{MOST_SECRETS} of its secrets are valid already: the oldest ends within a day")
    return with_secret(webhook, secret, now)


def _mail(webhook: Webhook, host: str, policy: Policy) -> tuple[str, str]:
    if webhook.disabled_reason == "gone":
        why = "it answered 410 Gone"
    else:
        minutes = policy.failures_within.total_seconds() / 60
        why = f"more than {policy.failures} attempts have failed within {minutes:g} minutes"
    text = (
        f"The callback {webhook.id} to {host} is disabled: {why}.\n\n"
        "Nothing is lost: once it is enabled again, everything that has happened meanwhile is delivered in order.\n"
        f'PATCH /api/v1/webhooks/{webhook.id} with {{"enabled": true}}; POST /api/v1/webhooks/{webhook.id}/test '
        "tries it before.\n"
    )
    return f"recbridge: the callback to {host} is disabled", text
