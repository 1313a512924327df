"""Facts in order, behind holds that end."""

import asyncio
from collections.abc import Callable

from structlog.testing import capture_logs

from bridge.core.ids import FactNumber
from bridge.core.records import NumberedFact
from bridge.outbox import Outbox
from tests.storage import kept


class Stream:
    """An outbox, and the numbers of what came out of it."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.outbox = Outbox(lambda facts: self.seen.extend(fact.number for fact in facts))
        self._last = 0

    def put(self, count: int = 1) -> None:
        first = self._last + 1
        self._last += count
        self.outbox.put([NumberedFact(FactNumber(number), kept.fact()) for number in range(first, first + count)])


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


async def test_without_a_hold_facts_go_at_once() -> None:
    stream = Stream()
    stream.put(2)
    assert stream.seen == [1, 2]


async def test_what_was_put_before_a_hold_goes_and_what_comes_behind_waits_for_it() -> None:
    stream = Stream()
    stream.put()
    hold = stream.outbox.hold(20)
    stream.put()
    stream.put()
    assert stream.seen == [1]
    hold.lift()
    assert stream.seen == [1, 2, 3]


async def test_a_hold_that_is_lifted_out_of_turn_waits_for_the_one_before_it() -> None:
    stream = Stream()
    first = stream.outbox.hold(20)
    stream.put()
    second = stream.outbox.hold(20)
    stream.put()
    second.lift()
    assert stream.seen == []
    first.lift()
    assert stream.seen == [1, 2]
    second.lift()  # again: no harm


async def test_every_hold_ends_by_itself() -> None:
    stream = Stream()
    stream.outbox.hold(0.02)
    stream.put()
    stream.outbox.hold(0.04)
    stream.put()
    await until(lambda: stream.seen == [1, 2])


async def test_a_hold_can_be_shortened_and_not_made_longer() -> None:
    stream = Stream()
    long, short = stream.outbox.hold(1000), stream.outbox.hold(0.02)
    stream.put()
    long.shorten(0.02)
    short.shorten(1000)
    await until(lambda: stream.seen == [1])


async def test_holds_end_where_too_much_waits() -> None:
    stream = Stream()
    stream.outbox.hold(1000)
    stream.put(4999)
    assert stream.seen == []
    with capture_logs() as logs:
        stream.put()
    assert stream.seen == list(range(1, 5001))
    assert [line["event"] for line in logs] == ["facts-not-held"]
    stream.outbox.hold(1000)
    stream.put(4999)
    assert stream.seen[-1] == 5000
