"""The console in a browser, as tests use it."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

from bridge.api.app import create_app
from bridge.api.metrics import Metrics
from bridge.core.access import Role, Scope
from bridge.core.ids import Identity
from bridge.feed.stream import Hub
from tests.api.house import ROOT, House, Server

BROWSER_ARGS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP pbx.test 127.0.0.1",  # a host by name: of localhost browsers believe more
    "--autoplay-policy=no-user-gesture-required",
]

DESKTOP: Final = (1280, 800)
PHONE: Final = (360, 740)

Scheme = Literal["light", "dark"]


def chromium() -> str | None:
    """Debian's Chromium, or the one that RECBRIDGE_CHROMIUM names; None where there is none."""
    return os.environ.get("RECBRIDGE_CHROMIUM") or shutil.which("chromium")


def shots() -> Path | None:
    """Where screenshots are kept: RECBRIDGE_SHOTS; None for nowhere."""
    folder = os.environ.get("RECBRIDGE_SHOTS")
    return Path(folder) if folder else None


@dataclass
class Console:
    """`start` it first. `url` is the daemon's, without a slash at its end. `complaints` are errors of pages.

    A test that means to see one puts a pattern of its text into `expected`: `console.expected.append("409")`.
    """

    house: House
    browser: Browser
    url: str = ""
    metrics: Metrics | None = None
    said: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)
    _server: Server | None = None
    _port: int = 0

    async def start(self) -> None:
        """The daemon's HTTP side; after `stop` at the same address, as a daemon that is started again."""
        self.house.hub = Hub(self.house.store, bound=self.house.bound)
        self._server = Server(
            create_app(self.house.dependencies(), keepalive_s=self.house.keepalive_s, metrics=self.metrics)
        )
        self._server.port = self._port
        await self._server.start_server()
        assert self._server.port is not None
        self._port, self.url = self._server.port, str(self._server.make_url("/")).rstrip("/")

    async def stop(self) -> None:
        """It is not there any more; what it keeps stays."""
        if self._server is not None:
            await self._server.close()

    @property
    def complaints(self) -> list[str]:
        """What nobody expected."""
        return [one for one in self.said if not any(re.search(pattern, one) for pattern in self.expected)]

    async def context(self, *, size: tuple[int, int] = DESKTOP, scheme: Scheme = "light") -> BrowserContext:
        """A browser of its own, where nobody is signed in. Times are Berlin's, words English."""
        context = await self.browser.new_context(
            base_url=self.url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        return context

    async def page(self, context: BrowserContext) -> Page:
        """A page whose complaints are heard."""
        page = await context.new_page()
        hear(page, self.said)
        return page

    async def sign_in(
        self,
        context: BrowserContext,
        identity: Identity = ROOT,
        role: Role = Role.ADMIN,
        scopes: Sequence[Scope] | None = None,
    ) -> None:
        """As the sign-in page does, without it."""
        token = (await self.house.token(identity, role, scopes))["Authorization"].removeprefix("Bearer ")
        answer = await context.request.post(
            f"{self.url}/api/v1/session", data={"token": token}, headers={"Origin": self.url}
        )
        assert answer.status == 201, await answer.text()

    async def open(
        self,
        path: str,
        identity: Identity = ROOT,
        role: Role = Role.ADMIN,
        scopes: Sequence[Scope] | None = None,
        *,
        size: tuple[int, int] = DESKTOP,
        scheme: Scheme = "light",
    ) -> Page:
        """A page of the console, where this one is signed in."""
        context = await self.context(size=size, scheme=scheme)
        await self.sign_in(context, identity, role, scopes)
        page = await self.page(context)
        await page.goto(path)
        return page

    async def close(self) -> None:
        """Close all pages, and stop."""
        for context in self._contexts:
            await context.close()
        await self.stop()


def hear(page: Page, said: list[str]) -> None:
    """Write down what a page complains of."""

    def on_message(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            said.append(f"{page.url}: {message.text} ({message.location.get('url', '')})")

    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    page.on("console", on_message)


async def look(page: Page, name: str) -> None:
    """Keep a screenshot of the whole page, `name` without a suffix, where somebody wants them (RECBRIDGE_SHOTS)."""
    folder = shots()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=str(folder / f"{name}.png"), full_page=True)


async def serious_faults(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds that is serious or critical: the rule, why, and the elements."""
    results = await Axe().run(page)
    return [
        {"rule": one["id"], "why": one["help"], "where": [node["html"][:200] for node in one["nodes"][:3]]}
        for one in results.response["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


async def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    return bool(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
