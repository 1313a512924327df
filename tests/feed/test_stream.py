"""The hub: nothing twice, nothing missing, whatever comes between what."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import CursorGoneError, StoreError, TooManyStreamsError
from bridge.core.ids import FactNumber
from bridge.core.records import Fact, FactKind, NumberedFact
from bridge.core.store import AppendFact
from bridge.feed.stream import Hub, Subscription
from tests.fakes import MemoryStore

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
FACT = AppendFact(Fact(FactKind.CALL_BEGAN, NOON))


class SlowStore(MemoryStore):
    """Its answers are as old as the look, and come some turns of the loop later."""

    def __init__(self, turns: int = 0) -> None:
        super().__init__()
        self.turns = turns

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        found = await super().facts_after(number, limit)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        return found


async def keep(store: MemoryStore, count: int) -> Sequence[NumberedFact]:
    return await store.commit([FACT] * count)


async def numbers(facts: Subscription, until: int) -> list[int]:
    """Everything up to this number."""
    got: list[int] = []
    async with asyncio.timeout(30):
        while not got or got[-1] < until:
            got += [fact.number for fact in await anext(facts)]
    return got


async def test_goes_on_after_the_cursor_and_then_live() -> None:
    store = MemoryStore()
    hub = Hub(store)
    hub.publish(await keep(store, 5))
    async with hub.subscribe(FactNumber(2)) as facts:
        assert await numbers(facts, 5) == [3, 4, 5]
        hub.publish(await keep(store, 2))
        assert await numbers(facts, 7) == [6, 7]
        assert facts.cursor == 7


async def test_without_a_cursor_begins_with_what_comes() -> None:
    store = MemoryStore()
    hub = Hub(store)
    await keep(store, 5)  # by an earlier run: never published here
    async with hub.subscribe(None) as facts:
        assert facts.cursor == 5
        hub.publish(await keep(store, 1))
        assert await numbers(facts, 6) == [6]


async def test_replays_in_pages_without_losing_what_comes_meanwhile() -> None:
    store = SlowStore(turns=1)
    hub = Hub(store)
    hub.publish(await keep(store, 1200))
    async with hub.subscribe(FactNumber(0)) as facts:
        got = await numbers(facts, 1)
        hub.publish(await keep(store, 3))
        got += await numbers(facts, 1203)
    assert got == list(range(1, 1204))


async def test_what_was_kept_but_not_published_comes_with_the_next_publication() -> None:
    store = MemoryStore()
    hub = Hub(store)
    async with hub.subscribe(None) as facts:
        waiting = asyncio.create_task(numbers(facts, 3))
        await asyncio.sleep(0)
        await keep(store, 2)  # a commit whose answer came too late
        hub.publish(await keep(store, 1))
        assert await waiting == [1, 2, 3]


async def live(hub: Hub, store: MemoryStore, facts: Subscription) -> None:
    """Have it catch up, so that it takes what is published."""
    hub.publish(await keep(store, 1))
    task = asyncio.create_task(numbers(facts, facts.cursor + 1))
    await task
    waiting = asyncio.ensure_future(anext(facts))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_what_another_process_has_kept_comes_without_a_publication() -> None:
    store = MemoryStore()
    hub = Hub(store)
    hub.publish(await keep(store, 2))
    looking = asyncio.create_task(hub.keep_up(0))
    try:
        async with hub.subscribe(FactNumber(2)) as facts:
            waiting = asyncio.create_task(anext(facts))
            await asyncio.sleep(0)
            await keep(store, 3)
            async with asyncio.timeout(30):
                assert [fact.number for fact in await waiting] == [3, 4, 5]
            hub.publish(await keep(store, 1))
            assert await numbers(facts, 6) == [6]
    finally:
        looking.cancel()


async def test_a_store_that_cannot_be_asked_does_not_end_the_looking() -> None:
    store = MemoryStore()
    hub = Hub(store)
    async with hub.subscribe(FactNumber(0)):
        store.broken = StoreError("its disk is away")
        looking = asyncio.create_task(hub.keep_up(0))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not looking.done()
        looking.cancel()


async def test_who_is_too_slow_gets_what_was_queued_and_then_the_end() -> None:
    store = MemoryStore()
    hub = Hub(store, bound=4)
    async with hub.subscribe(None) as slow, hub.subscribe(None) as quick:
        await live(hub, store, slow)
        await live(hub, store, quick)
        hub.publish(await keep(store, 3))
        assert (await numbers(quick, 5))[-3:] == [3, 4, 5]
        hub.publish(await keep(store, 3))
        assert slow.cut
        assert not quick.cut
        assert await numbers(slow, 5) == [2, 3, 4, 5]
        with pytest.raises(StopAsyncIteration):
            await anext(slow)
        assert await numbers(quick, 8) == [6, 7, 8]
    async with hub.subscribe(slow.cursor) as again:
        assert await numbers(again, 8) == [6, 7, 8]


async def test_one_publication_above_the_bound_cuts_nobody() -> None:
    store = MemoryStore()
    hub = Hub(store, bound=4)
    async with hub.subscribe(None) as facts:
        await live(hub, store, facts)
        hub.publish(await keep(store, 9))
        assert await numbers(facts, 10) == list(range(2, 11))
        assert not facts.cut


async def test_a_cancelled_wait_loses_nothing() -> None:
    store = SlowStore(turns=2)
    hub = Hub(store)
    async with hub.subscribe(None) as facts:
        for turns in range(12):
            waiting = asyncio.ensure_future(anext(facts))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        hub.publish(await keep(store, 2))
        assert await numbers(facts, 2) == [1, 2]


@pytest.mark.parametrize(("after", "gone"), [(0, False), (2, True), (3, True), (4, False), (7, False), (8, True)])
async def test_cursors_that_cannot_be_gone_on_from_are_refused(after: int, gone: bool) -> None:
    store = MemoryStore()
    hub = Hub(store)
    hub.publish(await keep(store, 7))
    store.forget_facts(4)
    if gone:
        with pytest.raises(CursorGoneError):
            async with hub.subscribe(FactNumber(after)):
                pass
    else:
        async with hub.subscribe(FactNumber(after)) as facts:
            assert facts.cursor == after


async def test_there_is_a_most_of_subscribers_and_who_leaves_makes_room() -> None:
    store = MemoryStore()
    hub = Hub(store, most=1)
    async with hub.subscribe(None):
        with pytest.raises(TooManyStreamsError):
            async with hub.subscribe(None):
                pass
    with pytest.raises(CursorGoneError):
        async with hub.subscribe(FactNumber(9)):
            pass
    async with hub.subscribe(None):
        pass


async def test_close_ends_those_that_wait_and_those_that_come() -> None:
    hub = Hub(MemoryStore())
    async with hub.subscribe(None) as facts:
        waiting = asyncio.ensure_future(anext(facts))
        await asyncio.sleep(0)
        hub.close()
        with pytest.raises(StopAsyncIteration):
            await waiting
    async with hub.subscribe(None) as late:
        with pytest.raises(StopAsyncIteration):
            await anext(late)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 4)),
        st.tuples(st.just("publish"), st.integers(1, 3)),
        st.tuples(st.just("subscribe"), st.none() | st.integers(0, 30)),
        st.tuples(st.just("turn"), st.integers(1, 4)),
    ),
    max_size=30,
)


@given(STEPS, st.integers(0, 3), st.integers(2, 40))
def test_nothing_twice_nothing_missing_under_any_interleaving(
    steps: list[tuple[str, int | None]], turns: int, bound: int
) -> None:
    asyncio.run(_interleave(steps, turns, bound))


async def _interleave(steps: list[tuple[str, int | None]], turns: int, bound: int) -> None:
    store = SlowStore(turns)
    hub = Hub(store, bound=bound)
    unpublished: list[Sequence[NumberedFact]] = []
    kept = 0
    readers: list[asyncio.Task[tuple[int, list[int]]]] = []
    end = asyncio.Event()

    async def read(after: int | None) -> tuple[int, list[int]]:
        """Where it began, and what it got; a reader that is cut comes back with its cursor."""
        begun: int | None = None
        got: list[int] = []
        cursor = None if after is None else FactNumber(after)
        while True:
            async with hub.subscribe(cursor) as facts:
                begun = facts.cursor if begun is None else begun
                async for batch in facts:
                    got += [fact.number for fact in batch]
                    if end.is_set() and facts.cursor == kept:
                        return begun, got
                cursor = facts.cursor
                assert facts.cut

    for step, count in steps:
        if step == "commit" and count is not None:
            unpublished.append(await keep(store, count))
            kept += count
        elif step == "publish":
            for _ in range(count or 0):
                if unpublished:
                    hub.publish(unpublished.pop(0))
        elif step == "subscribe":
            readers.append(asyncio.create_task(read(count if count is None else min(count, kept))))
        else:
            for _ in range(count or 0):
                await asyncio.sleep(0)
    for facts in unpublished:
        hub.publish(facts)
    for _ in range(3):
        await asyncio.sleep(0)
    end.set()
    kept += 1
    hub.publish(await keep(store, 1))
    async with asyncio.timeout(30):
        for begun, got in await asyncio.gather(*readers):
            assert got == list(range(begun + 1, kept + 1))
