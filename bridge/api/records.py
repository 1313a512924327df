"""Records, their audio, and tickets for it."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal

import structlog
from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from bridge.api import audio
from bridge.api.answers import (
    AudioMissingError,
    FormatNotAvailableError,
    InvalidFieldsError,
    NotFoundError,
    NotStoredYetError,
    RecordingDeletedError,
    json_response,
)
from bridge.api.auth import AUTHENTICATOR, Access
from bridge.api.dependencies import dependencies
from bridge.api.handouts import HANDOUTS
from bridge.api.operations import MediaType, Operation
from bridge.api.tickets import TICKETS
from bridge.api.validation import Fields, Nothing, body_of, query_of
from bridge.core.access import Reader, Scope
from bridge.core.errors import MediaError
from bridge.core.ids import RecordId, RuleId, SectionKey
from bridge.core.records import Section, SectionState
from bridge.core.views import RecordEntry, epoch_ms, record_entry, sees_section

log = structlog.get_logger()

_RECORD_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_PATH = re.compile(r"/api/v1/records/([^/?#]+)/([^/?#]+)/([^/?#]+)")


class AudioQuery(Fields):
    """How the audio is wanted. DESIGN's formats; so far there is wav."""

    format: Literal["wav", "flac", "opus", "mp3"] = "wav"
    download: bool = False
    ticket: str | None = None


class TicketBody(Fields):
    """What a ticket is for: the path of a section's audio."""

    path: Annotated[str, Field(max_length=500, json_schema_extra={"pattern": f"^{_PATH.pattern}$"})]


