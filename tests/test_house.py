"""The arrows between the parts, and who may import what."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("asterisk", "storage", "feed", "api")
IMPURE = {
    "asyncio",
    "os",
    "time",
    "socket",
    "pathlib",
    "subprocess",
    "threading",
    "random",
    "secrets",
    "aiohttp",
    "sqlite3",
}
IMPURE |= {"aiosqlite", "soundfile", "panoramisk", "structlog", "logging", "tempfile", "shutil"}
ONE_IMPORTER = {"panoramisk": "bridge/asterisk/", "soundfile": "bridge/storage/", "aiosqlite": "bridge/storage/"}
"""Libraries that may be imported below one folder only, and there (but for aiosqlite, which has types) by one file."""


def sources(folder: str = "bridge") -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


@pytest.mark.parametrize("path", sources("bridge/core"), ids=lambda path: path.name)
def test_core_does_no_io_and_knows_no_clock(path: Path) -> None:
    imported = set(imports(path))
    assert not {name.split(".")[0] for name in imported} & IMPURE
    assert not {name for name in imported if name.startswith("bridge.") and not name.startswith("bridge.core")}
    assert not re.search(r"\b(now|utcnow|today)\(\)", path.read_text())


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_core_and_not_each_other(part: str) -> None:
    others = tuple(f"bridge.{other}" for other in PARTS if other != part)
    seen = [
        (path.name, name) for path in sources(f"bridge/{part}") for name in imports(path) if name.startswith(others)
    ]
    assert seen == []


def test_only_the_daemon_sees_all_parts() -> None:
    seeing = {
        str(path.relative_to(ROOT))
        for path in sources()
        if all(any(name.startswith(f"bridge.{part}") for name in imports(path)) for part in PARTS)
    }
    assert seeing == {"bridge/daemon.py"}


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_a_library_stays_in_its_part(library: str) -> None:
    importers = [
        str(path.relative_to(ROOT)) for path in sources() if library in {name.split(".")[0] for name in imports(path)}
    ]
    assert importers
    assert all(importer.startswith(ONE_IMPORTER[library]) for importer in importers)
    if library != "aiosqlite":
        assert len(importers) == 1


def test_no_sql_outside_storage() -> None:
    sql = re.compile(r"\b(SELECT .* FROM|INSERT INTO|UPDATE .* SET|DELETE FROM|CREATE TABLE)\b")
    outside = [path for path in sources() if "storage" not in path.parts and sql.search(path.read_text())]
    assert outside == []


def test_the_top_level_holds_what_it_should() -> None:
    """Folders and files of the repository; what git ignores does not count."""
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()}
    there = {path.name for path in ROOT.iterdir()} - ignored - {".git"}
    there = {name for name in there if not name.endswith(".egg-info")}
    assert there <= {
        "pyproject.toml", "bridge", "rules", "tests", "fixtures", "systemd", "README.md", "Makefile", "CHANGELOG.md",
        "CONTRIBUTING.md", ".ci", ".gitignore",
    }  # fmt: skip
