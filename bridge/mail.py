"""Mails: kept first, then sent by and by through the SMTP server of the configuration."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as LINES
from email.utils import format_datetime
from uuid import uuid4

import aiosmtplib
import structlog

from bridge.config import MailConfig, MailTls
from bridge.core.errors import RecbridgeError, StoreError
from bridge.core.live import NotReady
from bridge.core.mails import Mail, again_at, is_address, one_line
from bridge.core.records import Fact, FactKind
from bridge.core.store import AppendFact
from bridge.storage import mails
from bridge.storage.database import SqliteStore
from bridge.storage.mails import Rewrites

log = structlog.get_logger()

_ONE_WITHIN_S = 60.0
_GOODBYE_WITHIN_S = 5.0
_LOOK_AT = "does it run, and are `mail: host`, `port` and `tls` right?"
_LOOK_AT_MOST_S = 60.0
_AT_ONCE = 50
_WAITING_AT_MOST = 1000


class NotTakenError(RecbridgeError):
    """A mail was not taken. `for_good`: no other try will change that; `server`: no other mail would be taken now."""

    code = "mail-not-taken"

    def __init__(self, reason: str, message: str, *, for_good: bool = False, server: bool = False) -> None:
        super().__init__(one_line(message), reason=reason)
        self.reason = reason
        self.for_good = for_good
        self.server = server


class Mailer:
    """Sends plain mails, one at a time, from a task of its own: nobody ever waits for a mail server.

    What the server does not take is tried again for two days, over restarts too. Without `config` nothing is sent.
    """

    def __init__(
        self, store: SqliteStore, config: MailConfig | None, systemname: str, clock: Callable[[], datetime],
        *, one_within_s: float = _ONE_WITHIN_S,
    ) -> None:  # fmt: skip
        """`one_within_s` is how long the server may take for one mail."""
        self.warning: NotReady | None = None
        self.given_up = 0
        self._store = store
        self._config = config
        self._systemname = systemname
        self._clock = clock
        self._one_within_s = one_within_s
        self._wake = asyncio.Event()
        self._waiting = 0
        # Else each look would send them again where the database cannot be written.
        self._taken: set[str] = set()

    @property
    def configured(self) -> bool:
        """Whether there is a server to send mails through."""
        return self._config is not None

    @property
    def waiting(self) -> int:
        """Mails that are not sent yet, as far as was looked."""
        return self._waiting

    async def send(self, to: str, subject: str, text: str) -> bool:
        """Keep a mail to one address; on return it is on disk, and is sent by and by.

        False where no mail can be sent: `mail:` is not configured, the address is none, or 1,000 mails wait already;
        the log says so. Raises StoreError.
        """
        rewrites = self.keeping(to, subject, text)
        if not rewrites:
            return False
        await self._store.commit([], rewrites=rewrites)
        self.wake()
        return True

    def keeping(self, to: str, subject: str, text: str) -> Rewrites:
        """What keeps a mail in one commit with other things, `wake` called after it; empty where none can be sent."""
        reason = None
        if self._config is None:
            reason = "not-configured"
        elif not is_address(to):
            reason = "bad-address"
        elif self._waiting >= _WAITING_AT_MOST:
            reason = "too-many"
        if reason is not None:
            log.warning("mail-not-sent", reason=reason, subject=one_line(subject))
            return ()
        now = self._clock()
        self._waiting += 1
        return mails.putting(Mail(uuid4().hex, to, one_line(subject), text, now, now), self._systemname)

    def wake(self) -> None:
        """Something was kept."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            wait_s = _LOOK_AT_MOST_S
            try:
                wait_s = await self._round()
            except StoreError as error:
                log.warning("mail-put-off", problem=error.message)
            except Exception:  # no mail is worth the recording of all calls
                log.exception("mail-failed")
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # aiosmtplib waits by wait_for, which may lose it (Python 3.11)
                raise asyncio.CancelledError
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _round(self) -> float:
        """Try what is due; gives for how many seconds nothing is, at most a minute. Raises StoreError."""
        refused: NotTakenError | None = None
        for mail in await mails.due(self._store, self._clock(), _AT_ONCE):
            if mail.id not in self._taken and (refused is None or not refused.server):
                refused = await self._try(mail)
            await self._note(mail, None if mail.id in self._taken else refused)
        self._waiting, due_at = await mails.waiting(self._store)
        if not self._waiting:
            self.warning = None
        if due_at is None:
            return _LOOK_AT_MOST_S
        return min(_LOOK_AT_MOST_S, max(0.0, (due_at - self._clock()).total_seconds()))

    async def _try(self, mail: Mail) -> NotTakenError | None:
        if self._config is None:
            return NotTakenError("not-configured", "`mail` is not configured any more", for_good=True)
        try:
            await _deliver(self._config, message(mail, self._config.sender), mail.to, self._one_within_s)
        except NotTakenError as refused:
            return refused
        self._taken.add(mail.id)
        return None

    async def _note(self, mail: Mail, refused: NotTakenError | None) -> None:
        if refused is None:
            await self._store.commit([], rewrites=mails.ending(mail))
            self._taken.discard(mail.id)
            self.warning = None
            log.info("mail-sent", mail=mail.id, tries=mail.tries + 1)
            return
        now = self._clock()
        again = None if refused.for_good else again_at(mail, now)
        log.warning("mail-not-taken", mail=mail.id, reason=refused.reason, problem=refused.message, again=str(again))
        if again is None:
            self.given_up += 1
            fact = Fact(FactKind.MAIL_GIVEN_UP, now, data={"mail": mail.id, "reason": refused.reason})
            await self._store.commit([AppendFact(fact)], rewrites=mails.ending(mail))
            return
        if refused.server:
            self.warning = NotReady("mail-not-taken", f"mails wait: {refused.message}")
        put_off = replace(mail, due_at=again, tries=mail.tries + 1)
        await self._store.commit([], rewrites=mails.putting_off(put_off))


