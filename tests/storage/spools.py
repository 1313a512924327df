"""A real database beside a real spool, with sections whose files are there."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bridge.core.ids import FactNumber
from bridge.core.records import AudioReport, Cdr, Fact, FactKind, JournalEntry, Section, SectionState
from bridge.core.store import AddCdr, AddJournalEntry, AppendFact, PutSection
from bridge.storage.database import SqliteStore
from bridge.storage.erasing import Erasing
from bridge.storage.retention import Order, Retention
from tests.storage import kept

AUDIO = b"RIFF" + bytes(96)
DAY = timedelta(days=1)


@dataclass
class House:
    """`now` is what the clock says."""

    folder: Path
    store: SqliteStore
    now: datetime = field(default=kept.NOON + 2 * DAY)

    def __post_init__(self) -> None:
        self.database = self.folder / "x.db"
        self.spool = self.folder / "spool"
        self.spool.mkdir(exist_ok=True)
        self.retention = Retention(self.store, self.database, self.spool, lambda: self.now)
        self.erasing = Erasing(self.retention, "pbx1")

    async def section(self, file: int = 1, *, parts: tuple[str, ...] = (), **values: Any) -> Section:
        """A stored section with its file; of 100 bytes, a second long, recorded at noon."""
        plain = kept.section(
            file,
            state=SectionState.STORED,
            started_at=kept.NOON,
            ended_at=kept.NOON + timedelta(seconds=1),
            report=AudioReport(1.0, len(AUDIO), 8000, 1, (0.5,), (0.1,), b"peaks", f"{file:064x}"),
        )
        section = replace(plain, **values)
        for path in (section.path, *(section.path.replace(".wav", part) for part in parts)):
            self.file(path)
        told = Fact(
            kind=FactKind.SECTION_STORED,
            at=kept.NOON,
            call_id=section.call_id,
            record_id=section.record_id,
            rule_id=section.rule_id,
            file=section.file,
            data=_told(section),
            personal={"identity": section.owner or ""},
        )
        await self.store.commit([PutSection(section), *([AppendFact(told)] if section.report is not None else [])])
        return section

    def file(self, path: str, age: timedelta = timedelta(0)) -> Path:
        """A file of the spool, last written so long before `now`."""
        place = self.spool / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(AUDIO)
        at = (self.now - age).timestamp()
        os.utime(place, (at, at))
        return place

    async def call(self, cdr: Cdr, *entries: JournalEntry) -> None:
        """A finished call, with what its facts know of the caller."""
        personal = {"number": cdr.source_number, "name": cdr.source_name, "dialed": cdr.dialed}
        began = Fact(FactKind.CALL_BEGAN, cdr.started_at, call_id=cdr.call_id, personal=personal)
        await self.store.commit([AppendFact(began), AddCdr(cdr), *map(AddJournalEntry, entries)])

    async def facts(self, kind: FactKind) -> list[Fact]:
        """All of a kind."""
        found = await self.store.facts_after(FactNumber(0), 100_000)
        return [one.fact for one in found if one.fact.kind is kind]

    def files(self) -> list[str]:
        """All that is in the spool."""
        return sorted(str(one.relative_to(self.spool)) for one in self.spool.rglob("*") if not one.is_dir())

    def order(self, keep: timedelta = DAY) -> Order:
        """The daemon's."""
        return Order("retention", "recbridge", "", keep)


def _told(section: Section) -> dict[str, Any]:
    report = section.report
    if report is None:
        return {}
    of_file = {"sha256": report.sha256, "size_bytes": report.size_bytes, "duration_s": report.duration_s}
    return {"state": "stored", "path": section.path, **of_file}


@contextlib.asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """Opened; a second one on the same folder is another process's."""
    store = await SqliteStore.open(folder / "x.db", "pbx1")
    try:
        yield House(folder, store)
    finally:
        await store.close()
