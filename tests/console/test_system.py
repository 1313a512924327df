"""Health: what is wrong, what to do about it, and the numbers of this moment."""

import pytest
from playwright.async_api import expect

from bridge.api.metrics import Metrics
from bridge.core.access import Role
from bridge.core.live import NotReady
from bridge.core.space import Space
from tests.api.house import ALICE
from tests.api.test_status import NUMBERS
from tests.console.console import PHONE, Console, Scheme, look, scrolls_sideways, serious_faults

UNREACHABLE = NotReady("asterisk-unreachable", "127.0.0.1:5038: connection refused: is Asterisk running?")
MAIL = NotReady("mail-not-taken", "mails wait: the server says 451")


async def with_numbers(console: Console) -> None:
    await console.stop()
    console.metrics = Metrics(lambda: NUMBERS)
    console.house.space = Space(40_000_000_000, 100_000_000_000)
    await console.start()


async def test_an_admin_sees_the_numbers_of_this_moment(console: Console) -> None:
    await with_numbers(console)
    page = await console.open("/system")
    await expect(page.get_by_text("Recordings are made as they should be.")).to_be_visible()
    for words in ("22.5.1", "connected", "40 GB of 100 GB", "4 of at most 100", "events from Asterisk"):
        await expect(page.locator("main")).to_contain_text(words)


async def test_what_is_wrong_stands_there_with_its_remedy_as_soon_as_it_is(console: Console) -> None:
    page = await console.open("/system")
    await expect(page.get_by_text("Recordings are made as they should be.")).to_be_visible()
    console.house.not_ready, console.house.warnings = (UNREACHABLE,), (MAIL,)
    await expect(page.get_by_text("Recordings cannot be made as they should.")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("Asterisk cannot be reached")
    await expect(page.locator("main")).to_contain_text("is Asterisk running?")
    await expect(page.locator("main")).to_contain_text("Mails are not taken")


async def test_who_is_no_admin_sees_whether_it_records_and_no_more(console: Console) -> None:
    console.expected.append("503")
    console.house.not_ready = (UNREACHABLE,)
    page = await console.open("/system", ALICE, Role.USER)
    await expect(page.get_by_text("Recordings cannot be made as they should.")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("Asterisk cannot be reached")
    await expect(page.locator("main")).not_to_contain_text("5038")
    await expect(page.get_by_text("Manager interface")).to_have_count(0)


async def test_a_daemon_that_is_away_is_told(console: Console) -> None:
    console.expected += ["ERR_", "Failed to load"]
    page = await console.open("/system")
    await expect(page.get_by_text("Recordings are made as they should be.")).to_be_visible()
    await console.stop()
    await expect(page.get_by_role("alert")).to_contain_text("recbridge cannot be reached")
    await console.start()
    await expect(page.get_by_text("Recordings are made as they should be.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_usable_by_all(console: Console, scheme: Scheme) -> None:
    await with_numbers(console)
    console.house.not_ready, console.house.warnings = (UNREACHABLE,), (MAIL,)
    for size, name in (((1280, 800), "desktop"), (PHONE, "phone")):
        page = await console.open("/system", size=size, scheme=scheme)
        await expect(page.get_by_text("22.5.1")).to_be_visible()
        await look(page, f"system-{name}-{scheme}")
        assert await serious_faults(page) == []
        assert not await scrolls_sideways(page)
