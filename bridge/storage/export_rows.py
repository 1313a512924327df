"""Exports as rows, and back."""

import json
import sqlite3
from collections.abc import Sequence

from bridge.core.exports import Export, ExportId
from bridge.storage.plain import plain, read
from bridge.storage.values import Row, json_in, texts_in, time_in

Rewrites = Sequence[tuple[str, Sequence[Row]]]
"""Statements with their rows, for `SqliteStore.commit`."""

# Who is erased in another process meanwhile stays so.
PUT_EXPORT = """
INSERT INTO exports (id, systemname, asked_at, kept)
VALUES (CAST(:id AS TEXT), CAST(:systemname AS TEXT), :asked_at, :kept)
ON CONFLICT (id) DO UPDATE SET kept = CASE exports.kept ->> '$.owner'
    WHEN '' THEN json_set(excluded.kept, '$.owner', '', '$.email', '') ELSE excluded.kept END
"""
_FORGET_OWNER = """
UPDATE exports SET kept = json_set(kept, '$.owner', '', '$.email', '') WHERE id = CAST(:id AS TEXT)
"""
# A mail says of which export it is.
_END_MAILS = """
DELETE FROM mails WHERE instr(body, CAST(:id AS TEXT)) AND :id IN (SELECT id FROM exports WHERE kept ->> '$.owner' = '')
"""
# Most are over: they are passed by here, and not read one by one.
EXPORTS = """
SELECT kept FROM exports
WHERE kept ->> '$.status' IN (SELECT value FROM json_each(?1)) AND asked_at <= coalesce(?2, asked_at)
ORDER BY asked_at, id
"""
EXPORT = "SELECT kept FROM exports WHERE id = CAST(? AS TEXT)"


def export_key(export_id: ExportId) -> Row:
    """The column that names an export."""
    return texts_in({"id": export_id})


def forgetting_owner(export_id: ExportId) -> Rewrites:
    """What forgets who asked for an export, whatever becomes of it meanwhile, and the mail about it that waits."""
    return [(_FORGET_OWNER, [export_key(export_id)]), *ending_mails(export_id)]


def ending_mails(export_id: ExportId) -> Rewrites:
    """What forgets the mail about an export whose owner is erased, else nothing."""
    return [(_END_MAILS, [export_key(export_id)])]


def export_row(export: Export, systemname: str) -> Row:
    """An export's row."""
    kept = json_in(plain(export))
    return texts_in({"id": export.id, "systemname": systemname, "asked_at": time_in(export.asked_at), "kept": kept})


def export_of(row: sqlite3.Row) -> Export:
    """From a row of exports."""
    return read(Export, json.loads(row["kept"]))
