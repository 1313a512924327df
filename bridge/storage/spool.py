"""The folder that Asterisk writes WAVs into and we read them from. All functions block: call them in a thread."""

import contextlib
import errno
import os
import re
import stat
import tempfile
from pathlib import Path, PurePosixPath

from bridge.core.errors import MediaError
from bridge.core.live import NotReady, SpoolLook
from bridge.core.space import LowSpace, Space, in_words
from bridge.storage.disk_errors import is_full
from bridge.storage.mounts import Mount

_RELATIVE = re.compile(r"[0-9]{4}/(?:0[1-9]|1[0-2])/(?:0[1-9]|[12][0-9]|3[01])/[A-Za-z0-9._-]+\.wav(?:16)?")
# Asterisk splits MixMonitor's arguments at commas, and hands the third to a shell.
_ASTERISK = re.compile(r"/[A-Za-z0-9._/-]*")
_DAY_MODE = 0o770
_FLOOR_BYTES = 16 * 2**20
"""With less than this a recording may end in the middle of a talk: a quarter of an hour of one, in 8 kHz."""
_LOW = LowSpace(share=0.05)
_BLOCK = 4096


class Spool:
    """One folder, as each of the two sees it; `YYYY/MM/DD/<name>.wav` inside it.

    Every method that takes a relative path raises MediaError (`bad-path`) for one of another shape.
    """

    def __init__(
        self, local: Path, asterisk: PurePosixPath | str, *, low_space: LowSpace = _LOW, state: Path | None = None
    ) -> None:
        """`low_space` warns; `state` is a file of ours that remembers where the spool's disk was mounted.

        Raises MediaError (`bad-path`) for an Asterisk path that is relative or holds more than `A-Za-z0-9._/-`.
        """
        if not _ASTERISK.fullmatch(str(asterisk)):
            raise MediaError(
                f"spool.asterisk: {str(asterisk)!r} must be an absolute path of letters, digits and . _ / - alone",
                reason="bad-path",
            )
        self._local = local
        self._asterisk = PurePosixPath(asterisk)
        self._low_space = low_space
        self._state = state
        self._mount = Mount(local, state)

    @property
    def local(self) -> Path:
        """The folder, as we see it."""
        return self._local

    def local_path(self, relative: str) -> Path:
        """Where we find the file."""
        return self._local / _checked(relative)

    def asterisk_path(self, relative: str) -> str:
        """What Asterisk calls it."""
        return str(self._asterisk / _checked(relative))

    def prepare_day(self, relative: str) -> Path:
        """Make the folders of a file's day, 0770 whatever the umask, with the spool's group; gives the local path.

        The spool itself is never made: where it is missing, a disk is not mounted. Raises MediaError with `reason`
        `spool-missing` or another code of `look`.
        """
        path = self.local_path(relative)
        if self.unmounted():
            raise MediaError(f"spool {self._local}: its disk is not mounted", reason="spool-unmounted")
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
        """What keeps us from using the spool, if anything."""
        return self.look().problem

    def unmounted(self) -> bool:
        """Whether the disk that the spool was on is not mounted now: what is missing here may be whole there."""
        try:
            return self._mount.lost() is not None
        except OSError:
            return False

    def look(self) -> SpoolLook:
        """What is wrong with the spool or will soon be, and how much room there is; a file is made for a moment."""
        try:
            if not stat.S_ISDIR(self._local.stat().st_mode):
                return SpoolLook(
                    NotReady("spool-missing", f"spool {self._local} is no folder: set spool.local to Asterisk's folder")
                )
            lost = self._mount.lost()
            if lost is not None:
                return SpoolLook(self._unmounted(lost))
            room = os.statvfs(self._local)
            # Disks without a size of their own say 0 of 0.
            space = Space(room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize) if room.f_blocks else None
            if room.f_flag & os.ST_RDONLY:
                return SpoolLook(self._not_written(OSError(errno.EROFS, os.strerror(errno.EROFS))), space=space)
        except (FileNotFoundError, NotADirectoryError):
            return SpoolLook(
                NotReady(
                    "spool-missing",
                    f"spool {self._local} is missing: make it (mode 2770, Asterisk's group), mount its disk, or "
                    "correct spool.local",
                )
            )
        except OSError as error:
            return SpoolLook(self._not_written(error))
        try:
            with tempfile.TemporaryFile(dir=self._local, buffering=0) as file:
                file.write(bytes(_BLOCK))
        except OSError as error:
            return SpoolLook(self._not_written(error), space=space)
        if space is None:
            return SpoolLook()
        if space.free_bytes < _FLOOR_BYTES:
            return SpoolLook(self._full(f"{in_words(space.free_bytes)} left"), space=space)
        return SpoolLook(warning=self._low(space), space=space)

    def _low(self, space: Space) -> NotReady | None:
        if space.free_bytes >= self._low_space.of(space):
            return None
        return NotReady(
            "spool-low",
            f"spool {self._local}: {in_words(space.free_bytes)} of {in_words(space.total_bytes)} left: make room; "
            "recbridge deletes nothing to have it",
        )

    def _full(self, words: str) -> NotReady:
        return NotReady(
            "spool-full", f"spool {self._local} is full ({words}): make room; recbridge deletes nothing to have it"
        )

    def _unmounted(self, mount: Path) -> NotReady:
        learnt = f", or, where it is meant to be so, remove {self._state} and restart recbridge" if self._state else ""
        return NotReady(
            "spool-unmounted",
            f"spool {self._local}: its disk is not mounted at {mount} any more, and what is recorded now lies in the "
            f"folder beneath: mount it again{learnt}",
        )

    def _not_written(self, error: OSError) -> NotReady:
        if is_full(error):
            return self._full(str(error.strerror))
        if error.errno == errno.EROFS:
            return NotReady(
                "spool-read-only",
                f"spool {self._local} is read-only: after an error of its disk Linux makes it so (see `dmesg`: check "
                "it, mount it for writing), and a systemd unit does where `ReadWritePaths` does not name it",
            )
        return self._not_writable(error)

    def _not_writable(self, error: OSError) -> NotReady:
        return NotReady(
            "spool-not-writable",
            f"spool {self._local} cannot be written ({error.strerror}): put recbridge's user into the folder's group "
            "and give the group rwx, or see `dmesg` for errors of its disk",
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
