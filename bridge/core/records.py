"""What recbridge keeps: sections, facts, journal entries, CDRs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bridge.core.ids import (
    NO_TALK,
    CallId,
    ChannelName,
    FactNumber,
    Identity,
    RecordId,
    RuleId,
    SectionKey,
    TalkId,
    Uniqueid,
)


class SectionState(StrEnum):
    """A section's life; which may follow which stands in `bridge.core.sections`."""

    REQUESTED = "requested"
    RECORDING = "recording"
    PAUSED = "paused"
    STOPPING = "stopping"
    CLOSED = "closed"
    STORED = "stored"
    FAILED = "failed"
    LOST = "lost"


class SectionType(StrEnum):
    """Who wanted the section: a rule by itself, or a user."""

    AUTO = "auto"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class AudioReport:
    """What a look into a finished WAV found.

    `peak` and `rms` are per channel, 0.0 to 1.0 of full scale. `peaks` is for drawing: for each of `len(peaks) /
    (2 * channels)` equal stretches of the file the lowest and highest sample of each channel, as signed bytes
    (min, max, min, max, …), channel by channel within a stretch.
    """

    duration_s: float
    size_bytes: int
    sample_rate_hz: int
    channels: int
    peak: tuple[float, ...]
    rms: tuple[float, ...]
    peaks: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Section:
    """One MixMonitor run, one WAV.

    `path` is relative to the spool. `leg` is the channel that MixMonitor runs on. `participants` are the users who
    took part in its talk, so far. `reason` is a code that says why it failed, was lost, or ended in another way than by
    its talk's end. `stereo` has the leg on the left if `leg_is_left`, else on the right, and the others on the other
    side; `keep_s` is how long the rule wants it kept, None where the rule does not say. `deleted_at` is when its file
    was deleted: the section stays as a tombstone. `talk_id` is the talk that it records.
    """

    record_id: RecordId
    rule_id: RuleId
    file: int
    call_id: CallId
    state: SectionState
    type: SectionType
    owner: Identity | None
    leg: Uniqueid
    leg_channel: ChannelName
    headchannel: ChannelName
    tailchannel: ChannelName
    path: str
    requested_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    participants: tuple[Identity, ...] = ()
    tags: tuple[str, ...] = ()
    mixmonitor_id: str | None = None
    reason: str | None = None
    report: AudioReport | None = None
    stereo: bool = False
    leg_is_left: bool = False
    rate_hz: int = 8000
    keep_s: float | None = None
    deleted_at: datetime | None = None
    talk_id: TalkId = NO_TALK

    @property
    def key(self) -> SectionKey:
        """What names this section."""
        return SectionKey(self.record_id, self.rule_id, self.file)

    @property
    def audience(self) -> tuple[Identity, ...]:
        """Whom it concerns: those who took part in its talk, and its owner."""
        owner = () if self.owner is None else (self.owner,)
        return tuple(dict.fromkeys((*self.participants, *owner)))


