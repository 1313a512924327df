"""Asking the running daemon over its API, as long as it takes: a token of our own is made anew when it is over."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import aiohttp

from bridge import tokens
from bridge.cli.calls import TOKEN_VARIABLE, refusal, tls_of, url_of
from bridge.cli.database import keep_token
from bridge.config import Config
from bridge.core.access import Role, Scope
from bridge.core.errors import RecbridgeError
from bridge.core.ids import Identity

_CONNECT_S = 10
_SILENT_S = 60
_LASTS = timedelta(minutes=15)


class UnreachableError(RecbridgeError):
    """No daemon answers, or it stopped in the middle of an answer: it may answer again."""


class RefusedError(RecbridgeError):
    """The daemon says no; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Asking:
    """A connection to the daemon of this machine. Raises UnreachableError, RefusedError, StoreError."""

    def __init__(self, config: Config, token: str | None) -> None:
        """Without `token` that of the environment; without one there either it makes one for an admin that exports."""
        self._config = config
        self._given = token or os.environ.get(TOKEN_VARIABLE)
        self._token: str | None = self._given
        self._tls = tls_of(config)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
        self._session = aiohttp.ClientSession(timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON, None where it has none."""
        async with self.response(method, path, body=body) as response:
            return None if response.status == 204 else await response.json()

    @contextlib.asynccontextmanager
    async def response(
        self, method: str, path: str, *, body: object = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, which is none of an error."""
        listen = self._config.http.listen
        try:
            async with self._sent(method, path, body, headers or {}) as response:
                yield response
        except TimeoutError:
            raise UnreachableError(f"the daemon at {listen} does not answer") from None
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(f"no daemon answers at {listen}: does it run? ({refusal(error)})") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise UnreachableError(f"the daemon at {listen} went away ({error})") from None
        except (aiohttp.ClientError, ValueError, KeyError, TypeError) as error:
            raise RecbridgeError(f"what answers at {listen} is not recbridge ({error})") from None

    @contextlib.asynccontextmanager
    async def _sent(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        for last in (self._given is not None, True):
            authorization = {"Authorization": f"Bearer {await self._access()}"}
            async with self._session.request(
                method, f"{url_of(self._config)}{path}", json=body, headers={**headers, **authorization}, ssl=self._tls
            ) as response:
                if response.status == 401 and not last:
                    self._token = None
                    continue
                if response.status >= 400:
                    raise await self._refused(response)
                yield response
                return

    async def _access(self) -> str:
        if self._token is None:
            now = datetime.now(UTC)
            scopes = (Scope.EXPORT,)
            kept, self._token = tokens.new_token(Identity("recbridge"), Role.ADMIN, scopes, now, now + _LASTS)
            await keep_token(self._config, kept)
        return self._token

    async def _refused(self, response: aiohttp.ClientResponse) -> RecbridgeError:
        answer = await response.json()
        details = ", ".join(f"{name}: {words}" for name, words in answer["details"].items())
        message = f"the daemon says: {answer['message']}" + (f" ({details})" if details else "")
        if response.status == 503:
            return UnreachableError(message)
        return RefusedError(message, response.status)
