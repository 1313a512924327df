import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network import chroot
from tests.network.chroot import NoAsteriskError, ensure_chroot, usable
from tests.network.ports import PortBlock


@pytest.fixture
def broken_debootstrap(asterisk_chroot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A debootstrap that makes half a chroot and then fails; the cache folder to use."""
    assert asterisk_chroot
    tools = tmp_path / "bin"
    tools.mkdir()
    script = tools / "debootstrap"
    script.write_text('#!/bin/sh\nfor last; do :; done\nmkdir -p "$last/etc"\necho "E: the mirror is gone"\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return tmp_path / "cache"


def test_a_chroot_that_is_there_is_used(asterisk_chroot: Path) -> None:
    assert ensure_chroot() == asterisk_chroot
    assert (asterisk_chroot / "usr/sbin/asterisk").exists()


def test_a_build_that_fails_says_why_and_is_begun_anew(broken_debootstrap: Path) -> None:
    leftover = broken_debootstrap / "sid.partial" / "leftover"
    for _ in range(2):
        with pytest.raises(NoAsteriskError, match=r"debootstrap failed \(E: the mirror is gone; see .*sid.log\)"):
            ensure_chroot("sid", broken_debootstrap)
        assert not (broken_debootstrap / "sid").exists()
        assert not leftover.exists()
        leftover.touch()


def test_a_second_builder_waits_for_the_first(broken_debootstrap: Path) -> None:
    """The first one is played: it holds the lock, and while it does the complete chroot appears."""
    broken_debootstrap.mkdir()
    with (broken_debootstrap / "sid.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code = "import sys; from tests.network.chroot import *; print(ensure_chroot('sid', Path(sys.argv[1])))"
        second = subprocess.Popen(
            [sys.executable, "-c", code, str(broken_debootstrap)], stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(1)
        (broken_debootstrap / "sid/usr/sbin").mkdir(parents=True)
        (broken_debootstrap / "sid/usr/sbin/asterisk").touch()
    assert second.communicate(timeout=30)[0].strip() == str(broken_debootstrap / "sid")


def test_the_cache_folder_can_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chroot, "usable", lambda: None)
    monkeypatch.setenv("RECBRIDGE_CACHE", str(tmp_path))
    (tmp_path / "bullseye/usr/sbin").mkdir(parents=True)
    (tmp_path / "bullseye/usr/sbin/asterisk").touch()
    assert ensure_chroot("bullseye") == tmp_path / "bullseye"


def test_without_root_there_is_no_asterisk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert usable() == "a real Asterisk needs root (for a chroot)"
    with pytest.raises(NoAsteriskError, match="needs root"):
        ensure_chroot(cache=tmp_path)


def test_blocks_of_ports_do_not_overlap() -> None:
    blocks = [PortBlock() for _ in range(3)]
    try:
        assert len({block.ports.pbx_sip for block in blocks}) == 3
        for block in blocks:
            low, high = block.ports.pbx_sip, block.ports.phones_rtp[1]
            others = [other.ports for other in blocks if other is not block]
            assert not any(low <= ports.pbx_sip <= high for ports in others)
    finally:
        for block in blocks:
            block.close()


@pytest.mark.parametrize(("ci", "code", "word"), [("true", 1, "1 error"), ("", 0, "1 skipped")])
def test_a_missing_asterisk_is_a_skip_but_a_failure_in_ci(ci: str, code: int, word: str) -> None:
    test = "tests/network/test_network.py::test_inside_call_is_recorded_with_exactly_both_parties"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test],
        env={**os.environ, "PATH": "/nowhere", "CI": ci},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stdout
    assert word in done.stdout
    assert "a real Asterisk needs unshare" in done.stdout