class FactKind(StrEnum):
    """What happened. The words are stable: streams and scripts see them."""

    CALL_BEGAN = "call.began"
    CALL_JOINED = "call.joined"
    CALL_ENDED = "call.ended"
    CALL_TRANSFERRED = "call.transferred"
    CALL_TAGGED = "call.tagged"
    CALL_UNTAGGED = "call.untagged"
    CALL_NOTED = "call.noted"
    CALL_NOTE_REMOVED = "call.note-removed"
    PARTY_HELD = "party.held"
    PARTY_UNHELD = "party.unheld"
    PARTY_PARKED = "party.parked"
    PARTY_UNPARKED = "party.unparked"
    TALK_BEGAN = "talk.began"
    TALK_CHANGED = "talk.changed"
    TALK_ENDED = "talk.ended"
    SECTION_REQUESTED = "section.requested"
    SECTION_RECORDING = "section.recording"
    SECTION_PAUSED = "section.paused"
    SECTION_STOPPING = "section.stopping"
    SECTION_CLOSED = "section.closed"
    SECTION_STORED = "section.stored"
    SECTION_FAILED = "section.failed"
    SECTION_LOST = "section.lost"
    SECTION_ALARM = "section.alarm"
    SECTION_ADOPTED = "section.adopted"
    SECTION_REPAIRED = "section.repaired"
    SECTION_DELETED = "section.deleted"
    FOREIGN_MIXMONITOR = "mixmonitor.foreign"
    LEG_COMPROMISE = "section.least-bad-leg"
    RECORD_OFFERED = "record.offered"
    RECORD_STARTED = "record.started"
    RECORD_STOPPED = "record.stopped"
    RECORD_PAUSED = "record.paused"
    RECORD_RESUMED = "record.resumed"
    CONTROL_REFUSED = "control.refused"
    RECORDING_PLAYED = "recording.played"
    RECORDING_DOWNLOADED = "recording.downloaded"
    USER_FLAGS_SET = "user.flags"
    JOURNAL_ENTRY = "journal.entry"
    RULES_LOADED = "rules.loaded"
    HOLD_SET = "hold.set"
    HOLD_RELEASED = "hold.released"
    PERSON_ERASED = "person.erased"
    CALLS_DELETED = "calls.deleted"
    FILE_QUARANTINED = "file.quarantined"
    SPOOL_TROUBLE = "spool.trouble"
    SPOOL_WELL = "spool.well"
    DATABASE_TROUBLE = "database.trouble"
    DATABASE_WELL = "database.well"
    SETTINGS_SET = "settings.set"
    EXPORT_ASKED = "export.asked"
    EXPORT_ENDED = "export.ended"
    EXPORT_DOWNLOADED = "export.downloaded"
    MAIL_GIVEN_UP = "mail.given-up"
    WEBHOOK_SET = "webhook.set"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_GIVEN_UP = "webhook.given-up"
    CHANNEL_BEGAN = "channel.began"
    CHANNEL_PROGRESS = "channel.progress"
    CHANNEL_JOINED = "channel.joined"
    CHANNEL_LEFT = "channel.left"
    CHANNEL_ENDED = "channel.ended"
    RECBRIDGE_STARTED = "recbridge.started"
    RECBRIDGE_STOPPED = "recbridge.stopped"
    ASTERISK_CONNECTED = "asterisk.connected"
    ASTERISK_LOST = "asterisk.lost"


class Alarm(StrEnum):
    """What a fact of kind SECTION_ALARM says in its data's `alarm`. The words are stable: metrics count by them."""

    FILE_NOT_SEEN = "file-not-seen"
    NOT_GROWING = "not-growing"
    FILE_GONE = "file-gone"
    FILE_CUT = "file-cut"
    SIDE_SILENT = "side-silent"
    SILENT = "silent"
    SHORTER_THAN_TALK = "shorter-than-talk"
    UNREADABLE = "unreadable"
    STOPPED_BY_OTHERS = "stopped-by-others"
    ENDED_UNSEEN = "ended-unseen"
    NOT_READ = "not-read"
    STOP_UNANSWERED = "stop-unanswered"
    NOT_PAUSED = "not-paused"
    NOT_RESUMED = "not-resumed"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened. Never changed once it has its number.

    `data` holds JSON values that are nobody's secret; `personal` the names and numbers of people, kept apart so that
    they can be erased while the fact stays. `audience` are the users whom it concerns (empty: admins alone).
    """

    kind: FactKind
    at: datetime
    call_id: CallId | None = None
    record_id: RecordId | None = None
    rule_id: RuleId | None = None
    file: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict)
    audience: tuple[Identity, ...] = ()


@dataclass(frozen=True, slots=True)
class NumberedFact:
    """A fact as it is kept, with its number."""

    number: FactNumber
    fact: Fact


@dataclass(frozen=True, slots=True)
class Demand:
    """A user's wish that a rule records on demand: it holds until the user stops it or the call is over."""

    record_id: RecordId
    rule_id: RuleId
    call_id: CallId
    owner: Identity
    since: datetime


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of a record by a user. `admin`: it covers all rules; else those that let the user pause.

    `resumed` are the rules that have gone on by themselves since (`pause_at_most`).
    """

    record_id: RecordId
    call_id: CallId
    by: Identity
    admin: bool
    since: datetime
    resumed: tuple[RuleId, ...] = ()


class JournalResult(StrEnum):
    """How a call ended for one user."""

    HANGUP = "hangup"
    BUSY = "busy"
    NOANSWER = "noanswer"
    CANCEL = "cancel"
    FAILED = "failed"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One finished call as one user saw it.

    `started_at` is when the call reached the user; `duration_s` until it left, `connected_s` of that in talk.
    `name` and `number` are the other side's, `extension` the user's own. Its id is the number of the fact that
    announces it, so it has none before it is kept.
    """

    call_id: CallId
    user_id: str
    identity: Identity
    started_at: datetime
    inbound: bool
    internal: bool
    duration_s: int
    connected_s: int
    device_id: str
    device_name: str
    location_id: str
    location_name: str
    name: str
    number: str
    prefix: str
    result: JournalResult
    result_details: str
    via: str
    via_details: str
    extension: str
    record_id: RecordId | None


