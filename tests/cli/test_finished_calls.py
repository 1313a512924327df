"""`recbridge calls` with a filter, against a real database and a real server."""

import asyncio
import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.cli.calls import TOKEN_VARIABLE
from bridge.cli.main import main
from bridge.core.ids import Identity
from bridge.core.store import AddCdr
from bridge.storage.database import SqliteStore
from tests.cli.test_token_and_calls import config, daemon
from tests.storage import kept

__all__ = ["config"]

Capture = pytest.CaptureFixture[str]


async def _kept(path: Path) -> None:
    """Three calls, an hour apart; the last one went through a queue."""
    store = await SqliteStore.open(path, "pbx1")
    try:
        for number, queue in ((1, ""), (2, ""), (3, "support")):
            at = datetime.now(UTC) - timedelta(hours=4 - number)
            cdr = replace(
                kept.cdr(f"1.{number}"), started_at=at, ended_at=at + timedelta(seconds=70), queue=queue,
                talked_s=65.0, source_name=f"=Caller\x1b {number}", participants=(Identity("bob"),), record_ids=(),
            )  # fmt: skip
            await store.commit([AddCdr(cdr)])
    finally:
        await store.close()


def _run(config: Path, monkeypatch: pytest.MonkeyPatch, *options: Sequence[str] | str) -> int:
    """The command, while the daemon runs."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)

    async def both() -> int:
        await _kept(config.parent / "recbridge.db")
        async with daemon(config):
            return await asyncio.to_thread(main, ["calls", "--config", str(config), *map(str, options)])

    return asyncio.run(both())


def test_finished_calls_are_a_table_of_the_newest_first(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(config, monkeypatch, "--finished") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["NUMBER", "BEGAN", "DIRECTION", "FROM", "TO", "QUEUE", "TALKED", "RECORDED", "TAGS"]
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert "=Caller? 3 (" in lines[0]
    assert "support" in lines[0]
    assert "0:01:05" in lines[0]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--queue", "support"], [3]),
        (["--since", "150m"], [3, 2]),
        (["--from", "150m", "--until", "90m"], [2]),
        (["--search", "CALLER\x1b 2"], [2]),
        (["--user", "alice"], []),
        (["--not-recorded", "--limit", "2"], [3, 2]),
        (["--recorded"], []),
        (["--direction", "outbound"], []),
    ],
)
def test_filters_say_which_calls(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, options: list[str], found: list[int]
) -> None:
    assert _run(config, monkeypatch, "--json", *options) == 0
    body = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in body["items"]] == found
    assert body["more"] is ("--limit" in options)


def test_csv_has_all_calls_and_no_formula(config: Path, capfdbinary: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(config, monkeypatch, "--csv") == 0
    text = capfdbinary.readouterr().out.decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == ["3", "2", "1"]
    assert all(row["source_name"].startswith("'=") for row in rows)


def test_wrong_options_are_told_from_what_could_not_be_asked(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["calls", "--config", str(config), "--csv", "--json"])
    assert _run(config, monkeypatch, "--search", "ab") == 1
    assert "search" in capsys.readouterr().err