def message(mail: Mail, sender: str) -> EmailMessage:
    """A mail as it is sent; each try has the same Message-ID, so that a mail taken twice is seen as one."""
    made = EmailMessage(policy=LINES)
    made["From"] = sender
    made["To"] = mail.to
    made["Subject"] = mail.subject.encode("utf-8", "replace").decode()
    made["Date"] = format_datetime(mail.asked_at)
    made["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    # Asterisk promises no charset, and not every server takes 8 bits.
    text = mail.text.encode("utf-8", "replace").decode()
    made.set_content(text, cte="quoted-printable")
    return made


async def _deliver(config: MailConfig, mail: EmailMessage, to: str, within_s: float) -> None:
    """Raises NotTakenError."""
    server = f"mail server {config.host}:{config.port}"
    client = aiosmtplib.SMTP(
        hostname=config.host,
        port=config.port,
        local_hostname=socket.gethostname(),
        timeout=within_s,
        use_tls=config.tls is MailTls.TLS,
        start_tls=config.tls is MailTls.STARTTLS,
        tls_context=None if config.tls is MailTls.NONE else ssl.create_default_context(),
    )
    try:
        async with asyncio.timeout(within_s):
            await client.connect()
            if config.username is not None and config.password is not None:
                await client.login(config.username, config.password.get_secret_value())
            await client.sendmail(config.sender, [to], mail.as_bytes())
        # It is taken; how the server says goodbye changes nothing.
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(_GOODBYE_WITHIN_S):
                await client.quit()
    except aiosmtplib.SMTPRecipientsRefused as refused:
        (one,) = refused.recipients
        words = f"{server} refuses the recipient: {one.code} {one.message}"
        raise NotTakenError("recipient-refused", words, for_good=one.code >= 500) from refused
    except aiosmtplib.SMTPDataError as refused:
        words = f"{server} refuses the mail: {refused.code} {refused.message}"
        raise NotTakenError("mail-refused", words, for_good=refused.code >= 500) from refused
    except aiosmtplib.SMTPAuthenticationError as refused:
        words = f"{server} refuses the login (`mail.username`): {refused.code} {refused.message}"
        raise NotTakenError("login-refused", words, server=True) from refused
    except aiosmtplib.SMTPSenderRefused as refused:
        words = f"{server} refuses `mail.sender`: {refused.code} {refused.message}"
        raise NotTakenError("sender-refused", words, server=True) from refused
    except (aiosmtplib.SMTPTimeoutError, TimeoutError) as error:
        words = f"{server} did not answer within {within_s:g} s: {_LOOK_AT}"
        raise NotTakenError("timeout", words, server=True) from error
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise NotTakenError("no-connection", f"{server}: {error}: {_LOOK_AT}", server=True) from error
    finally:
        client.close()
