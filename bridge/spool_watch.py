"""Looks at the spool every 5 s, and says what has changed: in the log, as facts, and to whoever asks."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from bridge.core.errors import MediaError
from bridge.core.live import NotReady, SpoolLook
from bridge.core.records import Fact, FactKind
from bridge.core.space import LowSpace
from bridge.storage.spool import Spool
from bridge.storage.workers import Workers

log = structlog.get_logger()

_EVERY_S = 5.0
_WITHIN_S = 5.0


class SpoolWatch:
    """`look` is what the last look found. A look that hangs is waited for no longer than `within_s`, and no other is
    made before it has come back.
    """

    def __init__(
        self,
        spool: Spool,
        low_space: LowSpace,
        tell: Callable[[Fact], Awaitable[None]],
        clock: Callable[[], datetime],
        *,
        every_s: float = _EVERY_S,
        within_s: float = _WITHIN_S,
    ) -> None:
        """`tell` gets a fact for each trouble, and one when all is well again."""
        self.look = SpoolLook()
        self._spool = spool
        self._low_space = low_space
        self._tell = tell
        self._clock = clock
        self._every_s = every_s
        self._within_s = within_s
        self._workers = Workers(1, "spool-look")
        self._warned = 0

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(self._every_s)
            await self.look_now()

    async def look_now(self) -> SpoolLook:
        """Look once."""
        before = self.look.problem
        try:
            self.look = await self._workers.run("spool", self._within_s, self._spool.look)
        except MediaError:
            self.look = SpoolLook(
                NotReady(
                    "spool-slow",
                    f"spool {self._spool.local}: its disk has not answered within {self._within_s:g} s: check its "
                    "load, and `dmesg`",
                )
            )
        await self._say(before)
        self._warn()
        return self.look

    async def _say(self, before: NotReady | None) -> None:
        problem, space = self.look.problem, self.look.space
        if problem is not None and (before is None or before.code != problem.code):
            log.error("spool", code=problem.code, problem=problem.message)
            data = {"code": problem.code, **({"free_bytes": space.free_bytes} if space is not None else {})}
            await self._tell(Fact(FactKind.SPOOL_TROUBLE, self._clock(), data=data))
        elif problem is None and before is not None:
            log.info("spool-well", was=before.code)
            await self._tell(Fact(FactKind.SPOOL_WELL, self._clock(), data={"code": before.code}))

    def _warn(self) -> None:
        """Once below the watermark, once more below half of it; anew after it was well above."""
        space = self.look.space
        if space is None:
            return
        low = self._low_space.of(space)
        level = 2 if space.free_bytes < low // 2 else 1 if space.free_bytes < low else 0
        if level > self._warned:
            said = self.look.warning or self.look.problem
            log.warning(
                "spool-low",
                free_bytes=space.free_bytes,
                total_bytes=space.total_bytes,
                what=said.message if said is not None else "",
            )
            self._warned = level
        elif space.free_bytes >= low + low // 10:
            self._warned = 0
