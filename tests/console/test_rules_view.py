"""The view Rules: what is in force, and why a call was recorded or not."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from bridge.core.access import Role
from bridge.core.asked import kept_rules
from bridge.core.errors import Problem
from bridge.core.ids import Identity
from bridge.core.rules import parse_rules
from bridge.core.rules_in_force import RulesInForce
from bridge.core.store import PutAsked, PutRules
from tests.api.house import ALICE, BOB, ROOT, House
from tests.console.console import DESKTOP, PHONE, Console, Scheme, look, scrolls_sideways, serious_faults
from tests.console.heard import NUMBER, heard_call
from tests.core.diary import FILE, SALES, USERS, Diary
from tests.core.pbx import Pbx
from tests.core.scene import directory

LONG = """\
rules:
  - id: 7
    name: Support of the whole house, whoever takes the call in whatever queue it came through
    record: always
    when: {queue: [support, hotline], not: {caller: alice}, time: "mon-fri 08:00-18:00 Europe/Berlin"}
    channels: stereo
    keep: 90d
"""


def given(console: Console) -> Diary:
    """Rules in force, and a recorder that goes by the first file of them."""
    now = datetime.now(UTC)
    people = directory(USERS)
    files = ((FILE, SALES), ("/etc/recbridge/rules/b.yml", LONG))
    console.house.now = now
    console.house.directory = people
    console.house.rules = RulesInForce(parse_rules(files, people), files)
    return Diary(pbx=Pbx(now - timedelta(hours=5)))


async def happened(console: Console, diary: Diary) -> None:
    await console.house.happen(*diary.changes)
    diary.changes = []


async def three_calls(console: Console) -> None:
    """One that rule 1 recorded, one that nothing recorded, one that goes on; then other rules."""
    diary = given(console)
    diary.over(*diary.inbound(), 3700)
    diary.over(*diary.inbound(queue="support", variables=[("PRIVATE", "yes")]))
    diary.inbound()
    people = directory(USERS)
    diary.changes.append(PutRules(kept_rules(console.house.rules.files, people, console.house.now)))
    await happened(console, diary)


async def test_each_rule_says_where_it_stands_and_how_often_it_matched(console: Console) -> None:
    await three_calls(console)
    page = await console.open("/rules")
    rules = page.locator(".rule")
    await expect(rules).to_have_count(4)
    first = rules.nth(0)
    await expect(first).to_contain_text("Sales")
    await expect(first.locator(".badge")).to_have_text("always")
    await expect(first).to_contain_text("2 calls this week")
    await expect(first.locator(".rule-conditions li")).to_have_text(["direction is inbound", "queue is sales"])
    await expect(first).to_contain_text("keep 90d")
    await first.get_by_text(f"{FILE}:3").click()
    await expect(first.locator("pre")).to_contain_text("- {id: 1, name: Sales, record: always")
    await expect(rules.nth(3)).to_contain_text("matched no call this week")
    await expect(page.get_by_text("In force since")).to_be_visible()


async def test_what_was_refused_is_said_before_all_else(console: Console) -> None:
    given(console)
    problem = Problem("/etc/recbridge/rules/a.yml", 3, 5, "unknown key `recod` here", "record")
    console.house.rules = replace(console.house.rules, refused=(problem,), refused_at=console.house.now)
    page = await console.open("/rules")
    box = page.get_by_role("alert")
    await expect(box).to_contain_text("/etc/recbridge/rules/a.yml:3:5 unknown key `recod` here (did you mean record?)")


async def test_a_link_asks_why_and_the_rules_of_then_answer(console: Console) -> None:
    await three_calls(console)
    page = await console.open("/rules?call=1")
    await expect(page.locator(".why-outcome")).to_have_text("Recorded by rule 1; offered by rule 2")
    rules = page.locator(".why-rule")
    await expect(rules).to_have_count(3)  # not those of today
    await expect(rules.first).to_have_class(re.compile("decides"))
    await expect(rules.nth(2)).to_contain_text("dialed is 500, not 110")
    await expect(rules.nth(2)).to_contain_text("variable.PRIVATE is not there, not *")
    await expect(page.locator(".why-had")).to_contain_text("sales")
    await expect(page.get_by_text("What held: rule 1: to record for 1 h 1 min")).to_be_visible()
    await expect(page.get_by_role("link", name="The call")).to_have_attribute("href", "/calls/1")


@pytest.mark.parametrize(("identity", "role", "links"), [(ROOT, Role.ADMIN, 1), (BOB, Role.USER, 0)])
async def test_the_view_of_a_call_leads_admins_to_why(
    console: Console, house: House, identity: Identity, role: Role, links: int
) -> None:
    call = await heard_call(house)
    context = await console.context()
    await console.sign_in(context, identity, role)
    page = await call.shown(await console.page(context))
    await expect(page.locator(f'.facts a[href="/rules?call={NUMBER}"]')).to_have_count(links)


async def test_a_call_is_pasted_or_picked(console: Console) -> None:
    await three_calls(console)
    page = await console.open("/rules")
    await page.get_by_label("Number of the call").fill("PJSIP/trunk-1")
    await page.get_by_role("button", name="Ask the rules").click()
    await expect(page.locator(".why-call")).to_contain_text("goes on now")
    await expect(page).to_have_url(re.compile("call=PJSIP%2Ftrunk-1"))
    await page.get_by_label("or one of the newest").select_option("2")
    await expect(page.locator(".why-outcome")).to_have_text("Not recorded: never by rule 3")
    await expect(page.locator(".why-rule").first).to_contain_text("3 Private never, matches")
    await expect(page).to_have_url(re.compile(r"call=2$"))
    console.expected.append("404")
    await page.get_by_label("Number of the call").fill("77")
    await page.get_by_label("Number of the call").press("Enter")
    await expect(page.locator(".why-answer")).to_have_count(0)
    await expect(page.get_by_role("alert")).to_contain_text("There is no such call")


async def test_an_imagined_call_is_asked_about_and_is_in_the_address(console: Console) -> None:
    given(console)
    page = await console.open("/rules")
    await page.get_by_role("button", name="An imagined call").click()
    for label, value in (
        ("Who calls", "+4930123"),
        ("Who answers", "bob"),
        ("Queue", "sales"),
        ("Variables", "PRIVATE=1; X="),
    ):
        await page.get_by_label(label, exact=True).fill(value)
    await page.get_by_role("button", name="Ask the rules").press("Enter")
    await expect(page.locator(".why-outcome")).to_have_text("Not recorded: never by rule 3")
    await expect(page.locator(".why-rule")).to_have_count(4)
    await page.get_by_label("Variables").fill("")
    await page.get_by_role("button", name="Ask the rules").click()
    await expect(page.locator(".why-outcome")).to_have_text("Recorded by rule 1; offered by rule 2")
    await page.reload()
    await expect(page.locator(".why-outcome")).to_have_text("Recorded by rule 1; offered by rule 2")
    await expect(page.get_by_label("Who answers")).to_have_value("bob")


async def test_a_call_of_before_says_what_is_not_known(console: Console) -> None:
    diary = given(console)
    diary.over(*diary.inbound())
    diary.changes = [one for one in diary.changes if not isinstance(one, PutAsked | PutRules)]
    await happened(console, diary)
    page = await console.open("/rules?call=1")
    await expect(page.locator(".why-talk")).to_contain_text("it was before recbridge kept that")
    await expect(page.locator(".why-talk")).to_contain_text("What held: rule 1")


async def test_others_see_the_names_of_their_rules_and_ask_nothing(console: Console) -> None:
    await three_calls(console)
    page = await console.open("/rules", BOB, Role.USER)
    await expect(page.locator(".rule")).to_have_count(1)
    await expect(page.locator(".rule")).to_contain_text("Bob by hand")
    await expect(page.get_by_text("Why?")).to_have_count(0)
    page = await console.open("/rules", ALICE, Role.USER)
    await expect(page.locator(".empty")).to_have_text("No rule names you.")


async def shown(page: Page) -> None:
    await expect(page.locator(".why-outcome")).to_be_visible()
    await expect(page.locator(".rule")).to_have_count(4)
    await expect(page.get_by_label("or one of the newest")).to_be_visible()


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")], ids=["light", "dark", "phone"]
)
async def test_it_can_be_read(
    console: Console, size: tuple[int, int], scheme: Scheme, request: pytest.FixtureRequest
) -> None:
    await three_calls(console)
    page = await console.open("/rules?call=2", size=size, scheme=scheme)
    await shown(page)
    await page.locator(".rule summary").first.click()
    assert await serious_faults(page) == []
    assert not await scrolls_sideways(page)
    await look(page, f"rules-{request.node.callspec.id}")
    await page.get_by_role("button", name="An imagined call").click()
    assert await serious_faults(page) == []
    assert not await scrolls_sideways(page)
    await look(page, f"rules-imagined-{request.node.callspec.id}")
