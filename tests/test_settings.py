"""What an admin sets: kept first, then in force; what one sets another keeps."""

import asyncio
from collections.abc import Sequence

import pytest

from bridge.core.access import Reader, Role, Scope
from bridge.core.errors import StoreError
from bridge.core.ids import Identity
from bridge.core.records import FactKind, NumberedFact
from bridge.core.settings import Settings
from bridge.core.store import Change, Mark
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


class AnswersLate(MemoryStore):
    """The disk answers one commit too late: it is kept, and whoever waited for it does not know."""

    late = True

    async def commit(self, changes: Sequence[Change], mark: Mark | None = None) -> Sequence[NumberedFact]:
        facts = await super().commit(changes, mark)
        if self.late:
            self.late = False
            raise StoreError("no answer from its disk", reason="timeout", kept="unknown")
        return facts


async def test_what_was_perhaps_set_can_be_taken_back() -> None:
    store = AnswersLate()
    keeper = SettingKeeper(store, Settings(), lambda _: None, lambda: kept.NOON)
    with pytest.raises(StoreError):
        await keeper.change({"cdr_days": 1}, ROOT)
    await keeper.change({"cdr_days": None}, ROOT)
    assert await store.settings() == Settings()
