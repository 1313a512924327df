"""A database with a chain, the recordings that it names, and hands that change what must not be changed."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from bridge.core.book import SectionBook
from bridge.core.chain import Head
from bridge.core.decisions import Decision
from bridge.core.records import AudioReport, Fact, FactKind, Section, SectionState
from bridge.core.sections import SectionEvent
from bridge.core.store import AddJournalEntry, AppendFact, Change, PutSection
from bridge.storage import retention_sql
from bridge.storage.database import SqliteStore
from bridge.storage.findings import Findings
from bridge.storage.retention import Order, deletion
from bridge.storage.spool import Spool
from bridge.storage.verify import verify
from tests.storage import kept

LATER = kept.NOON + timedelta(hours=1)
STORED = 4, 6, 7
"""The facts that say that sections 1 to 3 were stored; fact 8 says that the third's file was deleted."""
COUNT = 9


def spool_of(folder: Path) -> Spool:
    return Spool(folder / "spool", "/spool")


def database_of(folder: Path) -> Path:
    return folder / "recbridge.db"


def file_of(folder: Path, file: int) -> Path:
    return spool_of(folder).local_path(kept.section(file).path)


def as_stored(section: Section, audio: bytes) -> list[Change]:
    """What the recorder keeps when it has looked into the section's file."""
    report = AudioReport(
        0.1 + section.file, len(audio), 8000, 1, (0.5,), (0.1,), b"\1", hashlib.sha256(audio).hexdigest()
    )
    out: list[Decision] = []
    book = SectionBook(out)
    book.restore(section)
    book.move(section, SectionEvent.CHECKED, LATER, report=report)
    return [one for one in out if isinstance(one, PutSection | AppendFact)]


async def stored(store: SqliteStore, folder: Path, file: int) -> Section:
    """A section whose file is written, and then kept as stored."""
    audio = bytes([file]) * 5000
    path = file_of(folder, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(audio)
    section = kept.section(file, state=SectionState.CLOSED)
    await store.commit(as_stored(section, audio))
    kept_section = await store.section(section.key)
    assert kept_section is not None
    return kept_section


async def make(folder: Path) -> None:
    """Facts 1 to 9, three sections, the third's file deleted, the name in fact 2 erased."""
    store = await SqliteStore.open(database_of(folder), "pbx1")
    try:
        await store.commit([AppendFact(kept.fact(n=1)), AppendFact(kept.fact(n=2))])
        await store.commit([AddJournalEntry(kept.entry())])
        await stored(store, folder, 1)
        bare = Fact(FactKind.RECBRIDGE_STARTED, kept.NOON, personal={"name": "J\udcfcrgen", "number": ""})
        await store.commit([AppendFact(bare)])
        await stored(store, folder, 2)
        third = await stored(store, folder, 3)
        order = Order("retention", "recbridge", "", timedelta(days=1))
        await store.commit(deletion(third, order, LATER))
        file_of(folder, 3).unlink()
        erased = [{"fact": 2, "name": "name"}]
        await store.commit([AppendFact(kept.fact(n=3))], rewrites=[(retention_sql.ERASE_PERSONAL, erased)])
    finally:
        await store.close()


def look(folder: Path, *, files: bool = True, since: Head | None = None, expected: Sequence[Head] = ()) -> Findings:
    return verify(database_of(folder), spool_of(folder) if files else None, since, expected)


def tamper(folder: Path, script: str) -> None:
    """Run SQL as somebody would who has the file: nothing stops it."""
    with closing(sqlite3.connect(database_of(folder))) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.executescript(script)


def head_at(folder: Path, number: int) -> Head:
    with closing(sqlite3.connect(database_of(folder))) as database:
        return Head(*database.execute("SELECT number, hash FROM facts WHERE number = ?", (number,)).fetchone())
