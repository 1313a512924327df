"""Finished calls as they are searched: the SQL that a filter is made into. What is asked for is bound, never text."""

import itertools
import re
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from bridge.core.cdrs import NAME_PART, CdrFilter, CdrNumber, CdrNumbers, CdrOrder, CdrPage, CdrQuery, KeptCdr
from bridge.core.ids import Identity
from bridge.core.records import CallStatus, Section
from bridge.storage import accounts, hearing, rows
from bridge.storage.folding import folded, phrase
from bridge.storage.hearing import Condition, encodable, marks
from bridge.storage.statements import SECTIONS
from bridge.storage.values import bytes_of, json_in, text_in, text_out, time_in

_LARGEST = 2**63 - 1
_TELLING = 9
"""Of a text it is the last characters that an index is asked for: numbers begin alike by the hundred thousand."""
_MERGE_PAGES = 100
_LEAST_CHANGES = 2
_MERGE_SOME = (
    "INSERT INTO cdr_search (cdr_search, rank) VALUES ('merge', 16)",
    "INSERT INTO recording_search (recording_search, rank) VALUES ('merge', 16)",
)

_FOUND = "SELECT rowid FROM cdr_search WHERE cdr_search MATCH ?"
_IN_A_NAME = re.compile(rf"[-0-9a-ftuwv_.]{{{NAME_PART},}}")
_INSIDE = """
dialed <> '' AND (direction = 'internal' OR (destination_identity IS NOT NULL AND dialed = destination_number)
    OR dialed IN (SELECT CAST(value AS TEXT) FROM json_each(?)) OR dialed IN ({texts}))
"""
_TOOK_PART = "cdrs.id IN (SELECT cdr FROM cdr_participants WHERE identity IN ({texts}))"
# Of the calls of one user with one other side the last. Of a caller the other side is what it dialled.
_LAST_WITH_PEER = """
cdrs.id IN (SELECT max(taken.cdr) FROM cdr_participants AS taken JOIN cdrs AS others ON others.id = taken.cdr
            {whose}
            GROUP BY taken.identity,
                     CASE WHEN taken.identity = others.source_identity THEN others.dialed ELSE others.source_number END)
"""

_ORDERS = {
    CdrOrder.START: "started_at",
    CdrOrder.END: "ended_at",
    CdrOrder.ANSWER: "answered_at",
    CdrOrder.DURATION: "ended_at - answered_at",
    CdrOrder.DIRECTION: "direction",
    CdrOrder.SOURCE: "source_number",
    CdrOrder.DESTINATION: "destination_number",
    CdrOrder.SOURCE_NAME: "source_name",
    CdrOrder.DESTINATION_NAME: "destination_name",
    CdrOrder.DIALED: "dialed",
    CdrOrder.CONTEXT: "context",
    CdrOrder.CALL: "call_id",
    CdrOrder.TALKED: "talked_s",
}

LISTS = """
(SELECT json_group_array(record_id) FROM
    (SELECT record_id FROM cdr_records WHERE cdr = cdrs.id ORDER BY position)) AS record_ids,
(SELECT json_group_array(identity) FROM
    (SELECT identity FROM cdr_participants WHERE cdr = cdrs.id ORDER BY position)) AS participants
"""
CDR = f"SELECT cdrs.*, {LISTS} FROM cdrs WHERE id = ?"
RECORDINGS = f"""
{SECTIONS} WHERE sections.cdr IN (SELECT value FROM json_each(?)) AND {hearing.RECORDINGS}
ORDER BY coalesce(started_at, requested_at), record_id, rule_id, file
"""
_USERS_TAGS = """
SELECT cdr, tag FROM cdr_tags WHERE cdr IN (SELECT value FROM json_each(?)) AND source = 'user' ORDER BY cdr, tag
"""
# From one name to the next: each user has thousands of rows.
IDENTITIES = """
WITH RECURSIVE known (identity) AS (
    SELECT min(identity) FROM cdr_participants
    UNION ALL
    SELECT (SELECT min(identity) FROM cdr_participants WHERE identity > known.identity) FROM known
    WHERE known.identity IS NOT NULL)
SELECT identity FROM known WHERE identity IS NOT NULL
"""


def page_of(condition: Condition, query: CdrQuery) -> tuple[str, list[object]]:
    """The statement for a page of what fits, and its values."""
    where, values = condition
    way = "DESC" if query.newest_first else "ASC"
    by = f"ORDER BY {_ORDERS[query.order]} {way}, cdrs.id {way}"
    found = f"SELECT id AS found FROM cdrs WHERE {where} {by} LIMIT ? OFFSET ?"
    sql = f"SELECT cdrs.*, {LISTS} FROM ({found}) JOIN cdrs ON cdrs.id = found {by}"
    return sql, [*values, *_part(query)]


