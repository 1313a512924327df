"""What the outside sees of what we keep: JSON shapes, each for the one who reads it.

The names of RecordEvent, RecordEntry and JournalEntry are those of pascom's XMPP API (modules monitor and journal).
Times are epoch milliseconds, durations seconds.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from typing_extensions import TypedDict

from bridge.core.access import Reader, Role, Scope
from bridge.core.ids import ChannelName, RecordId
from bridge.core.live import CallNow
from bridge.core.records import (
    Fact,
    FactKind,
    NumberedEntry,
    NumberedFact,
    Section,
    SectionState,
    SectionType,
    entry_of,
)
from bridge.core.sections import RUNNING

Json = dict[str, Any]

_SECTION_EVENTS = frozenset(
    {
        FactKind.SECTION_RECORDING,
        FactKind.SECTION_PAUSED,
        FactKind.SECTION_CLOSED,
        FactKind.SECTION_STORED,
        FactKind.SECTION_FAILED,
        FactKind.SECTION_LOST,
    }
)
_RECORD_EVENTS = _SECTION_EVENTS | {FactKind.RECORD_OFFERED}
_CALL_EVENTS = frozenset(
    {
        FactKind.CALL_BEGAN,
        FactKind.CALL_JOINED,
        FactKind.CALL_ENDED,
        FactKind.CALL_TRANSFERRED,
        FactKind.PARTY_HELD,
        FactKind.PARTY_UNHELD,
        FactKind.PARTY_PARKED,
        FactKind.PARTY_UNPARKED,
        FactKind.TALK_BEGAN,
        FactKind.TALK_CHANGED,
        FactKind.TALK_ENDED,
        FactKind.RECORD_STARTED,
        FactKind.RECORD_STOPPED,
        FactKind.RECORD_PAUSED,
        FactKind.RECORD_RESUMED,
        FactKind.CONTROL_REFUSED,
        FactKind.USER_FLAGS_SET,
    }
)
_LISTENING = frozenset({FactKind.RECORDING_PLAYED, FactKind.RECORDING_DOWNLOADED})
_LISTENERS = _LISTENING | {FactKind.EXPORT_DOWNLOADED}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordEvent(TypedDict):
    """Whether a section is recorded now: pascom's names (DESIGN, "HTTP")."""

    eventType: str
    eventId: str | None
    ruleId: int | None
    permission: str
    identity: str
    file: int | None
    headchannel: str
    tailchannel: str
    state: str


class JournalItem(TypedDict):
    """A JournalEntry: one finished call as one user saw it, in pascom's names."""

    eventId: int
    eventType: str
    userId: str
    userName: str
    id: int
    timestamp: int
    inbound: bool
    internal: bool
    duration: int
    connected: int
    deviceId: str
    deviceName: str
    locationId: str
    locationName: str
    name: str
    number: str
    prefix: str
    result: str
    resultDetails: str
    via: str
    viaDetails: str
    extension: str
    recordId: str


class AudioFile(TypedDict):
    """A file of a section's audio; `size` in bytes."""

    format: str
    size: int


class RecordItem(TypedDict):
    """A section of a record; `duration` in seconds, None where it is not known."""

    duration: float | None
    ruleId: int
    file: int
    state: str
    type: str
    startedAt: int | None
    endedAt: int | None
    audioFiles: list[AudioFile]
    deleted: bool
    sha256: str | None
    channels: int | None
    sampleRate: int | None
    identity: str
    headchannel: str
    tailchannel: str
    tags: list[str]
    reason: str | None


class RecordEntry(TypedDict):
    """What was recorded of a call."""

    id: str
    journalEntry: JournalItem | None
    records: list[RecordItem]


def epoch_ms(at: datetime) -> int:
    """A time as whole milliseconds since 1970."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else epoch_ms(at)


def sees_section(section: Section, reader: Reader) -> bool:
    """Whether a section is this reader's to see: it took part in the talk, owns it, or may look over one who did."""
    return reader.sees(section.audience)


def sees_fact(fact: Fact, reader: Reader) -> bool:
    """Whether a fact is this reader's to see.

    Who listened to a section is not told to those who are heard in it, but to their supervisors, and to the listener.
    """
    if fact.kind not in _LISTENERS or reader.role is Role.ADMIN:
        return reader.sees(fact.audience)
    if fact.personal.get("identity") == reader.identity:
        return True
    return reader.role is Role.SUPERVISOR and not reader.supervised.isdisjoint(fact.audience)


