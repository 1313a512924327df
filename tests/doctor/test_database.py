"""The checks of the database, beside a real one."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import pytest

from bridge import tokens
from bridge.core.access import Role
from bridge.core.errors import StoreError
from bridge.core.ids import FactNumber, Identity
from bridge.core.mails import Mail
from bridge.core.records import SectionState
from bridge.core.retention import Hold, Keeping, Target
from bridge.core.store import AppendFact, Intent, Mark, PutHold
from bridge.core.webhook_store import AddDeliveries, PutWebhook
from bridge.core.webhooks import Delivery, DeliveryKey, FormatName, Webhook, WebhookId
from bridge.doctor import database
from bridge.doctor.findings import State
from bridge.storage.database import SqliteStore
from bridge.storage.figures import Figures, figures
from bridge.storage.intents import IntentsFile
from bridge.storage.mails import putting
from bridge.storage.webhooks import SqliteWebhooks
from tests.doctor.ground import ground, now, one
from tests.storage import kept
from tests.storage.spools import House

HOOK = WebhookId("whk_0123456789abcdef")
FACT = FactNumber(1)
DAY = timedelta(days=1)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    store = await SqliteStore.open(folder / "recbridge.db", "pbx1")
    try:
        yield House(folder, store)
    finally:
        await store.close()


async def counted(folder: Path) -> Figures:
    keeping = Keeping(timedelta(days=365))
    return await asyncio.to_thread(figures, folder / "recbridge.db", now(), keeping)


async def test_what_was_recorded_is_counted_by_day_and_week(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        assert (await counted(tmp_path)).began_at is None
        for file, age in enumerate((timedelta(hours=1), timedelta(hours=3), 3 * DAY, 30 * DAY), 1):
            at = now() - age
            await house.section(file, requested_at=at, started_at=at, ended_at=at)
        found = await counted(tmp_path)
    assert (found.day_bytes, found.week_bytes) == (200, 300)
    assert found.began_at is not None
    assert found.next_expiry is not None
    assert found.next_expiry - now() == pytest.approx(335 * DAY, abs=timedelta(minutes=5))


async def test_recordings_that_should_have_gone_are_told_unless_a_hold_keeps_some(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        at = now() - 400 * DAY
        await house.section(1, requested_at=at, ended_at=at)
        await house.section(2, requested_at=at, ended_at=at, deleted_at=now())
        await house.section(3, requested_at=at, ended_at=at, keep_s=500 * 86400.0)
        found = database.retention(await counted(tmp_path))
        assert (found.state, found.values["overdue"]) == (State.WARNING, 1)
        await house.store.commit([PutHold(Hold("h", Target(call_id=kept.CALL), "x", "case 17", now()))])
        held = await counted(tmp_path)
    assert database.retention(held).state is State.OK
    assert database.holds(held).values["count"] == 1


async def test_tokens_are_told_by_their_ids_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        for role, ends in ((Role.ADMIN, None), *((Role.USER, ends) for ends in (None, now() + 3 * DAY, now() - DAY))):
            token, _ = tokens.new_token(Identity("tweber"), role, None, now(), ends)
            await house.store.add_token(token)
        found = await counted(tmp_path)
    said = database.tokens(found, now())
    assert said.state is State.WARNING
    endless, soon = (said.values[name] for name in ("endless", "soon"))
    assert isinstance(endless, list)
    assert isinstance(soon, list)
    assert (len(endless), len(soon)) == (1, 1)
    assert "tweber" not in str(said)


async def test_tokens_made_for_minutes_or_hours_are_no_ones_to_renew(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:  # `recbridge calls` makes itself one, for a minute
        token, _ = tokens.new_token(Identity("recbridge"), Role.ADMIN, (), now(), now() + timedelta(minutes=1))
        await house.store.add_token(token)
        found = await counted(tmp_path)
    assert database.tokens(found, now()).state is State.OK


async def test_webhooks_that_are_disabled_or_behind_are_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        webhooks = SqliteWebhooks(house.store, "pbx1")
        hook = Webhook(HOOK, "https://example.org", FormatName.STANDARD, ("*",), (), now())
        await webhooks.commit([PutWebhook(hook)])
        assert database.webhooks(await counted(tmp_path), now()).state is State.OK
        late = now() - timedelta(hours=5)
        delivery = Delivery(DeliveryKey(HOOK, FACT, 0), "call", "call.began", late, next_at=late)
        await webhooks.commit([AddDeliveries(HOOK, FACT, (delivery,))])
        behind = database.webhooks(await counted(tmp_path), now())
        assert (behind.state, "5 hours" in behind.words) == (State.WARNING, True)
        gone = Webhook(HOOK, "https://example.org", FormatName.STANDARD, ("*",), (), now(), enabled=False,
            disabled_reason="too-many-failures")  # fmt: skip
        await webhooks.commit([PutWebhook(gone)])
        disabled = database.webhooks(await counted(tmp_path), now())
        assert disabled.values["disabled"] == [HOOK]
        assert "example.org" not in str(disabled)
        mine = Webhook(HOOK, "https://example.org", FormatName.STANDARD, ("*",), (), now(), enabled=False,
            disabled_reason="by-admin")  # fmt: skip
        await webhooks.commit([PutWebhook(mine)])
        assert database.webhooks(await counted(tmp_path), now()).values["disabled"] == []


async def test_mails_that_wait_for_long_are_told_without_whose_they_are(tmp_path: Path) -> None:
    place = ground(tmp_path, "mail: {host: mail.example.org, sender: recbridge@example.org}")
    async with opened(tmp_path) as house:
        asked = now() - timedelta(hours=7)
        mail = Mail("m", "tweber@example.org", "Export", "…", asked, asked, 4)
        await house.store.commit([], rewrites=putting(mail, "pbx1"))
        found = database.mails(place, await counted(tmp_path))
    assert (found.state, "tried 4 times" in found.words) == (State.WARNING, True)
    assert "tweber" not in str(found)


async def test_a_damaged_an_older_and_a_foreign_database_each_have_their_remedy(tmp_path: Path) -> None:
    place, path = ground(tmp_path), tmp_path / "recbridge.db"
    assert "systemctl start" in one(database.soundness(place), "database").remedy
    async with opened(tmp_path) as house:
        await house.section(1, state=SectionState.STORED)
    assert one(database.soundness(place), "database").state is State.OK
    whole = path.read_bytes()
    for user_version, words in ((1, "brings it up to date"), (99, "the newer recbridge")):
        path.write_bytes(whole[:60] + user_version.to_bytes(4, "big") + whole[64:])
        assert words in one(database.soundness(place), "database").remedy
    path.write_bytes(b"not a database at all" * 100)
    assert one(database.soundness(place), "database").state is State.FAILED


async def test_a_count_that_is_not_what_a_recount_gives_is_told(tmp_path: Path) -> None:
    place = ground(tmp_path)
    assert one(database.bookkeeping(place), "database-counts").state is State.UNKNOWN
    async with opened(tmp_path) as house:
        await house.section(1, state=SectionState.STORED)
    assert one(database.bookkeeping(place), "database-counts").state is State.OK
    with closing(sqlite3.connect(tmp_path / "recbridge.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO cdr_counts VALUES ('pbx1', 'answered', 0, 'inbound', 3)")
    wrong = one(database.bookkeeping(place), "database-counts")
    assert (wrong.state, "1 counts of calls" in wrong.words) == (State.WARNING, True)


def test_what_lies_beside_the_database(tmp_path: Path) -> None:
    place = ground(tmp_path)
    assert {one.state for one in database.beside(place)} == {State.OK}
    copy = tmp_path / "recbridge.db.v3-20260101T000000.000000Z.bak"
    copy.write_bytes(bytes(1000))
    assert one(database.beside(place), "backups").state is State.OK
    os.utime(copy, (0, 0))
    assert one(database.beside(place), "backups").state is State.WARNING
    (tmp_path / "recbridge.db.intents.broken-20260101").write_bytes(b"x")
    assert "moved aside" in one(database.beside(place), "backups").words
    with (tmp_path / "recbridge.db-wal").open("wb") as wal:
        wal.truncate(2**29)
    assert one(database.beside(place), "database-wal").state is State.WARNING


def test_changes_that_wait_without_a_daemon_are_told(tmp_path: Path) -> None:
    place, intents = ground(tmp_path), tmp_path / "recbridge.db.intents"
    assert database.intents(place).state is State.OK
    kept_there = IntentsFile(intents, now)
    kept_there.append([])
    assert database.intents(place).state is State.OK, "room that is taken in advance, and the format's name"
    kept_there.append([Intent(Mark(1, 1), (AppendFact(kept.fact()),))])
    kept_there.close()
    found = database.intents(place)
    assert (found.state, "systemctl restart" in found.remedy) == (State.WARNING, True)


@pytest.mark.parametrize(("reason", "words"), [("corrupt", "restore a backup"), ("locked", "fuser")])
def test_a_database_that_cannot_be_read_is_no_question_of_rights(
    reason: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: Path) -> list[str]:
        raise StoreError("it does not open", reason=reason)

    monkeypatch.setattr(database, "damage", broken)
    assert words in str(one(database.soundness(ground(tmp_path)), "database").remedy)
