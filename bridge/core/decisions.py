"""What the recorder asks of the edges, and what the edges tell it back.

A decision is something to keep (`store.Change`), something to do (`Act`), or what to tell one who has asked
(`commands.Answer`). What is to be kept is on disk before anything is done or told. Every act is answered by exactly one
report, also where it failed or took too long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from bridge.core.commands import Answer
from bridge.core.ids import SectionKey, Uniqueid
from bridge.core.records import AudioReport, Section
from bridge.core.store import Change


@dataclass(frozen=True, slots=True)
class Wav:
    """The file of a section, and the files that MixMonitor writes for it; all paths are relative to the spool.

    MixMonitor names a format by the file's ending: `.wav` is 8 kHz, `.wav16` 16 kHz. For stereo it writes what the leg
    says (`receive`) and what it hears (`transmit`) beside the mixed file; they are joined when all are closed.
    """

    path: str
    stereo: bool = False
    leg_is_left: bool = False
    rate_hz: int = 8000

    @property
    def _stem(self) -> str:
        return self.path.removesuffix(".wav")

    @property
    def _ending(self) -> str:
        return ".wav16" if self.rate_hz == 16000 else ".wav"

    @property
    def mixed(self) -> str:
        """The file with both sides in one channel."""
        return self._stem + self._ending

    @property
    def receive(self) -> str:
        """The leg's own voice, for stereo."""
        return f"{self._stem}_r{self._ending}"

    @property
    def transmit(self) -> str:
        """What the leg hears, for stereo."""
        return f"{self._stem}_t{self._ending}"


def wav_of(section: Section) -> Wav:
    """The file of a section."""
    return Wav(section.path, section.stereo, section.leg_is_left, section.rate_hz)


@dataclass(frozen=True, slots=True)
class StartMixMonitor:
    """Run MixMonitor on `leg` into `wav`, with a beep to both every `beep_s` seconds (none: no beep)."""

    key: SectionKey
    leg: Uniqueid
    wav: Wav
    beep_s: int | None = None


@dataclass(frozen=True, slots=True)
class StopMixMonitor:
    """Stop the MixMonitor with this id on `leg`."""

    key: SectionKey
    leg: Uniqueid
    mixmonitor_id: str


@dataclass(frozen=True, slots=True)
class MuteMixMonitor:
    """Have the MixMonitor with this id on `leg` write silence, or (`muted` False) the talk again."""

    key: SectionKey
    leg: Uniqueid
    mixmonitor_id: str
    muted: bool


@dataclass(frozen=True, slots=True)
class ProbeMixMonitor:
    """See whether the MixMonitor with this id still runs on `leg`, and writes the section's file."""

    key: SectionKey
    leg: Uniqueid
    wav: Wav
    mixmonitor_id: str


@dataclass(frozen=True, slots=True)
class WatchFile:
    """See whether the WAV has appeared where we look for it."""

    key: SectionKey
    wav: Wav


@dataclass(frozen=True, slots=True)
class InspectFile:
    """Wait until Asterisk has closed what it wrote, make the WAV out of it, open and measure that.

    `abandoned`: nobody writes any more (Asterisk is gone), so an unfinished header is repaired without waiting.
    """

    key: SectionKey
    wav: Wav
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class FindMixMonitor:
    """See whether the section's MixMonitor runs on `leg`, by the file that it writes; its id, where it is known."""

    key: SectionKey
    leg: Uniqueid
    wav: Wav
    mixmonitor_id: str | None


@dataclass(frozen=True, slots=True)
class Growing:
    """A section that is being written: its mixed file had `seen` bytes when it was looked at last."""

    key: SectionKey
    wav: Wav
    seen: int


@dataclass(frozen=True, slots=True)
class MeasureFiles:
    """See how far the files of running sections have grown, all with one look."""

    files: tuple[Growing, ...]


