"""`recbridge doctor`, beside a real database, a real spool and a real server."""

import asyncio
import json
import os
import shutil
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import doctor
from bridge.cli.main import main
from bridge.core.live import NotReady
from bridge.core.records import SectionState
from bridge.doctor.checks import CODES
from bridge.doctor.findings import failed, ok, unknown
from bridge.storage.database import SqliteStore
from tests.cli.test_token_and_calls import config as config_of_calls
from tests.cli.test_token_and_calls import daemon, port_of
from tests.storage.kept import NOON
from tests.storage.mounted import can_mount, tmpfs
from tests.storage.spools import House

Capture = pytest.CaptureFixture[str]
__all__ = ["config_of_calls"]

ITS_OWN = ("daemon", "daemon-ready", "daemon-warnings", "database", "spool", "files", "sections", "disk")
"""What does not depend on the machine that the test runs on."""


@pytest.fixture
def config(config_of_calls: Path) -> Path:
    spool = config_of_calls.parent / "spool"
    spool.mkdir()
    config_of_calls.write_text(
        f"spool: {{asterisk: {spool}, local: {spool}, low_space: 0%}}\n" + config_of_calls.read_text()
    )
    return config_of_calls


@asynccontextmanager
async def opened(config: Path) -> AsyncIterator[House]:
    store = await SqliteStore.open(config.parent / "recbridge.db", "pbx1")
    try:
        yield House(config.parent, store)
    finally:
        await store.close()


def arguments(config: Path, *options: str) -> list[str]:
    return ["doctor", "--config", str(config), *(word for code in ITS_OWN for word in ("--only", code)), *options]


async def told(config: Path, capsys: Capture, *options: str, code: int, running: bool = True) -> str:
    if running:
        async with daemon(config):
            assert await asyncio.to_thread(main, arguments(config, *options)) == code
    else:
        assert await asyncio.to_thread(main, arguments(config, *options)) == code
    return capsys.readouterr().out


async def examined(config: Path, capsys: Capture, *, code: int, running: bool = True) -> dict[str, dict[str, Any]]:
    found = json.loads(await told(config, capsys, "--json", code=code, running=running))
    assert found["ok"] is (code == 0)
    assert {name for one in found["checks"] for name in one} == {"code", "state", "words", "remedy", "values"}
    return {one["code"]: one for one in found["checks"]}


def wrong(found: dict[str, dict[str, Any]]) -> list[str]:
    return [code for code, one in found.items() if one["state"] in ("failed", "warning")]


async def test_where_all_is_well_it_says_so_and_ends_with_0(config: Path, capsys: Capture) -> None:
    async with opened(config) as house:
        await house.section(1, parts=("_r.wav", "_t.wav", ".wav16"))
        await house.section(2, state=SectionState.RECORDING, report=None)
        house.file("quarantine/2026/03/02/whose.wav")
        (house.spool / "lost+found").mkdir()
    found = await examined(config, capsys, code=0)
    assert tuple(found) == tuple(sorted(ITS_OWN, key=list(CODES).index))
    assert {one["state"] for one in found.values()} == {"ok"}
    assert 0 < found["disk"]["values"]["freeBytes"] <= found["disk"]["values"]["totalBytes"]
    assert (await told(config, capsys, code=0)).endswith("all is well\n")
    assert await told(config, capsys, "--quiet", code=0) == ""
    assert await told(config, capsys, "--nagios", code=0) == "RECBRIDGE OK - all is well\n"


async def test_files_that_no_section_names_are_listed_and_a_foreign_name_names_nobody(
    config: Path, capsys: Capture
) -> None:
    async with opened(config) as house:
        section = await house.section(1)
        nobodys = section.path.replace("_001.", "_002.")
        elsewhere = f"2020/01/01/{Path(section.path).name}"
        for path in (nobodys, elsewhere, "notes of +4973112345.txt", "2026/readme"):
            house.file(path)
            os.utime(house.spool / path, (0, 0))
        house.file("2026/evil\x1b[2J.wav")
    found = await examined(config, capsys, code=1)
    files = found["files"]["values"]["files"]
    assert {one["path"] for one in files} == {nobodys, elsewhere, "*.txt", "2026/*", "2026/*.wav"}
    assert all(one["sizeBytes"] == 100 for one in files)
    assert min(one["ageS"] for one in files if not one["path"].endswith("/*.wav")) > 10**9
    assert wrong(found) == ["files"]
    out = await told(config, capsys, code=1)
    assert "5 files that no section names (500 bytes): 2 with names like ours, 3 others" in out
    assert "\x1b" not in out
    assert "4973112345" not in out


async def test_a_stored_section_without_its_file_is_named_and_a_deleted_one_not(config: Path, capsys: Capture) -> None:
    async with opened(config) as house:
        gone, deleted = await house.section(1), await house.section(2, deleted_at=NOON + timedelta(days=1))
        for one in (gone, deleted):
            (house.spool / one.path).unlink()
    found = await examined(config, capsys, code=1)
    (missing,) = found["sections"]["values"]["missing"]
    assert (missing["recordId"], missing["ruleId"], missing["file"]) == tuple(gone.key)
    assert wrong(found) == ["sections"]


