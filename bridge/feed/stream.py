"""Live facts: who subscribes gets every fact after its cursor, in order, none twice and none missing."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from bridge.core.errors import CursorGoneError, StoreError, TooManyStreamsError
from bridge.core.ids import FactNumber
from bridge.core.records import NumberedFact
from bridge.core.store import Store

_PAGE = 500


class Subscription:
    """One reader of the facts: `async with hub.subscribe(after) as facts`, then `async for batch in facts`.

    It reads from the store until it has caught up, and then takes what is published. `cursor` is the number up to
    which everything was handed out; `cut` says that it fell too far behind while live: it ends, and the reader comes
    back with its cursor. Waiting for the next batch may be cancelled at any time, nothing is lost by that.
    """

    def __init__(self, hub: "Hub", store: Store, after: FactNumber | None, bound: int) -> None:
        self.cursor = after if after is not None else FactNumber(0)
        self.cut = False
        self._after = after
        self._hub = hub
        self._store = store
        self._bound = bound
        self._live = False
        self._closed = False
        self._pending: list[NumberedFact] = []
        self._wake = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Raises CursorGoneError, TooManyStreamsError, StoreError."""
        self._hub.add(self)
        try:
            lowest, highest = await self._store.fact_bounds()
            if self._after is None:
                self.cursor = highest
            # 0 asks for all there is.
            elif self._after > highest or 0 < self._after < lowest - 1:
                raise CursorGoneError(
                    "the stream cannot go on from this cursor: read anew what you need, then subscribe without one",
                    cursor=self._after,
                    oldest=lowest - 1,
                    newest=highest,
                )
        except BaseException:
            self._hub.remove(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.remove(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[NumberedFact]:
        """The next facts, at least one. Raises StoreError, after which it may be asked again."""
        while not self._closed:
            facts = await (self._next_live() if self._live else self._next_kept())
            if facts:
                self.cursor = facts[-1].number
                return facts
            if self.cut and not self._pending:
                break
        raise StopAsyncIteration

    async def _next_kept(self) -> Sequence[NumberedFact]:
        before = self._hub.published
        page = await self._store.facts_after(self.cursor, _PAGE)
        # Nothing is awaited between this look and going live: what is published from here on is offered to us.
        published = self._hub.published
        if not page and (published <= self.cursor or published == before):
            # What was published before the look and is not there is not kept any more: nobody waits for it.
            self.cursor = max(self.cursor, published)
            self._live = True
        return page

    async def _next_live(self) -> Sequence[NumberedFact]:
        if not self._pending and not self.cut:
            self._wake.clear()
            await self._wake.wait()
        pending, self._pending = self._pending, []
        facts = [fact for fact in pending if fact.number > self.cursor]
        if facts and facts[-1].number - self.cursor != len(facts):
            # Something was kept that nobody published (a commit whose answer came too late): the store has it.
            self._live = False
            return []
        return facts

    def offer(self, facts: Sequence[NumberedFact]) -> None:
        """New facts; only a live subscription takes them, the others will find them in the store."""
        if not self._live or self.cut:
            return
        if len(self._pending) + len(facts) <= self._bound:
            self._pending += facts
        elif self._pending:
            self.cut = True
        else:
            self._live = False  # one publication larger than the bound is not the reader's fault
        self._wake.set()

    def look_again(self) -> None:
        """The store has facts that nobody published."""
        self._live = False
        self._wake.set()

    def close(self) -> None:
        """End it."""
        self._closed = True
        self._wake.set()


class Hub:
    """Hands the facts of each commit to all who subscribed.

    A live subscriber may be `bound` facts behind; there may be `most` subscribers.
    """

    def __init__(self, store: Store, *, bound: int = 10_000, most: int = 500) -> None:
        self.published = FactNumber(0)
        self._store = store
        self._bound = bound
        self._most = most
        self._closed = False
        self._subscriptions: set[Subscription] = set()

    @property
    def streams(self) -> int:
        """How many subscribers there are now."""
        return len(self._subscriptions)

    def publish(self, facts: Sequence[NumberedFact]) -> None:
        """Facts that are kept, in order, after each commit. Never blocks."""
        if not facts:
            return
        self.published = max(self.published, facts[-1].number)
        for subscription in self._subscriptions:
            subscription.offer(facts)

    async def keep_up(self, every_s: float = 2.0) -> None:
        """Until cancelled: find facts that another process has kept, or that nobody published, within two looks."""
        seen = self.published
        while True:
            await asyncio.sleep(every_s)
            if not self._subscriptions:
                continue
            try:
                _, highest = await self._store.fact_bounds()
            except StoreError:
                continue  # whoever reads is told
            # What was kept since the last look may be about to be published, behind the answer to who caused it.
            if highest == seen and highest > self.published:
                self.published = highest
                for subscription in self._subscriptions:
                    subscription.look_again()
            seen = highest

    def subscribe(self, after: FactNumber | None) -> Subscription:
        """All facts after this one; with None those that come from now on."""
        return Subscription(self, self._store, after, self._bound)

    def close(self) -> None:
        """End all subscriptions, later ones at once."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()

    def add(self, subscription: Subscription) -> None:
        """Take a subscription in. Raises TooManyStreamsError."""
        if len(self._subscriptions) >= self._most:
            raise TooManyStreamsError(f"{self._most} live streams run already: close one first")
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.close()

    def remove(self, subscription: Subscription) -> None:
        """Let a subscription go."""
        self._subscriptions.discard(subscription)
