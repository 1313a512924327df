"""Talks, spans and calls as they are accounted for: their statements and rows, and back."""

import json
import sqlite3
from collections.abc import Sequence

from bridge.core.accounts import Account, Reason, SectionAccount, Span, TalkAccount
from bridge.core.ids import CallId, Identity, RecordId, RuleId, TalkId
from bridge.core.records import CallStatus, Cdr, SectionState
from bridge.core.sections import ASTERISK_RESTARTED
from bridge.core.store import JoinTalks
from bridge.storage.values import Row, texts_in, time_in, time_out

PUT_TALK = """
INSERT INTO talks (talk_id, systemname, call_id, began_at, ended_at)
VALUES (CAST(:talk_id AS TEXT), CAST(:systemname AS TEXT), CAST(:call_id AS TEXT), :began_at, :ended_at)
ON CONFLICT (talk_id) DO UPDATE SET
    call_id = excluded.call_id, began_at = excluded.began_at, ended_at = excluded.ended_at
"""
PUT_SPAN = """
INSERT INTO talk_spans (talk_id, number, systemname, rule_id, reason, began_at, ended_at)
VALUES (CAST(:talk_id AS TEXT), :number, CAST(:systemname AS TEXT), :rule_id, :reason, :began_at, :ended_at)
ON CONFLICT (talk_id, number) DO UPDATE SET
    rule_id = excluded.rule_id, reason = excluded.reason, began_at = excluded.began_at, ended_at = excluded.ended_at
"""
JOIN_TALKS = "UPDATE talks SET call_id = CAST(:call_id AS TEXT) WHERE call_id = CAST(:gone AS TEXT)"

OPEN_TALKS = "SELECT * FROM talks WHERE ended_at IS NULL ORDER BY began_at, talk_id"
# CROSS JOIN: SQLite keeps to that order, and reads no spans of others.
OPEN_SPANS = """
SELECT talk_spans.* FROM talks CROSS JOIN talk_spans ON talk_spans.talk_id = talks.talk_id WHERE talks.ended_at IS NULL
ORDER BY talk_spans.talk_id, talk_spans.number
"""

CALLS = """
SELECT cdrs.*,
       (SELECT json_group_array(record_id) FROM
           (SELECT record_id FROM cdr_records WHERE cdr = cdrs.id ORDER BY position)) AS record_ids,
       (SELECT json_group_array(identity) FROM
           (SELECT identity FROM cdr_participants WHERE cdr = cdrs.id ORDER BY position)) AS participants
FROM cdrs
"""
ENDED_CALLS = f"""
{CALLS} WHERE ended_at >= ? AND ended_at < ? AND (ended_at, id) > (?, ?) ORDER BY ended_at, id LIMIT max(?, 0)
"""
# The talks of the calls from one (its end and id) up to another. A linkedid may live again when its call is over: a
# talk belongs to the first call of its name that ended after it. CROSS JOIN: SQLite keeps to that order (measured: else
# it reads all spans there are).
TALKS_OF = """
FROM cdrs CROSS JOIN talks ON talks.call_id = cdrs.call_id AND talks.ended_at IS NOT NULL
    AND talks.began_at <= cdrs.ended_at
    AND NOT EXISTS (SELECT 1 FROM cdrs AS earlier WHERE earlier.call_id = cdrs.call_id
                    AND (earlier.ended_at, earlier.id) < (cdrs.ended_at, cdrs.id)
                    AND earlier.ended_at >= talks.began_at)
"""
UP_TO = "WHERE (cdrs.ended_at, cdrs.id) >= (?, ?) AND (cdrs.ended_at, cdrs.id) <= (?, ?)\n"
# An empty talk_id is nobody's; word for word the condition of the index sections_talk.
_OF_CALLS = (
    f"SELECT cdrs.id AS cdr, talks.* {TALKS_OF} {{}} ORDER BY talks.began_at, talks.talk_id",
    f"""
SELECT cdrs.id AS cdr, talk_spans.* {TALKS_OF} CROSS JOIN talk_spans ON talk_spans.talk_id = talks.talk_id {{}}
ORDER BY talk_spans.talk_id, talk_spans.number
""",
    f"""
SELECT cdrs.id AS cdr, sections.talk_id, sections.rule_id, sections.state, sections.requested_at, sections.started_at,
    sections.ended_at, sections.duration_s, sections.sha256, sections.reason
{TALKS_OF} CROSS JOIN sections ON sections.talk_id = talks.talk_id AND sections.talk_id <> '' {{}}
ORDER BY sections.talk_id, sections.requested_at, sections.record_id, sections.rule_id, sections.file
""",
)
TALKS_OF_CALLS, SPANS_OF_CALLS, SECTIONS_OF_CALLS = (sql.format(UP_TO) for sql in _OF_CALLS)
_THESE = "WHERE cdrs.id IN (SELECT value FROM json_each(?))\n"
OF_THESE = tuple(sql.format(_THESE) for sql in _OF_CALLS)
"""The same of calls whose numbers are a JSON list: talks, spans, sections."""

