"""Finished calls on their way out: however many there are, only a page of them is in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from bridge.api.wazo.wanted import Wanted
from bridge.core.cdrs import CdrFilter, CdrNumbers, CdrPage, KeptCdr
from bridge.core.store import Store

PAGE = 1000
_WRITE_S = 60
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: `first` is the first page, `all` the numbers of all calls where that is not all of them."""

    wanted: Wanted
    first: CdrPage
    all: CdrNumbers | None

    @property
    def is_whole(self) -> bool:
        """Whether the first page is all."""
        return self.all is None

    @property
    def counts(self) -> CdrNumbers | CdrPage:
        """Whose `total` and `filtered` are those of what is sent."""
        return self.first if self.all is None else self.all

    async def calls(self, store: Store) -> AsyncIterator[KeptCdr]:
        """All of them, in their order. Raises StoreError."""
        if self.all is None:
            for kept in self.first.items:
                yield kept
            return
        numbers = self.all.numbers
        for start in range(0, len(numbers), PAGE):
            # The same calls as were counted, whatever began or was deleted meanwhile. Who may see them was asked then.
            these = CdrFilter(numbers=tuple(numbers[start : start + PAGE]), status=self.wanted.cdrs.status)
            page = await store.cdrs(these, order=self.wanted.order, newest_first=self.wanted.newest_first)
            for kept in page.items:
                yield kept


async def find(store: Store, wanted: Wanted) -> Found:
    """Look for all that is wanted: a page of it, or where that is not all the numbers of all. Raises StoreError."""
    most = PAGE if wanted.limit is None else min(PAGE, wanted.limit)
    first = await store.cdrs(
        wanted.cdrs,
        visible_to=wanted.visible_to,
        order=wanted.order,
        newest_first=wanted.newest_first,
        limit=most,
        offset=wanted.offset,
    )
    if len(first.items) < PAGE or wanted.limit == len(first.items):
        return Found(wanted, first, None)
    found = await store.cdr_numbers(
        wanted.cdrs,
        visible_to=wanted.visible_to,
        order=wanted.order,
        newest_first=wanted.newest_first,
        limit=wanted.limit,
        offset=wanted.offset,
    )
    return Found(wanted, first, found)


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
