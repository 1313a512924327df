"""The daemon's exports over HTTP: one that is killed in the middle, one with missing files, and the mail's link."""

import asyncio
import csv
import hashlib
import io
import os
import re
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.core.ids import CallId, RecordId
from bridge.core.records import AudioReport, SectionState
from bridge.core.store import AddCdr, PutSection
from bridge.storage.database import SqliteStore
from tests.demo.daemon import Daemon
from tests.mail_server import MailServer
from tests.simulator.server import Simulator
from tests.storage import kept

CALLS = 300
MEDIA = "/api/call-logd/1.0/cdr/recordings/media"
EXPORTS = "/api/call-logd/1.0/exports"


class Place:
    """A daemon beside a simulated Asterisk that has found finished calls in its database. `sums` are the files'."""

    def __init__(self, daemon: Daemon, mail: MailServer) -> None:
        self.daemon = daemon
        self.mail = mail
        self.sums: dict[str, str] = {}

    async def fill(self) -> None:
        self.daemon.work.mkdir(parents=True, exist_ok=True)
        store = await SqliteStore.open(self.daemon.work / "recbridge.db", "pbx1")
        changes: list[Any] = []
        for number in range(1, CALLS + 1):
            record = RecordId(f"1795223{number:03}-1_0")
            path = f"2026/08/01/{record}_1_001.wav"
            content = b"RIFF" + os.urandom(3000 + number)
            (self.daemon.spool / path).parent.mkdir(parents=True, exist_ok=True)
            (self.daemon.spool / path).write_bytes(content)
            self.sums[path] = hashlib.sha256(content).hexdigest()
            at = kept.NOON + timedelta(minutes=number)
            section = replace(
                kept.section(),
                record_id=record,
                call_id=CallId(f"1795223{number:03}.1"),
                path=path,
                state=SectionState.STORED,
                requested_at=at,
                started_at=at,
                ended_at=at + timedelta(seconds=1),
                report=AudioReport(1.0, len(content), 8000, 1, (0.5,), (0.1,), b"", self.sums[path]),
            )
            cdr = replace(
                kept.cdr(f"1795223{number:03}.1", (record,)),
                started_at=at,
                answered_at=at,
                ended_at=at + timedelta(seconds=2),
                source_number=f"+49731{number:04}",
            )
            changes += [PutSection(section), AddCdr(cdr)]
        await store.commit(changes)
        await store.close()

    async def ask(self, **body: Any) -> str:
        url = f"{self.daemon.url}{MEDIA}/export"
        async with self.daemon.session.post(url, json=body, headers=self.auth()) as answer:
            assert answer.status == 202, await answer.text()
            export_id: str = (await answer.json())["uuid"]
            return export_id

    def auth(self) -> Mapping[str, str]:
        return {"X-Auth-Token": self.daemon.token}

    async def export(self, export_id: str) -> dict[str, Any]:
        _, body = await self.daemon.get(f"{EXPORTS}/{export_id}")
        found: dict[str, Any] = body
        return found

    async def until_is(self, export_id: str, status: str) -> dict[str, Any]:
        async def met() -> bool:
            return bool((await self.export(export_id))["status"] == status)

        await until(met)
        return await self.export(export_id)

    async def fetch(self, url: str) -> tuple[dict[str, bytes], list[dict[str, str]]]:
        async with self.daemon.session.get(url, headers=self.auth()) as answer:
            assert (answer.status, answer.content_type) == (200, "application/zip")
            content = await answer.read()
        with zipfile.ZipFile(io.BytesIO(content)) as made:
            contents = {name: made.read(name) for name in made.namelist()}
        manifest = contents.pop("manifest.csv").decode()
        return contents, list(csv.DictReader(io.StringIO(manifest)))

    @property
    def folder(self) -> Path:
        return self.daemon.work / "exports"


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await met():  # noqa: ASYNC110  # what changes it is another process
            await asyncio.sleep(0.05)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    spool = tmp_path / "spool"
    async with Simulator(spool) as asterisk, MailServer() as mail:
        daemon = Daemon(
            tmp_path / "bridge",
            asterisk.port,
            spool,
            extra=f"mail: {{host: localhost, port: {mail.port}, sender: recbridge@example.org}}\n"
            "retention: {keep: 36500d}\n",
        )
        made = Place(daemon, mail)
        await made.fill()
        async with daemon:
            yield made


