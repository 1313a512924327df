"""What an error of the file system means for a recording: the reason that a MediaError tells."""

import errno
from pathlib import Path

from bridge.core.errors import MediaError

_REASONS = {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "disk-full",
    errno.EROFS: "read-only",
    errno.EACCES: "no-access",
    errno.EPERM: "no-access",
    # Of the path itself: it will be no better later.
    errno.ENOTDIR: "unreadable",
    errno.EISDIR: "unreadable",
    errno.ELOOP: "unreadable",
    errno.ENAMETOOLONG: "unreadable",
}


def is_full(error: OSError) -> bool:
    """Whether there is no room, on the disk or in a quota."""
    return _REASONS.get(error.errno or 0) == "disk-full"


def media_error(path: Path, what: str, error: OSError) -> MediaError:
    """`what` could not be done to the recording `path`, told with its reason; see `decisions.TRY_AGAIN`.

    What is not listed (EIO, ESTALE, ENOTCONN, EMFILE, …) is `disk-error`: the recording may be whole all the same. A
    file that is missing with its day's folder is `spool-missing`: its disk is not mounted, most likely.
    """
    if isinstance(error, FileNotFoundError):
        return missing(path)
    reason = _REASONS.get(error.errno or 0, "disk-error")
    return MediaError(f"{path} cannot be {what}: {error.strerror or error}", reason=reason)


def missing(path: Path) -> MediaError:
    """There is no such file (`file-missing`), or not even its folder (`spool-missing`)."""
    try:
        folder_there = path.parent.exists()
    except OSError as error:
        return media_error(path, "looked for", error)
    if not folder_there:
        return MediaError(
            f"{path} is not there, nor is its folder: mount the disk of the spool, or correct spool.local",
            reason="spool-missing",
        )
    return MediaError(
        f"{path} is not there: Asterisk and recbridge must see the same folder (`spool:`), and Asterisk must be "
        "allowed to write into it",
        reason="file-missing",
    )
