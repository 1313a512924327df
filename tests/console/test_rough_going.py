"""What the console says where the daemon is slow, gone or answers nonsense, and where the viewer's browser differs."""

import asyncio
import json
import re
from typing import Any, Final

import pytest
from playwright.async_api import Route, expect

from bridge.core.access import Role
from tests.api.house import ALICE, House
from tests.console.console import Console
from tests.console.heard import heard_call
from tests.console.wallboard import CALLS, call, party

VIEWS: Final = {
    "/now": "**/api/v1/calls",
    "/calls": "**/api/v1/cdrs?*",
    "/rules": "**/api/v1/rules",
    "/exports": "**/api/v1/exports?*",
    "/callbacks": "**/api/v1/webhooks",
    "/coverage": "**/api/v1/coverage?*",
    "/system": "**/api/v1/status",
}
"""Each view's path, and what it shows."""

HIDE: Final = """hidden => {
  Object.defineProperty(document, "hidden", {get: () => hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def house(house: House) -> House:
    house.calls = CALLS
    return house


@pytest.mark.parametrize("path", VIEWS)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 503, "json": {"error_id": "store-error", "message": "x"}}, "The database cannot be asked"),
        ({"status": 403, "json": {"error_id": "forbidden", "message": "not for you"}}, "Not for you"),
        ({"status": 200, "body": '{"items": [{"id"', "content_type": "application/json"}, "Unexpected answer"),
        ({"status": 502, "body": "<h1>Bad Gateway</h1>", "content_type": "text/html"}, "Unexpected answer: 502"),
        (None, "recbridge cannot be reached"),
    ],
)
async def test_each_view_says_what_is_wrong_and_the_way_to_others_is_open(
    console: Console, path: str, answer: dict[str, Any] | None, words: str
) -> None:
    console.expected += ["Failed to load resource", "ERR_FAILED"]

    async def answered(route: Route) -> None:
        await (route.abort() if answer is None else route.fulfill(**answer))

    context = await console.context()
    await console.sign_in(context)
    await context.route(VIEWS[path], answered)
    page = await console.page(context)
    await page.goto(path)
    lost = "The connection is lost." if path == "/now" and answer is None else words
    await expect(page.locator("main")).to_contain_text(lost)
    await page.get_by_role("link", name="Health" if path != "/system" else "Now").click()
    await expect(page.locator("h1")).not_to_have_text("")
    await expect(page.get_by_text(lost)).to_have_count(0)


@pytest.mark.parametrize("path", ["/now", "/exports", "/callbacks"])
async def test_what_is_shown_stays_and_is_called_old_while_it_cannot_be_read(console: Console, path: str) -> None:
    console.expected += ["Failed to load resource", "ERR_FAILED"]
    broken = False

    async def answered(route: Route) -> None:
        items: Any = {"/exports": [_export()], "/callbacks": [_webhook()]}.get(path)
        if broken:
            await route.fulfill(status=503, json={"error_id": "store-error", "message": "x"})
        elif items is None:
            await route.continue_()
        else:
            await route.fulfill(json={"items": items})

    context = await console.context()
    await console.sign_in(context)
    await context.route(VIEWS[path], answered)
    page = await console.page(context)
    await page.goto(path)
    shown = {"/now": "Alice Weber", "/exports": "3 recordings", "/callbacks": "https://crm.example/hook"}[path]
    await expect(page.get_by_text(shown, exact=True)).to_be_visible()
    broken = True
    await page.evaluate(HIDE, False)  # reads at once
    old = page.get_by_text("The database cannot be asked at the moment. What you see may be old")
    await expect(old).to_be_visible()
    await expect(page.get_by_text(shown, exact=True)).to_be_visible()
    broken = False
    await page.evaluate(HIDE, False)
    await expect(old).to_be_hidden()


@pytest.mark.parametrize("path", ["/now", "/exports", "/callbacks", "/system"])
async def test_a_page_that_nobody_looks_at_asks_nothing_and_catches_up(console: Console, path: str) -> None:
    console.expected.append("404")  # this house has no callbacks
    context = await console.context()
    await console.sign_in(context)
    page = await console.page(context)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/api/v1/" in one.url else None)
    await page.clock.install()
    await page.goto(path)
    await expect(page.locator("h1")).to_be_visible()
    await expect(page.locator("main .loading")).to_have_count(0)
    await page.evaluate(HIDE, True)
    await page.clock.run_for(1000)
    before = len(asked)
    await page.clock.run_for(50_000)
    assert asked[before:] == []
    await page.evaluate(HIDE, False)
    await page.clock.run_for(1000)
    async with asyncio.timeout(20):
        while len(asked) == before:  # noqa: ASYNC110  # the page tells nobody
            await asyncio.sleep(0.02)


async def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(console: Console) -> None:
    first = asyncio.Event()

    async def answered(route: Route) -> None:
        slow = "search=" not in route.request.url
        if slow:
            await first.wait()
        name = "Slow" if slow else "Quick"
        party = {"number": "1", "name": name, "identity": ""}
        item = {
            "id": 1, "source": party, "destination": party, "startedAt": 0, "talkedS": 1, "direction": "inbound",
            "tags": [], "recorded": False, "recordedS": 0, "queue": "", "dialed": "", "status": "answered",
        }  # fmt: skip
        await route.fulfill(json={"items": [item], "next": None, "total": 1, "filtered": 1, "atLeast": False})

    context = await console.context()
    await console.sign_in(context)
    await context.route(VIEWS["/calls"], answered)
    page = await console.page(context)
    await page.goto("/calls")
    await page.get_by_role("searchbox").fill("quick")
    await expect(page.locator("tbody")).to_contain_text("Quick")
    first.set()
    await page.evaluate("() => fetch('/api/v1/session').then(one => one.text())")
    await expect(page.locator("tbody")).to_contain_text("Quick")
    await expect(page.locator("tbody")).not_to_contain_text("Slow")


async def test_a_session_that_ends_in_the_middle_leads_to_the_sign_in_and_back(console: Console) -> None:
    console.expected += ["401"]
    context = await console.context()
    await console.sign_in(context)
    page = await console.page(context)
    await page.goto("/calls?period=all")
    await expect(page.get_by_text("No call has ended in this time.")).to_be_visible()
    await context.clear_cookies()
    await page.get_by_label("Time").select_option("7d")
    await expect(page.get_by_label("Token")).to_be_visible()
    plain = (await console.house.token(ALICE, Role.USER))["Authorization"].removeprefix("Bearer ")
    await page.get_by_label("Token").fill(plain)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{console.url}/calls?period=7d")


async def test_a_view_whose_code_cannot_be_had_can_be_asked_for_again(console: Console) -> None:
    console.expected += ["Failed to", "ERR_FAILED"]
    context = await console.context()
    await console.sign_in(context)
    await context.route("**/web/views/coverage.js", lambda route: route.abort())
    page = await console.page(context)
    await page.goto("/system")
    await page.get_by_role("link", name="Coverage").click()
    await expect(page.get_by_role("alert")).to_contain_text("This page could not be loaded")
    await context.unroute("**/web/views/coverage.js")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", name="Coverage")).to_be_visible()


@pytest.mark.parametrize("path", ["/rules", "/calls", "/coverage"])
async def test_a_view_that_could_not_be_read_is_read_when_the_daemon_is_back(console: Console, path: str) -> None:
    console.expected += ["Failed to load resource", "ERR_FAILED"]
    context = await console.context()
    await console.sign_in(context)

    async def gone(route: Route) -> None:
        await route.abort()

    await context.route("**/health", gone)
    away = re.compile(r"/api/v1/(?!session)")
    await context.route(away, gone)
    page = await console.page(context)
    await page.goto(path)
    await expect(page.get_by_role("alert")).to_contain_text("recbridge cannot be reached")
    await context.unroute(away)
    await context.unroute("**/health")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(page.get_by_text("recbridge cannot be reached")).to_have_count(0)


async def test_a_clock_that_is_an_hour_off_does_not_show_in_how_long_a_call_goes_on(console: Console) -> None:
    console.house.calls = (call(10, party(11, "Ann", "1"), party(12, "Ben", "2"), ago_s=100),)
    context = await console.context()
    await context.add_init_script("{ const now = Date.now; Date.now = () => now() - 3_600_000; }")
    await console.sign_in(context)
    page = await console.page(context)
    await page.goto("/now")
    minutes = page.locator(".now-time")
    await expect(minutes).not_to_have_text("")
    shown = await minutes.inner_text()
    assert not shown.startswith("0:00")
    assert shown.count(":") == 1  # no hours


@pytest.mark.parametrize(
    ("locale", "day", "ago"),
    [
        ("de", "2 Mar 2026", "2 hours ago"),
        ("ar-SA", "2 Mar 2026", "2 hours ago"),
        ("en-US", "Mar 2, 2026", "2 hours ago"),
    ],
)
async def test_words_stay_english_and_days_of_the_common_calendar_whatever_the_browser_speaks(
    console: Console, locale: str, day: str, ago: str
) -> None:
    context = await console.browser.new_context(base_url=console.url, locale=locale, timezone_id="Europe/Berlin")
    page = await console.page(context)
    await page.goto("/sign-in")
    shown, other = await page.evaluate(
        "import('/web/format.js').then(one => [one.day(Date.UTC(2026, 2, 2, 12)), one.ago(0, 7_200_000)])"
    )
    assert (shown, other) == (day, ago)
    await context.close()


async def test_a_name_written_from_right_to_left_does_not_turn_its_number(console: Console) -> None:
    page = await console.page(await console.context())
    await page.goto("/sign-in")
    said = await page.evaluate(
        "import('/web/format.js').then(one => ["
        " one.person({name: 'שרה', number: '822'}), one.person({name: 'Ann 🦉', number: '1'})])"
    )
    assert said == ["\u2068שרה\u2069 (822)", "Ann 🦉 (1)"]


async def test_a_browser_that_keeps_nothing_says_so_when_a_search_is_saved(console: Console) -> None:
    context = await console.context()
    await context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
    )
    await console.sign_in(context)
    page = await console.page(context)
    await page.goto("/calls")
    await page.get_by_role("button", name="Save this search").click()
    await expect(page.get_by_label("Name").last).to_be_focused()
    await page.keyboard.type("mine")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("This browser keeps nothing")).to_be_visible()


async def test_a_form_that_is_sent_twice_at_once_asks_once(console: Console) -> None:
    heard = await heard_call(console.house)
    context = await console.context()
    await console.sign_in(context)
    page = await heard.shown(await console.page(context))
    sent: list[str] = []
    going_on = asyncio.Event()

    async def slow(route: Route) -> None:
        sent.append(str(route.request.post_data))
        await going_on.wait()
        await heard.answer(route)

    await context.route("**/tags", slow)
    tag = page.get_by_label("New tag")
    await tag.fill("once")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    going_on.set()
    await expect(page.locator(".call .tags")).to_contain_text("once")
    assert [json.loads(one) for one in sent] == [{"tag": "once"}]


def _export() -> dict[str, Any]:
    return {
        "id": "e1", "status": "finished", "recordings": 3, "calls": 2, "askedAt": 0, "owner": "root", "missing": 0,
        "sizeBytes": 1, "expiresAt": 1, "fileName": "a.zip", "reason": None, "done": 3, "doneBytes": 1,
        "wantedBytes": 1, "endsAt": None,
    }  # fmt: skip


def _webhook() -> dict[str, Any]:
    return {
        "id": "w1", "url": "https://crm.example/hook", "enabled": True, "disabledReason": None, "disabledAt": None,
        "secrets": [{"expiresAt": None}], "waiting": 0, "events": ["*"], "format": "standard", "archiveUrl": None,
        "createdAt": 0,
    }  # fmt: skip
