"""Does what the recorder decided: one act in, one report out, within a deadline, never an exception."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from bridge.asterisk import mixmonitor
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.mixmonitor import MixMonitorId
from bridge.asterisk.policy import ConnectionState
from bridge.core.decisions import (
    Act,
    FileInspected,
    FilesMeasured,
    FilesNotMeasured,
    FileUnreadable,
    FileWatched,
    FindMixMonitor,
    InspectFile,
    MeasureFiles,
    MixMonitorAccepted,
    MixMonitorFound,
    MixMonitorNotSought,
    MixMonitorProbed,
    MixMonitorRefused,
    MuteAnswered,
    MuteMixMonitor,
    MuteUnanswered,
    ProbeMixMonitor,
    Report,
    StartMixMonitor,
    StopAnswered,
    StopMixMonitor,
    StopUnanswered,
    WatchFile,
)
from bridge.core.errors import AsteriskError, AsteriskRefusedError, MediaError
from bridge.core.ids import SectionKey
from bridge.storage.growth import Looks
from bridge.storage.media import MediaInspector
from bridge.storage.spool import Spool

log = structlog.get_logger()

_DAY_WITHIN_S = 1.0
"""A disk that hangs must not keep a recording from beginning."""
_SEEN_WITHIN_S = 2.0
_FINAL_WITHIN_S = 10.0
_MEASURED_WITHIN_S = 3.0


class Hands:
    """Acts on Asterisk and on the spool. `file_unseen` is a section whose WAV did not appear where we look, or None."""

    def __init__(
        self, connection: AmiConnection, spool: Spool, inspector: MediaInspector, clock: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._inspector = inspector
        self._clock = clock
        self._looks = Looks(spool.local_path)
        self._measures = True
        self._day = ""
        self.file_unseen: SectionKey | None = None

    async def perform(self, act: Act) -> Report:
        """Do one act."""
        try:
            match act:
                case StartMixMonitor():
                    return await self._start(act)
                case StopMixMonitor():
                    return await self._stop(act)
                case MuteMixMonitor():
                    return await self._mute(act)
                case ProbeMixMonitor():
                    return await self._probe(act)
                case FindMixMonitor():
                    return await self._find(act)
                case WatchFile():
                    return await self._watch(act)
                case InspectFile():
                    return await self._inspect(act)
                case MeasureFiles():
                    return await self._measure(act)
        except Exception as error:  # the section must not wait for ever because of our mistake
            log.exception("act-failed", act=type(act).__name__)
            return _gave_up(act, self._clock(), str(error))

    async def _start(self, act: StartMixMonitor) -> Report:
        try:
            await self._prepare_day(act.wav.path)
            where = self._spool.asterisk_path
            options = mixmonitor.Options(
                receive=where(act.wav.receive) if act.wav.stereo else None,
                transmit=where(act.wav.transmit) if act.wav.stereo else None,
                beep_every_s=act.beep_s,
            )
            rule = act.key.rule_id
            mixmonitor_id = await mixmonitor.start(
                self._connection, act.leg, where(act.wav.mixed), rule, options=options
            )
        except AsteriskError as error:
            log.warning("mixmonitor-refused", section=_name(act.key), code=error.code, problem=error.message)
            return MixMonitorRefused(self._clock(), act.key, error.code, error.message)
        return MixMonitorAccepted(self._clock(), act.key, mixmonitor_id)

    async def _prepare_day(self, path: str) -> None:
        """The day's folder. Where we cannot make it Asterisk still may: MixMonitor makes folders by itself."""
        day = path.rsplit("/", 1)[0]
        if day == self._day:
            return
        try:
            async with asyncio.timeout(_DAY_WITHIN_S):
                await asyncio.to_thread(self._spool.prepare_day, path)
        except (OSError, MediaError) as error:
            log.error("day-folder-not-made", day=day, problem=str(error) or type(error).__name__)
            return
        self._day = day

    async def _unmounted(self) -> bool:
        try:
            async with asyncio.timeout(_DAY_WITHIN_S):
                return await asyncio.to_thread(self._spool.unmounted)
        except TimeoutError:
            return True

    async def _stop(self, act: StopMixMonitor) -> Report:
        try:
            await mixmonitor.stop(self._connection, act.leg, MixMonitorId(act.mixmonitor_id))
        except AsteriskError as error:
            if not (isinstance(error, AsteriskRefusedError) and mixmonitor.is_gone(error)):
                log.warning("mixmonitor-not-stopped", section=_name(act.key), code=error.code, problem=error.message)
                return StopUnanswered(self._clock(), act.key, error.code)
            # The channel, or this MixMonitor on it, is gone already: then its file is closed.
            log.debug("nothing-to-stop", section=_name(act.key), answer=error.message)
            return StopAnswered(self._clock(), act.key, ran=False)
        return StopAnswered(self._clock(), act.key)

    async def _mute(self, act: MuteMixMonitor) -> Report:
        try:
            await mixmonitor.mute(self._connection, act.leg, MixMonitorId(act.mixmonitor_id), muted=act.muted)
        except AsteriskError as error:
            name, problem = _name(act.key), error.message
            log.warning("mixmonitor-not-muted", section=name, muted=act.muted, code=error.code, problem=problem)
            return MuteUnanswered(self._clock(), act.key, act.muted, error.code)
        return MuteAnswered(self._clock(), act.key, act.muted)

    async def _probe(self, act: ProbeMixMonitor) -> Report:
        path, mixmonitor_id = self._spool.asterisk_path(act.wav.mixed), MixMonitorId(act.mixmonitor_id)
        try:
            running = await mixmonitor.runs(self._connection, act.leg, path, mixmonitor_id)
        except AsteriskError as error:
            log.warning("mixmonitor-not-probed", section=_name(act.key), code=error.code, problem=error.message)
            running = True
        return MixMonitorProbed(self._clock(), act.key, running)

    async def _find(self, act: FindMixMonitor) -> Report:
        path = self._spool.asterisk_path(act.wav.mixed)
        try:
            if act.mixmonitor_id is None:
                found = await mixmonitor.find(self._connection, act.leg, path, act.key.rule_id)
            else:
                known = MixMonitorId(act.mixmonitor_id)
                found = known if await mixmonitor.runs(self._connection, act.leg, path, known) else None
        except AsteriskError as error:
            log.warning("mixmonitor-not-sought", section=_name(act.key), code=error.code, problem=error.message)
            return MixMonitorNotSought(self._clock(), act.key, error.code)
        return MixMonitorFound(self._clock(), act.key, found)

    async def _watch(self, act: WatchFile) -> Report:
        here = self._spool.local_path(act.wav.mixed)
        problem = "it did not appear"
        try:
            seen = await self._inspector.wait_for_file(here, _SEEN_WITHIN_S)
        except MediaError as error:
            seen, problem = False, error.message
        if seen:
            self.file_unseen = None
        else:
            self.file_unseen = act.key
            log.error(
                "file-not-seen",
                section=_name(act.key),
                here=str(here),
                asterisk=self._spool.asterisk_path(act.wav.mixed),
                problem=problem,
            )
        return FileWatched(self._clock(), act.key, seen)

    async def _measure(self, act: MeasureFiles) -> Report:
        try:
            grown = await self._looks.look(act.files, _MEASURED_WITHIN_S)
        except MediaError as error:
            if self._measures:
                log.error("files-not-measured", files=len(act.files), problem=error.message)
            self._measures = False
            return FilesNotMeasured(self._clock(), error.message)
        self._measures = True
        connected = self._connection.state is ConnectionState.CONNECTED
        return FilesMeasured(self._clock(), grown, connected)

    async def _inspect(self, act: InspectFile) -> Report:
        try:
            inspection = await self._inspector.inspect_section(
                act.wav, self._spool.local_path, _FINAL_WITHIN_S, abandoned=act.abandoned
            )
        except MediaError as error:
            reason = str(error.details.get("reason", error.code))
            if reason == "file-missing" and await self._unmounted():
                reason = "spool-missing"  # it lies on the disk that is to come back
            log.error("file-unreadable", section=_name(act.key), reason=reason, problem=error.message)
            return FileUnreadable(self._clock(), act.key, reason, error.message)
        if not inspection.whole:
            log.error("side-missing", section=_name(act.key), remedy="what there is of it is kept in its place")
        return FileInspected(self._clock(), act.key, inspection.report, inspection.repaired)


def _name(key: SectionKey) -> str:
    return f"{key.record_id}/{key.rule_id}/{key.file}"


def _gave_up(act: Act, at: datetime, message: str) -> Report:
    match act:
        case StartMixMonitor():
            return MixMonitorRefused(at, act.key, "internal-error", message)
        case StopMixMonitor():
            return StopUnanswered(at, act.key, "internal-error")
        case MuteMixMonitor():
            return MuteUnanswered(at, act.key, act.muted, "internal-error")
        case ProbeMixMonitor():
            return MixMonitorProbed(at, act.key, runs=True)
        case FindMixMonitor():
            return MixMonitorNotSought(at, act.key, "internal-error")
        case WatchFile():
            return FileWatched(at, act.key, seen=False)
        case InspectFile():
            return FileUnreadable(at, act.key, "internal-error", message)
        case MeasureFiles():
            return FilesNotMeasured(at, message)
