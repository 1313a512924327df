"""What is asked of finished calls: the query's fields, and the cursor with which a list goes on."""

import base64
import functools
import json
import zoneinfo
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.api.answers import InvalidFieldsError
from bridge.api.coverage import Moment
from bridge.api.validation import Fields
from bridge.core.access import Reader, visible_to
from bridge.core.cdr_lists import CdrPlace, CdrSearch, CdrWalk
from bridge.core.cdrs import CdrFilter, CdrNumber, CdrOrder
from bridge.core.ids import Identity
from bridge.core.records import CallStatus

_LEAST = 3
"""So many characters a search needs: pieces of three are what its index holds."""
_LARGEST = 2**63 - 1

_ORDERS = {"start": CdrOrder.START, "end": CdrOrder.END, "talked": CdrOrder.TALKED}

Order = Literal["-start", "start", "-end", "end", "-talked", "talked"]
_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Part = Annotated[str, Field(min_length=_LEAST, max_length=200)]
_Seconds = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]


def _number(text: str) -> str:
    if (text.startswith("*") or text.endswith("*")) and len(text.strip("*")) < _LEAST:
        raise ValueError(f"it needs {_LEAST} digits beside the *")
    return text


def _tags(text: str) -> str:
    if "" in text.split(","):
        raise ValueError("it should be tags with commas between them")
    return text


class CdrFields(Fields):
    """Which finished calls; all that is given has to hold.

    They began from `from` to before `until`. `search` is looked for in names, numbers, what was dialled and the names
    of recordings, `name` in names alone, both whatever the case. `number` is one of the two numbers; a `*` at its
    beginning or end stands for any digits. `user` is an identity that took part, `tag` one or more with commas between
    them, all of which the call has, `recorded` whether there is a recording that the reader may hear, also a deleted
    one. `minS` and `maxS` are bounds of the talking. Blocked calls are left out unless `status` asks for them.
    """

    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Moment | None = None
    search: _Part | None = None
    number: Annotated[_Text, AfterValidator(_number)] | None = None
    name: _Part | None = None
    user: _Text | None = None
    queue: _Text | None = None
    direction: Literal["inbound", "outbound", "internal"] | None = None
    status: CallStatus | None = None
    tag: Annotated[_Text, AfterValidator(_tags)] | None = None
    recorded: Literal["true", "false"] | None = None
    min_s: Annotated[_Seconds | None, Field(alias="minS")] = None
    max_s: Annotated[_Seconds | None, Field(alias="maxS")] = None


class CdrsQuery(CdrFields):
    """`order` is by the start, the end or the seconds talked, with a `-` the highest first; `cursor` is the last
    answer's `next`, with the same order. `format=csv` gives all that is found, not a part.
    """

    order: Order = "-start"
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str, Field(max_length=200)] | None = None
    format: Literal["json", "csv"] = "json"


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("it should be a time zone like Europe/Berlin")
    return name


class CdrDaysQuery(CdrFields):
    """`zone` is where the days begin at midnight."""

    zone: Annotated[str, AfterValidator(_zone)] = "UTC"


def search_of(query: CdrFields, reader: Reader) -> CdrSearch:
    """What a reader looks for. Nothing is found for a user whom it may not see."""
    mine = visible_to(reader)
    unseen = query.user is not None and not reader.sees((Identity(query.user),))
    number = query.number
    if number is not None:
        number = ("_" if number.startswith("*") else "") + number.strip("*") + ("_" if number.endswith("*") else "")
    wanted = CdrFilter(
        since=query.since,
        until=query.until,
        search=query.search or "",
        number=number,
        name=query.name or "",
        user=None if query.user is None else Identity(query.user),
        queue=query.queue,
        direction=query.direction,
        status=query.status,
        call_tags=tuple(dict.fromkeys(query.tag.split(","))) if query.tag else (),
        recorded=None if query.recorded is None else query.recorded == "true",
        min_talked_s=query.min_s,
        max_talked_s=query.max_s,
        heard_by=None if mine is None else tuple(mine),
        numbers=() if unseen else None,
    )
    return CdrSearch(wanted, mine)


def walk_of(query: CdrsQuery, reader: Reader) -> CdrWalk:
    """Which part of a list is wanted. Raises InvalidFieldsError."""
    place = None if query.cursor is None else _place(query.cursor, query.order)
    order = _ORDERS[query.order.removeprefix("-")]
    return CdrWalk(search_of(query, reader), order, query.order.startswith("-"), query.limit, place)


def cursor_of(place: CdrPlace, order: Order) -> str:
    """A place in a list as clients give it back; what is in it is nobody's business but ours."""
    kept = json.dumps([order, place.value, place.number], separators=(",", ":"))
    return base64.urlsafe_b64encode(kept.encode()).decode().rstrip("=")


def _place(cursor: str, order: Order) -> CdrPlace:
    try:
        kept = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        of, value, number = kept
        known = type(value) in (int, float) and type(number) is int and abs(value) <= _LARGEST
        if not known or not 0 < number <= _LARGEST or of != order:
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        words = "it should be the `next` of an answer, with the order that this one had"
        raise InvalidFieldsError("the query is not as it should be", {"cursor": words}) from None
    return CdrPlace(value, CdrNumber(number))
