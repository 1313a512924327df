"""What the recorder asks of the edges, and what the edges tell it back.

A decision is either something to keep (`store.Change`) or something to do (`Act`). What is to be kept is on disk
before anything is done. Every act is answered by exactly one report, also where it failed or took too long.
"""

from dataclasses import dataclass
from datetime import datetime

from bridge.core.ids import SectionKey, Uniqueid
from bridge.core.records import AudioReport
from bridge.core.store import Change


@dataclass(frozen=True, slots=True)
class StartMixMonitor:
    """Run MixMonitor on `leg` into `path` (relative to the spool)."""

    key: SectionKey
    leg: Uniqueid
    path: str


@dataclass(frozen=True, slots=True)
class StopMixMonitor:
    """Stop the MixMonitor with this id on `leg`."""

    key: SectionKey
    leg: Uniqueid
    mixmonitor_id: str


@dataclass(frozen=True, slots=True)
class WatchFile:
    """See whether the WAV has appeared where we look for it."""

    key: SectionKey
    path: str


@dataclass(frozen=True, slots=True)
class InspectFile:
    """Wait for the WAV to be final, open and measure it."""

    key: SectionKey
    path: str


Act = StartMixMonitor | StopMixMonitor | WatchFile | InspectFile
Decision = Change | Act


@dataclass(frozen=True, slots=True)
class MixMonitorAccepted:
    """MixMonitor answered Success with this id."""

    at: datetime
    key: SectionKey
    mixmonitor_id: str


@dataclass(frozen=True, slots=True)
class MixMonitorRefused:
    """MixMonitor did not start, as far as we know: `code` is an error's, `message` Asterisk's or ours."""

    at: datetime
    key: SectionKey
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StopAnswered:
    """StopMixMonitor was answered: the file is closed, or there was nothing to stop any more."""

    at: datetime
    key: SectionKey


@dataclass(frozen=True, slots=True)
class StopUnanswered:
    """Asterisk could not be asked to stop; it may go on writing."""

    at: datetime
    key: SectionKey
    code: str


@dataclass(frozen=True, slots=True)
class FileWatched:
    """Whether the WAV was seen in time."""

    at: datetime
    key: SectionKey
    seen: bool


@dataclass(frozen=True, slots=True)
class FileInspected:
    """The WAV is whole, and this is in it."""

    at: datetime
    key: SectionKey
    report: AudioReport


@dataclass(frozen=True, slots=True)
class FileUnreadable:
    """The WAV is missing or no audio; `reason` is a code."""

    at: datetime
    key: SectionKey
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: `Recorder.wake_at` has come."""

    at: datetime


Report = (
    MixMonitorAccepted
    | MixMonitorRefused
    | StopAnswered
    | StopUnanswered
    | FileWatched
    | FileInspected
    | FileUnreadable
    | Tick
)
