"""The view Callbacks: setting one up, its secret, its deliveries, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from playwright.async_api import Browser, Page, expect

from bridge.core.access import Role
from bridge.core.records import Fact, FactKind
from bridge.core.store import AppendFact
from bridge.core.webhooks import FormatName, Policy
from tests.api.house import ALICE, House
from tests.console.console import DESKTOP, PHONE, Console, Scheme, look, scrolls_sideways, serious_faults
from tests.feed.office import ROOT, SECRET, Office
from tests.feed.receiver import Receiver
from tests.storage import kept

SLOW = Policy(retry_s=(3600.0,) * 3)
"""What has failed is seen waiting for its next attempt."""


@pytest.fixture
async def office(house: House) -> AsyncIterator[Office]:
    """Its callbacks, too."""
    office = Office(house.store, policy=SLOW)
    house.webhooks = office.webhooks
    async with office:
        yield office


@pytest.fixture
async def console(house: House, office: Office, browser: Browser) -> AsyncIterator[Console]:  # noqa: ARG001  # callbacks
    async with house.opened() as client:
        console = Console(house, browser, str(client.make_url("/")).rstrip("/"))
        yield console
        await console.close()
    assert console.complaints == []


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver(SECRET)
    await receiver.start()
    yield receiver
    await receiver.stop()


def begun(n: int = 1) -> AppendFact:
    return AppendFact(Fact(FactKind.CALL_BEGAN, datetime.now(UTC), kept.CALL, data={"n": n}))


async def test_one_is_set_up_and_its_secret_is_shown_once(console: Console, office: Office) -> None:
    page = await console.open("/callbacks")
    await expect(page.get_by_text("No callbacks are set up")).to_be_visible()
    await page.get_by_role("button", name="Add a callback").click()
    form = page.get_by_role("dialog", name="Add a callback")
    await form.get_by_label("Address", exact=True).fill("https://a.example/hook")
    await form.get_by_label("Events").fill("section.*, journal.entry")
    await form.get_by_role("button", name="Add").click()
    secret = page.get_by_role("dialog", name="The secret").get_by_label("Secret")
    (webhook,) = office.webhooks.all
    assert await secret.input_value() == webhook.secrets[0].value
    assert webhook.events == ("section.*", "journal.entry")
    await page.get_by_role("button", name="I have it").click()
    item = page.get_by_role("listitem").filter(has_text="https://a.example/hook")
    await expect(item).to_contain_text("enabled")
    await expect(item).to_contain_text("section.*, journal.entry")
    assert webhook.secrets[0].value not in await page.content()


async def test_what_is_wrong_with_it_is_said_in_the_form(console: Console) -> None:
    console.expected.append("400")
    page = await console.open("/callbacks")
    await page.get_by_role("button", name="Add a callback").click()
    form = page.get_by_role("dialog")
    await form.get_by_label("Address", exact=True).fill("https://a.example/hook")
    await form.get_by_label("Events").fill("no.such.event")
    await form.get_by_role("button", name="Add").click()
    await expect(form.get_by_role("alert")).to_contain_text("events")


async def test_deliveries_say_what_became_of_them_and_go_out_again(
    console: Console, office: Office, receiver: Receiver
) -> None:
    receiver.status = 500
    await office.webhooks.add(receiver.url, FormatName.STANDARD, ["call.*"], ROOT, secret=SECRET)
    page = await console.open("/callbacks")
    await office.happen(begun())
    await page.get_by_role("button", name="Deliveries").click()
    await read_until(page, "answer 500")
    row = page.get_by_role("row").filter(has_text="call.began")
    await expect(row).to_contain_text("waiting")
    await expect(row).to_contain_text("next try in")
    await expect(page.get_by_role("listitem")).to_contain_text("1 delivery")
    await page.get_by_label("State").select_option("delivered")
    await expect(page.get_by_text("There are no such deliveries")).to_be_visible()
    assert "state=delivered" in page.url
    await page.reload()
    await expect(page.get_by_text("There are no such deliveries")).to_be_visible()


async def test_what_was_given_up_is_sent_again(console: Console, office: Office, receiver: Receiver) -> None:
    receiver.status = 410  # gone for good: given up, and disabled
    webhook, _ = await office.webhooks.add(receiver.url, FormatName.STANDARD, ["call.*"], ROOT, secret=SECRET)
    await office.happen(begun())
    page = await console.open(f"/callbacks?webhook={webhook.id}")
    item = page.locator(".webhook")
    await expect(item).to_contain_text("its receiver answered that it is gone")
    await expect(item.locator(".webhook-head")).to_contain_text("disabled")
    receiver.status = 200
    await item.get_by_role("button", name="Enable").click()
    await expect(item.get_by_role("button", name="Disable")).to_be_focused()
    await expect(item.locator(".webhook-head")).to_contain_text("enabled")


async def test_a_test_says_whether_it_arrived(console: Console, office: Office, receiver: Receiver) -> None:
    await office.webhooks.add(receiver.url, FormatName.STANDARD, ["*"], ROOT, secret=SECRET)
    page = await console.open("/callbacks")
    await page.get_by_role("button", name="Test", exact=True).click()
    await expect(page.locator("#toasts")).to_contain_text("The test arrived: answer 200")
    receiver.status = 503
    await page.get_by_role("button", name="Test", exact=True).click()
    await expect(page.locator("#toasts")).to_contain_text("did not arrive: answer 503")


async def test_it_is_changed_gets_a_new_secret_and_is_deleted(console: Console, office: Office) -> None:
    webhook, old = await office.webhooks.add("https://a.example/hook", FormatName.STANDARD, ["*"], ROOT)
    page = await console.open("/callbacks")
    await page.get_by_role("button", name="Change").click()
    form = page.get_by_role("dialog")
    await form.get_by_label("Address", exact=True).fill("https://b.example/hook")
    await form.get_by_role("button", name="Save").click()
    await expect(page.locator(".webhook-url")).to_have_text("https://b.example/hook")
    await page.get_by_role("button", name="New secret").click()
    await page.get_by_role("dialog").get_by_role("button", name="Make it").click()
    secret = page.get_by_role("dialog", name="The secret").get_by_label("Secret")
    await expect(secret).not_to_have_value(old)
    changed = office.webhooks.one(webhook.id)
    assert changed is not None
    assert await secret.input_value() == changed.secrets[0].value
    await page.get_by_role("button", name="I have it").click()
    await expect(page.locator(".webhook")).to_contain_text("2 sign; the old one until")
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert len(office.webhooks.all) == 1
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No callbacks are set up")).to_be_visible()
    assert list(office.webhooks.all) == []


async def test_it_is_for_admins(console: Console) -> None:
    page = await console.open("/callbacks", ALICE, Role.USER)
    await expect(page.get_by_text("Callbacks are for admins")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_it_looks_well(
    console: Console, office: Office, receiver: Receiver, size: tuple[int, int], scheme: Scheme
) -> None:
    webhook, _ = await office.webhooks.add(receiver.url, FormatName.STANDARD, ["call.*"], ROOT, secret=SECRET)
    gone, _ = await office.webhooks.add(
        "https://a.example/a/very/long/path/that/has/no/blank/in/it/at/all/and/goes/on/and/on?token=0123456789",
        FormatName.STANDARD, ["section.*", "journal.entry"], ROOT,
    )  # fmt: skip
    await office.webhooks.change(gone.id, ROOT, enabled=False)
    for n in range(3):
        await office.happen(begun(n))
    page = await console.open(f"/callbacks?webhook={webhook.id}", size=size, scheme=scheme)
    await read_until(page, "call.began")
    await look(page, f"callbacks-{scheme}-{size[0]}")
    assert await serious_faults(page) == []
    assert not await scrolls_sideways(page)
    await page.get_by_role("button", name="Add a callback").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await look(page, f"callbacks-add-{scheme}-{size[0]}")
    assert await serious_faults(page) == []


async def read_until(page: Page, words: str) -> None:
    """Have the deliveries read again until one says so."""
    async with asyncio.timeout(30):
        while words not in "".join(await page.locator(".webhook-deliveries td").all_inner_texts()):
            await page.get_by_role("button", name="Read again").click()
