"""Exports from being asked for to their end, on a real database and a real spool."""

import asyncio
import contextlib
import csv
import errno
import hashlib
import io
import os
import stat
import threading
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from bridge.config import MailConfig
from bridge.core.access import Reader, Role, Scope
from bridge.core.cdrs import CdrFilter, CdrNumber, CdrQuery, KeptCdr, recording_name
from bridge.core.erasure import Person
from bridge.core.errors import ExportGoneError, TooManyExportsError
from bridge.core.exports import Export, ExportStatus
from bridge.core.ids import Identity
from bridge.core.records import AudioReport, FactKind, Section
from bridge.core.retention import Hold, Target
from bridge.core.settings import Settings
from bridge.core.space import LowSpace
from bridge.core.store import AddCdr, PutExport, PutHold, PutSection
from bridge.exporting import Exporter, Terms
from bridge.mail import Mailer
from bridge.storage import export_parts, export_zip, mails
from bridge.storage.call_details import SqliteCallBook
from bridge.storage.retention import deletion
from bridge.storage.spool import Spool
from bridge.storage.zips import ZipWriter
from tests.storage import kept
from tests.storage.mounted import can_mount, tmpfs
from tests.storage.spools import DAY, House, house

EVE = Reader(Identity("eve"), Role.USER, frozenset({Scope.EXPORT}))
ADMIN = Reader(Identity("admin"), Role.ADMIN, frozenset({Scope.EXPORT}))
_ANY_ROOM = LowSpace(share=0.0)
LINK = "/exports?id={}"
MAIL = MailConfig(host="localhost", sender="recbridge@example.org")


