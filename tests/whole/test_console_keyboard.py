"""The console beside a real Asterisk without a mouse: what has the focus can be seen, and nothing takes it away."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.demo.daemon import Daemon
from tests.network.network import Network
from tests.whole.visit import AUDIO, Visit, size, tape

pytestmark = pytest.mark.timeout(300)

RULES = """\
rules:
  - {id: 1, name: Bob if he likes, record: on-demand, when: {user: bob}}
  - {id: 2, name: Dave always, record: always, when: {user: dave}, channels: stereo}
"""
MOST_TABS: Final = 150

FOCUS: Final = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return 'nothing has the focus';
  if (one.id === 'view') return '';  // a view that was just come to
  const words = one.outerHTML.slice(0, 160);
  const box = one.getBoundingClientRect(), style = getComputedStyle(one);
  if (box.width < 2 || box.height < 2) return 'it has no size: ' + words;
  const header = document.getElementById('header');
  const top = header.contains(one) || one.closest('dialog, .skip') ? 0 : header.getBoundingClientRect().bottom;
  if (box.bottom <= top || box.top >= innerHeight) return 'it is out of sight: ' + words;
  if (!one.matches(':focus-visible')) return 'the browser does not mark it: ' + words;
  if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 1) return 'it has no outline: ' + words;
  return '';
}
"""
"""What is wrong with the focus, or nothing."""


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as running:
        yield running


async def focus_is_seen(page: Page) -> None:
    assert await page.evaluate(FOCUS) == ""


async def tab_to(page: Page, wanted: Locator) -> None:
    """By Tab alone; on the way the focus is seen at every step."""
    await expect(wanted).to_have_count(1)
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement !== document.body"):  # the browser's own parts are between
            await focus_is_seen(page)
        if await wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"Tab never comes to {wanted}")


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def test_calls_are_controlled_found_and_heard_without_a_mouse(
    network: Network, daemon: Daemon, browser: Browser
) -> None:
    call = await network.call("alice", "104")
    await call.answered()
    await tape(network.spool, 2, size(network.spool))
    await call.hangup()
    await daemon.journal(1)
    visit = await Visit.begun(browser, daemon)
    page = visit.page
    await expect(page.get_by_label("Token")).to_be_focused()
    await visit.sign_in()
    await focus_is_seen(page)
    await a_call_is_started_and_stopped(page, network)
    await a_call_is_found(page)
    await it_is_heard(visit)
    await it_gets_a_tag_and_a_note(page)
    await tab_to(page, page.get_by_role("main").get_by_role("link", name="Calls", exact=True))
    await press(page, "Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    await focus_is_seen(page)
    await a_dialog_gives_the_focus_back(page)
    assert visit.said == []


async def a_call_is_started_and_stopped(page: Page, network: Network) -> None:
    call = await network.call("alice", "102")
    row = page.locator("tr.now-call", has_text="Alice")
    await tab_to(page, row.get_by_role("button", name="Start"))
    await press(page, "Enter")
    await expect(row.locator(".badge")).to_have_text("recording")
    await focus_is_seen(page)
    await tab_to(page, row.get_by_role("button", name="Stop"))
    other = await network.call("carol", "104")
    await expect(page.locator("tr.now-call")).to_have_count(2)
    await expect(row.get_by_role("button", name="Stop")).to_be_focused()
    await press(page, "Enter")
    await expect(row.locator(".badge")).to_have_text("offered")
    await focus_is_seen(page)
    await other.hangup()
    await call.hangup()
    await expect(page.get_by_text("Nobody is on a call.")).to_be_visible()


async def a_call_is_found(page: Page) -> None:
    await press(page, "g", "c")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    await focus_is_seen(page)
    await press(page, "/")
    await expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    await focus_is_seen(page)
    await page.keyboard.type("alice")
    await expect(page.locator(".chip")).to_have_text("“alice”")
    await tab_to(page, page.locator(".facet-value[data-name=user][data-value=dave]"))
    await press(page, "Enter")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await focus_is_seen(page)
    await expect(page.locator(".facet-value[data-name=user][data-value=dave]")).to_be_focused()
    await press(page, "j")
    await focus_is_seen(page)
    await press(page, "Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Dave (104)")
    await focus_is_seen(page)


async def it_is_heard(visit: Visit) -> None:
    page = visit.page
    position = page.get_by_label("Position in the call")
    await expect(page.locator(".wave > div")).to_be_visible()
    await page.evaluate(f"{AUDIO}.loop = true")  # however slow the machine is, it is not over
    await press(page, " ")
    await visit.until(f"{AUDIO}.currentTime > 0.3 && !{AUDIO}.paused")
    await expect(page.get_by_role("table", name="Who listened")).to_be_visible()  # what is beside was read anew
    await focus_is_seen(page)
    await press(page, " ")
    await visit.until(f"{AUDIO}.paused")
    before = float(await position.input_value())
    await press(page, "ArrowRight")  # over the end, unless the machine is so slow that there is more to hear
    later = float(await position.input_value())
    assert before < later <= before + 10.1
    await press(page, "ArrowLeft")
    moved = later - float(await position.input_value())
    assert moved == pytest.approx(10, abs=0.2) or await page.evaluate(f"{AUDIO}.currentTime") == 0
    await press(page, ".")
    await expect(page.get_by_label("Speed")).to_have_value("1.25")
    await press(page, ",", ",")
    await expect(page.get_by_label("Speed")).to_have_value("0.75")
    mute = page.get_by_role("button", name="Mute left")
    await press(page, "[")
    await expect(mute).to_have_attribute("aria-pressed", "true")
    await tab_to(page, mute)
    await press(page, "Enter")
    await expect(mute).to_have_attribute("aria-pressed", "false")
    await expect(mute).to_be_focused()
    play = page.get_by_role("button", name="Play", exact=True)
    await tab_to(page, play)
    await press(page, "Enter")
    await visit.until(f"!{AUDIO}.paused")
    await press(page, "Enter")
    await visit.until(f"{AUDIO}.paused")
    await expect(play).to_be_focused()


async def it_gets_a_tag_and_a_note(page: Page) -> None:
    await tab_to(page, page.get_by_label("New tag"))
    await page.keyboard.type("again")
    await press(page, "Enter")
    await expect(page.get_by_role("button", name="Remove the tag again")).to_be_visible()
    await focus_is_seen(page)
    await tab_to(page, page.get_by_label("New note"))
    await page.keyboard.type("heard")
    await press(page, "Tab", "Enter")
    await expect(page.locator(".note-text")).to_have_text("heard")
    await focus_is_seen(page)
    await tab_to(page, page.get_by_role("button", name="Remove the tag again"))
    await press(page, "Enter")
    await expect(page.get_by_role("button", name="Remove the tag again")).to_have_count(0)
    await focus_is_seen(page)


async def a_dialog_gives_the_focus_back(page: Page) -> None:
    await press(page, "g", "b")
    add = page.get_by_role("button", name="Add a callback")
    await tab_to(page, add)
    await press(page, "Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await focus_is_seen(page)
    await press(page, "Escape")
    await press(page, "Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(add).to_be_focused()
    await focus_is_seen(page)
