"""A finished call in the browser: its timeline, its sound, and what people write on it."""

import asyncio
import re
from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from bridge.core.access import Role, Scope
from bridge.core.records import FactKind
from tests.api.house import BOB, House
from tests.console.console import PHONE, Console, Scheme, look, scrolls_sideways, serious_faults
from tests.console.heard import NUMBER, HeardCall, heard_call, without_recordings

PLAYED: Final = FactKind.RECORDING_PLAYED

LISTEN: Final = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    const splitter = new ChannelSplitterNode(this.context, {numberOfOutputs: 2});
    connect.call(this, splitter);
    window.ears = [0, 1].map((side) => {
      const ear = new AnalyserNode(this.context, {fftSize: 8192});
      connect.call(splitter, ear, side);
      return ear;
    });
  }
  return connect.call(this, to, ...rest);
};
window.loudness = () => (window.ears ?? []).map((ear) => {
  const samples = new Float32Array(ear.fftSize);
  ear.getFloatTimeDomainData(samples);
  return Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
});
"""
"""Ears at what goes to the loudspeaker: `loudness()` is the RMS of either side."""

SILENT, HEARD = 0.0005, 0.005
AUDIO: Final = "document.querySelector('audio')"


@pytest.fixture
async def call(house: House) -> HeardCall:
    return await heard_call(house)


async def opened(console: Console, call: HeardCall, query: str = "", **who: Any) -> Page:
    """The call's view, with ears."""
    context = await console.context()
    await context.add_init_script(LISTEN)
    await console.sign_in(context, **who)
    return await call.shown(await console.page(context), query)


async def until(page: Page, condition: str) -> None:
    """Wait for what JavaScript says. Playwright's own waiting would need the page to allow `eval`."""
    async with asyncio.timeout(20):
        while not await page.evaluate(f"Boolean({condition})"):  # noqa: ASYNC110  # the page tells nobody
            await asyncio.sleep(0.02)


async def endless(page: Page) -> None:
    """The section that is played begins anew where it ends: however slow the machine is, there is something to hear."""
    await page.evaluate(f"{AUDIO}.loop = true")


async def at_s(page: Page) -> float:
    """Where the player stands, in seconds of the call."""
    return float(await page.get_by_label("Position in the call").input_value())


