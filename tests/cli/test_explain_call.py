"""`recbridge explain CALL` and `recbridge replay --since`: what was known then, asked again."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main
from bridge.core.store import Change, PutAsked
from bridge.storage.database import SqliteStore
from tests.core.diary import FILE, Diary

NEW = """\
rules:
  - {id: 1, name: Sales, record: always, when: {queue: support}}
  - {id: 6, name: Campaign, record: always, when: {variable: {CAMPAIGN: "*"}}}
"""
AGES = ["--since", "2026-01-01T00:00Z", "--until", "2027-01-01T00:00Z"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "recbridge.yml"
    users = "users: [{identity: alice, groups: [boss]}, {identity: bob}]"
    (tmp_path / "users.yml").write_text(users)
    path.write_text(
        f"asterisk: {{username: bridge, secret: x}}\ndatabase: {tmp_path / 'x.db'}\nsystemname: pbx1\n"
        f"users: {tmp_path / 'users.yml'}\nrules: {tmp_path / 'rules'}\n"
    )
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yml").write_text(NEW)
    monkeypatch.setenv("RECBRIDGE_CONFIG", str(path))
    monkeypatch.setenv("TZ", "UTC")
    return path


def keep(config: Path, changes: Sequence[Change]) -> None:
    async def commit() -> None:
        store = await SqliteStore.open(config.parent / "x.db", "pbx1")
        for change in changes:
            await store.commit([change])
        await store.close()

    asyncio.run(commit())


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    assert main(list(words)) == code
    return capsys.readouterr().out.splitlines()


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads("\n".join(told(capsys, *words, "--json")))


def test_a_call_is_explained_by_the_rules_of_then(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diary = Diary()
    one, two = diary.inbound("\x1b[31m+49")
    diary.over(one, two)
    keep(config, diary.changes)
    lines = told(capsys, "explain", "1")
    assert "?[31m+49 -> bob" in lines[0]
    assert lines[3].startswith("  asked: direction inbound; callee bob; number ?[31m+49; dialed 500; queue sales")
    assert lines[5:8] == [
        f"    rule 1 Sales (always, {FILE}:3): matches",
        f"    rule 2 Bob by hand (on-demand, {FILE}:4): matches",
        f"    rule 3 Private (never, {FILE}:8): any: dialed is 500, not 110; variable.PRIVATE is none, not *",
    ]
    assert lines[8] == "  recorded by rule 1; offered by rule 2"
    assert lines[9].startswith("  what came of it: rule 1: 60 s to record; rule 2: on-demand")
    for name in (one, "1700000000-1_1700000000-2"):
        assert told(capsys, "explain", name) == lines
    said = as_json(capsys, "explain", "1")
    assert said["talks"][0]["asked"][0]["answers"]["recording"] == [1]


def test_other_rules_are_asked_the_same(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    keep(config, diary.changes)
    lines = told(capsys, "explain", "1", "--rules", str(config.parent / "rules"))
    assert lines[4:7] == [
        "  by the rules of --rules:",
        f"    rule 1 Sales (always, {config.parent}/rules/a.yml:2): queue is sales, not support",
        f"    rule 6 Campaign (always, {config.parent}/rules/a.yml:3): not known: CAMPAIGN was not kept",
    ]


def test_a_running_call_is_explained(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diary = Diary()
    one, _ = diary.inbound()
    keep(config, diary.changes)
    lines = told(capsys, "explain", "PJSIP/bob-1")
    assert lines[0] == f"call {one}, which goes on"
    assert lines[2].endswith("to now")
    assert lines[-1] == "  what came of it: rule 1: goes on; rule 2: on-demand"


def test_what_was_before_is_said_to_be_unknown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diary = Diary()
    diary.over(*diary.inbound())
    keep(config, [one for one in diary.changes if not isinstance(one, PutAsked)])
    assert "it was before recbridge kept that" in "\n".join(told(capsys, "explain", "1"))
    assert as_json(capsys, "explain", "1")["talks"][0]["asked"] == []
    lines = told(capsys, "replay", *AGES, "--rules", str(config.parent / "rules"))
    assert lines[0] == "1 calls, of 0 something differs"
    assert lines[1].startswith("1 calls have talks of which it is not known")


def test_a_call_that_is_not_there_is_an_error(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(config, [])
    assert main(["explain", "17"]) == 1
    assert "there is no call `17`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["explain"], ["explain", "1", "--from", "a"], ["explain", "--from", "a"], ["explain", "1", "--queue", "q"],
     ["replay"], ["replay", "x.ami", "--since", "7d"], ["replay", "x.ami", "--all"]],
)  # fmt: skip
def test_a_command_line_that_says_both_or_neither_is_wrong(
    config: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    keep(config, [])
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_replay_wants_rules_to_compare(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(config, [])
    assert main(["replay", "--since", "7d"]) == 1
    assert "--since needs --rules" in capsys.readouterr().err


def some_calls(config: Path) -> None:
    diary = Diary()
    for queue, seconds in (("sales", 60), ("support", 120), ("other", 30)):
        diary.over(*diary.inbound(queue=queue), seconds)
    keep(config, diary.changes)


def test_replay_says_where_new_rules_would_differ(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some_calls(config)
    lines = told(capsys, "replay", *AGES, "--rules", str(config.parent / "rules"))
    assert [line.split()[0] for line in lines[:3]] == ["CALL", "1", "2"]
    assert "not recorded any more" in lines[1]
    assert "-1 0:01:00" in lines[1]
    assert "now recorded" in lines[2]
    assert "+1 0:02:00" in lines[2]
    assert lines[3] == "3 calls, of 2 something differs; 1 not recorded any more; 1 now recorded"
    assert lines[5].split() == ["1", "Sales", "1", "0:01:00", "1.0", "MB", "1", "0:02:00", "1.9", "MB"]
    assert lines[6] == "rule 6 wants CAMPAIGN, which was not kept: in 3 calls it may have matched"


def test_replay_has_every_call_and_json_too(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some_calls(config)
    rules = ["--rules", str(config.parent / "rules")]
    assert len([line for line in told(capsys, "replay", *AGES, *rules, "--all") if " -> " in line]) == 3
    said = as_json(capsys, "replay", *AGES, *rules)
    assert [one["difference"] for one in said["items"]] == ["not recorded any more", "now recorded"]
    assert said["totals"]["calls"] == 3
    assert said["totals"]["differences"]["same"] == 1
    assert (
        as_json(capsys, "replay", "--since", "2026-12-31T00:00Z", "--until", "2027-01-01T00:00Z", *rules)["items"] == []
    )
