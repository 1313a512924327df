"""What the exports of every API share: of what they are made, whose they are, and their zips on the way out."""

from datetime import UTC
from uuid import UUID

from aiohttp import web

from bridge.api import audio, pages
from bridge.api.dependencies import Dependencies, Exports
from bridge.core.access import Reader, Role
from bridge.core.cdrs import CdrQuery
from bridge.core.exports import Export, ExportId, WantedRecording, recordings_of


async def recordings(deps: Dependencies, wanted: CdrQuery, reader: Reader) -> list[WantedRecording]:
    """The recordings of the calls that are found, as far as they are there and this reader may see them."""
    found = await pages.find(deps.store, wanted)
    return [one async for call in found.calls(deps.store) for one in recordings_of(call, reader)]


def is_its(export: Export, reader: Reader) -> bool:
    """Whether an export is this reader's to see: it is its owner, or an admin."""
    return reader.role is Role.ADMIN or export.owner == reader.identity


async def its_export(deps: Dependencies, text: str, reader: Reader) -> Export | None:
    """The export of this id, where it is this reader's to see. Raises StoreError."""
    try:
        export = await deps.store.export(ExportId(str(UUID(text))))
    except ValueError:
        return None
    return None if export is None or not is_its(export, reader) else export


def file_name(export: Export) -> str:
    """What its zip is called outside."""
    return f"{export.asked_at.astimezone(UTC):%Y-%m-%dT%H_%M_%SUTC}-{export.id}.zip"


async def send_zip(
    request: web.Request, exports: Exports, export: Export, reader: Reader, *, quoted: bool = True
) -> web.StreamResponse:
    """Answer with the zip of a finished export, or with what the request wants of it.

    A download is a fact before its first byte. Raises ExportGoneError where it is not to be had any more, MediaError
    where it is missing, RangeNotSatisfiableError, ConnectionError, StoreError.
    """
    # To ask how large it is takes nothing, and is no fact.
    path = await exports.download(export, reader) if request.method == "GET" else exports.file(export)
    with await audio.open_wav(path.parent, path.name) as file:
        return await audio.send(request, file, file_name(export), content_type="application/zip", quoted=quoted)
