"""The console's session: a token of its own, derived from the one that was given, in a cookie that no script reads."""

from datetime import timedelta
from typing import Final

import structlog
from aiohttp import web
from typing_extensions import TypedDict

from bridge import __version__, tokens
from bridge.api.answers import RequestError, UnauthorizedError, json_response
from bridge.api.auth import AUTHENTICATOR, Access
from bridge.api.cross_site import check_same_site, session_cookie
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.operations import Operation
from bridge.api.validation import Fields, Nothing, body_of, query_of
from bridge.core.access import Token
from bridge.core.views import epoch_ms

log = structlog.get_logger()

_LASTS: Final = timedelta(hours=12)


class SignIn(Fields):
    """The token that somebody signs in with."""

    token: str


class Session(TypedDict):
    """Who is signed in, and where. `expiresAt` is null for a token that does not expire."""

    identity: str
    name: str
    role: str
    scopes: list[str]
    expiresAt: int | None
    systemname: str
    version: str


class NoSessionError(RequestError):
    """A token in a header is no session: it is ended by `recbridge token`."""

    status = 409
    code = "no-session"


async def begin(request: web.Request) -> web.StreamResponse:
    """`POST /api/v1/session` of `{"token": "rb_…"}`: 201, the session, and its cookie.

    The cookie's value is a token that may the same, for 12 hours at most, and is ended with the one given. A session
    that this browser had before is over. Errors: 401 for a wrong token, 403 `cross-site`, 429 for too many wrong ones.
    """
    deps, authenticator = dependencies(request), request.app[AUTHENTICATOR]
    query_of(request, Nothing)
    check_same_site(request, deps.trusted_proxies)
    body = await body_of(request, SignIn)
    given = await authenticator.known(request, body.token.strip())
    token, plain = tokens.derived(given, deps.clock(), _LASTS)
    await deps.store.add_token(token)
    if await deps.store.token(given.id) is None:  # ended meanwhile: then this one is, too
        await deps.store.end_token(token.id)
        raise UnauthorizedError("this token is not known")
    await _end_earlier(request, deps)
    log.info("session-begun", id=token.id, by=given.id, identity=token.identity)
    response = json_response(_session(deps, token), status=201)
    session_cookie(request, deps.trusted_proxies).put(response, plain, _LASTS)
    return response


async def show(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/session`: who asks, also with a token in a header."""
    query_of(request, Nothing)
    return json_response(_session(dependencies(request), access.token))


async def end(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /api/v1/session`: 204, and its token opens nothing any more. 409 `no-session` for any other token."""
    deps = dependencies(request)
    query_of(request, Nothing)
    if not access.by_cookie or access.token.made_with is None:
        raise NoSessionError("this token is no session: it is not ended here")
    await deps.store.end_token(access.token.id)
    log.info("session-ended", id=access.token.id, identity=access.token.identity)
    response = web.Response(status=204)
    session_cookie(request, deps.trusted_proxies).take_away(response)
    return response


async def _end_earlier(request: web.Request, deps: Dependencies) -> None:
    plain = session_cookie(request, deps.trusted_proxies).value
    parts = tokens.parse(plain) if plain else None
    earlier = await deps.store.token(parts[0]) if parts is not None else None
    if parts is not None and earlier is not None and earlier.made_with and tokens.matches(earlier, parts[1]):
        await deps.store.end_token(earlier.id)


def _session(deps: Dependencies, token: Token) -> Session:
    user = deps.directory().by_identity.get(token.identity)
    return {
        "identity": token.identity,
        "name": user.name if user is not None else "",
        "role": str(token.role),
        "scopes": sorted(str(one) for one in token.scopes),
        "expiresAt": None if token.expires_at is None else epoch_ms(token.expires_at),
        "systemname": deps.systemname,
        "version": __version__,
    }


_PATH = "/api/v1/session"
OPERATIONS = (
    Operation("POST", _PATH, begin, "Sign in", {201: Session}, body=SignIn, errors=(403,), public=True),
    Operation("GET", _PATH, show, "Who is signed in", {200: Session}, errors=(403,)),
    Operation("DELETE", _PATH, end, "Sign out", {204: None}, errors=(403, 409)),
)
