"""Nothing that comes by the API reaches an AMI line, a file's name, SQL or a shell; nothing secret reaches the log."""

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from pydantic import BaseModel
from yarl import URL

from bridge.api.app import OPERATIONS
from bridge.api.operations import MediaType, Operation
from tests.asterisk.fake_server import SECRET, Action, FakeAsterisk, fake_asterisk
from tests.demo.daemon import Daemon

CANARY = "kanari"
ALICE, BOB = "PJSIP/alice-00000001", "PJSIP/bob-00000002"
RULES = "rules:\n  - {id: 1, name: Wanted, record: on-demand}\n"
HEADERS = (
    "Last-Event-ID",
    "X-Request-Id",
    "X-Forwarded-For",
    "Origin",
    "Range",
    "If-None-Match",
    "X-Auth-Token",
    "Host",
)
SENT = {
    "ActionID", "Action", "Username", "Secret", "Events", "EventMask", "Operation", "Filter", "MatchCriteria",
    "Channel", "File", "Options", "Variable", "Value", "Variables", "Command", "BridgeUniqueid", "MixMonitorID",
}  # fmt: skip
ASKING = {"Ping", "Login", "PJSIPShowContacts", "Getvar"}
"""Actions that change nothing; those of the session that asks for phones among them."""


def nasty(shell: str) -> list[str]:
    """What somebody might send; `shell` is what a shell would make of some."""
    return [
        f"{CANARY}\r\nAction: Originate\r\nChannel: Local/1\r\n\r\n",
        f"{ALICE}\r\nX-{CANARY}: 1",
        f"{ALICE}\n\n{CANARY}",
        f"{CANARY}\0{ALICE}",
        f"{ALICE},{CANARY}",
        f"{ALICE}|{CANARY}",
        f"../../../{CANARY}",
        f"/etc/{CANARY}",
        f"..%2f..%2f{CANARY}",
        f"{CANARY}'; DROP TABLE tokens; --",
        f'{CANARY}" OR 1=1 --',
        f"{CANARY}') UNION SELECT secret_sha256 FROM tokens --",  # noqa: S608  # the very thing
        f"{CANARY}; {shell}",
        f"{CANARY}$({shell})",
        f"{CANARY}`{shell}`",
        f"{CANARY}|{shell}|",
        f"{CANARY}&&{shell}&",
        f"{CANARY}${{SHELL({shell})}}",
        f"{CANARY},,{shell}",
        f"-{CANARY}",
        f"%s%n{CANARY}{{0}}",
        f"{CANARY}\x1b[2J\u202e\u2028",
        f"{CANARY}\ud800",
        CANARY * 600,
        "0" * 5000 + CANARY,
    ]


def operations() -> list[Operation]:
    """Every one that there is; where Wazo's prefixes lead to the same handler once more, one of them."""
    return list({(one.method, one.handler): one for one in OPERATIONS}.values())


def names(model: type[BaseModel] | MediaType) -> list[str]:
    """The fields of a query or a body."""
    if isinstance(model, MediaType):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def started(_: FakeAsterisk, action: Action) -> bytes:
    return FakeAsterisk.yes(action, "MixMonitorID: 0x1")


def channel(name: str, uniqueid: str) -> Sequence[str]:
    return (
        "Event: CoreShowChannel", f"Channel: {name}", f"Uniqueid: {uniqueid}", "Linkedid: 1700000000.1",
        "ChannelState: 6", "Application: AppDial", "Context: internal", "Exten: 102", "CallerIDNum: 101",
    )  # fmt: skip


@pytest.fixture
async def fake() -> AsyncIterator[FakeAsterisk]:
    """An Asterisk in which alice talks with bob."""
    async with fake_asterisk(
        channels=[channel(ALICE, "1700000000.1"), channel(BOB, "1700000000.2")],
        bridges={"b1": ["1700000000.1", "1700000000.2"]},
        answers={"MixMonitor": started},
    ) as server:
        yield server


@pytest.fixture
async def daemon(fake: FakeAsterisk, tmp_path: Path) -> AsyncIterator[Daemon]:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "10.yml").write_text(RULES)
    (tmp_path / "spool").mkdir()
    daemon = Daemon(tmp_path / "b", fake.port, tmp_path / "spool", secret=SECRET, rules=tmp_path / "rules")
    daemon.arguments = ("--verbose",)
    async with daemon:
        yield daemon


