"""Ways to the finished calls of a list: indexes that lead to few of them, or through them in the order of their starts.

Nothing is looked through as a whole that has more than FEW calls to look at.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.core.cdr_lists import CdrPlace, CdrSearch
from bridge.core.cdrs import CdrFilter, CdrOrder
from bridge.storage import cdrs, hearing
from bridge.storage.folding import folded
from bridge.storage.hearing import Condition, encodable
from bridge.storage.values import json_in, time_in

FEW = 1000
"""Where an index finds no more calls than these they are looked at; else calls are, in their order.

So many are looked at where they are counted one by one.
"""
_MANY = 50
"""More users than these are not gone through one by one."""

ORDERS = {CdrOrder.START: "cdrs.started_at", CdrOrder.END: "cdrs.ended_at", CdrOrder.TALKED: "cdrs.talked_s"}

_PHRASE = "SELECT rowid FROM cdr_search WHERE cdr_search MATCH ? ORDER BY rowid DESC LIMIT ?"
_EITHER = f"SELECT * FROM ({_PHRASE}) UNION SELECT * FROM ({{names}} LIMIT ?)"  # noqa: S608  # no values in it
_NUMBER = """
SELECT id FROM (SELECT id FROM cdrs INDEXED BY cdrs_source WHERE source_number = CAST(? AS TEXT) AND {bounds} LIMIT ?)
UNION
SELECT id FROM (SELECT id FROM cdrs INDEXED BY cdrs_destination
                WHERE destination_number = CAST(? AS TEXT) AND {bounds} LIMIT ?)
"""
_TALKED = "SELECT id FROM cdrs INDEXED BY cdrs_talked WHERE {talked} AND {bounds} LIMIT ?"
# The unary + keeps SQLite to the call's own rows.
_TOOK_PART = """
EXISTS (SELECT 1 FROM cdr_participants AS taking
        WHERE taking.cdr = cdrs.id AND +taking.identity IN ({texts}))
