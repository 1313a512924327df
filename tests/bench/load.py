"""Calls from alice to bob on a telephone network: so many a second, each so long, whatever becomes of the others."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.network.network import Network


@dataclass(frozen=True, slots=True)
class Load:
    """`count` calls, `a_second` of them on average, so long that `at_once` run once that many have begun.

    Each begins at a random time within its own slot (`seed`), so that sometimes two begin together and nothing that
    happens regularly in a daemon is always hit or always missed.
    """

    a_second: float
    at_once: int
    count: int
    seed: int

    @property
    def each_s(self) -> float:
        """How long a call lasts, with something over for its setting up and for the places within the slots."""
        return (self.at_once + 2) / self.a_second

    async def place(self, net: Network, reached: Callable[[], None]) -> None:
        """Place them all and return when they have ended; `reached` is called when `at_once` have been placed.

        Raises CallFailedError or AmiError for the first call that was not answered.
        """
        loop, chance = asyncio.get_running_loop(), random.Random(self.seed)
        begin = loop.time()
        async with asyncio.TaskGroup() as calls:
            for number in range(self.count):
                await asyncio.sleep(begin + (number + chance.random()) / self.a_second - loop.time())
                calls.create_task(self._one(net))
                if number == self.at_once:
                    reached()

    async def _one(self, net: Network) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.each_s
        call = await net.call("alice", "102")
        await call.answered()
        await asyncio.sleep(end - loop.time())
        await call.hangup()
