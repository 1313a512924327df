"""`recbridge doctor`, beside a real database, a real spool and a real server."""

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main
from bridge.core.live import NotReady
from bridge.core.records import SectionState
from bridge.storage.database import SqliteStore
from tests.cli.test_token_and_calls import config as config_of_calls
from tests.cli.test_token_and_calls import daemon
from tests.storage.kept import NOON
from tests.storage.mounted import can_mount, tmpfs
from tests.storage.spools import House

Capture = pytest.CaptureFixture[str]
__all__ = ["config_of_calls"]


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


async def examined(config: Path, capsys: Capture, *, code: int, running: bool = True) -> dict[str, Any]:
    arguments = ["doctor", "--config", str(config), "--json"]
    if running:
        async with daemon(config):
            assert await asyncio.to_thread(main, arguments) == code
    else:
        assert await asyncio.to_thread(main, arguments) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["ok"] is (code == 0)
    return found


def problems(found: dict[str, Any]) -> dict[str, list[str]]:
    return {one["check"]: one["problems"] for one in found["checks"] if not one["ok"]}


async def test_where_all_is_well_it_says_so_and_ends_with_0(config: Path, capsys: Capture) -> None:
    async with opened(config) as house:
        await house.section(1, parts=("_r.wav", "_t.wav", ".wav16"))
        await house.section(2, state=SectionState.RECORDING, report=None)
        house.file("quarantine/2026/03/02/whose.wav")
        (house.spool / "lost+found").mkdir()
    found = await examined(config, capsys, code=0)
    assert [one["check"] for one in found["checks"]] == ["daemon", "database", "spool", "files", "sections"]
    assert (found["unnamed"], found["missing"]) == ([], [])
    assert 0 < found["spool"]["freeBytes"] <= found["spool"]["totalBytes"]
    async with daemon(config):
        assert await asyncio.to_thread(main, ["doctor", "--config", str(config)]) == 0
    assert capsys.readouterr().out.endswith("all is well\n")


async def test_files_that_no_section_names_are_listed_with_age_and_size(config: Path, capsys: Capture) -> None:
    async with opened(config) as house:
        section = await house.section(1)
        nobodys = section.path.replace("_001.", "_002.")
        elsewhere = f"2020/01/01/{Path(section.path).name}"
        for path in (nobodys, elsewhere, "notes.txt", "2026/readme"):
            house.file(path)
            os.utime(house.spool / path, (0, 0))
        house.file("2026/evil\x1b[2J.wav")
    found = await examined(config, capsys, code=1)
    assert {one["path"] for one in found["unnamed"]} == {
        nobodys, elsewhere, "notes.txt", "2026/readme", "2026/evil\x1b[2J.wav",
    }  # fmt: skip
    assert all(one["sizeBytes"] == 100 for one in found["unnamed"])
    assert min(one["ageSeconds"] for one in found["unnamed"] if "evil" not in one["path"]) > 10**9
    assert list(problems(found)) == ["files"]
    async with daemon(config):
        assert await asyncio.to_thread(main, ["doctor", "--config", str(config)]) == 1
    out = capsys.readouterr().out
    assert "5 files in the spool that no section names" in out
    assert f"    {nobodys}  100 bytes  " in out
    assert "\x1b" not in out


async def test_a_stored_section_without_its_file_is_named_and_a_deleted_one_not(config: Path, capsys: Capture) -> None:
    async with opened(config) as house:
        gone, deleted = await house.section(1), await house.section(2, deleted_at=NOON + timedelta(days=1))
        for one in (gone, deleted):
            (house.spool / one.path).unlink()
    found = await examined(config, capsys, code=1)
    (missing,) = found["missing"]
    assert (missing["recordId"], missing["ruleId"], missing["file"]) == tuple(gone.key)
    assert list(problems(found)) == ["sections"]


async def test_a_daemon_that_does_not_answer_or_is_not_ready_is_said(config: Path, capsys: Capture) -> None:
    async with opened(config):
        pass
    found = await examined(config, capsys, code=1, running=False)
    assert list(problems(found)) == ["daemon"]
    async with daemon(config, not_ready=[NotReady("rules-refused", "look")]):
        assert await asyncio.to_thread(main, ["doctor", "--config", str(config), "--json"]) == 1
    assert problems(json.loads(capsys.readouterr().out)) == {
        "daemon": ["it is not ready: rules-refused: `recbridge calls` and the log say more"]
    }


async def test_what_the_daemon_warns_of_is_said_but_for_the_spool_that_is_looked_at_here(
    config: Path, capsys: Capture
) -> None:
    async with opened(config):
        pass
    warnings = [NotReady("mail-not-taken", "no mail"), NotReady("spool-low", "make room")]
    async with daemon(config, warnings=warnings):
        assert await asyncio.to_thread(main, ["doctor", "--config", str(config), "--json"]) == 1
    assert problems(json.loads(capsys.readouterr().out)) == {
        "daemon": ["it warns: mail-not-taken: /ready with an admin's token and the log say more"]
    }


async def test_a_damaged_database_is_named_and_a_missing_one_too(config: Path, capsys: Capture) -> None:
    found = await examined(config, capsys, code=1, running=False)
    assert list(problems(found)) == ["daemon", "database"], "said once, though nothing could be compared with it"
    assert {one["check"]: one["what"] for one in found["checks"]} | {"spool": ""} == {
        "daemon": None, "database": None, "spool": "", "files": "not looked at", "sections": "not looked at",
    }  # fmt: skip
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
    assert "database" in problems(found)


async def test_without_its_disk_no_file_is_called_missing(config: Path, capsys: Capture) -> None:
    async with opened(config) as house:
        await house.section(1)
    shutil.rmtree(config.parent / "spool")
    found = await examined(config, capsys, code=1, running=False)
    assert "spool" in problems(found)
    assert (found["missing"], found["unnamed"]) == ([], [])


@pytest.mark.skipif(not can_mount(), reason="only root may mount")
async def test_a_full_disk_is_said(config: Path, capsys: Capture) -> None:
    async with opened(config):
        pass
    with tmpfs(config.parent / "spool", 8 * 2**20):
        found = await examined(config, capsys, code=1)
    assert list(problems(found)) == ["spool"]
    assert "is full" in problems(found)["spool"][0]
