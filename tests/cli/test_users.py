"""`recbridge users`, beside a real database."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main
from bridge.core.ids import Identity
from bridge.core.people import UserFlags
from bridge.core.store import AddCdr, PutUserFlags
from bridge.storage.database import SqliteStore
from bridge.storage.people_seen import _SEEN
from tests.storage import kept

Capture = pytest.CaptureFixture[str]

USERS = """
users:
  - {identity: alice, name: Alice, extensions: [101], groups: [sales], supervises: [support],
     devices: [{id: d1, name: Desk, channel: PJSIP/101}], online_call_record_enabled: true}
  - {identity: bob, name: Bob, groups: [support], location: {id: l1, name: Linz}}
  - {identity: carol, groups: [support, sales]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "users.yml").write_text(USERS)
    path = tmp_path / "recbridge.yml"
    path.write_text(f"asterisk: {{secret: x}}\ndatabase: {tmp_path}/recbridge.db\nusers: {tmp_path}/users.yml\n")
    return path


def keep(config: Path) -> None:
    async def work() -> None:
        store = await SqliteStore.open(config.parent / "recbridge.db", "pbx1")
        try:
            for number, who in enumerate(("bob", "bob", "zoë", "dave")):
                cdr = replace(kept.cdr(f"c{number}", ()), participants=(Identity(who), Identity("carol")))
                await store.commit([AddCdr(replace(cdr, started_at=kept.NOON + timedelta(hours=number)))])
            flags = UserFlags(call_record_incoming_external_enabled=True)
            await store.commit([PutUserFlags(Identity("alice"), flags), PutUserFlags(Identity("eve"), flags)])
        finally:
            await store.close()

    asyncio.run(work())


def listed(config: Path, capsys: Capture, *options: str) -> dict[str, dict[str, Any]]:
    assert main(["users", "--config", str(config), "--json", *options]) == 0
    return {one["identity"]: one for one in json.loads(capsys.readouterr().out)["items"]}


def test_users_of_the_file_come_first_and_then_who_was_seen(config: Path, capsys: Capture) -> None:
    assert list(listed(config, capsys)) == ["alice", "bob", "carol"], "recbridge has never run here"
    keep(config)
    users = listed(config, capsys)
    assert list(users) == ["alice", "bob", "carol", "dave", "eve", "zoë"]
    assert [one["listed"] for one in users.values()] == [True, True, True, False, False, False]
    assert users["bob"]["lastCallAt"] == round((kept.NOON + timedelta(hours=1)).timestamp() * 1000)
    assert users["carol"]["lastCallAt"] == round((kept.NOON + timedelta(hours=3)).timestamp() * 1000)
    assert users["eve"]["lastCallAt"] is None


def test_what_a_user_changed_stands_over_the_file(config: Path, capsys: Capture) -> None:
    before = listed(config, capsys)["alice"]
    assert (before["flagsChanged"], before["flags"]["onlineCallRecordEnabled"]) == (False, True)
    keep(config)
    users = listed(config, capsys)
    assert users["alice"]["flagsChanged"]
    assert {name for name, on in users["alice"]["flags"].items() if on} == {"callRecordIncomingExternalEnabled"}
    assert not any(users["bob"]["flags"].values())
    assert users["alice"]["supervised"] == ["bob", "carol"]
    assert users["alice"]["devices"] == [{"id": "d1", "name": "Desk", "channel": "PJSIP/101"}]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("ALI",), ["alice"]),
        (("101",), ["alice"]),
        (("pjsip/",), ["alice"]),
        (("--group", "support"), ["bob", "carol"]),
        (("carol", "--group", "support"), ["carol"]),
        (("zoë",), ["zoë"]),
        (("nobody",), []),
    ],
)
def test_some_of_them(config: Path, capsys: Capture, options: tuple[str, ...], found: list[str]) -> None:
    keep(config)
    assert list(listed(config, capsys, *options)) == found


def test_people_get_a_table(config: Path, capsys: Capture) -> None:
    keep(config)
    assert main(["users", "--config", str(config)]) == 0
    head, alice, *_, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["IDENTITY", "NAME", "GROUPS", "SUPERVISES", "PHONES", "RECORDS", "LAST", "CALL"]
    assert alice.split("  ")[0] == "alice"
    assert "in-external (set by the user)" in alice
    assert last.startswith("zoë (not in users.yml)")
    assert head.index("NAME") == alice.index("Alice")
    assert main(["users", "--config", str(config), "nobody"]) == 0
    assert capsys.readouterr() == ("", "no users\n")


def test_a_mistake_in_the_file_is_one_line(config: Path, capsys: Capture) -> None:
    (config.parent / "users.yml").write_text("users: [{identity: alice, groop: x}]")
    assert main(["users", "--config", str(config)]) == 1
    assert "users.yml:1:" in capsys.readouterr().err


def test_it_is_asked_of_the_last_call_of_each_and_not_of_all(config: Path) -> None:
    keep(config)
    with closing(sqlite3.connect(config.parent / "recbridge.db")) as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {_SEEN}")]
    assert all("SEARCH" in line for line in plan if "cdr_participants" in line or "mine" in line), plan
