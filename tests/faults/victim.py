"""A daemon that is killed where it is told to be, and started again each time."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.demo.daemon import Daemon, DaemonError
from tests.faults.seen import Span


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL at a step of the daemon's `life`-th life, by the step's name or by how many there were."""

    life: int
    at: str = ""
    after: int = 0

    def __str__(self) -> str:
        return self.at or f"life {self.life}, step {self.after}"


class Victim(Daemon):
    """A daemon whose every life is instrumented, and which is started again whenever it was killed."""

    def prepare(self, kills: Sequence[Kill], environment: Mapping[str, str]) -> None:
        """Before the first start."""
        self._always = environment
        self.module = "tests.faults.instrumented"
        self.life = 0
        self.kills = {kill.life: kill for kill in kills}
        self.away: list[Span] = []
        self.killed = 0
        self.broken: str | None = None
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._gone = asyncio.Event()
        self._ending = False
        self._went = 0.0
        self._keeper: asyncio.Task[None] | None = None
        self._up = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether it runs and has been ready."""
        return self._up.is_set()

    async def leave(self) -> None:
        """Kill it if it still runs, and start it no more."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self.kill()

    def steps_of(self, life: int) -> list[tuple[float, str]]:
        """When which step was reached."""
        path = self.work / f"steps-{life}"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(float(line.partition(" ")[0]), line.partition(" ")[2]) for line in lines]

    async def keep_up(self) -> None:
        """Start it, and again each time that it was killed, until `end`. On return it is ready."""
        self._keeper = asyncio.create_task(self._keep(), name="keeper")
        await self.until_up()

    async def until_up(self) -> None:
        """Return when it is ready; DaemonError where it will not be."""
        waits = asyncio.create_task(self._up.wait())
        assert self._keeper is not None
        await asyncio.wait({waits, self._keeper}, return_when="FIRST_COMPLETED")
        waits.cancel()
        if self._keeper.done():
            self._keeper.result()

    async def down(self) -> None:
        """SIGKILL now, and stay down until `back`."""
        self._wanted.clear()
        self._gone.clear()
        self._went = time.time()
        os.kill(self.pid, signal.SIGKILL)
        await self._gone.wait()

    async def back(self) -> None:
        """Start it again; ready on return."""
        self._wanted.set()
        await self.until_up()

    async def end(self) -> None:
        """SIGTERM; if it is killed even then, once more."""
        await self.until_up()
        os.kill(self.pid, signal.SIGTERM)
        self._ending = True
        assert self._keeper is not None
        await self._keeper

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            self.life += 1
            kill = self.kills.get(self.life)
            self.environment = {
                "STEPS": str(self.work / f"steps-{self.life}"),
                "KILL_AT": kill.at if kill else "",
                "KILL_AFTER": str(kill.after) if kill else "",
            }
            self.environment = {**self._always, **{name: value for name, value in self.environment.items() if value}}
            with contextlib.suppress(DaemonError):  # killed before it was ready, or it will never be
                await self.start()
                if self.away and self.away[-1][1] == float("inf"):
                    self.away[-1] = (self.away[-1][0], time.time())
                self._up.set()
                if self._ending:
                    os.kill(self.pid, signal.SIGTERM)
            code = await self.ended()
            self._up.clear()
            self._gone.set()
            if code == 0 and self._ending:
                return
            if code != -signal.SIGKILL:
                raise DaemonError(f"the daemon ended with {code}:\n{self.log}")
            steps = self.steps_of(self.life)
            at = self._went or (steps[-1][0] if steps else time.time())
            self._went = 0.0
            self.killed += 1
            if not (self.away and self.away[-1][1] == float("inf")):
                self.away.append((at, float("inf")))
