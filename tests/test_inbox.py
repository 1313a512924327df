"""The queue in front of the recorder."""

import asyncio

from bridge.inbox import Inbox


async def test_what_waits_comes_out_at_once_and_in_order() -> None:
    inbox: Inbox[int] = Inbox(10)
    await inbox.put_many([1, 2])
    inbox.put_now(3)
    assert await inbox.take(10, None) == [1, 2, 3]


async def test_take_gives_no_more_than_asked_for() -> None:
    inbox: Inbox[int] = Inbox(10)
    await inbox.put_many([1, 2, 3])
    assert await inbox.take(2, None) == [1, 2]
    assert await inbox.take(2, None) == [3]


async def test_take_comes_back_empty_after_its_time_or_when_woken() -> None:
    inbox: Inbox[int] = Inbox(10)
    assert await inbox.take(1, 0) == []
    taking = asyncio.create_task(inbox.take(1, None))
    await asyncio.sleep(0)
    inbox.wake()
    assert await taking == []


async def test_events_wait_at_the_bound_and_reports_do_not() -> None:
    inbox: Inbox[int] = Inbox(2)
    await inbox.put_many([1, 2, 3])
    waiting = asyncio.create_task(inbox.put_many([4]))
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put_now(5)
    assert await inbox.take(2, None) == [1, 2]
    await waiting
    assert await inbox.take(10, None) == [3, 5, 4]