def numbers_of(condition: Condition, query: CdrQuery) -> tuple[str, list[object]]:
    """The statement for the numbers alone of what fits, each with how many recordings there are, and its values."""
    where, values = condition
    way = "DESC" if query.newest_first else "ASC"
    heard, hears = hearing.counted(query.wanted.heard_by)
    sql = f"SELECT id, {heard} AS recordings FROM cdrs WHERE {where} ORDER BY {_ORDERS[query.order]} {way}, id {way}"
    return f"{sql} LIMIT ? OFFSET ?", [*hears, *values, *_part(query)]


def _part(query: CdrQuery) -> tuple[int, int]:
    """Limit and offset."""
    most = _LARGEST if query.limit is None else min(max(query.limit, 0), _LARGEST)
    return most, min(max(query.offset, 0), _LARGEST)


def filtered(
    wanted: CdrFilter, visible_to: Sequence[Identity] | None, condition: Condition
) -> tuple[str, list[object]]:
    """The statement that counts what the filter finds, and its values; `condition` is what it makes."""
    if visible_to is None and replace(wanted, status=None, recorded=None, direction=None) == CdrFilter():
        return _counted(condition)
    return _count_of(condition)


def total(visible_to: Sequence[Identity] | None) -> tuple[str, list[object]]:
    """The statement that counts what these may see, and its values."""
    return _counted(("1", [])) if visible_to is None else _count_of(visible(visible_to))


def _counted(condition: Condition) -> tuple[str, list[object]]:
    """Of what is asked of status, recorded and direction alone the counts are kept."""
    where, values = condition
    return f"SELECT coalesce(sum(count), 0) AS count FROM cdr_counts AS cdrs WHERE {where}", values


def _count_of(condition: Condition) -> tuple[str, list[object]]:
    where, values = condition
    return f"SELECT count(*) AS count FROM cdrs WHERE {where}", values


def visible(visible_to: Sequence[Identity] | None) -> Condition:
    """All that these may see."""
    return ("1", []) if visible_to is None else _took_part(visible_to)


def fits(wanted: CdrFilter, visible_to: Sequence[Identity] | None) -> Condition:
    """What the filter finds of what these may see."""
    parts = [visible(visible_to), *conditions(wanted)]
    if wanted.distinct_peer:
        parts.append(_last_with_peer(wanted.identities if wanted.identities is not None else visible_to))
    return " AND ".join(f"({sql})" for sql, _ in parts), [value for _, values in parts for value in values]


def conditions(wanted: CdrFilter) -> Iterable[Condition]:
    """What has to hold for a row of cdrs, each by itself."""
    if wanted.status is None:
        yield "status <> ?", [CallStatus.BLOCKED.value]
    else:
        yield "status = ?", [wanted.status.value]
    for sign, at in ((">=", wanted.since), ("<", wanted.until)):
        if at is not None:
            yield f"cdrs.started_at {sign} ?", [time_in(at)]
    for column, text in (
        ("direction", wanted.direction),
        ("call_id", wanted.call_id),
        ("dialed", wanted.dialed),
        ("context", wanted.context),
    ):
        if text is not None:
            yield _same(column, text)
    if wanted.inside is not None:
        # Bytes that are no valid UTF-8 have no JSON; and of the others there may be more than SQLite binds.
        bound = encodable(wanted.inside)
        others = [text for text in bound if isinstance(text, bytes)]
        yield _INSIDE.format(texts=marks(others)), [json_in([text for text in bound if isinstance(text, str)]), *others]
    if wanted.after is not None:
        # A client asks for what is new since the last time.
        yield ("unlikely(cdrs.id >= ?)", [max(wanted.after, -_LARGEST)]) if wanted.after <= _LARGEST else ("0", [])
    if wanted.numbers is not None:
        numbers = [number for number in wanted.numbers if abs(number) <= _LARGEST]
        yield "cdrs.id IN (SELECT value FROM json_each(?))", [json_in(numbers)]
    if wanted.number is not None:
        yield _with_number(wanted.number)
    if wanted.identities is not None:
        yield _took_part(wanted.identities)
    if wanted.recorded is not None:
        yield hearing.recorded(wanted.recorded, wanted.heard_by)
    for tag in wanted.tags:
        yield hearing.tagged(tag, wanted.heard_by)
    if wanted.search:
        yield _search(folded(wanted.search), wanted.heard_by)
    if wanted.queue is not None:
        # Word for word the condition of the index cdrs_queue.
        yield _bound("queue = CAST(? AS TEXT) AND queue <> ''" if wanted.queue else "queue = ?", wanted.queue)
    for sign, talked_s in ((">=", wanted.min_talked_s), ("<=", wanted.max_talked_s)):
        if talked_s is not None:
            # The unary + keeps SQLite from sorting all that its index has of this.
            yield f"+talked_s {sign} ?", [talked_s]
    if wanted.user is not None:
        yield _took_part((wanted.user,))
    if wanted.name:
        yield _named(folded(wanted.name))
    for tag in wanted.call_tags:
        yield _call_tagged(tag, wanted.heard_by)


