"""Exports: many recordings as one zip, made by and by, and fetched in as many pieces as one likes."""

from dataclasses import replace
from typing import Annotated, Literal, Self

import structlog
from aiohttp import web
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from typing_extensions import TypedDict

from bridge.api import exported
from bridge.api.answers import NotFoundError, RequestError, TooManyRequestsError, json_response
from bridge.api.auth import Access
from bridge.api.cdr_queries import CdrFields, search_of
from bridge.api.dependencies import Dependencies, Exports, dependencies
from bridge.api.operations import MediaType, Operation
from bridge.api.validation import EMAIL, WHOLE, Fields, Nothing, body_of, query_of
from bridge.core.access import Reader, Scope
from bridge.core.cdrs import CdrNumber, CdrQuery
from bridge.core.errors import ExportGoneError, MediaError, TooManyExportsError
from bridge.core.exports import UNDER_WAY, Export, ExportStatus
from bridge.core.views import epoch_ms

log = structlog.get_logger()

_PATH = "/api/v1/exports"
_LINK = "/exports?id={}"
"""The console's page: a link out of a mail brings no cookie, but that page asks with one."""
_ASK_AGAIN_S = 60

CdrNumbers = Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1), WHOLE]], Field(min_length=1, max_length=5000)]


def _as_in_a_query(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


class ExportFilter(CdrFields):
    """The fields of `GET /api/v1/cdrs`; calls without a recording never count."""

    recorded: Annotated[
        Literal["true", "false"] | None,
        BeforeValidator(_as_in_a_query),
        WithJsonSchema({"enum": ["true", "false", True, False, None]}),
    ] = None


class NewExport(Fields):
    """Of which finished calls: all that the filter finds, or these. `email`: who is told when it is over."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["filter"]}, {"required": ["cdrs"]}]}  # what _one_of_them says
    )

    filter: ExportFilter = Field(default_factory=ExportFilter)
    cdrs: CdrNumbers = Field(default=[], validate_default=False)
    email: Annotated[str, Field(max_length=254, pattern=f"^{EMAIL}$")] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if len({"filter", "cdrs"} & self.model_fields_set) != 1:
            raise ValueError("it should have either `filter` or `cdrs`")
        return self


class ExportsQuery(Fields):
    """Which exports are listed."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class ExportItem(TypedDict):
    """An export. `wantedBytes` and `doneBytes` are of the recordings, `sizeBytes` is the finished zip's.

    `missing` recordings stand in its manifest alone. `endsAt` is when it will be made, once that can be told;
    `expiresAt` when it is deleted. `reason` says why it has failed or is deleted.
    """

    id: str
    owner: str
    status: str
    askedAt: int
    calls: int
    recordings: int
    done: int
    missing: int
    wantedBytes: int
    doneBytes: int
    endsAt: int | None
    finishedAt: int | None
    expiresAt: int | None
    sizeBytes: int | None
    fileName: str
    reason: str | None


class ExportItems(TypedDict):
    """Those that the reader may see, newest first."""

    items: list[ExportItem]


class NoRecordingError(RequestError):
    """None of the calls has a recording that is there and that the reader may see."""

    status = 409
    code = "no-recording-to-export"


class ExportNotDoneError(RequestError):
    """Its zip is not made yet."""

    status = 409
    code = "export-not-done"


class ExportOverError(RequestError):
    """Its zip is not there any more, or never was; the details' `reason` says why."""

    status = 410
    code = "export-over"


async def new_export(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/exports`: 202 with the export and its Location."""
    access.needs(Scope.EXPORT)
    body = await body_of(request, NewExport)
    deps, reader = dependencies(request), access.reader
    exports = _offered(deps)
    recordings = await exported.recordings(deps, _wanted(body, reader), reader)
    if not recordings:
        raise NoRecordingError("none of these calls has a recording that is there, and that you may see")
    try:
        export = await exports.ask(recordings, reader, body.email or "", _LINK)
    except TooManyExportsError as error:
        raise TooManyRequestsError(error.message, _ASK_AGAIN_S) from error
    return json_response(export_item(export), status=202, headers={"Location": f"{_PATH}/{export.id}"})


async def all_exports(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/exports`: one's own; an admin's are all."""
    query = query_of(request, ExportsQuery)
    reader = access.reader
    found = [one for one in await dependencies(request).store.exports() if exported.is_its(one, reader)]
    items: ExportItems = {"items": [export_item(one) for one in reversed(found[-query.limit :])]}
    return json_response(items)


async def one_export(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/exports/{id}`."""
    query_of(request, Nothing)
    return json_response(export_item(await _found(request, access)))


async def cancel(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /api/v1/exports/{id}`: 204; it is not made any more, and what was made goes."""
    access.needs(Scope.EXPORT)
    export = await _found(request, access)
    if export.status is not ExportStatus.DELETED:
        await _offered(dependencies(request)).cancel(export, access.reader)
    return web.Response(status=204)


async def download(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/exports/{id}/download`: the zip, by Range too."""
    access.needs(Scope.EXPORT)
    access.check_page(request)
    query_of(request, Nothing)
    export = await _found(request, access)
    if export.status in UNDER_WAY:
        raise ExportNotDoneError("this export is not made yet", done=export.done, recordings=export.recordings)
    if export.status is not ExportStatus.FINISHED:
        raise ExportOverError("this export has no zip, or not any more", reason=export.reason)
    try:
        return await exported.send_zip(request, _offered(dependencies(request)), export, access.reader)
    except ExportGoneError as error:
        raise ExportOverError(error.message) from error
    except MediaError as error:
        log.error("export-missing", export=export.id, reason=error.message)
        raise ExportOverError("the zip of this export is missing: ask for a new one", reason="file-missing") from error


def export_item(export: Export) -> ExportItem:
    """An export as JSON."""
    ends_at, finished_at, expires_at = (
        None if at is None else epoch_ms(at) for at in (export.ends_at, export.finished_at, export.expires_at)
    )
    return {
        "id": export.id,
        "owner": export.owner,
        "status": str(export.status),
        "askedAt": epoch_ms(export.asked_at),
        "calls": export.calls,
        "recordings": export.recordings,
        "done": export.done,
        "missing": export.missing,
        "wantedBytes": export.wanted_bytes,
        "doneBytes": export.done_bytes,
        "endsAt": ends_at,
        "finishedAt": finished_at,
        "expiresAt": expires_at,
        "sizeBytes": export.size_bytes,
        "fileName": exported.file_name(export),
        "reason": export.reason,
    }


def _wanted(body: NewExport, reader: Reader) -> CdrQuery:
    search = search_of(body.filter, reader)
    recorded = search.wanted.recorded is not False
    numbers = tuple(CdrNumber(one) for one in body.cdrs) or search.wanted.numbers
    return CdrQuery(replace(search.wanted, recorded=recorded, numbers=numbers), search.visible_to)


async def _found(request: web.Request, access: Access) -> Export:
    export = await exported.its_export(dependencies(request), request.match_info["export_id"], access.reader)
    if export is None:
        raise NotFoundError("there is no such export")
    return export


def _offered(deps: Dependencies) -> Exports:
    if deps.exports is None:
        raise NotFoundError("no exports are made here")
    return deps.exports


_ONE = f"{_PATH}/{{export_id}}"
OPERATIONS = (
    Operation(
        "POST", _PATH, new_export, "Ask for an export", {202: ExportItem}, body=NewExport, errors=(403, 404, 409)
    ),
    Operation("GET", _PATH, all_exports, "One's exports; an admin's are all", {200: ExportItems}, ExportsQuery),
    Operation("GET", _ONE, one_export, "An export, and how far it is", {200: ExportItem}, errors=(404,)),
    Operation("DELETE", _ONE, cancel, "Cancel it, or delete its zip", {204: None}, errors=(403, 404)),
    Operation(
        "GET",
        f"{_ONE}/download",
        download,
        "Its zip",
        {200: MediaType("application/zip"), 206: MediaType("application/zip"), 304: None},
        errors=(403, 404, 409, 410, 416),
    ),
)
