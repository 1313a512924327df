"""What every command has in common."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_folder_that_is_closed_to_us_is_one_line_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    as_nobody = "import bridge.cli.main, os, sys; os.setuid(65534); sys.exit(bridge.cli.main.main())"
    words = [sys.executable, "-c", as_nobody, "check", "--rules", str(tmp_path / "closed" / "rules")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(str(tmp_path))
    assert "run it as a user who may" in line


@pytest.mark.parametrize("words", [["doctor", "--list"], ["completion", "bash"]])
def test_a_reader_that_has_gone_ends_it_without_a_word(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bridge", *words], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_output_without_room_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bridge", "doctor", "--list"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "No space left on device\n")


@pytest.mark.parametrize(
    "words",
    [
        ["check"], ["calls"], ["coverage"], ["users"], ["hold", "list"], ["erase", "--call", "x", "--why", "y"],
        ["token", "list"], ["verify"], ["hold", "release", "x", "--why", "y"], ["replay", "x.ami"], ["run"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("wrong", ["missing", "a folder", "no text", "no YAML", "no database", "a folder as database"])
def test_a_wrong_configuration_or_database_is_told_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], wrong: str
) -> None:
    path = tmp_path / "recbridge.yml"
    database = tmp_path / "recbridge.db"
    text = f"asterisk: {{secret: x}}\ndatabase: {database}\nrules: {tmp_path}\nhttp: {{listen: '127.0.0.1:1'}}\n"
    match wrong:
        case "a folder":
            path.mkdir()
        case "no text":
            path.write_bytes(b"\xff\xfe\x00")
        case "no YAML":
            path.write_text("asterisk: [")
        case "no database":
            path.write_text(text)
            database.write_bytes(b"x" * 5000)
        case "a folder as database":
            path.write_text(text)
            database.mkdir()
    assert main([*words, "--config", str(path)]) in (1, 2)
    said = capsys.readouterr().err
    assert said.strip()
    assert "Traceback" not in said


def test_every_command_says_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    ([a-z-]+)  ", capsys.readouterr().out, re.MULTILINE)
    assert len(commands) > 10
    readme = (ROOT / "README.md").read_text()
    for command in commands:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "Exit code" in capsys.readouterr().out, command
        assert f"`{command}`" in readme, command
