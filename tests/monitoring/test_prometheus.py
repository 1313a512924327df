"""A real Prometheus scrapes the daemon, and is asked every query that ships."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.demo.daemon import Daemon, free_port
from tests.monitoring.shipped import RULES, SCRAPE, queries
from tests.monitoring.table import families, name_of
from tests.simulator import calls
from tests.simulator.server import Simulator

WITHIN_S = 60
# What a daemon that is well, and has just started, has no samples of.
_NOT_YET = {"recbridge_not_ready", "recbridge_warning", "recbridge_housekeeping_done_timestamp_seconds"}


class Prometheus:
    """A server's API."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def ask(self, path: str, **query: str) -> Any:
        """What it answers; AssertionError where it is an error."""
        async with self._session.get(f"{self._url}/api/v1/{path}", params=query) as response:
            answer = await response.json()
        assert answer["status"] == "success", (query, answer)
        return answer["data"]

    async def samples(self, expr: str) -> list[Mapping[str, Any]]:
        """Of a query, now."""
        found: list[Mapping[str, Any]] = (await self.ask("query", query=expr))["result"]
        return found

    async def until(self, expr: str) -> None:
        """Return when a query has samples."""
        async with asyncio.timeout(WITHIN_S):
            while not await self.samples(expr):  # noqa: ASYNC110  # another process's
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def scraping(binary: str, folder: Path, target: str) -> AsyncIterator[Prometheus]:
    """Prometheus with the example's configuration, but for times and places."""
    config = yaml.safe_load(SCRAPE.read_text())
    (job,) = config["scrape_configs"]
    job |= {"scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [{"targets": [target]}]}
    config |= {"rule_files": [str(RULES)], "global": {"evaluation_interval": "1s"}}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    words = (
        f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    )  # fmt: skip
    with (folder / "log").open("wb") as output:
        server = await asyncio.create_subprocess_exec(binary, *words, stdout=output, stderr=output, cwd=folder)
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}"
            async with asyncio.timeout(WITHIN_S):
                while True:
                    assert server.returncode is None, (folder / "log").read_text()
                    with contextlib.suppress(aiohttp.ClientConnectionError):
                        async with session.get(f"{url}/-/ready") as response:
                            if response.status == 200:
                                break
                    await asyncio.sleep(0.1)
            yield Prometheus(session, url)
    finally:
        server.kill()
        await server.wait()


async def test_every_query_that_ships_has_its_metrics(tools: Mapping[str, str], tmp_path: Path) -> None:
    for name in ("daemon", "prometheus"):
        (tmp_path / name).mkdir()
    async with (
        Simulator(tmp_path / "spool") as simulator,
        Daemon(tmp_path / "daemon", simulator.port, tmp_path / "spool") as daemon,
        scraping(tools["prometheus"], tmp_path / "prometheus", f"127.0.0.1:{daemon.http_port}") as prometheus,
    ):
        await prometheus.until('up{job="recbridge"} == 1')
        await calls.inside(simulator, 2.0)
        await prometheus.until('recbridge_sections_ended_total{outcome="stored"} > 0')
        await prometheus.until('recbridge_http_requests_total{route="/metrics",status="2xx"} > 3')

        targets = await prometheus.ask("targets", state="active")
        assert [one["lastError"] for one in targets["activeTargets"]] == [""]
        shown = {one["metric"] for one in await prometheus.ask("targets/metadata")}
        missing = {name_of(metric) for metric in families()} - shown
        assert missing <= _NOT_YET

        for query in queries():
            await prometheus.samples(query.expr)
            for name in query.names() - _NOT_YET:
                assert await prometheus.samples(name), (name, query)

        (started,) = await prometheus.samples("recbridge_start_from_talk_seconds_count")
        assert int(started["value"][1]) == 1
        for name in ("wanted", "recorded"):
            (sample,) = await prometheus.samples(f"sum(recbridge_live_{name}_seconds_total)")
            assert float(sample["value"][1]) > 0

        rules = [rule for group in (await prometheus.ask("rules"))["groups"] for rule in group["rules"]]
        assert {rule.get("lastError", "") for rule in rules} == {""}
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
        assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
