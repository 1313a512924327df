"""The console of a daemon that records a real Asterisk's calls."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.console.console import hear
from tests.demo.daemon import Daemon
from tests.network.network import Network

RULES = """\
rules:
  - {id: 1, name: Bob if he likes, record: on-demand, when: {user: bob}}
  - {id: 2, name: Dave always, record: always, when: {user: dave}}
"""


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as daemon:
        yield daemon


async def signed_in(browser: Browser, daemon: Daemon, token: str, said: list[str]) -> Page:
    """By the sign-in page, as people do."""
    context = await browser.new_context(base_url=daemon.url)
    context.set_default_timeout(30_000)
    page = await context.new_page()
    hear(page, said)
    await page.goto("/")
    await page.get_by_label("Token").fill(token)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Now")).to_be_visible()
    return page


async def test_a_call_appears_is_started_paused_resumed_and_stopped_and_goes(
    network: Network, daemon: Daemon, browser: Browser
) -> None:
    said: list[str] = []
    page = await signed_in(browser, daemon, await daemon.new_token("bob", "user"), said)
    await expect(page.get_by_text("Nobody is on a call.")).to_be_visible()
    call = await network.call("alice", "102")
    await call.answered()
    row = page.locator("tr.now-call", has_text="Bob")
    await expect(row.locator(".badge")).to_have_text("offered")
    for verb, state, then in (
        ("Start", "recording", ["Stop", "Pause"]),
        ("Pause", "paused", ["Stop", "Resume"]),
        ("Resume", "recording", ["Stop", "Pause"]),
        ("Stop", "offered", ["Start"]),
    ):
        await row.get_by_role("button", name=verb).click()
        await expect(row.locator(".badge")).to_have_text(state)
        await expect(row.get_by_role("button")).to_have_text(then)
    await call.hangup()
    await expect(page.get_by_text("Nobody is on a call.")).to_be_visible()
    assert [one for one in said if "401" not in one] == []


async def test_what_the_rules_record_is_seen_and_cannot_be_stopped(
    network: Network, daemon: Daemon, browser: Browser
) -> None:
    said: list[str] = []
    page = await signed_in(browser, daemon, daemon.token, said)
    call = await network.call("alice", "104")
    await call.answered()
    row = page.locator("tr.now-call", has_text="Dave")
    await expect(row.locator(".badge")).to_have_text("recording")
    await expect(row.get_by_role("button")).to_have_text(["Pause"])
    await page.keyboard.press("g")
    await page.keyboard.press("h")
    await expect(page.get_by_text("Recordings are made as they should be.")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("connected")
    await call.hangup()
    assert [one for one in said if "401" not in one] == []


async def test_the_console_comes_back_after_the_daemon_was_killed(
    network: Network, daemon: Daemon, browser: Browser
) -> None:
    said: list[str] = []
    page = await signed_in(browser, daemon, daemon.token, said)
    call = await network.call("alice", "104")
    await call.answered()
    row = page.locator("tr.now-call", has_text="Dave")
    await expect(row.locator(".badge")).to_have_text("recording")
    await daemon.kill()
    await expect(page.get_by_text("The connection is lost.")).to_be_visible()
    await daemon.start()
    await expect(page.get_by_text("The connection is lost.")).to_be_hidden()
    await expect(row.locator(".badge")).to_have_text("recording")
    await call.hangup()
    await expect(page.get_by_text("Nobody is on a call.")).to_be_visible()
