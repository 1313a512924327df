"""`recbridge export` against a real server that makes real zips; killed in the middle of it, too."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from bridge.api import audio
from bridge.api.app import Dependencies, create_app, runner
from bridge.cli.main import main
from bridge.core.ids import Identity
from bridge.core.records import Section
from bridge.core.store import AddCdr, PutExport
from bridge.feed.stream import Hub
from tests.api.house import Scripted
from tests.storage import kept
from tests.storage.spools import House, house
from tests.test_exporting import Desk

Capture = pytest.CaptureFixture[str]

ROOT = Path(__file__).parents[2]


class Place:
    """A daemon's API over a desk that makes exports, and commands that ask it."""

    def __init__(self, desk: Desk, folder: Path, capture: Capture) -> None:
        self._capture = capture
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.desk = desk
        self.file = folder / "out.zip"
        self.part, self.note = folder / "out.zip.part", folder / "out.zip.export"
        self.config = folder / "recbridge.yml"
        self.config.write_text(
            "asterisk: {username: bridge, secret: x}\n"
            f"database: {desk.here.database}\n"
            f'http: {{listen: "127.0.0.1:{self.port}"}}\n'
        )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        store = self.desk.here.store
        deps = Dependencies(
            store=store,
            audio_root=self.desk.here.spool,
            live=Silent(),
            control=Scripted(),
            supervised=lambda _: frozenset(),
            not_ready=tuple,
            hub=Hub(store),
            clock=lambda: datetime.now(UTC),
            exports=self.desk.exporter,
        )
        serving = runner(create_app(deps))
        await serving.setup()
        await web.TCPSite(serving, "127.0.0.1", self.port, reuse_address=True).start()
        try:
            with structlog.testing.capture_logs():
                yield
        finally:
            await serving.cleanup()

    async def start(self, *options: str) -> Process:
        command = [sys.executable, "-m", "bridge", "export", "--config", str(self.config), *options]
        # A shell has what it starts in the background ignore SIGINT, and that is inherited.
        heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE, preexec_fn=heeding)

    async def run(self, *options: str) -> tuple[int, str, str]:
        """In this process, which is faster."""
        self._capture.readouterr()
        command = ["export", "--config", str(self.config), *options]
        try:
            code = await asyncio.to_thread(main, command)
        except SystemExit as ended:
            code = int(str(ended.code))
        said = self._capture.readouterr()
        return code, said.out, said.err

    async def recordings(self, count: int = 3, size: int = 300_000) -> list[Section]:
        """A call with so many of them."""
        sections = []
        for _ in range(count):
            section = await self.desk.section(size)
            (self.desk.here.spool / section.path).write_bytes(os.urandom(size))
            sections.append(section)
        await self.desk.here.store.commit([AddCdr(kept.cdr())])
        return sections

    def zip_of(self, export_id: str) -> bytes:
        return (self.desk.folder / f"{export_id}.zip").read_bytes()

    async def ids(self) -> list[str]:
        return [one.id for one in await self.desk.here.store.exports()]


class Silent:
    def calls_now(self) -> tuple[()]:
        return ()


async def ended(process: Process) -> tuple[int, str, str]:
    async with asyncio.timeout(60):
        out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


async def until(process: Process, met: Callable[[], bool]) -> None:
    """What changes it is that process; where that ends, it says why."""
    async with asyncio.timeout(60):
        while not met():
            assert process.returncode is None, await ended(process)
            await asyncio.sleep(0.01)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "daemon").mkdir()
    async with house(tmp_path / "daemon") as found:
        yield found


@pytest.fixture
async def place(here: House, tmp_path: Path, capsys: Capture) -> AsyncIterator[Place]:
    (tmp_path / "mine").mkdir()
    place = Place(Desk(here), tmp_path / "mine", capsys)
    async with place.serving():
        yield place


async def test_the_recordings_of_all_calls_that_fit_are_had_as_one_zip(place: Place) -> None:
    await place.recordings()
    async with place.desk.running():
        code, out, errors = await place.run("--number", "822", "--to", str(place.file), "--json")
    assert code == 0, errors
    said = json.loads(out)
    assert (said["recordings"], said["status"], said["file"]) == (3, "finished", str(place.file))
    assert place.file.read_bytes() == place.zip_of(said["id"])
    assert errors == ""
    assert sorted(one.name for one in place.file.parent.iterdir()) == ["out.zip", "recbridge.yml"]