def _bound(sql: str, text: str) -> Condition:
    """A condition on a text; no row holds one that no bytes can be."""
    known = encodable([text])
    return (sql, known) if known else ("0", [])


def _same(column: str, text: str) -> Condition:
    return _bound(f"{column} = CAST(? AS TEXT)", text)


def search_check(text: str) -> Condition:
    """A folded text is among what a call is found by, for a row that is looked at anyway."""
    return _bound("instr(CAST(found_by AS BLOB), CAST(? AS BLOB)) > 0", text)


def names_found(text: str, heard_by: Sequence[Identity] | None) -> Condition | None:
    """The numbers of the calls that have a recording with this folded text in its name; None where it is too short."""
    found = phrase(text.removesuffix(".wav")[-_TELLING:])
    if found is None or not _IN_A_NAME.fullmatch(text):
        return None
    return hearing.named(found, text, heard_by)


def found_by_phrase(text: str) -> str | None:
    """What the index of searches is asked for a folded text; None where it cannot be asked."""
    return phrase(text[-_TELLING:])


def _search(text: str, heard_by: Sequence[Identity] | None) -> Condition:
    looked_into, values = search_check(text)
    found = found_by_phrase(text)
    if found is None or not values:
        return looked_into, values
    sql, values = f"cdrs.id IN ({_FOUND}) AND {looked_into}", [found, *values]
    named = names_found(text, heard_by)
    return (sql, values) if named is None else (f"{sql} OR cdrs.id IN ({named[0]})", [*values, *named[1]])


def _named(text: str) -> Condition:
    """One of the two names holds the folded text."""
    sql, values = name_check(text)
    found = phrase(text[-_TELLING:])
    return (f"cdrs.id IN ({_FOUND}) AND {sql}", [found, *values]) if found is not None and values else (sql, values)


def name_check(text: str) -> Condition:
    """The same, for a row that is looked at anyway. The connection needs `set_up`."""
    known = encodable([text])
    if not known:
        return "0", []
    sql = "(holds_folded(CAST(source_name AS BLOB), ?) OR holds_folded(CAST(destination_name AS BLOB), ?))"
    return sql, [bytes_of(cast("str | bytes", known[0]))] * 2


def set_up(connection: sqlite3.Connection) -> None:
    """Give a connection what `name_check` asks."""
    connection.create_function("holds_folded", 2, _holds_folded, deterministic=True)


def _holds_folded(name: bytes, text: bytes) -> int:
    return int(text in bytes_of(text_in(folded(text_out(name))) or ""))


def _call_tagged(tag: str, heard_by: Sequence[Identity] | None) -> Condition:
    if heard_by is None:
        return "cdrs.id IN (SELECT cdr FROM cdr_tags WHERE tag = json_extract(?, '$'))", [json_in(tag)]
    sql, values = hearing.tagged(tag, heard_by)
    put = "cdrs.id IN (SELECT cdr FROM cdr_tags WHERE tag = json_extract(?, '$') AND source = 'user')"
    return f"{put} OR ({sql})", [json_in(tag), *values]


def _with_number(number: str) -> Condition:
    """One of the two numbers is the text, or where a `_` stands ends with it, begins with it, holds it."""
    sql, known, found = number_check(number)
    # Few calls are looked at: those with such a text in them, at the end of a line where there is no `_`.
    return (sql, known) if found is None else (f"cdrs.id IN ({_FOUND}) AND ({sql})", [found, *known])