async def test_a_daemon_that_is_killed_in_the_middle_of_an_export_finishes_it(place: Place, tmp_path: Path) -> None:
    daemon, held = place.daemon, tmp_path / "held"
    await daemon.stop()
    daemon.module, daemon.environment = "tests.whole.held_exports", {"HELD": str(held), "HOLD_AT": "150"}
    await daemon.start()
    export_id, waits = await place.ask(number="_"), await place.ask(cdr_ids=[1, 2])

    async def is_held() -> bool:
        return held.exists()

    await until(is_held)
    assert [(await place.export(one))["status"] for one in (export_id, waits)] == ["processing", "pending"]
    assert [one.name for one in place.folder.iterdir()] == [f"{export_id}.part"]
    await daemon.kill()
    daemon.module, daemon.environment = "bridge", {}
    await daemon.start()

    told = await place.until_is(export_id, "finished")
    assert (told["recordings"], told["done"], told["missing"], told["progress"]) == (CALLS, CALLS, 0, 1.0)
    contents, rows = await place.fetch(f"{daemon.url}{EXPORTS}/{export_id}/download")
    assert {row["status"] for row in rows} == {"ok"}
    assert sorted(row["sha256"] for row in rows) == sorted(place.sums.values())
    assert [hashlib.sha256(contents[row["file_name"]]).hexdigest() for row in rows] == [row["sha256"] for row in rows]
    await place.until_is(waits, "finished")
    assert sorted(one.name for one in place.folder.iterdir()) == sorted(f"{one}.zip" for one in (export_id, waits))


async def test_missing_files_are_in_the_manifest_and_the_mails_link_works(place: Place) -> None:
    gone = sorted(place.sums)[3:5]
    for path in gone:
        (place.daemon.spool / path).unlink()
    export_id = await place.ask(cdr_ids=list(range(1, 11)), email="eve@example.org")
    mail = await place.mail.next_mail()
    assert (mail["To"], mail["Subject"]) == ("eve@example.org", "Your export of recordings is ready")
    (link,) = re.findall(r"^http\S+$", mail.get_content().replace("\r\n", "\n"), re.MULTILINE)
    assert link == f"{place.daemon.url}{EXPORTS}/{export_id}/download"
    contents, rows = await place.fetch(link)
    assert (len(contents), len(rows)) == (8, 10)
    assert {row["stored_sha256"] for row in rows if row["status"] == "missing"} == {place.sums[path] for path in gone}
    assert (await place.export(export_id))["missing"] == 2


async def test_a_person_that_a_command_erases_is_in_no_export_any_more(place: Place) -> None:
    holding, other = await place.ask(cdr_ids=[5, 6]), await place.ask(cdr_ids=[6])
    for one in (holding, other):
        await place.until_is(one, "finished")
    code, _, err = await place.daemon.command("erase", "--number", "+497310005", "--why", "asked", "--yes", "--force")
    assert code == 0, err
    told = await place.export(holding)
    assert (told["status"], told["reason"]) == ("deleted", "recording-deleted")
    assert [one.name for one in place.folder.iterdir()] == [f"{other}.zip"]
    status, _ = await place.daemon.get(f"{EXPORTS}/{holding}/download")
    assert status == 404


async def test_it_is_cancelled_over_http(place: Place) -> None:
    export_id = await place.ask(cdr_ids=[1])
    url = f"{place.daemon.url}{EXPORTS}/{export_id}"
    async with place.daemon.session.delete(url, headers=place.auth()) as answer:
        assert answer.status == 204
    assert (await place.export(export_id))["reason"] == "cancelled"
    assert not list(place.folder.glob("*.zip"))
