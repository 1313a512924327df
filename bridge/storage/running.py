"""The calls that run as rows, and back."""

import json
import sqlite3

from bridge.core.ids import CallId
from bridge.core.kept import KeptCall
from bridge.storage.plain import plain, read
from bridge.storage.values import Row, json_in, texts_in


def call_row(call: KeptCall, systemname: str) -> Row:
    """A running call's row."""
    return texts_in({"call_id": call.call_id, "systemname": systemname, "kept": json_in(plain(call))})


def call_of(row: sqlite3.Row) -> KeptCall:
    """From a row of running_calls."""
    return read(KeptCall, json.loads(row["kept"]))


def call_key(call_id: CallId) -> Row:
    """The columns that name a running call."""
    return texts_in({"call_id": call_id})