def number_check(number: str) -> tuple[str, list[object], str | None]:
    """The same, for a row that is looked at anyway, with what the index can be asked for if that is possible."""
    text = number.removeprefix("_")
    open_start = text != number
    open_end = text.endswith("_")
    text = text.removesuffix("_")
    if not text and (open_start or open_end):
        return "1", [], None
    known = encodable([text])
    if not known:
        return "0", [], None
    # As bytes, which is what texts are compared by.
    if open_start and open_end:
        sql = "instr(CAST({column} AS BLOB), CAST(? AS BLOB)) > 0"
    elif open_start:
        sql = "substr(CAST({column} AS BLOB), -?) = CAST(? AS BLOB)"
        known = [len(text.encode("utf-8", "surrogateescape")), *known]
    elif open_end:
        sql = "instr(CAST({column} AS BLOB), CAST(? AS BLOB)) = 1"
    else:
        sql = "{column} = CAST(? AS TEXT)"
    sql, known = " OR ".join(sql.format(column=column) for column in ("source_number", "destination_number")), known * 2
    return sql, known, phrase(f"{_end(open_start)}{folded(text)}{_end(open_end)}"[-_TELLING:])


def _end(is_open: bool) -> str:
    return "" if is_open else "\n"


def _took_part(identities: Sequence[Identity]) -> Condition:
    known = encodable(identities)
    return _TOOK_PART.format(texts=marks(known)), known


def _last_with_peer(identities: Sequence[Identity] | None) -> Condition:
    if identities is None:
        return _LAST_WITH_PEER.format(whose=""), []
    known = encodable(identities)
    return _LAST_WITH_PEER.format(whose=f"WHERE taken.identity IN ({marks(known)})"), known


def merge_steps() -> Iterator[int]:
    """What `merge` is called with until it has nothing left to do: the first begins with all pieces."""
    yield -_MERGE_PAGES
    yield from itertools.repeat(_MERGE_PAGES)


def merge_some(connection: sqlite3.Connection) -> None:
    """A small step for both indexes, whose pieces would else become ever more."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _MERGE_SOME:
            connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def merge(connection: sqlite3.Connection, pages: int) -> bool:
    """A step; False where nothing was left to do (fewer than two changes, as fts5 says it)."""
    before = connection.total_changes
    connection.execute("INSERT INTO cdr_search (cdr_search, rank) VALUES ('merge', ?)", (pages,))
    return connection.total_changes - before >= _LEAST_CHANGES


def answer(connection: sqlite3.Connection, query: CdrQuery) -> CdrPage:
    """A page and its counts as of one moment. Blocks: call it in the connection's thread."""
    condition = fits(query.wanted, query.visible_to)
    set_up(connection)
    connection.execute("BEGIN")
    try:
        found = connection.execute(*page_of(condition, query)).fetchall()
        items = with_recordings(connection, found)
        ((many,),) = connection.execute(*filtered(query.wanted, query.visible_to, condition))
        ((of,),) = connection.execute(*total(query.visible_to))
    finally:
        connection.execute("COMMIT")
    return CdrPage(items, of, many)


def numbers(connection: sqlite3.Connection, query: CdrQuery) -> CdrNumbers:
    """All numbers and their counts as of one moment. Blocks: call it in the connection's thread."""
    condition, found, most = fits(query.wanted, query.visible_to), array("q"), 0
    set_up(connection)
    connection.execute("BEGIN")
    try:
        for number, recordings in connection.execute(*numbers_of(condition, query)):
            found.append(number)
            most = max(most, recordings)
        ((many,),) = connection.execute(*filtered(query.wanted, query.visible_to, condition))
        ((of,),) = connection.execute(*total(query.visible_to))
    finally:
        connection.execute("COMMIT")
    return CdrNumbers(cast("Sequence[CdrNumber]", found), most, of, many)


def one(connection: sqlite3.Connection, number: CdrNumber) -> KeptCdr | None:
    """A finished call. Blocks: call it in the connection's thread."""
    found = connection.execute(CDR, (number,)).fetchall() if abs(number) <= _LARGEST else []
    return next(iter(with_recordings(connection, found)), None)


def with_recordings(connection: sqlite3.Connection, found: Sequence[sqlite3.Row]) -> list[KeptCdr]:
    """Rows of cdrs with their lists, each with its recordings."""
    these = (json_in([row["id"] for row in found]),)
    sections: dict[int, list[Section]] = {}
    for row in connection.execute(RECORDINGS, these):
        sections.setdefault(row["cdr"], []).append(rows.section_of(row))
    tags: dict[int, list[str]] = {}
    for row in connection.execute(_USERS_TAGS, these):
        tags.setdefault(row["cdr"], []).append(row["tag"])
    return [
        KeptCdr(
            CdrNumber(row["id"]),
            accounts.cdr_of(row),
            tuple(sections.get(row["id"], ())),
            tuple(tags.get(row["id"], ())),
        )
        for row in found
    ]
