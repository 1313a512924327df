"""Facts that are not kept any more: nobody waits for them."""

import asyncio

import pytest

from bridge.core.ids import FactNumber
from bridge.feed.stream import Hub, Subscription
from tests.api.house import until
from tests.feed.test_stream import SlowStore, keep, numbers


async def _sixth(hub: Hub, store: SlowStore, facts: Subscription) -> None:
    waiting = asyncio.create_task(numbers(facts, 6))
    await until(lambda: facts._live)
    hub.publish(await keep(store, 1))
    assert await waiting == [6]


@pytest.mark.parametrize("after", [None, 0, 2, 5])
async def test_facts_that_went_during_a_replay_do_not_stop_it(after: int | None) -> None:
    store = SlowStore(1)
    hub = Hub(store)
    hub.publish(await keep(store, 5))
    async with hub.subscribe(None if after is None else FactNumber(after)) as facts:
        store.forget_facts(5)
        await _sixth(hub, store, facts)


async def test_an_emptied_store_is_subscribed_to_like_a_new_one() -> None:
    store = SlowStore(1)
    hub = Hub(store)
    hub.publish(await keep(store, 5))
    store.forget_facts(5)
    async with hub.subscribe(None) as facts:
        await _sixth(hub, store, facts)
