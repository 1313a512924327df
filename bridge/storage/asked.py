"""What the rules were asked, and which rules these were: their statements and rows, and back."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from bridge.core.asked import (
    Asked,
    AskedCall,
    AskedTalk,
    KeptRules,
    Matches,
    facts_item,
    facts_of,
    user_item,
    user_of,
)
from bridge.core.erasure import Person
from bridge.core.erasure_of_rules import without_in_facts, without_in_rules
from bridge.core.ids import RuleId, TalkId
from bridge.storage import accounts
from bridge.storage.values import Row, json_in, text_in, texts_in, time_in, time_out

_T = TypeVar("_T")

PUT_RULES = """
INSERT INTO rule_sets (systemname, since, digest, files, users)
SELECT CAST(:systemname AS TEXT), :since, :digest, :files, :users
WHERE :digest IS NOT (SELECT digest FROM rule_sets ORDER BY id DESC LIMIT 1)
"""
# Whoever asks has had its rules kept before: what was kept last is what was asked.
PUT_ASKED = """
INSERT INTO talk_asked (talk_id, asked_at, systemname, rule_set, facts_at, facts)
VALUES (CAST(:talk_id AS TEXT), :asked_at, CAST(:systemname AS TEXT), (SELECT max(id) FROM rule_sets), :facts_at,
    :facts)
ON CONFLICT (talk_id, asked_at) DO UPDATE SET
    rule_set = excluded.rule_set, facts_at = excluded.facts_at, facts = excluded.facts
"""

_RULES = "SELECT id, since, files, users, erased FROM rule_sets"
RULES = f"{_RULES} WHERE id = ?"
NEWEST_RULES = f"{_RULES} ORDER BY id DESC LIMIT 1"
ALL_RULES = f"{_RULES} ORDER BY id"

CDR_END = "SELECT ended_at FROM cdrs WHERE id = ?"
CDRS_NAMED = """
SELECT id FROM cdrs WHERE call_id = CAST(?1 AS TEXT)
UNION SELECT cdr FROM cdr_records WHERE record_id = CAST(?1 AS TEXT) ORDER BY 1
"""
# A linkedid may live again when its call is over.
TALKS_OF_RUNNING = """
SELECT * FROM talks WHERE call_id = CAST(? AS TEXT)
    AND NOT EXISTS (SELECT 1 FROM cdrs WHERE cdrs.call_id = talks.call_id AND cdrs.ended_at >= talks.began_at)
ORDER BY began_at, talk_id
"""
# The talks that were read: their ids are a JSON list.
SPANS_OF_TALKS = "SELECT * FROM talk_spans WHERE talk_id IN (SELECT value FROM json_each(?)) ORDER BY talk_id, number"
ASKED_OF_TALKS = "SELECT * FROM talk_asked WHERE talk_id IN (SELECT value FROM json_each(?)) ORDER BY talk_id, asked_at"

# A talk_id begins with when the talk began: a week is one range of the primary key, and no index more to be written.
MATCHES = """
SELECT rule_id, count(DISTINCT call_id) AS calls,
       coalesce(sum(coalesce(talk_spans.ended_at, talks.ended_at) - talk_spans.began_at) FILTER (WHERE reason IS NULL),
                0) AS recorded
FROM talk_spans CROSS JOIN talks ON talks.talk_id = talk_spans.talk_id
WHERE talk_spans.talk_id >= ? AND rule_id IS NOT NULL GROUP BY rule_id
"""

# Retention and erasure.
DELETE_ASKED = """
DELETE FROM talk_asked WHERE talk_id IN (SELECT talk_id FROM talks WHERE call_id = CAST(:call_id AS TEXT))
"""
# What the oldest talk may have been asked is kept, and all that came after it; a day more, as clocks differ.
DELETE_RULES = """
DELETE FROM rule_sets
WHERE (SELECT min(since) FROM rule_sets AS next WHERE next.id > rule_sets.id) + 86400000000
    < coalesce((SELECT CAST(min(talk_id) AS INTEGER) FROM talks), :now)
