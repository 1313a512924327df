"""Finished calls: `/cdr`, `/cdr/{id}`, `/users/{uuid}/cdr`, `/users/me/cdr`, as JSON or CSV."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp import web

from bridge.api import pages
from bridge.api.answers import json_response, json_text
from bridge.api.auth import Access
from bridge.api.csv_lines import wants_csv
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.wazo import cdr_csv
from bridge.api.wazo.cdr_fields import CdrView
from bridge.api.wazo.errors import CdrNotFoundError, MissingAccessError
from bridge.api.wazo.user_ids import Users
from bridge.api.wazo.wanted import listed
from bridge.core.access import Reader, Role
from bridge.core.cdrs import CdrNumber, CdrQuery, KeptCdr
from bridge.core.store import Store

_CDR_ID = re.compile(r"[0-9]{1,18}", re.ASCII)


async def all_calls(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /cdr`: an admin's all, a supervisor's groups'. A user has none of the whole list."""
    reader, deps = access.reader, dependencies(request)
    if reader.role is Role.USER:
        raise MissingAccessError("call-logd.cdr.read")
    return await _answer(request, reader, await listed(request.query, reader, users_of(deps)))


async def my_calls(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /users/me/cdr`: those that one took part in."""
    reader, deps = access.reader, dependencies(request)
    wanted = await listed(request.query, reader, users_of(deps))
    return await _answer(request, reader, replace(wanted, visible_to=[reader.identity]))


async def calls_of_user(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /users/{user_uuid}/cdr`: of oneself, for a supervisor of whom it supervises, for an admin of anybody."""
    reader, deps = access.reader, dependencies(request)
    uuid = request.match_info["user_uuid"]
    identity = await users_of(deps).identity(uuid)
    if identity is None and reader.role is Role.ADMIN:
        query = {**request.query, "user_uuid": uuid}
        return await _answer(request, reader, await listed(query, reader, users_of(deps)))
    if identity is None or not reader.sees((identity,)):
        raise MissingAccessError(f"call-logd.users.{uuid}.cdr.read")
    query = {name: value for name, value in request.query.items() if name != "user_uuid"}
    wanted = await listed(query, reader, users_of(deps))
    return await _answer(request, reader, replace(wanted, visible_to=[identity]))


async def one_call(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /cdr/{cdr_id}`."""
    kept = await visible_call(request, access.reader)
    view = _view(dependencies(request), access.reader)
    item = view.item(kept)
    if wants_csv(request):
        most = len(item["recordings"])
        return web.Response(body=cdr_csv.header(most) + cdr_csv.line(item, most), headers=cdr_csv.HEADERS)
    return json_response(item)


async def visible_call(request: web.Request, reader: Reader) -> KeptCdr:
    """The call of the path. Raises CdrNotFoundError, also where it is not this reader's to see; StoreError."""
    text = request.match_info["cdr_id"]
    if not _CDR_ID.fullmatch(text):
        raise CdrNotFoundError(text)
    return await call_of(dependencies(request).store, CdrNumber(int(text)), reader)


async def call_of(store: Store, number: CdrNumber, reader: Reader) -> KeptCdr:
    """One call. Raises CdrNotFoundError, also where it is not this reader's to see; StoreError."""
    kept = await store.cdr(number)
    if kept is None or not reader.sees(kept.cdr.participants):
        raise CdrNotFoundError(number)
    return kept


def users_of(deps: Dependencies) -> Users:
    """What is known of users now."""
    return Users(deps.directory(), deps.store)


def _view(deps: Dependencies, reader: Reader) -> CdrView:
    return CdrView(reader, users_of(deps), deps.tenant_uuid)


async def _answer(request: web.Request, reader: Reader, wanted: CdrQuery) -> web.StreamResponse:
    deps = dependencies(request)
    view = _view(deps, reader)
    found = await pages.find(deps.store, wanted)
    if wants_csv(request):
        return await _answer_csv(request, view, found)
    if not found.is_whole:
        return await _stream_json(request, view, found)
    items = [view.item(kept) for kept in found.first.items]
    return json_response({"items": items, "total": found.first.total, "filtered": found.first.filtered})


async def _answer_csv(request: web.Request, view: CdrView, found: pages.Found) -> web.StreamResponse:
    if found.all is None:
        items = [view.item(kept) for kept in found.first.items]
        most = max((len(item["recordings"]) for item in items), default=0)
        lines = [cdr_csv.line(item, most) for item in items]
        return web.Response(body=cdr_csv.header(most) + b"".join(lines), headers=cdr_csv.HEADERS)
    most = found.all.most_recordings

    async def lines_of_all() -> AsyncIterator[bytes]:
        yield cdr_csv.header(most)
        async for kept in found.calls(dependencies(request).store):
            yield cdr_csv.line(view.item(kept), most)

    return await pages.send(request, web.StreamResponse(headers=cdr_csv.HEADERS), lines_of_all())


async def _stream_json(request: web.Request, view: CdrView, found: pages.Found) -> web.StreamResponse:
    async def parts() -> AsyncIterator[bytes]:
        before = b'{"items":['
        async for kept in found.calls(dependencies(request).store):
            yield before + json_text(view.item(kept)).encode()
            before = b","
        yield f'],"total":{found.counts.total},"filtered":{found.counts.filtered}}}'.encode()

    return await pages.send(request, web.StreamResponse(headers={"Content-Type": "application/json"}), parts())
