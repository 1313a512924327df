"""A script that speaks as Wazo's call-logd client does, to a daemon beside a real Asterisk.

What it sends was noted from the clients themselves: wazo-call-logd-client (cdr.py of 2024, export.py of 2022,
retention.py of 2021, exceptions.py) on wazo-lib-rest-client of 2024.
"""

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.demo.daemon import Daemon
from tests.network.network import Network
from tests.whole.test_main_job import talk
from tests.whole.test_retention import until

TENANT = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
RULES = """\
rules:
  - {id: 1, name: Inside, record: always, when: {direction: internal}, tags: [inside]}
  - {id: 2, name: Outbound, record: always, when: {direction: outbound}, keep: 30d}
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def refusal(self) -> tuple[int, str]:
        """As the clients' CallLogdError reads it."""
        body = self.json()
        assert isinstance(body["message"], str)
        assert isinstance(body["details"], dict)
        assert isinstance(body["timestamp"], float)
        return self.status, body["error_id"]


@dataclass(frozen=True)
class Client:
    """One that http.client serves, as requests does: a connection for each request, header after header the same."""

    url: str
    token: str
    prefix: str = ""

    async def ask(
        self,
        method: str,
        path: str,
        *,
        accept: str = "application/json",
        params: Mapping[str, object] | None = None,
        body: object = None,
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        headers = {
            "Connection": "close",
            "X-Auth-Token": self.token,
            "Wazo-Tenant": TENANT,
            "User-agent": "recording_export.py",
            "Accept": accept,
            **(more or {}),
        }
        payload = None
        if body is not None:
            payload = json.dumps(body)
            headers |= {"Content-Length": str(len(payload)), "Content-Type": "application/json"}
        elif method != "GET":
            headers["Content-Length"] = "0"
        query = f"?{urlencode(params)}" if params else ""
        return await asyncio.to_thread(self._ask, method, f"{self.prefix}/1.0{path}{query}", payload, headers)

    def _ask(self, method: str, path: str, payload: str | None, headers: dict[str, str]) -> Answer:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    async def listed(self, path: str = "/cdr", **params: object) -> Any:
        answer = await self.ask("GET", path, params=params)
        assert answer.status == 200, answer.body
        return answer.json()


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    work = tmp_path / "bridge"
    extra = f"tenant_uuid: {TENANT}\n"
    async with Daemon(work, network.pbx_ami_port, network.spool, rules=rules, extra=extra) as running:
        yield running


async def two_calls(daemon: Daemon, network: Network) -> None:
    await talk(network, "alice", "102")
    await daemon.journal(2)
    await talk(network, "alice", "0301234567")
    entries = await daemon.journal(3)
    for record in {entry["recordId"] for entry in entries}:
        assert {section["state"] for section in await daemon.records(record)} == {"stored"}


async def test_calls_are_listed_searched_and_written_as_csv(daemon: Daemon, network: Network) -> None:
    await two_calls(daemon, network)
    for prefix in ("", "/api/call-logd"):
        admin = Client(daemon.url, daemon.token, prefix)
        body = await admin.listed()
        assert (body["total"], body["filtered"]) == (2, 2)
        outside, inside = body["items"]
        assert (inside["source_name"], inside["source_extension"]) == ("Alice", "101")
        assert (inside["destination_name"], inside["destination_extension"]) == ("Bob", "102")
        assert (inside["requested_name"], inside["requested_internal_extension"]) == ("Bob", "102")
        assert (inside["call_direction"], inside["call_status"], inside["answered"]) == ("internal", "answered", True)
        assert (inside["tenant_uuid"], inside["tags"]) == (TENANT, ["inside"])
        assert (outside["call_direction"], outside["requested_extension"]) == ("outbound", "0301234567")
        assert outside["destination_user_uuid"] is None

        async def found(client: Client = admin, **params: object) -> list[int]:
            return [item["id"] for item in (await client.listed("/cdr", **params))["items"]]

        assert await found(direction="asc", recorded=True, recurse=False) == [inside["id"], outside["id"]]
        assert await found(until=outside["start"]) == [inside["id"]]
        assert [one["id"] for one in (await admin.listed("/cdr", **{"from": outside["start"]}))["items"]] == [
            outside["id"]
        ]
        assert await found(search="bOB", tags="inside", number="_02") == [inside["id"]]
        assert await found(user_uuid=inside["destination_user_uuid"]) == [inside["id"]]
        assert await found(search=outside["recordings"][0]["filename"]) == [outside["id"]]
        assert await found(conversation_id=inside["conversation_id"]) == [inside["id"]]
        assert (await admin.ask("GET", "/cdr", params={"from": "12:345"})).refusal() == (400, "invalid-data")
        csv_answer = await admin.ask("GET", "/cdr", accept="text/csv; charset=utf-8", params={"direction": "asc"})
        assert csv_answer.headers["Content-Disposition"] == "attachment; filename=cdr.csv"
        first, second = csv.DictReader(io.StringIO(csv_answer.body.decode(), newline=""))
        assert (first["id"], first["tags"], first["answered"]) == (str(inside["id"]), "inside", "True")
        assert second["recording_1_uuid"] == outside["recordings"][0]["uuid"]

    bob = Client(daemon.url, await daemon.new_token("bob", "user"))
    assert (await bob.ask("GET", "/cdr")).refusal() == (401, "unauthorized")
    assert [item["id"] for item in (await bob.listed("/users/me/cdr"))["items"]] == [inside["id"]]
    assert (await bob.ask("GET", f"/cdr/{outside['id']}")).refusal() == (404, "cdr-not-found-with-given-id")
    assert (await bob.ask("HEAD", "")).status == 200
    assert (await bob.listed("/status"))["bus_consumer"] == {"status": "ok"}


async def test_recordings_are_fetched_and_deleted(daemon: Daemon, network: Network) -> None:
    await two_calls(daemon, network)
    admin = Client(daemon.url, daemon.token)
    outside, inside = (await admin.listed())["items"]
    (recording,) = inside["recordings"]
    path = f"/cdr/{inside['id']}/recordings/{recording['uuid']}/media"
    whole = await admin.ask("GET", path, accept="*/*")
    assert (whole.status, whole.headers["Content-Type"]) == (200, "audio/wav")
    assert whole.headers["Content-Disposition"] == f"attachment; filename={recording['filename']}"
    assert whole.body[:4] == b"RIFF"
    part = await admin.ask("GET", path, accept="*/*", more={"Range": "bytes=4-9"})
    assert (part.status, part.body) == (206, whole.body[4:10])
    beyond = await admin.ask("GET", path, accept="*/*", more={"Range": f"bytes={len(whole.body)}-"})
    assert beyond.refusal() == (416, "range-not-satisfiable")
    bob = Client(daemon.url, await daemon.new_token("bob", "user"))
    assert (await bob.ask("GET", f"/users/me{path}", accept="*/*")).body == whole.body
    assert (await bob.ask("DELETE", path)).refusal() == (401, "unauthorized")

    assert [(await admin.ask("DELETE", path)).status for _ in range(2)] == [204, 204]
    assert (await admin.ask("GET", path, accept="*/*")).refusal() == (400, "recording-media-not-found")
    assert [one["deleted"] for one in (await admin.listed(f"/cdr/{inside['id']}"))["recordings"]] == [True]
    many = "/cdr/recordings/media"
    missing = await admin.ask("DELETE", many, body={"cdr_ids": [outside["id"], 999]})
    assert missing.refusal() == (404, "cdr-not-found-with-given-id")
    # The rule's own `keep` is a duty.
    stays = await admin.ask("DELETE", many, body={"cdr_ids": [inside["id"], outside["id"]]})
    assert stays.refusal() == (409, "recording-must-be-kept")
    assert stays.json()["details"] == {"recording_uuids": [outside["recordings"][0]["uuid"]]}
    assert (await admin.ask("DELETE", many, body={"cdr_ids": None})).refusal() == (400, "invalid-data")


async def test_recordings_are_exported(daemon: Daemon, network: Network) -> None:
    await two_calls(daemon, network)
    admin = Client(daemon.url, daemon.token)
    calls = (await admin.listed())["items"]
    path = "/cdr/recordings/media/export"
    nothing = await admin.ask("POST", path, params={"call_direction": "inbound"}, body={})
    assert nothing.refusal() == (400, "no-recording-to-export")
    asked = await admin.ask("POST", path, params={"tenant_uuid": TENANT, "from": "2021-04-01T00:00:00"}, body={})
    assert asked.status == 202
    uuid = asked.json()["uuid"]
    assert asked.json() == {"uuid": uuid, "export_uuid": uuid}
    assert asked.headers["Location"] == f"/1.0/exports/{uuid}"

    async def finished() -> bool:
        export = await admin.listed(f"/exports/{uuid}")
        assert export["status"] in {"pending", "processing", "finished"}
        return bool(export["status"] == "finished")

    await until(finished)
    # The client sends this for a zip.
    answer = await admin.ask("GET", f"/exports/{uuid}/download", more={"Content-Type": "application/json"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    names = {
        f"{call['id']}/{one['filename']}": (call["id"], one["uuid"]) for call in calls for one in call["recordings"]
    }
    assert set(archive.namelist()) == {*names, "manifest.csv"}
    rows = {row["file_name"]: row for row in csv.DictReader(io.StringIO(archive.read("manifest.csv").decode()))}
    for name, (cdr_id, recording) in names.items():
        media = await admin.ask("GET", f"/cdr/{cdr_id}/recordings/{recording}/media", accept="*/*")
        assert archive.read(name) == media.body
        assert rows[name]["sha256"] == hashlib.sha256(media.body).hexdigest()
    link = f"/api/call-logd/1.0/exports/{uuid}/download?{urlencode({'token': daemon.token, 'tenant': TENANT})}"
    async with daemon.session.get(daemon.url + link) as response:
        assert await response.read() == answer.body
    assert daemon.token not in (daemon.work / "daemon.log").read_text()
    bob = Client(daemon.url, await daemon.new_token("bob", "user"))
    assert (await bob.ask("GET", f"/exports/{uuid}")).refusal() == (404, "export-not-found-with-given-uuid")
    assert (await bob.ask("POST", path, body={})).refusal() == (401, "unauthorized")
    assert (await admin.ask("DELETE", f"/exports/{uuid}")).status == 204
    gone = await admin.ask("GET", f"/exports/{uuid}/download")
    assert gone.refusal() == (404, "export-not-found-with-given-uuid")


async def test_how_long_things_are_kept_outlives_a_restart(daemon: Daemon) -> None:
    admin = Client(daemon.url, daemon.token)
    before = await admin.listed("/retention")
    assert (before["recording_days"], before["default_recording_days"], before["default_export_days"]) == (None, 365, 2)
    wrong = await admin.ask("PUT", "/retention", body={"cdr_days": 1, "recording_days": 2})
    assert wrong.refusal() == (400, "invalid-data")
    assert (await admin.ask("PUT", "/retention", body={"cdr_days": 20, "recording_days": 10})).status == 204
    await daemon.stop()
    await daemon.start()
    after = await admin.listed("/retention")
    assert (after["cdr_days"], after["recording_days"], after["export_days"]) == (20, 10, None)
