"""The machine: its clock, Python and libraries, and where exports lie."""

import ctypes
import os
import re
import stat
import sys
from collections.abc import Sequence
from importlib import metadata

from bridge.core.space import in_words
from bridge.doctor.findings import AS_ROOT, Finding, Ground, failed, ok, unknown, warning

_UNSYNCHRONISED = 0x0040  # STA_UNSYNC of <sys/timex.h>
_TIMEX_BYTES = 512
_STATUS_AT = {8: 40, 4: 20}
"""Where `status` stands in struct timex, by the size of a long (seen in <sys/timex.h>)."""
_OPERATORS = re.compile(r"(==|>=|<=|!=|<|>|~=)\s*([0-9][0-9.]*)")


def clock_status() -> int | None:
    """The kernel's `status` of its clock by adjtimex(2), which changes nothing with modes 0; None where it may not."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return None
    at = _STATUS_AT[ctypes.sizeof(ctypes.c_long)]
    return int.from_bytes(timex.raw[at : at + 4], sys.byteorder)


def clock(status: int | None) -> Finding:
    """Whether something keeps it right: a step makes lengths and times of recordings wrong."""
    if status is None:
        return unknown("clock", "the kernel does not tell of its clock (adjtimex)", "`timedatectl` shows it")
    if status & _UNSYNCHRONISED:
        remedy = "`timedatectl set-ntp true`, or install chrony; in a container its host's clock counts"
        return warning("clock", "nothing synchronises this machine's clock", remedy)
    return ok("clock", "this machine's clock is synchronised")


def python() -> Sequence[Finding]:
    """Versions, against what recbridge asks for."""
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        wanted = metadata.requires("recbridge") or []
    except metadata.PackageNotFoundError:
        return [unknown("python", f"Python {version}; recbridge is not installed as a package")]
    found: dict[str, str] = {}
    wrong: list[str] = []
    for line in wanted:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        if name is None or "extra ==" in line:
            continue
        try:
            found[name[0]] = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            wrong.append(f"{name[0]} is missing")
            continue
        if not fits(found[name[0]], line[name.end() :]):
            wrong.append(f"{name[0]} {found[name[0]]} instead of {line[name.end() :].strip()}")
    if wrong:
        remedy = f"`{sys.executable} -m pip install --upgrade recbridge`, then `systemctl restart recbridge`"
        return [failed("python", f"Python {version}: {'; '.join(wrong)}", remedy, python=version, libraries=found)]
    words = f"Python {version}, panoramisk {found.get('panoramisk')}, and all libraries as asked for"
    return [ok("python", words, python=version, libraries=found)]


def fits(version: str, wanted: str) -> bool:
    """Whether a version is one of those that are asked for.

    >>> fits("0.22.1", ">=0.20,<0.23"), fits("1.5", "==1.4"), fits("1.4", "==1.4"), fits("2", "")
    (True, False, True, True)
    """
    have = _numbers(version)
    for operator, text in _OPERATORS.findall(wanted.partition(";")[0]):
        want = _numbers(text)
        here = (have + (0,) * len(want))[: max(len(want), len(have))]
        want += (0,) * (len(here) - len(want))
        holds = {
            "==": here == want,
            "!=": here != want,
            ">=": here >= want,
            "<=": here <= want,
            "<": here < want,
            ">": here > want,
            "~=": here >= want,
        }
        if not holds[operator]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(map(int, found[0].split("."))) if found is not None else ()


def exports(ground: Ground, count: int | None) -> Finding:
    """The folder of zips: others must not read it."""
    folder = ground.config.database.parent / "exports"
    known = "" if count is None else f", the database knows {count}"
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
        sizes = [one.stat().st_size for one in os.scandir(folder)]
    except FileNotFoundError:
        return ok("exports", f"none were made{known}")
    except OSError as error:
        return unknown("exports", f"{error.filename}: {error.strerror}", AS_ROOT)
    words = f"{len(sizes)} files, {in_words(sum(sizes))}{known}"
    values = {"files": len(sizes), "bytes": sum(sizes)}
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warning(
            "exports", f"{words}; others may look into it (mode {mode:04o})", f"`chmod 700 {folder}`", **values
        )
    return ok("exports", words, **values)
