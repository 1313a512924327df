"""The console: one page for all its paths, and the files that it is made of."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath

from aiohttp import web

from bridge.api.answers import NotFoundError
from bridge.api.operations import MediaType, Operation

PATHS = (
    "/",
    "/now",
    "/calls",
    "/calls/{cdr}",
    "/rules",
    "/exports",
    "/callbacks",
    "/coverage",
    "/system",
    "/sign-in",
)
"""What the page itself shows by its path (`web/app.js`)."""

_INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    "LICENSE": "text/plain; charset=utf-8",
}
"""What is served at all, by its suffix, or its name where it has none; a file of another kind is not."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is served."""

    body: bytes
    content_type: str
    etag: str


@cache
def _files() -> Mapping[str, _File]:
    """All of them, by their path below /web/. Only these names are answered, so no path leads out of the folder."""
    found: dict[str, _File] = {}
    _collect(files("bridge") / "web", "", found)
    return found


def _collect(folder: Traversable, under: str, found: dict[str, _File]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            _collect(entry, f"{under}{entry.name}/", found)
            continue
        kind = PurePath(entry.name).suffix or entry.name
        if kind in _TYPES:
            body = entry.read_bytes()
            found[under + entry.name] = _File(body, _TYPES[kind], hashlib.sha256(body).hexdigest()[:32])


async def page(request: web.Request) -> web.StreamResponse:  # noqa: ARG001  # aiohttp's shape
    """The page, with a nonce of its own for the styles that a vendored script sets."""
    nonce = secrets.token_urlsafe(16)
    index = _files()[_INDEX]
    headers = {
        "Content-Type": index.content_type,
        "Content-Security-Policy": _POLICY.format(nonce=nonce),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "same-origin",  # cross_site.check_asked_by_page
        "Cache-Control": "no-cache",
    }
    return web.Response(body=index.body.replace(b"{{nonce}}", nonce.encode()), headers=headers)


async def file(request: web.Request) -> web.StreamResponse:
    """`GET /web/…`: 304 where the client has it already."""
    found = _files().get(request.match_info["path"])
    if found is None:
        raise NotFoundError("there is nothing at this path")
    response = web.Response(headers={"Content-Type": found.content_type, "Cache-Control": "no-cache"})
    response.etag = found.etag
    if any(tag.value in (found.etag, "*") for tag in request.if_none_match or ()):
        response.set_status(304)
    else:
        response.body = found.body
    return response


OPERATIONS = (
    *(
        Operation("GET", path, page, "The console's page", {200: MediaType("text/html")}, public=True, group="console")
        for path in PATHS
    ),
    Operation(
        "GET",
        "/web/{path:.+}",
        file,
        "A file of the console",
        {200: MediaType(*sorted({kind.partition(";")[0] for kind in _TYPES.values()})), 304: None},
        public=True,
        group="console",
    ),
)
