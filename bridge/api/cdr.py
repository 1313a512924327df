"""One finished call: its timeline, and the tags and notes that people put on it."""

from typing import Annotated

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from bridge.api.answers import ForbiddenError, NotFoundError, RequestError, json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.holds import HoldItem, hold_item
from bridge.api.operations import Operation
from bridge.api.validation import Fields, Nothing, body_of, query_of
from bridge.core.access import Reader, Role
from bridge.core.call_details import (
    MOST_NOTE,
    MOST_TAG,
    CallBook,
    CallDetails,
    CallNote,
    CallTag,
    NoteId,
    TooManyOnCallError,
)
from bridge.core.cdr_views import CdrItem, cdr_item
from bridge.core.cdrs import CdrNumber, KeptCdr
from bridge.core.records import Fact, FactKind
from bridge.core.timeline import timeline
from bridge.core.timeline_items import TimelineItem
from bridge.core.views import epoch_ms, sees_fact, sees_section

_PATH = "/api/v1/cdrs/{cdr}"
_LARGEST = 2**63 - 1

# One line, and nothing that a screen does not show, or that turns around what stands beside it; neither begins nor ends
# with a blank.
_IN_LINE = r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
_SHOWN = r"[^\s\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
_IN_TEXT = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"


class NewTag(Fields):
    """A tag: one line."""

    tag: Annotated[str, Field(min_length=1, max_length=MOST_TAG, pattern=f"^{_SHOWN}({_IN_LINE}*{_SHOWN})?$")]


class NewNote(Fields):
    """A note: text of some lines, not empty."""

    text: Annotated[str, Field(min_length=1, max_length=MOST_NOTE, pattern=f"^{_IN_TEXT}*{_SHOWN}{_IN_TEXT}*$")]


class TagItem(TypedDict):
    """A tag of a call: `source` is rule, or user where somebody has put it there (`by`, '' where that is erased)."""

    tag: str
    source: str
    by: str
    at: int | None


class NoteItem(TypedDict):
    """What somebody (`by`, '' where that is erased) wrote about a call; `mayDelete`: this reader may remove it."""

    id: str
    text: str
    by: str
    at: int
    mayDelete: bool


class ListenedItem(TypedDict):
    """Who had a recording of the call; `kind` is played, downloaded, or exported (downloaded in an export)."""

    at: int
    kind: str
    identity: str
    recordId: str
    ruleId: int
    file: int


class CallDetailItem(CdrItem):
    """A finished call in all detail. `holds` are told to admins, `listened` to admins and supervisors."""

    tagged: list[TagItem]
    notes: list[NoteItem]
    holds: list[HoldItem]
    listened: list[ListenedItem]
    timeline: TimelineItem


_HAD = {
    FactKind.RECORDING_PLAYED: "played",
    FactKind.RECORDING_DOWNLOADED: "downloaded",
    FactKind.EXPORT_DOWNLOADED: "exported",
}


class TooManyHereError(RequestError):
    """The call has as many tags or notes as it may have."""

    status = 409
    code = "too-many-on-call"


