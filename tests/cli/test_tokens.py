"""`recbridge token list` and `recbridge token revoke`, against a real database."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "recbridge.yml"
    path.write_text(f"asterisk: {{username: bridge, secret: x}}\ndatabase: {tmp_path}/recbridge.db\n")
    return path


def made(config: Path, capsys: Capture, *args: str) -> str:
    assert main(["token", "create", "--config", str(config), *args]) == 0
    return capsys.readouterr().out.splitlines()[-1]


def listed(config: Path, capsys: Capture) -> list[dict[str, Any]]:
    assert main(["token", "list", "--json", "--config", str(config)]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["items"]
    return found


def test_every_token_is_listed_but_for_its_secret(config: Path, capsys: Capture) -> None:
    alices = made(config, capsys, "--identity", "alice", "--role", "user", "--expires", "90d")
    roots = made(config, capsys, "--identity", "root", "--role", "admin")
    first, second = listed(config, capsys)
    assert (first["identity"], first["role"], first["scopes"]) == ("alice", "user", ["control", "download", "play"])
    assert (first["id"], second["id"]) == (alices.split("_")[1], roots.split("_")[1])
    assert first["expiresAt"] - first["createdAt"] == 90 * 24 * 3600 * 1000, "epoch ms, as over HTTP"
    assert second["expiresAt"] is None
    assert main(["token", "list", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert [line.split()[:3] for line in out.splitlines()] == [
        [first["id"], "alice", "user"],
        [second["id"], "root", "admin"],
    ]
    assert alices.split("_", 2)[2] not in out


@pytest.mark.parametrize("part", ["id", "prefix", "whole"])
def test_a_token_is_ended_by_its_id(config: Path, capsys: Capture, part: str) -> None:
    token = made(config, capsys, "--identity", "alice", "--role", "user")
    other = made(config, capsys, "--identity", "bob", "--role", "user")
    token_id = token.split("_")[1]
    name = {"id": token_id, "prefix": f"rb_{token_id}", "whole": token}[part]
    assert main(["token", "revoke", name, "--config", str(config)]) == 0
    printed = capsys.readouterr()
    assert token_id in printed.out
    assert token.split("_", 2)[2] not in printed.out
    assert [one["id"] for one in listed(config, capsys)] == [other.split("_")[1]]
    assert main(["token", "revoke", name, "--config", str(config)]) == 1
    assert "there is no token" in capsys.readouterr().err


def test_what_is_no_id_is_refused(config: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["token", "revoke", "alice", "--config", str(config)])
    assert exited.value.code == 2
    assert "no token's id" in capsys.readouterr().err


def test_without_a_database_nothing_is_made(config: Path, capsys: Capture) -> None:
    assert main(["token", "list", "--config", str(config)]) != 0
    assert "it is not there" in capsys.readouterr().err
    assert not (config.parent / "recbridge.db").exists()
