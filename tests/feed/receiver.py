"""Somebody who takes callbacks: over real HTTP, as well or as badly as a test says."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook as Verifier


class Receiver:
    """Listens on a port of 127.0.0.1, the same after each restart. What it took is in `bodies`, by path.

    `chance` is how often it does something bad instead. `refuse` is a call whose callbacks it answers with 500.
    """

    def __init__(self, secret: str | None = None, chance: float = 0.0, seed: int = 0) -> None:
        self.secret = secret
        self.chance = chance
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.hang: asyncio.Event | None = None
        self.hang_s = 0.2
        self.seen: list[tuple[str, str, Any]] = []
        self.refuse: str | None = None
        self.paths: set[str] = set()
        self.asked = 0
        self.hanging = 0
        self.bad: dict[str, int] = defaultdict(int)
        self._random = random.Random(seed)
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        (address,) = {one[1] for one in self._runner.addresses}
        self.port = address

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.paths.add(request.path)
        raw = await request.read()
        headers = dict(request.headers)
        body = self._verified(raw, headers)
        if self.hang is not None:
            self.hanging += 1
            await self.hang.wait()
        if self._random.random() < self.chance:
            how = self._random.choice(["500", "reset", "hang", "late", "redirect", "404"])
            self.bad[how] += 1
            match how:
                case "reset":
                    assert request.transport is not None
                    request.transport.abort()
                    return web.Response()
                case "hang":
                    await asyncio.sleep(self.hang_s)
                    return web.Response(status=500)
                case "late":  # it has taken it, and the sender does not know
                    self.seen.append((request.path, headers["webhook-id"], body))
                    await asyncio.sleep(self.hang_s)
                    return web.Response()
                case "redirect":
                    return web.Response(status=302, headers={"Location": self.url})
                case _:
                    return web.Response(status=int(how))
        if self.refuse is not None and body["data"]["callId"] == self.refuse:
            return web.Response(status=500)
        if self.status < 300:
            self.seen.append((request.path, headers["webhook-id"], body))
        return web.Response(status=self.status, headers=self.headers)

    def _verified(self, raw: bytes, headers: dict[str, str]) -> Any:
        assert self.secret is not None
        lower = {name.lower(): value for name, value in headers.items()}
        return Verifier(self.secret).verify(raw, lower)
