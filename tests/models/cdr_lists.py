"""Lists of finished calls, the obvious way: look at each call."""

from collections import Counter
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from bridge.core.cdr_lists import (
    CdrDay,
    CdrDays,
    CdrFacets,
    CdrPart,
    CdrPlace,
    CdrSearch,
    CdrWalk,
    Count,
    most_frequent,
)
from bridge.core.cdrs import CdrOrder, CdrQuery, KeptCdr
from bridge.storage.values import time_in
from tests.models import cdrs


def _found(calls: Sequence[KeptCdr], search: CdrSearch, order: CdrOrder, *, newest_first: bool) -> Sequence[KeptCdr]:
    return cdrs.page(calls, CdrQuery(search.wanted, search.visible_to, order, newest_first)).items


def _place(one: KeptCdr, order: CdrOrder) -> CdrPlace:
    times = {CdrOrder.START: one.cdr.started_at, CdrOrder.END: one.cdr.ended_at}
    value = time_in(times[order]) if order in times else one.cdr.talked_s
    assert value is not None
    return CdrPlace(value, one.number)


def part(calls: Sequence[KeptCdr], walk: CdrWalk) -> CdrPart:
    found = _found(calls, walk.search, walk.order, newest_first=walk.newest_first)
    rest = found
    if walk.place is not None:
        after = (walk.place.value, walk.place.number)
        places = [(_place(one, walk.order).value, one.number) for one in found]
        is_later = [place < after if walk.newest_first else place > after for place in places]
        rest = [one for one, later in zip(found, is_later, strict=True) if later]
    some = rest[: walk.limit]
    last = _place(some[-1], walk.order) if some and len(rest) > walk.limit else None
    if not walk.counted:
        return CdrPart(some, last, 0, Count(0))
    visible_to = walk.search.visible_to
    visible = [one for one in calls if visible_to is None or set(visible_to) & set(one.cdr.participants)]
    return CdrPart(some, last, len(visible), Count(len(found)))


def facets(calls: Sequence[KeptCdr], search: CdrSearch) -> CdrFacets:
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("direction", "status", "recorded", "queue", "user", "tag")
    }
    for one in _found(calls, search, CdrOrder.START, newest_first=True):
        heard = cdrs.recordings_heard(one, search.wanted.heard_by)
        counts["direction"][one.cdr.direction] += 1
        counts["status"][one.cdr.status.value] += 1
        counts["recorded"]["true" if heard else "false"] += 1
        counts["queue"].update([one.cdr.queue] if one.cdr.queue else [])
        seen = search.visible_to
        counts["user"].update(user for user in set(one.cdr.participants) if seen is None or user in seen)
        counts["tag"].update(cdrs.tags_of(one, heard))
    return CdrFacets({name: most_frequent(values) for name, values in counts.items()})


def days(calls: Sequence[KeptCdr], search: CdrSearch, zone: ZoneInfo) -> CdrDays:
    found = _found(calls, search, CdrOrder.START, newest_first=True)
    day = {one.number: one.cdr.started_at.astimezone(zone).date() for one in found}
    began = Counter(day.values())
    recorded = Counter(day[one.number] for one in found if cdrs.recordings_heard(one, search.wanted.heard_by))
    return CdrDays([CdrDay(one, count, recorded[one]) for one, count in sorted(began.items())])
