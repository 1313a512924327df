"""The console beside a real Asterisk, as an admin lives with it: with the mouse, and with the keyboard alone."""

import csv
import hashlib
import io
import re
import wave
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.demo.daemon import Daemon
from tests.feed.office import SECRET
from tests.feed.receiver import Receiver
from tests.network.config import TONES
from tests.network.network import Network
from tests.whole.visit import AUDIO, HEARD, SILENT, Visit, size, tape

pytestmark = pytest.mark.timeout(300)

RULES = """\
rules:
  - {id: 1, name: Bob if he likes, record: on-demand, when: {user: bob}, channels: stereo}
  - {id: 2, name: Dave always, record: always, when: {user: dave}, channels: stereo}
"""

DRAWN = """
[...document.querySelector('.wave > div').shadowRoot.querySelectorAll('.canvases > div')].map((side) => {
  const canvas = side.querySelector('canvas');
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const pixels = Array.from({length: data.length / 4}, (_, n) => [...data.slice(4 * n, 4 * n + 4)]);
  const seen = pixels.filter((pixel) => pixel[3] > 200);
  return {share: seen.length / pixels.length, colors: [...new Set(seen.map((pixel) => pixel.slice(0, 3).join()))]};
})
"""
"""How much of each side's canvas is drawn on, and in which colours."""


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    extra = "webhooks: {allow_private: true}\n"
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules, extra=extra) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver(SECRET)
    await one.start()
    yield one
    await one.stop()


def link(page: Page, name: str) -> Any:
    """A view's link in the header."""
    return page.get_by_role("navigation", name="Views").get_by_role("link", name=name)


async def test_a_call_from_ringing_to_its_export_in_the_eyes_of_an_admin(
    network: Network, daemon: Daemon, browser: Browser, receiver: Receiver, tmp_path: Path
) -> None:
    visit = await Visit.begun(browser, daemon)
    page = visit.page
    await visit.sign_in()
    await a_callback_is_added(page, receiver)
    await a_call_is_recorded(page, network)
    item = await it_is_found(page, daemon)
    await both_sides_are_seen_and_heard(visit)
    await an_export_is_made(page, tmp_path, item)
    await the_callback_was_told(page, receiver)
    await the_other_views_know_of_it(page)
    await one_leaves(visit)
    assert visit.said == []
    assert visit.elsewhere == []


async def a_callback_is_added(page: Page, receiver: Receiver) -> None:
    await link(page, "Callbacks").click()
    await page.get_by_role("button", name="Add a callback").click()
    form = page.get_by_role("dialog", name="Add a callback")
    await form.get_by_label("Address", exact=True).fill(receiver.url)
    await form.get_by_label("Events").fill("section.*, call.ended")
    await form.get_by_label("Secret").fill(SECRET)
    await form.get_by_role("button", name="Add").click()
    await page.get_by_role("button", name="I have it").click()
    await expect(page.get_by_role("listitem").filter(has_text=receiver.url)).to_contain_text("enabled")


async def a_call_is_recorded(page: Page, network: Network) -> None:
    await link(page, "Now").click()
    await expect(page.get_by_text("Nobody is on a call.")).to_be_visible()
    call = await network.call("alice", "102")
    row = page.locator("tr.now-call", has_text="Bob")
    await expect(row.locator(".badge")).to_have_text("offered")
    await expect(row).to_contain_text("Alice")
    before = size(network.spool)
    await row.get_by_role("button", name="Start").click()
    await expect(row.locator(".badge")).to_have_text("recording")
    await tape(network.spool, 3, before)
    await row.get_by_role("button", name="Stop").click()
    await expect(row.locator(".badge")).to_have_text("offered")
    await call.hangup()
    await expect(page.get_by_text("Nobody is on a call.")).to_be_visible()


async def it_is_found(page: Page, daemon: Daemon) -> dict[str, Any]:
    """In Calls; the call is open then, and this is what the API says of it."""
    await daemon.journal(1)
    await link(page, "Calls").click()
    await page.get_by_role("searchbox", name="Search").fill("102")
    await expect(page.locator(".count")).to_contain_text("1 call")
    await page.locator(".facet-value[data-name=recorded][data-value=true]").click()
    await expect(page.locator(".chip", has_text="recorded")).to_be_visible()
    await expect(page).to_have_url(f"{daemon.url}/calls?search=102&recorded=true")
    row = page.get_by_role("table", name="Finished calls").locator("tbody tr")
    await expect(row).to_contain_text("Alice (101)")
    await row.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Alice (101)")
    _, item = await daemon.get(f"/api/v1/cdrs/{page.url.rsplit('/', 1)[1]}")
    found: dict[str, Any] = item
    return found


