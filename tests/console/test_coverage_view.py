"""The view Coverage: sums, bars with a table that says the same, and the calls that somebody has to look at."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from bridge.core.access import Role
from bridge.core.accounts import Reason, Span, TalkAccount
from bridge.core.ids import CallId, Identity, RuleId, TalkId
from bridge.core.store import AddCdr, PutSpan, PutTalk
from tests.api.house import ALICE, BOB
from tests.console.console import DESKTOP, PHONE, Console, Scheme, look, scrolls_sideways, serious_faults
from tests.storage import kept

NOON = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0)
"""Of today: the browser's clock is the machine's."""


async def ended(
    console: Console, number: int, days_ago: float, *reasons: Reason | None, who: tuple[Identity, ...] = (ALICE,)
) -> None:
    """A call of a minute; rule 1, 2, … was to record it, or had a reason."""
    at = NOON - timedelta(days=days_ago, minutes=number)
    talk = TalkAccount(TalkId(f"{number}-1"), CallId(f"1.{number}"), at - timedelta(minutes=1), at)
    spans = [
        Span(talk.talk_id, n, None if reason is Reason.NO_RULE else RuleId(n), reason, talk.began_at)
        for n, reason in enumerate(reasons, start=1)
    ]
    cdr = replace(kept.cdr(f"1.{number}"), started_at=talk.began_at, ended_at=at, participants=who)
    await console.house.happen(PutTalk(talk), *map(PutSpan, spans), AddCdr(cdr))


async def some(console: Console) -> None:
    console.house.now = datetime.now(UTC)
    for number in range(1, 40):
        reason = [Reason.NEVER, Reason.PAUSED, Reason.STARTING, Reason.NO_RULE, None][number % 5]
        await ended(console, number, 1 + number % 25, reason)


async def test_sums_bars_and_the_table_say_the_same(console: Console) -> None:
    console.house.now = datetime.now(UTC)
    await ended(console, 1, 1, Reason.PAUSED)
    await ended(console, 2, 1, Reason.FAILED)
    await ended(console, 3, 3, Reason.NEVER, Reason.FAILED)
    page = await console.open("/coverage")
    await expect(page.locator(".tile").filter(has_text=re.compile("^Calls"))).to_contain_text("3")
    await expect(page.locator(".tile").filter(has_text="Missing")).to_contain_text("66.7 %")
    await expect(page.locator(".tile").filter(has_text="To look at")).to_contain_text("2")
    chart = page.get_by_role("img", name=re.compile("Talked by day"))
    await expect(chart.locator(".bar.part-missing")).to_have_count(2)
    await expect(chart.locator(".bar.part-left")).to_have_count(1)
    await page.get_by_text("As a table").click()
    days = page.get_by_role("table", name="Talked, recorded and missing")
    await expect(days.get_by_role("row")).to_have_count(8)
    day = (NOON - timedelta(days=1)).date().isoformat()
    await expect(days.get_by_role("row").filter(has_text=day)).to_contain_text("1 min")
    rules = page.get_by_role("table", name="Coverage by rule").get_by_role("row")
    await expect(rules.filter(has_text="rule 2")).to_contain_text("1 min")
    why = page.get_by_role("table", name="Reasons").get_by_role("row")
    await expect(why.filter(has_text="the recording failed")).to_contain_text("2 min")


async def test_the_calls_to_look_at_lead_to_themselves_page_by_page(console: Console) -> None:
    console.house.now = datetime.now(UTC)
    for number in range(1, 31):
        await ended(console, number, 1, Reason.LOST if number < 30 else Reason.NEVER)
    page = await console.open("/coverage")
    calls = page.get_by_role("table", name="Calls to look at").locator("tbody tr")
    await expect(calls).to_have_count(25)
    await expect(calls.first).to_contain_text("rule 1: 1:00 the recording was lost")
    await page.get_by_role("button", name="Show more of 29").click()
    await expect(calls).to_have_count(29)
    await expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    await expect(calls.first.get_by_role("link")).to_have_attribute("href", "/calls/1")


async def test_the_period_is_in_the_address(console: Console) -> None:
    console.house.now = datetime.now(UTC)
    await ended(console, 1, 20, Reason.NEVER)
    page = await console.open("/coverage")
    await expect(page.get_by_text("No calls ended in that time")).to_be_visible()
    await page.get_by_label("Time").select_option("30")
    await expect(page.locator(".tile").filter(has_text=re.compile("^Calls"))).to_contain_text("1")
    assert page.url.endswith("/coverage?days=30")
    await page.get_by_label("Time").select_option("365")
    await expect(page.get_by_role("heading", name="By week")).to_be_visible()
    first = (NOON - timedelta(days=21)).date().isoformat()
    last = (NOON - timedelta(days=19)).date().isoformat()
    await page.get_by_label("First day").fill(first)
    await page.get_by_label("Last day").fill(last)
    await expect(page.get_by_role("heading", name="By day")).to_be_visible()
    assert page.url.endswith(f"/coverage?from={first}&until={last}")
    await page.reload()
    await expect(page.get_by_label("Time")).to_have_value("own")
    await expect(page.locator(".bars > g")).to_have_count(3)
    await page.go_back()
    await expect(page.get_by_label("Time")).not_to_have_value("30")


async def test_each_sees_what_is_its_to_see(console: Console) -> None:
    console.house.now = datetime.now(UTC)
    await ended(console, 1, 1, Reason.LOST, who=(ALICE, BOB))
    await ended(console, 2, 1, Reason.LOST, who=(BOB,))
    page = await console.open("/coverage", ALICE, Role.USER)
    await expect(page.locator(".tile").filter(has_text=re.compile("^Calls"))).to_contain_text("1")
    await expect(page.get_by_role("table", name="Calls to look at").locator("tbody tr")).to_have_count(1)


async def test_all_well_is_said(console: Console) -> None:
    console.house.now = datetime.now(UTC)
    await ended(console, 1, 1, Reason.NEVER)
    page = await console.open("/coverage")
    await expect(page.get_by_text("Nothing is missing that should not be")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_it_looks_well(console: Console, size: tuple[int, int], scheme: Scheme) -> None:
    await some(console)
    page = await console.open("/coverage?days=30", size=size, scheme=scheme)
    await expect(page.locator(".bars > g")).to_have_count(30)
    await look(page, f"coverage-{scheme}-{size[0]}")
    await page.get_by_text("As a table").click()
    assert await serious_faults(page) == []
    assert not await scrolls_sideways(page)
