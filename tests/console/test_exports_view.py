"""The view Exports: what one sees of them, cancelling, downloading, and asking for new ones."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from bridge.core.access import Role, Scope
from bridge.core.exports import Export, ExportId, ExportStatus, Progress, Reason
from bridge.core.ids import Identity
from bridge.core.store import PutExport
from tests.api.house import ALICE, BOB
from tests.api.wazo.office import EXPORT, FakeExports, Office, recorded
from tests.console.console import DESKTOP, PHONE, Console, Scheme, look, scrolls_sideways, serious_faults

ZIP = b"PK" + bytes(5000)
NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Office:
    root = tmp_path / "spool"
    root.mkdir()
    office = Office(root)
    office.exports = FakeExports(office.store, tmp_path)
    return office


def office_of(console: Console) -> Office:
    assert isinstance(console.house, Office)
    return console.house


def exports_of(console: Console) -> FakeExports:
    exports = office_of(console).exports
    assert isinstance(exports, FakeExports)
    return exports


async def put(console: Console, *exports: Export) -> None:
    await console.house.store.commit([PutExport(one) for one in exports])


def export(number: int = 1, owner: Identity = ALICE) -> Export:
    export_id = ExportId(f"{EXPORT[:-1]}{number}")
    return Export(export_id, owner, NOW - timedelta(hours=number), ExportStatus.PENDING, 12, 34)


def all_states() -> list[Export]:
    """One of each: waiting, being made, finished (something missing), failed, deleted."""
    begun = replace(export(2), recordings=340).begun(NOW)
    made = export(3).begun(NOW)
    return [
        export(1),
        begun.progressed(NOW + timedelta(minutes=1), Progress(120, 1, 90_000_000, 30_000_000)),
        made.finished(NOW, timedelta(days=9000), 123_456_789, 2),
        export(4).begun(NOW).failed(Reason.NO_SPACE),
        export(5, BOB).deleted(Reason.EXPIRED),
    ]


async def test_progress_is_seen_as_it_goes_on(console: Console) -> None:
    begun = export().begun(NOW)
    await put(console, begun)
    page = await console.open("/exports", ALICE, Role.USER, [Scope.EXPORT])
    item = page.get_by_role("listitem").filter(has_text="34 recordings")
    await expect(item).to_contain_text("being made")
    await put(console, begun.progressed(NOW + timedelta(seconds=10), Progress(17, 0, 2_000_000, 1_000_000)))
    await expect(item).to_contain_text("17 of 34 recordings")
    await expect(item).to_contain_text("1 MB of 2 MB")
    await expect(item).to_contain_text("14:00:20")
    assert await item.get_by_role("progressbar").evaluate("bar => bar.value") == 0.5
    await expect(item.get_by_role("link", name="Download")).to_have_count(0)
    await put(console, begun.finished(NOW, timedelta(days=2), 1_234_567, 3))
    await expect(item).to_contain_text("finished")
    await expect(item).to_contain_text("1.2 MB")
    await expect(item).to_contain_text("3 recordings are missing")
    await expect(page.get_by_role("status").filter(has_text="finished")).to_have_count(1)


async def test_a_finished_one_is_downloaded(console: Console, tmp_path: Path) -> None:
    finished = export().begun(NOW).finished(NOW, timedelta(days=2), len(ZIP), 0)
    await put(console, finished)
    exports_of(console).file(finished).write_bytes(ZIP)
    page = await console.open("/exports", ALICE, Role.USER, [Scope.EXPORT])
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Download").click()
    download = await waiting.value
    assert download.suggested_filename == f"2026-08-01T11_00_00UTC-{finished.id}.zip"
    saved = tmp_path / "saved.zip"
    await download.save_as(saved)
    assert saved.read_bytes() == ZIP
    assert exports_of(console).downloads == [ALICE]


async def test_one_under_way_is_cancelled_and_a_finished_one_deleted_after_a_question(console: Console) -> None:
    making, finished = export(1).begun(NOW), export(2).begun(NOW).finished(NOW, timedelta(days=2), 5, 0)
    await put(console, making, finished)
    page = await console.open("/exports", ALICE, Role.USER, [Scope.EXPORT])
    await page.get_by_role("button", name="Cancel the export").click()
    await expect(page.locator("#toasts")).to_contain_text("cancelled")
    assert exports_of(console).cancelled == [making.id]
    await page.get_by_role("button", name="Delete the export").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_have_count(0)
    assert exports_of(console).cancelled == [making.id]
    await page.get_by_role("button", name="Delete the export").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(dialog).to_have_count(0)
    async with asyncio.timeout(20):
        while len(exports_of(console).cancelled) < 2:  # noqa: ASYNC110  # what changes it is a request
            await asyncio.sleep(0.01)
    assert exports_of(console).cancelled == [making.id, finished.id]


async def test_an_export_of_chosen_calls_is_asked_for(console: Console) -> None:
    await office_of(console).call(recorded(1), recorded(2))
    page = await console.open("/exports?new=&cdrs=1,7", ALICE, Role.USER, [Scope.EXPORT])
    await expect(page.get_by_text("2 calls are chosen")).to_be_visible()
    await page.get_by_label("Mail when it is done").fill("alice@example.com")
    await page.get_by_role("button", name="Make the export").click()
    item = page.get_by_role("listitem").filter(has_text="2 recordings")
    await expect(item).to_contain_text("waiting")
    assert page.url.endswith(f"/exports?id={EXPORT}")
    (asked,) = exports_of(console).asked
    assert [(number, key.file) for number, key in asked] == [(1, 1), (1, 2)]
    kept = await console.house.store.export(ExportId(EXPORT))
    assert kept is not None
    assert kept.email == "alice@example.com"


async def test_what_a_search_finds_is_counted_and_asked_for(console: Console) -> None:
    """The address is what Calls links to."""
    await office_of(console).call(recorded(1))
    page = await console.open("/exports?new=&number=822&minS=1", ALICE, Role.USER, [Scope.EXPORT])
    await expect(page.get_by_text("1 call with a recording fits")).to_be_visible()
    await page.get_by_label("Direction").select_option("inbound")
    await expect(page.get_by_text("0 calls with a recording fit")).to_be_visible()
    await page.get_by_label("Direction").select_option("internal")
    await page.get_by_label("From").fill("2026-08-01T00:00")
    await expect(page.get_by_text("1 call with a recording fits")).to_be_visible()
    await page.get_by_role("button", name="Make the export").click()
    await expect(page.get_by_role("listitem").filter(has_text="1 recording")).to_contain_text("waiting")
    assert [number for number, _ in exports_of(console).asked[-1]] == [1]


async def test_what_cannot_be_exported_says_why(console: Console) -> None:
    console.expected.append("409")
    page = await console.open("/exports?new=&cdrs=9", ALICE, Role.USER, [Scope.EXPORT])
    await page.get_by_role("button", name="Make the export").click()
    await expect(page.get_by_role("alert")).to_contain_text("None of these calls has a recording")


async def test_an_admin_sees_whose_they_are_and_others_their_own(console: Console) -> None:
    await put(console, export(1), export(2, BOB))
    page = await console.open("/exports", ALICE, Role.USER, [Scope.EXPORT])
    await expect(page.locator(".export")).to_have_count(1)
    await expect(page.get_by_text("by alice")).to_have_count(0)
    admin = await console.open("/exports")
    await expect(admin.locator(".export")).to_have_count(2)
    await expect(admin.get_by_text("by bob")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_it_looks_well(console: Console, size: tuple[int, int], scheme: Scheme) -> None:
    await put(console, *all_states())
    page = await console.open("/exports", size=size, scheme=scheme)
    await expect(page.locator(".export")).to_have_count(5)
    await fine(page, f"exports-{scheme}-{size[0]}")
    await page.goto("/exports?new=&cdrs=1,2,3")
    await expect(page.get_by_text("3 calls are chosen")).to_be_visible()
    await fine(page, f"exports-new-{scheme}-{size[0]}")


async def fine(page: Page, name: str) -> None:
    await look(page, name)
    assert await serious_faults(page) == []
    assert not await scrolls_sideways(page)
