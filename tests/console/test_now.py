"""The wallboard: what it shows, how it keeps up, and what one can do there."""

from dataclasses import replace

import pytest
from playwright.async_api import Locator, Page, expect

from bridge.core.access import Role, Scope
from bridge.core.commands import Verb
from bridge.core.errors import NotAllowedByRulesError
from bridge.core.ids import Identity
from tests.api.house import House, Scripted, call_fact
from tests.console.console import PHONE, Console, Scheme, look, scrolls_sideways, serious_faults
from tests.console.wallboard import CALLS, call, many, may, party, rule

BOB = Identity("bob")


@pytest.fixture
def house(house: House) -> House:
    house.calls = CALLS
    return house


def rows(page: Page) -> Locator:
    return page.locator("tbody tr.now-call")


def row(page: Page, text: str) -> Locator:
    return rows(page).filter(has_text=text)


async def test_each_call_says_who_talks_and_what_is_recorded(console: Console) -> None:
    page = await console.open("/")
    await expect(rows(page)).to_have_count(len(CALLS))
    support = row(page, "Alice Weber")
    await expect(support).to_contain_text("Café Zürich")
    await expect(support).to_contain_text("+41445550199")
    await expect(support).to_contain_text("queue support")
    await expect(support).to_contain_text("inbound")
    await expect(support.locator(".badge")).to_have_text("recording")
    await expect(row(page, "Bob Jansen")).to_contain_text("by bob")
    await expect(row(page, "Carol Meier").locator(".badge")).to_have_text("offered")
    await expect(row(page, "Carol Meier")).to_contain_text("not recorded: it is on demand, and nobody has started it")
    await expect(row(page, "Erik").locator(".badge")).to_have_text("paused")
    await expect(row(page, "Fay").locator(".badge")).to_have_text("failed")
    await expect(row(page, "Board room").locator(".badge").first).to_have_text("blocked")
    hana = row(page, "Hana")
    await expect(hana).to_contain_text("not recorded: no rule matches: nearest is rule 3: queue is none, not support")
    await hana.get_by_text("1 rule does not match").click()
    await expect(hana).to_contain_text("3 Support, always: queue is none, not support")
    await expect(page.locator(".now-summary")).to_have_text("7 calls, 2 recorded, 1 with a failed recording")


async def test_a_call_that_begins_and_ends_is_seen_at_once(console: Console) -> None:
    page = await console.open("/now")
    await expect(rows(page)).to_have_count(len(CALLS))
    new = call(80, party(81, "Jo", "830"), party(82, "Kai", "831"), rules=(rule(1, "All", "recording"),))
    console.house.calls = (*CALLS, new)
    await console.house.happen(call_fact(1))
    await expect(row(page, "Kai")).to_be_visible(timeout=8000)
    console.house.calls = CALLS[:1]
    await console.house.happen(call_fact(2))
    await expect(rows(page)).to_have_count(1, timeout=8000)
    console.house.calls = ()
    await console.house.happen(call_fact(3))
    await expect(page.get_by_text("Nobody is on a call.")).to_be_visible(timeout=8000)


async def test_the_time_of_a_call_goes_on(console: Console) -> None:
    page = await console.open("/now")
    time = row(page, "Alice Weber").locator(".now-time")
    await expect(time).not_to_have_text("")
    before = await time.inner_text()
    await expect(time).not_to_have_text(before)


async def test_what_one_may_do_is_a_button_and_is_done(console: Console) -> None:
    control = console.house.control
    assert isinstance(control, Scripted)
    page = await console.open("/now", BOB, Role.USER)
    mine = row(page, "Bob Jansen")
    await expect(mine.get_by_role("button")).to_have_text(["Stop", "Pause"])
    await expect(page.get_by_role("button", name="Start")).to_have_count(0)
    await mine.get_by_role("button", name="Pause").focus()
    offered = call(
        20,
        party(21, "Bob Jansen", "822", may(Verb.START, users=("bob",))),
        party(22, "", "+4930123456", outside=True),
        rules=(rule(6, "Who likes", "offered"),),
        direction="outbound",
    )
    console.house.calls = (offered,)
    await page.keyboard.press("Enter")
    await expect(mine.get_by_role("button")).to_have_text(["Start"])
    await expect(mine.get_by_role("button", name="Start")).to_be_focused()
    assert [(verb, channel, reader.identity) for verb, channel, reader in control.asked] == [
        (Verb.PAUSE, "1.21", "bob")
    ]


