"""Every view of the console in front of a real Asterisk: screenshots in both schemes, wide and on a phone; axe-core.

The pictures are kept in build/screenshots as VIEW-SCHEME-WIDTH.png, or where RECBRIDGE_SHOTS says.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect

from tests.console.console import DESKTOP, Scheme, scrolls_sideways, serious_faults
from tests.demo.daemon import Daemon
from tests.feed.office import SECRET
from tests.feed.receiver import Receiver
from tests.network.network import Network
from tests.whole.visit import Visit, keep, size, tape

pytestmark = pytest.mark.timeout(600)

RULES = """\
rules:
  - id: 1
    name: Support, always
    record: always
    when: {queue: support}
    channels: stereo
    pause: user
  - id: 2
    name: Bob if he likes
    record: on-demand
    when: {user: bob}
    channels: stereo
  - {id: 3, name: Dave always, record: always, when: {user: dave}}
"""
SMALL_PHONE, PHONE = (360, 740), (390, 844)
SIZES: Final = (DESKTOP, PHONE)

Shown = Callable[[Page], Awaitable[None]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver(SECRET)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-office.yml").write_text(RULES)
    extra = "webhooks: {allow_private: true}\n"
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules, extra=extra) as running:
        yield running


async def asked(daemon: Daemon, path: str, **body: Any) -> Any:
    async with daemon.session.post(f"{daemon.url}/api/v1/{path}", headers=daemon.auth(), json=body) as answer:
        assert answer.ok, await answer.text()
        return await answer.json()


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await met():  # noqa: ASYNC110  # what changes it is another process
            await asyncio.sleep(0.05)


async def running(daemon: Daemon) -> list[dict[str, Any]]:
    _, body = await daemon.get("/api/v1/calls")
    found: list[dict[str, Any]] = body["items"]
    return found


async def is_recorded(daemon: Daemon, count: int = 1) -> None:
    async def met() -> bool:
        states = [rule["state"] for call in await running(daemon) for rule in call["rules"]]
        return states.count("recording") == count

    await until(met)


@asynccontextmanager
async def some_days_work(network: Network, daemon: Daemon, receiver: Receiver) -> AsyncIterator[int]:
    """Calls that are over, one with all there is to see (its number is given); two that go on; more."""
    await asked(daemon, "webhooks", url=receiver.url, events=["section.*", "call.*"], secret=SECRET)
    await network.behave("bob", "busy")
    await (await network.call("alice", "102")).ended()
    await network.behave("bob", "answer")

    call = await network.inbound("+4973112345", name="Anna Maria Hohenstein-Brandenburger", did="4930555")
    await call.answered()
    await is_recorded(daemon)
    await tape(network.spool, 2, size(network.spool))
    await call.hangup()
    call = await network.call("alice", "103")  # no rule
    await call.answered()
    await until(lambda: talking(daemon, 1))
    await call.hangup()
    await daemon.journal(1)
    _, found = await daemon.get("/api/v1/cdrs?recorded=true")
    cdr = int(found["items"][0]["id"])
    await asked(daemon, f"cdrs/{cdr}/tags", tag="to be called back")
    await asked(daemon, f"cdrs/{cdr}/notes", text="She wants her invoice again, by mail.")
    await asked(daemon, "holds", callId=found["items"][0]["callId"], why="Case 2026/17")
    await asked(daemon, "exports", cdrs=[cdr])

    async def is_made() -> bool:
        _, exports = await daemon.get("/api/v1/exports")
        return bool(exports["items"][0]["status"] == "finished")

    await until(is_made)
    both = [await network.call("alice", "102"), await network.call("carol", "104")]
    for one in both:
        await one.answered()
    await is_recorded(daemon)
    yield cdr
    for one in both:
        await one.hangup()


async def talking(daemon: Daemon, count: int) -> bool:
    return [call["talkingSince"] is not None for call in await running(daemon)].count(True) == count


def views(cdr: int) -> dict[str, tuple[str, Shown]]:
    """Each view and dialog by its name: its address, "" to stay, and what is done there until it is to be seen."""

    async def now(page: Page) -> None:
        await expect(page.locator("tr.now-call")).to_have_count(2)
        await expect(page.locator(".badge", has_text="recording")).to_be_visible()

    async def calls(page: Page) -> None:
        await expect(page.get_by_role("table", name="Finished calls").locator("tbody tr")).to_have_count(3)
        await expect(page.locator(".facet-value").first).to_be_attached()

    async def a_call(page: Page) -> None:
        await expect(page.locator(".timeline svg")).to_be_visible()
        await expect(page.locator(".wave > div")).to_be_visible()

    async def hold(page: Page) -> None:
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Set another hold").click()
        await expect(page.get_by_role("dialog")).to_be_visible()

    async def rules(page: Page) -> None:
        await expect(page.locator(".rule")).to_have_count(3)
        await page.locator(".rule-text summary").first.click()

    async def why(page: Page) -> None:
        await expect(page.locator(".why-outcome")).to_be_visible()
        await expect(page.get_by_label("or one of the newest")).to_be_visible()

    async def imagined(page: Page) -> None:
        await page.get_by_role("button", name="An imagined call").click()
        await why_answered(page)

    async def why_answered(page: Page) -> None:
        await page.get_by_role("button", name="Ask the rules").click()
        await expect(page.locator(".why-outcome")).to_be_visible()

    async def exports(page: Page) -> None:
        await expect(page.get_by_role("listitem").filter(has_text="1 recording")).to_contain_text("finished")

    async def new_export(page: Page) -> None:
        await exports(page)
        await expect(page.get_by_text("with a recording fits")).to_be_visible()

    async def callbacks(page: Page) -> None:
        await page.get_by_role("button", name="Deliveries").click()
        await expect(page.get_by_role("table", name="Deliveries")).to_contain_text("section.stored")

    async def new_callback(page: Page) -> None:
        await page.get_by_role("button", name="Add a callback").click()
        await expect(page.get_by_role("dialog")).to_be_visible()

    async def coverage(page: Page) -> None:
        await expect(page.locator(".tile")).to_have_count(5)

    async def health(page: Page) -> None:
        await expect(page.locator(".system-verdict")).to_be_visible()
        await expect(page.locator("main .card").first).to_be_visible()

    async def keys(page: Page) -> None:
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()

    return {
        "now": ("/now", now),
        "calls": ("/calls", calls),
        "call": (f"/calls/{cdr}", a_call),
        "keys": ("", keys),
        "call-hold": ("", hold),
        "rules": ("/rules", rules),
        "why": (f"/rules?call={cdr}", why),
        "why-imagined": ("/rules?from=%2B4930123&to=bob&queue=support", imagined),
        "exports": ("/exports", exports),
        "exports-new": ("/exports?new=&search=anna", new_export),
        "callbacks": ("/callbacks", callbacks),
        "callbacks-new": ("", new_callback),
        "coverage": ("/coverage", coverage),
        "health": ("/system", health),
    }


async def test_every_view_can_be_read_by_all_in_both_schemes_and_on_a_phone(
    network: Network, daemon: Daemon, browser: Browser, receiver: Receiver
) -> None:
    faults: dict[str, list[dict[str, Any]]] = {}
    sideways: list[str] = []
    said: list[str] = []

    async def seen(browser: Browser, size: tuple[int, int], scheme: Scheme, cdr: int) -> None:
        visit = await Visit.begun(browser, daemon, size=size, scheme=scheme)
        page = visit.page

        async def look(name: str) -> None:
            await keep(page, f"{name}-{scheme}-{size[0]}")
            before = len(visit.said)
            if found := await serious_faults(page):
                faults[f"{name}, {scheme}, {size[0]}"] = found
            del visit.said[before:]  # the CSP forbids styles that axe-core tries to make
            widths = (size[0], SMALL_PHONE[0]) if size == PHONE else (size[0],)
            for width in widths:
                await page.set_viewport_size({"width": width, "height": size[1]})
                if await scrolls_sideways(page):
                    sideways.append(f"{name}, {width}")
            await page.set_viewport_size({"width": size[0], "height": size[1]})

        await look("sign-in")
        await visit.sign_in()
        for name, (path, shown) in views(cdr).items():
            if path:
                await page.goto(path)
            await shown(page)
            await look(name)
        said.extend(visit.said)
        await visit.context.close()

    async with some_days_work(network, daemon, receiver) as cdr, asyncio.TaskGroup() as visits:
        for scheme in ("light", "dark"):
            for size in SIZES:
                visits.create_task(seen(browser, size, scheme, cdr))
    assert faults == {}, json.dumps(faults, indent=1)
    assert sideways == []
    assert said == []
