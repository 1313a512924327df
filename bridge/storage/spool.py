"""The folder that Asterisk writes WAVs into and we read them from. All functions block: call them in a thread."""

import contextlib
import os
import re
import stat
import tempfile
from pathlib import Path, PurePosixPath

from bridge.core.errors import MediaError
from bridge.core.live import NotReady

_RELATIVE = re.compile(r"[0-9]{4}/(?:0[1-9]|1[0-2])/(?:0[1-9]|[12][0-9]|3[01])/[A-Za-z0-9._-]+\.wav(?:16)?")
# Asterisk splits MixMonitor's arguments at commas, and hands the third to a shell.
_ASTERISK = re.compile(r"/[A-Za-z0-9._/-]*")
_DAY_MODE = 0o770


class Spool:
    """One folder, as each of the two sees it; `YYYY/MM/DD/<name>.wav` inside it.

    Every method that takes a relative path raises MediaError (`bad-path`) for one of another shape.
    """

    def __init__(self, local: Path, asterisk: PurePosixPath | str) -> None:
        """Raises MediaError (`bad-path`) for an Asterisk path that is relative or holds more than `A-Za-z0-9._/-`."""
        if not _ASTERISK.fullmatch(str(asterisk)):
            raise MediaError(
                f"spool.asterisk: {str(asterisk)!r} must be an absolute path of letters, digits and . _ / - alone",
                reason="bad-path",
            )
        self._local = local
        self._asterisk = PurePosixPath(asterisk)

    def local_path(self, relative: str) -> Path:
        """Where we find the file."""
        return self._local / _checked(relative)

    def asterisk_path(self, relative: str) -> str:
        """What Asterisk calls it."""
        return str(self._asterisk / _checked(relative))

    def prepare_day(self, relative: str) -> Path:
        """Make the folders of a file's day, 0770 whatever the umask, with the spool's group; gives the local path.

        The spool itself is never made: where it is missing, a disk is not mounted. Raises MediaError with `reason`
        `spool-missing` or `spool-not-writable`.
        """
        path = self.local_path(relative)
        try:
            spool = self._local.stat()
            for folder in (path.parents[2], path.parents[1], path.parents[0]):
                with contextlib.suppress(FileExistsError):
                    folder.mkdir(_DAY_MODE)
                _share(folder, spool)
        except OSError as error:
            found = self.problem() or NotReady("spool-not-writable", f"spool {self._local}: {error}")
            raise MediaError(found.message, reason=found.code) from error
        return path

    def problem(self) -> NotReady | None:
        """What keeps us from using the spool, if anything; a file is made for a moment to find out."""
        try:
            if not stat.S_ISDIR(self._local.stat().st_mode):
                return NotReady(
                    "spool-missing", f"spool {self._local} is no folder: set spool.local to Asterisk's folder"
                )
        except (FileNotFoundError, NotADirectoryError):
            return NotReady(
                "spool-missing",
                f"spool {self._local} is missing: make it (mode 2770, Asterisk's group), mount its disk, or correct "
                "spool.local",
            )
        except OSError as error:
            return self._not_writable(error)
        try:
            with tempfile.TemporaryFile(dir=self._local):
                return None
        except OSError as error:
            return self._not_writable(error)

    def _not_writable(self, error: OSError) -> NotReady:
        return NotReady(
            "spool-not-writable",
            f"spool {self._local} cannot be written ({error.strerror}): put recbridge's user into the folder's group "
            "and give the group rwx, make room, or mount its disk for writing",
        )


def _share(folder: Path, spool: os.stat_result) -> None:
    """Let the spool's group into a day folder that is ours, also one that an earlier run left half made."""
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{folder} is no folder")
    if found.st_uid != os.geteuid():
        return
    if found.st_gid != spool.st_gid:
        # Forbidden to who is not in that group: then Asterisk must be let in by other means, and its file will tell.
        with contextlib.suppress(PermissionError):
            os.chown(folder, -1, spool.st_gid)
            found = folder.stat()
    wanted = _DAY_MODE | spool.st_mode & stat.S_ISGID
    if stat.S_IMODE(found.st_mode) != wanted:
        folder.chmod(wanted)


def _checked(relative: str) -> str:
    if not _RELATIVE.fullmatch(relative):
        raise MediaError(f"{relative!r} is no path of a recording: YYYY/MM/DD/<name>.wav is", reason="bad-path")
    return relative
