"""Callbacks for tests: a webhook registry with everything around it, as the daemon has it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from bridge.core.access import Reader, Role
from bridge.core.ids import CallId, Identity
from bridge.core.records import Fact, FactKind, NumberedFact
from bridge.core.store import AppendFact
from bridge.core.webhook_store import WebhookStore
from bridge.core.webhooks import Callback, Format, FormatName, Policy, Webhook
from bridge.feed import standard
from bridge.feed.dispatcher import Surroundings
from bridge.feed.sender import Sender
from bridge.feed.stream import Hub
from bridge.feed.webhooks import Webhooks
from tests.fake_webhooks import MemoryWebhooks
from tests.fakes import MemoryStore

ROOT = Reader(Identity("root"), Role.ADMIN, frozenset())
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FAST = Policy(retry_s=(0.01,) * 300)
"""Stubborn, and in a hurry."""


class Two:
    """A format with two bodies for each fact of a call, the second of them for the archive."""

    NAMES: Sequence[str] = ("plain", "archive.started")

    def bodies(self, fact: NumberedFact, project_id: str) -> Sequence[Callback]:
        if fact.fact.call_id is None:
            return []
        body = {"project": project_id, "n": fact.number}
        return [
            Callback(fact.fact.call_id, "plain", body),
            Callback(fact.fact.call_id, "archive.started", body, archive=True),
        ]


FORMATS: dict[FormatName, Format] = {FormatName.STANDARD: standard, FormatName.VONAGE: Two()}


def of_call(call: str, n: int = 0) -> AppendFact:
    return AppendFact(Fact(FactKind.CALL_BEGAN, datetime.now(UTC), CallId(call), data={"n": n}))


@dataclass
class Office:
    """Webhooks over a store; `clock` is the machine's, `ahead` of it by what a test says."""

    store: MemoryStore = field(default_factory=MemoryStore)
    policy: Policy = FAST
    allow_private: bool = True
    mails: list[tuple[str, str]] = field(default_factory=list)
    warn_error: Exception | None = None
    ahead: timedelta = timedelta(0)
    kept: WebhookStore = field(init=False)
    all: Sequence[Webhook] = ()
    hub: Hub = field(init=False)
    webhooks: Webhooks = field(init=False)

    def __post_init__(self) -> None:
        self.kept = MemoryWebhooks(self.store)
        self.open()

    def open(self) -> None:
        """Begin anew, with what is kept."""
        self.hub = Hub(self.store)
        around = Surroundings(
            store=self.kept,
            hub=self.hub,
            formats=FORMATS,
            project_id="pbx1",
            clock=lambda: datetime.now(UTC) + self.ahead,
            jitter=random.random,
            publish=self.hub.publish,
            warn=self._warn,
            changed=self._changed,
            allow_private=self.allow_private,
            policy=self.policy,
        )
        self.webhooks = Webhooks(around, self.sender)

    def sender(self) -> Sender:
        return Sender(allow_private=self.allow_private, timeout_s=self.policy.timeout_s, parallel=self.policy.parallel)

    async def _warn(self, subject: str, text: str) -> None:
        if self.warn_error is not None:
            raise self.warn_error
        self.mails.append((subject, text))

    async def _changed(self, webhooks: Sequence[Webhook]) -> None:
        self.all = webhooks

    async def happen(self, *changes: AppendFact) -> Sequence[NumberedFact]:
        facts = await self.store.commit(changes)
        self.hub.publish(facts)
        return facts

    async def __aenter__(self) -> "Office":
        await self.webhooks.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.webhooks.close()


def hasty(**values: float) -> Policy:
    return replace(FAST, **values)  # type: ignore[arg-type]  # numbers are what a test changes
