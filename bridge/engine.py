"""Where everything meets: event or report -> recorder -> decisions -> one commit -> acts and feed.

It knows core alone; what it acts with is handed in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from bridge.core.decisions import ACTS, Act, Decision, Report, Tick
from bridge.core.errors import StoreError
from bridge.core.messages import Event
from bridge.core.recorder import Recorder
from bridge.core.records import NumberedFact
from bridge.core.store import CHANGES, AppendFact, Change, Store
from bridge.inbox import Inbox

log = structlog.get_logger()

Input = Event | Report | AppendFact
"""What comes in: AMI's events, the acts' reports, and facts that need no deciding (Asterisk is there, or away)."""

_BATCH = 1000
_INBOX_BOUND = 10_000
_UNKEPT_BOUND = 200_000
_AGAIN_S = 1.0
"""How long after a failed commit the next one is tried, if nothing happens before."""


class Engine:
    """Runs the recorder. One task (`run`) does all the deciding; every act is a task that `run` owns.

    `perform` does an act and gives its one report; it keeps its own deadlines and does not raise. Where the database
    cannot be written, acts go first and the changes wait in memory for the next commit, up to 200,000 of them; past
    that the oldest are given up, and the log says so.
    """

    def __init__(
        self,
        recorder: Recorder,
        store: Store,
        publish: Callable[[Sequence[NumberedFact]], None],
        perform: Callable[[Act], Awaitable[Report]],
        clock: Callable[[], datetime],
    ) -> None:
        self.recorder = recorder
        self.store_error: StoreError | None = None
        self._store = store
        self._publish = publish
        self._perform = perform
        self._clock = clock
        self._inbox: Inbox[Input] = Inbox(_INBOX_BOUND)
        self._unkept: list[Change] = []
        self._acting: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def feed(self, items: list[Input]) -> None:
        """Hand in events and facts in their order; waits while the recorder has more than it can do."""
        await self._inbox.put_many(items)

    def stop(self) -> None:
        """Have `run` finish what is in hand and return."""
        self._stopping = True
        self._inbox.wake()

    async def run(self) -> None:
        """Decide until `stop`. Then what has come in is kept, and acts under way have 10 s to end."""
        await self._keep_and_act(self.recorder.restore(await self._store.open_sections(), self._clock()))
        while not self._stopping:
            items = await self._inbox.take(_BATCH, self._until_wake())
            await self._keep_and_act(self._decide(items))
        if self._acting:
            await asyncio.wait(self._acting, timeout=10)
        for task in self._acting:
            task.cancel()
        await asyncio.gather(*self._acting, return_exceptions=True)
        leftover = self._decide(await self._inbox.take(len(self._inbox), 0))
        await self._keep([change for change in leftover if isinstance(change, CHANGES)])

    def _until_wake(self) -> float | None:
        waits = [_AGAIN_S] if self._unkept else []
        wake_at = self.recorder.wake_at()
        if wake_at is not None:
            waits.append(max(0.0, (wake_at - self._clock()).total_seconds()))
        return min(waits, default=None)

    def _decide(self, items: list[Input]) -> list[Decision]:
        now = self._clock()
        wake_at = self.recorder.wake_at()
        if wake_at is not None and wake_at <= now:
            items = [*items, Tick(now)]
        decisions: list[Decision] = []
        for item in items:
            if isinstance(item, AppendFact):
                decisions.append(item)
                continue
            try:
                decisions += self.recorder.handle(item, now)
            except Exception:  # one event that we misjudge must not end the recording of all others
                log.exception("event-not-handled", event_type=type(item).__name__)
        return decisions

    async def _keep_and_act(self, decisions: list[Decision]) -> None:
        await self._keep([change for change in decisions if isinstance(change, CHANGES)])
        for decision in decisions:
            if isinstance(decision, ACTS):
                task = asyncio.create_task(self._act(decision))
                self._acting.add(task)
                task.add_done_callback(self._acting.discard)

    async def _keep_what_can_be(self, changes: list[Change]) -> None:
        """One change holds a value that the database will never take: it must not hold up all others for ever."""
        self._unkept = []
        if len(changes) == 1:
            log.error("change-given-up", change=repr(changes[0])[:500])
            return
        middle = len(changes) // 2
        await self._keep(changes[:middle])
        await self._keep(changes[middle:])

    async def _act(self, act: Act) -> None:
        self._inbox.put_now(await self._perform(act))

    async def _keep(self, changes: list[Change]) -> None:
        changes = [*self._unkept, *changes]
        if not changes:
            return
        try:
            facts = await self._store.commit(changes)
        except StoreError as error:
            if error.details.get("reason") == "refused-value":
                await self._keep_what_can_be(changes)
                return
            if self.store_error is None:
                log.error("database-not-written", reason=error.message)
            self.store_error = error
            if len(changes) > _UNKEPT_BOUND:
                log.error("changes-given-up", count=len(changes) - _UNKEPT_BOUND)
                del changes[: len(changes) - _UNKEPT_BOUND]
            self._unkept = changes
            return
        if self.store_error is not None:
            log.info("database-written-again", changes=len(changes))
        self.store_error = None
        self._unkept = []
        self._publish(facts)