async def test_a_refusal_is_told(console: Console) -> None:
    console.expected.append("403")
    control = console.house.control
    assert isinstance(control, Scripted)
    control.answer = NotAllowedByRulesError("no rule lets you record this talk: no-rule")
    page = await console.open("/now")
    await row(page, "Carol Meier").get_by_role("button", name="Start").click()
    await expect(page.locator("#toasts")).to_contain_text("No rule lets you record this talk")


async def test_without_the_scope_there_are_no_buttons(console: Console) -> None:
    page = await console.open("/now", scopes=[Scope.PLAY])
    await expect(rows(page)).to_have_count(len(CALLS))
    await expect(rows(page).get_by_role("button")).to_have_count(0)


async def test_a_user_sees_its_own_calls_alone(console: Console) -> None:
    page = await console.open("/now", BOB, Role.USER)
    await expect(rows(page)).to_have_count(1)


async def test_calls_are_searched_and_the_search_is_in_the_address(console: Console) -> None:
    page = await console.open("/now")
    await expect(rows(page)).to_have_count(len(CALLS))
    await page.keyboard.press("/")
    await page.keyboard.type("JANSEN")
    await expect(rows(page)).to_have_count(1)
    assert page.url.endswith("/now?search=JANSEN")
    await page.reload()
    await expect(rows(page)).to_have_count(1)
    await page.get_by_label("Search").fill("")
    await page.get_by_label("Show").select_option("failed")
    await expect(rows(page)).to_have_count(1)
    await expect(row(page, "Fay")).to_be_visible()
    await page.get_by_label("Search").fill("nobody")
    await expect(page.get_by_text("No call that goes on now is one of these.")).to_be_visible()


async def test_a_row_keeps_the_focus_and_what_is_open_while_others_come_and_go(console: Console) -> None:
    page = await console.open("/now")
    button = row(page, "Erik").get_by_role("button", name="Resume")
    await button.focus()
    await row(page, "Hana").locator("summary").evaluate("one => { one.parentElement.open = true }")
    erik, hana = CALLS[3], CALLS[6]
    new = call(80, party(81, "Jo", "830"), party(82, "Kai", "831"))
    changed = replace(erik, queue="sales")
    console.house.calls = (new, changed, hana)
    await console.house.happen(call_fact(1))
    await expect(rows(page)).to_have_count(3)
    await expect(row(page, "Erik")).to_contain_text("queue sales")
    await expect(button).to_be_focused()
    await expect(row(page, "Hana").locator("details")).to_have_attribute("open", "")


async def test_a_lost_connection_is_told_and_comes_back_by_itself(console: Console) -> None:
    console.expected += ["ERR_", "Failed to load"]
    page = await console.open("/now")
    await expect(rows(page)).to_have_count(len(CALLS))
    lost = page.get_by_text("The connection is lost.")
    await console.stop()
    await expect(lost).to_be_visible()
    await look(page, "now-lost")
    console.house.calls = CALLS[:2]
    await console.start()
    await expect(lost).to_be_hidden(timeout=60_000)
    await expect(rows(page)).to_have_count(2, timeout=60_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_wallboard_is_usable_by_all(console: Console, scheme: Scheme) -> None:
    for size, name in (((1280, 800), "desktop"), (PHONE, "phone")):
        page = await console.open("/now", size=size, scheme=scheme)
        await expect(rows(page)).to_have_count(len(CALLS))
        await look(page, f"now-{name}-{scheme}")
        assert await serious_faults(page) == []
        assert not await scrolls_sideways(page)


async def test_only_what_changed_is_drawn_anew_among_300_calls(console: Console) -> None:
    console.house.calls = many(300)
    page = await console.open("/now")
    await expect(rows(page)).to_have_count(300)
    await page.evaluate(
        "() => { window.seen = 0; new MutationObserver(all => { window.seen += all.filter(one =>"
        " !one.target.closest('.now-time')).length; }).observe(document.querySelector('tbody'),"
        " {childList: true, subtree: true, attributes: true, attributeFilter: ['class', 'hidden']}); }"
    )
    first, *others = console.house.calls
    console.house.calls = (replace(first, queue="sales"), *others[:-1])
    await console.house.happen(call_fact(1))
    await expect(rows(page)).to_have_count(299)
    await expect(rows(page).first).to_contain_text("queue sales")
    assert await page.evaluate("window.seen") < 20