Act = (
    StartMixMonitor
    | StopMixMonitor
    | MuteMixMonitor
    | ProbeMixMonitor
    | FindMixMonitor
    | WatchFile
    | InspectFile
    | MeasureFiles
)
ACTS: Final = get_args(Act)
"""Its types, for isinstance."""
Decision = Change | Act | Answer


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
    """StopMixMonitor was answered: the file is closed, or there was nothing to stop any more (`ran` False)."""

    at: datetime
    key: SectionKey
    ran: bool = True


@dataclass(frozen=True, slots=True)
class StopUnanswered:
    """Asterisk could not be asked to stop; it may go on writing."""

    at: datetime
    key: SectionKey
    code: str


@dataclass(frozen=True, slots=True)
class MuteAnswered:
    """MixMonitorMute answered Success: the MixMonitor writes silence (`muted`), or the talk again."""

    at: datetime
    key: SectionKey
    muted: bool


@dataclass(frozen=True, slots=True)
class MuteUnanswered:
    """MixMonitorMute was refused or not answered: what the MixMonitor writes is not known."""

    at: datetime
    key: SectionKey
    muted: bool
    code: str


@dataclass(frozen=True, slots=True)
class MixMonitorProbed:
    """Whether the MixMonitor still runs; True also where Asterisk could not be asked."""

    at: datetime
    key: SectionKey
    runs: bool


@dataclass(frozen=True, slots=True)
class MixMonitorFound:
    """The section's MixMonitor runs under this id; None: it does not run."""

    at: datetime
    key: SectionKey
    mixmonitor_id: str | None


@dataclass(frozen=True, slots=True)
class MixMonitorNotSought:
    """Asterisk could not be asked whether it runs."""

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
    """The WAV is whole, and this is in it. `repaired` are the files whose headers had to be repaired, as in the Wav."""

    at: datetime
    key: SectionKey
    report: AudioReport
    repaired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileUnreadable:
    """The WAV is missing or no audio, or the disk cannot be asked; `reason` is a code (see `TRY_AGAIN`)."""

    at: datetime
    key: SectionKey
    reason: str
    message: str


TRY_AGAIN: Final = frozenset({"disk-full", "disk-error", "read-only", "no-access", "spool-missing", "timeout"})
"""The reasons of a FileUnreadable that are trouble of the disk: the recording may be whole, so inspect it again later.

The others are final: `file-missing`, `empty` (it ends before its audio), `unreadable`, `still-written`.
"""


@dataclass(frozen=True, slots=True)
class Grown:
    """What a look at a running section's files found.

    `size_bytes` is the mixed file's; None where one of its files is not there. `heard` says whether anything but exact
    digital silence is in what is new: in the mixed file, or, for stereo, in the leg's own voice and in what it hears;
    empty where nothing is new. `beheaded`: the file does not begin as a WAV does, somebody has cut it off or written
    over it.
    """

    size_bytes: int | None
    heard: tuple[bool, ...] = ()
    beheaded: bool = False


@dataclass(frozen=True, slots=True)
class FilesMeasured:
    """What the look found, and whether Asterisk was connected then."""

    at: datetime
    grown: Mapping[SectionKey, Grown]
    connected: bool


@dataclass(frozen=True, slots=True)
class FilesNotMeasured:
    """The disk has not answered in time, or something went wrong: nothing is known of the files."""

    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: `Recorder.wake_at` has come."""

    at: datetime


@dataclass(frozen=True, slots=True)
class StopAll:
    """Every recording is to be stopped, whatever its rule says; the next talk begins the next sections."""

    at: datetime


Report = (
    MixMonitorAccepted
    | MixMonitorRefused
    | StopAnswered
    | StopUnanswered
    | MuteAnswered
    | MuteUnanswered
    | MixMonitorProbed
    | MixMonitorFound
    | MixMonitorNotSought
    | FileWatched
    | FileInspected
    | FileUnreadable
    | FilesMeasured
    | FilesNotMeasured
    | Tick
    | StopAll
)