def requests(values: Sequence[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and the rest: each value in each place of each endpoint."""
    for one in operations():
        for value in values:
            said = quote(value.encode("utf-8", "surrogatepass"), safe="")
            filled = re.sub(r"\{[^}]*\}", said, one.path)
            if filled != one.path:
                yield one.method, filled, {}
            plain = re.sub(r"\{[^}]*\}", "1", one.path.replace("{record_id}", "a_b"))
            for name in (*names(one.query), "token", CANARY):
                yield one.method, f"{plain}?{name}={said}", {}
            yield one.method, f"{plain}?{said}=1", {}
            if one.body is not None:
                for name in (*names(one.body), CANARY):
                    yield one.method, plain, {"data": json.dumps({name: value}).encode()}
                yield one.method, plain, {"data": json.dumps(value).encode()}
                yield one.method, plain, {"data": value.encode("utf-8", "surrogatepass")}
    for value in values:
        printable = "".join(char for char in value[:3000] if " " <= char <= "~")
        for header in HEADERS:
            for path in ("/api/v1/stream", "/api/v1/calls", "/ready", "/nothing"):
                yield "GET", path, {"headers": {header: printable}}


async def send_all(daemon: Daemon, asked: Iterator[tuple[str, str, dict[str, Any]]]) -> int:
    """All of them, ten at a time; how many there were. None is answered as our own mistake."""
    count = 0
    # A stream is left at its head: its connection is no more use.
    connector = aiohttp.TCPConnector(force_close=True)

    async def some(session: aiohttp.ClientSession) -> None:
        nonlocal count
        for method, path, rest in asked:
            headers = {**daemon.auth(), **rest.get("headers", {})}
            url = URL(daemon.url + path, encoded=True)
            try:
                async with session.request(method, url, headers=headers, data=rest.get("data")) as response:
                    assert response.status < 500, (method, path, rest)
            except aiohttp.ClientResponseError as error:
                assert error.status == 400, path  # noqa: PT017  # aiohttp refuses a longer line by itself
            count += 1

    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(some(session))
    return count


def database(daemon: Daemon) -> dict[str, Any]:
    """Its schema, how many tokens there are, and whether it is sound."""
    with contextlib.closing(sqlite3.connect(daemon.work / "recbridge.db")) as opened:
        return {
            "schema": opened.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall(),
            "tokens": opened.execute("SELECT count(*) FROM tokens").fetchall(),
            "sound": opened.execute("PRAGMA integrity_check").fetchall(),
        }


def log_of(daemon: Daemon) -> str:
    """All of it, as it lies there."""
    return (daemon.work / "daemon.log").read_bytes().decode()


@pytest.mark.timeout(300)
async def test_no_value_leaves_its_place(daemon: Daemon, fake: FakeAsterisk, tmp_path: Path) -> None:
    assert "/api/v1/monitor/start" in {one.path for one in operations()}
    before, files = database(daemon), tree(tmp_path)
    proof = tmp_path / "a-shell-ran"
    actions = len(fake.actions)
    count = await send_all(daemon, requests(nasty(f"touch {proof}")))
    assert count > 2000
    # That what is right is done shows that the rest was looked at.
    async with daemon.session.post(
        f"{daemon.url}/api/v1/monitor/start", json={"channel": ALICE}, headers=daemon.auth()
    ) as response:
        assert response.status == 200, await response.text()
    sent = fake.actions[actions:]
    assert next(action.name for action in sent if action.name not in ASKING) == "MixMonitor"
    assert {name for action in fake.actions for name, _ in action.headers} <= SENT
    assert CANARY not in str(fake.actions)
    assert not {action.name for action in sent} - {"MixMonitor", "Command", "StopMixMonitor"} - ASKING
    (start,) = (action for action in sent if action.name == "MixMonitor")
    assert start.get("Channel") in {"1700000000.1", "1700000000.2"}
    assert start.get("File").startswith(f"{daemon.spool}/20")
    assert start.get("Command") == ""
    assert not proof.exists()
    assert CANARY not in str(tree(tmp_path))
    assert {one for one in tree(tmp_path) - files if not one.startswith(("spool/20", "b/"))} == set()
    assert database(daemon) == before
    assert CANARY not in str(tree(Path("/etc")))
    lines = log_of(daemon).splitlines()
    assert len([line for line in lines if '"request"' in line]) > 2000
    for line in lines:
        assert json.loads(line)["event"], line
        assert line.isprintable(), line


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


async def test_neither_tokens_nor_tickets_nor_secrets_come_into_the_log(daemon: Daemon) -> None:
    secret = daemon.token.rsplit("_", 1)[1]
    wrong = "rb_0123456789abcdef_" + "W" * 43
    for headers in ({"Authorization": f"Bearer {wrong}"}, {"X-Auth-Token": wrong}, {"X-Auth-Token": daemon.token[:-1]}):
        async with daemon.session.get(f"{daemon.url}/api/v1/calls", headers=headers) as response:
            assert response.status == 401
    for path in (f"/api/v1/calls?token={daemon.token}", f"/api/v1/records/a_b/1/1?ticket={secret}", f"/x?{wrong}"):
        async with daemon.session.get(daemon.url + path, headers=daemon.auth()) as response:
            assert response.status in {400, 401, 404}
    for data in (f'{{"path": "{daemon.token}"}}', daemon.token, f'{{"{daemon.token}": 1}}'):
        async with daemon.session.post(f"{daemon.url}/api/v1/tickets", data=data, headers=daemon.auth()) as response:
            assert response.status == 400
    for raw in (b"\0%s\r\n\r\n", b"GET /%s", b"POST / HTTP/1.1\r\n%s\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", daemon.http_port)
        writer.write(raw % daemon.token.encode())
        writer.write_eof()
        await reader.read()
        writer.close()
    code, out, err = await daemon.command("doctor", "--json")
    assert code in {0, 1}
    assert await daemon.stop() == 0
    said = log_of(daemon) + out + err
    assert '"request"' in said
    for one in (secret, wrong.rsplit("_", 1)[1], SECRET):
        assert one not in said