async def test_nobody_else_on_the_machine_may_read_it(place: Place) -> None:
    await place.recordings(1)
    async with place.desk.running():
        assert (await place.run("--number", "822", "--to", str(place.file)))[0] == 0
    assert stat.filemode(place.file.stat().st_mode) == "-rw-------"


async def test_without_a_terminal_there_are_plain_lines(place: Place) -> None:
    await place.recordings()
    async with place.desk.running():
        code, out, errors = await place.run("--cdr", "1", "--to", str(place.file))
    assert code == 0, errors
    assert out.startswith(f"{place.file}: 3 recordings, ")
    assert "\x1b" not in out + errors
    assert "\r" not in errors
    assert f"fetching: {place.file.stat().st_size} of {place.file.stat().st_size} bytes" in errors
    assert "checking: 3 of 3" in errors


async def test_killed_while_it_is_made_the_same_command_goes_on(place: Place) -> None:
    """Nothing makes exports at first: the daemon is busy."""
    await place.recordings()
    command = ("--until", "2100-01-01", "--since", "5000d", "--to", str(place.file))
    process = await place.start(*command)
    await until(process, place.note.exists)
    process.kill()
    assert (await ended(process))[0] == -signal.SIGKILL
    (export_id,) = await place.ids()
    async with place.desk.running():
        code, _, errors = await place.run(*command)
    assert code == 0, errors
    assert await place.ids() == [export_id]
    assert place.file.read_bytes() == place.zip_of(export_id)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("by_id", [False, True])
async def test_ended_in_the_middle_of_the_download_it_goes_on_from_there(
    place: Place, monkeypatch: pytest.MonkeyPatch, how: signal.Signals, by_id: bool
) -> None:
    await place.recordings(8)
    sent: list[range] = []
    whole = audio._send

    async def half(response: web.StreamResponse, file: audio.OpenFile, wanted: range) -> None:
        sent.append(wanted)
        if len(sent) == 1:
            middle = wanted.start + len(wanted) // 2
            await whole(response, file, range(wanted.start, middle))
            await asyncio.Event().wait()
        await whole(response, file, wanted)

    monkeypatch.setattr(audio, "_send", half)
    command = ("--cdr", "1", "--to", str(place.file))
    async with place.desk.running():
        process = await place.start(*command)
        await until(process, lambda: place.part.exists() and place.part.stat().st_size > 500_000)
        process.send_signal(how)
        code, _, errors = await ended(process)
        assert code == (130 if how is signal.SIGINT else -how)
        assert ("the same command goes on" in errors) is (how is signal.SIGINT)
        assert not place.file.exists()
        had = place.part.stat().st_size
        (export_id,) = await place.ids()
        again = ("--resume", export_id, "--to", str(place.file)) if by_id else command
        code, _, errors = await place.run(*again)
        assert code == 0, errors
    assert place.file.read_bytes() == place.zip_of(export_id)
    assert [one.start for one in sent] == [0, had]
    assert await place.ids() == [export_id]
    assert not place.part.exists()
    assert not place.note.exists()


async def test_a_connection_that_breaks_is_taken_up_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.recordings(8)
    sent: list[range] = []
    whole = audio._send

    async def broken(response: web.StreamResponse, file: audio.OpenFile, wanted: range) -> None:
        sent.append(wanted)
        if len(sent) <= 2:
            await whole(response, file, range(wanted.start, wanted.start + 300_000))
            raise ConnectionResetError
        await whole(response, file, wanted)

    monkeypatch.setattr(audio, "_send", broken)
    async with place.desk.running():
        code, _, errors = await place.run("--cdr", "1", "--to", str(place.file))
    assert code == 0, errors
    (export_id,) = await place.ids()
    assert place.file.read_bytes() == place.zip_of(export_id)
    assert len(sent) == 3