def record_event(fact: Fact, reader: Reader) -> RecordEvent | None:
    """The RecordEvent that a section's or an offer's fact is for this reader; None if there is none, or none for it.

    An offer (an on-demand rule applies, and nobody has started it) has no owner and no file yet; its data's `may` are
    the identities that the rule lets start it.
    """
    if fact.kind not in _RECORD_EVENTS or not reader.sees(fact.audience):
        return None
    if fact.kind is FactKind.RECORD_OFFERED:
        state, owner, permission = "offered", "", _permission(reader, fact.data.get("may", ()))
    else:
        state, owner = fact.data["state"], fact.personal.get("identity", "")
        permission = _section_permission(SectionType(fact.data["type"]), owner, reader)
    head, tail = fact.data["headchannel"], fact.data["tailchannel"]
    return _record_event(fact, head, tail, state=state, owner=owner, permission=permission)


def section_event(section: Section, reader: Reader) -> RecordEvent | None:
    """The RecordEvent that a section is for this reader now; None if it is not this reader's to see."""
    if not sees_section(section, reader):
        return None
    owner = section.owner or ""
    permission = _section_permission(section.type, owner, reader)
    head, tail = section.headchannel, section.tailchannel
    return _record_event(section, head, tail, state=section.state, owner=owner, permission=permission)


def _section_permission(kind: SectionType, owner: str, reader: Reader) -> str:
    return "auto" if kind is SectionType.AUTO else _permission(reader, (owner,))


def _permission(reader: Reader, may: Collection[str]) -> str:
    """Whether this reader may start or stop what those in `may` may, and admins, each with a token for that."""
    has_right = reader.role is Role.ADMIN or reader.identity in may
    return "allow" if has_right and Scope.CONTROL in reader.scopes else "deny"


def _record_event(
    of: Fact | Section, head: ChannelName, tail: ChannelName, *, state: str, owner: str, permission: str
) -> RecordEvent:
    return {
        "eventType": "start" if state in RUNNING else "stop",
        "eventId": of.record_id,
        "ruleId": of.rule_id,
        "permission": permission,
        "identity": owner,
        "file": of.file,
        "headchannel": head,
        "tailchannel": tail,
        "state": str(state),
    }


def journal_item(numbered: NumberedEntry) -> JournalItem:
    """A JournalEntry; `id` and `eventId` are its fact's number."""
    entry = numbered.entry
    return {
        "eventId": numbered.number,
        "eventType": "create",
        "userId": entry.user_id,
        "userName": entry.identity,
        "id": numbered.number,
        "timestamp": epoch_ms(entry.started_at),
        "inbound": entry.inbound,
        "internal": entry.internal,
        "duration": entry.duration_s,
        "connected": entry.connected_s,
        "deviceId": entry.device_id,
        "deviceName": entry.device_name,
        "locationId": entry.location_id,
        "locationName": entry.location_name,
        "name": entry.name,
        "number": entry.number,
        "prefix": entry.prefix,
        "result": str(entry.result),
        "resultDetails": entry.result_details,
        "via": entry.via,
        "viaDetails": entry.via_details,
        "extension": entry.extension,
        "recordId": entry.record_id or "",
    }


def _record(section: Section) -> RecordItem:
    stored = section.report if section.state is SectionState.STORED else None
    deleted = section.deleted_at is not None
    duration_s: float | None = None
    if stored is not None:
        duration_s = stored.duration_s
    elif section.started_at is not None and section.ended_at is not None:
        duration_s = (section.ended_at - section.started_at).total_seconds()
    return {
        "duration": None if duration_s is None else round(duration_s, 3),
        "ruleId": section.rule_id,
        "file": section.file,
        "state": str(section.state),
        "type": str(section.type),
        "startedAt": _ms(section.started_at),
        "endedAt": _ms(section.ended_at),
        "audioFiles": [] if stored is None or deleted else [{"format": "wav", "size": stored.size_bytes}],
        "deleted": deleted,
        "sha256": None if stored is None else stored.sha256,
        "channels": None if stored is None else stored.channels,
        "sampleRate": None if stored is None else stored.sample_rate_hz,
        "identity": section.owner or "",
        "headchannel": section.headchannel,
        "tailchannel": section.tailchannel,
        "tags": list(section.tags),
        "reason": section.reason,
    }


