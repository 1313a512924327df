"""The spool: can both write it, is it one folder, and do files and sections fit each other."""

import errno
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from bridge.config import Config
from bridge.core.errors import RecbridgeError
from bridge.core.space import in_words
from bridge.doctor.findings import Finding, Ground, failed, ok, unknown, warning
from bridge.doctor.processes import asterisk
from bridge.storage.examination import missing_files, unnamed_files
from bridge.storage.orphans import Found
from bridge.storage.spool import Spool

_MOST = 10_000
_LOCAL = ("localhost", "127.0.0.1", "::1")
_NOT_THERE = {"spool-missing", "spool-unmounted"}


def look(ground: Ground) -> Sequence[Finding]:
    """The folder itself, as we see it."""
    problem = _look(ground.config)
    return [problem or ok("spool", f"{ground.config.spool.local} can be written by us")]


def _look(config: Config) -> Finding | None:
    state = config.database.with_name("spool.json")
    try:
        there = state.exists()  # the daemon's to make
    except OSError:
        there = False
    spool = Spool(config.spool.local, str(config.spool.asterisk), state=state if there else None)
    found = spool.look().problem
    if found is None:
        return None
    words, _, remedy = found.message.rpartition(": ")
    return failed("spool", words, remedy, reason=found.code)


def both(ground: Ground) -> Sequence[Finding]:
    """As Asterisk sees it: is it the same folder, and may its user write there?"""
    config, code = ground.config, "spool-asterisk"
    if config.asterisk.host not in _LOCAL:
        return [unknown(code, "Asterisk is on another machine", "a call that is recorded shows it: `recbridge calls`")]
    process = asterisk(config.asterisk.port)
    if process is None:
        return [unknown(code, "no process of Asterisk's is to be seen", "run it as root, while Asterisk runs")]
    try:
        ours = config.spool.local.stat()
    except OSError as error:
        return [unknown(code, f"{config.spool.local}: {error.strerror}")]
    fit = f"`chown recbridge:asterisk {config.spool.local} && chmod 2770 {config.spool.local}`"
    seen = process.root / str(config.spool.asterisk).lstrip("/")
    try:
        theirs = seen.stat()
    except FileNotFoundError:
        words = f"Asterisk (process {process.pid}) sees no folder {config.spool.asterisk}"
        return [failed(code, words, "`spool: asterisk` has to be the folder as Asterisk sees it (a container's path?)")]
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM):
            return [unknown(code, f"{seen}: {error.strerror}")]
        theirs, same = ours, "whether it is the same folder only root can see"
    else:
        same = "both see the same folder"
        if (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino):
            words = f"{config.spool.asterisk}, as Asterisk sees it, and {config.spool.local} here are two folders"
            return [failed(code, words, "`spool: {asterisk, local}` has to be one folder, as each of the two sees it")]
    if not process.may_write(theirs):
        if _has_acl(config.spool.local):
            return [
                unknown(code, f"{same}; whether Asterisk may write there its access list says", "`getfacl` shows it")
            ]
        words = f"Asterisk's user (uid {process.uid}) may not write {config.spool.asterisk}"
        return [failed(code, words, fit, uid=process.uid, mode=f"{theirs.st_mode & 0o7777:04o}")]
    return [ok(code, f"{same}, and Asterisk's user may write there", uid=process.uid)]


def _has_acl(folder: Path) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(folder)
    except OSError:
        return False


def files(ground: Ground) -> Sequence[Finding]:
    """Files that no section names, and stored sections without their file."""
    config = ground.config
    problem = _look(config)
    if problem is not None and problem.values.get("reason") in _NOT_THERE:
        return [unknown(code, "the spool is not there") for code in ("files", "sections")]
    return [_unnamed(ground), _missing(config)]


def _unnamed(ground: Ground) -> Finding:
    config = ground.config
    try:
        found = list(itertools.islice(unnamed_files(config.database, config.spool.local), _MOST))
    except (RecbridgeError, OSError) as error:
        return unknown("files", _why(error))
    if not found:
        return ok("files", "each is a section's", files=[])
    now = ground.clock().timestamp()
    files = [
        {"path": _shown(one), "sizeBytes": one.size_bytes, "ageS": max(0, round(now - one.modified_at))}
        for one in found
    ]
    ours = sum(one.key is not None for one in found)
    size = in_words(sum(one.size_bytes for one in found))
    words = (
        f"{_count(len(found))} that no section names ({size}): {ours} with names like ours, {len(found) - ours} others"
    )
    remedy = (
        "the daemon moves those like ours to quarantine once they are an hour old; others' belong elsewhere: "
        f"`find {config.spool.local} -newermt '-1 day'`, and --json lists all"
    )
    return warning("files", words, remedy, files=files)


def _missing(config: Config) -> Finding:
    try:
        found = list(itertools.islice(missing_files(config.database, config.spool.local), _MOST))
    except (RecbridgeError, OSError) as error:
        return unknown("sections", _why(error))
    if not found:
        return ok("sections", "each that is stored has its file", missing=[])
    missing = [
        {"recordId": one.key.record_id, "ruleId": one.key.rule_id, "file": one.key.file, "path": one.path}
        for one in found
    ]
    words = f"{_count(len(found))} of stored sections are not in the spool, as {found[0].path}"
    remedy = "is another disk mounted over them, or was something deleted by hand? bring them back from a backup"
    return failed("sections", words, remedy, missing=missing)


def _shown(found: Found) -> str:
    """A foreign file's name can hold somebody's name or number: of that the folder, and what it ends with."""
    if found.key is not None:
        return found.path
    folder, slash, name = found.path.rpartition("/")
    suffix = Path(name).suffix
    return f"{folder}{slash}*{suffix if suffix.isascii() and suffix.isprintable() else ''}"


def _count(found: int) -> str:
    return f"{found}{' or more' if found == _MOST else ''} files"


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)