# Word for word the condition of the index facts_away. What went before `since` counts on from there. The unary + keeps
# SQLite from reading all facts in their order instead.
AWAY_FACTS = """
SELECT number, kind, at, call_id, record_id, rule_id, file, data, audience, '{}' AS personal FROM facts
WHERE kind IN ('asterisk.lost', 'asterisk.connected', 'recbridge.started', 'recbridge.stopped') AND at < ?1
    AND at >= coalesce(
        (SELECT max(at) FROM facts
         WHERE kind IN ('asterisk.lost', 'asterisk.connected', 'recbridge.started', 'recbridge.stopped')
             AND at <= ?2), at)
ORDER BY +number
"""


def talk_row(talk: TalkAccount, systemname: str) -> Row:
    """A talk's row."""
    return texts_in(
        {
            "talk_id": talk.talk_id,
            "systemname": systemname,
            "call_id": talk.call_id,
            "began_at": time_in(talk.began_at),
            "ended_at": time_in(talk.ended_at),
        }
    )


def talk_of(row: sqlite3.Row) -> TalkAccount:
    """From a row of talks."""
    return TalkAccount(
        talk_id=TalkId(row["talk_id"]),
        call_id=CallId(row["call_id"]),
        began_at=time_out(row["began_at"]),
        ended_at=None if row["ended_at"] is None else time_out(row["ended_at"]),
    )


def span_row(span: Span, systemname: str) -> Row:
    """A span's row."""
    return texts_in(
        {
            "talk_id": span.talk_id,
            "number": span.number,
            "systemname": systemname,
            "rule_id": span.rule_id,
            "reason": None if span.reason is None else span.reason.value,
            "began_at": time_in(span.began_at),
            "ended_at": time_in(span.ended_at),
        }
    )


def span_of(row: sqlite3.Row) -> Span:
    """From a row of talk_spans."""
    return Span(
        talk_id=TalkId(row["talk_id"]),
        number=row["number"],
        rule_id=None if row["rule_id"] is None else RuleId(row["rule_id"]),
        reason=None if row["reason"] is None else Reason(row["reason"]),
        began_at=time_out(row["began_at"]),
        ended_at=None if row["ended_at"] is None else time_out(row["ended_at"]),
    )


def join_row(joined: JoinTalks) -> Row:
    """What JOIN_TALKS binds."""
    return texts_in({"call_id": joined.call_id, "gone": joined.gone})


def section_of(row: sqlite3.Row) -> SectionAccount:
    """From a row of SECTIONS_OF_CALLS."""
    return SectionAccount(
        talk_id=TalkId(row["talk_id"]),
        rule_id=RuleId(row["rule_id"]),
        state=SectionState(row["state"]),
        requested_at=time_out(row["requested_at"]),
        started_at=None if row["started_at"] is None else time_out(row["started_at"]),
        ended_at=None if row["ended_at"] is None else time_out(row["ended_at"]),
        duration_s=None if row["sha256"] is None else row["duration_s"],
        cut=row["reason"] == ASTERISK_RESTARTED,
    )


def cdr_of(row: sqlite3.Row) -> Cdr:
    """From a row of ENDED_CALLS."""
    return Cdr(
        call_id=CallId(row["call_id"]),
        started_at=time_out(row["started_at"]),
        answered_at=None if row["answered_at"] is None else time_out(row["answered_at"]),
        ended_at=time_out(row["ended_at"]),
        direction=row["direction"],
        source_name=row["source_name"],
        source_number=row["source_number"],
        source_identity=row["source_identity"],
        destination_name=row["destination_name"],
        destination_number=row["destination_number"],
        destination_identity=row["destination_identity"],
        dialed=row["dialed"],
        context=row["context"],
        queue=row["queue"],
        talked_s=row["talked_s"],
        hangup_cause=row["hangup_cause"],
        record_ids=tuple(RecordId(one) for one in json.loads(row["record_ids"])),
        participants=tuple(Identity(one) for one in json.loads(row["participants"])),
        status=CallStatus(row["status"]),
        destination_context=row["destination_context"],
    )


def page(
    cdrs: Sequence[sqlite3.Row],
    talks: Sequence[sqlite3.Row],
    spans: Sequence[sqlite3.Row],
    sections: Sequence[sqlite3.Row],
) -> list[Account]:
    """Accounts out of the rows of one page; what was kept between its reads is left out."""
    found = {row["id"]: Account(row["id"], cdr_of(row), [], [], []) for row in cdrs}
    kept: dict[int, tuple[list[TalkAccount], list[Span], list[SectionAccount]]] = {id_: ([], [], []) for id_ in found}
    for row in talks:
        if row["cdr"] in kept:
            kept[row["cdr"]][0].append(talk_of(row))
    known = {(row["cdr"], row["talk_id"]) for row in talks if row["cdr"] in kept}
    for row in spans:
        if (row["cdr"], row["talk_id"]) in known:
            kept[row["cdr"]][1].append(span_of(row))
    for row in sections:
        if (row["cdr"], row["talk_id"]) in known:
            kept[row["cdr"]][2].append(section_of(row))
    return [Account(id_, account.cdr, *kept[id_]) for id_, account in found.items()]
