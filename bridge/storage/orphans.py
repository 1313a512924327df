"""What lies in the spool: our files by their names, and everything else. All functions block.

Nothing here follows a link inside the spool, or leaves it.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bridge.core.errors import MediaError
from bridge.core.ids import RecordId, RuleId, SectionKey

QUARANTINE = "quarantine"
"""The folder in the spool for files that no section names; what is in it is nobody's but the admin's."""

_NAME = re.compile(
    # A WAV, a side of one, or (hidden, with an ending) one that was being made out of others.
    r"(?:(?P<hidden>\.)?(?P<record>[A-Za-z0-9-]+_[A-Za-z0-9-]+)_(?P<rule>[0-9]{1,9})_(?P<file>[0-9]{3,9})"
    r"(?:_[rt])?\.wav(?:16)?(?(hidden)\.[a-z]+))"
)
_DAY_PARTS = (re.compile("[0-9]{4}"), re.compile("0[1-9]|1[0-2]"), re.compile("0[1-9]|[12][0-9]|3[01]"))
_DAY = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the spool; `path` is relative to it. `key` is the section that its name tells, None for a foreign one.

    `modified_at` is in seconds since 1970.
    """

    path: str
    key: SectionKey | None
    size_bytes: int
    modified_at: float


def section_of_name(name: str) -> SectionKey | None:
    """The section whose file or part has this name.

    >>> section_of_name("1392385689-178_0_12_001_r.wav16")
    SectionKey(record_id='1392385689-178_0', rule_id=12, file=1)
    >>> section_of_name("holiday.wav")
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return SectionKey(RecordId(found["record"]), RuleId(int(found["rule"])), int(found["file"]))


def files_by_folder(root: Path) -> Iterator[list[Found]]:
    """All that lies in the spool but for the quarantine, folder by folder, foreign folders and links as one entry each.

    Our files are the regular ones with our names in day folders. What vanishes meanwhile is left out. Raises
    MediaError where the spool cannot be read.
    """
    try:
        yield from _look(root, "", 0)
    except OSError as error:
        raise MediaError(f"spool {root}: {error}", reason="spool-missing") from error


def highest_numbers(root: Path, days: Iterable[date]) -> dict[tuple[RecordId, RuleId], int]:
    """The highest section number of each record and rule whose file or part lies in these days' folders.

    MixMonitor empties a file that is there, so that no number may be given twice, whatever the database remembers.
    What cannot be read is left out.
    """
    highest: dict[tuple[RecordId, RuleId], int] = {}
    for day in days:
        with contextlib.suppress(OSError):
            for path in (root / f"{day:%Y/%m/%d}").iterdir():
                key = section_of_name(path.name)
                if key is not None:
                    one = key.record_id, key.rule_id
                    highest[one] = max(highest.get(one, 0), key.file)
    return highest


def _look(root: Path, folder: str, depth: int) -> Iterator[list[Found]]:
    here: list[Found] = []
    below: list[str] = []
    try:
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        if depth < 3 and _DAY_PARTS[depth].fullmatch(entry.name):
                            below.append(path)
                            continue
                        if path == QUARANTINE:
                            continue
                    here.append(_found(entry, path, depth))
    except FileNotFoundError:
        if not depth:
            raise
    if here:
        yield here
    for path in sorted(below):
        yield from _look(root, path, depth + 1)


def _found(entry: "os.DirEntry[str]", path: str, depth: int) -> Found:
    status = entry.stat(follow_symlinks=False)
    ours = depth == len(_DAY_PARTS) and stat.S_ISREG(status.st_mode)
    key = section_of_name(entry.name) if ours else None
    return Found(path, key, status.st_size, status.st_mtime)


@contextlib.contextmanager
def day_folder(root: Path, relative: str) -> Iterator[int]:
    """The opened folder of a file's day, reached without a link. Raises OSError, MediaError (`bad-path`)."""
    day, _, name = relative.rpartition("/")
    if not _DAY.fullmatch(day) or not name or "\0" in name:
        raise MediaError(f"{relative!r} is no path of a recording", reason="bad-path")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in day.split("/"):
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def remove(root: Path, relative: str) -> bool:
    """Delete a regular file of the spool. False where there is none. Raises MediaError with `reason` `spool-missing`,
    `not-a-file` (a link or folder, left alone), `not-deleted`.
    """
    if not root.is_dir():
        raise MediaError(f"spool {root} is missing: mount its disk", reason="spool-missing")
    name = relative.rpartition("/")[2]
    try:
        with day_folder(root, relative) as folder:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise MediaError(f"{root / relative} is no file: it is left alone", reason="not-a-file")
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MediaError(f"{root / relative} cannot be deleted: {error.strerror}", reason="not-deleted") from error
    return True


def quarantine_path(root: Path, relative: str) -> str:
    """Where a file would go: below `quarantine/`, by its day, under a name that is free there."""
    path = f"{QUARANTINE}/{relative}"
    number = 0
    while os.path.lexists(root / (path if not number else f"{path}.{number}")):
        number += 1
    return path if not number else f"{path}.{number}"


def move(root: Path, relative: str, to: str) -> bool:
    """Move a file of the spool into the quarantine. False where it is gone. Raises MediaError (`not-moved`)."""
    name = relative.rpartition("/")[2]
    target = root / to
    try:
        for parent in reversed(target.relative_to(root).parents[:-1]):
            folder = root / parent
            with contextlib.suppress(FileExistsError):
                folder.mkdir(0o770)
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise MediaError(f"{folder} is no folder", reason="not-moved")
        with day_folder(root, relative) as source, day_folder(root / QUARANTINE, to.split("/", 1)[1]) as place:
            os.rename(name, target.name, src_dir_fd=source, dst_dir_fd=place)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MediaError(
            f"{root / relative} cannot be moved to {target}: {error.strerror}", reason="not-moved"
        ) from error
    return True
