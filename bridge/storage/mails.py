"""Mails that wait, as rows: they outlive a restart."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bridge.core.mails import AGAIN_AT_MOST, Mail
from bridge.core.store import Change
from bridge.storage.values import Row, text_in, texts_in, time_in, time_out

_PUT = """
INSERT INTO mails (id, systemname, recipient, subject, body, asked_at, due_at, tries)
VALUES (CAST(:id AS TEXT), CAST(:systemname AS TEXT), CAST(:recipient AS TEXT), CAST(:subject AS TEXT),
    CAST(:body AS TEXT), :asked_at, :due_at, :tries)
"""
_PUT_OFF = "UPDATE mails SET due_at = :due_at, tries = :tries WHERE id = CAST(:id AS TEXT)"
_END = "DELETE FROM mails WHERE id = CAST(:id AS TEXT)"
# What is due later than it can be was kept before the clock was set back.
_DUE = "SELECT * FROM mails WHERE due_at <= ? OR due_at > ? ORDER BY due_at, id LIMIT ?"
_WAITING = "SELECT count(*) AS count, min(due_at) AS due_at FROM mails"

Rewrites = Sequence[tuple[str, Sequence[Row]]]
"""Statements with their rows, for `SqliteStore.commit`."""


class MailStore(Protocol):
    """What of a store is needed here."""

    async def commit(self, changes: Sequence[Change], *, rewrites: Rewrites = ()) -> object:
        """As `SqliteStore.commit`."""

    async def select(self, sql: str, *values: object) -> Sequence[sqlite3.Row]:
        """As `SqliteStore.select`."""


def putting(mail: Mail, systemname: str) -> Rewrites:
    """What keeps a new mail."""
    row = {
        "id": mail.id,
        "systemname": systemname,
        "recipient": mail.to,
        "subject": mail.subject,
        "body": mail.text,
        "asked_at": time_in(mail.asked_at),
        "due_at": time_in(mail.due_at),
        "tries": mail.tries,
    }
    return [(_PUT, [texts_in(row)])]


def putting_off(mail: Mail) -> Rewrites:
    """What keeps when a mail is due next; of one that was forgotten meanwhile nothing."""
    return [(_PUT_OFF, [{"id": text_in(mail.id), "due_at": time_in(mail.due_at), "tries": mail.tries}])]


def ending(mail: Mail) -> Rewrites:
    """What forgets a mail."""
    return [(_END, [{"id": text_in(mail.id)}])]


async def due(store: MailStore, now: datetime, most: int) -> list[Mail]:
    """Up to so many mails that are due, in the order in which they are. Raises StoreError."""
    return [_mail_of(row) for row in await store.select(_DUE, time_in(now), time_in(now + AGAIN_AT_MOST), most)]


async def waiting(store: MailStore) -> tuple[int, datetime | None]:
    """How many wait, and when the next is due. Raises StoreError."""
    ((count, due_at),) = await store.select(_WAITING)
    return count, None if due_at is None else time_out(due_at)


def _mail_of(row: sqlite3.Row) -> Mail:
    return Mail(
        id=row["id"],
        to=row["recipient"],
        subject=row["subject"],
        text=row["body"],
        asked_at=time_out(row["asked_at"]),
        due_at=time_out(row["due_at"]),
        tries=row["tries"],
    )
