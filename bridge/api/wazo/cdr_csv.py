"""Finished calls as CSV, in wazo-call-logd's columns (its `CSV_HEADERS`, then `recording_1_uuid` and so on)."""

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, Final

from aiohttp import web

COLUMNS: Final = (
    "id",
    "tenant_uuid",
    "answered",
    "start",
    "answer",
    "end",
    "destination_extension",
    "destination_name",
    "destination_internal_extension",
    "destination_internal_context",
    "destination_user_uuid",
    "destination_line_id",
    "duration",
    "call_direction",
    "call_status",
    "requested_name",
    "requested_extension",
    "requested_context",
    "requested_internal_extension",
    "requested_internal_context",
    "requested_user_uuid",
    "source_extension",
    "source_name",
    "source_internal_name",
    "source_internal_extension",
    "source_internal_context",
    "source_user_uuid",
    "source_line_id",
    "tags",
)
HEADERS: Final = {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": "attachment; filename=cdr.csv",
}
_OF_RECORDING = ("uuid", "start_time", "end_time", "deleted", "filename")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_PLAIN_NUMBER = re.compile(r"\+[0-9]+", re.ASCII)


def wants_csv(request: web.Request) -> bool:
    """`?format=csv`, or an Accept that likes CSV better than JSON."""
    accept = request.headers.get("Accept", "*/*")
    liked, other = _quality(accept, "text/csv"), _quality(accept, "application/json")
    return request.query.get("format") == "csv" or liked > other


def header(most_recordings: int) -> bytes:
    """The first line, with columns for so many recordings."""
    return _line([*COLUMNS, *_recording_columns(most_recordings)])


def line(item: Mapping[str, Any], most_recordings: int) -> bytes:
    """One call. A value that a spreadsheet would take for a formula begins with an apostrophe; `+49…` does not."""
    values = dict(item)
    values["tags"] = ";".join(item["tags"])
    for at, recording in enumerate(item["recordings"], start=1):
        values |= {f"recording_{at}_{name}": value for name, value in recording.items()}
    columns = [*COLUMNS, *_recording_columns(most_recordings)]
    return _line([_harmless(values.get(name)) for name in columns])


def _recording_columns(most: int) -> list[str]:
    return [f"recording_{at}_{name}" for at in range(1, most + 1) for name in _OF_RECORDING]


def _line(values: Sequence[object]) -> bytes:
    text = StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue().encode("utf-8", "replace")


def _harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA) and not _PLAIN_NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _quality(accept: str, kind: str) -> float:
    """How much an Accept header likes a media type; the most specific range counts (RFC 9110, 12.5.1)."""
    found = (-1, 0.0)
    for part in accept.split(","):
        named, *parameters = (piece.strip().lower() for piece in part.split(";"))
        rank = {kind: 2, f"{kind.partition('/')[0]}/*": 1, "*/*": 0}.get(named)
        if rank is None:
            continue
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        found = max(found, (rank, float(quality) if re.fullmatch(r"[01](\.[0-9]{0,3})?", quality) else 0.0))
    return found[1]
