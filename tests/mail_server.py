"""A real SMTP server on loopback that answers as a test wants."""

import asyncio
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


def _never(_: str) -> str | None:
    return None


@dataclass
class MailServer:
    """Takes mails into `mails`. Each answer may be set: None takes, a text is sent instead.

    `hangs` answers nothing at all. `login` is a username and password that are needed then.
    """

    tls: ssl.SSLContext | None = None
    starttls: bool = False
    login: tuple[str, str] | None = None
    hangs: bool = False
    rcpt: Callable[[str], str | None] = _never
    sender: Callable[[str], str | None] = _never
    data: Callable[[], str | None] = lambda: None
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        wrapped = None if self.starttls else self.tls
        factory: Any = asyncio.Protocol if self.hangs else self._smtp
        self._server = await loop.create_server(factory, "127.0.0.1", self.port, ssl=wrapped)
        self.port = self._server.sockets[0].getsockname()[1]
        self._came = asyncio.Event()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def next_mail(self, deadline_s: float = 30) -> EmailMessage:
        """The first that has not been asked for."""
        async with asyncio.timeout(deadline_s):
            while not self.mails:
                self._came.clear()
                await self._came.wait()
        return self.mails.pop(0)

    def _smtp(self) -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a login without TLS is what some tests are about
            return SMTP(
                self,
                hostname="mail.test",
                loop=asyncio.get_running_loop(),
                tls_context=self.tls if self.starttls else None,
                require_starttls=self.starttls,
                authenticator=self._authenticate if self.login else None,
                auth_required=self.login is not None,
                auth_require_tls=self.starttls,
            )

    def _authenticate(self, _: object, __: object, ___: object, mechanism: str, given: object) -> AuthResult:
        self.seen.append(f"auth {mechanism}")
        expected = self.login is not None and isinstance(given, LoginPassword) and (
            (given.login.decode(), given.password.decode()) == self.login
        )  # fmt: skip
        return AuthResult(success=expected, handled=False)

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, _: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.seen.append("tls" if session.ssl is not None else "plain")
        refused = self.sender(address)
        if refused is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refused or "250 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.seen.append(address)
        refused = self.rcpt(address)
        if refused is None:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return refused or "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        refused = self.data()
        if refused is None:
            content = envelope.content
            raw = content if isinstance(content, bytes) else (content or "").encode()
            mail = message_from_bytes(raw, policy=policy.default)
            mail["X-To"] = ",".join(envelope.rcpt_tos)
            self.mails.append(mail)
            self._came.set()
        return refused or "250 OK"
