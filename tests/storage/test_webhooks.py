"""Webhooks and deliveries: as they were kept, in SQLite as in memory, and in order for each call."""

import asyncio
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.ids import FactNumber
from bridge.core.records import Fact
from bridge.core.webhook_store import (
    AddDeliveries,
    EndWebhook,
    PutDelivery,
    PutFailures,
    PutWebhook,
    WakeDeliveries,
    WebhookChange,
    WebhookStore,
)
from bridge.core.webhooks import (
    Delivery,
    DeliveryKey,
    DeliveryState,
    FormatName,
    Secret,
    Webhook,
    WebhookId,
)
from bridge.storage import webhooks as sql
from bridge.storage.database import SqliteStore
from bridge.storage.webhooks import SqliteWebhooks
from tests.fake_webhooks import MemoryWebhooks
from tests.fakes import MemoryStore
from tests.storage import kept

ONE, TWO = WebhookId("whk_0000000000000001"), WebhookId("whk_0000000000000002")
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def webhook(webhook_id: WebhookId = ONE, **values: Any) -> Webhook:
    plain = Webhook(webhook_id, "https://a.example/x?y=ü", FormatName.STANDARD, ("*",), (SECRET,), kept.NOON)
    return replace(plain, **values)


def delivery(fact: int, order_key: str = "1.1", webhook_id: WebhookId = ONE, **values: Any) -> Delivery:
    plain = Delivery(DeliveryKey(webhook_id, FactNumber(fact), 0), order_key, "call.began", kept.NOON)
    return replace(plain, **values)


_ids = st.sampled_from([ONE, TWO])
_keys = st.sampled_from(["1.1", "ü\udce4", ""])
_times = st.integers(0, 5).map(lambda s: kept.NOON + timedelta(seconds=s))
_webhooks = st.builds(
    webhook,
    _ids,
    enabled=st.booleans(),
    disabled_reason=st.none() | st.just("gone"),
    disabled_at=st.none() | _times,
    secrets=st.lists(st.builds(Secret, st.text(max_size=3), st.none() | _times), max_size=2).map(tuple),
    archive_url=st.none() | st.just("http://b.example"),
)
_fresh = st.builds(delivery, st.integers(1, 6), _keys)
_ended = st.builds(
    lambda fact, key, webhook_id, state, at: delivery(
        fact, key, webhook_id, state=state, ended_at=at, status=200, attempts=2
    ),
    st.integers(1, 6),
    _keys,
    _ids,
    st.sampled_from([DeliveryState.DELIVERED, DeliveryState.GIVEN_UP]),
    _times,
)
_later = st.builds(
    lambda fact, key, webhook_id, at: delivery(fact, key, webhook_id, next_at=at, attempts=1, error="timeout"),
    st.integers(1, 6),
    _keys,
    _ids,
    _times,
)


def _added(webhook_id: WebhookId, cursor: int, deliveries: list[Delivery]) -> AddDeliveries:
    own = tuple(replace(one, key=one.key._replace(webhook=webhook_id)) for one in deliveries)
    return AddDeliveries(webhook_id, FactNumber(cursor), own)


_changes = (
    st.builds(PutWebhook, _webhooks)
    | st.builds(PutFailures, _ids, st.lists(_times, max_size=2).map(tuple))
    | st.builds(EndWebhook, _ids)
    | st.builds(_added, _ids, st.integers(0, 9), st.lists(_fresh, max_size=4))
    | st.builds(PutDelivery, _ended | _later)
    | st.builds(WakeDeliveries, _ids, _times)
)
_batches = st.lists(st.tuples(st.lists(_changes, max_size=6), st.lists(kept.facts, max_size=1)), max_size=8)


async def _all_it_says(store: WebhookStore, batches: list[tuple[list[WebhookChange], list[Fact]]]) -> list[Any]:
    said: list[Any] = []
    for changes, facts in batches:
        said.append([one.number for one in await store.commit(_known(changes), facts)])
        said += [list(await store.webhooks()), dict(await store.waiting())]
        for webhook_id in (ONE, TWO):
            said += [list(await store.due(webhook_id, limit)) for limit in (2, 100)]
            for state in (None, *DeliveryState):
                said.append(list(await store.deliveries(webhook_id, state, None, 100)))
            before = DeliveryKey(webhook_id, FactNumber(4), 0)
            said += [list(await store.deliveries(webhook_id, None, before, 2)), await store.delivery(before)]
    said.append(await store.forget_ended(kept.NOON + timedelta(seconds=3), kept.NOON + timedelta(seconds=1), 3))
    said += [list(await store.deliveries(webhook_id, None, None, 100)) for webhook_id in (ONE, TWO)]
    return said


