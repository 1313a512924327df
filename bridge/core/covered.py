"""Coverage of the calls that a store keeps, added up call by call."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from bridge.core.accounts import Account
from bridge.core.cdrs import CdrNumber
from bridge.core.coverage import CallCoverage, Tally, away_times, cover
from bridge.core.ids import FactNumber, Identity
from bridge.core.store import Store

_PAGE: Final = 20
"""Some 10 ms of work without a break."""
_KEEP_AT_ONCE: Final = 200
_TRIES: Final = 3
SETTLED: Final = timedelta(minutes=5)
"""So long after a call its last section has been looked into."""


class Coverages(Protocol):
    """Keeps what the coverage of finished calls came to, until something of them changes. All raise StoreError."""

    async def missing(
        self, since: datetime, until: datetime, limit: int, after: Account | None = None
    ) -> Sequence[Account]:
        """Up to `limit` calls that ended from `since` to before `until` (aware) and have none, as `Store.accounts`."""

    async def accounts(self, numbers: Sequence[CdrNumber]) -> Sequence[Account]:
        """These calls, in the order of their ends."""

    async def first_end(self) -> datetime | None:
        """When the first call ended that is kept."""

    async def keep(self, calls: Sequence[tuple[CdrNumber, CallCoverage]], seen: FactNumber) -> None:
        """Keep what these calls (CDR numbers) came to, unless there is a fact of one after `seen`."""

    async def sums(self, bounds: Sequence[datetime], visible_to: Sequence[Identity] | None) -> Sequence[Tally]:
        """Those of the calls that ended between each two of these times, that one of these took part in (None: all)."""

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
        """Of those calls a page, the last ended first; `faulty`: only those that somebody has to look at."""


Numbered = tuple[CdrNumber, CallCoverage]


async def covered(store: Store, since: datetime, until: datetime) -> AsyncIterator[Numbered]:
    """The calls that ended from `since` to before `until` (aware), in the order of their ends. Raises StoreError."""
    last: Account | None = None
    while accounts := await store.accounts(since, until, _PAGE, last):
        last = accounts[-1]
        for call in await _cover(store, accounts):
            yield call


async def these_covered(store: Store, coverages: Coverages, numbers: Sequence[CdrNumber]) -> list[Numbered]:
    """These calls, in the order of the numbers; what is deleted meanwhile is left out. Raises StoreError."""
    found: dict[CdrNumber, CallCoverage] = {}
    for first in range(0, len(numbers), _PAGE):
        found |= await _cover(store, await coverages.accounts(numbers[first : first + _PAGE]))
    return [(number, found[number]) for number in numbers if number in found]


async def settle(store: Store, coverages: Coverages, since: datetime, until: datetime, most: int | None = None) -> int:
    """Have the sums of the calls kept that ended from `since` to before `until`, of `most` of them at most.

    Gives how many were added up now. Nothing of these calls may be under way any more. Raises StoreError.
    """
    done = 0
    for _ in range(_TRIES):  # what changes while it is added up is added up once more
        before, last = done, None
        ready: list[Numbered] = []
        _, seen = await store.fact_bounds()
        while (most is None or done < most) and (page := await coverages.missing(since, until, _PAGE, last)):
            last = page[-1]
            ready += await _cover(store, page)
            done += len(page)
            if len(ready) >= _KEEP_AT_ONCE:
                await coverages.keep(ready, seen)
                ready = []
                _, seen = await store.fact_bounds()
        if ready:
            await coverages.keep(ready, seen)
        if done == before:
            break
    return done


async def _cover(store: Store, accounts: Sequence[Account]) -> list[Numbered]:
    """Calls in the order of their ends, some 10 ms of work."""
    if not accounts:
        return []
    began = [talk.began_at for account in accounts for talk in account.talks]
    first, last = accounts[0].cdr.ended_at, accounts[-1].cdr.ended_at
    # A call that Asterisk's end has ended is kept just before the fact that Asterisk is there again.
    away = away_times(await store.away_facts(min(began, default=first), last + SETTLED))
    return [(CdrNumber(account.number), cover(account, away)) for account in accounts]
