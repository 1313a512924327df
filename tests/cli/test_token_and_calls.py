"""`recbridge token create` and `recbridge calls`, against a real database and a real server."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from bridge import tokens
from bridge.api.app import Dependencies, create_app, runner
from bridge.cli.calls import TOKEN_VARIABLE
from bridge.cli.main import main
from bridge.core.access import Role, Scope, Token
from bridge.core.live import CallNow, NotReady, RuleNow
from bridge.feed.stream import Hub
from bridge.storage.database import SqliteStore
from tests.api.house import CALL, Scripted

Capture = pytest.CaptureFixture[str]


class Live:
    def __init__(self, *calls: CallNow) -> None:
        self.calls = calls

    def calls_now(self) -> tuple[CallNow, ...]:
        return self.calls


@pytest.fixture
def config(tmp_path: Path) -> Path:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "recbridge.yml"
    path.write_text(
        "asterisk: {username: bridge, secret: x}\n"
        f"database: {tmp_path}/recbridge.db\n"
        f'http: {{listen: "127.0.0.1:{port}"}}\n'
    )
    return path


def port_of(config: Path) -> int:
    return int(config.read_text().rsplit(":", 1)[1].strip('"}\n'))


@contextlib.asynccontextmanager
async def daemon(
    config: Path, *calls: CallNow, not_ready: Sequence[NotReady] = (), warnings: Sequence[NotReady] = ()
) -> AsyncIterator[None]:
    store = await SqliteStore.open(config.parent / "recbridge.db", "pbx")
    deps = Dependencies(
        store=store,
        audio_root=config.parent,
        live=Live(*calls),
        control=Scripted(),
        supervised=lambda _: frozenset(),
        not_ready=lambda: not_ready,
        hub=Hub(store),
        clock=lambda: datetime.now(UTC),
        warnings=lambda: warnings,
    )
    serving = runner(create_app(deps))
    await serving.setup()
    await web.TCPSite(serving, "127.0.0.1", port_of(config)).start()
    try:
        with structlog.testing.capture_logs():  # the daemon's log is not the command's output
            yield
    finally:
        await serving.cleanup()
        await store.close()


def kept_token(config: Path, plain: str) -> Token:
    """The token as the database has it, found and compared as the API does."""
    parts = tokens.parse(plain)
    assert parts is not None

    async def find() -> Token | None:
        store = await SqliteStore.open(config.parent / "recbridge.db", "pbx")
        try:
            return await store.token(parts[0])
        finally:
            await store.close()

    token = asyncio.run(find())
    assert token is not None
    assert tokens.matches(token, parts[1])
    return token


def create(config: Path, *options: str) -> int:
    return main(["token", "create", "--config", str(config), "--identity", "alice", *options])


def test_a_token_stands_alone_on_the_last_line_and_is_kept_without_its_secret(config: Path, capsys: Capture) -> None:
    assert create(config, "--role", "user") == 0
    plain = capsys.readouterr().out.splitlines()[-1]
    token = kept_token(config, plain)
    assert (token.identity, token.role, token.expires_at) == ("alice", Role.USER, None)
    assert token.scopes == {Scope.PLAY, Scope.DOWNLOAD, Scope.CONTROL}
    assert plain.rsplit("_", 1)[1].encode() not in (config.parent / "recbridge.db").read_bytes()


def test_scopes_and_an_end_can_be_given(config: Path, capsys: Capture) -> None:
    assert create(config, "--role", "admin", "--expires", "90d", "--scope", "play,export", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    token = kept_token(config, said["token"])
    assert token.scopes == {Scope.PLAY, Scope.EXPORT}
    assert token.expires_at is not None
    assert token.expires_at - token.created_at == timedelta(days=90)
    assert said["scopes"] == ["export", "play"]


@pytest.mark.parametrize(
    ("identity", "role", "note"),
    [
        ("anna", "user", ""),
        ("ana", "user", "note: no user is ana (did you mean anna?); the token sees calls of an endpoint"),
        ("zoe", "supervisor", "note: no user is zoe; the token sees"),
        ("anna", "supervisor", "note: anna supervises no group: the token sees what a user's does"),
        ("bob", "supervisor", ""),
        ("root", "admin", ""),
    ],
)
def test_a_token_that_may_see_less_than_is_meant_is_made_with_a_note(
    config: Path, capsys: Capture, identity: str, role: str, note: str
) -> None:
    users = config.parent / "users.yml"
    users.write_text("users: [{identity: anna, groups: [sales]}, {identity: bob, supervises: [sales]}]\n")
    config.write_text(f"{config.read_text()}users: {users}\n")
    assert main(["token", "create", "--config", str(config), "--identity", identity, "--role", role]) == 0
    out, err = capsys.readouterr()
    assert kept_token(config, out.splitlines()[-1]).identity == identity
    assert err.startswith(note)
    assert bool(err) == bool(note)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--role", "king"], "invalid choice"),
        (["--role", "user", "--expires", "soon"], "like 90d"),
        (["--role", "user", "--scope", "play,fly"], "the scopes are play, download"),
        (["--role", "user", "--identity", ""], "no user's name"),
        (["--role", "user", "--identity", "a\nb"], "no user's name"),
    ],
)
def test_a_wrong_command_line_is_said_and_makes_nothing(
    config: Path, capsys: Capture, options: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        create(config, *options)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
    assert not (config.parent / "recbridge.db").exists()


def test_a_database_that_cannot_be_is_one_line(config: Path, capsys: Capture) -> None:
    config.write_text(config.read_text().replace("/recbridge.db", "/no/such/folder/recbridge.db"))
    assert create(config, "--role", "user") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_database_that_cannot_even_be_looked_for_is_one_line(config: Path, capsys: Capture) -> None:
    config.write_text(config.read_text().replace("/recbridge.db", f"/{'x' * 300}.db"))
    assert create(config, "--role", "user") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of others")
def test_a_database_that_root_makes_is_its_folders_owners(config: Path) -> None:
    os.chown(config.parent, 65534, 65534)
    assert create(config, "--role", "user") == 0
    status = (config.parent / "recbridge.db").stat()
    assert (status.st_uid, status.st_gid) == (65534, 65534)


async def calls(config: Path, *options: str) -> int:
    return await asyncio.to_thread(main, ["calls", "--config", str(config), *options])


async def test_calls_are_shown_without_a_token_of_ones_own(config: Path, capsys: Capture) -> None:
    began = datetime.now(UTC) - timedelta(hours=2)
    evil = replace(CALL.parties[1], identity=None, name="\x1b[31mEve", number="")
    rule = RuleNow(CALL.rules[0].rule_id, "sales", "unmatched", None, None, "when.queue: support is not sales")
    waiting = replace(
        CALL, started_at=began, talking_since=None, queue="sales", reason="no-talk", parties=(evil,), rules=(rule,)
    )
    async with daemon(config, replace(CALL, talking_since=began), waiting):
        assert await calls(config) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("internal  alice (821) - bob (822)  talking 2:00:0")
    assert out[1] == "    rule 1 all: recording file 1"
    assert out[2].startswith("internal  ?[31mEve  ringing 2:00:0")
    assert out[2].endswith(f"  queue sales  call {CALL.call_id}  not recorded: no-talk")
    assert out[3] == "    rule 1 sales: unmatched: when.queue: support is not sales"


async def test_calls_as_json_for_a_token(config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await asyncio.to_thread(create, config, "--role", "user") == 0
    plain = capsys.readouterr().out.splitlines()[-1]
    others = replace(CALL, audience=())
    async with daemon(config, CALL, others):
        assert await calls(config, "--json", "--token", plain) == 0
        by_option = json.loads(capsys.readouterr().out)
        monkeypatch.setenv(TOKEN_VARIABLE, plain)
        assert await calls(config, "--json") == 0
        assert json.loads(capsys.readouterr().out) == by_option
    (item,) = by_option["items"]
    assert item["callId"] == CALL.call_id


async def test_no_calls_is_said_beside_the_output(config: Path, capsys: Capture) -> None:
    async with daemon(config):
        assert await calls(config) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()[-1]) == ("", "no calls")


async def test_what_keeps_the_daemon_from_recording_is_said_with_its_calls(config: Path, capsys: Capture) -> None:
    assert await asyncio.to_thread(create, config, "--role", "user") == 0
    plain = capsys.readouterr().out.splitlines()[-1]
    async with daemon(config, not_ready=[NotReady("asterisk-unreachable", "is Asterisk running?")]):
        assert await calls(config) == 0
        assert "not ready: is Asterisk running?" in capsys.readouterr().err.splitlines()
        assert await calls(config, "--token", plain) == 0
        assert "not ready: asterisk-unreachable" in capsys.readouterr().err.splitlines()


async def one_line(config: Path, capsys: Capture, *options: str) -> str:
    assert await calls(config, *options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


async def test_a_daemon_that_does_not_run_is_one_line(config: Path, capsys: Capture) -> None:
    assert (await one_line(config, capsys)).endswith("has recbridge run yet?")
    assert not list(config.parent.glob("recbridge.db*")), "asking makes no database"
    assert await asyncio.to_thread(create, config, "--role", "user") == 0
    capsys.readouterr()
    assert (await one_line(config, capsys)).endswith("does it run? (Connection refused)")


async def test_a_wrong_token_is_one_line(config: Path, capsys: Capture) -> None:
    async with daemon(config):
        assert "says: this token is not known" in await one_line(config, capsys, "--token", "rb_no")


@pytest.mark.parametrize(
    "answer", [lambda: web.Response(text="hello"), lambda: web.json_response([1]), lambda: web.json_response({})]
)
async def test_something_else_on_the_port_is_one_line(
    config: Path, capsys: Capture, answer: Callable[[], web.Response]
) -> None:
    async def handler(_: Any) -> web.Response:
        return answer()

    server = web.ServerRunner(web.Server(handler))
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", port_of(config)).start()
    try:
        assert "is not recbridge" in await one_line(config, capsys, "--token", "rb_any")
    finally:
        await server.cleanup()
