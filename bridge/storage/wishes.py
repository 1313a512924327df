"""What users wish as rows, and back: demands, pauses, flags."""

import json
import sqlite3
from dataclasses import asdict, fields

from bridge.core.ids import CallId, Identity, RecordId, RuleId
from bridge.core.people import UserFlags
from bridge.core.records import Demand, Pause
from bridge.storage.values import Row, json_in, text_in, texts_in, time_in, time_out


def demand_key(record_id: RecordId, rule_id: RuleId) -> Row:
    """The columns that name a demand."""
    return {"record_id": text_in(record_id), "rule_id": rule_id}


def demand_row(demand: Demand, systemname: str) -> Row:
    """A demand's row."""
    return texts_in(asdict(demand) | {"systemname": systemname, "since": time_in(demand.since)})


def demand_of(row: sqlite3.Row) -> Demand:
    """From a row of demands."""
    return Demand(
        record_id=RecordId(row["record_id"]),
        rule_id=RuleId(row["rule_id"]),
        call_id=CallId(row["call_id"]),
        owner=Identity(row["owner"]),
        since=time_out(row["since"]),
    )


def pause_key(record_id: RecordId, by: Identity) -> Row:
    """The columns that name a pause."""
    return {"record_id": text_in(record_id), "identity": text_in(by)}


def pause_row(pause: Pause, systemname: str) -> Row:
    """A pause's row."""
    return texts_in(
        {
            "record_id": pause.record_id,
            "identity": pause.by,
            "systemname": systemname,
            "call_id": pause.call_id,
            "admin": pause.admin,
            "since": time_in(pause.since),
            "resumed": json_in(pause.resumed),
        }
    )


def pause_of(row: sqlite3.Row) -> Pause:
    """From a row of pauses."""
    return Pause(
        record_id=RecordId(row["record_id"]),
        call_id=CallId(row["call_id"]),
        by=Identity(row["identity"]),
        admin=bool(row["admin"]),
        since=time_out(row["since"]),
        resumed=tuple(RuleId(rule) for rule in json.loads(row["resumed"])),
    )


def flags_row(identity: Identity, flags: UserFlags, systemname: str) -> Row:
    """A user's flags' row."""
    return texts_in({"identity": identity, "systemname": systemname, **asdict(flags)})


def flags_of(row: sqlite3.Row) -> UserFlags:
    """From a row of user_flags."""
    return UserFlags(**{one.name: bool(row[one.name]) for one in fields(UserFlags)})
