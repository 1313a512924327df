"""Where everything meets: event, report or command -> recorder -> decisions -> one commit -> acts, answers and feed.

It knows core alone; what it acts with is handed in.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from bridge.core.access import Reader
from bridge.core.commands import ANSWER_WITHIN_S, Answer, Command, CommandNumber, Done, Order, Refused, SetFlags, Verb
from bridge.core.decisions import ACTS, Act, Decision, Report, Tick
from bridge.core.errors import NotConfirmedError, TooManyCommandsError
from bridge.core.ids import Identity
from bridge.core.messages import Event
from bridge.core.metering import Meter, Metered
from bridge.core.people import UserFlags
from bridge.core.recorder import Recorder
from bridge.core.records import FactKind
from bridge.core.store import CHANGES, AppendFact, Store
from bridge.inbox import Inbox
from bridge.keeper import Keeper
from bridge.outbox import Hold

log = structlog.get_logger()

Input = Event | Report | Order | AppendFact
"""What comes in: AMI's events, the acts' reports, commands, and facts that need no deciding (Asterisk is away)."""

_BATCH = 1000
_INBOX_BOUND = 10_000
_MOST_ASKED = 1000
_HOLD_S = 2.0
_ANSWERING_S = 0.5
_SAID = {
    FactKind.SECTION_ALARM: logging.WARNING,
    FactKind.SECTION_ADOPTED: logging.INFO,
    FactKind.SECTION_REPAIRED: logging.WARNING,
    FactKind.SECTION_FAILED: logging.ERROR,
    FactKind.SECTION_LOST: logging.ERROR,
}
"""Facts about sections that an admin finds in the log, and how grave they are."""
_OF_EACH_SECTION = frozenset({"type", "headchannel", "tailchannel", "requested_at"})


@dataclass(slots=True)
class _Asked:
    """One who waits for an answer, and the places behind which facts wait for him."""

    answer: asyncio.Future[Answer]
    holds: list[Hold] = field(default_factory=list)


class Engine:
    """Runs the recorder. One task (`run`) does all the deciding; every act is a task that `run` owns.

    `perform` does an act and gives its one report; it keeps its own deadlines and does not raise. An act is done once
    its intent is kept, or as safe as the keeper can have it while the database cannot be written.
    """

    def __init__(
        self,
        recorder: Recorder,
        store: Store,
        keeper: Keeper,
        perform: Callable[[Act], Awaitable[Report]],
        clock: Callable[[], datetime],
        *,
        patience_s: float = ANSWER_WITHIN_S + 2.0,
        seen_at: datetime | None = None,
    ) -> None:
        """`patience_s` is how long `ask` waits; the recorder, which has a deadline of its own, answers before.

        `seen_at` is when an earlier run was last there.
        """
        self.recorder = recorder
        self._store = store
        self._keeper = keeper
        self._outbox = keeper.outbox
        self._perform = perform
        self._clock = clock
        self._inbox: Inbox[Input] = Inbox(_INBOX_BOUND)
        self._acting: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._asked: dict[CommandNumber, _Asked] = {}
        self._patience_s = patience_s
        self._seen_at = seen_at
        self._meter = Meter(clock())
        self._stopping = False
        self._has_restored = False

    @property
    def idle(self) -> bool:
        """Whether no call runs, as far as is known; False until what an earlier run left is taken in."""
        return self._has_restored and not self.recorder.tracker.calls

    @property
    def waiting(self) -> int:
        """What has come in and is not decided yet."""
        return len(self._inbox)

    @property
    def bound(self) -> int:
        """With so much waiting no more is taken from Asterisk's queue."""
        return _INBOX_BOUND

    def metered(self) -> Metered:
        """What was measured of starts, talk and files up to now."""
        return self._meter.metered(self._clock())

    async def feed(self, items: list[Input]) -> None:
        """Hand in events and facts in their order; waits while the recorder has more than it can do."""
        await self._inbox.put_many(items)

    def ask(self, verb: Verb, channel: str, reader: Reader) -> contextlib.AbstractAsyncContextManager[Answer]:
        """Give a command, wait for its answer; who has passed that on leaves the context. Raises nothing.

        `Refused` is also TooManyCommandsError (1,000 are under way), and NotConfirmedError where no answer came in time
        or the engine ends. The answer comes after the commit of what was decided with it.

        Answers come first, then the events: from the moment the command is decided facts wait, all in their order,
        until the context is left; but never longer than 0.5 s after the answer, and no fact longer than 2 s: a command
        for which Asterisk takes its time does not stall the streams. A stream that still reads older facts from the
        database meets newer ones there before. Nothing but streams waits.
        """
        return self._ask(lambda number: Command(self._clock(), number, verb, channel, reader))

    def set_flags(
        self, identity: Identity, changes: Mapping[str, bool], reader: Reader
    ) -> contextlib.AbstractAsyncContextManager[Answer]:
        """Change some of a user's flags, by their names, from the next talk on; as `ask`."""
        return self._ask(lambda number: SetFlags(self._clock(), number, identity, changes, reader))

    def flags_of(self, identity: Identity) -> UserFlags:
        """What holds for a user: what was changed, else what users.yml says."""
        return self.recorder.phones.flags_of(identity)

    @contextlib.asynccontextmanager
    async def _ask(self, order: Callable[[CommandNumber], Order]) -> AsyncIterator[Answer]:
        number = CommandNumber(next(self._numbers))
        if self._stopping:
            yield _ended(number)
            return
        if len(self._asked) >= _MOST_ASKED:
            yield Refused(number, TooManyCommandsError(f"{_MOST_ASKED} commands are under way already: try again"))
            return
        asked = self._asked[number] = _Asked(asyncio.get_running_loop().create_future())
        given = order(number)
        self._inbox.put_now(given)
        try:
            try:
                async with asyncio.timeout(self._patience_s):
                    answer = await asked.answer
            except TimeoutError:
                log.error("command-not-answered", order=type(given).__name__)
                answer = Refused(number, NotConfirmedError("Asterisk did not confirm in time"))
            yield answer
        finally:
            del self._asked[number]
            for hold in asked.holds:
                hold.lift()

    async def _restored(self) -> list[Decision]:
        """What an earlier run left open."""
        store = self._store
        sections, demands, pauses = await store.open_sections(), await store.demands(), await store.pauses()
        calls = await store.running_calls()
        talks, spans = await store.open_talks(), await store.open_spans()
        self.recorder.spans.restore(talks, spans)
        self._meter.restore(talks, spans, sections)
        return self.recorder.restore(sections, self._clock(), demands, pauses, calls, self._seen_at)

    def stop(self) -> None:
        """Have `run` finish what is in hand and return."""
        self._stopping = True
        self._inbox.wake()

    async def run(self) -> None:
        """Decide until `stop`. Then what has come in is kept, and acts under way have 10 s to end."""
        keeping = asyncio.create_task(self._keeper.run(), name="keeper")
        try:
            await self._carry_out(await self._restored())
            self._has_restored = True
            while not self._stopping:
                items = await self._inbox.take(_BATCH, self._until_wake())
                await self._carry_out(self._decide(items))
            if self._acting:
                await asyncio.wait(self._acting, timeout=10)
            for task in self._acting:
                task.cancel()
            await asyncio.gather(*self._acting, return_exceptions=True)
            await self._keep_and_tell(self._decide(await self._inbox.take(len(self._inbox), 0)))
            await self._keeper.end()
        finally:
            self._stopping = True
            keeping.cancel()
            for number in self._asked:
                self._tell(_ended(number))

    def _until_wake(self) -> float | None:
        wake_at = self.recorder.wake_at()
        return None if wake_at is None else max(0.0, (wake_at - self._clock()).total_seconds())

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
            if isinstance(item, Command | SetFlags):
                self._hold(item.number)
            try:
                decisions += self.recorder.handle(item, now)
            except Exception:  # one event that we misjudge must not end the recording of all others
                log.exception("event-not-handled", event_type=type(item).__name__)
                if isinstance(item, Command | SetFlags):
                    error = NotConfirmedError("something went wrong here, and the log says what")
                    decisions.append(Refused(item.number, error))
        try:
            self._meter.take(items, decisions, now)
        except Exception:  # numbers must not end the recording of all calls
            log.exception("not-measured")
        return [*decisions, *self.recorder.checkpoint()]

    async def _carry_out(self, decisions: list[Decision]) -> None:
        await self._keep_and_tell(decisions)
        for decision in decisions:
            if isinstance(decision, ACTS):
                task = asyncio.create_task(self._act(decision))
                self._acting.add(task)
                task.add_done_callback(self._acting.discard)

    async def _keep_and_tell(self, decisions: list[Decision]) -> None:
        _log_what_matters(decisions)
        answers = [answer for answer in decisions if isinstance(answer, Done | Refused)]
        for answer in answers:
            self._hold(answer.number)  # that of its command may be over
        await self._keeper.keep([change for change in decisions if isinstance(change, CHANGES)])
        for answer in answers:
            self._tell(answer)

    def _hold(self, number: CommandNumber) -> None:
        asked = self._asked.get(number)
        if asked is not None:
            asked.holds.append(self._outbox.hold(_HOLD_S))

    def _tell(self, answer: Answer) -> None:
        asked = self._asked.get(answer.number)
        if asked is None or asked.answer.done():
            return  # nobody waits for it any more
        for hold in asked.holds:
            hold.shorten(_ANSWERING_S)
        asked.answer.set_result(answer)

    async def _act(self, act: Act) -> None:
        self._inbox.put_now(await self._perform(act))


def _ended(number: CommandNumber) -> Refused:
    return Refused(number, NotConfirmedError("recbridge is being stopped: what became of it is not known"))


def _log_what_matters(decisions: Sequence[Decision]) -> None:
    """What is wrong with a section goes into the log, too, also where the database cannot take the fact."""
    for decision in decisions:
        if isinstance(decision, AppendFact) and decision.fact.kind in _SAID:
            fact = decision.fact
            said = {name: value for name, value in fact.data.items() if name not in _OF_EACH_SECTION}
            name = f"{fact.record_id}/{fact.rule_id}/{fact.file}"
            log.log(_SAID[fact.kind], fact.kind.replace(".", "-"), section=name, **said)
