"""`recbridge completion`: what a real bash makes of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
_ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
$(complete -p recbridge | sed 's/.*-F \\([^ ]*\\).*/\\1/') recbridge "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = [sys.executable, "-m", "bridge", "completion", "bash"]
    path = tmp_path_factory.mktemp("completion") / "recbridge"
    path.write_text(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return path


def completed(script: Path, *words: str, folder: Path = ROOT) -> list[str]:
    done = subprocess.run(
        ["bash", "--norc", "-c", _ASK, "bash", str(script), "recbridge", *words],
        cwd=folder, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return [word.strip() for word in done.stdout.splitlines() if word.strip()]


def test_bash_completes_commands(script: Path) -> None:
    assert {"doctor", "users", "token", "hold", "completion"} <= set(completed(script, ""))
    assert completed(script, "do") == ["doctor"]


def test_bash_completes_what_can_be_chosen(script: Path) -> None:
    assert completed(script, "doctor", "--only", "asterisk-r") == ["asterisk-read"]
    assert set(completed(script, "token", "create", "--role", "")) == {"user", "supervisor", "admin"}
    assert set(completed(script, "completion", "")) == {"bash", "zsh", "fish"}


def test_bash_completes_options_and_files(script: Path, tmp_path: Path) -> None:
    assert completed(script, "hold", "list", "--al") == ["--all"]
    (tmp_path / "other.yml").touch()
    assert completed(script, "doctor", "--config", "oth", folder=tmp_path) == ["other.yml"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert "doctor" in said
    assert "asterisk-features" in said


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "ksh"])
    assert ended.value.code == 2
    assert "ksh" in capsys.readouterr().err