class Desk:
    """A house with an exporter, and calls whose recordings are there. `running` makes exports."""

    def __init__(self, here: House, room: LowSpace = _ANY_ROOM, mail: MailConfig | None = None) -> None:
        self.here = here
        self.settings = Settings()
        self.mailer = Mailer(here.store, mail, "pbx1", lambda: here.now)
        self.exporter = Exporter(
            here.store,
            here.database,
            Spool(here.spool, "/spool"),
            Terms("pbx1", timedelta(days=2), room, "https://pbx.example.org"),
            mailer=self.mailer,
            settings=lambda: self.settings,
            clock=lambda: here.now,
            look_every_s=0.01,
        )
        self.files = 0

    @property
    def folder(self) -> Path:
        return self.here.folder / "exports"

    def zips(self) -> list[str]:
        return sorted(one.name for one in self.folder.iterdir()) if self.folder.exists() else []

    async def call(self, number: int, sections: int = 1, size: int = 500, **values: Any) -> KeptCdr:
        return KeptCdr(
            CdrNumber(number), kept.cdr(), tuple([await self.section(size, **values) for _ in range(sections)])
        )

    async def section(self, size: int = 500, **values: Any) -> Section:
        self.files += 1
        content = bytes([self.files % 256]) * size
        report = AudioReport(1.0, size, 8000, 1, (0.5,), (0.1,), b"peaks", hashlib.sha256(content).hexdigest())
        section = await self.here.section(self.files, report=report, **values)
        (self.here.spool / section.path).write_bytes(content)
        return section

    async def ask(self, *calls: KeptCdr, reader: Reader = EVE, email: str = "") -> Export:
        wanted = [(call.number, one.key) for call in calls for one in call.sections if one.report is not None]
        return await self.exporter.ask(wanted, reader, email, LINK)

    async def now(self, export: Export) -> Export:
        found = await self.here.store.export(export.id)
        assert found is not None
        return found

    async def until(self, met: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(60):
            while not await met():  # noqa: ASYNC110  # what changes it is a database
                await asyncio.sleep(0.01)

    async def until_is(self, export: Export, *statuses: str) -> Export:
        async def met() -> bool:
            return (await self.now(export)).status in statuses

        await self.until(met)
        return await self.now(export)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.exporter.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def made(self, *calls: KeptCdr, email: str = "") -> Export:
        async with self.running():
            return await self.until_is(await self.ask(*calls, email=email), "finished", "error")

    def read(self, export: Export) -> tuple[dict[str, bytes], list[dict[str, str]]]:
        with zipfile.ZipFile(self.folder / f"{export.id}.zip") as made:
            contents = {name: made.read(name) for name in made.namelist()}
        manifest = contents.pop("manifest.csv").decode()
        return contents, list(csv.DictReader(io.StringIO(manifest)))

    async def facts(self, kind: FactKind) -> list[dict[str, Any]]:
        return [dict(one.data) for one in await self.here.facts(kind)]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


@pytest.fixture
def desk(here: House) -> Desk:
    return Desk(here)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> "Gate":
    return Gate(monkeypatch)


class Gate:
    """Holds the making of a zip when so many files were copied, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 1
        self._open, self._reached, self._copied = threading.Event(), threading.Event(), 0
        real = ZipWriter.copy

        def copy(writer: ZipWriter, *given: Any) -> Any:
            copied = real(writer, *given)
            self._copied += 1
            if self._copied == self.at:
                self._reached.set()
                self._open.wait(60)
            return copied

        monkeypatch.setattr(ZipWriter, "copy", copy)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, 60)

    def open(self) -> None:
        self._open.set()


def summary(export: Export) -> tuple[ExportStatus, str | None]:
    return export.status, export.reason


def statuses(rows: Sequence[dict[str, str]]) -> list[str]:
    return [row["status"] for row in rows]


async def test_what_is_asked_for_is_made(desk: Desk) -> None:
    calls = [await desk.call(7, 2), await desk.call(8, 1, owner=Identity("bob"), tags=("vip",))]
    export = await desk.ask(*calls)
    assert (export.status, export.owner, export.calls, export.recordings) == ("pending", "eve", 2, 3)
    async with desk.running():
        export = await desk.until_is(export, "finished")
    assert (export.done, export.missing, export.expires_at) == (3, 0, desk.here.now + timedelta(days=2))
    path = desk.exporter.file(export)
    assert (path.stat().st_size, stat.S_IMODE(path.stat().st_mode)) == (export.size_bytes, 0o600)
    assert stat.S_IMODE(desk.folder.stat().st_mode) == 0o700
    contents, rows = desk.read(export)
    assert list(contents) == [
        f"{call.number}/{recording_name(call.number, section)}" for call in calls for section in call.sections
    ]
    assert [(row["file_name"], row["status"]) for row in rows] == [(name, "ok") for name in contents]
    assert [hashlib.sha256(contents[row["file_name"]]).hexdigest() for row in rows] == [row["sha256"] for row in rows]
    assert (rows[2]["identity"], rows[2]["tags"]) == ("bob", "vip")
    assert desk.zips() == [path.name]
    (asked,) = await desk.here.facts(FactKind.EXPORT_ASKED)
    assert (asked.data, asked.personal) == (
        {"export": export.id, "calls": 2, "recordings": 3},
        {"identity": "eve"},
    )
    (ended,) = await desk.facts(FactKind.EXPORT_ENDED)
    assert ended == {
        "export": export.id, "status": "finished", "reason": None, "recordings": 3, "missing": 0, "mail": "none",
    }  # fmt: skip


async def test_what_is_missing_changed_or_deleted_is_in_the_manifest_and_fails_nothing(desk: Desk) -> None:
    call = await desk.call(7, 5)
    missing, changed, deleted, linked, _ = call.sections
    (desk.here.spool / missing.path).unlink()
    (desk.here.spool / changed.path).write_bytes(b"other")
    (desk.here.spool / linked.path).unlink()
    (desk.here.spool / linked.path).symlink_to("/etc/passwd")
    export = await desk.ask(call)
    await desk.here.retention.delete([deleted.key], desk.here.order(timedelta(0)))
    async with desk.running():
        export = await desk.until_is(export, "finished")
    contents, rows = desk.read(export)
    assert statuses(rows) == ["missing", "changed", "deleted", "missing", "ok"]
    assert (len(contents), export.missing, export.done) == (2, 2, 5)
    assert rows[1]["sha256"] == hashlib.sha256(b"other").hexdigest()
    assert changed.report is not None
    assert rows[1]["stored_sha256"] == changed.report.sha256


async def test_one_is_made_after_the_other_in_their_order(desk: Desk) -> None:
    exports = []
    for number in range(3):
        desk.here.now += timedelta(seconds=1)
        exports.append(await desk.ask(await desk.call(number + 1)))
    async with desk.running():
        for export in exports:
            await desk.until_is(export, "finished")
    ended = [one["export"] for one in await desk.facts(FactKind.EXPORT_ENDED)]
    assert ended == [one.id for one in exports]


async def test_there_are_not_more_than_so_many(desk: Desk) -> None:
    call = await desk.call(1)
    for _ in range(10):
        await desk.ask(call)
    with pytest.raises(TooManyExportsError):
        await desk.ask(call)
    readers = [replace(EVE, identity=Identity(f"u{number}")) for number in range(5)]
    for number in range(40):
        await desk.ask(call, reader=readers[number % 5])
    with pytest.raises(TooManyExportsError):
        await desk.ask(call, reader=readers[0])


async def test_how_far_it_is_is_kept_now_and_then(desk: Desk, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.export_making._PROGRESS_EVERY_S", 0)
    monkeypatch.setattr("bridge.export_making._PAGE", 2)
    gate.at = 5
    async with desk.running():
        export = await desk.ask(await desk.call(1, 6))
        await gate.reached()
        found = await desk.now(export)
        assert (found.status, found.done) == ("processing", 4)
        gate.open()
        await desk.until_is(export, "finished")


async def test_a_restart_goes_on_with_all_that_was_under_way(desk: Desk, gate: Gate) -> None:
    begun, waits = await desk.ask(await desk.call(1, 3)), await desk.ask(await desk.call(2))
    gate.at = 2
    async with desk.running():
        await gate.reached()
        gate.open()
        # It is cancelled in the middle.
    assert (await desk.now(waits)).status in ("pending", "finished")
    await desk.here.store.commit([PutExport(replace(await desk.now(begun), status=ExportStatus.PROCESSING, done=2))])
    (desk.folder / f"{begun.id}.part").write_bytes(b"half of it")
    (desk.folder / f"{begun.id}.zip").write_bytes(b"not known as finished")
    (desk.folder / "0000.zip").write_bytes(b"of nobody")
    again = Desk(desk.here)
    async with again.running():
        for export in (begun, waits):
            await again.until_is(export, "finished")
    assert again.zips() == sorted(f"{one.id}.zip" for one in (begun, waits))
    assert statuses(again.read(begun)[1]) == ["ok"] * 3


async def test_what_is_stopped_in_the_middle_leaves_nothing_half(desk: Desk, gate: Gate) -> None:
    export = await desk.ask(await desk.call(1, 3))
    async with desk.running():
        await gate.reached()
        gate.open()
    assert desk.zips() in ([], [f"{export.id}.zip"])


@pytest.mark.parametrize("when", ["pending", "processing", "finished"])
async def test_it_is_cancelled_at_any_moment(desk: Desk, gate: Gate, when: str) -> None:
    call = await desk.call(1, 3)
    export = await desk.ask(call)
    if when == "pending":
        gate.open()
        await desk.exporter.cancel(export, ADMIN)
    async with desk.running():
        if when == "processing":
            await gate.reached()
            await desk.exporter.cancel(export, ADMIN)
        gate.open()
        if when == "finished":
            await desk.until_is(export, "finished")
            await desk.exporter.cancel(export, ADMIN)
        await desk.exporter.cancel(export, ADMIN)
        other = await desk.until_is(await desk.ask(call), "finished")
    assert summary(await desk.now(export)) == ("deleted", "cancelled")
    assert desk.zips() == [f"{other.id}.zip"]
    ended = [one for one in await desk.here.facts(FactKind.EXPORT_ENDED) if one.data["export"] == export.id]
    assert [(one.data["status"], dict(one.personal)) for one in ended][-1] == ("deleted", {"identity": "admin"})
    assert len(ended) == (2 if when == "finished" else 1)


async def test_it_expires(desk: Desk) -> None:
    export = await desk.made(await desk.call(1))
    desk.here.now += timedelta(days=2)
    async with desk.running():
        export = await desk.until_is(export, "deleted")
    assert (summary(export), desk.zips()) == (("deleted", "expired"), [])


async def test_an_admin_sets_how_long_it_is_kept(desk: Desk) -> None:
    desk.settings = Settings(export_days=9)
    export = await desk.made(await desk.call(1))
    assert export.expires_at == desk.here.now + timedelta(days=9)


async def test_what_is_long_over_is_forgotten(desk: Desk) -> None:
    export = await desk.made(await desk.call(1))
    desk.here.now += timedelta(days=31)

    async def forgotten() -> bool:
        return await desk.here.store.export(export.id) is None

    async with desk.running():
        await desk.until(forgotten)


async def test_a_download_is_a_fact(desk: Desk) -> None:
    export = await desk.made(await desk.call(1))
    assert await desk.exporter.download(export, EVE) == desk.exporter.file(export)
    (fact,) = await desk.here.facts(FactKind.EXPORT_DOWNLOADED)
    assert (fact.data, fact.personal) == ({"export": export.id, "recordings": 1}, {"identity": "eve"})


async def test_parts_that_are_fetched_side_by_side_are_one_fact(desk: Desk) -> None:
    export = await desk.made(await desk.call(1))
    await asyncio.gather(*(desk.exporter.download(export, EVE) for _ in range(5)))
    assert len(await desk.here.facts(FactKind.EXPORT_DOWNLOADED)) == 1


async def test_who_fetched_an_export_is_known_of_each_call_in_it_when_the_export_is_long_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_parts, "_ROWS_AT_ONCE", 2)
    here = desk.here
    sections = [await desk.section(owner=Identity("alice")) for _ in range(3)]
    await here.store.commit([AddCdr(kept.cdr())])
    (number,) = (await here.store.cdr_numbers(CdrQuery(CdrFilter()))).numbers
    call = await here.store.cdr(number)
    assert call is not None
    assert [one.key for one in call.sections] == [one.key for one in sections]

    async def gone(export: Export) -> bool:
        return await here.store.export(export.id) is None

    export = await desk.made(replace(call, sections=tuple(sections[:2])))
    await desk.exporter.download(export, EVE)
    here.now += 30 * DAY
    async with desk.running():
        await desk.until(lambda: gone(export))
    listened = (await SqliteCallBook(here.store, "pbx1", lambda: here.now).details(call)).listened
    assert [(one.kind, one.file, one.personal["identity"], one.audience) for one in listened] == [
        (FactKind.EXPORT_DOWNLOADED, section.file, EVE.identity, (Identity("alice"),)) for section in sections[:2]
    ]


async def test_a_download_in_many_pieces_is_one_fact_and_after_ten_minutes_it_is_another(desk: Desk) -> None:
    export = await desk.made(await desk.call(1))
    for _ in range(3):
        await desk.exporter.download(export, EVE)
    assert len(await desk.here.facts(FactKind.EXPORT_DOWNLOADED)) == 1
    desk.here.now += timedelta(minutes=11)
    await desk.exporter.download(export, EVE)
    assert len(await desk.here.facts(FactKind.EXPORT_DOWNLOADED)) == 2


@pytest.mark.parametrize("why", ["expired", "recording-deleted", "file-missing"])
async def test_nothing_is_downloaded_that_has_to_go(desk: Desk, why: str) -> None:
    """Before the daemon's own look has come."""
    call = await desk.call(1, 2)
    export = await desk.made(call)
    if why == "expired":
        desk.here.now += timedelta(days=2)
    elif why == "file-missing":
        desk.exporter.file(export).unlink()
    else:
        section = replace(call.sections[1], deleted_at=desk.here.now)
        await desk.here.store.commit([PutSection(section)])
    for _ in range(2):
        with pytest.raises(ExportGoneError):
            await desk.exporter.download(export, EVE)
    assert (summary(await desk.now(export)), desk.zips()) == (("deleted", why), [])
    assert await desk.here.facts(FactKind.EXPORT_DOWNLOADED) == []


async def test_what_is_not_finished_is_not_downloaded(desk: Desk) -> None:
    export = await desk.ask(await desk.call(1))
    with pytest.raises(ExportGoneError):
        await desk.exporter.download(export, EVE)
    assert (await desk.now(export)).status == "pending"


# What is deleted meanwhile


async def test_a_zip_goes_with_a_recording_that_retention_deletes_even_without_the_daemon(desk: Desk) -> None:
    calls = [await desk.call(1, 2), await desk.call(2)]
    holding, other = await desk.made(*calls), await desk.made(calls[0])
    free = await desk.made(calls[0])
    await desk.here.retention.delete([calls[1].sections[0].key], desk.here.order(timedelta(0)))
    assert summary(await desk.now(holding)) == ("deleted", "recording-deleted")
    assert [(await desk.now(one)).status for one in (other, free)] == ["finished", "finished"]
    assert desk.zips() == sorted(f"{one.id}.zip" for one in (other, free))


async def test_a_zip_goes_with_a_person_that_another_process_erases(desk: Desk) -> None:
    await desk.here.call(kept.cdr())
    export = await desk.made(await desk.call(1))
    async with house(desk.here.folder) as command:
        person = Person(number="+4973112345")
        _, calls = await command.erasing.plan(person)
        await command.erasing.work_off(await command.erasing.ask(person, calls, "admin", "asked for"))
    assert (summary(await desk.now(export)), desk.zips()) == (("deleted", "recording-deleted"), [])


@pytest.mark.parametrize("what", ["download", "start"])
async def test_nobodys_token_waits_for_a_look_through_a_large_export(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    export = await desk.made(await desk.call(1))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0 "
    monkeypatch.setattr(export_parts, "_THIS_HOLDS_DELETED", endless + "AND i IS NOT ?")
    monkeypatch.setattr(export_parts, "_HOLDS_DELETED", endless)
    looking = asyncio.create_task(desk.exporter.download(export, EVE) if what == "download" else desk.exporter.run())
    try:
        for _ in range(20):
            assert await desk.here.store.token("nobody") is None
        assert not looking.done()
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


async def test_a_download_that_runs_ends_with_what_is_deleted(desk: Desk) -> None:
    call = await desk.call(1)
    export = await desk.made(call)
    with desk.exporter.file(export).open("rb") as being_sent:
        await desk.here.retention.delete([call.sections[0].key], desk.here.order(timedelta(0)))
        assert being_sent.read() == b""


async def test_a_download_that_runs_comes_to_its_end_where_the_export_expires(desk: Desk) -> None:
    export = await desk.made(await desk.call(1))
    with desk.exporter.file(export).open("rb") as being_sent:
        desk.here.now += timedelta(days=2)
        async with desk.running():
            await desk.until_is(export, "deleted")
        assert len(being_sent.read()) == export.size_bytes


async def test_a_zip_stays_with_a_recording_that_a_hold_keeps(desk: Desk) -> None:
    await desk.here.call(kept.cdr())
    call = await desk.call(1)
    export = await desk.made(call)
    await desk.here.store.commit([PutHold(Hold("h1", Target(call_id=kept.CALL), "eve", "a case", kept.NOON))])
    await desk.here.retention.delete([call.sections[0].key], desk.here.order(timedelta(0)))
    assert (await desk.now(export)).status == "finished"


async def test_the_daemon_sees_to_it_where_the_other_process_was_killed_before(desk: Desk) -> None:
    call = await desk.call(1, 2)
    export = await desk.made(call)
    async with desk.running():
        other = await desk.until_is(await desk.ask(await desk.call(2)), "finished")
        await desk.here.store.commit(deletion(call.sections[1], desk.here.order(), desk.here.now))
        assert summary(await desk.until_is(export, "deleted")) == ("deleted", "recording-deleted")
        assert desk.zips() == [f"{other.id}.zip"]


async def test_two_that_end_the_same_export_tell_of_it_once(desk: Desk) -> None:
    call = await desk.call(1)
    for _ in range(5):
        await desk.made(call)
    await desk.here.store.commit([PutSection(replace(call.sections[0], deleted_at=desk.here.now))])
    async with house(desk.here.folder) as command:
        await asyncio.gather(
            *[one.retention.unlink(call.sections) for one in (desk.here, command)],
            *[desk.here.retention.unlink(call.sections) for _ in range(3)],
        )
    ended = [one["status"] for one in await desk.facts(FactKind.EXPORT_ENDED)]
    assert (ended.count("finished"), ended.count("deleted")) == (5, 5)


async def test_a_start_sees_to_what_was_deleted_before(desk: Desk) -> None:
    call = await desk.call(1)
    export = await desk.made(call)
    await desk.here.store.commit([PutSection(replace(call.sections[0], deleted_at=desk.here.now))])
    async with desk.running():
        assert summary(await desk.until_is(export, "deleted")) == ("deleted", "recording-deleted")


async def test_what_is_deleted_when_it_is_in_the_zip_already_begins_it_anew(desk: Desk, gate: Gate) -> None:
    call = await desk.call(1, 3)
    gate.at = 2
    async with desk.running():
        export = await desk.ask(call)
        await gate.reached()
        await desk.here.retention.delete([call.sections[0].key], desk.here.order(timedelta(0)))
        gate.open()
        export = await desk.until_is(export, "finished")
    contents, rows = desk.read(export)
    assert (statuses(rows), len(contents)) == (["deleted", "ok", "ok"], 2)
    assert rows[0]["identity"] == ""


async def test_a_zip_goes_with_a_person_whom_its_manifest_names_as_missing(desk: Desk) -> None:
    call = await desk.call(1, 2, owner=Identity("bob"))
    (desk.here.spool / call.sections[1].path).unlink()
    export = await desk.made(call)
    assert desk.read(export)[1][1]["identity"] == "bob"
    await desk.here.retention.delete([call.sections[1].key], desk.here.order(timedelta(0)))
    assert (summary(await desk.now(export)), desk.zips()) == (("deleted", "recording-deleted"), [])


async def test_a_half_zip_goes_soon_with_what_is_deleted(
    desk: Desk, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of a large export may take hours."""
    monkeypatch.setattr("bridge.export_making._PROGRESS_EVERY_S", 0)
    monkeypatch.setattr("bridge.export_making._PAGE", 1)
    call = await desk.call(1, 3)
    copied: list[str] = []
    real = ZipWriter.copy

    def copy(writer: ZipWriter, root: Path, relative: str, *given: Any) -> Any:
        copied.append(relative)
        return real(writer, root, relative, *given)

    monkeypatch.setattr(ZipWriter, "copy", copy)
    gate.at = 1
    async with desk.running():
        export = await desk.ask(call)
        await gate.reached()
        await desk.here.retention.delete([call.sections[0].key], desk.here.order(timedelta(0)))
        gate.open()
        await desk.until_is(export, "finished")
    first, second, third = (one.path for one in call.sections)
    assert copied == [first, second, third]


async def test_what_the_one_who_is_erased_asked_for_names_nobody(desk: Desk) -> None:
    export = await desk.ask(await desk.call(1), email="eve@example.org")
    person = await desk.here.erasing.known(Person(identity=EVE.identity))
    await desk.here.erasing.work_off(await desk.here.erasing.ask(person, [], "admin", "asked for"))
    found = await desk.now(export)
    assert (found.owner, found.email) == ("", "")
    (asked,) = await desk.here.facts(FactKind.EXPORT_ASKED)
    assert "eve" not in asked.personal.values()


async def erase_eve(here: House) -> None:
    person = await here.erasing.known(Person(identity=EVE.identity))
    await here.erasing.work_off(await here.erasing.ask(person, [], "admin", "asked for"))


async def test_mails_that_wait_go_with_the_one_who_is_erased(here: House) -> None:
    desk = Desk(here, mail=MAIL)
    call = await desk.call(1)
    await desk.made(call, email="eve@example.org")
    async with desk.running():
        other = await desk.ask(call, reader=ADMIN, email="eve@example.org")
        await desk.until_is(other, "finished")
    tried = await mails.due(here.store, here.now, 10)
    await erase_eve(here)
    (left,) = await mails.due(here.store, here.now, 10)
    assert other.url in left.text
    # The server was being asked meanwhile.
    for mail in tried:
        await here.store.commit([], rewrites=mails.putting_off(mail))
    assert len(await mails.due(here.store, here.now, 10)) == 1


async def test_an_erasure_and_an_exports_end_at_the_same_time_keep_both(
    here: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is another process: it reads before, and writes after, or the other way round."""
    desk = Desk(here, mail=MAIL)
    real, store = here.store.commit, here.store
    async with house(here.folder) as command:

        async def late(changes: Any, mark: Any = None, *, rewrites: Any = ()) -> Any:
            if any(isinstance(one, PutExport) and one.export.status == "finished" for one in changes):
                await erase_eve(command)
            return await real(changes, mark, rewrites=rewrites)

        monkeypatch.setattr(store, "commit", late)
        first = await desk.made(await desk.call(1), email="eve@example.org")
        monkeypatch.setattr(store, "commit", real)
        assert (first.status, first.owner, first.email) == ("finished", "", "")
        assert await mails.due(here.store, here.now, 10) == []

        second = await desk.ask(await desk.call(2))
        written = command.store.commit

        async def later(changes: Any, mark: Any = None, *, rewrites: Any = ()) -> Any:
            await desk.exporter.cancel(second, ADMIN)
            return await written(changes, mark, rewrites=rewrites)

        monkeypatch.setattr(command.store, "commit", later)
        await erase_eve(command)
    found = await desk.now(second)
    assert (summary(found), found.owner) == (("deleted", "cancelled"), "")


# Trouble


async def test_a_disk_without_room_is_said_before_anything_is_written(here: House) -> None:
    desk = Desk(here, room=LowSpace(size_bytes=2**60))
    with structlog.testing.capture_logs():
        export = await desk.made(await desk.call(1))
    assert (summary(export), desk.zips()) == (("error", "no-space"), [])
    (ended,) = await desk.facts(FactKind.EXPORT_ENDED)
    assert (ended["status"], ended["reason"]) == ("error", "no-space")
    assert await export_parts.parts(here.store, export.id, -1, 10) == []


async def test_a_disk_that_fills_up_meanwhile_is_left_as_it_was(desk: Desk) -> None:
    if not can_mount():
        pytest.skip("it mounts a small disk")
    call = await desk.call(1, 3, size=400_000)
    desk.folder.mkdir()
    with tmpfs(desk.folder, 2**20):
        (desk.folder / "ballast").write_bytes(bytes(100_000))
        # What is on the disk by its rows alone, so that there seems to be room before.
        for section in call.sections:
            report = replace(section.report, size_bytes=10) if section.report else None
            await desk.here.store.commit([PutSection(replace(section, report=report))])
        export = await desk.made(call)
        assert (summary(export), desk.zips()) == (("error", "no-space"), ["ballast"])


async def test_a_spool_that_is_away_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.exporting._AGAIN_S", 0.01)
    call = await desk.call(1, 2)
    away = desk.here.spool.rename(desk.here.folder / "away")
    with structlog.testing.capture_logs() as logs:
        async with desk.running():
            export = await desk.ask(call)

            async def put_off() -> bool:
                return any(one["event"] == "export-put-off" for one in logs)

            await desk.until(put_off)
            assert (await desk.now(export)).status == "pending"
            away.rename(desk.here.spool)
            export = await desk.until_is(export, "finished")
    assert statuses(desk.read(export)[1]) == ["ok", "ok"]


async def test_what_recordings_may_need_is_left_to_them_at_each_file(here: House) -> None:
    """Something else may fill the disk meanwhile, and 250 files may be a hundred gigabytes."""
    if not can_mount():
        pytest.skip("it mounts a small disk")
    desk = Desk(here, room=LowSpace(size_bytes=2**20))
    call = await desk.call(1, 4, size=2**20)
    desk.folder.mkdir()
    with tmpfs(desk.folder, 4 * 2**20):
        for section in call.sections:
            report = replace(section.report, size_bytes=10) if section.report else None
            await here.store.commit([PutSection(replace(section, report=report))])
        least = 4 * 2**20
        real = ZipWriter.copy

        def copy(writer: ZipWriter, *given: Any) -> Any:
            nonlocal least
            try:
                return real(writer, *given)
            finally:
                found = os.statvfs(desk.folder)
                least = min(least, found.f_bavail * found.f_frsize)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ZipWriter, "copy", copy)
            export = await desk.made(call)
    assert summary(export) == ("error", "no-space")
    assert least >= 2**20 - 300_000


@pytest.mark.parametrize("how", ["hangs", "is forbidden"])
async def test_a_spool_that_does_not_answer_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("bridge.exporting._AGAIN_S", 0.01)
    monkeypatch.setattr("bridge.export_making._STEP_S", 0.05)
    back = threading.Event()

    def unmounted(_: Spool) -> bool:
        if not back.is_set() and how == "is forbidden":
            raise PermissionError
        return not back.wait(60)

    call = await desk.call(1, 2)
    with structlog.testing.capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(Spool, "unmounted", unmounted)
        async with desk.running():
            export = await desk.ask(call)

            async def looked_twice() -> bool:
                return len([one for one in logs if one["event"] in {"export-put-off", "export-failed"}]) > 1

            await desk.until(looked_twice)
            assert {one["event"] for one in logs if one["log_level"] != "info"} == {"export-put-off"}
            back.set()
            patched.setattr("bridge.export_making._STEP_S", 60)
            export = await desk.until_is(export, "finished", "error")
    assert statuses(desk.read(export)[1]) == ["ok", "ok"]


async def test_a_mistake_of_our_own_ends_one_export_and_not_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    call = await desk.call(1)
    with monkeypatch.context() as patched, structlog.testing.capture_logs():
        patched.setattr(export_zip.ExportZip, "copy", fail)
        export = await desk.made(call)
    assert summary(export) == ("error", "fault")
    assert (await desk.made(call)).status == "finished"


async def test_a_zip_whose_last_step_fails_is_not_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr("bridge.storage.zips.sync_folder", fail)
    with structlog.testing.capture_logs():
        export = await desk.made(await desk.call(1))
    assert (summary(export), desk.zips()) == (("error", "disk-error"), [])


async def test_a_zip_that_is_given_up_while_the_disk_hangs_does_not_appear_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.storage.workers._CLOSE_WITHIN_S", 0.05)
    back, real = threading.Event(), os.fsync
    hung: list[threading.Thread] = []

    def hang(descriptor: int) -> None:
        if threading.current_thread().name == "exports":
            hung.append(threading.current_thread())
            monkeypatch.setattr("bridge.export_making._STEP_S", 60)
            assert back.wait(60)
        real(descriptor)

    monkeypatch.setattr("bridge.export_making._STEP_S", 1)
    monkeypatch.setattr("bridge.storage.zips.os.fsync", hang)
    with structlog.testing.capture_logs():
        export = await desk.made(await desk.call(1))
        back.set()
        await asyncio.to_thread(hung[0].join)
    assert (summary(export), desk.zips()) == (("error", "timeout"), [])


async def test_a_folder_that_cannot_be_read_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What exports are for must not end the daemon."""
    monkeypatch.setattr("bridge.exporting._AGAIN_S", 0.01)
    export = await desk.made(await desk.call(1))
    real, looked = Path.is_file, 0

    def is_file(path: Path) -> bool:
        nonlocal looked
        if path.suffix == ".zip":
            looked += 1
            if looked < 3:
                raise PermissionError(errno.EACCES, "denied")
        return real(path)

    with structlog.testing.capture_logs(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "is_file", is_file)
        async with desk.running():
            other = await desk.until_is(await desk.ask(await desk.call(2)), "finished")
    assert desk.zips() == sorted(f"{one.id}.zip" for one in (export, other))


async def test_an_export_of_nothing_is_a_manifest(desk: Desk) -> None:
    assert desk.read(await desk.made())[1] == []


# Mails


async def test_who_asked_is_mailed_the_link(here: House) -> None:
    desk = Desk(here, mail=MAIL)
    export = await desk.made(await desk.call(1), email="eve@example.org")
    (mail,) = await mails.due(here.store, here.now, 10)
    assert mail.to == "eve@example.org"
    link = f"https://pbx.example.org/exports?id={export.id}"
    assert (export.url, link in mail.text.splitlines()) == (link, True)
    assert [one["mail"] for one in await desk.facts(FactKind.EXPORT_ENDED)] == ["kept"]


async def test_who_asked_is_mailed_that_it_failed(here: House) -> None:
    desk = Desk(here, room=LowSpace(size_bytes=2**60), mail=MAIL)
    await desk.made(await desk.call(1), email="eve@example.org")
    (mail,) = await mails.due(here.store, here.now, 10)
    assert "failed" in mail.subject


@pytest.mark.parametrize("email", ["eve@example.org", "eve@example.org\nBcc: all@example.org"])
async def test_an_export_ends_as_usual_where_no_mail_can_be_sent(here: House, email: str) -> None:
    desk = Desk(here, mail=MAIL if "\n" in email else None)
    export = await desk.made(await desk.call(1), email=email)
    assert export.status == "finished"
    assert [one["mail"] for one in await desk.facts(FactKind.EXPORT_ENDED)] == ["not-sent"]
    assert (await mails.waiting(here.store))[0] == 0


# How much


async def test_parts_come_in_their_order_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.export_making._PAGE", 3)
    monkeypatch.setattr("bridge.storage.export_parts._ROWS_AT_ONCE", 2)
    export = await desk.made(await desk.call(1, 4), await desk.call(2, 4))
    assert [row["cdr_id"] for row in desk.read(export)[1]] == ["1"] * 4 + ["2"] * 4


async def test_a_finished_export_knows_what_its_zip_tells_of_alone(desk: Desk) -> None:
    call = await desk.call(1, 3)
    (desk.here.spool / call.sections[2].path).unlink()
    await desk.here.retention.delete([call.sections[1].key], desk.here.order(timedelta(0)))
    export = await desk.made(call)
    left = await export_parts.parts(desk.here.store, export.id, -1, 10)
    assert [part.key for part in left] == [call.sections[0].key, call.sections[2].key]


@pytest.mark.timeout(300)
async def test_memory_stays_flat_with_5000_recordings(desk: Desk) -> None:
    one = await desk.call(1)
    (plain,) = one.sections
    sections = [replace(plain, file=file, path=f"2026/08/01/{kept.RECORD}_1_{file:05}.wav") for file in range(10, 5010)]
    source = desk.here.spool / plain.path
    source.write_bytes(os.urandom(20_000))
    for section in sections:
        (desk.here.spool / section.path).hardlink_to(source)
    for first in range(0, 5000, 500):
        await desk.here.store.commit([PutSection(section) for section in sections[first : first + 500]])

    async def peak_bytes(count: int) -> int:
        export = await desk.ask(KeptCdr(CdrNumber(1), kept.cdr(), tuple(sections[:count])))
        async with desk.running():
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            export = await desk.until_is(export, "finished", "error")
            _, peak = tracemalloc.get_traced_memory()
        assert (export.status, export.done, export.missing) == ("finished", count, 0)
        return peak - before

    tracemalloc.start()
    try:
        few = max(await peak_bytes(200), await peak_bytes(200))
        assert await peak_bytes(5000) < few + 2**20
    finally:
        tracemalloc.stop()
