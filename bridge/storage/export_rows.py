"""Exports as rows, and back."""

import json
import sqlite3

from bridge.core.exports import Export, ExportId
from bridge.storage.plain import plain, read
from bridge.storage.values import Row, json_in, texts_in, time_in

PUT_EXPORT = """
INSERT INTO exports (id, systemname, asked_at, kept)
VALUES (CAST(:id AS TEXT), CAST(:systemname AS TEXT), :asked_at, :kept)
ON CONFLICT (id) DO UPDATE SET kept = excluded.kept
"""
EXPORTS = "SELECT kept FROM exports ORDER BY asked_at, id"
EXPORT = "SELECT kept FROM exports WHERE id = CAST(? AS TEXT)"


def export_key(export_id: ExportId) -> Row:
    """The column that names an export."""
    return texts_in({"id": export_id})


def export_row(export: Export, systemname: str) -> Row:
    """An export's row."""
    kept = json_in(plain(export))
    return texts_in({"id": export.id, "systemname": systemname, "asked_at": time_in(export.asked_at), "kept": kept})


def export_of(row: sqlite3.Row) -> Export:
    """From a row of exports."""
    return read(Export, json.loads(row["kept"]))
