"""Exports: many recordings at once, as one zip with a manifest."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from io import StringIO
from typing import Final, NewType

from bridge.core.access import Reader
from bridge.core.cdrs import CdrNumber, KeptCdr, recording_uuid
from bridge.core.errors import IllegalTransitionError
from bridge.core.ids import Identity, SectionKey
from bridge.core.views import sees_section

ExportId = NewType("ExportId", str)
"""A UUID, in text."""

MANIFEST: Final = "manifest.csv"
"""Its name in the zip."""


class ExportStatus(StrEnum):
    """An export's life, in Wazo's words: deleted is cancelled, expired, or holding what had to be erased."""

    PENDING = "pending"
    PROCESSING = "processing"
    FINISHED = "finished"
    DELETED = "deleted"
    ERROR = "error"


_MAY_FOLLOW: Final[Mapping[ExportStatus, frozenset[ExportStatus]]] = {
    ExportStatus.PENDING: frozenset({ExportStatus.PROCESSING, ExportStatus.DELETED}),
    # Back to pending: after a restart, or when what it was made of has changed meanwhile.
    ExportStatus.PROCESSING: frozenset(
        {ExportStatus.PENDING, ExportStatus.FINISHED, ExportStatus.ERROR, ExportStatus.DELETED}
    ),
    ExportStatus.FINISHED: frozenset({ExportStatus.DELETED}),
    ExportStatus.ERROR: frozenset({ExportStatus.DELETED}),
    ExportStatus.DELETED: frozenset(),
}

ALL_STATUSES: Final = frozenset(ExportStatus)
UNDER_WAY: Final = frozenset({ExportStatus.PENDING, ExportStatus.PROCESSING})
"""States that end by themselves."""

_KEEP_AT_MOST: Final = timedelta(days=36_525)
_NOTHING_DONE: Final = {"done": 0, "missing": 0, "wanted_bytes": 0, "done_bytes": 0, "begun_at": None, "told_at": None}
_SOUND_AFTER: Final = timedelta(seconds=3)
_SOUND_SHARE: Final = 0.02


class Reason(StrEnum):
    """Why an export ended as error or deleted."""

    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RECORDING_DELETED = "recording-deleted"
    FILE_MISSING = "file-missing"
    NO_SPACE = "no-space"
    DISK_ERROR = "disk-error"
    TIMEOUT = "timeout"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the making of an export is; as the fields of the same names in `Export`."""

    done: int
    missing: int
    wanted_bytes: int
    done_bytes: int


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it is kept.

    `calls` is of how many finished calls recordings were wanted; `recordings` how many of them there are, `done` how
    many are in the zip or, missing, in its manifest alone (`missing`). `wanted_bytes` is the size of those that were
    there when it was begun, `done_bytes` of those that are in the zip. `size_bytes` is the zip's, once finished.
    `told_at` is when its progress was kept last. `reason` says in a code (`Reason`) why it ended as error or deleted.
    `url` is where the mail's reader finds the zip, '' where nobody is mailed. All times are aware.
    """

    id: ExportId
    owner: Identity
    asked_at: datetime
    status: ExportStatus
    calls: int
    recordings: int
    email: str = ""
    done: int = 0
    missing: int = 0
    size_bytes: int | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str | None = None
    url: str = ""
    wanted_bytes: int = 0
    done_bytes: int = 0
    begun_at: datetime | None = None
    told_at: datetime | None = None

    def begun(self, at: datetime) -> "Export":
        """It is being made, from the start."""
        return self._moved(ExportStatus.PROCESSING, **{**_NOTHING_DONE, "begun_at": at})

    def progressed(self, at: datetime, progress: "Progress") -> "Export":
        """So far it has come. Raises IllegalTransitionError where it is not being made any more."""
        if self.status is not ExportStatus.PROCESSING:
            raise IllegalTransitionError(f"export {self.id} is {self.status}: it is not being made")
        return replace(
            self,
            done=progress.done,
            missing=progress.missing,
            wanted_bytes=progress.wanted_bytes,
            done_bytes=progress.done_bytes,
            told_at=at,
        )

    def put_back(self) -> "Export":
        """It is to be made anew."""
        return self._moved(ExportStatus.PENDING, **_NOTHING_DONE)

    @property
    def ends_at(self) -> datetime | None:
        """When it will be made at the rate so far; None while that would be a guess."""
        if self.status is not ExportStatus.PROCESSING or self.begun_at is None or self.told_at is None:
            return None
        took = self.told_at - self.begun_at
        if took < _SOUND_AFTER or self.done_bytes < self.wanted_bytes * _SOUND_SHARE or not self.done_bytes:
            return None
        return self.told_at + took * max(0.0, self.wanted_bytes / self.done_bytes - 1)

    def finished(self, at: datetime, keep: timedelta, size_bytes: int, missing: int) -> "Export":
        """It is whole, and is kept so long (a hundred years at most)."""
        return self._moved(
            ExportStatus.FINISHED,
            done=self.recordings,
            missing=missing,
            done_bytes=self.wanted_bytes,
            size_bytes=size_bytes,
            finished_at=at,
            expires_at=at + min(keep, _KEEP_AT_MOST),
        )

    def failed(self, reason: Reason) -> "Export":
        """It cannot be made."""
        return self._moved(ExportStatus.ERROR, reason=reason.value)

    def deleted(self, reason: Reason) -> "Export":
        """Its zip goes, or is not made."""
        return self._moved(ExportStatus.DELETED, reason=reason.value)

    def _moved(self, to: ExportStatus, **values: object) -> "Export":
        if to not in _MAY_FOLLOW[self.status]:
            raise IllegalTransitionError(f"export {self.id} is {self.status}: it cannot be {to}")
        return replace(self, status=to, **values)  # type: ignore[arg-type]  # named above


WantedRecording = tuple[CdrNumber, SectionKey]
"""A recording that an export is asked for, and of which call: light, as there are thousands."""


def recordings_of(call: KeptCdr, reader: Reader) -> list[WantedRecording]:
    """What an export of this call is made of: the recordings that are there and that the reader may see."""
    return [
        (call.number, one.key)
        for one in call.sections
        if one.deleted_at is None and one.report is not None and sees_section(one, reader)
    ]


class PartStatus(StrEnum):
    """What became of a recording: in the zip, in it with other bytes than those that were stored, or not in it."""

    OK = "ok"
    CHANGED = "changed"
    MISSING = "missing"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was written into the zip of one file: bytes, and their SHA-256 (hex)."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """A recording that is wanted, as it is kept now; lighter than its section, as there are thousands.

    `name` is where it lies in the zip, `path` where in the spool. `at` and `ended_at` are aware. Where `deleted` its
    audio is gone, and nobody is named; where nothing is kept of it any more, all but the first three are empty too.
    """

    number: int
    cdr: CdrNumber
    key: SectionKey
    name: str = ""
    path: str = ""
    at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float = 0.0
    owner: str = ""
    tags: tuple[str, ...] = ()
    size_bytes: int = 0
    stored_sha256: str = ""
    deleted: bool = True


def part_status(part: Part, copied: Copied | None) -> PartStatus:
    """What became of it."""
    if part.deleted:
        return PartStatus.DELETED
    if copied is None:
        return PartStatus.MISSING
    return PartStatus.OK if part.stored_sha256 == copied.sha256 else PartStatus.CHANGED


MANIFEST_COLUMNS: Final = (
    "cdr_id",
    "recording_uuid",
    "file_name",
    "record_id",
    "rule_id",
    "file",
    "start",
    "end",
    "duration_s",
    "identity",
    "tags",
    "size_bytes",
    "sha256",
    "stored_sha256",
    "status",
)


def manifest_row(part: Part, copied: Copied | None) -> Sequence[str]:
    """A recording's row, by `MANIFEST_COLUMNS`. `sha256` and `size_bytes` are of what is in the zip.

    Of what is deleted nobody is named.
    """
    status = part_status(part, copied)
    deleted = status is PartStatus.DELETED
    return [
        str(part.cdr),
        str(recording_uuid(part.key)),
        part.name,
        part.key.record_id,
        str(part.key.rule_id),
        str(part.key.file),
        _time(part.at),
        _time(part.ended_at),
        f"{part.duration_s:.3f}",
        "" if deleted else part.owner,
        ";".join(part.tags),
        "" if copied is None or deleted else str(copied.size_bytes),
        "" if copied is None or deleted else copied.sha256,
        part.stored_sha256,
        status.value,
    ]


_FORMULAS: Final = frozenset("=+-@\t\r\n")


def csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV (RFC 4180, UTF-8). What a spreadsheet would take for a formula begins with an apostrophe."""
    text = StringIO()
    csv.writer(text).writerows([_harmless(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _harmless(value: str) -> str:
    return f"'{value}" if value[:1] in _FORMULAS else value


def _time(at: datetime | None) -> str:
    return "" if at is None else at.isoformat(timespec="milliseconds")
