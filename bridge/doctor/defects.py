"""Versions of Asterisk, and what is known to go wrong in each: measured, or read in its source."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from bridge.doctor.findings import Finding, State, unknown

Version = tuple[int, int]
_VERSION = re.compile(r"(\d+)\.(\d+)")
_CODE = "asterisk-version"


@dataclass(frozen=True, slots=True)
class Defect:
    """Something that hurts recordings in the versions for which `holds` (major and minor, the whole version's text)."""

    holds: Callable[[Version, str], bool]
    state: State
    what: str
    remedy: str = ""


def _before(*fixed: Version) -> Callable[[Version, str], bool]:
    """In no branch is it there from these on; a branch without one is as the nearest below it."""

    def holds(version: Version, text: str) -> bool:  # noqa: ARG001  # as others
        branch = [one for one in fixed if one[0] == version[0]]
        return version < branch[0] if branch else version < min(fixed) or (fixed[0] < version < fixed[-1])

    return holds


_UPGRADE = "upgrade Asterisk to 18.18, 20.3, 22 or newer"

DEFECTS = (
    Defect(
        lambda version, _: version < (16, 0), State.FAILED, "recbridge was never tried on anything before 16", _UPGRADE
    ),
    Defect(
        _before((18, 18), (20, 3)),
        State.WARNING,
        "one MixMonitor cannot be muted by its ID: a pause stops the recording, and the next section begins when it is "
        "resumed",
        _UPGRADE,
    ),
    Defect(
        _before((16, 17), (18, 3)),
        State.WARNING,
        "no event tells that somebody else stopped a MixMonitor: only a file that does not grow shows it",
        _UPGRADE,
    ),
    Defect(
        _before((18, 26), (20, 11), (21, 6), (22, 1)),
        State.OK,
        "it sends recbridge all events, as it cannot filter them by name: more load on a busy PBX",
    ),
    Defect(
        lambda version, text: version >= (18, 0) and "dfsg" in text,
        State.OK,
        "Debian's patch for lost packets can lose a party's voice where a MixMonitor outlives a change of partner: "
        "recbridge begins a new section there, others' recordings (MixMonitor in the dialplan) suffer",
    ),
)
"""All that are known. What recbridge works around is `ok`, with the words."""


def major_of(text: str) -> int | None:
    """`22` of `22.10.1+dfsg`."""
    found = _VERSION.match(text.removeprefix("certified/").removeprefix("certified-"))
    return None if found is None else int(found[1])


def version_finding(text: str) -> Finding:
    """What `CoreSettings` says, like `22.10.1+dfsg+~cs6.17.60671434-1`; '' where it did not say."""
    found = _VERSION.match(text.removeprefix("certified/").removeprefix("certified-"))
    if found is None:
        return unknown(_CODE, f"Asterisk tells no version that is understood: {text!r}" if text else "it was not told")
    version = (int(found[1]), int(found[2]))
    known = [one for one in DEFECTS if one.holds(version, text)]
    worst = next((s for s in (State.FAILED, State.WARNING) if any(one.state is s for one in known)), State.OK)
    words = "; ".join((f"Asterisk {text}", *(one.what for one in known)))
    remedy = next((one.remedy for one in known if one.state is worst), "")
    return Finding(_CODE, worst, words, remedy, {"version": text})
