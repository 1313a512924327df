"""The view Calls: searching, narrowing down, the calendar, paging, saved searches, the keyboard."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect

from bridge.core.access import Role, Scope
from bridge.core.ids import CallId, Identity, RecordId
from bridge.core.records import CallStatus, SectionState
from bridge.core.store import AddCdr, PutSection
from tests.api.house import ALICE, BOB, ROOT
from tests.console.console import DESKTOP, PHONE, Console, Scheme, look, scrolls_sideways, serious_faults
from tests.storage import kept

# The view begins with the last 30 days of the browser's clock; so early in the hour no call slips into another day.
NOW = datetime.now(UTC).replace(minute=5, second=0, microsecond=0)


async def ended(console: Console, number: int, ago: timedelta, *participants: Identity, **values: Any) -> None:
    """A call that began so long ago; of alice's there is a recording."""
    at, record = NOW - ago, RecordId(f"{number}_0")
    cdr = replace(
        kept.cdr(f"1.{number}"), started_at=at, answered_at=at, ended_at=at + timedelta(seconds=95), talked_s=90.0,
        record_ids=(record,), participants=participants, source_name=f"Caller {number}", queue="",
        source_number=f"+49731{number:04}", status=CallStatus.ANSWERED,
    )  # fmt: skip
    if ALICE in participants:
        section = kept.section(record_id=record, call_id=CallId(f"1.{number}"), participants=(ALICE,), tags=("sales",))
        closed = replace(section, state=SectionState.CLOSED, requested_at=at, started_at=at, ended_at=cdr.ended_at)
        await console.house.happen(PutSection(closed))
    await console.house.happen(AddCdr(replace(cdr, **values)))


async def some_calls(console: Console) -> None:
    await ended(console, 1, timedelta(days=1), ALICE)
    await ended(console, 2, timedelta(days=2), BOB, queue="support", direction="internal")
    await ended(console, 3, timedelta(days=3), ALICE, BOB, talked_s=0.0, status=CallStatus.UNKNOWN)
    await ended(console, 4, timedelta(days=400), BOB)


def rows(page: Page) -> Any:
    return page.locator("tbody tr")


async def test_typing_a_search_narrows_the_list_and_back_widens_it(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls")
    await expect(rows(page)).to_have_count(3)
    await page.keyboard.press("/")
    await page.keyboard.type("caller 2")
    await expect(rows(page)).to_have_count(1)
    assert "search=caller+2" in page.url
    await page.go_back()
    await expect(rows(page)).to_have_count(3)


async def test_a_facet_narrows_the_list_and_a_second_click_widens_it(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls")
    support = page.get_by_role("button", name=re.compile("^support"))
    await support.click()
    await expect(rows(page)).to_have_count(1)
    await expect(support).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_text("1 call of 4")).to_be_visible()
    await support.click()
    await expect(rows(page)).to_have_count(3)
    assert "queue" not in page.url


async def test_a_day_of_the_calendar_is_taken_and_left_again(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls?period=all")
    await expect(rows(page)).to_have_count(4)
    day = page.locator(".day:not(.heat-0)").last
    words = await day.get_attribute("aria-label")
    assert words is not None
    assert "1 call, " in words
    await day.click()
    await expect(rows(page)).to_have_count(1)
    assert "from=" in page.url
    assert "until=" in page.url
    await page.get_by_role("button", name="Clear").click()
    await expect(rows(page)).to_have_count(3)


async def test_a_drag_over_the_calendar_takes_its_days(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls?period=all")
    await expect(page.locator(".day")).not_to_have_count(0)
    days = page.locator(".day")
    last = await days.count() - 1
    for at in (0, last):
        box = await days.nth(at).bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=8)
        await (page.mouse.down() if at == 0 else page.mouse.up())
    await expect(page.locator('.day[aria-pressed="true"]')).to_have_count(last + 1)
    assert "from=" in page.url


async def test_the_next_page_goes_on_and_back_comes_back(console: Console) -> None:
    for number in range(1, 61):
        await ended(console, number, timedelta(hours=number), BOB)
    page = await console.open("/calls?period=all")
    await expect(rows(page)).to_have_count(50)
    await page.get_by_role("button", name="Next page").click()
    await expect(rows(page)).to_have_count(10)
    await expect(page.get_by_role("button", name="Next page")).to_have_count(0)
    await page.go_back()
    await expect(rows(page)).to_have_count(50)


async def test_the_keyboard_goes_from_row_to_row_and_opens_one(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls")
    await expect(rows(page)).to_have_count(3)
    for key in ("j", "j", "ArrowDown", "k"):
        await page.keyboard.press(key)
    await expect(page.locator("tbody tr").nth(1).locator("a")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/calls/2")


async def test_a_saved_search_is_there_the_next_time(console: Console) -> None:
    await some_calls(console)
    page = await console.open("/calls?queue=support&period=all")
    await page.get_by_role("button", name="Save this search").click()
    await page.get_by_label("Name", exact=True).last.fill("Support")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.goto("/calls")
    await page.get_by_role("button", name="Support", exact=True).click()
    await expect(rows(page)).to_have_count(1)
    assert "queue=support" in page.url
    await console.sign_in(page.context, ALICE, Role.USER)
    await page.goto("/calls")
    await expect(page.get_by_role("button", name="Save this search")).to_be_visible()
    await expect(page.get_by_role("button", name="Support", exact=True)).to_have_count(0)


async def test_nothing_found_and_an_error_say_what_to_do(console: Console) -> None:
    console.expected.append("400")
    page = await console.open("/calls")
    await expect(page.get_by_text("No call has ended in this time.")).to_be_visible()
    await page.goto("/calls?cursor=x")
    await expect(page.get_by_role("alert")).to_contain_text("cursor")
    await expect(page.get_by_role("button", name="Try again")).to_be_visible()


@pytest.mark.parametrize(("scopes", "links"), [([Scope.EXPORT], 1), ([], 0)])
async def test_csv_is_offered_to_whom_may_export(console: Console, scopes: list[Scope], links: int) -> None:
    await some_calls(console)
    page = await console.open("/calls", ROOT, Role.ADMIN, scopes)
    await expect(rows(page)).to_have_count(3)
    link = page.get_by_role("link", name="CSV")
    await expect(link).to_have_count(links)
    if links:
        async with page.expect_download() as download:
            await link.click()
        text = (await (await download.value).path()).read_text()
        assert text.count("\n") == 4
        assert "Caller 3" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_it_can_be_read_by_everybody(console: Console, size: tuple[int, int], scheme: Scheme) -> None:
    await some_calls(console)
    page = await console.open("/calls?search=caller", size=size, scheme=scheme)
    await expect(rows(page)).to_have_count(3)
    await expect(page.locator(".facet").first).to_be_attached()
    if size == PHONE:
        await page.get_by_text("Days and kinds").click()
    await expect(page.locator(".facet").first).to_be_visible()
    await look(page, f"calls-{scheme}-{size[0]}")
    assert await serious_faults(page) == []
    assert not await scrolls_sideways(page)
