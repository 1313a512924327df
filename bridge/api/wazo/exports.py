"""Exports: many recordings as one zip, made by and by."""

from datetime import UTC
from typing import Any
from uuid import UUID

import structlog
from aiohttp import web

from bridge.api import audio
from bridge.api.answers import TooManyRequestsError, json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, Exports, dependencies
from bridge.api.wazo import pages
from bridge.api.wazo.access import needs_scope
from bridge.api.wazo.cdr import users_of
from bridge.api.wazo.errors import (
    ExportFileMissingError,
    ExportNotDoneYetError,
    ExportNotFoundError,
    NoRecordingToExportError,
    NotOfferedError,
)
from bridge.api.wazo.parsing import json_body
from bridge.api.wazo.wanted import exported
from bridge.core.access import Role, Scope
from bridge.core.errors import ExportGoneError, MediaError, TooManyExportsError
from bridge.core.exports import Export, ExportId, ExportStatus, recordings_of

log = structlog.get_logger()

_ASK_AGAIN_S = 60


async def new_export(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /cdr/recordings/media/export`: 202 with Location, `uuid` and `export_uuid`."""
    needs_scope(access, "call-logd.cdr.recordings.media.export.create", Scope.EXPORT)
    deps, reader = dependencies(request), access.reader
    wanted, email = await exported(request.query, await json_body(request), reader, users_of(deps))
    exports = _offered(deps)
    found = await pages.find(deps.store, wanted)
    recordings = [one async for call in found.calls(deps.store) for one in recordings_of(call, reader)]
    if not recordings:
        raise NoRecordingToExportError
    try:
        export = await exports.ask(recordings, reader, email)
    except TooManyExportsError as error:
        raise TooManyRequestsError(error.message, _ASK_AGAIN_S) from error
    root = request.path.removesuffix("/cdr/recordings/media/export")
    location = f"{root}/exports/{export.id}"
    return json_response({"uuid": export.id, "export_uuid": export.id}, status=202, headers={"Location": location})


async def one_export(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /exports/{export_uuid}`."""
    deps = dependencies(request)
    return json_response(_item(await _own_export(request, access), deps))


async def download(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /exports/{export_uuid}/download`: the zip, or 202 while it is being made."""
    deps = dependencies(request)
    export = await _own_export(request, access)
    needs_scope(access, f"call-logd.exports.{export.id}.download.read", Scope.EXPORT)
    if export.status in {ExportStatus.PENDING, ExportStatus.PROCESSING}:
        raise ExportNotDoneYetError(export.id)
    if export.status is not ExportStatus.FINISHED:
        raise ExportNotFoundError(export.id, export.reason or str(export.status))
    exports = _offered(deps)
    try:
        # To ask how large it is takes nothing, and is no fact.
        path = await exports.download(export, access.reader) if request.method == "GET" else exports.file(export)
        file = await audio.open_wav(path.parent, path.name)
    except ExportGoneError as error:
        raise ExportNotFoundError(export.id, error.message) from error
    except MediaError as error:
        log.error("export-missing", export=export.id, reason=error.message)
        raise ExportFileMissingError(export.id) from error
    with file:
        return await audio.send(request, file, _file_name(export), content_type="application/zip", quoted=False)


async def cancel(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /exports/{export_uuid}`: 204; it is not made any more, and what was made goes. Not one of Wazo's."""
    export = await _own_export(request, access)
    needs_scope(access, f"call-logd.exports.{export.id}.delete", Scope.EXPORT)
    if export.status is not ExportStatus.DELETED:
        await _offered(dependencies(request)).cancel(export, access.reader)
    return web.Response(status=204)


async def _own_export(request: web.Request, access: Access) -> Export:
    text = request.match_info["export_uuid"]
    try:
        export = await dependencies(request).store.export(ExportId(str(UUID(text))))
    except ValueError:
        raise ExportNotFoundError(text) from None
    reader = access.reader
    if export is None or (reader.role is not Role.ADMIN and export.owner != reader.identity):
        raise ExportNotFoundError(text)
    return export


def _offered(deps: Dependencies) -> Exports:
    if deps.exports is None:
        raise NotOfferedError("exports are not made here")
    return deps.exports


def _file_name(export: Export) -> str:
    return f"{export.asked_at.astimezone(UTC):%Y-%m-%dT%H_%M_%SUTC}-{export.id}.zip"


def _item(export: Export, deps: Dependencies) -> dict[str, Any]:
    """Wazo's fields (`date` is what its documentation calls `requested_at`), and how far it is."""
    asked_at = export.asked_at.isoformat()
    return {
        "uuid": export.id,
        "tenant_uuid": str(deps.tenant_uuid),
        "user_uuid": users_of(deps).uuid(export.owner),
        "requested_at": asked_at,
        "date": asked_at,
        "filename": _file_name(export),
        "status": str(export.status),
        "recordings": export.recordings,
        "done": export.done,
        "missing": export.missing,
        "progress": 1.0 if export.status is ExportStatus.FINISHED else _part(export),
        "size": export.size_bytes,
        "finished_at": None if export.finished_at is None else export.finished_at.isoformat(),
        "expires_at": None if export.expires_at is None else export.expires_at.isoformat(),
        "reason": export.reason,
    }


def _part(export: Export) -> float:
    return round(export.done / export.recordings, 3) if export.recordings else 0.0
