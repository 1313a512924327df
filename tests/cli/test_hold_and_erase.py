"""`recbridge hold` and `recbridge erase`, against a real database and a real spool."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main
from bridge.core.records import FactKind
from bridge.core.retention import Hold, Target
from bridge.core.settings import Settings
from bridge.core.store import PutHold, PutSettings
from bridge.core.views import epoch_ms
from bridge.storage.holding import SqliteHolding
from bridge.storage.turns import batch_turn, run_turn
from tests.storage import kept
from tests.storage.spools import AUDIO, House, house

Capture = pytest.CaptureFixture[str]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "recbridge.yml"
    path.write_text(
        "asterisk: {username: bridge, secret: x}\n"
        f"database: {tmp_path}/x.db\n"
        f"spool: {{asterisk: /spool, local: {tmp_path}/spool}}\n"
        f"users: {tmp_path}/users.yml\n"
        "retention: {keep: 30d}\n"
        "systemname: pbx1\n"
    )
    (tmp_path / "users.yml").write_text("users: [{identity: alice, name: Alice Quokka, extensions: ['99887']}]\n")
    return path


def inside(config: Path, work: Callable[[House], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with house(config.parent) as here:
            here.now = NOW
            return await work(here)

    return asyncio.run(run())


async def two_old_and_three_young(here: House) -> None:
    """Two calls of one outsider 40 days ago, and three of another today."""
    for n in range(1, 6):
        at = NOW - 40 * DAY if n < 3 else NOW
        number = "+4973112345" if n < 3 else "+33"
        cdr = replace(kept.cdr(f"{n}.1", (f"{n}-1_0",)), source_number=number, started_at=at, ended_at=at)
        await here.call(cdr, replace(kept.entry("alice", f"{n}.1", f"{n}-1_0"), number=number))
        await here.section(
            1, record_id=f"{n}-1_0", call_id=f"{n}.1", path=f"2026/08/01/{n}-1_0_1_001.wav", requested_at=at,
            started_at=at, ended_at=at, participants=("alice",),
        )  # fmt: skip


def files(config: Path) -> int:
    return len(inside(config, _files))


async def _files(here: House) -> list[str]:
    return here.files()


def says(config: Path, capsys: Capture, *argv: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*argv, "--json", "--config", str(config)]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def refused(config: Path, capsys: Capture, *argv: str) -> str:
    capsys.readouterr()
    assert main([*argv, "--config", str(config)]) == 1
    return capsys.readouterr().err


def test_a_dry_run_says_what_would_go_and_does_nothing(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    told = says(config, capsys, "erase", "--expired", "--why", "room", "--dry-run")
    assert (told["sections"], told["bytes"], told["held"], told["kept"]) == (2, 2 * len(AUDIO), {}, 0)
    assert (told["withinHalf"], told["oldest"]) == (True, epoch_ms(NOW - 40 * DAY))
    assert main(["erase", "--expired", "--why", "room", "--dry-run", "--config", str(config)]) == 0
    assert "2 sections go (200 bytes" in capsys.readouterr().out
    assert files(config) == 5


def test_without_a_terminal_it_wants_yes(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    assert "--yes" in refused(config, capsys, "erase", "--expired", "--why", "room")
    assert files(config) == 5
    told = says(config, capsys, "erase", "--expired", "--why", "room", "--yes", "--who", "eve")
    assert told["done"] == {"sections": 2, "bytes": 200, "calls": 0, "left": 0, "finishedCalls": 0}
    assert files(config) == 3
    facts = inside(config, lambda here: here.facts(FactKind.SECTION_DELETED))
    assert [(one.data["why"], one.personal) for one in facts] == [("retention", {"who": "eve", "words": "room"})] * 2


def test_what_was_set_over_http_counts_for_the_command_too(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    inside(config, lambda here: here.store.commit([PutSettings(Settings(recording_days=50))]))
    expired = ("erase", "--expired", "--why", "room")
    assert says(config, capsys, *expired, "--dry-run")["sections"] == 0
    inside(config, lambda here: here.store.commit([PutSettings(Settings(recording_days=35, cdr_days=35))]))
    assert says(config, capsys, *expired, "--yes")["done"]["sections"] == 2
    told = says(config, capsys, *expired, "--dry-run")
    assert (told["sections"], told["finishedCalls"], told["withinHalf"]) == (0, 2, True)
    assert main([*expired, "--yes", "--config", str(config)]) == 0
    assert "deleted: 2 finished calls, with their journal" in capsys.readouterr().out
    (fact,) = inside(config, lambda here: here.facts(FactKind.CALLS_DELETED))
    assert (fact.data["calls"], fact.personal["words"]) == (2, "room")


def test_more_than_half_of_the_calls_needs_force(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    says(config, capsys, "erase", "--expired", "--why", "room", "--yes")
    inside(config, lambda here: here.store.commit([PutSettings(Settings(cdr_days=0))]))
    # The recordings of the others are there.
    assert says(config, capsys, "erase", "--expired", "--why", "room", "--yes")["done"]["finishedCalls"] == 2
    says(config, capsys, "erase", "--user", "alice", "--why", "has left", "--yes", "--force")
    assert "--force" in refused(config, capsys, "erase", "--expired", "--why", "room", "--yes")
    told = says(config, capsys, "erase", "--expired", "--why", "room", "--yes", "--force")
    assert told["done"]["finishedCalls"] == 3


@pytest.mark.parametrize(("answer", "left"), [("y", 3), ("n", 5), ("", 5)])
def test_on_a_terminal_it_asks(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    inside(config, two_old_and_three_young)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["erase", "--expired", "--why", "room", "--config", str(config)]) == (0 if answer == "y" else 1)
    assert files(config) == left
    capsys.readouterr()


def test_more_than_half_needs_force(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    argv = ("erase", "--user", "alice", "--why", "has left", "--yes")
    assert "--force" in refused(config, capsys, *argv)
    assert files(config) == 5
    told = says(config, capsys, *argv, "--force")
    assert (told["done"]["sections"], told["done"]["calls"], told["clean"]) == (5, 5, True)
    assert files(config) == 0


def test_a_hold_keeps_and_is_named_and_its_release_lets_go(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    hold = says(config, capsys, "hold", "add", "--number", "+49 731*", "--why", "a case", "--who", "eve")
    told = says(config, capsys, "erase", "--expired", "--why", "room", "--dry-run")
    assert (told["sections"], told["held"]) == (0, {hold["id"]: 2})
    assert [one["id"] for one in says(config, capsys, "hold", "list")["items"]] == [hold["id"]]
    assert main(["hold", "list", "--config", str(config)]) == 0
    assert f"{hold['id']}  number +49 731*" in capsys.readouterr().out
    released = says(config, capsys, "hold", "release", hold["id"], "--why", "it is over", "--who", "adam")
    assert (released["releasedBy"], released["releasedWhy"]) == ("adam", "it is over")
    assert "already" in refused(config, capsys, "hold", "release", hold["id"], "--why", "again")
    assert says(config, capsys, "hold", "list")["items"] == []
    assert says(config, capsys, "hold", "list", "--all")["items"] == [released]
    assert says(config, capsys, "erase", "--expired", "--why", "room", "--dry-run")["sections"] == 2
    facts = inside(config, lambda here: here.facts(FactKind.HOLD_SET))
    facts += inside(config, lambda here: here.facts(FactKind.HOLD_RELEASED))
    assert [(one.data["hold"], one.personal["who"], one.personal["number"]) for one in facts] == [
        (hold["id"], "eve", "+49 731*"),
        (hold["id"], "adam", "+49 731*"),
    ]


def test_a_hold_is_set_between_two_batches_so_that_nothing_of_it_is_deleted_after_its_fact(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.cli.hold.SqliteHolding", partial(SqliteHolding, wait_s=0.1))
    add = ("hold", "add", "--number", "+4973112345", "--why", "case 17")

    async def while_a_batch_is_in_hand(here: House) -> tuple[str, int]:
        async with batch_turn(here.database):
            said = await asyncio.to_thread(refused, config, capsys, *add)
        return said, len(await here.store.holds())

    said, holds = inside(config, while_a_batch_is_in_hand)
    assert ("try again" in said, holds) == (True, 0)
    assert main([*add, "--config", str(config)]) == 0


def test_requests_that_have_waited_count_for_the_half_too(config: Path, capsys: Capture) -> None:
    """The two old ones are the half; what a hold has kept so far is more."""
    inside(config, two_old_and_three_young)
    held = says(config, capsys, "hold", "add", "--number", "+33", "--why", "case 17")["id"]
    says(config, capsys, "erase", "--number", "+33", "--why", "request 4", "--yes")
    says(config, capsys, "hold", "release", held, "--why", "over")
    expired = ("erase", "--expired", "--why", "room", "--yes")
    assert says(config, capsys, *expired, "--dry-run")["sections"] == 5
    assert "--force" in refused(config, capsys, *expired)
    assert files(config) == 5
    assert says(config, capsys, *expired, "--force")["done"]["sections"] == 5
    assert files(config) == 0


def test_a_reason_given_over_http_steers_no_terminal(config: Path, capsys: Capture) -> None:
    async def put(here: House) -> None:
        hold = Hold("h1", Target(number="1\x9b2J"), "root", "case\n\x9b2Jh2  all is well", NOW, NOW, "root", "a\rb")
        await here.store.commit([PutHold(hold)])

    inside(config, put)
    capsys.readouterr()
    assert main(["hold", "list", "--all", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert [line[:4] for line in lines] == ["h1  ", "    "]
    assert all(line.isprintable() for line in lines)


def test_a_hold_on_what_is_not_known_says_so(config: Path, capsys: Capture) -> None:
    async def record(here: House) -> tuple[str, str]:
        section = await here.section(1)
        await here.call(kept.cdr("9.9", ()), kept.entry("bob", "9.9"))
        return section.record_id, section.call_id

    record_id, call_id = inside(config, record)

    def said(*options: str) -> str:
        assert main(["hold", "add", *options, "--why", "x", "--config", str(config)]) == 0
        return capsys.readouterr().err

    assert said("--record", record_id) == said("--call", call_id) == said("--call", "9.9") == ""
    assert "nothing is known yet of record 1-1_1-2: is the id right?" in said("--record", "1-1_1-2")
    assert "nothing is known yet of call 8.8" in said("--call", "8.8")
    assert len(says(config, capsys, "hold", "list")["items"]) == 5


def test_a_time_without_a_zone_is_local_time_as_it_is_for_coverage(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside(config, two_old_and_three_young)
    with monkeypatch.context() as there:
        there.setenv("TZ", "Europe/Berlin")
        time.tzset()
        held = says(config, capsys, "hold", "add", "--from", "2026-08-01", "--why", "x")
    time.tzset()
    assert held["from"] == epoch_ms(datetime(2026, 7, 31, 22, tzinfo=UTC))


def test_who_is_the_one_behind_sudo(config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    inside(config, two_old_and_three_young)
    monkeypatch.setenv("SUDO_USER", "eve")
    assert says(config, capsys, "hold", "add", "--user", "alice", "--why", "a case")["who"] == "eve"
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setenv("USER", "adam")
    assert says(config, capsys, "hold", "add", "--from", "90d", "--why", "a case")["who"] == "adam"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["hold", "add", "--why", "x"], "what should be held"),
        (["hold", "add", "--from", "2026-08-02", "--until", "2026-08-01", "--why", "x"], "before"),
        (["hold", "release", "nothing", "--why", "x"], "no hold nothing"),
        (["erase", "--why", "x"], "give one of"),
        (["erase", "--expired", "--user", "alice", "--why", "x"], "give one of"),
        (["erase", "--user", "alice", "--why", "alice asked"], "must not name"),
        (["erase", "--number", "+4973112345", "--who", "+4973112345", "--why", "x"], "must not name"),
    ],
)
def test_what_makes_no_sense_is_refused(config: Path, capsys: Capture, argv: list[str], words: str) -> None:
    inside(config, two_old_and_three_young)
    assert words in refused(config, capsys, *argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["hold", "add", "--user", "alice"],
        ["hold", "add", "--user", "alice", "--why", " "],
        ["hold", "add", "--from", "soon", "--why", "x"],
        ["erase", "--number", "*", "--why", "x"],
        ["erase", "--expired"],
    ],
)
def test_what_the_command_line_lacks_is_said(config: Path, capsys: Capture, argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*argv, "--config", str(config)])
    assert ended.value.code == 2
    capsys.readouterr()


def test_a_user_is_known_by_users_yml_and_backups_are_named(config: Path, capsys: Capture) -> None:
    async def a_call(here: House) -> None:
        await two_old_and_three_young(here)
        await here.call(kept.cdr("9.9", ()), replace(kept.entry("bob", "9.9"), name="Alice Quokka", number="99887"))

    inside(config, a_call)
    backup = config.parent / "x.db.v2-20260801T000000.000000Z.bak"
    backup.touch()
    aside = config.parent / "x.db.intents.broken-20260801T000000Z"
    aside.touch()
    capsys.readouterr()
    argv = ["erase", "--user", "alice", "--why", "has left", "--yes", "--force", "--config", str(config)]
    assert main(argv) == 0
    printed = capsys.readouterr()
    assert str(backup) in printed.err
    assert str(aside) in printed.err
    assert "erased from 6 calls; 0 wait" in printed.out
    assert b"Alice Quokka" not in (config.parent / "x.db").read_bytes()
    assert backup.exists()


def test_without_its_spool_nothing_is_said_to_be_deleted(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    spool = config.parent / "spool"
    spool.rename(config.parent / "elsewhere")
    assert "mount its disk" in refused(config, capsys, "erase", "--expired", "--why", "room", "--yes")
    (config.parent / "elsewhere").rename(spool)
    assert says(config, capsys, "erase", "--expired", "--why", "room", "--yes")["done"]["sections"] == 2
    assert files(config) == 3


def test_by_record_and_by_call(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    assert says(config, capsys, "erase", "--record", "1-1_0", "--why", "x", "--yes")["done"]["sections"] == 1
    assert says(config, capsys, "erase", "--call", "2.1", "--why", "x", "--yes")["done"]["sections"] == 1
    assert says(config, capsys, "erase", "--call", "2.1", "--why", "x", "--yes")["done"]["sections"] == 0
    with sqlite3.connect(config.parent / "x.db") as database:
        assert database.execute("SELECT count(*) FROM journal WHERE number = ''").fetchone() == (0,)
    database.close()


def test_a_call_is_named_by_its_number_too_as_it_is_listed(config: Path, capsys: Capture) -> None:
    async def record(here: House) -> None:
        section = await here.section(1)
        await here.call(kept.cdr(section.call_id, ()), kept.entry("bob", section.call_id))

    inside(config, record)
    hold = says(config, capsys, "hold", "add", "--call", "1", "--why", "x")
    assert hold["callId"] == kept.CALL
    says(config, capsys, "hold", "release", hold["id"], "--why", "x")
    assert says(config, capsys, "erase", "--call", "1", "--why", "x", "--yes", "--force")["done"]["sections"] == 1


def test_erasing_what_is_not_known_says_so(config: Path, capsys: Capture) -> None:
    inside(config, two_old_and_three_young)
    for option, name, words in (("--call", "77", "call 77"), ("--record", "7-7_7-8", "record 7-7_7-8")):
        assert main(["erase", option, name, "--why", "x", "--dry-run", "--config", str(config)]) == 0
        assert f"nothing is known of {words}: is the id right?" in capsys.readouterr().err


def test_beside_a_run_of_the_daemons_it_waits_its_turn(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.cli.erase._WAIT_S", 0.1)

    async def busy(here: House) -> str:
        async with run_turn(here.database):
            return await asyncio.to_thread(refused, config, capsys, "erase", "--expired", "--why", "x", "--dry-run")

    assert "try again" in inside(config, busy)
