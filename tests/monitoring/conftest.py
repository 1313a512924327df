"""Prometheus' binaries, out of Debian's package (tests/install-packages)."""

import os
import shutil
from pathlib import Path

import pytest

from tests.network.chroot import DEFAULT_CACHE


@pytest.fixture(scope="session")
def tools() -> dict[str, str]:
    """Where `promtool` and `prometheus` lie; no test without, which is a failure with CI=true."""
    folder = Path(os.environ.get("RECBRIDGE_CACHE", DEFAULT_CACHE)) / "prometheus"
    found = {name: shutil.which(name, path=str(folder)) or shutil.which(name) for name in ("promtool", "prometheus")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        what = f"{', '.join(missing)} of the Debian package prometheus is not there (tests/install-packages)"
        if os.environ.get("CI") == "true":
            pytest.fail(what)
        pytest.skip(what)
    return {name: path for name, path in found.items() if path is not None}
