"""Finished calls on their way out: however many there are, only a page of them is in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from aiohttp import web

from bridge.core.cdrs import CdrFilter, CdrNumbers, CdrPage, CdrQuery, KeptCdr
from bridge.core.store import Store

PAGE = 1000
_WRITE_S = 60
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: `first` is the first page, `all` the numbers of all calls where that is not all of them."""

    query: CdrQuery
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
            these = CdrFilter(numbers=tuple(numbers[start : start + PAGE]), status=self.query.wanted.status)
            page = await store.cdrs(CdrQuery(these, order=self.query.order, newest_first=self.query.newest_first))
            for kept in page.items:
                yield kept


async def find(store: Store, query: CdrQuery) -> Found:
    """Look for all that is wanted: a page of it, or where that is not all the numbers of all. Raises StoreError."""
    first = await store.cdrs(replace(query, limit=PAGE if query.limit is None else min(PAGE, query.limit)))
    if len(first.items) < PAGE or query.limit == len(first.items):
        return Found(query, first, None)
    return Found(query, first, await store.cdr_numbers(query))


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
