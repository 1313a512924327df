"""Lists of finished calls, their facets and days: the store finds and counts what looking at each call does."""

import asyncio
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.cdr_lists import LIST_ORDERS, CdrPart, CdrSearch, CdrWalk
from bridge.core.ids import Identity
from bridge.core.store import Change, Store
from bridge.storage.database import SqliteStore
from tests.fakes import MemoryStore
from tests.storage.test_cdrs import filters, some_changes, wanted_users

_searches = st.builds(
    CdrSearch,
    filters.map(lambda wanted: replace(wanted, distinct_peer=False)),
    visible_to=st.none() | st.none() | st.just((Identity("alice"),)) | wanted_users,
)
_zones = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]).map(ZoneInfo)


async def _whole(store: Store, walk: CdrWalk) -> list[CdrPart]:
    """A list from its beginning to its end, part by part."""
    parts = [await store.cdr_part(walk)]
    while parts[-1].next is not None:
        parts.append(await store.cdr_part(replace(walk, place=parts[-1].next)))
    return [replace(part, items=list(part.items)) for part in parts]


async def _answers(store: Store, search: CdrSearch, zone: ZoneInfo) -> list[object]:
    walks = [CdrWalk(search, order, newest, 2) for order in LIST_ORDERS for newest in (True, False)]
    return [
        *[await _whole(store, walk) for walk in walks],
        await store.cdr_facets(search),
        await store.cdr_days(search, zone),
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(some_changes, min_size=1, max_size=3), st.lists(_searches, min_size=2, max_size=5), _zones)
def test_lists_facets_and_days_are_what_looking_at_each_call_gives(
    commits: list[list[Change]], searches: list[CdrSearch], zone: ZoneInfo
) -> None:
    async def compare() -> None:
        with TemporaryDirectory() as folder:
            store, fake = await SqliteStore.open(Path(folder) / "recbridge.db", "pbx1"), MemoryStore()
            try:
                for changes in commits:
                    await store.commit(changes)
                    await fake.commit(changes)
                for search in searches:
                    assert await _answers(store, search, zone) == await _answers(fake, search, zone)
            finally:
                await store.close()

    asyncio.run(compare())
