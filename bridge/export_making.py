"""Makes one export's zip at a time, page by page, in a thread of its own."""

import asyncio
import contextlib
import threading
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from bridge.core.errors import MediaError, StoreError
from bridge.core.exports import Export, PartStatus, Progress, Reason, part_status
from bridge.core.space import LowSpace
from bridge.storage import export_parts
from bridge.storage.database import SqliteStore
from bridge.storage.export_parts import zip_of
from bridge.storage.export_zip import ExportZip
from bridge.storage.spool import Spool
from bridge.storage.workers import Workers
from bridge.storage.zips import StoppedError

log = structlog.get_logger()

T = TypeVar("T")

_PAGE = 250
_PROGRESS_EVERY_S = 1.0
_AGAIN_S = 5.0
_STEP_S = 120.0
_SLOWEST_BYTES_PER_S = 1_000_000


class SpoolAwayError(Exception):
    """The spool's disk is away: what is missing now may be there later."""


class AnewError(Exception):
    """What was in the zip already has been deleted: it must not be given to anybody."""


@dataclass(frozen=True, slots=True)
class Made:
    """A zip that is whole: how many recordings are missing in it, and the numbers of those parts that were deleted."""

    size_bytes: int
    missing: int
    left_out: Sequence[int]


async def insist(work: Callable[[], Awaitable[T]]) -> T:
    """Again and again while the database cannot be used."""
    while True:
        try:
            return await work()
        except StoreError as error:
            log.warning("exports-put-off", problem=error.message)
            await asyncio.sleep(_AGAIN_S)


class ZipMaker:
    """Makes them where the exporter wants them. `room` is what is left of the disk for recordings."""

    def __init__(
        self, store: SqliteStore, database: Path, spool: Spool, room: LowSpace, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._database = database
        self._spool = spool
        self._room = room
        self._clock = clock
        self._workers = Workers(1, "exports")
        self._stop = threading.Event()

    def stop(self) -> None:
        """The zip that is made now is not wanted any more: it ends with StoppedError, at its next chunk."""
        self._stop.set()

    async def close(self) -> None:
        """Let what runs come to its end; what hangs is left behind after 10 s."""
        self._stop.set()
        await self._workers.close()

    async def check_spool(self) -> None:
        """Raises SpoolAwayError, also where its disk does not answer."""

        def away() -> bool:
            return self._spool.unmounted() or not self._spool.local.is_dir()

        try:
            is_away = await self._workers.run("spool", _STEP_S, away)
        except (MediaError, OSError) as error:
            raise SpoolAwayError(f"spool {self._spool.local}: {error}") from error
        if is_away:
            raise SpoolAwayError(f"spool {self._spool.local} is not there")

    async def make(self, export: Export, progress: Callable[[Progress], Awaitable[None]]) -> Made:
        """Have the whole zip at its path. `progress` is told how far it is, first and now and then.

        Raises MediaError (its reason is a `Reason`, or of the disk), StoppedError, SpoolAwayError, AnewError, and what
        `progress` raises; then nothing of it is left.
        """
        self._stop = stop = threading.Event()
        path = zip_of(self._database, export.id)
        wanted = await insist(partial(export_parts.total_bytes, self._store, export.id))
        zipped = await self._run(export, 0, lambda: ExportZip(path, self._spool.local, self._room, stop.is_set))
        try:
            await self._run(export, 0, lambda: zipped.check_room(wanted))
            missing, left_out = await self._copy(export, zipped, wanted, progress)
            gone = await insist(partial(export_parts.deleted_parts, self._store, export.id))
            if set(gone).difference(left_out):
                raise AnewError
            size = await self._run(export, wanted, lambda: zipped.finish(self._clock()))
        finally:
            await self._discard(export, zipped)
        return Made(size, missing, left_out)

    async def _copy(
        self, export: Export, zipped: ExportZip, wanted: int, progress: Callable[[Progress], Awaitable[None]]
    ) -> tuple[int, "array[int]"]:
        done, missing, size, left_out = 0, 0, 0, array("q")
        await progress(Progress(0, 0, wanted, 0))
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        _, seen = await insist(self._store.fact_bounds)
        while True:
            page = partial(export_parts.parts, self._store, export.id, done - 1, _PAGE)
            parts = await insist(page)
            if not parts:
                break
            copied = await self._run(export, sum(one.size_bytes for one in parts), partial(zipped.copy, parts))
            if None in copied:
                await self.check_spool()
                # What is not there may just have been deleted: then it is not missing.
                parts = await insist(page)
            pairs = list(zip(parts, copied, strict=False))
            await self._run(export, 0, partial(zipped.note, pairs))
            missing += sum(part_status(*pair) is PartStatus.MISSING for pair in pairs)
            # Of what is missing the manifest says whose it was: it is deleted with the zip like what is in it.
            left_out.extend(part.number for part, one in pairs if part.deleted and one is None)
            done += len(copied)
            size += sum(one.size_bytes for one in copied if one is not None)
            if loop.time() - told_at >= _PROGRESS_EVERY_S:
                told_at = loop.time()
                _, upto = await insist(self._store.fact_bounds)
                gone = await insist(partial(export_parts.deleted_since, self._store, export.id, seen, upto))
                if {number for number in gone if number < done}.difference(left_out):
                    raise AnewError
                seen = upto
                await progress(Progress(done, missing, wanted, size))
        if self._stop.is_set():
            raise StoppedError
        if done != export.recordings:
            raise MediaError(f"export {export.id} has lost some of its parts", reason=Reason.FAULT.value)
        return missing, left_out

    async def _discard(self, export: Export, zipped: ExportZip) -> None:
        self._stop.set()
        await self._workers.close()
        with contextlib.suppress(MediaError):  # a step of it hangs: the next start sweeps
            await self._workers.run(export.id, _STEP_S, zipped.discard)

    async def _run(self, export: Export, size: int, work: Callable[[], T]) -> T:
        return await self._workers.run(export.id, _STEP_S + size / _SLOWEST_BYTES_PER_S, work)
