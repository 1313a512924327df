"""Finished calls as CSV, in wazo-call-logd's columns (its `CSV_HEADERS`, then `recording_1_uuid` and so on)."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.api.csv_lines import csv_line

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


def header(most_recordings: int) -> bytes:
    """The first line, with columns for so many recordings."""
    return csv_line([*COLUMNS, *_recording_columns(most_recordings)])


def line(item: Mapping[str, Any], most_recordings: int) -> bytes:
    """One call."""
    values = dict(item)
    values["tags"] = ";".join(item["tags"])
    for at, recording in enumerate(item["recordings"], start=1):
        values |= {f"recording_{at}_{name}": value for name, value in recording.items()}
    columns = [*COLUMNS, *_recording_columns(most_recordings)]
    return csv_line([values.get(name) for name in columns])


def _recording_columns(most: int) -> list[str]:
    return [f"recording_{at}_{name}" for at in range(1, most + 1) for name in _OF_RECORDING]
