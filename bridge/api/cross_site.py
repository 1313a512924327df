"""Is it our own page that asks, or another site's? And the cookie that only our own page may use.

SameSite=Strict keeps a cookie from other sites, but not from other ports and subdomains of the same site, and a
WebSocket may be opened from anywhere. So what changes something needs an Origin that is our own, or the browser's word
for it (Sec-Fetch-Site, which no page can set: https://www.w3.org/TR/fetch-metadata/).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from bridge.api.addresses import Network, public_address
from bridge.api.answers import ForbiddenError

_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = "recbridge_session"
_HOST_NAME: Final = f"__Host-{_NAME}"
"""A browser takes this one over TLS alone, for all paths, and from no subdomain."""


class CrossSiteError(ForbiddenError):
    """Another site's page has sent it, or nobody says which."""

    code = "cross-site"


def check_same_site(request: web.Request, trusted: Sequence[Network]) -> None:
    """Raises CrossSiteError unless the request comes from a page of ours."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None and site != "same-origin":
        raise CrossSiteError("another site's page sent this", origin=origin or "")
    if site is None and (origin is None or not is_own(origin, request, trusted)):
        raise CrossSiteError("a page of this console has to send this: no Origin says so", origin=origin or "")


def check_asked_by_page(request: web.Request, trusted: Sequence[Network]) -> None:
    """Raises CrossSiteError unless one of our pages, or the browser's own user, asks for what is noted in his name.

    Over plain HTTP no browser sends Sec-Fetch-Site, but our own pages let it send their address (`console.page`).
    """
    referer = request.headers.get("Referer", "")
    if "Sec-Fetch-Site" not in request.headers and not is_own(referer, request, trusted):
        raise CrossSiteError("a page of this console has to ask for this: no Referer says so", origin="")


def is_own(origin: str, request: web.Request, trusted: Sequence[Network]) -> bool:
    """Whether an Origin is the address that the request was sent to; behind TLS no plain page is."""
    scheme, host = public_address(request, trusted)
    try:
        parts = urlsplit(origin)
        asked = urlsplit(f"{parts.scheme}://{host}")
        ports = parts.port or _PORTS.get(parts.scheme), asked.port or _PORTS.get(parts.scheme)
    except ValueError:
        return False
    if parts.scheme not in _PORTS or (scheme == "https" and parts.scheme == "http"):
        return False
    return bool(parts.hostname) and parts.hostname == asked.hostname and ports[0] == ports[1]


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The cookie of this request's browser: `value` as it sent it, None for none."""

    value: str | None
    _secure: bool
    _over_tls: bool

    def put(self, response: web.StreamResponse, value: str, lasts: timedelta) -> None:
        """Give the browser this one."""
        lasts_s = int(lasts.total_seconds())
        secure = self._secure or self._over_tls
        response.set_cookie(
            self._name, value, max_age=lasts_s, path="/", httponly=True, secure=secure, samesite="Strict"
        )

    def take_away(self, response: web.StreamResponse) -> None:
        """Let the browser forget it."""
        response.del_cookie(self._name, path="/", httponly=True, secure=self._secure, samesite="Strict")

    @property
    def forgotten(self) -> str:
        """The same as a Set-Cookie header."""
        response = web.Response()
        self.take_away(response)
        return response.cookies[self._name].OutputString()

    @property
    def _name(self) -> str:
        return _HOST_NAME if self._secure else _NAME


def session_cookie(request: web.Request, trusted: Sequence[Network]) -> SessionCookie:
    """Over TLS, ours or a trusted proxy's, only the one that no subdomain can set."""
    secure = public_address(request, trusted)[0] == "https"
    # Of a proxy that is not trusted the page's own address says that it speaks TLS.
    over_tls = request.headers.get("Origin", "").startswith("https:")
    return SessionCookie(request.cookies.get(_HOST_NAME if secure else _NAME) or None, secure, over_tls)


def needs_check(request: web.Request) -> bool:
    """Whether a request with the cookie has to show that a page of ours sent it.

    What only reads does so where a browser says that another page asks: one on another port of this host, which
    SameSite lets through, could otherwise let recordings be played in somebody's name.
    """
    if request.method not in {"GET", "HEAD"} or "websocket" in request.headers.get("Upgrade", "").lower():
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}
