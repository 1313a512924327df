"""What the API's paths are: one table, by which requests are routed, and from which /openapi.json is made."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from bridge.api.answers import ForbiddenError
from bridge.api.auth import AUTHENTICATOR
from bridge.api.requests import expected
from bridge.api.validation import Nothing
from bridge.core.access import Role

Handler = Callable[..., Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class MediaType:
    """A body that is no JSON: its media type, `audio/wav`, or which it can have."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, and all that is said of it outside.

    `query` and `body` are the models that validate it (a `MediaType` where the body is no JSON; `body_null`: null is
    none). `answers` has, by status, the type that its JSON has (a TypedDict of `typing_extensions`; pydantic makes the
    JSON Schema), a `MediaType`, a pair of both where the client chooses, or None where there is no body. `errors` are
    the statuses that it may answer with the one error body, beside those that follow from the rest (400, 401, 404 with
    something in the path, 408 and 413 with a body, 429, 500, 503). `handler` is called with the request and the Access
    of its token; with the request alone where it is `public`: then it asks for a token by itself where `security` names
    how ('' for not at all). `admin`: 403 for others. `path_schemas` are JSON Schemas of what stands in the path, where
    that is not any text; `headers` those that it listens to.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Any] = field(default_factory=dict)
    query: type[BaseModel] = Nothing
    body: type[BaseModel] | MediaType | None = None
    errors: tuple[int, ...] = ()
    admin: bool = False
    public: bool = False
    head: bool = True
    body_required: bool = True
    body_null: bool = False
    headers: tuple[str, ...] = ()
    path_schemas: Mapping[str, Any] = field(default_factory=dict)
    security: tuple[str, ...] | None = None
    group: str = ""
    words: str = ""

    @property
    def description(self) -> str:
        """What the handler's docstring says, or `words` where it is wrapped."""
        return inspect.cleandoc(self.words) or inspect.getdoc(self.handler) or self.summary

    @property
    def tag(self) -> str:
        """Under which heading it stands: `calls` of `/api/v1/calls`."""
        return self.group or self.path.removeprefix("/api/v1/").lstrip("/").partition("/")[0]


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
