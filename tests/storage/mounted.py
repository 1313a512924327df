"""Small disks of a test's own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


@cache
def can_mount() -> bool:
    """Whether we may mount; in many containers root may not."""
    if os.geteuid() != 0:
        return False
    with TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode != 0:
            return False
        unmount(Path(folder))
    return True


@contextmanager
def tmpfs(folder: Path, size_bytes: int, *options: str) -> Iterator[None]:
    """A disk in memory, mounted there; unmounted at the end unless somebody has done so."""
    words = ",".join((f"size={size_bytes}", "mode=0770", *options))
    subprocess.run(["mount", "-t", "tmpfs", "-o", words, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        unmount(folder)


def unmount(folder: Path) -> None:
    """Also while files are open; harmless where nothing is mounted."""
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def bind(folder: Path, to: Path) -> None:
    """The same disk's folder in another place, too."""
    subprocess.run(["mount", "--bind", str(folder), str(to)], check=True)
