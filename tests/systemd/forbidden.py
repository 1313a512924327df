"""Tries one thing that the unit forbids: `python -m tests.systemd.forbidden WHAT FOLDER` prints `done` or the error."""

import io
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import soundfile

from tests.simulator.audio import TonesFile


def _soundfile_on_a_file_object(folder: Path) -> None:
    path = folder / "spool" / "object.wav"
    TonesFile(path, 0, {}).close(1)
    soundfile.info(io.BytesIO(path.read_bytes()))


def _writable_code(_: Path) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _netlink(_: Path) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()


def _setgid(folder: Path) -> None:
    (folder / "spool").chmod(0o2770)


def _priority(_: Path) -> None:
    os.nice(1)


def _write_elsewhere(folder: Path) -> None:
    (folder.parent / "recbridge-elsewhere").write_text("x")


TRIES: dict[str, Callable[[Path], None]] = {
    "soundfile-on-a-file-object": _soundfile_on_a_file_object,
    "writable-code": _writable_code,
    "netlink": _netlink,
    "setgid": _setgid,
    "priority": _priority,
    "write-elsewhere": _write_elsewhere,
}


if __name__ == "__main__":
    try:
        TRIES[sys.argv[1]](Path(sys.argv[2]))
    except (OSError, MemoryError, SystemError) as error:
        print(type(error).__name__, error)  # noqa: T201 - its whole output
    else:
        print("done")  # noqa: T201
