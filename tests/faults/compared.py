"""Holds a run against one in which nothing went wrong."""

from collections import Counter
from typing import Any

from tests.faults.seen import BEGIN_S, Seen

_ENTRY = ("userName", "inbound", "internal", "number", "name", "extension", "result", "via", "viaDetails")


def compare(seen: Seen, undisturbed: Seen, unreached: int) -> list[str]:
    """What differs from a run in which nothing went wrong, but for what happened while the daemon was away.

    Of that it can know only what is left to be seen when it is back: who talks to whom then, and what has ended.
    """
    faults = []
    mine, theirs = _sections(seen), _sections(undisturbed)
    less = sum(theirs.values()) - sum(mine.values())
    if not 0 <= less <= unreached + _splits(seen) or (less == 0 and not _blurred(seen) and mine != theirs):
        faults.append(f"sections {dict(mine)}, undisturbed {dict(theirs)}; {unreached} talks could not be had")
    entries, wanted = _entries(seen), _entries(undisturbed)
    if _blurred(seen):
        users = {entry[0] for entry in entries}
        spoke = {party for talk in seen.truth.talks if not seen.unseen(talk)
                 for one in talk.stretches for party in one.legs.values()}  # fmt: skip
        faults += [f"the journal lacks {user}" for user in {entry[0] for entry in wanted} & spoke - users]
    else:
        faults += [f"the journal lacks {entry}" for entry in wanted - entries]
        faults += [f"the journal has {entry}, undisturbed it has not" for entry in entries - wanted]
    return faults


def _splits(seen: Seen) -> int:
    """How many sections were as long as they may be while the daemon was away, or began too late to become so long."""
    if seen.section_s is None:
        return 0
    ends = [monitor.began + seen.section_s for monitor in seen.truth.monitors]
    short = [talk.ended - min(monitor.began for monitor in seen.truth.monitors) < seen.section_s + BEGIN_S
             for talk in seen.truth.talks if seen.absences and seen.truth.monitors]  # fmt: skip
    return sum(short) + sum(began - BEGIN_S < at < back + BEGIN_S for at in ends for began, back in seen.absences)


def _blurred(seen: Seen) -> bool:
    """Whether a talk began or ended, or somebody came into a queue, while the daemon was away."""
    moments = [at for talk in seen.truth.talks for one in talk.stretches for at in (one.began, one.ended)]
    return any(began - BEGIN_S < at < back + BEGIN_S for at in (*moments, *seen.joins) for began, back in seen.absences)


def _sections(seen: Seen) -> Counter[tuple[str, ...]]:
    """How many stored sections of each rule each record has; records are told by who talked."""
    who: dict[str, list[str]] = {}
    for entry in seen.journal:
        if entry["recordId"]:
            who.setdefault(entry["recordId"], []).append(str(entry["userName"]))
    found: Counter[tuple[str, ...]] = Counter()
    for record_id, ones in seen.records.items():
        for one in ones:
            if one["state"] == "stored":
                found[(*sorted(who.get(record_id, ["nobody"])), f"rule {one['ruleId']}")] += 1
    return found


def _entries(seen: Seen) -> Counter[tuple[Any, ...]]:
    return Counter((*(entry[name] for name in _ENTRY), bool(entry["recordId"])) for entry in seen.journal)
