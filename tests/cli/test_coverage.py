"""`recbridge coverage`: the table, the calls to look at, the exit status."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.cli.main import main
from bridge.core.accounts import Reason, Span, TalkAccount
from bridge.core.ids import CallId, RuleId, TalkId
from bridge.core.records import AudioReport, SectionState
from bridge.core.store import AddCdr, Change, PutSection, PutSpan, PutTalk
from bridge.storage.database import SqliteStore
from tests.storage import kept

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TIME = ["--from", "2026-03-01T12:00+00:00", "--until", "2026-03-03T12:00+00:00"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "recbridge.yml"
    path.write_text(f"asterisk: {{username: bridge, secret: x}}\ndatabase: {tmp_path / 'x.db'}\nsystemname: pbx1\n")
    monkeypatch.setenv("RECBRIDGE_CONFIG", str(path))
    return path


def keep(config: Path, *changes: Change) -> None:
    async def commit() -> None:
        store = await SqliteStore.open(config.parent / "x.db", "pbx1")
        await store.commit(changes)
        await store.close()

    asyncio.run(commit())


def clock(at: datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}"


def call(number: int, seconds: int, *spans: tuple[int | None, Reason | None], file_s: float = 0) -> list[Change]:
    """A call at noon; rule 1 has a file of so long."""
    began, talk_id = NOON - timedelta(seconds=seconds), TalkId(f"{number}-1")
    kept_spans = [
        PutSpan(Span(talk_id, at, None if rule_id is None else RuleId(rule_id), reason, began))
        for at, (rule_id, reason) in enumerate(spans, start=1)
    ]
    report = AudioReport(file_s, 44, 8000, 1, (0.5,), (0.1,), b"", "ab" * 32)
    section = kept.section(
        number, state=SectionState.STORED, requested_at=began, started_at=began, report=report, talk_id=talk_id
    )
    cdr = replace(kept.cdr(f"1.{number}"), started_at=began, ended_at=NOON, source_number="\x1b[31m+49")
    return [
        PutTalk(TalkAccount(talk_id, CallId(f"1.{number}"), began, NOON)),
        *kept_spans,
        *([PutSection(section)] if file_s else []),
        AddCdr(cdr),
    ]


def test_what_was_recorded_stands_by_day_and_rule(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(
        config,
        *call(1, 60, (1, None), file_s=60),
        *call(2, 100, (1, Reason.NEVER), (7, Reason.NEVER)),
        *call(3, 3700, (None, Reason.NO_RULE)),
    )
    assert main(["coverage", *TIME]) == 0
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()] == [
        ["DAY", "RULE", "CALLS", "TALKED", "RECORDED", "MISSING"],
        ["2026-03-02", "all", "3", "1:04:20", "0:01:00", "no-rule", "1:01:40,", "never", "0:01:40"],
        ["none", "1", "1:01:40", "0:00:00", "no-rule", "1:01:40"],
        ["1", "2", "0:02:40", "0:01:00", "never", "0:01:40"],
        ["7", "1", "0:01:40", "0:00:00", "never", "0:01:40"],
    ]


def test_sums_are_by_day_or_by_rule_alone(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(config, *call(1, 60, (1, None), file_s=60), *call(2, 100, (7, Reason.NEVER)))
    assert main(["coverage", *TIME, "--by", "day"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["DAY", "CALLS", "TALKED", "RECORDED", "MISSING"],
        ["2026-03-02", "2", "0:02:40", "0:01:00", "never", "0:01:40"],
    ]
    assert main(["coverage", *TIME, "--by", "rule"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["RULE", "CALLS", "TALKED", "RECORDED", "MISSING"],
        ["all", "2", "0:02:40", "0:01:00", "never", "0:01:40"],
        ["1", "1", "0:01:00", "0:01:00"],
        ["7", "1", "0:01:40", "0:00:00", "never", "0:01:40"],
    ]


def test_what_should_not_be_missing_is_named_and_is_the_exit_status(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(config, *call(1, 60, (1, None), file_s=50), *call(2, 60, (1, None), file_s=59.5))
    assert main(["coverage", *TIME]) == 1
    out = capsys.readouterr().out
    named = out.split("Missing, and should not be:\n")[1].splitlines()
    assert named[0].split()[1:] == [
        clock(NOON - timedelta(minutes=1)),
        "to",
        clock(NOON),
        "1.1",
        "?[31m+49",
        "->",
        "822",
    ]
    assert named[1].strip() == "rule 1: unknown 0:00:10 of 0:01:00"
    assert "recbridge explain" in named[-1]
    assert "\x1b" not in out


def test_programs_get_the_answer_of_the_api(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(config, *call(1, 60, (1, None), file_s=50))
    assert main(["coverage", *TIME, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"from", "until", "total", "totals", "days", "items"}
    assert said["days"] == [{"day": "2026-03-02", **said["totals"]}]
    (item,) = said["items"]
    assert item["rules"] == [
        {"ruleId": 1, "talkedS": 60.0, "recordedS": 50.0, "reasons": {"unknown": 10.0}, "sections": 1}
    ]
    assert said["totals"]["faulty"] == 1


def test_a_time_without_calls_says_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(config, *call(1, 60, (1, None)))
    assert main(["coverage", "--until", "2026-03-02T12:00+00:00"]) == 0
    assert capsys.readouterr() == ("", "no calls ended in that time\n")


@pytest.mark.usefixtures("config")
def test_without_a_database_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage"]) == 2
    assert "has recbridge run yet?" in capsys.readouterr().err
    assert not (tmp_path / "x.db").exists()


def test_times_that_are_none_are_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["coverage", "--from", "yesterday"])
    keep(config)
    assert main(["coverage", "--from", "2026-03-02", "--until", "2026-03-01"]) == 2
    assert "--from is after --until" in capsys.readouterr().err
