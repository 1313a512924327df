"""10,000 callbacks to a receiver that is as bad as they come, from a sender that is killed again and again."""

import asyncio
import random
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.feed.office import SECRET
from tests.feed.receiver import Receiver

COUNT = 10_000
KILLS = 5
RESTARTS = 5


@pytest.mark.timeout(1200)  # of a machine that has other things to do; by itself it takes a minute
async def test_10000_callbacks_each_delivered_in_order_and_none_lost(tmp_path: Path) -> None:
    chance = random.Random(7)
    receiver = Receiver(SECRET, chance=0.02, seed=7)
    receiver.hang_s = 12.0  # longer than the sender waits
    await receiver.start()
    # The receiver goes down and the sender is killed each time so many more were taken, wherever they are then.
    marks = sorted(chance.sample(range(200, COUNT - 200), KILLS + RESTARTS))
    kills = set(chance.sample(marks, KILLS))
    killed = 0
    sender = await _sender(tmp_path, receiver)
    try:
        for mark in marks:
            await _taken(receiver, mark, sender)
            if mark in kills:
                sender.kill()
                await sender.wait()
                sender = await _sender(tmp_path, receiver)
                killed += 1
            else:
                await receiver.restart()
        assert await sender.wait() == 0
    finally:
        if sender.returncode is None:
            sender.kill()
            await sender.wait()
        await receiver.stop()

    numbers = [body["data"]["n"] for _, _, body in receiver.seen]
    assert set(numbers) == set(range(COUNT))
    by_call: dict[str, list[int]] = defaultdict(list)
    ids: dict[int, set[str]] = defaultdict(set)
    for _, message_id, body in receiver.seen:
        # One that the sender no longer waited for may be read late, after its second try and what followed that.
        if body["data"]["n"] not in ids:
            by_call[body["data"]["callId"]].append(body["data"]["n"])
        ids[body["data"]["n"]].add(message_id)
    assert [call for call, some in by_call.items() if some != sorted(some)] == []
    assert [n for n, some in ids.items() if len(some) != 1] == []  # a second one can be told by its id
    assert set(receiver.bad) == {"500", "404", "reset", "hang", "late", "redirect"}
    assert killed == KILLS


async def _sender(folder: Path, receiver: Receiver) -> asyncio.subprocess.Process:
    arguments = ["-m", "tests.feed.sending", str(folder / "recbridge.db"), receiver.url, str(COUNT)]
    return await asyncio.create_subprocess_exec(sys.executable, *arguments)


async def _taken(receiver: Receiver, mark: int, sender: asyncio.subprocess.Process) -> None:
    loop = asyncio.get_running_loop()
    until, taken = loop.time() + 120, 0
    while len(receiver.seen) < mark:
        assert sender.returncode is None
        if len(receiver.seen) > taken:  # however slowly
            until, taken = loop.time() + 120, len(receiver.seen)
        assert loop.time() < until, f"{taken} of {mark} taken, {receiver.asked} came: {dict(receiver.bad)}"
        await asyncio.sleep(0.01)
