"""Addresses, back and forward, new tabs, and where a page stands."""

import re
from typing import Final

import pytest
from playwright.async_api import Page, expect

from tests.api.house import House
from tests.console.console import Console
from tests.console.test_calls_view import some_calls
from tests.console.wallboard import many

Y: Final = "Math.round(window.scrollY)"


@pytest.fixture
def house(house: House) -> House:
    house.calls = many(40)
    return house


async def scrolled(page: Page) -> int:
    """Scroll down, and wait until the page has noted it."""
    await page.mouse.move(600, 500)
    await page.mouse.wheel(0, 900)
    while not await page.evaluate(f"history.state?.y > 0 && Math.round(history.state.y) === {Y}"):
        await page.evaluate("new Promise(requestAnimationFrame)")
    return int(await page.evaluate(Y))


async def stands_at(page: Page, y: int) -> None:
    while int(await page.evaluate(Y)) != y:
        await page.evaluate("new Promise(requestAnimationFrame)")


async def test_back_and_reload_come_to_where_one_had_scrolled_to_and_a_new_view_begins_at_its_top(
    console: Console,
) -> None:
    page = await console.open("/now")
    await expect(page.locator("tr.now-call")).to_have_count(40)
    y = await scrolled(page)
    assert y > 100
    await page.get_by_role("link", name="Health").click()
    await expect(page.get_by_role("heading", name="Health")).to_be_visible()
    assert await page.evaluate(Y) == 0
    await page.go_back()
    await stands_at(page, y)
    await page.reload()
    await stands_at(page, y)


async def test_the_skip_link_and_a_link_to_where_one_is_leave_no_traces_in_the_history(console: Console) -> None:
    page = await console.open("/now")
    await expect(page.locator("tr.now-call")).to_have_count(40)
    await page.evaluate("document.querySelector('tr.now-call').dataset.mine = 'here'")
    length = await page.evaluate("history.length")
    await page.get_by_role("link", name="Now", exact=True).click()
    await expect(page.locator("tr.now-call[data-mine]")).to_have_count(0)  # read anew
    assert await page.evaluate("history.length") == length
    await page.evaluate("document.querySelector('tr.now-call').dataset.mine = 'here'")
    await page.evaluate("document.querySelector('.skip').click()")
    await expect(page.locator("#view")).to_be_focused()
    await expect(page.locator("tr.now-call[data-mine]")).to_have_count(1)  # not read anew


async def test_a_call_opens_in_a_new_tab_by_the_middle_button(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls")
    async with page.context.expect_page() as opened:
        await page.locator("a.row-link").first.click(button="middle")
    assert re.search(r"/calls/\d+$", (await opened.value).url)
    await expect(page).to_have_url(f"{console.url}/calls")


async def test_what_has_a_key_to_open_it_elsewhere_is_opened_elsewhere(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls")
    async with page.context.expect_page() as opened:
        await page.locator("tbody tr").first.locator("td").nth(3).click(modifiers=["Control"])
    assert re.search(r"/calls/\d+$", (await opened.value).url)
    await expect(page).to_have_url(f"{console.url}/calls")


async def test_another_page_or_order_of_the_same_calls_asks_for_the_list_alone(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls")
    await expect(page.locator("tbody tr")).to_have_count(3)
    asked: list[str] = []
    page.on(
        "request", lambda one: asked.append(one.url.split("/api/v1/")[-1].split("?")[0]) if "/api/" in one.url else None
    )
    await page.get_by_label("Sort").select_option("start")
    await expect(page.locator("tbody tr").first).to_contain_text("Caller 3")
    assert asked == ["cdrs"]
    await page.get_by_label("Time").select_option("all")
    await expect(page.locator("tbody tr")).to_have_count(4)
    assert sorted(asked[1:]) == ["cdrs", "cdrs/days", "cdrs/facets"]


@pytest.mark.parametrize("path", ["now", "calls", "rules", "exports", "callbacks", "coverage", "system"])
async def test_the_tab_tells_where_one_is(console: Console, path: str) -> None:
    console.expected.append("404")  # this house has no callbacks
    page = await console.open(f"/{path}")
    name = "Health" if path == "system" else path.capitalize()
    await expect(page).to_have_title(re.compile(rf"^{name} \S recbridge$"))
    await expect(page.get_by_role("navigation").get_by_role("link", name=name)).to_have_attribute(
        "aria-current", "page"
    )
