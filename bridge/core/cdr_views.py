"""What the outside sees of finished calls: as in `bridge.core.views`, times epoch milliseconds, durations seconds."""

from collections.abc import Sequence

from typing_extensions import TypedDict

from bridge.core.access import Reader
from bridge.core.cdrs import KeptCdr
from bridge.core.ids import Identity
from bridge.core.records import Section, SectionState
from bridge.core.views import epoch_ms, sees_section


class SideItem(TypedDict):
    """One of the two sides of a finished call; `identity` is '' where it is no user."""

    number: str
    name: str
    identity: str


class CdrItem(TypedDict):
    """A finished call. `id` is its number; `recorded`, `sections`, `recordedS` are of what the reader may hear."""

    id: int
    callId: str
    recordIds: list[str]
    startedAt: int
    answeredAt: int | None
    endedAt: int
    durationS: float
    talkedS: float
    direction: str
    status: str
    source: SideItem
    destination: SideItem
    dialed: str
    queue: str
    participants: list[str]
    recorded: bool
    sections: int
    recordedS: float
    tags: list[str]


def cdr_item(call: KeptCdr, reader: Reader) -> CdrItem:
    """A finished call for one who sees it. Recordings count, also deleted ones, where this reader may hear them.

    `tags` are those of these recordings' rules and those that people have put on the call.
    """
    cdr = call.cdr
    heard = [section for section in call.sections if sees_section(section, reader)]
    return {
        "id": call.number,
        "callId": cdr.call_id,
        "recordIds": list(cdr.record_ids),
        "startedAt": epoch_ms(cdr.started_at),
        "answeredAt": None if cdr.answered_at is None else epoch_ms(cdr.answered_at),
        "endedAt": epoch_ms(cdr.ended_at),
        "durationS": round((cdr.ended_at - cdr.started_at).total_seconds(), 3),
        "talkedS": round(cdr.talked_s, 3),
        "direction": cdr.direction,
        "status": str(cdr.status),
        "source": _side(cdr.source_number, cdr.source_name, cdr.source_identity),
        "destination": _side(cdr.destination_number, cdr.destination_name, cdr.destination_identity),
        "dialed": cdr.dialed,
        "queue": cdr.queue,
        "participants": list(cdr.participants),
        "recorded": bool(heard),
        "sections": len(heard),
        "recordedS": round(sum(map(section_length_s, heard)), 3),
        "tags": tags_of(call, heard),
    }


def tags_of(call: KeptCdr, heard: Sequence[Section]) -> list[str]:
    """The tags of a call for one who may hear these of its recordings, in order."""
    return sorted({*call.tags, *(tag for section in heard for tag in section.tags)})


def section_length_s(section: Section) -> float:
    """How long a recording is: what its file has, else from its beginning to its end."""
    if section.state is SectionState.STORED and section.report is not None:
        return section.report.duration_s
    if section.started_at is None or section.ended_at is None:
        return 0.0
    return (section.ended_at - section.started_at).total_seconds()


def _side(number: str, name: str, identity: Identity | None) -> SideItem:
    return {"number": number, "name": name, "identity": identity or ""}
