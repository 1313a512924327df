"""What of the daemon sends callbacks, as a process of its own that may be killed at any time.

`python -m tests.feed.sending DATABASE URL FACTS`: makes facts of 200 calls until there are so many, and sends them; the
webhook is set up by the first run, and enabled again whenever it was disabled. Ends when all is delivered.
"""

import asyncio
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bridge.core.ids import CallId
from bridge.core.records import Fact, FactKind
from bridge.core.store import AppendFact
from bridge.core.webhooks import FormatName, Policy, Webhook
from bridge.feed.dispatcher import Surroundings
from bridge.feed.stream import Hub
from bridge.feed.webhooks import Webhooks
from bridge.storage.database import SqliteStore
from bridge.storage.webhooks import SqliteWebhooks
from tests.feed.office import FORMATS, ROOT, SECRET

_CALLS = 200
_AT_ONCE = 50
_POLICY = Policy(retry_s=(0.02,) * 1000, timeout_s=10.0, parallel=32)
"""Nobody is so slow, on however busy a machine, that what does not hang takes longer than its timeout."""


async def _run(database: Path, url: str, count: int) -> None:
    store = await SqliteStore.open(database, "pbx1")
    hub = Hub(store)

    async def warn(subject: str, text: str) -> None:
        """No admin reads it."""

    async def changed(webhooks: Sequence[Webhook]) -> None:
        """Nobody needs channels."""

    kept = SqliteWebhooks(store, "pbx1")
    around = Surroundings(
        store=kept,
        hub=hub,
        formats=FORMATS,
        project_id="pbx1",
        clock=lambda: datetime.now(UTC),
        jitter=random.random,
        publish=hub.publish,
        warn=warn,
        changed=changed,
        allow_private=True,
        policy=_POLICY,
    )
    webhooks = Webhooks(around)
    await webhooks.start()
    if not webhooks.all:
        await webhooks.add(url, FormatName.STANDARD, ["call.*"], ROOT, secret=SECRET)
    making = asyncio.create_task(_make(store, hub, count))
    enabling = asyncio.create_task(_enable(webhooks))
    await making
    _, newest = await store.fact_bounds()
    while (
        any(one.cursor < newest for one in webhooks.all)
        or await kept.waiting()
        or not all(one.enabled for one in webhooks.all)
    ):
        await asyncio.sleep(0.05)
        _, newest = await store.fact_bounds()
    enabling.cancel()
    await webhooks.close()
    await store.close()


async def _make(store: SqliteStore, hub: Hub, count: int) -> None:
    """Facts of calls, numbered from 0 on: what an earlier run has made is there."""
    made = sum(
        one.fact.kind is FactKind.CALL_BEGAN
        for one in await store.facts_after(0, 10 * count)  # type: ignore[arg-type]
    )
    while made < count:
        some = range(made, min(count, made + _AT_ONCE))
        at = datetime.now(UTC)
        facts = [Fact(FactKind.CALL_BEGAN, at, CallId(f"1.{n % _CALLS}"), data={"n": n}) for n in some]
        hub.publish(await store.commit([AppendFact(fact) for fact in facts]))
        made = some.stop
        await asyncio.sleep(0)


async def _enable(webhooks: Webhooks) -> None:
    while True:
        await asyncio.sleep(0.05)
        for one in webhooks.all:
            if not one.enabled:
                await webhooks.change(one.id, ROOT, enabled=True)


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
