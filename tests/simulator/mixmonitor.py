"""One MixMonitor of a simulated channel: its files, and the task that lets them grow."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.simulator.audio import RATES_HZ, TonesFile
from tests.simulator.clock import Clock


class MixMonitor:
    """What it was told, and up to three files: the mixed one, and with `r()` and `t()` each side alone."""

    def __init__(self, monitor_id: str, file: str, options: str, command: str, clock: Clock) -> None:
        self.id = monitor_id
        self.file = file
        self.options = options
        self.command = command
        self.muted: set[str] = set()
        self._clock = clock
        self._files: list[tuple[str, TonesFile]] = []
        self._growing: asyncio.Task[None] | None = None

    def open(self, wanted: Mapping[str, str], spool: Path, tones: Mapping[str, int]) -> None:
        """Make the files, each with the sides (`r`, `w`) it holds. Where one cannot be made, nobody is told."""
        for name, sides in wanted.items():
            path = Path(name)
            # Resolved, so that neither `..` nor a link leads out of the spool.
            if path.resolve().is_relative_to(spool.resolve()) and path.suffix in RATES_HZ:
                try:
                    self._files.append((sides, TonesFile(path, self._clock.now(), tones)))
                except OSError:
                    continue  # Asterisk says so in its log only
        self._growing = asyncio.create_task(self._grow(), name=f"grow {self.file}")

    @property
    def listed(self) -> str:
        """Its line of `mixmonitor list`: tabs between, names without their extension (measured)."""
        names = {sides: str(file.path.with_suffix("")) for sides, file in self._files}
        mixed = names.get("rw", self.file.rpartition(".")[0] or self.file)
        return "\t".join((self.id, mixed, names.get("r", ""), names.get("w", "")))

    def hears(self, said: Sequence[str], heard: Sequence[str], at: float) -> None:
        """Who is heard from `at` on: on the leg itself, and by it."""
        for sides, file in self._files:
            audible = set(sides) - self.muted
            file.hears([*(said if "r" in audible else ()), *(heard if "w" in audible else ())], at)

    async def close(self, at: float | None = None) -> None:
        """Finish the files, as they were at `at` (or now)."""
        await self.stop_growing()
        for _, file in self._files:
            file.close(self._clock.now() if at is None else at)

    async def abandon(self) -> None:
        """Leave the files unfinished."""
        await self.stop_growing()
        for _, file in self._files:
            file.abandon()

    async def stop_growing(self) -> None:
        """Nothing more is written but by `close`."""
        if self._growing is not None:
            self._growing.cancel()
            await asyncio.gather(self._growing, return_exceptions=True)

    async def _grow(self) -> None:
        while self._files:
            await self._clock.sleep(min(file.step_s for _, file in self._files))
            for _, file in self._files:
                file.grow(self._clock.now())
