"""What the API's paths are: one table, by which requests are routed, and from which /openapi.json is made."""

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bridge.api.answers import ForbiddenError
from bridge.api.auth import AUTHENTICATOR
from bridge.api.requests import expected
from bridge.api.validation import Fields, Nothing
from bridge.core.access import Role

Handler = Callable[..., Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class MediaType:
    """An answer that is no JSON: its media type, `audio/wav`."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, and all that is said of it outside.

    `query` and `body` are the models that validate it. `answers` has, by status, the type that its JSON has (a
    TypedDict of `typing_extensions`; pydantic makes the JSON Schema), a `MediaType`, or None where there is no body;
    `errors` are the statuses that it may answer with the one error body, beside those that every operation may (400,
    401, 429, 500, 503). `handler` is called with the request and the Access of its token; with the request alone where
    it is `public`. `admin`: it is for admins, and 403 for others.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Any] = field(default_factory=dict)
    query: type[Fields] = Nothing
    body: type[Fields] | None = None
    errors: tuple[int, ...] = ()
    admin: bool = False
    public: bool = False
    head: bool = True


def add_routes(router: web.UrlDispatcher, operations: Iterable[Operation]) -> None:
    """Route them all; a GET answers HEAD too, unless it is a stream (`head` False)."""
    for one in operations:
        handler = one.handler if one.public else _with_access(one)
        add = functools.partial(router.add_route, handler=handler, expect_handler=expected)
        add(one.method, one.path)
        if one.method == "GET" and one.head:
            add("HEAD", one.path)


def _with_access(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def with_access(request: web.Request) -> web.StreamResponse:
        access = await request.app[AUTHENTICATOR].access(request)
        if operation.admin and access.token.role is not Role.ADMIN:
            raise ForbiddenError("this is for admins")
        return await operation.handler(request, access)

    return with_access
