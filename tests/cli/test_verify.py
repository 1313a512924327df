"""`recbridge verify` as an admin runs it."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from bridge.cli.main import main
from tests.storage.chained import COUNT, database_of, file_of, head_at, make, tamper

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    asyncio.run(make(tmp_path))
    path = tmp_path / "recbridge.yml"
    path.write_text(
        "asterisk: {username: bridge, secret: x}\n"
        f"database: {database_of(tmp_path)}\n"
        f"spool: {{local: {tmp_path}/spool, asterisk: /spool}}\n"
    )
    return path


def verify(config: Path, *options: str) -> int:
    return main(["verify", "--config", str(config), *options])


def test_the_head_stands_alone_on_the_last_line(config: Path, capsys: Capture) -> None:
    assert verify(config) == 0
    said = capsys.readouterr()
    *words, head = said.out.splitlines()
    assert head == str(head_at(config.parent, COUNT))
    assert "9 facts, 16 personal values in them, 1 of these erased" in words
    assert "3 sections stored, 1 deleted; 2 files, 0.0 MB" in words
    assert said.err == ""
    assert verify(config, "--expect", head, "--from", head, "--expect", head) == 0


def test_the_first_that_does_not_fit_is_named_and_no_head_is_given(config: Path, capsys: Capture) -> None:
    file_of(config.parent, 1).unlink()
    tamper(config.parent, "UPDATE facts SET data = '{}' WHERE number IN (8, 9)")
    assert verify(config) == 1
    *_, first, more = capsys.readouterr().out.splitlines()
    assert first.startswith("does not fit: fact 4: section 1795223079-178_1795223079-187/1/1: 2026/08/01/")
    assert first.endswith("it is missing")
    assert more == "and 2 more"
    assert verify(config, "--no-files") == 1
    first, more = capsys.readouterr().out.splitlines()[-2:]
    assert first.startswith("does not fit: fact 8 (section.deleted, 2026-08-01T13:00:00.123456+00:00): ")
    assert more == "and 1 more"


def test_programs_get_one_object(config: Path, capsys: Capture) -> None:
    assert verify(config, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "facts": 9,
        "personal": 16,
        "erased": 1,
        "sections": 3,
        "deleted": 1,
        "files": 2,
        "bytes": 10000,
        "misfits": 0,
        "first": None,
        "head": str(head_at(config.parent, 9)),
    }
    file_of(config.parent, 2).write_bytes(b"")
    assert verify(config, "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["misfits"], said["head"]) == (False, 1, None)
    message = said["first"].pop("message")
    assert message.endswith("it has 0 bytes, not 5,000")
    assert said["first"] == {
        "what": "file-changed",
        "fact": 6,
        "recordId": "1795223079-178_1795223079-187",
        "ruleId": 1,
        "file": 2,
        "path": "2026/08/01/1795223079-178_1795223079-187_1_002.wav",
    }


def test_a_head_that_is_not_in_the_chain_is_named(config: Path, capsys: Capture) -> None:
    assert verify(config, "--expect", f"9:{'0' * 64}") == 1
    first, more = capsys.readouterr().out.splitlines()[-2:]
    there = head_at(config.parent, 9).hash.hex()
    assert first == f"does not fit: fact 9 has the hash {there}, and was kept with the hash {'0' * 64}"
    assert more == "nothing more"


def test_what_was_changed_does_not_steer_the_terminal(config: Path, capsys: Capture) -> None:
    tamper(config.parent, "UPDATE facts SET kind = 'x' || char(27) || '[2J' WHERE number = 2")
    assert verify(config) == 1
    assert "fact 2 (x?[2J, " in capsys.readouterr().out


@pytest.mark.parametrize("lacking", ["recbridge.yml", "recbridge.db", "spool"])
def test_where_it_cannot_look_it_exits_with_2(config: Path, capsys: Capture, lacking: str) -> None:
    (config.parent / lacking).rename(config.parent / "elsewhere")
    assert verify(config) == 2
    said = capsys.readouterr()
    assert lacking in said.err
    assert said.out == ""


@pytest.mark.parametrize("head", ["", "9", "9:ab", "x"])
def test_what_is_no_head_is_a_wrong_command_line(config: Path, capsys: Capture, head: str) -> None:
    with pytest.raises(SystemExit) as ended:
        verify(config, "--expect", head)
    assert ended.value.code == 2
    assert "NUMBER:HASH" in capsys.readouterr().err


def test_a_terminal_sees_how_far_it_is(config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert verify(config) == 0
    said = capsys.readouterr()
    assert "\r4 facts, 1 files, 0.0 MB" in said.err
    assert said.err.endswith("\r\x1b[K")
    assert "\r" not in said.out
