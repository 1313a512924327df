"""Mails, against a real SMTP server."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from bridge.config import MailConfig, MailTls
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber
from bridge.core.mails import Mail, again_at, is_address, one_line
from bridge.core.records import FactKind
from bridge.mail import Mailer, NotTakenError, message
from bridge.storage import mails
from bridge.storage.database import SqliteStore
from tests.mail_server import MailServer
from tests.storage import kept

TO = "eve@example.org"


@dataclass
class Post:
    """`now` is what the clock says."""

    store: SqliteStore
    now: datetime = kept.NOON

    def mailer(self, port: int, within_s: float = 30, **values: Any) -> Mailer:
        plain = MailConfig(host="localhost", sender="recbridge@example.org")
        config = plain.model_copy(update={"port": port, **values})
        return Mailer(self.store, config, "pbx1", lambda: self.now, one_within_s=within_s)

    async def waiting(self) -> int:
        return (await mails.waiting(self.store))[0]

    async def until(self, met: Callable[[], Any]) -> None:
        async with asyncio.timeout(30):
            while True:
                found = met()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(0.01)

    async def until_none_waits(self) -> None:
        async def none() -> bool:
            return not await self.waiting()

        await self.until(none)

    async def given_up(self) -> list[Any]:
        facts = await self.store.facts_after(FactNumber(0), 1000)
        return [one.fact.data["reason"] for one in facts if one.fact.kind is FactKind.MAIL_GIVEN_UP]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    store = await SqliteStore.open(tmp_path / "x.db", "pbx1")
    try:
        yield Post(store)
    finally:
        await store.close()


@asynccontextmanager
async def running(mailer: Mailer) -> AsyncIterator[None]:
    task = asyncio.create_task(mailer.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem"


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


async def test_a_mail_is_sent_as_it_was_meant(post: Post) -> None:
    async with MailServer() as server:
        mailer = post.mailer(server.port)
        assert await mailer.send(TO, "Grüße", "Zeile eins: äöü €\n.\nFrom here on\n" + "x" * 2000 + "\n")
        async with running(mailer):
            mail = await server.next_mail()
            await post.until_none_waits()
    assert (mail["From"], mail["To"], mail["X-To"]) == ("recbridge@example.org", TO, TO)
    assert mail["Subject"] == "Grüße"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>")
    assert parsedate_to_datetime(mail["Date"]) == kept.NOON.replace(microsecond=0)
    assert (mail.get_content_type(), mail.get_content_charset()) == ("text/plain", "utf-8")
    assert mail.get_content().replace("\r\n", "\n") == "Zeile eins: äöü €\n.\nFrom here on\n" + "x" * 2000 + "\n"


@pytest.mark.usefixtures("trusted")
async def test_starttls_and_login(post: Post, tls: ssl.SSLContext) -> None:
    async with MailServer(tls=tls, starttls=True, login=("us", "pässword")) as server:
        mailer = post.mailer(server.port, tls=MailTls.STARTTLS, username="us", password=SecretStr("pässword"))
        async with running(mailer):
            await mailer.send(TO, "s", "t")
            await server.next_mail()
    assert "tls" in server.seen
    assert any(one.startswith("auth") for one in server.seen)


@pytest.mark.usefixtures("trusted")
async def test_tls_from_the_beginning(post: Post, tls: ssl.SSLContext) -> None:
    async with MailServer(tls=tls) as server:
        mailer = post.mailer(server.port, tls=MailTls.TLS)
        async with running(mailer):
            await mailer.send(TO, "s", "t")
            await server.next_mail()


@pytest.mark.parametrize("how", [MailTls.STARTTLS, MailTls.TLS])
async def test_a_certificate_that_is_not_trusted_gets_no_mail(post: Post, tls: ssl.SSLContext, how: MailTls) -> None:
    async with MailServer(tls=tls, starttls=how is MailTls.STARTTLS) as server:
        mailer = post.mailer(server.port, tls=how)
        await mailer.send(TO, "s", "t")
        async with running(mailer):
            await post.until(lambda: mailer.warning is not None)
    assert mailer.warning is not None
    assert "certificate verify failed" in mailer.warning.message
    assert (server.seen, await post.waiting()) == ([], 1)


async def test_a_server_without_starttls_is_sent_nothing_in_the_clear(post: Post) -> None:
    async with MailServer() as server:
        mailer = post.mailer(server.port, tls=MailTls.STARTTLS, username="us", password=SecretStr("secret"))
        await mailer.send(TO, "s", "t")
        async with running(mailer):
            await post.until(lambda: mailer.warning is not None)
    assert (server.seen, await post.waiting()) == ([], 1)
    assert mailer.warning is not None
    assert "are `mail: host`, `port` and `tls` right?" in mailer.warning.message


async def test_a_wrong_login_waits_for_the_admin(post: Post) -> None:
    async with MailServer(login=("us", "right")) as server:
        mailer = post.mailer(server.port, username="us", password=SecretStr("wrong"))
        await mailer.send(TO, "s", "t")
        async with running(mailer):
            await post.until(lambda: mailer.warning is not None)
        assert mailer.warning is not None
        assert "mail.username" in mailer.warning.message
        right = post.mailer(server.port, username="us", password=SecretStr("right"))
        post.now += timedelta(hours=1)
        async with running(right):
            await server.next_mail()
            await post.until_none_waits()


async def test_what_is_refused_for_now_is_tried_again_later(post: Post) -> None:
    answers = ["450 greylisted", "451 later"]
    async with MailServer(rcpt=lambda _: answers.pop(0) if answers else None) as server:
        mailer = post.mailer(server.port)
        await mailer.send(TO, "s", "t")
        async with running(mailer):
            for left in (1, 0):
                await post.until(partial(_is_left, answers, left))
                await post.until(partial(_due_after, post))
                assert not server.mails
                post.now += timedelta(hours=1)
                mailer.wake()
            await server.next_mail()
            await post.until_none_waits()
    assert mailer.warning is None


async def _due_after(post: Post) -> bool:
    _, due_at = await mails.waiting(post.store)
    return due_at is not None and due_at > post.now


def _is_left(answers: list[str], count: int) -> bool:
    return len(answers) == count


@pytest.mark.parametrize("where", ["rcpt", "data"])
async def test_what_is_refused_for_good_is_given_up_and_a_fact(post: Post, where: str) -> None:
    refuse: dict[str, Any] = {"rcpt": lambda _: "550 no such user"} if where == "rcpt" else {"data": lambda: "554 spam"}
    async with MailServer(**refuse) as server:
        mailer = post.mailer(server.port)
        await mailer.send(TO, "s", "t")
        async with running(mailer):
            await post.until_none_waits()
    assert await post.given_up() == [{"rcpt": "recipient-refused", "data": "mail-refused"}[where]]


def test_what_a_server_says_is_one_line_that_can_be_printed() -> None:
    """Doctor prints it; what is not UTF-8 comes as surrogates."""
    said = NotTakenError("mail-refused", "refused: 554 nein \udce4\x1b[2J\nund nochmals nein" + "x" * 9000).message
    assert said.startswith("refused: 554 nein [2J und nochmals nein")
    assert len(said) < 1000


async def test_one_bad_recipient_holds_up_no_other(post: Post) -> None:
    async with MailServer(rcpt=lambda to: "451 later" if to.startswith("a") else None) as server:
        mailer = post.mailer(server.port)
        for to in ("a@example.org", "b@example.org", "c@example.org"):
            await mailer.send(to, "s", "t")
        async with running(mailer):
            assert {(await server.next_mail())["To"] for _ in range(2)} == {"b@example.org", "c@example.org"}
    assert await post.waiting() == 1


async def test_a_server_that_hangs_is_left_and_the_mail_waits(post: Post) -> None:
    async with MailServer(hangs=True) as server:
        mailer = post.mailer(server.port, within_s=0.2)
        for _ in range(3):
            await mailer.send(TO, "s", "t")
        async with running(mailer):
            await post.until(partial(_due_after, post))
    assert mailer.warning is not None
    assert "did not answer" in mailer.warning.message
    assert await post.waiting() == 3


async def test_a_server_that_is_away_gets_the_mail_after_a_restart(post: Post) -> None:
    async with MailServer() as server:
        port = server.port
    away = post.mailer(port)
    await away.send(TO, "s", "t")
    async with running(away):
        await post.until(lambda: away.warning is not None)
    post.now += timedelta(minutes=2)
    async with MailServer(port=port) as server:
        mailer = post.mailer(port)
        async with running(mailer):
            await server.next_mail()
            await post.until_none_waits()
    assert mailer.warning is None


async def test_each_try_has_the_same_message_id() -> None:
    mail = Mail("x1", TO, "s", "t", kept.NOON, kept.NOON)
    again = Mail("x1", TO, "s", "t", kept.NOON, kept.NOON + timedelta(hours=1), 3)
    assert str(message(mail, "a@b.de")) == str(message(again, "a@b.de"))


def test_it_is_tried_for_two_days_ever_more_rarely() -> None:
    mail, now, waits = Mail("x1", TO, "s", "t", kept.NOON, kept.NOON), kept.NOON, []
    while (again := again_at(mail, now)) is not None:
        waits.append(round((again - now).total_seconds() / 60))
        now, mail = again, Mail("x1", TO, "s", "t", kept.NOON, again, mail.tries + 1)
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert timedelta(days=2) <= now - kept.NOON < timedelta(days=2, hours=1)


async def test_a_mail_is_not_put_off_to_a_time_that_was_none(post: Post) -> None:
    """The clock was a year ahead when it was kept."""
    async with MailServer() as server:
        mailer = post.mailer(server.port)
        post.now += timedelta(days=365)
        await mailer.send(TO, "s", "t")
        post.now -= timedelta(days=365)
        async with running(mailer):
            await server.next_mail()


async def test_after_two_days_it_is_given_up(post: Post) -> None:
    async with MailServer() as server:
        port = server.port
    mailer = post.mailer(port)
    await mailer.send(TO, "s", "t")
    post.now += timedelta(days=2)
    async with running(mailer):
        await post.until_none_waits()
    assert await post.given_up() == ["no-connection"]
    assert (mailer.given_up, mailer.waiting) == (1, 0)


@pytest.mark.parametrize(
    "bad",
    [
        "eve@example.org\r\nBcc: all@example.org", "eve@example.org\nX: y", "Eve <eve@example.org>", "eve", "@x.de", "",
        "eve@x.de,bob@x.de", "eve@x.de bob@x.de", "e ve@x.de", "eve@-x.de", "eve@x..de", ".eve@x.de", "eve@x.de\x00",
        "eve@[127.0.0.1]", "\"a b\"@x.de", "eve@exämple.org", "e" * 65 + "@x.de", "eve@" + "x." * 130 + "de",
        "eve@x.de.", "<eve@x.de>", "eve@x.de>",
    ],
)  # fmt: skip
async def test_what_is_no_plain_address_is_sent_nothing(post: Post, bad: str) -> None:
    assert not is_address(bad)
    with structlog.testing.capture_logs() as logs:
        assert not await post.mailer(1).send(bad, "s", "t")
    assert [one["reason"] for one in logs] == ["bad-address"]
    assert await post.waiting() == 0


@pytest.mark.parametrize("good", [TO, "a.b+c@x.de", "root@localhost", "x_y-z@sub.x-y.org", "o'neill@x.de"])
def test_plain_addresses(good: str) -> None:
    assert is_address(good)


async def test_no_subject_becomes_a_header(post: Post) -> None:
    subject = "Hi\r\nBcc: all@example.org\x00\u2028X: y"
    assert one_line(subject) == "Hi Bcc: all@example.org X: y"
    async with MailServer() as server:
        mailer = post.mailer(server.port)
        await mailer.send(TO, subject, "t\udcff")
        async with running(mailer):
            mail = await server.next_mail()
    assert mail["Bcc"] is None
    assert mail["X-To"] == TO
    assert mail.get_content().strip() == "t?"


async def test_without_a_server_nothing_is_kept_and_the_log_says_so(post: Post) -> None:
    mailer = Mailer(post.store, None, "pbx1", lambda: post.now)
    with structlog.testing.capture_logs() as logs:
        assert not await mailer.send(TO, "s", "t")
    assert [one["reason"] for one in logs] == ["not-configured"]
    assert (mailer.configured, await post.waiting()) == (False, 0)


async def test_what_waits_when_the_server_is_taken_out_of_the_configuration_is_given_up(post: Post) -> None:
    await post.mailer(1).send(TO, "s", "t")
    async with running(Mailer(post.store, None, "pbx1", lambda: post.now)):
        await post.until_none_waits()
    assert await post.given_up() == ["not-configured"]


async def test_there_is_an_end_to_what_may_wait(post: Post) -> None:
    mailer = post.mailer(1)
    rows = [mailer.keeping(TO, "s", "t") for _ in range(1000)]
    assert all(rows)
    assert mailer.keeping(TO, "s", "t") == ()


async def test_a_mail_that_was_taken_is_not_sent_again_while_the_database_cannot_be_written(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a disk that is full for hours."""
    monkeypatch.setattr("bridge.mail._LOOK_AT_MOST_S", 0.01)
    real, tries = post.store.commit, 0

    async def fail(*given: Any, **values: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise StoreError("the disk is full", reason="full")
        return await real(*given, **values)

    async with MailServer() as server:
        mailer = post.mailer(server.port)
        await mailer.send(TO, "s", "t")
        monkeypatch.setattr(post.store, "commit", fail)
        with structlog.testing.capture_logs():
            async with running(mailer):
                await post.until_none_waits()
        assert (tries, len(server.mails)) == (4, 1)


async def test_a_database_that_fails_does_not_end_it(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MailServer() as server:
        mailer = post.mailer(server.port)
        await mailer.send(TO, "s", "t")
        real, failed = post.store.select, asyncio.Event()

        async def fail(*_: object) -> Any:
            failed.set()
            raise StoreError("locked")

        monkeypatch.setattr(post.store, "select", fail)
        async with running(mailer):
            await failed.wait()
            monkeypatch.setattr(post.store, "select", real)
            mailer.wake()
            await server.next_mail()
