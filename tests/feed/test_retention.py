"""Facts that are not kept any more: nobody waits for them."""

import asyncio
from collections.abc import Sequence

import pytest

from bridge.core.ids import FactNumber
from bridge.core.records import NumberedFact
from bridge.feed.stream import Hub, Subscription
from tests.fakes import MemoryStore
from tests.feed.test_stream import keep, numbers


class WatchedStore(MemoryStore):
    """Counts how often somebody looks for facts."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        self.looks += 1
        assert self.looks < 20, "it looks again and again for what has gone"
        await asyncio.sleep(0)
        return await super().facts_after(number, limit)


async def _sixth(hub: Hub, store: WatchedStore, facts: Subscription) -> None:
    waiting = asyncio.create_task(numbers(facts, 6))
    for _ in range(100):
        await asyncio.sleep(0)
    hub.publish(await keep(store, 1))
    assert await waiting == [6]


@pytest.mark.parametrize("after", [None, 0, 2, 5])
async def test_facts_that_went_during_a_replay_do_not_stop_it(after: int | None) -> None:
    store = WatchedStore()
    hub = Hub(store)
    hub.publish(await keep(store, 5))
    async with hub.subscribe(None if after is None else FactNumber(after)) as facts:
        store.forget_facts(5)
        await _sixth(hub, store, facts)


async def test_an_emptied_store_is_subscribed_to_like_a_new_one() -> None:
    store = WatchedStore()
    hub = Hub(store)
    hub.publish(await keep(store, 5))
    store.forget_facts(5)
    async with hub.subscribe(None) as facts:
        await _sixth(hub, store, facts)
