"""A browser, and the console in front of it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.api.house import House
from tests.console.console import BROWSER_ARGS, Console, chromium

expect.set_options(timeout=20_000)  # a busy machine is slow


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window; no test where there is none, and with CI=true a failure."""
    path = chromium()
    if path is None:
        words = "there is no Chromium: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=BROWSER_ARGS)
        yield browser
        await browser.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    """What the application is given (`tests.api.house`), to be changed before `console` is asked for a page."""
    root = tmp_path / "spool"
    root.mkdir()
    return House(root)


@pytest.fixture
async def console(house: House, browser: Browser) -> AsyncIterator[Console]:
    """The console of that house, in the browser. Whatever a page complained of fails the test at its end."""
    console = Console(house, browser)
    await console.start()
    yield console
    await console.close()
    assert console.complaints == []