async def test_a_zip_that_was_damaged_on_its_way_is_not_taken(place: Place) -> None:
    await place.recordings()
    command = ("--cdr", "1", "--to", str(place.file))
    async with place.desk.running():
        assert (await place.run(*command))[0] == 0
        (export_id,) = await place.ids()
        good = place.zip_of(export_id)
        place.file.unlink()
        place.part.write_bytes(good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
        place.note.write_text(json.dumps({"id": export_id, "asked": {"cdrs": [1]}, "etag": None}))
        code, _, errors = await place.run(*command)
        assert code == 1
        assert "damaged" in errors
        assert not place.file.exists()
        assert (await place.run(*command))[0] == 0
    assert place.file.read_bytes() == good


async def test_what_is_missing_in_it_has_an_exit_code(place: Place) -> None:
    first, *_ = await place.recordings()
    (place.desk.here.spool / first.path).unlink()
    async with place.desk.running():
        code, out, errors = await place.run("--cdr", "1", "--to", str(place.file))
    assert (code, "1 recordings are missing" in errors) == (4, True)
    assert "2 recordings" in out


async def test_what_fails_or_is_deleted_begins_anew_the_next_time(place: Place) -> None:
    await place.recordings()
    command = ("--cdr", "1", "--to", str(place.file))
    process = await place.start(*command)
    await until(process, place.note.exists)
    (export_id,) = await place.ids()
    assert (await place.run("--cancel", export_id))[0] == 0
    code, _, errors = await ended(process)
    assert (code, "deleted: cancelled" in errors) == (1, True)
    async with place.desk.running():
        assert (await place.run(*command))[0] == 0
    assert len(await place.ids()) == 2


async def test_another_wish_does_not_go_on_with_what_was_begun(place: Place) -> None:
    await place.recordings()
    process = await place.start("--cdr", "1", "--to", str(place.file))
    await until(process, place.note.exists)
    code, _, errors = await place.run("--cdr", "1", "--to", str(place.file))
    assert (code, "another recbridge export" in errors) == (1, True)
    process.kill()
    await ended(process)
    code, _, errors = await place.run("--number", "822", "--to", str(place.file))
    assert (code, "--resume" in errors) == (1, True)


async def test_a_file_that_is_there_is_left_alone(place: Place) -> None:
    await place.recordings()
    place.file.write_bytes(b"mine")
    code, _, errors = await place.run("--cdr", "1", "--to", str(place.file))
    assert (code, "there already" in errors, place.file.read_bytes()) == (1, True, b"mine")
    assert await place.ids() == []
    assert not place.part.exists()


async def test_calls_without_recordings_and_wrong_filters_are_said(place: Place) -> None:
    await place.recordings()
    code, _, errors = await place.run("--number", "999", "--to", str(place.file))
    assert (code, "recording" in errors) == (1, True)
    code, _, errors = await place.run("--search", "x", "--to", str(place.file))
    assert (code, "search" in errors) == (1, True)
    assert sorted(one.name for one in place.file.parent.iterdir()) == ["recbridge.yml"]


async def test_a_daemon_that_is_away_is_an_exit_code_of_its_own(place: Place) -> None:
    place.config.write_text(place.config.read_text().replace(str(place.port), "1"))
    code, _, errors = await place.run("--cdr", "1", "--to", str(place.file))
    assert (code, "does it run?" in errors) == (3, True)


@pytest.mark.parametrize(
    "options", [(), ("--number", "822"), ("--list", "--cancel", "x"), ("--cdr", "1", "--number", "822", "--to", "x")]
)
async def test_what_makes_no_sense_is_the_command_lines_fault(place: Place, options: tuple[str, ...]) -> None:
    code, _, errors = await place.run(*options)
    assert (code, "usage:" in errors) == (2, True)


async def test_exports_are_listed(place: Place) -> None:
    await place.recordings()
    assert (await place.run("--list"))[1:] == ("", "no exports\n")
    export = await place.desk.ask(await place.desk.call(7))
    await place.desk.here.store.commit([PutExport(replace(export, owner=Identity("eve")))])
    code, out, _ = await place.run("--list")
    assert code == 0
    assert export.id in out
    assert "pending" in out
    code, out, _ = await place.run("--list", "--json")
    assert [one["owner"] for one in json.loads(out)["items"]] == ["eve"]
