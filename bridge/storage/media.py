"""Makes sure that a section's WAV is whole and readable, also after a crash and on a disk that hangs."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from bridge.core.decisions import TRY_AGAIN, Wav
from bridge.core.errors import MediaError
from bridge.core.records import AudioReport
from bridge.storage import finishing, repair
from bridge.storage.disk_errors import missing
from bridge.storage.levels import inspect
from bridge.storage.repair import Look
from bridge.storage.workers import Workers

log = structlog.get_logger()

T = TypeVar("T")

_POLL_S = 0.005
_POLL_AT_MOST_S = 0.1
_LOOK_WITHIN_S = 10.0
_SLOWEST_BYTES_PER_S = 1_000_000
_MISSING = ("file-missing", "spool-missing")


@dataclass(frozen=True, slots=True)
class Inspection:
    """A section's WAV: what is in it, the files whose headers were repaired, and whether it has all its sides."""

    report: AudioReport
    repaired: tuple[str, ...]
    whole: bool


class MediaInspector:
    """Looks into WAVs in at most `workers` threads of its own; whoever comes while all are busy waits its turn.

    `step_s` is how long one step may take on the disk, and a second more for each megabyte. A file without a finished
    header has been left by its writer when it did not change for `still_s` (Asterisk writes every 2 s); one that still
    changes is waited for, for `growing_s` more.
    """

    def __init__(
        self, *, workers: int = 2, step_s: float = 120.0, still_s: float = 3.0, growing_s: float = 60.0
    ) -> None:
        self._workers = Workers(workers, "media")
        self._step_s = step_s
        self._still_s = still_s
        self._growing_s = growing_s
        self._repaired: dict[str, list[str]] = {}

    async def close(self) -> None:
        """Let what runs come to its end; what hangs is left behind after 10 s."""
        await self._workers.close()

    async def inspect_section(
        self, wav: Wav, local_path: Callable[[str], Path], deadline_s: float, *, abandoned: bool = False
    ) -> Inspection:
        """Make a section's WAV out of what MixMonitor wrote, once that is closed, and read it through.

        `Hangup` can come milliseconds before the header holds its sizes (measured). After `deadline_s`, at once where
        it is `abandoned`, a header that nobody finishes is repaired. Repairs of tries that failed with a reason of
        `TRY_AGAIN` are told by the one that does not. Raises MediaError as `inspect`, `finishing.finish` and
        `repair.repair` do, and `timeout` where the disk does not answer: what then still runs in its thread may
        finish, and until it has, the same section's next inspections end in `timeout` at once.
        """
        try:
            inspection = await self._inspect_section(wav, local_path, deadline_s, abandoned)
        except MediaError as error:
            if error.details.get("reason") not in TRY_AGAIN:
                self._repaired.pop(wav.path, None)
            raise
        self._repaired.pop(wav.path, None)
        return inspection

    async def _inspect_section(
        self, wav: Wav, local_path: Callable[[str], Path], deadline_s: float, abandoned: bool
    ) -> Inspection:
        deadline = asyncio.get_running_loop().time() + (0 if abandoned else deadline_s)
        names = dict.fromkeys((wav.mixed, wav.path, *((wav.receive, wav.transmit) if wav.stereo else ())))
        paths = {name: local_path(name) for name in names}
        error = await self._poll(wav.path, deadline, lambda: _none_there(paths.values()))
        if error is not None:
            raise error
        size = 0
        for name, path in paths.items():
            size += await self._settle(wav.path, name, path, deadline, abandoned=abandoned)
        path, mixed = paths[wav.path], paths[wav.mixed]
        receive, transmit = local_path(wav.receive), local_path(wav.transmit)
        stereo, leg_is_left = wav.stereo, wav.leg_is_left
        whole = await self._run(
            wav.path,
            size,
            lambda: finishing.finish(path, mixed, receive, transmit, stereo=stereo, leg_is_left=leg_is_left),
        )
        report = await self._run(wav.path, size, lambda: inspect(path))
        return Inspection(report, tuple(self._repaired.get(wav.path, ())), whole)

    async def wait_for_file(self, path: Path, deadline_s: float) -> bool:
        """Whether there is a regular file at `path`, now or within `deadline_s`. Raises MediaError for all else."""
        deadline = asyncio.get_running_loop().time() + deadline_s
        return await self._poll(str(path), deadline, lambda: _none_there([path])) is None

    async def _settle(self, key: str, name: str, path: Path, deadline: float, *, abandoned: bool) -> int:
        """Wait until a file is closed, or left by its writer and then repaired; its size, 0 where it is missing."""
        clock = asyncio.get_running_loop()
        seen, since, pause_s = None, clock.time(), _POLL_S
        while True:
            found = await self._workers.run(key, _LOOK_WITHIN_S, partial(_look_if_there, path))
            if found is None or found.final:
                return found.size if found is not None else 0
            now = clock.time()
            if found != seen:
                seen, since = found, now
            if abandoned or (now >= deadline and now - since >= self._still_s):
                if await self._repair(key, name, path, found.size):
                    return found.size
                abandoned, seen = False, None
            elif now >= deadline + self._growing_s:
                raise MediaError(f"{path} is still written, long after its end", reason="still-written")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _POLL_AT_MOST_S)

    async def _repair(self, key: str, name: str, path: Path, size: int) -> bool:
        """Finish a file's header; False where somebody still writes it."""

        def work() -> None:
            # Noted here, as it may come to its end when nobody waits for it any more.
            done = repair.repair(path)
            if done is not None:
                self._repaired.setdefault(key, []).append(name)
                log.warning("header-repaired", file=name, bytes=done.audio_bytes, seconds=round(done.audio_s, 3))

        try:
            await self._run(key, size, work)
        except MediaError as error:
            reason = error.details["reason"]
            if reason == "still-written":
                return False
            # Without audio it may still not be needed: the other files of a stereo section have it.
            if reason != "empty":
                raise
        return True

    async def _poll(self, key: str, deadline: float, wrong: Callable[[], MediaError | None]) -> MediaError | None:
        """Ask what is wrong until nothing is; after the deadline, gives the last answer (there is at least one)."""
        clock = asyncio.get_running_loop()
        pause_s = _POLL_S
        while True:
            error = await self._workers.run(key, _LOOK_WITHIN_S, wrong)
            if error is None or clock.time() >= deadline:
                return error
            await asyncio.sleep(min(pause_s, max(deadline - clock.time(), 0)))
            pause_s = min(pause_s * 2, _POLL_AT_MOST_S)

    async def _run(self, key: str, size: int, work: Callable[[], T]) -> T:
        return await self._workers.run(key, self._step_s + size / _SLOWEST_BYTES_PER_S, work)


def _none_there(paths: Iterable[Path]) -> MediaError | None:
    """What to say where none of these files is there, named after the first."""
    paths = list(paths)
    return None if any(_look_if_there(path) for path in paths) else missing(paths[0])


def _look_if_there(path: Path) -> Look | None:
    try:
        return repair.look(path)
    except MediaError as error:
        if error.details["reason"] not in _MISSING:
            raise
        return None
