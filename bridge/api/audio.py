"""A WAV on its way out: opened below the spool alone, sent in blocks, by Range."""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from bridge.api.answers import RangeNotSatisfiableError
from bridge.api.ranges import FileStamp, not_modified, wanted_range
from bridge.core.errors import MediaError

_BLOCK = 256 * 1024
_WRITE_S = 60


class OpenFile:
    """A regular file that is open for reading."""

    def __init__(self, descriptor: int, stamp: FileStamp) -> None:
        self.descriptor = descriptor
        self.stamp = stamp

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)


async def open_wav(root: Path, relative: str) -> OpenFile:
    """Open a file of the spool. Raises MediaError where there is none, or the path leads out of the spool."""
    return await asyncio.to_thread(_open, root, relative)


def _open(root: Path, relative: str) -> OpenFile:
    try:
        path = (root / relative).resolve(strict=True)
        if not path.is_relative_to(root.resolve(strict=True)):
            raise MediaError(f"{relative!r} leads out of the spool {root}", reason="bad-path")
        # Not blocking: opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the path, a loop of links
        raise MediaError(f"{root / relative}: {error}", reason="missing") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise MediaError(f"{root / relative} is no file", reason="missing")
    return OpenFile(descriptor, FileStamp(status.st_size, status.st_mtime_ns))


async def send(
    request: web.Request,
    file: OpenFile,
    download_name: str | None,
    *,
    content_type: str = "audio/wav",
    quoted: bool = True,
    before: Callable[[], Awaitable[None]] | None = None,
) -> web.StreamResponse:
    """Answer with the file, or with what the request wants of it. A client that takes nothing for 60 s is let go.

    `quoted`: the name stands in quotes; scripts for Wazo expect none. `before` is awaited where bytes of the file are
    about to go out, before the first of them; what it raises ends the request, and none does.

    Raises RangeNotSatisfiableError, ConnectionError.
    """
    stamp = file.stamp
    headers = {
        "Content-Type": content_type,
        "Accept-Ranges": "bytes",
        "ETag": stamp.etag,
        "Last-Modified": stamp.last_modified,
        # What a browser keeps it plays again without asking, and nobody is told.
        "Cache-Control": "no-store" if before is not None else "private, no-cache",
        # A browser that opens the link plays it in a page of its own making, which must be allowed to load it.
        "Content-Security-Policy": "default-src 'none'; media-src 'self'; frame-ancestors 'none'",
    }
    if download_name is not None:
        name = f'"{download_name}"' if quoted else download_name
        headers["Content-Disposition"] = f"attachment; filename={name}"
    if not_modified(request.headers, stamp):
        del headers["Content-Type"]
        return web.Response(status=304, headers=headers)
    # Range is defined for GET alone (RFC 9110, 14.2).
    wanted = wanted_range(request.headers, stamp) if request.method == "GET" else None
    if wanted is not None and not wanted:
        raise RangeNotSatisfiableError(
            f"the file has {stamp.size} bytes", headers={"Content-Range": f"bytes */{stamp.size}"}, size=stamp.size
        )
    if before is not None and request.method == "GET":
        await before()
    if wanted is None:
        response = web.StreamResponse(status=200, headers=headers)
        wanted = range(stamp.size)
    else:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{stamp.size}"
        response = web.StreamResponse(status=206, headers=headers)
    response.content_length = len(wanted)
    await response.prepare(request)
    if request.method == "GET":
        await _send(response, file, wanted)
    await response.write_eof()
    return response


async def _send(response: web.StreamResponse, file: OpenFile, wanted: range) -> None:
    for start in range(wanted.start, wanted.stop, _BLOCK):
        block = await asyncio.to_thread(os.pread, file.descriptor, min(_BLOCK, wanted.stop - start), start)
        if not block:
            raise ConnectionResetError("the file became shorter while it was sent")
        try:
            async with asyncio.timeout(_WRITE_S):
                await response.write(block)
        except TimeoutError as error:
            raise ConnectionResetError("the client takes nothing") from error
