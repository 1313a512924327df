"""What an admin has set as rows, and back."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, fields

from bridge.core.settings import Settings
from bridge.storage.values import Row, json_in, texts_in

PUT_SETTING = """
INSERT INTO settings (name, systemname, value) VALUES (:name, CAST(:systemname AS TEXT), :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
SETTINGS = "SELECT name, value FROM settings"


def setting_rows(settings: Settings, systemname: str) -> list[Row]:
    """One row for each of them."""
    values = asdict(settings).items()
    return [{"name": name, "value": json_in(value), **texts_in({"systemname": systemname})} for name, value in values]


def settings_of(rows: Iterable[sqlite3.Row]) -> Settings:
    """From the rows of settings; names that an older or newer version kept are passed over."""
    known = {one.name for one in fields(Settings)}
    return Settings(**{row["name"]: json.loads(row["value"]) for row in rows if row["name"] in known})
