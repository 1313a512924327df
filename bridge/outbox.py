"""Facts on their way to the streams: in their order, and behind the answers to those who caused them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from bridge.core.records import NumberedFact

log = structlog.get_logger()

_BOUND = 5000
"""Half of what a stream may be behind (`feed.stream.Hub`): what has waited comes all at once."""


class Hold:
    """A place in the outbox that nothing put later passes, until `lift` or until its time is over."""

    def __init__(self, outbox: "Outbox", until: float) -> None:
        """`until` is the event loop's time."""
        self.until = until
        self._outbox = outbox

    def lift(self) -> None:
        """Let go what waits behind it."""
        self.until = 0.0
        self._outbox.flush()

    def shorten(self, most_s: float) -> None:
        """It ends in at most so many seconds from now."""
        self.until = min(self.until, asyncio.get_running_loop().time() + most_s)
        self._outbox.flush()


class Outbox:
    """Publishes facts in the order in which they are put: at once, or when no hold stands before them any more.

    Who puts never waits. With more than 5,000 facts and holds in it every hold ends.
    """

    def __init__(self, publish: Callable[[Sequence[NumberedFact]], None]) -> None:
        """`publish` neither blocks nor raises."""
        self._publish = publish
        self._queue: deque[Sequence[NumberedFact] | Hold] = deque()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, facts: Sequence[NumberedFact]) -> None:
        """The facts of one commit."""
        self._size += len(facts)
        self._queue.append(facts)
        self._after_put()

    def hold(self, most_s: float) -> Hold:
        """What is put from now on waits behind this, at most so many seconds."""
        hold = Hold(self, asyncio.get_running_loop().time() + most_s)
        self._size += 1
        self._queue.append(hold)
        self._after_put()
        return hold

    def flush(self) -> None:
        """Publish what need not wait, and come back when the first hold's time is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue:
            first = self._queue[0]
            if isinstance(first, Hold):
                if first.until > loop.time():
                    self._timer = loop.call_at(first.until, self.flush)
                    return
                self._queue.popleft()
                self._size -= 1
            else:
                self._queue.popleft()
                self._size -= len(first)
                self._publish(first)

    def _after_put(self) -> None:
        if self._size > _BOUND:
            log.warning("facts-not-held", size=self._size)
            for one in self._queue:
                if isinstance(one, Hold):
                    one.until = 0.0
        self.flush()
