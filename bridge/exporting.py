"""Exports: asks are kept, and made one at a time; what is finished is watched over until its zip goes."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog

from bridge.core.access import Reader
from bridge.core.errors import ExportGoneError, IllegalTransitionError, MediaError, StoreError, TooManyExportsError
from bridge.core.export_mails import words_of
from bridge.core.exports import UNDER_WAY, Export, ExportId, ExportStatus, Progress, Reason, WantedRecording
from bridge.core.ids import FactNumber, Identity
from bridge.core.records import Fact, FactKind
from bridge.core.settings import Settings
from bridge.core.space import LowSpace
from bridge.core.store import AppendFact, PutExport
from bridge.export_making import AnewError, Made, SpoolAwayError, ZipMaker, insist
from bridge.mail import Mailer
from bridge.noting import NotedLately
from bridge.storage import export_parts
from bridge.storage.database import SqliteStore
from bridge.storage.export_parts import Recall, ended_fact, folder_of, remove_zip, zip_of
from bridge.storage.export_rows import Rewrites, ending_mails
from bridge.storage.export_zip import sweep
from bridge.storage.spool import Spool
from bridge.storage.zips import StoppedError

log = structlog.get_logger()

_UNDER_WAY_AT_MOST = 50
_OF_ONE_AT_MOST = 10
_LOOK_EVERY_S = 5.0
_AGAIN_S = 5.0
_FORGET_AFTER = timedelta(days=30)
_TAKEN_AT_MOST = 1000
_OVER = frozenset({ExportStatus.DELETED, ExportStatus.ERROR})
_REASONS = {one.value: one for one in Reason}


@dataclass(frozen=True, slots=True)
class Terms:
    """`keep` counts where an admin has not set `export_days`; `room` is left on the disk for recordings.

    `base_url` is how the readers of mails reach the API.
    """

    systemname: str
    keep: timedelta
    room: LowSpace
    base_url: str


class Exporter:
    """The `Exports` of the API, and the daemon's task that makes them."""

    def __init__(
        self,
        store: SqliteStore,
        database: Path,
        spool: Spool,
        terms: Terms,
        *,
        mailer: Mailer,
        settings: Callable[[], Settings],
        clock: Callable[[], datetime],
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        """`look_every_s`: how often is looked for zips that must go."""
        self._store = store
        self._database = database
        self._terms = terms
        self._mailer = mailer
        self._settings = settings
        self._clock = clock
        self._look_every_s = look_every_s
        self._recall = Recall(store, database, clock)
        self._maker = ZipMaker(store, database, spool, terms.room, clock)
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._making: ExportId | None = None
        self._taken: NotedLately[tuple[ExportId, Identity]] = NotedLately(_TAKEN_AT_MOST)

    # What the API asks

    async def ask(self, recordings: Sequence[WantedRecording], reader: Reader, email: str, link: str) -> Export:
        """A new export of these recordings. `link` is the path that the mail shows, its id for `{}`.

        It is kept when this returns, and made by and by. Raises StoreError, TooManyExportsError.
        """
        export_id = ExportId(str(uuid4()))
        export = Export(
            id=export_id,
            owner=reader.identity,
            asked_at=self._clock(),
            status=ExportStatus.PENDING,
            calls=len({number for number, _ in recordings}),
            recordings=len(recordings),
            email=email,
            url=f"{self._terms.base_url}{link.format(export_id)}" if email else "",
        )
        data = {"export": export.id, "calls": export.calls, "recordings": export.recordings}
        asked = Fact(FactKind.EXPORT_ASKED, export.asked_at, data=data, personal={"identity": reader.identity})
        async with self._lock:
            under_way = await self._store.exports(UNDER_WAY)
            own = [one for one in under_way if one.owner == reader.identity]
            if len(under_way) >= _UNDER_WAY_AT_MOST or len(own) >= _OF_ONE_AT_MOST:
                raise TooManyExportsError(
                    f"{len(own)} exports of yours, {len(under_way)} in all, are under way: wait until one is done"
                )
            await export_parts.add_parts(self._store, export.id, self._terms.systemname, recordings)
            await self._store.commit([PutExport(export), AppendFact(asked)])
        self._wake.set()
        return export

    async def cancel(self, export: Export, reader: Reader) -> None:
        """Stop making it, or delete what was made; nothing where that is done already. Raises StoreError."""
        with contextlib.suppress(IllegalTransitionError):
            await self._delete(export.id, Reason.CANCELLED, reader)
        if self._making == export.id:
            self._maker.stop()

    def file(self, export: Export) -> Path:
        """Where the zip of a finished export lies."""
        return zip_of(self._database, export.id)

    async def download(self, export: Export, reader: Reader) -> Path:
        """Where the zip lies, for a download that begins now; who takes it is a fact.

        Raises ExportGoneError where it is not finished, over its time, or holds what was deleted meanwhile: the store
        has its new state then. Raises StoreError.
        """
        found = await self._store.export(export.id)
        path = self.file(export)
        if found is None or found.status is not ExportStatus.FINISHED:
            raise ExportGoneError("this export has no zip, or not any more")
        if found.expires_at is not None and found.expires_at <= self._clock():
            await self._drop(found, Reason.EXPIRED)
            raise ExportGoneError("this export is over its time")
        if await self._recall.this(found):
            raise ExportGoneError("a recording in this export was deleted: ask for a new one")
        if not await asyncio.to_thread(path.is_file):
            await self._drop(found, Reason.FILE_MISSING)
            raise ExportGoneError("the zip of this export is missing: ask for a new one")
        # Of a zip that is fetched in many pieces there is one fact, not one for each.
        taker = (export.id, reader.identity)
        await self._taken.note(taker, self._clock(), partial(self._keep_taken, found, reader))
        return path

    async def _keep_taken(self, export: Export, reader: Reader) -> None:
        await export_parts.hand_out(self._store, export.id)
        data = {"export": export.id, "recordings": export.recordings}
        personal = {"identity": reader.identity}
        taken = Fact(FactKind.EXPORT_DOWNLOADED, self._clock(), data=data, personal=personal)
        await self._store.commit([AppendFact(taken)])

    # The task

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._begin()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._make_all())
                group.create_task(self._look_after())
        finally:
            await self._maker.close()

    async def _begin(self) -> None:
        while True:
            try:
                return await insist(self._take_up)
            except Exception:  # what it is for must not end the recording of all calls
                log.exception("exports-not-taken-up")
                await asyncio.sleep(_AGAIN_S)

    async def _take_up(self) -> None:
        """What a restart left: what was being made is made anew, what has no row or no zip goes."""
        await self._recall.holding_deleted()
        async with self._lock:  # what is being asked for has parts before it has a row
            await export_parts.end_stray_parts(self._store)
        for export in await self._store.exports({ExportStatus.PROCESSING}):
            await self._change(export.id, Export.put_back)
        for export in await self._store.exports({ExportStatus.FINISHED}):
            if not await asyncio.to_thread(self.file(export).is_file):
                await self._drop(export, Reason.FILE_MISSING)
        finished = {one.id for one in await self._store.exports({ExportStatus.FINISHED})}
        folder = folder_of(self._database)
        try:
            removed = await asyncio.to_thread(sweep, folder, lambda name: ExportId(name) in finished)
        except OSError as error:
            log.error("exports-not-swept", folder=str(folder), problem=str(error))
        else:
            if removed:
                log.info("exports-swept", files=removed)

    async def _look_after(self) -> None:
        """End what must go: what holds a section that is deleted since, and what is over its time."""
        seen = FactNumber(0)
        while True:
            try:
                _, upto = await self._store.fact_bounds()
                await (self._recall.deleted_since(seen, upto) if seen else self._recall.holding_deleted())
                seen = upto
                await self._end_old()
            except StoreError as error:
                log.warning("exports-put-off", problem=error.message)
            except Exception:  # what it is for must not end the recording of all calls
                log.exception("exports-not-looked-after")
            await asyncio.sleep(self._look_every_s)

    async def _end_old(self) -> None:
        now = self._clock()
        for export in await self._store.exports({ExportStatus.FINISHED}):
            if export.expires_at is not None and export.expires_at <= now:
                await self._drop(export, Reason.EXPIRED)
        over = await self._store.exports(_OVER, now - _FORGET_AFTER)
        if over:
            await export_parts.forget(self._store, over)

    async def _make_all(self) -> None:
        while True:
            self._wake.clear()
            wait_s: float | None = None
            try:
                pending = await self._store.exports({ExportStatus.PENDING})
                if pending:
                    await self._make(pending[0])
                    continue
            except (StoreError, SpoolAwayError) as error:
                log.warning("export-put-off", problem=str(error))
                wait_s = _AGAIN_S
            except Exception:  # what it is for must not end the recording of all calls
                log.exception("exports-failed")
                wait_s = _AGAIN_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _make(self, export: Export) -> None:
        self._making = export.id
        try:
            await self._maker.check_spool()
            await insist(partial(self._change, export.id, lambda one: one.begun(self._clock())))
            made = await self._maker.make(export, partial(self._progress, export.id))
            await insist(partial(self._finish, export, made))
            await insist(partial(self._recall.this, export))
        except (StoppedError, IllegalTransitionError):
            log.info("export-stopped", export=export.id)
        except AnewError:
            log.info("export-begun-anew", export=export.id, why="a recording was deleted meanwhile")
            await insist(partial(self._put_back, export))
        except SpoolAwayError:
            await insist(partial(self._put_back, export))
            raise
        except MediaError as error:
            log.error("export-failed", export=export.id, problem=error.message)
            reason = _REASONS.get(str(error.details.get("reason")), Reason.DISK_ERROR)
            await insist(partial(self._fail, export, reason))
        except Exception:
            log.exception("export-failed", export=export.id)
            await insist(partial(self._fail, export, Reason.FAULT))
        finally:
            self._making = None

    async def _progress(self, export_id: ExportId, progress: Progress) -> None:
        now = self._clock()
        with contextlib.suppress(StoreError):  # the next one says more
            await self._change(export_id, lambda one: one.progressed(now, progress))

    # What becomes of one

    async def _change(
        self,
        export_id: ExportId,
        move: Callable[[Export], Export],
        with_it: Callable[[Export], tuple[Sequence[Fact], Rewrites]] = lambda _: ((), ()),
    ) -> Export:
        """Take it to another state, `with_it` in the same commit. Raises IllegalTransitionError, StoreError."""
        async with self._lock:
            found = await self._store.export(export_id)
            if found is None:
                raise IllegalTransitionError(f"there is no export {export_id} any more")
            moved = move(found)
            facts, rewrites = with_it(moved)
            await self._store.commit([PutExport(moved), *map(AppendFact, facts)], rewrites=rewrites)
            return moved

    async def _finish(self, export: Export, made: Made) -> None:
        days = self._settings().export_days
        keep = self._terms.keep if days is None else timedelta(days=min(days, timedelta.max.days))
        now = self._clock()
        rewrites = export_parts.ending_some(export.id, made.left_out)
        try:
            await self._end(export.id, lambda one: one.finished(now, keep, made.size_bytes, made.missing), rewrites)
        except IllegalTransitionError:
            found = await self._store.export(export.id)
            if found is None or found.status is not ExportStatus.FINISHED:  # else an earlier try was kept
                await asyncio.to_thread(remove_zip, self._database, export.id)
                raise

    async def _fail(self, export: Export, reason: Reason) -> None:
        with contextlib.suppress(IllegalTransitionError):
            await self._end(export.id, lambda one: one.failed(reason), export_parts.ending_parts(export.id))

    async def _put_back(self, export: Export) -> None:
        with contextlib.suppress(IllegalTransitionError):
            await self._change(export.id, Export.put_back)

    async def _end(self, export_id: ExportId, move: Callable[[Export], Export], rewrites: Rewrites) -> None:
        """It is finished or has failed: who asked is mailed."""

        def with_it(ended: Export) -> tuple[Sequence[Fact], Rewrites]:
            mails = self._mailer.keeping(ended.email, *words_of(ended)) if ended.email else ()
            mail = "none" if not ended.email else "kept" if mails else "not-sent"
            return [ended_fact(ended, self._clock(), mail=mail)], [*rewrites, *mails, *ending_mails(export_id)]

        ended = await self._change(export_id, move, with_it)
        self._mailer.wake()
        log.info("export-ended", export=ended.id, status=str(ended.status), reason=ended.reason)

    async def _drop(self, export: Export, reason: Reason) -> None:
        with contextlib.suppress(IllegalTransitionError):
            await self._delete(export.id, reason)

    async def _delete(self, export_id: ExportId, reason: Reason, by: Reader | None = None) -> None:
        def with_it(ended: Export) -> tuple[Sequence[Fact], Rewrites]:
            fact = ended_fact(ended, self._clock())
            fact = fact if by is None else replace(fact, personal={"identity": by.identity})
            return [fact], export_parts.ending_parts(export_id)

        ended = await self._change(export_id, lambda one: one.deleted(reason), with_it)
        await asyncio.to_thread(remove_zip, self._database, export_id)
        log.info("export-ended", export=ended.id, status=str(ended.status), reason=ended.reason)
