"""Recordings: their audio, and its deletion."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import structlog
from aiohttp import web

from bridge.api import audio
from bridge.api.answers import AudioMissingError, RecordingDeletedError
from bridge.api.auth import Access
from bridge.api.dependencies import dependencies
from bridge.api.handouts import HANDOUTS
from bridge.api.records import open_section
from bridge.api.wazo.access import needs_scope
from bridge.api.wazo.cdr import call_of, visible_call
from bridge.api.wazo.errors import (
    CdrNotFoundError,
    NotOfferedError,
    RecordingKeptError,
    RecordingMediaGoneError,
    RecordingMediaNotFoundError,
    RecordingNotFoundError,
)
from bridge.api.wazo.kinds import integers
from bridge.api.wazo.parsing import WazoFields, json_body, parsed
from bridge.core.access import Reader, Scope
from bridge.core.cdrs import CdrNumber, KeptCdr, recording_name, recording_uuid
from bridge.core.records import Section
from bridge.core.views import sees_section

log = structlog.get_logger()


class CdrIdsBody(WazoFields):
    """Of which calls."""

    cdr_ids: Annotated[tuple[int, ...], integers(required=True)]


async def media(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /cdr/{cdr_id}/recordings/{recording_uuid}/media`: the WAV; whole, as an attachment, it is a download."""
    return await _send(request, access, await visible_call(request, access.reader), "call-logd.cdr")


async def my_media(request: web.Request, access: Access) -> web.StreamResponse:
    """The same below `/users/me`: of calls that one took part in."""
    kept = await visible_call(request, access.reader)
    if access.reader.identity not in kept.cdr.participants:
        raise CdrNotFoundError(kept.number)
    return await _send(request, access, kept, "call-logd.users.me.cdr")


async def delete_one(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /cdr/{cdr_id}/recordings/{recording_uuid}/media`: 204, also where it was deleted before."""
    kept = await visible_call(request, access.reader)
    uuid = request.match_info["recording_uuid"]
    needs_scope(access, f"call-logd.cdr.{kept.number}.recordings.{uuid}.media.delete", Scope.DELETE)
    await _delete(request, [_recording(kept, uuid, access.reader)], access.reader)
    return web.Response(status=204)


async def delete_many(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /cdr/recordings/media` with `{"cdr_ids": […]}`: all recordings of these calls, or, where one call is not
    there, none. Raises CdrNotFoundError for the first such one.
    """
    needs_scope(access, "call-logd.cdr.recordings.media.delete", Scope.DELETE)
    reader, store = access.reader, dependencies(request).store
    wanted = parsed(CdrIdsBody, await json_body(request))
    sections: list[Section] = []
    for one in dict.fromkeys(wanted.cdr_ids):
        kept = await call_of(store, CdrNumber(one), reader)
        sections += [section for section in kept.sections if sees_section(section, reader)]
    await _delete(request, sections, reader)
    return web.Response(status=204)


async def _send(request: web.Request, access: Access, kept: KeptCdr, prefix: str) -> web.StreamResponse:
    reader, uuid = access.reader, request.match_info["recording_uuid"]
    ranged = "Range" in request.headers
    scopes = (Scope.PLAY, Scope.DOWNLOAD) if ranged else (Scope.DOWNLOAD,)
    needs_scope(access, f"{prefix}.{kept.number}.recordings.{uuid}.media.read", *scopes)
    access.check_page(request)
    section = _recording(kept, uuid, reader)
    try:
        section, file = await open_section(request, section.key, reader)
    except RecordingDeletedError as error:
        raise RecordingMediaNotFoundError(uuid) from error
    except AudioMissingError as error:
        raise RecordingMediaGoneError(uuid) from error
    # Who may only download goes on with a download.
    note = partial(request.app[HANDOUTS].note, section, access, download=not ranged or Scope.PLAY not in reader.scopes)
    with file:
        log.info("recording-sent", cdr=kept.number, recording=uuid, identity=reader.identity, part=ranged)
        name = None if ranged else recording_name(kept.number, section)
        return await audio.send(request, file, name, quoted=False, before=note)


def _recording(kept: KeptCdr, uuid: str, reader: Reader) -> Section:
    wanted = uuid.lower()
    for section in kept.sections:
        if str(recording_uuid(section.key)) == wanted and sees_section(section, reader):
            return section
    raise RecordingNotFoundError(uuid)


async def _delete(request: web.Request, sections: Sequence[Section], reader: Reader) -> None:
    recordings = dependencies(request).recordings
    there = [section for section in sections if section.deleted_at is None]
    if not there:
        return
    if recordings is None:
        raise NotOfferedError("recordings cannot be deleted here")
    stay = await recordings.delete(there, reader)
    if stay:
        raise RecordingKeptError([str(recording_uuid(key)) for key in stay])
