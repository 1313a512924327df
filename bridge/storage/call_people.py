"""What has a person erased from the parties of calls, and from what people have put on calls.

Of a call that the person was in all notes go, and all tags that people have put on it: they are free text about that
call. Elsewhere go those that hold a number or name of the person; what it has written itself stays, by nobody.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bridge.core.erasure import Person
from bridge.core.erasure_of_notes import holds, without_in_party
from bridge.core.ids import CallId
from bridge.storage.database import SqliteStore
from bridge.storage.parties import PARTIES, REWRITE_PARTY, party_of
from bridge.storage.values import Row, text_in, texts_in

_NUMBERS = "SELECT number FROM cdr_parties WHERE cdr = ? AND number <> ''"
_END_NOTES = "DELETE FROM cdr_notes WHERE cdr = :cdr"
_END_TAGS = "DELETE FROM cdr_tags WHERE cdr = :cdr AND source = 'user'"
_ALL_NOTES = """
SELECT cdr_notes.cdr, cdr_notes.id, cdr_notes.text, cdrs.call_id FROM cdr_notes JOIN cdrs ON cdrs.id = cdr_notes.cdr
ORDER BY cdr_notes.id
"""
_ALL_TAGS = """
SELECT cdr_tags.cdr, cdr_tags.tag AS text, cdrs.call_id FROM cdr_tags JOIN cdrs ON cdrs.id = cdr_tags.cdr
WHERE by >= '' AND source = 'user' ORDER BY cdr_tags.cdr, cdr_tags.tag
"""
_END_NOTE = "DELETE FROM cdr_notes WHERE id = CAST(:id AS TEXT)"
_END_TAG = "DELETE FROM cdr_tags WHERE cdr = :cdr AND tag = CAST(:tag AS TEXT) AND source = 'user'"
_FORGET_AUTHOR = "UPDATE cdr_notes SET by = '' WHERE by = CAST(:identity AS TEXT)"
_FORGET_TAGGER = "UPDATE cdr_tags SET by = '' WHERE by = CAST(:identity AS TEXT) AND source = 'user'"
# Also of tags that were taken off again.
_ALL_TAG_FACTS = """
SELECT number, call_id, value AS text FROM facts JOIN fact_personal ON fact = number
WHERE kind IN ('call.tagged', 'call.untagged') AND fact_personal.name = 'tag' AND value IS NOT NULL ORDER BY number
"""

Statements = list[tuple[str, Sequence[Row]]]


async def numbers_of(store: SqliteStore, cdrs: Iterable[int]) -> frozenset[str]:
    """The numbers of all that were in these calls. Raises StoreError."""
    return frozenset([row["number"] for cdr in cdrs for row in await store.select(_NUMBERS, cdr)])


async def erasing_from_calls(store: SqliteStore, cdrs: Sequence[int], person: Person) -> Statements:
    """What has a person erased from calls that it was in. Raises StoreError."""
    found = []
    for cdr in cdrs:
        for row in await store.select(PARTIES, cdr):
            party = party_of(row)
            without = without_in_party(party, person)
            if without != party:
                values = {"name": without.name, "number": without.number, "identity": without.identity}
                found.append(texts_in({"cdr": cdr, "position": row["position"], **values}))
    those: list[Row] = [{"cdr": cdr} for cdr in cdrs]
    return [(REWRITE_PARTY, found), (_END_NOTES, those), (_END_TAGS, those)]


class Naming(NamedTuple):
    """Rows that hold a person: notes, people's tags, and facts about such tags."""

    notes: Sequence[sqlite3.Row]
    tags: Sequence[sqlite3.Row]
    facts: Sequence[sqlite3.Row]

    def calls(self) -> list[CallId]:
        """The calls that these are about."""
        return sorted({CallId(row["call_id"]) for row in [*self.notes, *self.tags, *self.facts]})


async def naming(store: SqliteStore, person: Person) -> Naming:
    """What people have written about any calls that holds the person. Raises StoreError."""
    notes, tags, facts = [
        [row for row in await store.select(sql) if holds(row["text"], person)]
        for sql in (_ALL_NOTES, _ALL_TAGS, _ALL_TAG_FACTS)
    ]
    return Naming(notes, tags, facts)


def erasing_elsewhere(found: Naming, person: Person, erase_fact: str) -> Statements:
    """What has these go, and the person's own be by nobody; `erase_fact` erases a personal value."""
    statements: Statements = [
        (_END_NOTE, [{"id": text_in(row["id"])} for row in found.notes]),
        (_END_TAG, [{"cdr": row["cdr"], "tag": text_in(row["text"])} for row in found.tags]),
        (erase_fact, [{"fact": row["number"], "name": "tag"} for row in found.facts]),
    ]
    if person.identity is not None:
        whose: list[Row] = [{"identity": text_in(person.identity)}]
        statements += [(_FORGET_AUTHOR, whose), (_FORGET_TAGGER, whose)]
    return statements