def _known(changes: Sequence[WebhookChange]) -> Sequence[WebhookChange]:
    """A delivery keeps its order key, whatever becomes of it; here a fact's is always the same."""
    return [_with_key(change) for change in changes]


def _with_key(change: WebhookChange) -> WebhookChange:
    match change:
        case AddDeliveries(webhook_id, cursor, deliveries):
            return AddDeliveries(webhook_id, cursor, tuple(map(_keyed, deliveries)))
        case PutDelivery(one):
            return PutDelivery(_keyed(one))
        case _:
            return change


def _keyed(one: Delivery) -> Delivery:
    return replace(one, order_key=["1.1", "ü\udce4", ""][one.key.fact % 3])


@settings(max_examples=80, deadline=None)
@given(_batches)
def test_after_the_same_commits_both_stores_say_the_same(
    batches: list[tuple[list[WebhookChange], list[Fact]]],
) -> None:
    async def compare() -> None:
        with TemporaryDirectory() as folder:
            store = await SqliteStore.open(Path(folder) / "x.db", "pbx1")
            try:
                real = await _all_it_says(SqliteWebhooks(store, "pbx1"), batches)
            finally:
                await store.close()
            assert real == await _all_it_says(MemoryWebhooks(MemoryStore()), batches)

    asyncio.run(compare())


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    webhooks = SqliteWebhooks(store, "pbx1")
    whole = webhook(enabled=False, disabled_reason="gone", disabled_at=kept.NOON, archive_url="https://b.example/")
    (fact,) = await webhooks.commit([PutWebhook(whole), PutFailures(ONE, (kept.NOON,))], [kept.fact()])
    await webhooks.commit([AddDeliveries(ONE, FactNumber(7), (delivery(5), delivery(6)))])
    await store.close()

    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    webhooks = SqliteWebhooks(store, "pbx1")
    assert fact.number == 1
    assert await webhooks.webhooks() == [replace(whole, cursor=FactNumber(7), failures=(kept.NOON,))]
    assert await webhooks.due(ONE, 10) == [delivery(5, next_at=kept.NOON)]
    assert await webhooks.waiting() == {ONE: 2}
    await store.close()
    assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600  # the secrets are in it


async def test_however_many_ask_at_once_others_can_still_read(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "recbridge.db", "pbx1")
    webhooks = SqliteWebhooks(store, "pbx1")
    asking = asyncio.gather(
        *(webhooks.facts_after(FactNumber(0), 1) for _ in range(500)),
        *(webhooks.due(ONE, 1) for _ in range(500)),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    try:
        assert (await store.taken()).number == 0
        assert not asking.done()
        assert await asking == [[]] * 1000
    finally:
        await asking
        await store.close()


async def test_a_new_one_begins_after_the_newest_fact(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    webhooks = SqliteWebhooks(store, "pbx1")
    await webhooks.commit([], [kept.fact(), kept.fact()])
    await webhooks.commit([PutWebhook(webhook())], [kept.fact()])
    (found,) = await webhooks.webhooks()
    assert found.cursor == 3
    await store.close()


async def test_what_is_due_and_what_is_listed_is_found_without_looking_through_all(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")

    for statement, values in (
        (sql._DUE, (ONE, 10)),
        (sql._DELIVERIES, (ONE, 1, 0, 10)),
        (sql._DELIVERIES_IN[DeliveryState.GIVEN_UP], (ONE, 1, 0, 10)),
        (sql._ENDED_BEFORE, ("delivered", 1, 10)),
    ):
        plan = [row["detail"] for row in await store.select(f"EXPLAIN QUERY PLAN {statement}", *values)]
        assert any("SEARCH" in line for line in plan), plan
        assert not any("TEMP B-TREE" in line for line in plan), plan
    await store.close()


async def test_what_stands_in_order_is_found_without_looking_through_all_that_waits(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    await store.close()
    row = sql._delivery_row(delivery(1), "pbx1")
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        for statement in (sql._ADD_DELIVERY, sql._NEXT_IN_ORDER):
            plan = [detail for *_, detail in database.execute(f"EXPLAIN QUERY PLAN {statement}", row)]
            searches = [line for line in plan if line.startswith("SEARCH webhook_deliveries")]
            assert searches
            assert not any(line.endswith("(webhook=?)") for line in searches), plan
            assert not any("TEMP B-TREE" in line for line in plan), plan
