"""What the tests of the unit need from the machine, and the one folder that the sandbox can write."""

import ctypes.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HAS_SYSTEMD = shutil.which("systemd-analyze") is not None
HAS_SECCOMP = sys.platform == "linux" and ctypes.util.find_library("seccomp") is not None


def missing(what: str) -> None:
    """Skip, but never where a green run must mean that all was tested."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(autouse=True)
def _tools() -> None:
    if not HAS_SYSTEMD or not HAS_SECCOMP:
        missing("the Debian packages systemd and libseccomp2 are missing (tests/install-packages)")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A spool and a state. Not in pytest's folder, which would become read-only around it."""
    made = Path(tempfile.mkdtemp(prefix="recbridge-sandbox-"))
    (made / "state").mkdir(mode=0o700)
    (made / "spool").mkdir()
    (made / "spool").chmod(0o2770)
    yield made
    shutil.rmtree(made)
