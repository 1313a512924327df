"""Finished calls as they are searched and read: filters, and a page of what they find."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha1
from typing import NewType
from uuid import UUID

from bridge.core.ids import Identity, SectionKey
from bridge.core.records import CallStatus, Cdr, Section

CdrNumber = NewType("CdrNumber", int)
"""A CDR's running number, from 1 on."""

_RECORDINGS_NAMESPACE = UUID("3f0f6f0e-58d5-5c4e-9d2f-8d0b9c1f6b27")


NAME_PART = 8
"""How much of a recording's file name a search has to give: two or three digits are in every second name."""


def recording_uuid(key: SectionKey) -> UUID:
    """The uuid of a section's recording: the same one each time it is asked for."""
    # As uuid5 does, which takes no name that is not UTF-8.
    name = f"{key.record_id}/{key.rule_id}/{key.file}".encode("utf-8", "surrogateescape")
    digest = sha1(_RECORDINGS_NAMESPACE.bytes + name, usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def recording_name(number: CdrNumber, section: Section) -> str:
    """What a recording's file is called outside, `2021-05-14T17_47_16UTC-2060-<uuid>.wav` (as Wazo calls it)."""
    return file_name(number, section.started_at or section.requested_at, recording_uuid(section.key))


def file_name(number: CdrNumber, at: datetime, uuid: UUID) -> str:
    """What a recording's file is called that began then (aware)."""
    began = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds").replace(":", "_")
    return f"{began}UTC-{number}-{uuid}.wav"


class CdrOrder(StrEnum):
    """By what a list is sorted; calls of one value come in the order of their numbers."""

    START = "start"
    END = "end"
    ANSWER = "answer"
    DURATION = "duration"
    DIRECTION = "call_direction"
    SOURCE = "source_extension"
    DESTINATION = "destination_extension"
    SOURCE_NAME = "source_name"
    DESTINATION_NAME = "destination_name"
    DIALED = "requested_extension"
    CONTEXT = "requested_context"
    CALL = "conversation_id"
    TALKED = "talked"


@dataclass(frozen=True, slots=True)
class CdrFilter:
    """Which finished calls; all that is given has to hold.

    They began from `since` to before `until` (aware). `search` is looked for, whatever the case, in names, extensions,
    what was dialled and, with `NAME_PART` characters or more, recordings' file names. `number` is one of the two
    extensions, `_` at either end standing for any text. `tags` are on its recordings, all of them. `identities`: one of
    these took part. `after` is the lowest number that counts (that one too). `recorded`: has a recording, also one that
    was deleted, or has none. `heard_by`: where recordings are asked for (`tags`, `recorded`, file names in `search`)
    only those count that one of these took part in or owns; None means all. `distinct_peer`: of all calls of a user
    with one other side the last number alone, whatever else is asked for (as Wazo does it), seen from `identities`,
    else from those who may see. Blocked calls are left out unless `status` asks for them. `dialed` and `context` are
    what was dialled first, and where. `inside`: what was dialled is one of these extensions, or the number of the user
    who was reached, or the call is internal.
    """

    since: datetime | None = None
    until: datetime | None = None
    search: str = ""
    direction: str | None = None
    number: str | None = None
    tags: tuple[str, ...] = ()
    identities: tuple[Identity, ...] | None = None
    numbers: tuple[CdrNumber, ...] | None = None
    after: CdrNumber | None = None
    recorded: bool | None = None
    call_id: str | None = None
    status: CallStatus | None = None
    dialed: str | None = None
    context: str | None = None
    distinct_peer: bool = False
    heard_by: tuple[Identity, ...] | None = None
    inside: tuple[str, ...] | None = None
    queue: str | None = None
    user: Identity | None = None
    name: str = ""
    min_talked_s: float | None = None
    max_talked_s: float | None = None
    call_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CdrQuery:
    """A part of the sorted list of what `wanted` finds; `limit` None is all of it.

    `visible_to` None means all calls, else those that one of them took part in. Calls of one value of `order` come by
    their numbers, in the same direction; a value that is missing is below all others.
    """

    wanted: CdrFilter
    visible_to: Sequence[Identity] | None = None
    order: CdrOrder = CdrOrder.START
    newest_first: bool = True
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class KeptCdr:
    """A finished call as it is kept, with its number and what was recorded of it, in the order of the beginnings.

    `tags` are those that people have put on it, in order; those of its recordings stand in their sections.
    """

    number: CdrNumber
    cdr: Cdr
    sections: tuple[Section, ...]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CdrNumbers:
    """Which calls a filter finds, in their order: their numbers alone, of however many.

    `most_recordings` has one of them, of those that count for the filter; `total` and `filtered` are as in a page.
    """

    numbers: Sequence[CdrNumber]
    most_recordings: int
    total: int
    filtered: int


@dataclass(frozen=True, slots=True)
class CdrPage:
    """A part of what a filter finds: `total` are all calls that the reader may see, `filtered` those that it finds."""

    items: Sequence[KeptCdr]
    total: int
    filtered: int