async def both_sides_are_seen_and_heard(visit: Visit) -> None:
    page = visit.page
    await visit.until("document.querySelector('.wave > div')?.shadowRoot.querySelectorAll('canvas').length >= 2")
    left, right = await page.evaluate(DRAWN)
    assert left["share"] > 0.2
    assert right["share"] > 0.2
    assert not set(left["colors"]) & set(right["colors"])
    await expect(page.get_by_role("region", name="Who listened")).to_contain_text("Nobody yet.")

    await page.evaluate(f"{AUDIO}.loop = true")  # however slow the machine is, there is something to hear
    await page.get_by_role("button", name="Play", exact=True).click()
    await visit.until(f"{AUDIO}.currentTime > 0.5 && !{AUDIO}.paused")
    who = [
        (await page.locator(f".side.{side} .who-side").inner_text()).split()[0].lower() for side in ("left", "right")
    ]
    assert sorted(who) == ["alice", "bob"]
    await visit.until(f"loudness().every((one) => one > {HEARD})")
    await visit.until(" && ".join(f"Math.abs(tones()[{n}] - {TONES[name]}) < 20" for n, name in enumerate(who)))
    await page.get_by_role("button", name="Mute left").click()
    await visit.until(f"loudness()[0] < {SILENT} && loudness()[1] > {HEARD}")
    await page.get_by_role("button", name="Pause", exact=True).click()
    await visit.until(f"{AUDIO}.paused")
    await expect(page.get_by_role("table", name="Who listened").locator("tbody tr")).to_contain_text("admin")


async def an_export_is_made(page: Page, tmp_path: Path, item: dict[str, Any]) -> None:
    await page.get_by_role("main").get_by_role("link", name="Calls").click()
    await expect(page).to_have_url(re.compile("search=102&recorded=true$"))  # where the call was found
    await page.get_by_role("link", name="Export", exact=True).click()
    await expect(page.get_by_text("1 call with a recording fits.")).to_be_visible()
    await page.get_by_role("button", name="Make the export").click()
    export = page.get_by_role("listitem").filter(has_text="1 recording")
    await expect(export).to_contain_text("finished")
    async with page.expect_download() as waiting:
        await export.get_by_role("link", name="Download").click()
    saved = tmp_path / "export.zip"
    await (await waiting.value).save_as(saved)
    with zipfile.ZipFile(saved) as made:
        (line,) = csv.DictReader(io.StringIO(made.read("manifest.csv").decode()))
        audio = made.read(next(name for name in made.namelist() if name.endswith(".wav")))
    (section,) = item["timeline"]["sections"]
    assert hashlib.sha256(audio).hexdigest() == line["sha256"] == section["sha256"]
    with wave.open(io.BytesIO(audio)) as wav:
        assert wav.getnchannels() == 2
        assert wav.getnframes() / wav.getframerate() == pytest.approx(section["durationS"])


async def the_callback_was_told(page: Page, receiver: Receiver) -> None:
    await link(page, "Callbacks").click()
    await page.get_by_role("button", name="Deliveries").click()
    for event in ("section.recording", "section.stored", "call.ended"):
        row = page.get_by_role("table", name="Deliveries").get_by_role("row").filter(has_text=event)
        await expect(row).to_contain_text("delivered")
    assert {"section.recording", "section.stored", "call.ended"} <= {body["type"] for _, _, body in receiver.seen}


async def the_other_views_know_of_it(page: Page) -> None:
    await link(page, "Coverage").click()
    await expect(page.locator(".tile").first).to_contain_text("1")
    await expect(page.get_by_text("Nothing is missing that should not be.")).to_be_visible()
    await link(page, "Rules").click()
    await expect(page.locator(".rule").filter(has_text="Bob if he likes")).to_contain_text("1 call this week")
    await page.get_by_label("or one of the newest").select_option(index=1)
    await expect(page.locator(".why-outcome")).to_contain_text("Offered by rule 1")
    await expect(page.locator(".why-rule").filter(has_text="Dave always")).to_contain_text("not dave")
    await link(page, "Health").click()
    await expect(page.get_by_text("Recordings are made as they should be.")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text("connected")


async def one_leaves(visit: Visit) -> None:
    (cookie,) = await visit.context.cookies()
    kept = {"Cookie": f"{cookie['name']}={cookie['value']}"}
    url = f"{visit.daemon.url}/api/v1/cdrs"
    async with visit.daemon.session.get(url, headers=kept) as answer:
        assert answer.status == 200
    await visit.page.get_by_role("button", name="Sign out").click()
    await expect(visit.page.get_by_label("Token")).to_be_focused()
    assert await visit.context.cookies() == []
    async with visit.daemon.session.get(url, headers=kept) as answer:
        assert answer.status == 401
