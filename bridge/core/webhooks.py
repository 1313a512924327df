"""Callbacks over HTTP: to whom, what of, and what becomes of each delivery. Decides, and sends nothing itself."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, NewType, Protocol

from bridge.core.document import suggest
from bridge.core.ids import FactNumber
from bridge.core.records import Fact, FactKind, NumberedFact

WebhookId = NewType("WebhookId", str)
"""`whk_` and 16 hex digits."""

_NOTHING = FactNumber(0)

MOST: Final = 100
"""So many webhooks there may be."""
MOST_SECRETS: Final = 10
"""So many secrets of one webhook may be valid at once."""
OLD_SECRET: Final = timedelta(hours=24)
"""How long a secret is still signed with once there is a newer one."""

_DELIVERY_ID = re.compile(r"msg_(whk_[0-9a-f]{16})_([0-9]{1,18})_([0-9]{1,9})")
_ABOUT_WEBHOOKS = frozenset(
    {FactKind.WEBHOOK_SET, FactKind.WEBHOOK_REMOVED, FactKind.WEBHOOK_DISABLED, FactKind.WEBHOOK_GIVEN_UP}
)


class FormatName(StrEnum):
    """Whose bodies a webhook gets: those of Standard Webhooks, or Vonage's of session monitoring."""

    STANDARD = "standard"
    VONAGE = "vonage"


@dataclass(frozen=True, slots=True)
class Callback:
    """One body to be sent. Those with one `key` (the call) are delivered in order.

    `name` is what `events` of a webhook selects by. `archive` bodies go to the archive URL, in an order of their own:
    whoever listens there delays nobody else. `body` holds JSON values.
    """

    key: str
    name: str
    body: Mapping[str, Any]
    archive: bool = False


class Format(Protocol):
    """One format, a module of `bridge.feed`. Pure: one fact always gives the same callbacks, in the same order."""

    NAMES: Sequence[str]
    """Every `name` that its callbacks may have."""

    def bodies(self, fact: NumberedFact, project_id: str) -> Sequence[Callback]:
        """What this fact is to a receiver; nothing where it is none of its matters. `project_id` names the PBX."""


@dataclass(frozen=True, slots=True)
class Secret:
    """`whsec_` and base64. It signs until `expires_at`; None where no newer one has taken its place."""

    value: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver. `secrets` are newest first. `events` select by name: `section.stored`, `section.*`, `*`.

    Up to the fact `cursor` everything was made into deliveries. `failures` are when the latest attempts failed. Why it
    is not `enabled` stands in `disabled_reason`, a code: `by-admin`, `too-many-failures`, `gone`.
    """

    id: WebhookId
    url: str
    format: FormatName
    events: tuple[str, ...]
    secrets: tuple[Secret, ...]
    created_at: datetime
    archive_url: str | None = None
    enabled: bool = True
    disabled_reason: str | None = None
    disabled_at: datetime | None = None
    cursor: FactNumber = _NOTHING
    failures: tuple[datetime, ...] = ()


class DeliveryState(StrEnum):
    """What became of a delivery so far."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given-up"


class DeliveryKey(NamedTuple):
    """Names a delivery: a fact's callbacks are its parts 0, 1, …"""

    webhook: WebhookId
    fact: FactNumber
    part: int

    @property
    def id(self) -> str:
        """What the receiver knows it by (`webhook-id`), the same in every attempt."""
        return f"msg_{self.webhook}_{self.fact}_{self.part}"


def delivery_key(text: str) -> DeliveryKey | None:
    """The key whose id this is; None for what is no id of ours."""
    found = _DELIVERY_ID.fullmatch(text)
    return None if found is None else DeliveryKey(WebhookId(found[1]), FactNumber(int(found[2])), int(found[3]))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One callback on its way. Its body is made from the fact when it is sent, so that what was erased stays erased.

    `next_at` None, while it waits: another of its `order_key` has to be over first. `attempts` counts those begun;
    `status` and `error` (a code) are of the last one.
    """

    key: DeliveryKey
    order_key: str
    name: str
    at: datetime
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    next_at: datetime | None = None
    status: int | None = None
    error: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an attempt brought: an HTTP status, else a code of what went wrong. `retry_after_s` as the receiver says."""

    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How stubborn deliveries are. `retry_s` are the waits between attempts, Standard Webhooks' own: five days in all.

    More than `failures` within `failures_within` disable a webhook. Delivered ones are kept for `keep_delivered`, those
    given up for `keep_given_up`. `parallel` attempts of one webhook run at once, each for `timeout_s`.
    """

    retry_s: tuple[float, ...] = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, 86400)
    failures: int = 50
    failures_within: timedelta = timedelta(minutes=30)
    longest_retry_after_s: float = 86400
    timeout_s: float = 15.0
    parallel: int = 8
    keep_delivered: timedelta = timedelta(days=3)
    keep_given_up: timedelta = timedelta(days=30)


def succeeded(form: FormatName, answer: Answer) -> bool:
    """Whether the receiver has taken it: any 2xx, to Vonage's alone 200."""
    if answer.status is None:
        return False
    return answer.status == 200 if form is FormatName.VONAGE else 200 <= answer.status < 300


def is_gone(answer: Answer) -> bool:
    """Whether the receiver wants nothing any more."""
    return answer.status == 410


def quiet_s(answer: Answer, policy: Policy) -> float:
    """How long the receiver wants to be left alone altogether, not only with this delivery."""
    if answer.status not in (429, 503) or answer.retry_after_s is None:
        return 0.0
    return _bounded(answer.retry_after_s, policy)


def begun(delivery: Delivery) -> Delivery:
    """As it is kept before it is sent. Still due: where we die now, the next run sends it at once."""
    return replace(delivery, attempts=delivery.attempts + 1)


