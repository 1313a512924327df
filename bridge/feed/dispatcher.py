"""One webhook: facts become deliveries, deliveries are sent, in order for each call and without waiting for others."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

import structlog

from bridge.core.errors import CursorGoneError, RecbridgeError, StoreError
from bridge.core.ids import FactNumber
from bridge.core.records import Fact, FactKind, NumberedFact
from bridge.core.webhook_store import AddDeliveries, PutDelivery, PutFailures, WebhookChange, WebhookStore
from bridge.core.webhook_urls import host_of
from bridge.core.webhooks import (
    Answer,
    Callback,
    Delivery,
    DeliveryState,
    Format,
    FormatName,
    Policy,
    Webhook,
    WebhookId,
    begun,
    deliveries_of,
    dropped,
    ended,
    is_gone,
    quiet_s,
    succeeded,
    too_many,
    valid_secrets,
    with_failure,
)
from bridge.feed.sender import Sender
from bridge.feed.signing import signed
from bridge.feed.stream import Hub

log = structlog.get_logger()

_PAGE = 64
_LAG = 1000
_AGAIN_S = 1.0
"""How long a database that is in trouble is left alone."""


_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What webhooks need of the daemon. `project_id` is the PBX's name.

    `publish` takes facts that were kept, `warn` a mail's subject and text for the admin; `jitter` gives from 0 to 1.
    `changed` is told of all webhooks at the start and after each change.
    """

    store: WebhookStore
    hub: Hub
    formats: Mapping[FormatName, Format]
    project_id: str
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    publish: Callable[[Sequence[NumberedFact]], None]
    warn: Callable[[str, str], Awaitable[None]]
    changed: Callable[[Sequence[Webhook]], Awaitable[None]]
    allow_private: bool = False
    policy: Policy = _POLICY


@dataclass(slots=True)
class Tally:
    """What was done since the start, and how many deliveries wait now."""

    waiting: int = 0
    delivered: int = 0
    failed: int = 0
    given_up: int = 0


