"""Stands in for the sums of coverage that storage keeps."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from bridge.core.accounts import Account
from bridge.core.cdrs import CdrNumber
from bridge.core.coverage import CallCoverage, Tally
from bridge.core.ids import FactNumber, Identity
from tests.fakes import MemoryStore

_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class MemoryCoverages:
    """Keeps what it is given: a test that changes a call after that has to `forget`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.kept: dict[CdrNumber, CallCoverage] = {}

    def forget(self) -> None:
        self.kept.clear()

    async def missing(
        self, since: datetime, until: datetime, limit: int, after: Account | None = None
    ) -> Sequence[Account]:
        found = await self._store.accounts(since, until, 10**6, after)
        return [one for one in found if CdrNumber(one.number) not in self.kept][:limit]

    async def accounts(self, numbers: Sequence[CdrNumber]) -> Sequence[Account]:
        return [one for one in await self._store.accounts(*_EVER, 10**6) if one.number in numbers]

    async def first_end(self) -> datetime | None:
        found = await self._store.accounts(*_EVER, 1)
        return found[0].cdr.ended_at if found else None

    async def keep(self, calls: Sequence[tuple[CdrNumber, CallCoverage]], seen: FactNumber) -> None:
        facts = await self._store.facts_after(seen, 10**6)
        changed = {one.fact.call_id for one in facts}
        self.kept |= {number: call for number, call in calls if call.cdr.call_id not in changed}

    async def sums(self, bounds: Sequence[datetime], visible_to: Sequence[Identity] | None) -> Sequence[Tally]:
        found = []
        for begin, end in pairwise(bounds):
            tally = Tally()
            for _, call in self._seen(begin, end, visible_to):
                tally.add(call)
            found.append(tally)
        return found

    async def numbers(
        self,
        since: datetime,
        until: datetime,
        visible_to: Sequence[Identity] | None,
        *,
        faulty: bool,
        limit: int,
        offset: int,
    ) -> Sequence[CdrNumber]:
        found = [one for one in self._seen(since, until, visible_to) if one[1].faulty or not faulty]
        in_order = sorted(found, key=lambda one: (one[1].cdr.ended_at, one[0]), reverse=True)
        return [number for number, _ in in_order[offset : offset + limit]]

    def _seen(
        self, begin: datetime, end: datetime, visible_to: Sequence[Identity] | None
    ) -> list[tuple[CdrNumber, CallCoverage]]:
        return [
            (number, call)
            for number, call in self.kept.items()
            if begin <= call.cdr.ended_at < end
            and (visible_to is None or set(visible_to).intersection(call.cdr.participants))
        ]