def ended(
    delivery: Delivery, answer: Answer, form: FormatName, policy: Policy, *, now: datetime, jitter: float
) -> Delivery:
    """After an attempt: delivered, due again, or given up. `jitter`, from 0 to 1, spreads a wait by 20% each way."""
    told = replace(delivery, status=answer.status, error=None if succeeded(form, answer) else error_of(answer))
    if succeeded(form, answer):
        return replace(told, state=DeliveryState.DELIVERED, next_at=None, ended_at=now)
    # By time too: attempts that a restart broke off must not use it up.
    for_days = (now - delivery.at).total_seconds() >= sum(policy.retry_s) / 2
    if delivery.attempts > len(policy.retry_s) and for_days:
        return replace(told, state=DeliveryState.GIVEN_UP, next_at=None, ended_at=now)
    wait_s = policy.retry_s[min(delivery.attempts, len(policy.retry_s)) - 1] * (0.8 + 0.4 * jitter)
    if answer.retry_after_s is not None:
        wait_s = max(wait_s, _bounded(answer.retry_after_s, policy))
    return replace(told, next_at=now + timedelta(seconds=wait_s))


def dropped(delivery: Delivery, now: datetime) -> Delivery:
    """There is nothing to be sent any more."""
    return replace(delivery, state=DeliveryState.GIVEN_UP, error="nothing-to-send", next_at=None, ended_at=now)


def error_of(answer: Answer) -> str:
    """The code of what went wrong."""
    if answer.error is not None:
        return answer.error
    return "redirected" if answer.status is not None and 300 <= answer.status < 400 else f"status-{answer.status}"


def again(delivery: Delivery, now: datetime) -> Delivery:
    """To be sent once more, from the first attempt on, with the same id."""
    return replace(delivery, state=DeliveryState.WAITING, attempts=0, next_at=now, at=now, ended_at=None)


def with_failure(failures: Sequence[datetime], policy: Policy, now: datetime) -> tuple[datetime, ...]:
    """One more, and those that count no more left out, or lie ahead because the clock was set back."""
    since = now - policy.failures_within
    return (*(at for at in failures if since < at <= now), now)[-policy.failures - 1 :]


def too_many(failures: Sequence[datetime], policy: Policy) -> bool:
    """Whether the webhook is to be disabled."""
    return len(failures) > policy.failures


def disabled(webhook: Webhook, reason: str, now: datetime) -> Webhook:
    """It takes nothing in and sends nothing until an admin enables it."""
    return replace(webhook, enabled=False, disabled_reason=reason, disabled_at=now)


def enabled(webhook: Webhook) -> Webhook:
    """It goes on from its cursor."""
    return replace(webhook, enabled=True, disabled_reason=None, disabled_at=None, failures=())


def with_secret(webhook: Webhook, value: str, now: datetime) -> Webhook:
    """Signed with this one first; the others, as far as they are valid, for 24 hours more."""
    until = now + OLD_SECRET
    old = (replace(one, expires_at=one.expires_at or until) for one in valid_secrets(webhook, now))
    return replace(webhook, secrets=(Secret(value), *old))


def valid_secrets(webhook: Webhook, now: datetime) -> Sequence[Secret]:
    """Those that sign now, newest first."""
    return [one for one in webhook.secrets if one.expires_at is None or one.expires_at > now]


def selects(events: Sequence[str], name: str) -> bool:
    """Whether `events` of a webhook want callbacks of this name."""
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in events)


def wants_channels(webhook: Webhook) -> bool:
    """Whether facts about channels have to be said for it. They are many: `*` alone does not ask for them.

    Also while it is disabled: what happens meanwhile is delivered later.
    """
    return webhook.format is FormatName.VONAGE or any(one.startswith("channel.") for one in webhook.events)


def wrong_events(events: Sequence[str], names: Mapping[FormatName, Sequence[str]], form: FormatName) -> str | None:
    """What is wrong with `events` of this format, None if nothing is; `names` are those of each format."""
    for one in events:
        having = [name for name, its in names.items() if any(selects([one], event) for event in its)]
        if having and form not in having:
            return f"`{one}` is an event of the format {having[0]}"
        if not having:
            close = suggest(one, names[form])
            hint = f" (did you mean {close}?)" if close else ""
            return f"there is no event `{one}`{hint}"
    return None


def deliveries_of(webhook: Webhook, form: Format, fact: NumberedFact, project_id: str, now: datetime) -> list[Delivery]:
    """What this fact is to be told to this webhook. Nothing about itself: that would never end."""
    if fact.fact.kind in _ABOUT_WEBHOOKS and fact.fact.data.get("webhook") == webhook.id:
        return []
    return [
        Delivery(
            DeliveryKey(webhook.id, fact.number, part),
            f"{callback.key}/archives" if callback.archive else callback.key,
            callback.name,
            now,
        )
        for part, callback in enumerate(form.bodies(fact, project_id))
        if selects(webhook.events, callback.name) and (webhook.archive_url is not None or not callback.archive)
    ]


def set_fact(webhook: Webhook, host: str, by: str, now: datetime) -> Fact:
    """Somebody has set up or changed a webhook. `host` instead of its address, which may hold what is secret."""
    data = {
        "webhook": webhook.id,
        "host": host,
        "format": str(webhook.format),
        "events": list(webhook.events),
        "enabled": webhook.enabled,
    }
    return Fact(FactKind.WEBHOOK_SET, now, data=data, personal={"identity": by})


def _bounded(retry_after_s: float, policy: Policy) -> float:
    return max(0.0, min(retry_after_s, policy.longest_retry_after_s))
