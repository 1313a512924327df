"""A finished call in the browser, out of a database: what the view sends is taken, and it shows what is kept."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from bridge.api.dependencies import Dependencies
from bridge.core.ids import ChannelName, Identity, Uniqueid
from bridge.core.records import CallStatus, Party
from bridge.core.store import AddCdr
from bridge.storage.call_details import SqliteCallBook
from bridge.storage.database import SqliteStore
from bridge.storage.holding import SqliteHolding
from bridge.storage.levels import inspect
from tests.api.house import House
from tests.console.console import Console
from tests.console.heard import LEFT_HZ, RIGHT_HZ, speech, write_wav
from tests.storage import kept


@dataclass
class KeepingHouse(House):
    """A house over a database."""

    database: Path = Path()
    kept_in: SqliteStore | None = None

    def dependencies(self) -> Dependencies:
        store = self.kept_in
        assert store is not None
        return replace(
            super().dependencies(),
            call_book=SqliteCallBook(store, "pbx1", lambda: self.now),
            holding=SqliteHolding(store, self.database, 5.0),
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[KeepingHouse]:
    root, database = tmp_path / "spool", tmp_path / "x.db"
    root.mkdir()
    store = await SqliteStore.open(database, "pbx1")
    yield KeepingHouse(root, store, database=database, kept_in=store, now=kept.NOON + timedelta(hours=1))  # type: ignore[arg-type]  # as good
    await store.close()


def party(n: int, name: str, number: str, identity: str | None) -> Party:
    return Party(
        uniqueid=Uniqueid(f"1795223079.{n}"),
        channel=ChannelName(f"PJSIP/x-{n}"),
        name=name,
        number=number,
        identity=None if identity is None else Identity(identity),
        outside=identity is None,
        dialed=identity is not None,
        began_at=kept.NOON,
        answered_at=kept.NOON + timedelta(seconds=2),
        ended_at=kept.NOON + timedelta(seconds=12),
    )


async def test_a_call_is_played_tagged_and_held(house: KeepingHouse, browser: Browser) -> None:
    path = f"2026/08/01/{kept.RECORD}_1_001.wav"
    write_wav(house.root / path, speech(5, LEFT_HZ), speech(5, RIGHT_HZ))
    report = inspect(house.root / path)
    began = kept.NOON + timedelta(seconds=3)
    await house.section(
        1, None, path=path, report=report, started_at=began, ended_at=began + timedelta(seconds=5), stereo=True,
        leg_is_left=True, leg=Uniqueid("1795223079.178"),
    )  # fmt: skip
    cdr = replace(
        kept.cdr(), ended_at=kept.NOON + timedelta(seconds=12), talked_s=8.0, status=CallStatus.ANSWERED,
        destination_name="Alice", destination_number="821", destination_identity=Identity("alice"),
    )  # fmt: skip
    parties = (party(178, "Bob", "+4973112345", None), party(187, "Alice", "821", "alice"))
    assert house.kept_in is not None
    await house.kept_in.commit([AddCdr(cdr, parties)])
    async with house.opened() as client:
        console = Console(house, browser, str(client.make_url("/")).rstrip("/"))
        page = await console.open("/calls?direction=inbound&period=all")
        await page.locator("tbody a").first.click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Bob (+4973112345)")
        await page.locator(".back-link a").click()
        await expect(page).to_have_url(re.compile(r"/calls\?direction=inbound&period=all$"))
        await page.locator("tbody a").first.click()
        await expect(page.locator(".lane.party .label")).to_have_text(["Bob (+4973112345)", "Alice (821)"])
        await expect(page.locator(".side.left")).to_contain_text("Bob")
        await page.get_by_role("button", name="Play", exact=True).click()
        await expect(page.get_by_role("table", name="Who listened")).to_contain_text(re.compile("root.*played"))
        await page.get_by_label("New tag").fill("angry caller")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Remove the tag angry caller").click()
        await expect(page.locator(".tags")).to_have_count(0)
        await page.get_by_label("New note").fill("Two\nlines")
        await page.get_by_role("button", name="Add").nth(1).click()
        await expect(page.locator(".note-text")).to_have_text("Two\nlines")
        await page.get_by_role("button", name="Set a hold").click()
        await page.get_by_label("Why").fill("court case 7")
        await page.get_by_role("button", name="Set the hold").click()
        await expect(page.get_by_text("court case 7")).to_be_visible()
        (hold,) = await house.kept_in.holds()
        assert (hold.target.call_id, hold.who, hold.why) == (kept.CALL, "root", "court case 7")
        await page.get_by_role("button", name="Release", exact=True).click()
        await page.get_by_label("Why").fill("over")
        await page.get_by_role("dialog").get_by_role("button", name="Release").click()
        await expect(page.get_by_text("No hold covers this call.")).to_be_visible()
        await console.close()
        assert console.complaints == []
