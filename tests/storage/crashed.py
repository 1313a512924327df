"""WAVs as a crash leaves them, and disks with little room."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HEADER = {
    8000: bytes.fromhex("524946460000000057415645666d74201000000001000100401f0000803e0000020010006461746100000000"),
    16000: bytes.fromhex("524946460000000057415645666d74201000000001000100803e0000007d0000020010006461746100000000"),
}
"""What Asterisk 22 and 16 write first into a `.wav` and a `.wav16` (measured)."""


def unclosed(path: Path, audio: bytes, rate: int = 8000) -> Path:
    """A WAV that Asterisk has not closed."""
    path.write_bytes(HEADER[rate] + audio)
    return path


def names(folder: Path) -> set[str]:
    """What is in a folder, hidden files too."""
    return {path.name for path in folder.iterdir()}


@contextmanager
def tiny_disk(folder: Path, size_kib: int) -> Iterator[Path]:
    """A disk of so many KiB (of 4 KiB each), mounted while the body runs; no test where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Make such a disk larger (`size=…k`) or read-only (`ro`)."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
