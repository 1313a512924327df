"""The daemon as a process of its own, as an admin runs it; for the demo and for tests of the whole."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

ROOT = Path(__file__).resolve().parents[2]
USERS = """\
users:
  - {identity: alice, id: 6, name: Alice, extensions: [101], devices: [{id: 1, name: Desk, channel: PJSIP/alice}],
     location: {id: 1, name: Office}, groups: [sales]}
  - {identity: bob, id: 7, name: Bob, extensions: [102], devices: [{id: 2, name: Desk, channel: PJSIP/bob}],
     groups: [support]}
  - {identity: carol, id: 8, name: Carol, extensions: [103], devices: [{id: 3, name: Desk, channel: PJSIP/carol}],
     groups: [support], supervises: [support]}
  - {identity: dave, id: 9, name: Dave, extensions: [104], devices: [{id: 4, name: Desk, channel: PJSIP/dave}]}
"""


class DaemonError(Exception):
    """The daemon did not start or ended; the text ends with its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Daemon:
    """`recbridge run` against one AMI, with everything in `work`. An async context manager: ready when entered.

    `extra` is appended to the configuration. Its processes run `module` with `environment` beside our own
    and with `arguments` to `run`.
    """

    work: Path
    ami_port: int
    spool: Path
    username: str = "bridge"
    secret: str = "bridge-secret"  # of a PBX that lives for a minute
    rules: Path = ROOT / "rules"
    users: str = USERS
    extra: str = ""
    wait_ready: bool = True
    http_port: int = field(default_factory=free_port)
    module: str = "bridge"
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.local_spool = self.spool
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self.token = ""

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        """Its process id; DaemonError while it does not run."""
        if self._process is None:
            raise DaemonError("the daemon does not run")
        return self._process.pid

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.work / "recbridge.yml"

    @property
    def log(self) -> str:
        """The last of what it has logged, but for the requests."""
        path = self.work / "daemon.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return "\n".join([line for line in lines if '"event": "request"' not in line][-40:])

    def write_config(self) -> None:
        """Write the configuration and users.yml."""
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "users.yml").write_text(self.users)
        self.config.write_text(
            f"asterisk: {{host: 127.0.0.1, port: {self.ami_port}, username: {self.username}, secret: {self.secret}}}\n"
            f"spool: {{asterisk: {self.spool}, local: {self.local_spool}}}\n"
            f"rules: {self.rules}\n"
            f"users: {self.work / 'users.yml'}\n"
            f"database: {self.work / 'recbridge.db'}\n"
            'trunks: ["PJSIP/trunk*"]\n'
            f'http: {{listen: "127.0.0.1:{self.http_port}"}}\n'
            f"{self.extra}"
        )

    async def __aenter__(self) -> Self:
        self.write_config()
        self._session = aiohttp.ClientSession()
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self._session is not None:
            await self._session.close()

    async def start(self) -> None:
        """Start the process, and wait until it is ready unless told not to."""
        with (self.work / "daemon.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                "run",
                "--config",
                str(self.config),
                *self.arguments,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        await self.until_ready() if self.wait_ready else await self.until_alive()
        if not self.token:
            self.token = await self.new_token("admin", "admin")

    async def stop(self, deadline_s: float = 20) -> int:
        """End it as systemd does; gives its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(deadline_s):
                return await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise DaemonError(f"the daemon did not end within {deadline_s} s:\n{self.log}") from None

    def hang_up(self) -> None:
        """SIGHUP: read users and rules again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    async def ended(self) -> int:
        """Return when its process has ended, by itself or by a signal; its exit code. DaemonError while none runs."""
        if self._process is None:
            raise DaemonError("the daemon does not run")
        return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL; harmless where it has ended."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def until_alive(self, deadline_s: float = 30) -> None:
        """Return when it answers on HTTP."""
        await self._until(lambda status, _: status == 200, "/health", deadline_s)

    async def until_ready(self, deadline_s: float = 30) -> None:
        """Return when it says that it can do its work."""
        await self._until(lambda status, _: status == 200, "/ready", deadline_s)

    async def until_not_ready(self, reason: str, deadline_s: float = 30) -> None:
        """Return when it says that it cannot, for this reason."""
        await self._until(lambda _, body: reason in body.get("reasons", []), "/ready", deadline_s)

    async def _until(self, met: Callable[[int, dict[str, Any]], bool], path: str, deadline_s: float) -> None:
        last = "it did not answer"
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    if self._process is not None and self._process.returncode is not None:
                        raise DaemonError(f"the daemon ended with {self._process.returncode}:\n{self.log}")
                    with contextlib.suppress(aiohttp.ClientConnectionError):
                        status, body = await self.get(path)
                        last = f"{status} {json.dumps(body)}"
                        if met(status, body):
                            return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DaemonError(f"{path} after {deadline_s} s: {last}\n{self.log}") from None

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        """Run another `recbridge` command with the same configuration: exit code, standard output, standard error."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bridge",
            *arguments,
            "--config",
            str(self.config),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def new_token(self, identity: str, role: str, *options: str) -> str:
        """A token, by `recbridge token create`."""
        code, out, err = await self.command("token", "create", "--identity", identity, "--role", role, *options)
        if code != 0:
            raise DaemonError(f"token create: {err}")
        return out.splitlines()[-1]

    @property
    def session(self) -> aiohttp.ClientSession:
        """For requests of one's own."""
        if self._session is None:
            raise DaemonError("the daemon was not entered")
        return self._session

    def auth(self, token: str | None = None) -> Mapping[str, str]:
        """The header that signs a request."""
        return {"Authorization": f"Bearer {token or self.token}"}

    async def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        """GET some JSON."""
        async with self.session.get(self.url + path, headers=self.auth(token) if self.token else {}) as response:
            return response.status, await response.json()

    async def records(self, record_id: str) -> Sequence[Mapping[str, Any]]:
        """The sections of a record; none where it is not known."""
        status, entry = await self.get(f"/api/v1/records/{record_id}")
        return entry["records"] if status == 200 else ()

    async def journal(self, count: int, *, identity: str = "*", deadline_s: float = 20) -> Sequence[Mapping[str, Any]]:
        """The journal, newest first, as soon as it has `count` entries and all their sections are stored or failed."""
        items: list[Mapping[str, Any]] = []
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    _, body = await self.get(f"/api/v1/journal?limit=1000&identity={identity}")
                    items = body["items"]
                    ids = {item["recordId"] for item in items if item["recordId"]}
                    states = [one["state"] for record_id in ids for one in await self.records(record_id)]
                    if len(items) >= count and all(state in ("stored", "failed", "lost") for state in states):
                        return items
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DaemonError(
                f"only {len(items)} of {count} journal entries after {deadline_s} s\n{self.log}"
            ) from None