async def record(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/records/{recordId}`: a RecordEntry."""
    query_of(request, Nothing)
    return json_response(await find_record(request, request.match_info["record_id"], access.reader))


async def find_record(request: web.Request, record_id: str, reader: Reader) -> RecordEntry:
    """The RecordEntry as this reader may see it. Raises NotFoundError, StoreError."""
    store = dependencies(request).store
    if not _RECORD_ID.fullmatch(record_id):
        raise _no_record()
    sections = await store.sections_of(RecordId(record_id))
    entries = await store.journal_of_record(RecordId(record_id)) if sections else []
    entry = record_entry(RecordId(record_id), sections, entries, reader)
    if entry is None:
        raise _no_record()
    return entry


async def section_audio(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/records/{recordId}/{ruleId}/{file}`: the audio; with `?ticket=` no token is needed."""
    ticket = request.query.get("ticket")
    if ticket is None:
        access = await request.app[AUTHENTICATOR].access(request)
        access.check_page(request)
        key = section_key(request.match_info)
    else:
        key = section_key(request.match_info)
        access = await _ticket_access(request, ticket, key)
    query = query_of(request, AudioQuery)
    if query.format != "wav":
        raise FormatNotAvailableError(f"there is no {query.format} here, only wav", format=query.format)
    access.needs(Scope.DOWNLOAD if query.download else Scope.PLAY)
    section, file = await open_section(request, key, access.reader)
    note = partial(request.app[HANDOUTS].note, section, access, download=query.download)
    with file:
        name = f"{key.record_id}_{key.rule_id}_{key.file:03}.wav" if query.download else None
        return await audio.send(request, file, name, before=note)


async def open_section(request: web.Request, key: SectionKey, reader: Reader) -> tuple[Section, audio.OpenFile]:
    """A section that this reader may see, and its file, to be closed by whoever asked.

    Raises NotFoundError, RecordingDeletedError, NotStoredYetError, AudioMissingError, StoreError.
    """
    section = await stored_section(request, key, reader)
    try:
        return section, await audio.open_wav(dependencies(request).audio_root, section.path)
    except MediaError as error:
        section = await _visible_section(request, key, reader)
        if section.deleted_at is not None:  # just now
            raise RecordingDeletedError("this recording was deleted", deletedAt=epoch_ms(section.deleted_at)) from error
        log.error("audio-missing", section=list(key), reason=error.message)
        raise AudioMissingError("this section's file is not where it was stored") from error


async def stored_section(request: web.Request, key: SectionKey, reader: Reader) -> Section:
    """A section that this reader may see, and that has audio.

    Raises NotFoundError, RecordingDeletedError, NotStoredYetError, StoreError.
    """
    section = await _visible_section(request, key, reader)
    if section.deleted_at is not None:
        raise RecordingDeletedError("this recording was deleted", deletedAt=epoch_ms(section.deleted_at))
    if section.state is not SectionState.STORED:
        raise NotStoredYetError(f"this section has no audio: it is {section.state}", state=str(section.state))
    return section


async def new_ticket(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/tickets`: a URL that plays one section for one minute, without a token."""
    query_of(request, Nothing)
    body = await body_of(request, TicketBody)
    found = _PATH.fullmatch(body.path)
    if found is None:
        raise InvalidFieldsError(
            "the body is not as it should be", {"path": "it should be /api/v1/records/{recordId}/{ruleId}/{file}"}
        )
    key = section_key({"record_id": found[1], "rule_id": found[2], "file": found[3]})
    if Scope.DOWNLOAD not in access.token.scopes:
        access.needs(Scope.PLAY)
    await _visible_section(request, key, access.reader)
    return json_response(ticket_for(request, key, access), status=201)


class TicketItem(TypedDict):
    """Where the audio is, and until when."""

    url: str
    expiresAt: int


def ticket_for(request: web.Request, key: SectionKey, access: Access) -> TicketItem:
    """`{"url", "expiresAt"}`: a section's audio without a token, for a minute. Raises TooManyRequestsError."""
    ticket, expires_at = request.app[TICKETS].new(key, access, dependencies(request).clock())
    url = f"/api/v1/records/{key.record_id}/{key.rule_id}/{key.file}?ticket={ticket}"
    return {"url": url, "expiresAt": epoch_ms(expires_at)}


async def _ticket_access(request: web.Request, ticket: str, key: SectionKey) -> Access:
    authenticator = request.app[AUTHENTICATOR]
    authenticator.too_many(request)
    access = request.app[TICKETS].access(ticket, key, dependencies(request).clock())
    if access is None or await access.ended():
        raise authenticator.failure(request, "this ticket is not known, or its minute is over")
    return access


async def _visible_section(request: web.Request, key: SectionKey, reader: Reader) -> Section:
    section = await dependencies(request).store.section(key)
    if section is None or not sees_section(section, reader):
        raise NotFoundError("there is no such section")
    return section


def section_key(parts: Mapping[str, str]) -> SectionKey:
    """What `record_id`, `rule_id` and `file` name. Raises NotFoundError where they can name nothing."""
    record_id, rule_id, file = parts["record_id"], parts["rule_id"], parts["file"]
    if not (_RECORD_ID.fullmatch(record_id) and _NUMBER.fullmatch(rule_id) and _NUMBER.fullmatch(file)):
        raise NotFoundError("there is no such section")
    return SectionKey(RecordId(record_id), RuleId(int(rule_id)), int(file))


def _no_record() -> NotFoundError:
    return NotFoundError("there is no such record")


SECTION_PATH = {
    "record_id": {"type": "string", "pattern": f"^{_RECORD_ID.pattern}$"},
    "rule_id": {"type": "string", "pattern": f"^{_NUMBER.pattern}$"},
    "file": {"type": "string", "pattern": f"^{_NUMBER.pattern}$"},
}
"""The JSON Schemas of what names a section in a path."""

OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/records/{record_id}",
        record,
        "What was recorded of a call",
        {200: RecordEntry},
        path_schemas=SECTION_PATH,
    ),
    Operation(
        "GET",
        "/api/v1/records/{record_id}/{rule_id}/{file}",
        section_audio,
        "A section's audio",
        {200: MediaType("audio/wav"), 206: MediaType("audio/wav"), 304: None},
        AudioQuery,
        errors=(403, 409, 410, 416),
        public=True,
        security=("bearer", "token", "session", "ticket"),
        path_schemas=SECTION_PATH,
        headers=("Range",),
    ),
    Operation(
        "POST",
        "/api/v1/tickets",
        new_ticket,
        "A link that a browser can open",
        {201: TicketItem},
        body=TicketBody,
        errors=(403, 404),
    ),
)
