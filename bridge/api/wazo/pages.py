"""Finished calls on their way out: however many there are, only a page of them is in memory."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aiohttp import web

from bridge.api.wazo.wanted import Wanted
from bridge.core.cdrs import CdrFilter, CdrNumber, CdrPage, KeptCdr
from bridge.core.store import Store

PAGE = 1000
_WRITE_S = 60
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: `first` is the first page, `numbers` all calls where that is not all of them."""

    wanted: Wanted
    first: CdrPage
    numbers: "array[int] | None"
    most_recordings: int

    @property
    def is_whole(self) -> bool:
        """Whether the first page is all."""
        return self.numbers is None

    async def calls(self, store: Store) -> AsyncIterator[KeptCdr]:
        """All of them, in their order. Raises StoreError."""
        if self.numbers is None:
            for kept in self.first.items:
                yield kept
            return
        for start in range(0, len(self.numbers), PAGE):
            numbers = tuple(CdrNumber(one) for one in self.numbers[start : start + PAGE])
            # The same calls as were counted, whatever began or was deleted meanwhile.
            these = CdrFilter(numbers=numbers, status=self.wanted.cdrs.status)
            page = await store.cdrs(
                these,
                visible_to=self.wanted.visible_to,
                order=self.wanted.order,
                newest_first=self.wanted.newest_first,
            )
            for kept in page.items:
                yield kept


async def find(store: Store, wanted: Wanted, count: Callable[[KeptCdr], int]) -> Found:
    """Look for all that is wanted, page by page; `count` says how many recordings of a call will be shown.

    Raises StoreError.
    """
    first = await _page(store, wanted, 0)
    most = max(map(count, first.items), default=0)
    if len(first.items) < PAGE or wanted.limit == len(first.items):
        return Found(wanted, first, None, most)
    # A call that ends meanwhile may push others onto the next page.
    known = {kept.number for kept in first.items}
    numbers = array("q", (kept.number for kept in first.items))
    seen = len(first.items)
    while wanted.limit is None or seen < wanted.limit:
        page = await _page(store, wanted, seen)
        if not page.items:
            break
        seen += len(page.items)
        most = max(most, *map(count, page.items))
        numbers.extend(kept.number for kept in page.items if kept.number not in known)
        known.update(kept.number for kept in page.items)
    return Found(wanted, first, numbers, most)


async def _page(store: Store, wanted: Wanted, seen: int) -> CdrPage:
    return await store.cdrs(
        wanted.cdrs,
        visible_to=wanted.visible_to,
        order=wanted.order,
        newest_first=wanted.newest_first,
        limit=PAGE if wanted.limit is None else min(PAGE, wanted.limit - seen),
        offset=wanted.offset + seen,
    )


async def send(request: web.Request, response: web.StreamResponse, parts: AsyncIterator[bytes]) -> web.StreamResponse:
    """Send an answer in blocks. Raises ConnectionResetError where the client takes nothing for 60 s."""
    await response.prepare(request)
    if request.method == "GET":
        block = bytearray()
        async for part in parts:
            block += part
            if len(block) >= _BLOCK:
                await _write(response, bytes(block))
                block.clear()
        await _write(response, bytes(block))
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, block: bytes) -> None:
    try:
        async with asyncio.timeout(_WRITE_S):
            await response.write(block)
    except TimeoutError as error:
        raise ConnectionResetError("the client takes nothing") from error