def record_entry(
    record_id: RecordId, sections: Sequence[Section], entries: Sequence[NumberedEntry], reader: Reader
) -> RecordEntry | None:
    """The RecordEntry of what this reader may see of a record; None where that is nothing.

    `journalEntry` is the reader's own, else the first that it may see, else null.
    """
    records = [_record(section) for section in sections if sees_section(section, reader)]
    if not records:
        return None
    visible = [one for one in entries if reader.sees((one.entry.identity,))]
    chosen = next((one for one in visible if one.entry.identity == reader.identity), next(iter(visible), None))
    return {
        "id": record_id,
        "journalEntry": None if chosen is None else journal_item(chosen),
        "records": records,
    }


class PartyItem(TypedDict):
    """A real leg of a running call. `may` is what the reader may do there: start, stop, pause, resume."""

    uniqueid: str
    channel: str
    identity: str
    name: str
    number: str
    outside: bool
    talking: bool
    may: list[str]


class RuleItem(TypedDict):
    """What one rule does in a running call (`bridge.core.live.RuleNow`)."""

    ruleId: int
    name: str
    state: str
    file: int | None
    identity: str
    reason: str | None


class CallItem(TypedDict):
    """A running call."""

    callId: str
    recordId: str
    direction: str
    startedAt: int
    talkingSince: int | None
    dialed: str
    queue: str
    parties: list[PartyItem]
    rules: list[RuleItem]
    reason: str | None


class CallItems(TypedDict):
    """Those that the reader may see."""

    items: list[CallItem]


def call_item(call: CallNow, reader: Reader) -> CallItem:
    """A call that goes on now: its parties and what this reader may do there, its rules, and why none records."""
    return {
        "callId": call.call_id,
        "recordId": call.record_id or "",
        "direction": call.direction,
        "startedAt": epoch_ms(call.started_at),
        "talkingSince": _ms(call.talking_since),
        "dialed": call.dialed,
        "queue": call.queue,
        "parties": [
            {
                "uniqueid": party.uniqueid,
                "channel": party.channel,
                "identity": party.identity or "",
                "name": party.name,
                "number": party.number,
                "outside": party.outside,
                "talking": party.talking,
                "may": [str(verb) for verb, who in party.may.items() if who.lets(reader)],
            }
            for party in call.parties
        ],
        "rules": [
            {
                "ruleId": rule.rule_id,
                "name": rule.name,
                "state": rule.state,
                "file": rule.file,
                "identity": rule.identity or "",
                "reason": rule.reason,
            }
            for rule in call.rules
        ],
        "reason": call.reason,
    }


def fact_item(fact: Fact) -> Json:
    """A fact as it is: its kind, call, record and time, the names and numbers in it, and what its kind brings along."""
    return {
        **fact.data,
        "event": str(fact.kind),
        "callId": fact.call_id or "",
        "recordId": fact.record_id or "",
        "timestamp": epoch_ms(fact.at),
        "personal": dict(fact.personal),
    }


def stream_item(numbered: NumberedFact, reader: Reader) -> Json | None:
    """`{"type": RecordEvent | JournalEntry | CallEvent, "id": …, "data": {…}}`, `id` being the fact's number.

    None where it is no stream's matter, or not this reader's to see. A CallEvent is `event` (the fact's kind),
    `callId` ('' where it is of no call: a user's flags), `recordId`, `timestamp`, `personal` (names and numbers) and
    what the kind brings along.
    """
    fact = numbered.fact
    if not sees_fact(fact, reader):
        return None
    data: Mapping[str, Any] | None
    if fact.kind in _RECORD_EVENTS:
        kind, data = "RecordEvent", record_event(fact, reader)
    elif fact.kind is FactKind.JOURNAL_ENTRY:
        kind, data = "JournalEntry", journal_item(NumberedEntry(numbered.number, entry_of(fact)))
    elif fact.kind in _CALL_EVENTS:
        kind, data = "CallEvent", fact_item(fact)
    elif fact.kind in _LISTENING:
        kind, data = "CallEvent", fact_item(fact) | {"ruleId": fact.rule_id, "file": fact.file}
    else:
        return None
    return {"type": kind, "id": numbered.number, "data": data}
