"""The calls that run as rows, and back."""

import json
import sqlite3
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bridge.core.ids import CallId
from bridge.core.kept import KeptCall, KeptChannel, KeptRule, KeptTalk
from bridge.storage.values import Row, json_in, texts_in, time_in, time_out

_CALL_TIMES = ("began_at",)
_CHANNEL_TIMES = ("began_at", "answered_at", "ended_at", "talking_since")
_TALK_TIMES = ("began_at",)


def _times_in(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return fields | {name: time_in(fields[name]) for name in names}


def _times_out(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The fields again, their times aware, and lists as the tuples that they were."""
    times: dict[str, datetime] = {name: time_out(fields[name]) for name in names if fields[name] is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()} | times


def call_row(call: KeptCall, systemname: str) -> Row:
    """A running call's row."""
    fields = _times_in(asdict(call), _CALL_TIMES)
    fields["channels"] = [_times_in(one, _CHANNEL_TIMES) for one in fields["channels"]]
    fields["talks"] = [_times_in(one, _TALK_TIMES) for one in fields["talks"]]
    return texts_in({"call_id": call.call_id, "systemname": systemname, "kept": json_in(fields)})


def call_of(row: sqlite3.Row) -> KeptCall:
    """From a row of running_calls."""
    fields = json.loads(row["kept"])
    fields["channels"] = [KeptChannel(**_times_out(one, _CHANNEL_TIMES)) for one in fields["channels"]]
    fields["talks"] = [KeptTalk(**_times_out(one, _TALK_TIMES)) for one in fields["talks"]]
    fields["rules"] = [KeptRule(**_times_out(one, ())) for one in fields["rules"]]
    return KeptCall(**_times_out(fields, _CALL_TIMES))


def call_key(call_id: CallId) -> Row:
    """The columns that name a running call."""
    return texts_in({"call_id": call_id})
