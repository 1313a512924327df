"""Asterisk's process on this machine: whose it is, and how it sees folders. What /proc shows depends on who looks."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTENS = "0A"


@dataclass(frozen=True, slots=True)
class Process:
    """`groups` are all that it is in; `root` is its file system, to be looked into by root alone."""

    pid: int
    uid: int
    groups: frozenset[int]
    root: Path

    def may_write(self, folder: os.stat_result) -> bool:
        """By owner, group and mode alone."""
        if self.uid == 0:
            return True
        if folder.st_uid == self.uid:
            bits = folder.st_mode >> 6
        elif folder.st_gid in self.groups:
            bits = folder.st_mode >> 3
        else:
            bits = folder.st_mode
        return bits & 0o3 == 0o3


def asterisk(port: int) -> Process | None:
    """The Asterisk that listens at this port; without the right to see that, the only one that runs, if one does."""
    found = {pid: _sockets_of(pid) for pid in _pids() if _text(_PROC / str(pid) / "comm").strip() == "asterisk"}
    listening = _listening(port)
    for pid, sockets in found.items():
        if (sockets is None and len(found) == 1) or (sockets is not None and sockets & listening):
            return _process(pid)
    return None


def _process(pid: int) -> Process | None:
    status = _text(_PROC / str(pid) / "status")
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    try:
        uid, gid = int(lines["Uid"].split()[1]), int(lines["Gid"].split()[1])
        groups = frozenset({gid, *map(int, lines.get("Groups", "").split())})
    except (KeyError, ValueError, IndexError):
        return None
    return Process(pid, uid, groups, _PROC / str(pid) / "root")


def _pids() -> Iterator[int]:
    yield from (int(one.name) for one in _PROC.iterdir() if one.name.isdecimal())


def _listening(port: int) -> set[str]:
    """The inodes of sockets that listen there."""
    inodes = set()
    for name in ("tcp", "tcp6"):
        for line in _text(_PROC / "net" / name).splitlines()[1:]:
            words = line.split()
            if len(words) > 9 and words[3] == _LISTENS and int(words[1].rpartition(":")[2], 16) == port:
                inodes.add(words[9])
    return inodes


def _sockets_of(pid: int) -> set[str] | None:
    """None where we may not see them."""
    found = set()
    try:
        descriptors = list((_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return None
    for one in descriptors:
        with contextlib.suppress(OSError):
            socket = re.fullmatch(r"socket:\[(\d+)\]", str(one.readlink()))
            if socket is not None:
                found.add(socket[1])
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