@dataclass(frozen=True, slots=True)
class NumberedEntry:
    """A journal entry as it is kept: `number` is its id, and its fact's number."""

    number: FactNumber
    entry: JournalEntry


class CallStatus(StrEnum):
    """What became of a call, in Wazo's words."""

    ANSWERED = "answered"
    BLOCKED = "blocked"
    VOICEMAIL = "voicemail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cdr:
    """One finished call.

    `talked_s` is time in which two or more parties were connected. `record_ids` has more than one where calls that
    both had recordings were joined. `hangup_cause` is the caller's, Asterisk's number. `context` is where the caller's
    channel began, `destination_context` where the destination's did.
    """

    call_id: CallId
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    direction: str
    source_name: str
    source_number: str
    source_identity: Identity | None
    destination_name: str
    destination_number: str
    destination_identity: Identity | None
    dialed: str
    context: str
    queue: str
    talked_s: float
    hangup_cause: int | None
    record_ids: tuple[RecordId, ...]
    participants: tuple[Identity, ...]
    status: CallStatus = CallStatus.UNKNOWN
    destination_context: str = ""


@dataclass(frozen=True, slots=True)
class Party:
    """A real leg of a finished call. `dial_status` is Asterisk's DIALSTATUS of one that was rung, else ''."""

    uniqueid: Uniqueid
    channel: ChannelName
    name: str
    number: str
    identity: Identity | None
    outside: bool
    dialed: bool
    began_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    dial_status: str = ""


_PERSONAL = ("name", "number", "extension")
_OF_THE_USER = ("identity", "device_name", "location_name")
"""Whose entry it is, and names that can hold the user's; what is empty is left out."""


def journal_fact(entry: JournalEntry) -> Fact:
    """The fact that announces a journal entry, all names and numbers of people kept apart."""
    fields: dict[str, Any] = {f.name: getattr(entry, f.name) for f in dataclass_fields(entry)}
    personal = {name: str(fields.pop(name)) for name in _PERSONAL}
    personal |= {name: str(value) for name in _OF_THE_USER if (value := fields.pop(name))}
    fields["started_at"] = entry.started_at.isoformat()
    return Fact(
        kind=FactKind.JOURNAL_ENTRY,
        at=entry.started_at + timedelta(seconds=entry.duration_s),
        call_id=entry.call_id,
        record_id=entry.record_id,
        data=fields,
        personal=personal,
        audience=(entry.identity,),
    )


def entry_of(fact: Fact) -> JournalEntry:
    """The journal entry that a fact of kind JOURNAL_ENTRY announces; what was erased is ''."""
    # Not the other way round: older facts have some of these among their data.
    names = (*_PERSONAL, *_OF_THE_USER)
    fields: dict[str, Any] = {**{name: fact.personal.get(name, "") for name in names}, **fact.data}
    fields["started_at"] = datetime.fromisoformat(fields["started_at"])
    fields["result"] = JournalResult(fields["result"])
    return JournalEntry(**fields)
