"""What others wrote is as they published it."""

import hashlib
import re
from pathlib import Path

import pytest

VENDOR = Path(__file__).resolve().parents[2] / "bridge/web/vendor"


@pytest.mark.parametrize("folder", sorted(VENDOR.iterdir()), ids=lambda folder: folder.name)
def test_a_vendored_library_has_its_licence_and_the_checksums_that_its_readme_names(folder: Path) -> None:
    assert (folder / "LICENSE").stat().st_size > 500
    sums = re.findall(r"^ +([0-9a-f]{64})  (\S+)$", (folder / "README.md").read_text(), re.MULTILINE)
    named = {name: checksum for checksum, name in sums}
    there = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.glob("*.js")}
    assert there
    assert there == named
