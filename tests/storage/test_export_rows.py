"""Exports are found by status and age, the same ones in both stores."""

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

from bridge.core.exports import ALL_STATUSES, UNDER_WAY, Export, ExportId, ExportStatus
from bridge.core.ids import Identity
from bridge.core.store import PutExport, Store
from bridge.storage.database import SqliteStore
from tests.fakes import MemoryStore

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
EXPORTS = [
    Export(ExportId(f"{status}-{hours}"), Identity("eve"), NOON + timedelta(hours=hours), status, calls=1, recordings=1)
    for hours, status in product((2, 0, 1), ExportStatus)
]


async def _found(store: Store) -> list[list[str]]:
    await store.commit([PutExport(one) for one in EXPORTS])
    return [
        [one.id for one in await store.exports(statuses, until)]
        for statuses in (ALL_STATUSES, UNDER_WAY, {ExportStatus.ERROR}, ())
        for until in (None, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    ]


async def test_exports_are_found_by_status_and_by_when_they_were_asked_for(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "recbridge.db", "pbx1")
    try:
        found = await _found(store)
    finally:
        await store.close()
    assert found == await _found(MemoryStore())
    assert [len(one) for one in found] == [15, 0, 10, 6, 0, 4, 3, 0, 2, 0, 0, 0]
    assert found[6] == ["error-0", "error-1", "error-2"]
