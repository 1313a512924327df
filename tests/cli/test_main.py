"""What every command has in common."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
