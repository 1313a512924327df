"""What an admin sets: kept first, then in force; what one sets another keeps."""

import asyncio

import pytest

from bridge.core.access import Reader, Role, Scope
from bridge.core.errors import StoreError
from bridge.core.ids import Identity
from bridge.core.records import FactKind
from bridge.core.settings import Settings
from bridge.settings import SettingKeeper
from tests.fakes import MemoryStore
from tests.storage import kept

ROOT = Reader(Identity("root"), Role.ADMIN, frozenset(Scope))


async def test_what_is_set_at_the_same_time_by_two_is_all_kept() -> None:
    store = MemoryStore()
    applied: list[Settings] = []
    keeper = SettingKeeper(store, Settings(cdr_days=9), applied.append, lambda: kept.NOON)
    await asyncio.gather(
        keeper.change({"call_record_toggle": False}, ROOT),
        keeper.change({"record_toggle": False}, ROOT),
        keeper.change({"cdr_days": None, "recording_days": 7}, ROOT),
        keeper.change({}, ROOT),
    )
    last = Settings(recording_days=7, call_record_toggle=False, record_toggle=False)
    assert keeper.current == await store.settings() == applied[-1] == last
    assert len(applied) == 4
    facts = [one.fact for one in await store.facts_after(0, 10)]  # type: ignore[arg-type]  # a number will do
    assert [fact.kind for fact in facts] == [FactKind.SETTINGS_SET] * 3
    assert facts[-1].data["recording_days"] == 7
    assert {fact.personal["identity"] for fact in facts} == {"root"}


async def test_what_cannot_be_kept_does_not_hold() -> None:
    store = MemoryStore()
    applied: list[Settings] = []
    keeper = SettingKeeper(store, Settings(), applied.append, lambda: kept.NOON)
    store.broken = StoreError("its file is gone")
    with pytest.raises(StoreError):
        await keeper.change({"record_toggle": False}, ROOT)
    assert (keeper.current, applied) == (Settings(), [Settings()])
