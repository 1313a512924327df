"""Room: how long the disk lasts as things go, and whether retention makes some before."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from bridge.core.space import Space, in_words
from bridge.doctor.findings import Finding, Ground, failed, ok, unknown, warning
from bridge.storage.figures import Figures

_ENDS = timedelta(hours=24)
_SHORT = timedelta(days=7)
_SEEN_COMING = timedelta(days=60)
"""Where the disk is full before retention frees anything."""
_DAY_S = 86_400.0
_FEW_INODES = 0.05
_ROOM = "make room or a larger disk; `retention: keep` or a rule's `keep` says how long recordings stay"


def look(ground: Ground, figures: Figures | None) -> Sequence[Finding]:
    """Of the spool's disk, and of the database's where that is another; `figures` None where they are not to be had."""
    config = ground.config
    try:
        room = os.statvfs(config.spool.local)
        own = os.statvfs(config.database.parent)
    except OSError as error:
        return [unknown(code, f"{error.filename}: {error.strerror}") for code in ("disk", "inodes")]
    return [_disk(ground, room, own, figures), _inodes(room, config.spool.local)]


def _disk(ground: Ground, room: os.statvfs_result, own: os.statvfs_result, figures: Figures | None) -> Finding:
    code = "disk"
    space = _space(room)
    values: dict[str, float | int | None] = {"freeBytes": space.free_bytes, "totalBytes": space.total_bytes}
    if not space.total_bytes:
        return unknown(code, "the spool's disk tells no size")
    left = f"{in_words(space.free_bytes)} of {in_words(space.total_bytes)} left"
    keeps = ground.config.spool.low_space.of(space)
    if space.free_bytes < keeps:
        return warning(code, f"{left}, less than `spool: low_space`", _ROOM, **values)
    database = _space(own)
    if database.total_bytes and database.free_bytes < 64 * 2**20:
        return failed(
            code, f"the database's disk has {in_words(database.free_bytes)} left", "make room there", **values
        )
    if figures is None:
        return unknown(code, f"{left}; how much is recorded a day only the database knows")
    per_day = _bytes_a_day(ground, figures)
    values |= {"bytesADay": round(per_day)}
    if not per_day:
        return ok(code, f"{left}, and nothing was recorded in the last week", **values)
    lasts = timedelta(seconds=min((space.free_bytes - keeps) / per_day * _DAY_S, 10**10))
    values |= {"lastsS": round(lasts.total_seconds())}
    words = f"{left}: {_long(lasts)} at {in_words(round(per_day))} a day"
    frees = None
    if figures.next_expiry is not None:
        frees = max(figures.next_expiry - ground.clock(), timedelta(0))
        values |= {"freesInS": round(frees.total_seconds())}
        words += f"; retention frees the first in {_long(frees)}"
    before = frees is not None and frees < lasts
    if lasts < _ENDS and not before:
        return failed(code, words, _ROOM, **values)
    if lasts < _SHORT or (lasts < _SEEN_COMING and frees is not None and not before):
        return warning(code, words, _ROOM, **values)
    return ok(code, words, **values)


def _bytes_a_day(ground: Ground, figures: Figures) -> float:
    """Of today or of the last week, whichever was more; a recbridge that is younger is not counted as idle before."""
    age_s = _DAY_S if figures.began_at is None else (ground.clock() - figures.began_at).total_seconds()
    week = figures.week_bytes / min(max(age_s / _DAY_S, 1.0), 7.0)
    return max(float(figures.day_bytes), week)


def _inodes(room: os.statvfs_result, spool: Path) -> Finding:
    if not room.f_files:
        return ok("inodes", "the spool's disk has no fixed number of files")
    share = room.f_favail / room.f_files
    words = f"room for {room.f_favail:,} more files ({share:.0%})"
    values = {"free": room.f_favail, "total": room.f_files}
    remedy = f"`du --inodes -x -d 2 {spool} | sort -n | tail` names the folders with most; delete what is not needed"
    if room.f_favail < 100:
        return failed("inodes", words, remedy, **values)
    if share < _FEW_INODES:
        return warning("inodes", words, remedy, **values)
    return ok("inodes", words, **values)


def _space(room: os.statvfs_result) -> Space:
    return Space(room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize)


def _long(length: timedelta) -> str:
    """`31 hours`, `12 days`, `4 years`."""
    hours = length.total_seconds() / 3600
    if hours < 72:
        return f"{hours:.0f} hours"
    return f"{hours / 24:.0f} days" if hours < 24 * 730 else f"{hours / 24 / 365:.0f} years"
