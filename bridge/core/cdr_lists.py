"""Finished calls as people look through them: a part of the list after a place in it, how many there are of which kind.

However many are found, a list answers as soon: what would take long to count is counted up to a bound, and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from bridge.core.cdrs import CdrFilter, CdrNumber, CdrOrder, KeptCdr
from bridge.core.ids import Identity

FACETS = ("direction", "status", "recorded", "queue", "user", "tag")
"""By what a list is counted. `recorded` has the values `true` and `false`."""
MOST_VALUES = 100
"""Of a facet so many values are told, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class CdrPlace:
    """A place in a sorted list: that of the call with this number and this value of what it is sorted by.

    Values are the store's: they are given back as they came.
    """

    value: int | float
    number: CdrNumber


LIST_ORDERS = (CdrOrder.START, CdrOrder.END, CdrOrder.TALKED)
"""What a list can be gone through by."""


@dataclass(frozen=True, slots=True)
class CdrSearch:
    """What a list shows: what `wanted` finds of the calls that one of `visible_to` took part in (None: of all)."""

    wanted: CdrFilter
    visible_to: Sequence[Identity] | None = None


@dataclass(frozen=True, slots=True)
class CdrWalk:
    """A part of a list, sorted by one of LIST_ORDERS and then by number: up to `limit` calls, those after `place`.

    Where it is not `counted` nobody wants to know how many there are in all.
    """

    search: CdrSearch
    order: CdrOrder = CdrOrder.START
    newest_first: bool = True
    limit: int = 50
    place: CdrPlace | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Count:
    """How many; where it is not `exact` there are at least so many."""

    calls: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class CdrPart:
    """A part of a list. `next` is the place after which it goes on, None at the end.

    `total` are all calls that the reader may see, `filtered` those that are found; both 0 where they are not counted.
    """

    items: Sequence[KeptCdr]
    next: CdrPlace | None
    total: int
    filtered: Count


@dataclass(frozen=True, slots=True)
class CdrFacets:
    """How many calls of what is found have which value, by the names of FACETS, the most frequent values first.

    `bounded` are the facets that are not exact: of those each value has at least so many calls.
    """

    counts: Mapping[str, Mapping[str, int]]
    bounded: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class CdrDay:
    """How many of the found calls began on a day, and how many of them have a recording."""

    day: date
    calls: int
    recorded: int


@dataclass(frozen=True, slots=True)
class CdrDays:
    """Days with calls, in their order. Where it is not `exact`, there are at least so many."""

    items: Sequence[CdrDay]
    exact: bool = True


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """The MOST_VALUES values that are there most often, those first; of one count by the alphabet."""
    some = sorted(((value, count) for value, count in counts.items() if count), key=lambda one: (-one[1], one[0]))
    return dict(some[:MOST_VALUES])
