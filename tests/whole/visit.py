"""Somebody who looks at the console of a daemon that records a real Asterisk's calls."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Page, Request, expect

from tests.console.console import DESKTOP, Scheme, hear, shots
from tests.demo.daemon import ROOT, Daemon

AUDIO: Final = "document.querySelector('audio')"
SILENT, HEARD = 0.0005, 0.005
"""RMS at the loudspeaker, 1 is the loudest."""

EARS: Final = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    const splitter = new ChannelSplitterNode(this.context, {numberOfOutputs: 2});
    connect.call(this, splitter);
    window.ears = [0, 1].map((side) => {
      const ear = new AnalyserNode(this.context, {fftSize: 16384, smoothingTimeConstant: 0});
      connect.call(splitter, ear, side);
      return ear;
    });
  }
  return connect.call(this, to, ...rest);
};
window.loudness = () => (window.ears ?? []).map((ear) => {
  const samples = new Float32Array(ear.fftSize);
  ear.getFloatTimeDomainData(samples);
  return Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
});
window.tones = () => (window.ears ?? []).map((ear) => {
  const levels = new Float32Array(ear.frequencyBinCount);
  ear.getFloatFrequencyData(levels);
  return levels.indexOf(Math.max(...levels)) * ear.context.sampleRate / ear.fftSize;
});
"""
"""Ears at what goes to the loudspeaker: of either side `loudness()` is RMS, `tones()` the loudest frequency in Hz."""


@dataclass
class Visit:
    """A browser of one's own. `said` is what pages complained of, `elsewhere` where they asked besides the daemon."""

    daemon: Daemon
    context: BrowserContext
    page: Page
    said: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    @classmethod
    async def begun(
        cls, browser: Browser, daemon: Daemon, *, size: tuple[int, int] = DESKTOP, scheme: Scheme = "light"
    ) -> Self:
        """Nobody is signed in, and the sign-in page is shown."""
        context = await browser.new_context(
            base_url=daemon.url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            locale="en-GB",
            timezone_id="Europe/Berlin",
        )
        context.set_default_timeout(60_000)
        await context.add_init_script(EARS)
        visit = cls(daemon, context, await context.new_page())
        hear(visit.page, visit.said)
        context.on("request", visit._asked)
        await visit.page.goto("/sign-in")
        return visit

    async def sign_in(self, token: str | None = None) -> None:
        """As people do."""
        await self.page.get_by_label("Token").fill(token or self.daemon.token)
        await self.page.keyboard.press("Enter")
        await expect(self.page.get_by_role("heading", name="Now")).to_be_visible()

    async def until(self, condition: str) -> None:
        """Wait for what JavaScript says. Playwright's own waiting would need the page to allow `eval`."""
        async with asyncio.timeout(60):
            while not await self.page.evaluate(f"Boolean({condition})"):  # noqa: ASYNC110  # the page tells nobody
                await asyncio.sleep(0.05)

    def _asked(self, request: Request) -> None:
        to = urlsplit(request.url)
        if to.scheme not in {"blob", "data"} and f"{to.scheme}://{to.netloc}" != self.daemon.url:
            self.elsewhere.append(request.url)


async def tape(spool: Path, seconds: float, before: int = 0) -> None:
    """Wait until so much more than `before` (`size`) is on the tape: 8 kHz, 16 bit, two sides."""
    async with asyncio.timeout(60):
        while size(spool) - before < seconds * 32_000:  # noqa: ASYNC110  # Asterisk writes
            await asyncio.sleep(0.05)


def size(spool: Path) -> int:
    """The bytes of all audio in the spool."""
    return sum(one.stat().st_size for one in spool.rglob("*.wav"))


async def keep(page: Page, name: str) -> None:
    """Keep a screenshot of the page, or of its dialog: in build/screenshots, or where RECBRIDGE_SHOTS says."""
    folder = shots() or ROOT / "build/screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    await page.evaluate("scrollTo(0, 0)")  # the header would lie over what was scrolled to
    whole = await page.locator("dialog[open]").count() == 0
    await page.screenshot(path=str(folder / f"{name}.png"), full_page=whole)
