"""Signing in and out, the header, the keys, and how each page looks."""

import re

import pytest
from playwright.async_api import expect

from bridge.core.access import Role
from bridge.core.people import Directory, User
from tests.api.house import ALICE, ROOT
from tests.console.console import PHONE, Console, Scheme, look, scrolls_sideways, serious_faults

WRONG = "rb_0123456789abcdef_" + "x" * 43


async def test_one_signs_in_with_a_token_and_comes_to_where_one_wanted(console: Console) -> None:
    console.expected.append("401")
    plain = (await console.house.token(ROOT, Role.ADMIN))["Authorization"].removeprefix("Bearer ")
    page = await console.page(await console.context())
    await page.goto("/system?a=b")
    await expect(page).to_have_url(re.compile(r"/sign-in\?to=%2Fsystem%3Fa%3Db$"))
    await page.get_by_label("Token").fill(WRONG)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("not known")
    await page.get_by_label("Token").fill(f" {plain}\n")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(f"{console.url}/system?a=b")
    await expect(page.locator("#header")).to_contain_text("root")
    assert await page.evaluate("document.cookie") == ""


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/.//evil.example"]
)
async def test_signing_in_leads_to_no_other_site(console: Console, to: str) -> None:
    plain = (await console.house.token(ROOT, Role.ADMIN))["Authorization"].removeprefix("Bearer ")
    page = await console.page(await console.context())
    await page.goto(f"/sign-in?to={to}")
    await page.get_by_label("Token").fill(plain)
    await page.keyboard.press("Enter")
    await expect(page.locator("#header")).to_contain_text("root")
    assert page.url.startswith(f"{console.url}/now")


async def test_one_signs_out(console: Console) -> None:
    console.expected.append("401")
    page = await console.open("/system")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_focused()
    await page.goto("/now")
    await expect(page).to_have_url(re.compile(r"/sign-in\?to=%2Fnow$"))


async def test_a_session_that_is_ended_elsewhere_leads_to_the_sign_in(console: Console) -> None:
    console.expected += ["401", "net::ERR"]
    page = await console.open("/system")
    await expect(page.locator("#header")).to_contain_text("root")
    for token in list(console.house.store._tokens):
        await console.house.store.end_token(token)
    await page.keyboard.press("g")
    await page.keyboard.press("n")
    # Health reads by itself, too: on a slow machine it may be first to hear of it.
    await expect(page).to_have_url(re.compile(r"/sign-in\?to=%2F(now|system)$"))


async def test_the_header_has_what_a_role_may_see(console: Console) -> None:
    console.house.directory = Directory((User(identity=ALICE, name="Alice Weber"),))
    page = await console.open("/system", ALICE, Role.USER)
    names = page.get_by_role("navigation").get_by_role("link")
    await expect(names).to_have_text(["Now", "Calls", "Coverage", "Health"])
    await expect(page.locator("#header")).to_contain_text("Alice Weber (alice)")
    admin = await console.open("/system")
    names = admin.get_by_role("navigation").get_by_role("link")
    await expect(names).to_have_text(["Now", "Calls", "Rules", "Exports", "Callbacks", "Coverage", "Health"])
    await expect(admin.get_by_role("link", name="Health")).to_have_attribute("aria-current", "page")


async def test_keys_lead_to_views_and_show_themselves(console: Console) -> None:
    page = await console.open("/system")
    await expect(page.get_by_role("heading", name="Health")).to_be_visible()
    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    await expect(dialog).to_contain_text("Callbacks")
    await look(page, "keys")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await page.keyboard.press("g")
    await page.keyboard.press("n")
    await expect(page).to_have_url(f"{console.url}/now")
    await page.go_back()
    await expect(page).to_have_url(f"{console.url}/system")
    await expect(page.get_by_role("heading", name="Health")).to_be_visible()


async def test_the_first_tab_skips_to_the_content(console: Console) -> None:
    page = await console.open("/system")
    await expect(page.get_by_role("heading", name="Health")).to_be_visible()
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


async def test_an_address_of_nothing_says_so(console: Console) -> None:
    console.expected.append("404")
    context = await console.context()
    await console.sign_in(context)
    page = await console.page(context)
    await page.goto("/system")
    await page.evaluate("history.pushState(null, '', '/nothing'); dispatchEvent(new PopStateEvent('popstate'))")
    await expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_sign_in_page_is_usable_by_all(console: Console, scheme: Scheme) -> None:
    for size, name in (((1280, 800), "desktop"), (PHONE, "phone")):
        page = await console.page(await console.context(size=size, scheme=scheme))
        await page.goto("/sign-in")
        await expect(page.get_by_label("Token")).to_be_focused()
        await look(page, f"sign-in-{name}-{scheme}")
        assert await serious_faults(page) == []
        assert not await scrolls_sideways(page)