"""
_BY_PEOPLE = "source = 'user'"
_TAGGED = "EXISTS (SELECT 1 FROM cdr_tags WHERE cdr = cdrs.id AND tag = json_extract(?, '$') AND {source})"


@dataclass(frozen=True, slots=True)
class _Arm:
    """One way to calls: from where (with values for its question marks), under what condition, and where a call's start
    and number stand there."""

    source: str
    condition: Condition = ("1", [])
    start: str = "cdrs.started_at"
    number: str = "cdrs.id"
    given: Sequence[object] = ()


@dataclass(frozen=True, slots=True)
class Ways:
    """Arms that together lead to all that is looked for, under conditions that each call has to fulfil.

    Where `is_part` is set they lead only to some of it, as will do for counting up to a bound.
    """

    arms: Sequence[_Arm]
    checks: Condition
    is_part: bool = False

    def statement(
        self, columns: str, order: CdrOrder, *, newest_first: bool, limit: int, place: CdrPlace | None = None
    ) -> tuple[str, list[object]]:
        """The first `limit` calls after a place: what each is sorted by, its number and `columns` (`, a, b`)."""
        way, sign = ("DESC", "<") if newest_first else ("ASC", ">")
        arms: list[str] = []
        values: list[object] = []
        for arm in self.arms:
            by = arm.start if order is CdrOrder.START else ORDERS[order]
            parts = [arm.condition, self.checks]
            if place is not None:
                parts.append((f"({by}, {arm.number}) {sign} (?, ?)", [place.value, place.number]))
            where, bound = joined(parts)
            arms.append(f"SELECT {by} AS by, {arm.number} AS number{columns} FROM {arm.source} WHERE {where}")  # noqa: S608  # all bound
            values += [*arm.given, *bound]
        return f"{' UNION '.join(arms)} ORDER BY by {way}, number {way} LIMIT ?", [*values, limit]


@dataclass(frozen=True, slots=True)
class Probed:
    """What the indexes say of a search: `few` are numbers of calls among which all that is looked for is; where each
    finds too many, `some` are the newest ones of one."""

    few: Sequence[int] | None
    some: Sequence[int] | None


def ways(connection: sqlite3.Connection, search: CdrSearch, order: CdrOrder, probed: Probed | None = None) -> Ways:
    """The shortest ones to all that is looked for. `probed` is `probe` of the same."""
    checks = joined(_checks(search))
    probed = probed or probe(connection, search, order)
    if probed.few is not None:
        return Ways([_listed(probed.few)], checks)
    arms = _arms(search) if order is CdrOrder.START else []
    return Ways(arms or [_Arm("cdrs")], checks)


def way_to_some(connection: sqlite3.Connection, search: CdrSearch, probed: Probed | None = None) -> Ways:
    """One to no more than FEW calls that are looked at, the newest ones where there are more."""
    checks = joined(_checks(search))
    probed = probed or probe(connection, search)
    if probed.few is not None:
        return Ways([_listed(probed.few)], checks)
    arms, some = _arms(search), probed.some
    if arms or some is None:
        looked = Ways(arms or [_Arm("cdrs", _bounds(search.wanted, "cdrs.started_at"))], ("1", []))
        if not arms and not _is_narrow(search):
            # What is left can be asked of an index by SQLite itself.
            looked = Ways(looked.arms, checks)
        sql, values = looked.statement("", CdrOrder.START, newest_first=True, limit=FEW + 1)
        some = [number for _, number in connection.execute(sql, values)]
    return Ways([_listed(some[:FEW])], checks, is_part=len(some) > FEW)


def _is_narrow(search: CdrSearch) -> bool:
    """Whether what no index in the order of the starts knows has to hold."""
    wanted = search.wanted
    told = replace(wanted, since=None, until=None, direction=None, status=None, recorded=None, queue=None)
    return search.visible_to is not None or told != CdrFilter() or wanted.heard_by is not None


def probe(connection: sqlite3.Connection, search: CdrSearch, order: CdrOrder = CdrOrder.START) -> Probed:
    """Ask the indexes."""
    is_by_number = order is not CdrOrder.START or not _arms(search)
    few: list[int] | None = None
    some: list[int] | None = None
    for sql, values, is_newest in _probes(search.wanted, is_by_number=is_by_number):
        found = [number for (number,) in connection.execute(sql, values)]
        if len(found) > FEW:
            some = found if is_newest else some
        elif few is None or len(found) < len(few):
            few = found
    return Probed(few, some)


def joined(conditions: Iterable[Condition]) -> Condition:
    """All of them hold."""
    parts = list(conditions)
    return " AND ".join(f"({sql})" for sql, _ in parts), [value for _, values in parts for value in values]


def _listed(numbers: Sequence[int]) -> _Arm:
    return _Arm("json_each(?) AS given CROSS JOIN cdrs ON cdrs.id = given.value", given=[json_in(numbers)])


def _bounds(wanted: CdrFilter, column: str = "started_at") -> Condition:
    bounds = ((">=", wanted.since), ("<", wanted.until))
    parts: list[Condition] = [(f"{column} {sign} ?", [time_in(at)]) for sign, at in bounds if at is not None]
    return joined(parts) if parts else ("1", [])


def _probes(wanted: CdrFilter, *, is_by_number: bool) -> Iterator[tuple[str, list[object], bool]]:
    """What gives numbers of calls, with others or not, among which all that is looked for is, if there are few.

    Each with whether it gives the newest ones first.
    """
    bounds, since = _bounds(wanted)
    name = cdrs.found_by_phrase(folded(wanted.name))
    if name is not None:
        yield _PHRASE, [name, FEW + 1], True
    text = folded(wanted.search)
    phrase = cdrs.found_by_phrase(text)
    if phrase is not None:
        named = cdrs.names_found(text, wanted.heard_by)
        if named is None:
            yield _PHRASE, [phrase, FEW + 1], True
        else:
            # The names of recordings are in another index.
            yield _EITHER.format(names=named[0]), [phrase, FEW + 1, *named[1], FEW + 1], False
    if wanted.number is not None:
        _, known, phrase = cdrs.number_check(wanted.number)
        if _is_open(wanted.number):
            if phrase is not None:
                yield _PHRASE, [phrase, FEW + 1], True
        elif known and is_by_number:
            values = [known[0], *since, FEW + 1]
            yield _NUMBER.format(bounds=bounds), values * 2, False
    talked: list[Condition] = [
        (f"talked_s {sign} ?", [talked_s])
        for sign, talked_s in ((">=", wanted.min_talked_s), ("<=", wanted.max_talked_s))
        if talked_s is not None
    ]
    if talked:
        sql, values = joined(talked)
        yield _TALKED.format(talked=sql, bounds=bounds), [*values, *since, FEW + 1], False


def _is_open(number: str) -> bool:
    return number.startswith("_") or number.endswith("_")


def _arms(search: CdrSearch) -> list[_Arm]:
    wanted, visible_to = search.wanted, search.visible_to
    if wanted.user is not None:
        return [_of_identity(wanted.user, wanted)]
    for tag in wanted.call_tags[:1]:
        bounds = _bounds(wanted, "tagged.started_at")
        condition = joined([("tagged.tag = json_extract(?, '$')", [json_in(tag)]), bounds])
        source = "cdr_tags AS tagged INDEXED BY cdr_tags_tag CROSS JOIN cdrs ON cdrs.id = tagged.cdr"
        return [_Arm(source, condition, "tagged.started_at", "tagged.cdr")]
    if wanted.number is not None and not _is_open(wanted.number):
        known = encodable([wanted.number])
        return [
            _Arm(f"cdrs INDEXED BY cdrs_{side}", (f"{side}_number = CAST(? AS TEXT)", known))
            for side in ("source", "destination")
            if known
        ]
    if visible_to is not None and 0 < len(visible_to) <= _MANY:
        return [_of_identity(identity, wanted) for identity in visible_to]
    return []


def _of_identity(identity: str, wanted: CdrFilter) -> _Arm:
    known = encodable([identity])
    mine: Condition = ("taking.identity = CAST(? AS TEXT)", known) if known else ("0", [])
    source = "cdr_participants AS taking INDEXED BY cdr_participants_identity CROSS JOIN cdrs ON cdrs.id = taking.cdr"
    condition = joined([mine, _bounds(wanted, "taking.started_at")])
    return _Arm(source, condition, "taking.started_at", "taking.cdr")


def _checks(search: CdrSearch) -> Iterator[Condition]:
    """All that has to hold, for a row that is looked at anyway."""
    wanted = search.wanted
    if search.visible_to is not None:
        yield _took_part(search.visible_to)
    yield from cdrs.conditions(replace(wanted, search="", number=None, user=None, name="", call_tags=()))
    if wanted.user is not None:
        yield _took_part([wanted.user])
    if wanted.number is not None:
        sql, known, _ = cdrs.number_check(wanted.number)
        yield sql, known
    if wanted.name:
        yield cdrs.name_check(folded(wanted.name))
    if wanted.search:
        sql, values = cdrs.search_check(folded(wanted.search))
        named = cdrs.names_found(folded(wanted.search), wanted.heard_by) if values else None
        yield (sql, values) if named is None else (f"{sql} OR cdrs.id IN ({named[0]})", [*values, *named[1]])
    for tag in wanted.call_tags:
        yield _tagged(tag, wanted)


def _took_part(identities: Sequence[str]) -> Condition:
    known = encodable(identities)
    return _TOOK_PART.format(texts=hearing.marks(known)), known


def _tagged(tag: str, wanted: CdrFilter) -> Condition:
    if wanted.heard_by is None:
        return _TAGGED.format(source="1"), [json_in(tag)]
    heard, values = hearing.heard_tagged(tag, wanted.heard_by)
    return f"{_TAGGED.format(source=_BY_PEOPLE)} OR {heard}", [json_in(tag), *values]