async def test_a_daemon_that_does_not_answer_or_is_not_ready_is_said(config: Path, capsys: Capture) -> None:
    async with opened(config):
        pass
    found = await examined(config, capsys, code=1, running=False)
    assert wrong(found) == ["daemon"]
    assert "systemctl start recbridge" in found["daemon"]["remedy"]
    async with daemon(config, not_ready=[NotReady("rules-refused", "look")]):
        assert await asyncio.to_thread(main, arguments(config, "--json")) == 1
    found = {one["code"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert wrong(found) == ["daemon-ready"]
    assert found["daemon-ready"]["values"] == {"reasons": ["rules-refused"]}
    assert "recbridge check" in found["daemon-ready"]["remedy"]


async def test_what_the_daemon_warns_of_is_said_but_for_the_spool_that_is_looked_at_here(
    config: Path, capsys: Capture
) -> None:
    async with opened(config):
        pass
    warnings = [NotReady("mail-not-taken", "no mail"), NotReady("spool-low", "make room")]
    async with daemon(config, warnings=warnings):
        for options, code in (((), 1), (("--nagios",), 1)):
            assert await asyncio.to_thread(main, arguments(config, "--quiet", *options)) == code
    assert capsys.readouterr().out.splitlines() == [
        "warning  daemon-warnings  it warns: mail-not-taken",
        "         -> see the check `mails`",
        "1 warn: daemon-warnings",
        "RECBRIDGE WARNING - 1 warn: daemon-warnings",
    ]


async def test_a_damaged_database_is_named_and_a_missing_one_too(config: Path, capsys: Capture) -> None:
    found = await examined(config, capsys, code=1, running=False)
    assert wrong(found) == ["daemon", "database"], "said once, though nothing could be compared with it"
    assert {found["files"]["state"], found["sections"]["state"]} == {"unknown"}
    assert await told(config, capsys, "--nagios", code=2, running=False)
    async with opened(config) as house:
        await house.section(1)
    path = config.parent / "recbridge.db"
    with closing(sqlite3.connect(path)) as database:
        ((page,),) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sections_open'")
        ((size,),) = database.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((page - 1) * size + 1)
        file.write(bytes(20))
    found = await examined(config, capsys, code=1, running=False)
    assert "database" in wrong(found)


async def test_without_its_disk_no_file_is_called_missing(config: Path, capsys: Capture) -> None:
    async with opened(config) as house:
        await house.section(1)
    shutil.rmtree(config.parent / "spool")
    found = await examined(config, capsys, code=1, running=False)
    assert "spool" in wrong(found)
    assert {found["files"]["state"], found["sections"]["state"]} == {"unknown"}


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
async def test_a_full_disk_is_said(config: Path, capsys: Capture) -> None:
    async with opened(config):
        pass
    with tmpfs(config.parent / "spool", 8 * 2**20):
        found = await examined(config, capsys, code=1)
    assert wrong(found) == ["spool"]
    assert "is full" in found["spool"]["words"]


@pytest.fixture
def certified(config: Path) -> ssl.SSLContext:
    """The daemon has a certificate that ends in three days."""
    pem, key = config.parent / "cert.pem", config.parent / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-subj", "/CN=pbx", "-days", "3", "-out", str(pem), "-keyout", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    text = config.read_text().replace("http: {", f"http: {{tls: {{certificate: {pem}, key: {key}}}, ")
    config.write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


async def test_a_certificate_that_ends_soon_is_told(config: Path, certified: ssl.SSLContext, capsys: Capture) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port_of(config), ssl=certified)
    async with server:
        only = ["doctor", "--config", str(config), "--only", "certificate", "--json"]
        assert await asyncio.to_thread(main, only) == 1
    (found,) = json.loads(capsys.readouterr().out)["checks"]
    assert found["state"] == "warning"
    assert found["values"]["endsAt"] > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_who_may_not_look_is_told_what_it_could_not_see(config: Path) -> None:
    asyncio.run(_make(config))
    (config.parent / "closed").mkdir(mode=0o700)
    (config.parent / "recbridge.db").rename(config.parent / "closed" / "recbridge.db")
    config.write_text(config.read_text().replace("/recbridge.db", "/closed/recbridge.db"))
    for folder in (config.parent, *config.parent.parents[:2]):
        folder.chmod(0o755)
    codes = ("database", "backups", "holds")
    found = as_nobody("doctor", "--config", str(config), "--json", *(w for code in codes for w in ("--only", code)))
    checks = json.loads(found)["checks"]
    assert {(one["state"], one["remedy"]) for one in checks} == {("unknown", "run it as root or as recbridge")}
    config.chmod(0o600)
    assert "cannot be read: Permission denied" in as_nobody(
        "doctor", "--config", str(config), "--only", "configuration"
    )


async def _make(config: Path) -> None:
    async with opened(config):
        pass


def as_nobody(*words: str) -> str:
    program = (
        "import bridge.cli.main, concurrent.futures.thread, os, sys; os.setgroups([]); os.setgid(65534); "
        "os.setuid(65534); sys.exit(bridge.cli.main.main())"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout


def test_the_list_has_every_code_and_an_unknown_one_is_refused(capsys: Capture) -> None:
    assert main(["doctor", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CODES)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--only", "asterix"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit):
        main(["doctor", "--deadline", "nan"])


def test_colours_are_for_terminals_that_want_them() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    assert doctor._coloured(Terminal(), {})
    assert not doctor._coloured(Terminal(), {"NO_COLOR": "1"})
    assert not doctor._coloured(Terminal(), {"TERM": "dumb"})
    assert not doctor._coloured(StringIO(), {})
    assert not doctor._coloured(None, {})
    lines = doctor._lines([failed("spool", "bad\x1b[2J", "mend it")], coloured=True)
    assert lines == ["\x1b[1;31mfailed \x1b[0m  spool  bad?[2J", "         -> mend it"]


def test_what_could_not_be_looked_at_for_one_reason_is_one_line() -> None:
    found = [ok("daemon", "well"), unknown("holds", "no database"), unknown("mails", "no database")]
    assert doctor._lines(found, coloured=False)[1:] == ["unknown  holds   no database (also mails)"]
