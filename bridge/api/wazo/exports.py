"""Exports: many recordings as one zip, made by and by."""

from typing import Any

import structlog
from aiohttp import web

from bridge.api import exported as shared
from bridge.api.answers import TooManyRequestsError, json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, Exports, dependencies
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
from bridge.core.access import Scope
from bridge.core.errors import ExportGoneError, MediaError, TooManyExportsError
from bridge.core.exports import Export, ExportStatus

log = structlog.get_logger()

_ASK_AGAIN_S = 60
_LINK = "/api/call-logd/1.0/exports/{}/download"


async def new_export(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /cdr/recordings/media/export`: 202 with Location, `uuid` and `export_uuid`."""
    needs_scope(access, "call-logd.cdr.recordings.media.export.create", Scope.EXPORT)
    deps, reader = dependencies(request), access.reader
    wanted, email = await exported(request.query, await json_body(request), reader, users_of(deps))
    exports = _offered(deps)
    recordings = await shared.recordings(deps, wanted, reader)
    if not recordings:
        raise NoRecordingToExportError
    try:
        export = await exports.ask(recordings, reader, email, _LINK)
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
    access.check_page(request)
    export = await _own_export(request, access)
    needs_scope(access, f"call-logd.exports.{export.id}.download.read", Scope.EXPORT)
    if export.status in {ExportStatus.PENDING, ExportStatus.PROCESSING}:
        raise ExportNotDoneYetError(export.id)
    if export.status is not ExportStatus.FINISHED:
        raise ExportNotFoundError(export.id, export.reason or str(export.status))
    try:
        return await shared.send_zip(request, _offered(deps), export, access.reader, quoted=False)
    except ExportGoneError as error:
        raise ExportNotFoundError(export.id, error.message) from error
    except MediaError as error:
        log.error("export-missing", export=export.id, reason=error.message)
        raise ExportFileMissingError(export.id) from error


async def cancel(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /exports/{export_uuid}`: 204; it is not made any more, and what was made goes. Not one of Wazo's."""
    export = await _own_export(request, access)
    needs_scope(access, f"call-logd.exports.{export.id}.delete", Scope.EXPORT)
    if export.status is not ExportStatus.DELETED:
        await _offered(dependencies(request)).cancel(export, access.reader)
    return web.Response(status=204)


async def _own_export(request: web.Request, access: Access) -> Export:
    text = request.match_info["export_uuid"]
    export = await shared.its_export(dependencies(request), text, access.reader)
    if export is None:
        raise ExportNotFoundError(text)
    return export


def _offered(deps: Dependencies) -> Exports:
    if deps.exports is None:
        raise NotOfferedError("exports are not made here")
    return deps.exports


def _item(export: Export, deps: Dependencies) -> dict[str, Any]:
    """Wazo's fields (`date` is what its documentation calls `requested_at`), and how far it is."""
    asked_at = export.asked_at.isoformat()
    return {
        "uuid": export.id,
        "tenant_uuid": str(deps.tenant_uuid),
        "user_uuid": users_of(deps).uuid(export.owner),
        "requested_at": asked_at,
        "date": asked_at,
        "filename": shared.file_name(export),
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