async def test_it_plays_and_who_listened_is_a_fact(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Anna (+4973112345)")
    assert await page.evaluate(f"{AUDIO}.networkState") == 0  # nothing was fetched
    assert await call.listened() == []
    await endless(page)
    await page.get_by_role("button", name="Play", exact=True).click()
    await until(page, f"{AUDIO}.currentTime > 0.5 && !{AUDIO}.paused")
    (fact,) = await call.listened()
    assert (fact.kind, fact.rule_id, fact.file, fact.personal) == (PLAYED, 3, 1, {"identity": "root"})
    await page.get_by_role("button", name="Pause", exact=True).click()
    await until(page, f"{AUDIO}.paused")
    assert 3.5 <= await at_s(page) < 11  # an input tells tenths
    await expect(page.locator(".position")).to_have_text(re.compile(r"^0:(0[3-9]|1[01]) / 0:43$"))
    await expect(page.locator(".clock")).to_have_text(re.compile(r"^14:00:(0[3-9]|1[01])$"))


async def test_both_sides_are_drawn_without_the_audio(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    await until(
        page, "document.querySelector('.wave > div')?.shadowRoot.querySelectorAll('.canvases canvas').length >= 2"
    )
    drawn = await page.evaluate("""
        [...document.querySelector('.wave > div').shadowRoot.querySelectorAll('.canvases > div')].map((side) =>
          [...side.querySelectorAll('canvas')].map((canvas) => {
            const {data, width, height} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const colors = new Set(), columns = [];
            for (let x = 0; x < width; x++) {
              let count = 0;
              for (let y = 0; y < height; y++) {
                const at = 4 * (y * width + x);
                if (data[at + 3] > 200) { count++; colors.add(data.slice(at, at + 3).join()); }
              }
              columns.push(count / height);
            }
            return {colors: [...colors], most: Math.max(...columns), least: Math.min(...columns)};
          }))
    """)
    (left,), (right,) = drawn
    assert left["most"] > 0.8  # the louder side fills its height
    assert 0.3 < right["most"] < 0.7  # the other was recorded half as loud
    assert left["least"] < 0.3  # speech has a shape
    assert right["least"] < 0.2
    assert not set(left["colors"]) & set(right["colors"])
    await expect(page.locator(".side.left")).to_contain_text("Anna")
    await expect(page.locator(".side.right")).to_contain_text("Bob")
    assert await call.listened() == []


async def test_each_side_is_muted_by_itself(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    await endless(page)
    await page.keyboard.press(" ")
    await until(page, f"loudness()[0] > {HEARD} && loudness()[1] > {HEARD}")
    await page.get_by_role("button", name="Mute left: Anna (+4973112345)").click()
    await until(page, f"loudness()[0] < {SILENT} && loudness()[1] > {HEARD}")
    await page.keyboard.press("]")
    await until(page, f"loudness()[0] < {SILENT} && loudness()[1] < {SILENT}")
    assert not await page.evaluate(f"{AUDIO}.paused")
    await page.keyboard.press("[")
    await until(page, f"loudness()[0] > {HEARD} && loudness()[1] < {SILENT}")
    await expect(page.get_by_role("button", name="Mute right: Bob (102)")).to_have_attribute("aria-pressed", "true")


async def test_mono_is_heard_on_both_sides_and_has_none_to_mute(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    await page.keyboard.press("[")
    await page.get_by_label("Which rule's recording").select_option("Quality (rule 5)")
    await expect(page.locator(".side.left")).to_be_hidden()
    await endless(page)
    await page.get_by_role("button", name="Play", exact=True).click()
    await until(page, f"loudness()[0] > {HEARD} && loudness()[1] > {HEARD}")
    assert [(one.rule_id, one.file) for one in await call.listened()] == [(5, 1)]


async def test_sections_follow_each_other_over_the_gaps(call: HeardCall, console: Console) -> None:
    page = await opened(console, call, "?rule=3&file=1&at=7")
    assert await at_s(page) == pytest.approx(10, abs=0.2)
    await page.keyboard.press(" ")
    await until(page, f"{AUDIO}.src.endsWith('/3/2') && {AUDIO}.currentTime > 0.3")
    assert await at_s(page) > 31
    await expect(page.locator(".caption")).to_contain_text("Section 2 of 2")
    await expect(page.locator(".side.right")).to_contain_text("Carol")
    assert [one.file for one in await call.listened()] == [1, 2]
    for _ in range(8):
        await page.keyboard.press(".")
    await until(page, f"{AUDIO}.paused")  # at the end
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert await at_s(page) == pytest.approx(37, abs=0.2)


async def test_speed_keeps_the_pitch_and_stays_over_sections(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    await page.get_by_label("Speed").select_option("3")
    await page.locator("h1").click()
    await page.keyboard.press(" ")
    await until(page, f"{AUDIO}.currentTime > 0.2")
    assert await page.evaluate(f"[{AUDIO}.playbackRate, {AUDIO}.preservesPitch]") == [3, True]
    await until(page, f"{AUDIO}.src.endsWith('/3/2') && {AUDIO}.currentTime > 0.2")
    assert await page.evaluate(f"{AUDIO}.playbackRate") == 3
    await page.keyboard.press(",")
    assert await page.evaluate(f"{AUDIO}.playbackRate") == 2.5
    await expect(page.get_by_label("Speed")).to_have_value("2.5")


async def test_one_moves_by_ten_seconds_and_from_talk_to_talk_before_anything_is_fetched(
    call: HeardCall, console: Console
) -> None:
    page = await opened(console, call)
    assert await at_s(page) == pytest.approx(3, abs=0.1)
    await page.keyboard.press("ArrowRight")  # 13 s was not recorded
    assert await at_s(page) == pytest.approx(31, abs=0.1)
    await page.keyboard.press("ArrowRight")  # nothing more was
    assert await at_s(page) == pytest.approx(37, abs=0.1)
    await page.get_by_role("button", name="To the talk before").click()
    assert await at_s(page) == pytest.approx(31, abs=0.1)
    await page.get_by_role("button", name="To the talk before").click()
    assert await at_s(page) == pytest.approx(31, abs=0.1)  # the talk from 24 to 31 s was not recorded
    await page.keyboard.press("ArrowLeft")
    await page.get_by_label("Position in the call").fill("4.5")
    assert await at_s(page) == pytest.approx(4.5, abs=0.1)
    await page.get_by_role("button", name="To the next talk").click()
    assert await at_s(page) == pytest.approx(31, abs=0.1)
    assert await page.evaluate(f"{AUDIO}.networkState") == 0
    assert await call.listened() == []


async def test_a_click_on_the_timeline_plays_from_there_and_enter_too(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    svg = page.locator(".timeline svg")
    box = await svg.bounding_box()
    assert box is not None
    await endless(page)
    await svg.click(position={"x": box["width"] * 34 / 43, "y": 60})
    await until(page, f"{AUDIO}.src.endsWith('/3/2') && {AUDIO}.currentTime > 3.1 && !{AUDIO}.paused")
    section = page.get_by_role("button", name=re.compile(r"Quality \(rule 5\): section 1, recorded"))
    await section.focus()
    await expect(page.locator(".readout")).to_contain_text("section 1, recorded, 0:03 to 0:10")
    await page.keyboard.press("Enter")
    await until(page, f"{AUDIO}.src.endsWith('/5/1') && {AUDIO}.currentTime > 0.1")


async def test_a_link_to_a_moment_opens_there_and_plays_nothing_by_itself(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=console.url)
    await page.get_by_label("Position in the call").fill("33.4")
    await page.get_by_role("button", name="Copy a link to this moment").click()
    await expect(page.locator("#toasts")).to_contain_text("The link to 0:33 is copied")
    link = await page.evaluate("navigator.clipboard.readText()")
    assert link == f"{console.url}/calls/{NUMBER}?rule=3&file=2&at=2.4"
    await page.goto(link)
    await expect(page.locator(".caption")).to_contain_text("Section 2 of 2")
    assert await at_s(page) == pytest.approx(33.4, abs=0.1)
    assert await page.evaluate(f"[{AUDIO}.paused, {AUDIO}.networkState]") == [True, 0]
    await page.keyboard.press(" ")
    await until(page, f"{AUDIO}.currentTime > 2.5")
    assert [one.file for one in await call.listened()] == [2]


async def test_who_may_not_play_is_told_which_scope_lacks(call: HeardCall, console: Console) -> None:
    page = await opened(console, call, identity=BOB, role=Role.USER, scopes=[Scope.DOWNLOAD])
    await expect(page.locator(".notice")).to_contain_text("your token lacks the scope play")
    assert await page.locator("audio").count() == 0
    await expect(page.get_by_role("link", name="Download section 1 of Support, always (rule 3)")).to_be_visible()
    await expect(page.get_by_text("Legal hold")).to_have_count(0)
    await expect(page.get_by_text("Who listened")).to_have_count(0)


async def test_what_is_deleted_meanwhile_is_said_in_words(house: House, call: HeardCall, console: Console) -> None:
    console.expected += ["410", "Failed to load resource"]
    page = await opened(console, call)
    await page.locator(".wave canvas").first.wait_for(state="attached")
    await house.section(1, None, rule_id=call.keys[0].rule_id, deleted_at=house.now)
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.get_by_role("alert")).to_have_text("Section 1 cannot be played: it was deleted.")
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert await call.listened() == []


async def test_a_section_is_downloaded_and_that_is_a_fact(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Download section 2 of Support, always (rule 3)").click()
    download = await waiting.value
    assert download.suggested_filename == f"{call.keys[1].record_id}_3_002.wav"
    assert (await download.path()).stat().st_size == 44 + 6 * 8000 * 4
    assert [(one.kind, one.file) for one in await call.listened()] == [(FactKind.RECORDING_DOWNLOADED, 2)]


async def test_tags_notes_and_holds(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    await page.get_by_label("New tag").fill("call back")
    await page.keyboard.press("Enter")
    await expect(page.locator(".tags")).to_contain_text("call back")
    await page.get_by_role("button", name="Remove the tag angry").click()
    await expect(page.locator(".tags")).not_to_contain_text("angry")
    await page.get_by_label("New note").fill("She calls back [on Monday], early.")  # none of these is a key now
    await page.get_by_role("button", name="Add").nth(1).click()
    await expect(page.locator(".note-text")).to_have_text("She calls back [on Monday], early.")
    await page.get_by_role("button", name="Delete this note").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.locator(".note-text")).to_have_count(0)
    await page.get_by_role("button", name="Set a hold").click()
    await page.get_by_label("Why").fill("court case 7")
    await page.get_by_role("button", name="Set the hold").click()
    await expect(page.get_by_text("court case 7")).to_be_visible()
    await page.get_by_role("button", name="Release", exact=True).click()
    await page.get_by_label("Why").fill("over")
    await page.get_by_role("dialog").get_by_role("button", name="Release").click()
    await expect(page.get_by_text("released by root")).to_be_visible()
    assert call.sent == [
        ("POST", f"cdrs/{NUMBER}/tags", {"tag": "call back"}),
        ("DELETE", f"cdrs/{NUMBER}/tags/angry", None),
        ("POST", f"cdrs/{NUMBER}/notes", {"text": "She calls back [on Monday], early."}),
        ("DELETE", f"cdrs/{NUMBER}/notes/n1", None),
        ("POST", "holds", {"callId": call.item["callId"], "why": "court case 7"}),
        ("POST", "holds/h1/release", {"why": "over"}),
    ]
    assert await page.evaluate(f"{AUDIO}.networkState") == 0


async def test_what_the_picture_shows_stands_in_words_too(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    story = page.get_by_role("table", name="What happened")
    for words in (
        "Bob (102) paused the recording of rule 3 (in the console or by the API)",
        "Bob (102) could not start a recording: a rule records it by itself",
        "Bob (102) transferred Anna (+4973112345) to Carol (103) after asking first (attended)",
        "Anna (+4973112345): on hold until 0:31",
        "Support, always (rule 3): not recorded: the recording failed, until 0:21",
    ):
        await expect(story).to_contain_text(words)
    await story.get_by_role("button", name="Play from 0:31").first.click()
    await until(page, f"{AUDIO}.src.endsWith('/3/2') && {AUDIO}.currentTime > 0.1")


async def test_a_call_without_a_recording_says_why(call: HeardCall, console: Console) -> None:
    page = await opened(console, without_recordings(call))
    await expect(page.locator(".call-head")).to_contain_text("no: no rule matches")
    assert await page.locator("audio").count() == 0
    await expect(page.get_by_role("table", name="What happened")).to_contain_text("Bob (102): ringing until 0:03")


async def test_the_view_is_left_silent(call: HeardCall, console: Console) -> None:
    page = await opened(console, call)
    await endless(page)
    await page.keyboard.press(" ")
    await until(page, f"loudness()[0] > {HEARD}")
    await page.evaluate(f"window.old = {AUDIO}")
    await page.get_by_role("link", name="Health").click()
    await until(page, "window.old.paused && !window.old.isConnected")
    assert await page.evaluate("window.ears[0].context.state") == "closed"


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [("light", (1280, 800), "light"), ("dark", (1280, 800), "dark"), ("phone", PHONE, "light")],
)
async def test_it_is_accessible_and_fits(
    call: HeardCall, console: Console, name: str, size: tuple[int, int], scheme: Scheme
) -> None:
    context = await console.context(size=size, scheme=scheme)
    await console.sign_in(context)
    page = await call.shown(await console.page(context))
    await page.locator(".wave canvas").first.wait_for(state="attached")
    await look(page, f"call-{name}")
    assert console.complaints == []
    console.expected.append("Applying inline style")  # axe's own
    assert await serious_faults(page) == []
    assert not await scrolls_sideways(page)
