"""Holds and requests to erase as rows, and back."""

import json
import sqlite3

from bridge.core.erasure import Erasure, Person
from bridge.core.ids import CallId, Identity, RecordId
from bridge.core.retention import Hold, Target
from bridge.storage.values import Row, json_in, texts_in, time_in, time_out


def hold_row(hold: Hold, systemname: str) -> Row:
    """A hold's row."""
    target = hold.target
    return texts_in(
        {
            "id": hold.id,
            "systemname": systemname,
            "call_id": target.call_id,
            "record_id": target.record_id,
            "number": target.number,
            "identity": target.identity,
            "since": time_in(target.since),
            "until": time_in(target.until),
            "who": hold.who,
            "why": hold.why,
            "set_at": time_in(hold.set_at),
            "released_at": time_in(hold.released_at),
            "released_by": hold.released_by,
            "released_why": hold.released_why,
        }
    )


def hold_of(row: sqlite3.Row) -> Hold:
    """From a row of holds."""
    return Hold(
        id=row["id"],
        target=Target(
            call_id=None if row["call_id"] is None else CallId(row["call_id"]),
            record_id=None if row["record_id"] is None else RecordId(row["record_id"]),
            number=row["number"],
            identity=None if row["identity"] is None else Identity(row["identity"]),
            since=None if row["since"] is None else time_out(row["since"]),
            until=None if row["until"] is None else time_out(row["until"]),
        ),
        who=row["who"],
        why=row["why"],
        set_at=time_out(row["set_at"]),
        released_at=None if row["released_at"] is None else time_out(row["released_at"]),
        released_by=row["released_by"],
        released_why=row["released_why"],
    )


def erasure_row(erasure: Erasure, systemname: str) -> Row:
    """A request's row."""
    person = erasure.person
    return texts_in(
        {
            "id": erasure.id,
            "systemname": systemname,
            "number": person.number,
            "identity": person.identity,
            "names": json_in(sorted(person.names)),
            "numbers": json_in(sorted(person.numbers)),
            "who": erasure.who,
            "why": erasure.why,
            "asked_at": time_in(erasure.asked_at),
            "salt": erasure.salt,
            "digest": erasure.digest,
            "done_at": time_in(erasure.done_at),
        }
    )


def erasure_of(row: sqlite3.Row) -> Erasure:
    """From a row of erasures."""
    return Erasure(
        id=row["id"],
        person=Person(
            number=row["number"],
            identity=None if row["identity"] is None else Identity(row["identity"]),
            names=frozenset(json.loads(row["names"])),
            numbers=frozenset(json.loads(row["numbers"])),
        ),
        who=row["who"],
        why=row["why"],
        asked_at=time_out(row["asked_at"]),
        salt=row["salt"],
        digest=row["digest"],
        done_at=None if row["done_at"] is None else time_out(row["done_at"]),
    )