"""
ASKED_OF_CALL = """
SELECT talk_asked.* FROM talks JOIN talk_asked ON talk_asked.talk_id = talks.talk_id
WHERE call_id = CAST(? AS TEXT)
"""
ERASE_ASKED = """
UPDATE talk_asked SET facts = :facts, erased = 1 WHERE talk_id = CAST(:talk_id AS TEXT) AND asked_at = :asked_at
"""
# The digest is that of nothing any more: where these rules are in force, the next start or reload keeps them anew.
ERASE_RULES = "UPDATE rule_sets SET files = :files, users = :users, digest = '', erased = 1 WHERE id = :id"


def rules_row(rules: KeptRules, systemname: str) -> Row:
    """What PUT_RULES binds."""
    return {"systemname": text_in(systemname), "since": time_in(rules.since), "digest": rules.digest, **_texts(rules)}


def _texts(rules: KeptRules) -> Row:
    return {"files": json_in(rules.files), "users": json_in([user_item(one) for one in rules.users])}


def rules_of(row: sqlite3.Row) -> KeptRules:
    """From a row of rule_sets."""
    return KeptRules(
        files=tuple((name, text) for name, text in json.loads(row["files"])),
        users=tuple(user_of(one) for one in json.loads(row["users"])),
        since=time_out(row["since"]),
        number=row["id"],
        erased=bool(row["erased"]),
    )


def asked_row(asked: Asked, systemname: str) -> Row:
    """What PUT_ASKED binds."""
    return {
        "talk_id": asked.talk_id,
        "asked_at": time_in(asked.at),
        "systemname": text_in(systemname),
        "facts_at": time_in(asked.talk.at),
        "facts": json_in(facts_item(asked.talk)),
    }


def asked_of(row: sqlite3.Row) -> Asked:
    """From a row of talk_asked."""
    return Asked(
        talk_id=TalkId(row["talk_id"]),
        at=time_out(row["asked_at"]),
        talk=facts_of(json.loads(row["facts"]), time_out(row["facts_at"])),
        rules=row["rule_set"],
        erased=bool(row["erased"]),
    )


def talks_of(
    talks: Iterable[sqlite3.Row], spans: Iterable[sqlite3.Row], asked: Iterable[sqlite3.Row]
) -> list[AskedTalk]:
    """Talks out of rows, in the order of the first; what was kept between the reads is left out."""
    found = {row["talk_id"]: accounts.talk_of(row) for row in talks}
    of_spans = _by_talk(spans, accounts.span_of)
    of_asked = _by_talk(asked, asked_of)
    return [
        AskedTalk(talk, tuple(of_spans.get(talk_id, ())), tuple(of_asked.get(talk_id, ())))
        for talk_id, talk in found.items()
    ]


def _by_talk(rows: Iterable[sqlite3.Row], made: Callable[[sqlite3.Row], _T]) -> dict[str, list[_T]]:
    found: dict[str, list[_T]] = {}
    for row in rows:
        found.setdefault(row["talk_id"], []).append(made(row))
    return found


def page(
    calls: Sequence[sqlite3.Row],
    talks: Sequence[sqlite3.Row],
    spans: Sequence[sqlite3.Row],
    asked: Sequence[sqlite3.Row],
) -> list[AskedCall]:
    """Calls out of the rows of one page; what was kept between the reads is left out."""
    of_calls: dict[int, list[AskedTalk]] = {}
    for row, talk in zip(talks, talks_of(talks, spans, asked), strict=True):
        of_calls.setdefault(row["cdr"], []).append(talk)
    return [AskedCall(row["id"], accounts.cdr_of(row), tuple(of_calls.get(row["id"], ()))) for row in calls]


def matches_of(rows: Iterable[sqlite3.Row]) -> Mapping[RuleId, Matches]:
    """From the rows of MATCHES."""
    return {RuleId(row["rule_id"]): Matches(row["calls"], row["recorded"] / 1_000_000) for row in rows}


def since_talk(since: datetime) -> str:
    """The least talk_id of a talk that began then or later."""
    return f"{max(time_in(since) or 0, 0):016d}"


def erasing_asked(rows: Iterable[sqlite3.Row], person: Person) -> tuple[str, list[Row]]:
    """What has a person forgotten in what the rules were asked."""
    found = []
    for asked in map(asked_of, rows):
        without = without_in_facts(asked.talk, person)
        if without != asked.talk:
            found.append(
                texts_in(
                    {"talk_id": asked.talk_id, "asked_at": time_in(asked.at), "facts": json_in(facts_item(without))}
                )
            )
    return ERASE_ASKED, found


def erasing_rules(rows: Iterable[sqlite3.Row], person: Person) -> tuple[str, list[Row]]:
    """What has a person forgotten in the rules that are kept."""
    found = []
    for rules in map(rules_of, rows):
        without = without_in_rules(rules, person)
        if without != rules:
            found.append({"id": rules.number, **_texts(replace(without))})
    return ERASE_RULES, found