class Dispatcher:
    """Runs whether its webhook is enabled or not; `use` gives it another version of that.

    Its deliveries are in the database, written before each attempt. In memory are one page of those that are due, and
    as many as are being sent. Of one order key only one is sent at a time.
    """

    def __init__(
        self,
        webhook: Webhook,
        sender: Sender,
        around: Surroundings,
        disable: Callable[[WebhookId, str], Awaitable[None]],
        waiting: int = 0,
    ) -> None:
        """`disable` is asked to disable the webhook, with a reason; `waiting` is how many deliveries there are."""
        self.webhook = webhook
        self.cursor = self._kept_cursor = webhook.cursor
        self.tally = Tally(waiting)
        self._failures = webhook.failures
        self._sender = sender
        self._around = around
        self._disable = disable
        self._form = around.formats[webhook.format]
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ready: deque[Delivery] = deque()
        self._quiet_until = 0.0
        self._wake = asyncio.Event()
        self._enabled = asyncio.Event()
        self.use(webhook)

    def use(self, webhook: Webhook) -> None:
        """From now on it is so. `cursor` counts as it was."""
        if webhook.enabled and not self.webhook.enabled:
            self._failures, self._quiet_until = (), 0.0
        self.webhook = webhook
        if webhook.enabled:
            self._enabled.set()
        else:
            self._enabled.clear()
        self.wake()

    def wake(self) -> None:
        """Something may be due that was not."""
        self._ready.clear()
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. What is being sent then is sent again by the next run."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again_and_again(self._take_in), name="webhook-facts")
            group.create_task(self._again_and_again(lambda: self._send_due(group)), name="webhook-deliveries")

    async def close(self) -> None:
        """After `run`."""
        await self._sender.close()

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> NoReturn:
        while True:
            await self._enabled.wait()
            try:
                await work()
                continue
            except StoreError as error:
                log.warning("webhook-put-off", webhook=self.webhook.id, problem=error.message)
            except Exception:  # no receiver is worth the recording of all calls
                log.exception("webhook-failed", webhook=self.webhook.id)
            await asyncio.sleep(_AGAIN_S)

    async def _take_in(self) -> None:
        """Facts into deliveries, a commit for each batch, until disabled. Raises StoreError."""
        try:
            async with self._around.hub.subscribe(self.cursor) as facts:
                async for batch in facts:
                    if not self.webhook.enabled:
                        return
                    await self._add(batch)
        except CursorGoneError as error:
            log.error("webhook-facts-gone", webhook=self.webhook.id, after=self.cursor, details=error.details)
            lowest, newest = (FactNumber(int(str(error.details[name]))) for name in ("oldest", "newest"))
            self.cursor = max(lowest, min(self.cursor, newest))

    async def _add(self, batch: Sequence[NumberedFact]) -> None:
        now = self._around.clock()
        made = tuple(one for fact in batch for one in self._made(fact, now))
        newest = batch[-1].number
        # Where nothing is wanted the kept cursor lags behind: some facts are looked at again after a restart.
        if made or newest - self._kept_cursor >= _LAG:
            await self._around.store.commit([AddDeliveries(self.webhook.id, newest, made)])
            self._kept_cursor = newest
        if made:
            self.tally.waiting += len(made)
            self.wake()
        self.cursor = newest

    def _made(self, fact: NumberedFact, now: datetime) -> Sequence[Delivery]:
        try:
            return deliveries_of(self.webhook, self._form, fact, self._around.project_id, now)
        except Exception:  # a fact that has no body must not hold up all others for ever
            log.exception("webhook-without-body", webhook=self.webhook.id, fact=fact.number)
            return []

    async def _send_due(self, group: asyncio.TaskGroup) -> None:
        """Begin what is due and has room, then wait until that may have changed. Raises StoreError."""
        self._wake.clear()
        wait_s: float | None = None
        loop = asyncio.get_running_loop()
        quiet = self._quiet_until - loop.time()
        if quiet > 0:
            wait_s = quiet
        elif len(self._running) < self._around.policy.parallel:
            if not self._ready:
                wait_s = await self._look()
            if self.webhook.enabled:
                self._begin(group)
        if not self._ready or len(self._running) >= self._around.policy.parallel or quiet > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _look(self) -> float | None:
        """Read a page of what is due; gives for how many seconds more nothing is, None for ever."""
        parallel = self._around.policy.parallel
        busy = set(self._running)  # before: what ends meanwhile may still be in the page
        found = await self._around.store.due(self.webhook.id, _PAGE + parallel)
        now = self._around.clock()
        left = [one for one in found if one.order_key not in busy]
        # What was not tried yet waits for no time: it is later than now only where the clock was set back.
        self._ready.extend(one for one in left if one.next_at is not None and (one.next_at <= now or one.attempts == 0))
        later = [one.next_at for one in left if one.next_at is not None and one.next_at > now and one.attempts > 0]
        return max(0.0, (later[0] - now).total_seconds()) if later else None

    def _begin(self, group: asyncio.TaskGroup) -> None:
        while self._ready and len(self._running) < self._around.policy.parallel:
            delivery = self._ready.popleft()
            if delivery.order_key not in self._running:
                task = group.create_task(self._attempt(delivery), name="webhook-attempt")
                self._running[delivery.order_key] = task

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            await self._once(delivery)
        except Exception:
            log.exception("webhook-attempt-failed", webhook=self.webhook.id, delivery=delivery.key.id)
            await asyncio.sleep(_AGAIN_S)
        finally:
            del self._running[delivery.order_key]
            self._wake.set()

    async def _once(self, delivery: Delivery) -> None:
        policy, clock = self._around.policy, self._around.clock
        delivery = begun(delivery)
        await self._keep([PutDelivery(delivery)])
        answer = await self._tried(delivery)
        now = clock()
        form = self.webhook.format
        if answer is None:
            await self._end(dropped(delivery, now))
            return
        after = ended(delivery, answer, form, policy, now=now, jitter=self._around.jitter())
        changes: list[WebhookChange] = []
        if succeeded(form, answer):
            self.tally.delivered += 1
        else:
            self.tally.failed += 1
            self._failures = with_failure(self._failures, policy, now)
            changes.append(PutFailures(self.webhook.id, self._failures))
            self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + quiet_s(answer, policy))
        await self._end(after, changes)
        if is_gone(answer):
            await self._disable(self.webhook.id, "gone")
        elif too_many(self._failures, policy) and self.webhook.enabled:
            await self._disable(self.webhook.id, "too-many-failures")

    async def _end(self, delivery: Delivery, changes: Sequence[WebhookChange] = ()) -> None:
        """An attempt is over."""
        await self._keep([PutDelivery(delivery), *changes], self._told(delivery))
        if delivery.state is not DeliveryState.WAITING:
            self.tally.waiting -= 1

    def _told(self, delivery: Delivery) -> Sequence[Fact]:
        """What is said of an attempt that failed: in the log, and as a fact once nothing more is tried."""
        if delivery.state is DeliveryState.DELIVERED:
            return ()
        what = {"webhook": self.webhook.id, "delivery": delivery.key.id, "name": delivery.name}
        why = {"status": delivery.status, "error": delivery.error, "attempts": delivery.attempts}
        if delivery.state is DeliveryState.WAITING:
            log.info("webhook-not-delivered", **what, **why, again=str(delivery.next_at))
            return ()
        self.tally.given_up += 1
        log.error("webhook-given-up", **what, **why, host=host_of(self.webhook.url))
        return (Fact(FactKind.WEBHOOK_GIVEN_UP, self._around.clock(), data={**what, **why}),)

    async def _tried(self, delivery: Delivery) -> Answer | None:
        try:
            return await self._send(delivery)
        except Exception:  # it waits as all that fails, and is given up: it must not be tried every second for ever
            log.exception("webhook-not-made", webhook=self.webhook.id, delivery=delivery.key.id)
            return Answer(error="not-made")

    async def _send(self, delivery: Delivery) -> Answer | None:
        """None where there is nothing to send any more: its URL was taken away, or another version made it."""
        callback = await self._callback(delivery)
        url = self.webhook.archive_url if callback is not None and callback.archive else self.webhook.url
        if callback is None or url is None:
            return None
        return await self.post(url, delivery.key.id, callback.body)

    async def post(self, url: str, message_id: str, body: Mapping[str, object]) -> Answer:
        """Send a body, signed, and give what came of it."""
        now = self._around.clock()
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        raw = text.decode("utf-8", "replace").encode()  # Asterisk promises no charset
        with_secrets = [one.value for one in valid_secrets(self.webhook, now)]
        return await self._sender.post(url, signed(message_id, now, raw, with_secrets), raw)

    async def _callback(self, delivery: Delivery) -> Callback | None:
        number = delivery.key.fact
        while True:
            try:
                facts = await self._around.store.facts_after(FactNumber(number - 1), 1)
                break
            except StoreError as error:
                await self._put_off(error)
        if not facts or facts[0].number != number:
            return None
        bodies = self._form.bodies(facts[0], self._around.project_id)
        return bodies[delivery.key.part] if delivery.key.part < len(bodies) else None

    async def _keep(self, changes: Sequence[WebhookChange], facts: Sequence[Fact] = ()) -> None:
        """Until it is kept: what was not written before is not sent, and what was sent is not sent again for that."""
        while True:
            try:
                self._around.publish(await self._around.store.commit(changes, facts))
                return
            except StoreError as error:
                if error.details.get("reason") == "closed":
                    raise
                await self._put_off(error)

    async def _put_off(self, error: RecbridgeError) -> None:
        log.warning("webhook-put-off", webhook=self.webhook.id, problem=error.message)
        await asyncio.sleep(_AGAIN_S)
