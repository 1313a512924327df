"""Counting on after a restart."""

from datetime import timedelta
from pathlib import Path

from bridge.core.ids import RuleId
from bridge.core.store import PutSection
from bridge.storage.database import SqliteStore
from tests.storage import kept


async def test_the_highest_number_of_each_record_and_rule_is_known(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "r.db", "pbx")
    try:
        sections = [kept.section(1), kept.section(2), kept.section(1, rule_id=RuleId(9))]
        await store.commit([PutSection(section) for section in sections])
        asked = sections[0].requested_at
        assert await store.file_numbers(asked) == {(kept.RECORD, 1): 2, (kept.RECORD, 9): 1}
        assert await store.file_numbers(asked + timedelta(seconds=1)) == {}
    finally:
        await store.close()
