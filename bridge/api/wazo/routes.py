"""Which of Wazo's paths is whose.

wazo-call-logd, -calld, -confd and -auth each have a port of their own, or a prefix on a shared one: the clients speak
to ours with `prefix=None` or with their prefix.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from aiohttp import web
from typing_extensions import TypedDict

from bridge.api import requests
from bridge.api.operations import MediaType, Operation
from bridge.api.wazo import calls, cdr, exports, features, media, retention, service, token, users, wanted
from bridge.api.wazo.access import Handler, with_access
from bridge.api.wazo.parsing import WazoFields
from bridge.core.commands import Verb

_CALL_LOGD = ("/1.0", "/api/call-logd/1.0")
_CALLD = ("/1.0", "/api/calld/1.0")
_CONFD = ("/1.1", "/api/confd/1.1")
_AUTH = ("/0.1", "/api/auth/0.1")

_BY_TOKEN: Final = ("bearer", "token", "session")
_ALSO_IN_QUERY: Final = (*_BY_TOKEN, "inQuery")
_CSV: Final = MediaType("text/csv")
_WAV: Final = MediaType("audio/wav")
_ZIP: Final = MediaType("application/zip")
_Object = dict[str, Any]


class Found(TypedDict):
    """A part of a list: `total` is how many one may see, `filtered` how many are found."""

    items: list[_Object]
    total: int
    filtered: int


class Items(TypedDict):
    """A list."""

    items: list[_Object]


class Page(TypedDict):
    """A part of a list of `total`."""

    items: list[_Object]
    total: int


class Data(TypedDict):
    """What was asked for."""

    data: _Object


class NewExport(TypedDict):
    """Under both names that Wazo has for it."""

    uuid: str
    export_uuid: str


class Scopes(TypedDict):
    """Which accesses the token has."""

    scopes: dict[str, bool]


def _one(
    method: str,
    path: str,
    handler: Handler,
    summary: str,
    answers: Mapping[int, Any],
    *,
    query: type[WazoFields] = WazoFields,
    body: type[WazoFields] | None = None,
    errors: tuple[int, ...] = (),
    token_in_query: bool = False,
    body_required: bool = False,
    headers: tuple[str, ...] = (),
) -> Operation:
    return Operation(
        method,
        path,
        with_access(handler, token_in_query=token_in_query),
        summary,
        answers,
        query,
        body,
        errors=errors,
        public=True,
        security=_ALSO_IN_QUERY if token_in_query else _BY_TOKEN,
        body_required=body_required,
        body_null=not body_required,
        headers=("Wazo-Tenant", *headers),
        words=handler.__doc__ or "",
    )


_MEDIA = "/cdr/{cdr_id}/recordings/{recording_uuid}/media"
_AUDIO: Final[Mapping[int, Any]] = {200: _WAV, 206: _WAV, 304: None}
_UNMADE = (404, 503)

_OF_CALL_LOGD: Final = (
    _one(
        "GET",
        "/cdr",
        cdr.all_calls,
        "Finished calls",
        {200: (Found, _CSV)},
        query=wanted.ListQuery,
        token_in_query=True,
    ),
    _one("GET", "/cdr/{cdr_id}", cdr.one_call, "A finished call", {200: (_Object, _CSV)}),
    _one(
        "GET",
        "/users/me/cdr",
        cdr.my_calls,
        "One's own",
        {200: (Found, _CSV)},
        query=wanted.ListQuery,
        token_in_query=True,
    ),
    _one("GET", "/users/{user_uuid}/cdr", cdr.calls_of_user, "A user's", {200: (Found, _CSV)}, query=wanted.ListQuery),
    _one("GET", _MEDIA, media.media, "A recording", _AUDIO, errors=(409, 416), token_in_query=True, headers=("Range",)),
    _one("GET", f"/users/me{_MEDIA}", media.my_media, "One's own", _AUDIO, errors=(409, 416), headers=("Range",)),
    _one("DELETE", _MEDIA, media.delete_one, "Delete a recording", {204: None}, errors=(409,)),
    _one(
        "DELETE",
        "/cdr/recordings/media",
        media.delete_many,
        "Delete all recordings of calls",
        {204: None},
        body=media.CdrIdsBody,
        body_required=True,
        errors=(404, 409),
    ),
    _one(
        "POST",
        "/cdr/recordings/media/export",
        exports.new_export,
        "Many recordings as one zip",
        {202: NewExport},
        query=wanted.ExportQuery,
        body=wanted.ExportBody,
    ),
    _one("GET", "/exports/{export_uuid}", exports.one_export, "An export", {200: _Object}),
    _one(
        "GET",
        "/exports/{export_uuid}/download",
        exports.download,
        "Its zip",
        {200: _ZIP, 206: _ZIP, 304: None, 202: _Object},
        errors=(416,),
        token_in_query=True,
        headers=("Range",),
    ),
    _one("DELETE", "/exports/{export_uuid}", exports.cancel, "Cancel or delete it", {204: None}),
    _one("GET", "/retention", retention.show, "How long things are kept", {200: _Object}),
    _one("PUT", "/retention", retention.put, "Set that", {204: None}, body=retention.RetentionBody),
    _one("GET", "/status", service.status, "How it is", {200: _Object}),
    _one("GET", "/config", service.config, "How it is set up", {200: _Object}),
)

_OF_CALLD: Final = (
    _one("GET", "/calls", calls.calls, "Running calls, by channel", {200: Items}),
    _one("GET", "/calls/{call_id}", calls.call, "One of them", {200: _Object}),
    _one("GET", "/users/me/calls", calls.my_calls, "One's own", {200: Items}),
    *(
        _one(
            "PUT",
            f"{root}/calls/{{call_id}}/record/{verb}",
            calls.record(verb, own=bool(root)),
            f"{verb.capitalize()} its recording",
            {204: None},
            errors=(403, 409, 504),
        )
        for root in ("", "/users/me")
        for verb in Verb
    ),
)

_OF_CONFD: Final = (
    _one("GET", "/users", users.users, "The users", {200: Page}, query=users.UsersQuery),
    _one("GET", "/users/{user_id}", users.user, "A user", {200: _Object}),
    _one("PUT", "/users/{user_id}", users.change_user, "Which calls are recorded", {204: None}, body=users.UserBody),
    _one("GET", "/extensions/features", features.features, "The keys", {200: Page}, query=features.FeaturesQuery),
    _one("GET", "/extensions/features/{feature_id}", features.feature, "A key", {200: _Object}),
    _one(
        "PUT",
        "/extensions/features/{feature_id}",
        features.change_feature,
        "Whether it counts",
        {204: None},
        body=features.FeatureBody,
    ),
)

_TOKEN = "/token/{token}"  # noqa: S105  # a path
_OF_AUTH: Final = (
    Operation(
        "POST",
        "/token",
        token.new_token,
        "A new token",
        {200: Data},
        WazoFields,
        token.TokenBody,
        public=True,
        security=("basic", ""),
        body_required=False,
        body_null=True,
    ),
    Operation(
        "GET",
        _TOKEN,
        token.token,
        "A token",
        {200: Data},
        token.TokenQuery,
        errors=(403,),
        public=True,
        head=False,
    ),
    Operation(
        "HEAD", _TOKEN, token.check_token, "Is it good?", {204: None}, token.TokenQuery, errors=(403,), public=True
    ),
    Operation("DELETE", _TOKEN, token.revoke_token, "End it", {200: Data}, WazoFields, errors=(401,), public=True),
    Operation(
        "POST",
        f"{_TOKEN}/scopes/check",
        token.check_scopes,
        "What it is good for",
        {200: Scopes},
        WazoFields,
        token.ScopesBody,
        errors=(403,),
        public=True,
    ),
)


def _all() -> Iterator[Operation]:
    for roots, some, group in (
        (_CALL_LOGD, _OF_CALL_LOGD, "wazo-call-logd"),
        (_CALLD, _OF_CALLD, "wazo-calld"),
        (_CONFD, _OF_CONFD, "wazo-confd"),
        (_AUTH, _OF_AUTH, "wazo-auth"),
    ):
        for root in roots:
            yield from (replace(one, path=f"{root}{one.path}", group=group) for one in some)


OPERATIONS: Final = tuple(_all())


def add_routes(router: web.UrlDispatcher) -> None:
    """What is no operation: the clients ask by it whether there is a server."""
    for root in sorted({*_CALL_LOGD, *_CALLD, *_CONFD, *_AUTH}):
        router.add_head(root, service.reachable, expect_handler=requests.expected)
