"""/openapi.json: it describes every path, and what it says is true (schemathesis, against the whole daemon)."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.web import Application

from bridge.api.app import create_app
from tests.api.house import House
from tests.demo.daemon import Daemon
from tests.simulator import calls
from tests.simulator.server import Simulator

_EXAMPLES = 10
_CONFIG = """\
[checks]
# What is over is 410: neither the request nor the server is at fault.
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 410, 429, "5xx"]

[parameters]
"path.record_id" = "{record_id}"
"path.rule_id" = "{rule_id}"
"path.file" = "{file}"
"path.webhook_id" = "{webhook_id}"

# One field has to fit another: JSON Schema cannot say that a time is before another one, or that one of them is given.
[[operations]]
include-path-regex = "^/api/v1/(coverage|holds|cdrs.*|rules/explain)$"
[operations.checks]
positive_data_acceptance.enabled = false

# Which addresses may be called is more than a pattern says.
[[operations]]
include-path-regex = "^/api/v1/webhooks"
[operations.checks]
positive_data_acceptance.enabled = false

# Which of a token's fields go together, too; and calls without a recording are 400 in Wazo's words.
[[operations]]
include-path-regex = "/0.1/token$|/cdr/recordings/media/export$"
[operations.checks]
positive_data_acceptance.enabled = false

# pascom's failures are answers: 200 with a Failure in it.
[[operations]]
include-path = "/api/v1/cmd"
[operations.checks]
negative_data_rejection.enabled = false
"""
_HOOKS = """\
import itertools
import schemathesis

_callers = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    # Each from elsewhere: too many wrong tokens from one address are 429.
    number = next(_callers)
    case.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
"""


def routes(app: Application) -> set[tuple[str, str]]:
    """All methods and paths that are routed, but for the one that takes what nobody has."""
    found = set()
    for route in app.router.routes():
        resource = route.resource
        if resource is not None and route.method not in {"HEAD", "*"}:
            found.add((route.method.lower(), resource.canonical))
    return found


async def test_every_path_is_described(house: House) -> None:
    async with house.opened() as client:
        described = (await (await client.get("/openapi.json")).json())["paths"]
    found = {(method, path) for path, methods in described.items() for method in methods if method != "head"}
    assert found == routes(create_app(house.dependencies()))


class _BehindProxy(Daemon):
    """Believes whoever asks where it comes from."""

    def write_config(self) -> None:
        super().write_config()
        said = self.config.read_text()
        self.config.write_text(said.replace("http: {", "http: {trusted_proxies: [127.0.0.1], "))


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    spool = tmp_path / "spool"
    spool.mkdir()
    async with (
        Simulator(spool, "bridge", "bridge-secret") as simulator,
        _BehindProxy(tmp_path, simulator.port, spool, extra="webhooks: {allow_private: true}\n") as daemon,
    ):
        await calls.inside(simulator, 1.5)
        await calls.inbound(simulator, 1.5)
        talking = asyncio.create_task(calls.inside(simulator, 600))
        yield daemon
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


@pytest.mark.timeout(600)
async def test_schemathesis_finds_nothing(daemon: Daemon, tmp_path: Path) -> None:
    webhook = {"url": "https://127.0.0.1:1/nobody"}
    async with daemon.session.post(f"{daemon.url}/api/v1/webhooks", json=webhook, headers=daemon.auth()) as response:
        assert response.status == 201
        hook = await response.json()
    entries = await daemon.journal(3)
    record_id = next(entry["recordId"] for entry in entries if entry["recordId"])
    one = (await daemon.records(record_id))[0]
    config, hooks = tmp_path / "schemathesis.toml", tmp_path / "hooks.py"
    config.write_text(
        _CONFIG.format(record_id=record_id, rule_id=one["ruleId"], file=one["file"], webhook_id=hook["id"])
    )
    hooks.write_text(_HOOKS)
    arguments = [
        "run",
        f"{daemon.url}/openapi.json",
        f"--header=Authorization: Bearer {daemon.token}",
        f"--max-examples={_EXAMPLES}",
        "--exclude-path-regex=/(ws|stream)$",
        "--continue-on-failure",
        "--suppress-health-check=all",
        "--request-timeout=30",
        "--no-shrink",
        "--seed=1",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--no-color",
        f"--config-file={config}",
        *arguments,
        cwd=tmp_path,
        env={"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-20_000:]
