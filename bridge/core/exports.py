"""Exports: many recordings at once, as one zip with a manifest."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from bridge.core.cdrs import CdrNumber
from bridge.core.ids import Identity

ExportId = NewType("ExportId", str)
"""A UUID, in text."""


class ExportStatus(StrEnum):
    """An export's life, in Wazo's words: deleted is cancelled, expired, or holding what had to be erased."""

    PENDING = "pending"
    PROCESSING = "processing"
    FINISHED = "finished"
    DELETED = "deleted"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it is kept.

    `calls` are the finished calls whose recordings were wanted when it was asked for; `recordings` how many of them
    there are, `done` how many are in the zip or, missing, in its manifest alone (`missing`). `size_bytes` and `sha256`
    are the zip's, once finished. `reason` says in a code why it ended as error or deleted. `url` is where the mail's
    reader finds the zip, '' where nobody is mailed. All times are aware.
    """

    id: ExportId
    owner: Identity
    asked_at: datetime
    status: ExportStatus
    calls: tuple[CdrNumber, ...]
    recordings: int
    email: str = ""
    done: int = 0
    missing: int = 0
    size_bytes: int | None = None
    sha256: str | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str | None = None
    url: str = ""