async def one_cdr(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/cdrs/{cdr}`, for those who see the call: 404 for others."""
    query_of(request, Nothing)
    deps = dependencies(request)
    call, book = await _found(request, access)
    return json_response(detail_item(await book.details(call), access.reader, deps))


async def add_tag(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/cdrs/{cdr}/tags`: 201 with the tag, 200 where somebody has put it there already."""
    query_of(request, Nothing)
    tag = (await body_of(request, NewTag)).tag
    call, book = await _found(request, access)
    try:
        new = await book.tag(call, tag, access.reader.identity)
    except TooManyOnCallError as error:
        raise TooManyHereError(error.message, most=error.most) from error
    put = next((one for one in await book.tags(call.number) if one.tag == tag and one.by is not None), None)
    if put is None:
        raise NotFoundError("the call, or the tag, is gone already")
    return json_response(tag_item(put), status=201 if new else 200)


async def remove_tag(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /api/v1/cdrs/{cdr}/tags/{tag}`: 204. What a recording has from its rule stays: 404."""
    query_of(request, Nothing)
    call, book = await _found(request, access)
    if not await book.untag(call, request.match_info["tag"], access.reader.identity):
        raise NotFoundError("nobody has put this tag on the call")
    return web.Response(status=204)


async def add_note(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/cdrs/{cdr}/notes`: 201 with the note. It is never changed: write another one."""
    query_of(request, Nothing)
    text = (await body_of(request, NewNote)).text
    call, book = await _found(request, access)
    try:
        note = await book.note(call, text, access.reader.identity)
    except TooManyOnCallError as error:
        raise TooManyHereError(error.message, most=error.most) from error
    return json_response(note_item(note, access.reader), status=201)


async def remove_note(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /api/v1/cdrs/{cdr}/notes/{note}`: 204; by its author or an admin."""
    query_of(request, Nothing)
    call, book = await _found(request, access)
    note_id = NoteId(request.match_info["note"])
    note = next((one for one in await book.notes(call.number) if one.id == note_id), None)
    if note is not None and not _may_delete(note, access.reader):
        raise ForbiddenError("only its author or an admin removes a note")
    if note is None or not await book.remove_note(call, note_id, access.reader.identity):
        raise NotFoundError("the call has no such note")
    return web.Response(status=204)


# As JSON


def detail_item(details: CallDetails, reader: Reader, deps: Dependencies) -> CallDetailItem:
    """All of a call for one who sees it."""
    item = cdr_item(details.call, reader)
    looks_over = reader.role in (Role.ADMIN, Role.SUPERVISOR)
    heard = {section.key for section in details.kept.sections if sees_section(section, reader)}
    told = [one for one in details.listened if looks_over and sees_fact(one, reader)]
    listened = sorted(
        (one for one in told if (one.record_id, one.rule_id, one.file) in heard), key=lambda fact: fact.at
    )
    return {
        **item,
        "tagged": [tag_item(one) for one in details.tags if one.by is not None or one.tag in item["tags"]],
        "notes": [note_item(one, reader) for one in details.notes],
        "holds": [hold_item(one) for one in details.holds] if reader.role is Role.ADMIN else [],
        "listened": [_listened_item(one) for one in listened],
        "timeline": timeline(details.kept, reader, deps.rules().names),
    }


def tag_item(tag: CallTag) -> TagItem:
    """A tag as JSON."""
    return {
        "tag": tag.tag,
        "source": "rule" if tag.by is None else "user",
        "by": tag.by or "",
        "at": None if tag.at is None else epoch_ms(tag.at),
    }


def note_item(note: CallNote, reader: Reader) -> NoteItem:
    """A note as JSON."""
    return {
        "id": note.id,
        "text": note.text,
        "by": note.by,
        "at": epoch_ms(note.at),
        "mayDelete": _may_delete(note, reader),
    }


def _listened_item(fact: Fact) -> ListenedItem:
    return {
        "at": epoch_ms(fact.at),
        "kind": _HAD[fact.kind],
        "identity": fact.personal.get("identity", ""),
        "recordId": fact.record_id or "",
        "ruleId": fact.rule_id or 0,
        "file": fact.file or 0,
    }


def _may_delete(note: CallNote, reader: Reader) -> bool:
    return reader.role is Role.ADMIN or note.by == reader.identity


async def _found(request: web.Request, access: Access) -> tuple[KeptCdr, CallBook]:
    deps = dependencies(request)
    number = request.match_info["cdr"]
    known = number.isascii() and number.isdigit() and len(number) < 20 and int(number) <= _LARGEST
    call = await deps.store.cdr(CdrNumber(int(number))) if known else None
    if call is None or deps.call_book is None or not access.reader.sees(call.cdr.participants):
        raise NotFoundError("there is no such call")
    return call, deps.call_book


_NUMBER = {"cdr": {"type": "integer", "minimum": 1, "maximum": _LARGEST}}
OPERATIONS = (
    Operation("GET", _PATH, one_cdr, "One finished call", {200: CallDetailItem}, path_schemas=_NUMBER),
    Operation(
        "POST",
        f"{_PATH}/tags",
        add_tag,
        "Put a tag on a call",
        {200: TagItem, 201: TagItem},
        body=NewTag,
        errors=(409,),
        path_schemas=_NUMBER,
    ),
    Operation(
        "DELETE", f"{_PATH}/tags/{{tag}}", remove_tag, "Take a tag off a call", {204: None}, path_schemas=_NUMBER
    ),
    Operation(
        "POST",
        f"{_PATH}/notes",
        add_note,
        "Write a note about a call",
        {201: NoteItem},
        body=NewNote,
        errors=(409,),
        path_schemas=_NUMBER,
    ),
    Operation(
        "DELETE",
        f"{_PATH}/notes/{{note}}",
        remove_note,
        "Remove a note",
        {204: None},
        errors=(403,),
        path_schemas=_NUMBER,
    ),
)
