"""Threads for a disk that may hang: a thread that waits for it cannot be ended, only left behind."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from bridge.core.errors import MediaError

log = structlog.get_logger()

_LEFT_AT_MOST = 16
_CLOSE_WITHIN_S = 10.0

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Job:
    key: str
    ended: asyncio.Future[None]
    answer: asyncio.Future[Any]
    left: bool = False


class Workers:
    """Runs what blocks in at most `at_once` threads; whoever comes while all are busy waits its turn.

    Work that takes longer than it may is left behind: its thread goes on until the disk lets it, but is nobody's turn
    any more. Until then work with the same key is refused, so that two never write one file; and all work is while 16
    such threads wait, so that a dead disk costs no more than those.
    """

    def __init__(self, at_once: int, name: str) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._name = name
        self._jobs: set[_Job] = set()

    async def run(self, key: str, within_s: float, work: Callable[[], T]) -> T:
        """What `work` gives or raises. Raises MediaError `timeout` where it takes longer, or would."""
        async with self._turns:
            left = [job for job in self._jobs if job.left]
            if len(left) >= _LEFT_AT_MOST or any(job.key == key for job in left):
                raise _timeout(f"{key}: the disk of the spool hangs since an earlier try")
            job = self._start(key, work)
            try:
                await asyncio.wait({job.answer}, timeout=within_s)
            finally:
                job.left = not job.answer.done()
                if job.left:
                    job.answer.cancel()
            if job.left:
                raise _timeout(f"{key}: the disk of the spool did not answer within {within_s:.0f} s")
            answer: T = job.answer.result()
            return answer

    async def close(self) -> None:
        """Let what runs come to its end, for 10 s; what hangs on is left behind for good."""
        if self._jobs:
            await asyncio.wait({job.ended for job in self._jobs}, timeout=_CLOSE_WITHIN_S)
        if self._jobs:
            log.error("disk-hangs", files=sorted({job.key for job in self._jobs}))

    def _start(self, key: str, work: Callable[[], object]) -> _Job:
        loop = asyncio.get_running_loop()
        job = _Job(key, loop.create_future(), loop.create_future())

        def body() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:  # raised where it is waited for
                error = raised
            # Nobody is there any more where the loop is closed.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._end, job, result, error)

        self._jobs.add(job)
        # A daemon, as Python waits for no such thread when it ends.
        threading.Thread(target=body, name=self._name, daemon=True).start()
        return job

    def _end(self, job: _Job, result: object, error: BaseException | None) -> None:
        self._jobs.discard(job)
        job.ended.set_result(None)
        if job.answer.done():
            return
        if error is None:
            job.answer.set_result(result)
        else:
            job.answer.set_exception(error)


def _timeout(message: str) -> MediaError:
    return MediaError(f"{message}: check it", reason="timeout")
