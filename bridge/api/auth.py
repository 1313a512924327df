"""Who asks: tokens from headers, and a brake on wrong ones."""

import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog
from aiohttp import web

from bridge import tokens
from bridge.api.addresses import client_address, counted_as
from bridge.api.answers import ForbiddenError, TooManyRequestsError, UnauthorizedError
from bridge.api.cross_site import check_asked_by_page, check_same_site, needs_check, session_cookie
from bridge.api.dependencies import Dependencies
from bridge.core.access import Reader, Scope, Token
from bridge.core.errors import StoreError

log = structlog.get_logger()

_WINDOW_S = 60
_FAILURES = 20
_REMOTES = 1000
_GOOD = 1000


@dataclass(frozen=True, slots=True)
class Access:
    """A valid token, and what its owner may do with it now. `by_cookie`: it is the console's session."""

    token: Token
    _deps: Dependencies
    by_cookie: bool = False

    @property
    def reader(self) -> Reader:
        """As it is this moment: whom a supervisor supervises may change while a stream runs."""
        token = self.token
        return Reader(token.identity, token.role, token.scopes, self._deps.supervised(token.identity))

    @property
    def over(self) -> bool:
        """Whether the token has expired meanwhile."""
        return tokens.expired(self.token, self._deps.clock())

    async def ended(self) -> bool:
        """Whether it has expired, or somebody has ended it; where the database cannot say so, nobody has."""
        if self.over:
            return True
        try:
            return await self._deps.store.token(self.token.id) is None
        except StoreError:
            return False

    def check_page(self, request: web.Request) -> None:
        """Raises CrossSiteError where another site's page may let this session play or download recordings."""
        if self.by_cookie:
            check_asked_by_page(request, self._deps.trusted_proxies)

    def needs(self, scope: Scope) -> None:
        """Raises ForbiddenError where the token has not this scope."""
        if scope not in self.token.scopes:
            raise ForbiddenError(f"this token lacks the scope {scope}", scope=str(scope))


class FailureLimit:
    """Counts wrong tokens for each remote: 20 in a minute. Remembers 1,000 remotes, and forgets the oldest first."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, remote: str) -> int:
        """How many seconds this remote has to wait; 0 while it may try."""
        began, count = self._failures.get(remote, (0.0, 0))
        left = began + _WINDOW_S - time.monotonic()
        return int(left) + 1 if count >= _FAILURES and left > 0 else 0

    def failed(self, remote: str) -> None:
        """One more."""
        now = time.monotonic()
        began, count = self._failures.pop(remote, (now, 0))
        if now - began >= _WINDOW_S:
            began, count = now, 0
        self._failures[remote] = (began, count + 1)
        if len(self._failures) > _REMOTES:
            self._failures.popitem(last=False)


class Authenticator:
    """Finds who asks.

    A remote with too many wrong tokens is not looked up any more, apart from tokens that were right lately: behind a
    proxy that is not trusted all clients are one remote, and one wrong script must not shut out the others.
    """

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._limit = FailureLimit()
        self._good: OrderedDict[str, None] = OrderedDict()

    async def access(self, request: web.Request, *, in_query: bool = False) -> Access:
        """The access that the request's token gives: one in its headers, else the console's session.

        `in_query`: it may be `?token=`, which then stands over the headers. Wazo's API alone has that.
        Raises UnauthorizedError, TooManyRequestsError, CrossSiteError, StoreError.
        """
        plain = (in_query and request.query.get("token")) or _token_in(request)
        if plain is not None:
            return Access(await self.known(request, plain), self._deps)
        return await self._session(request)

    async def _session(self, request: web.Request) -> Access:
        cookie = session_cookie(request, self._deps.trusted_proxies)
        if cookie.value is None:
            raise UnauthorizedError("a token is needed: Authorization: Bearer …, or X-Auth-Token")
        if needs_check(request):
            check_same_site(request, self._deps.trusted_proxies)
        try:
            return Access(await self.known(request, cookie.value), self._deps, by_cookie=True)
        except UnauthorizedError as error:
            # A session that is over must not count as a wrong token again and again.
            error.headers = {**error.headers, "Set-Cookie": cookie.forgotten}
            raise

    async def known(self, request: web.Request, plain: str) -> Token:
        """The token that a request brought, wherever it stood.

        Raises UnauthorizedError, which has been counted where it was wrong; TooManyRequestsError; StoreError.
        """
        parts = tokens.parse(plain)
        self.too_many(request, None if parts is None else parts[0])
        token = await self._deps.store.token(parts[0]) if parts is not None else None
        if parts is None or token is None or not tokens.matches(token, parts[1]):
            raise self.failure(request, "this token is not known")
        if tokens.expired(token, self._deps.clock()):
            # Nobody guesses with it: sessions that end in the same minute must not shut an office out.
            raise UnauthorizedError("this token has expired")
        self._good[token.id] = None
        self._good.move_to_end(token.id)
        if len(self._good) > _GOOD:
            self._good.popitem(last=False)
        return token

    def failure(self, request: web.Request, message: str) -> UnauthorizedError:
        """Counts and notes a wrong token or ticket."""
        self._limit.failed(self._remote(request))
        remote = client_address(request, self._deps.trusted_proxies)
        log.warning("token-refused", remote=remote, reason=message)
        return UnauthorizedError(message)

    def too_many(self, request: web.Request, token_id: str | None = None) -> None:
        """Raises TooManyRequestsError where this remote has to wait, and has not a token that was right lately."""
        wait_s = self._limit.wait_s(self._remote(request))
        if wait_s and token_id not in self._good:
            raise TooManyRequestsError("too many wrong tokens came from your address", wait_s)

    def _remote(self, request: web.Request) -> str:
        return counted_as(client_address(request, self._deps.trusted_proxies))


AUTHENTICATOR = web.AppKey("authenticator", Authenticator)


def _token_in(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("X-Auth-Token", "").strip() or None
