"""One POST to somebody else's address: bounded in time and size, to no private address, and never led elsewhere."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bridge import __version__
from bridge.core.webhook_urls import is_public, wrong_url
from bridge.core.webhooks import Answer

_MOST_BODY = 16 * 1024
"""Of an answer's body so much is taken, so that its connection may be used again; the rest is cut off."""
_BODY_S = 1.0
_HEADERS = {"Content-Type": "application/json", "User-Agent": f"recbridge/{__version__}"}


class _ForbiddenAddressError(OSError):
    """A host has no address that we may connect to."""


class Resolver(AbstractResolver):
    """The system's, in a thread for each question: a name server that hangs holds up nobody else.

    Gives no private addresses unless told to. What it gives is what is connected to, whatever the name says later.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses. Raises OSError."""
        found = [_result(host, port, info) for info in await _looked_up(host, port, family)]
        allowed = [one for one in found if self._allow_private or is_public(one["host"])]
        if not allowed:
            raise _ForbiddenAddressError(f"{host} has no address but private ones")
        return allowed

    async def close(self) -> None:
        """Nothing is held open."""


class Sender:
    """Posts for one webhook, over at most `parallel` connections of its own. No proxy, no cookies, no redirects."""

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout_s: float = 15.0,
        parallel: int = 8,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allow_private = allow_private
        resolver = resolver or Resolver(allow_private=allow_private)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=parallel, resolver=resolver),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,
            trust_env=False,
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What came of it. Raises nothing for what a receiver does."""
        if wrong_url(url, allow_private=self._allow_private) is not None:
            # An address in numbers is never resolved, and the configuration may have changed.
            return Answer(error="address-not-allowed")
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                answer = Answer(response.status, retry_after_s=_retry_after(response.headers.get("Retry-After", "")))
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, EOFError):
                    async with asyncio.timeout(_BODY_S):
                        await response.content.readexactly(min(_MOST_BODY, response.content_length or 0))
                return answer
        except TimeoutError:
            return Answer(error="timeout")
        except aiohttp.ClientConnectorDNSError as error:
            forbidden = isinstance(error.os_error, _ForbiddenAddressError)
            return Answer(error="address-not-allowed" if forbidden else "no-such-host")
        except aiohttp.ClientSSLError:
            return Answer(error="tls-failed")
        except aiohttp.ClientConnectorError:
            return Answer(error="not-reached")
        except aiohttp.InvalidURL:
            return Answer(error="bad-url")
        except (aiohttp.ClientError, OSError, ValueError):
            return Answer(error="connection-lost")

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()


def _retry_after(header: str) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3); None where there is none, or none that can be read."""
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


async def _looked_up(host: str, port: int, family: int) -> list[Any]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[list[Any]] = loop.create_future()

    def tell(found: list[Any] | OSError) -> None:
        if done.done():
            return
        if isinstance(found, OSError):
            done.set_exception(found)
        else:
            done.set_result(found)

    def look_up() -> None:
        found: list[Any] | OSError
        try:
            found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except OSError as error:
            found = error
        except UnicodeError as error:
            found = OSError(str(error))
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, found)

    # Not the loop's own threads: there are few, and others need them.
    threading.Thread(target=look_up, name="webhook-names", daemon=True).start()
    return await done


def _result(host: str, port: int, info: Any) -> ResolveResult:
    family, _, proto, _, address = info
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address[0], port=port, family=family, proto=proto, flags=flags)
