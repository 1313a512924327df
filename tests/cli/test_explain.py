"""`recbridge explain`: what the rules say of an imagined call."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.main import main

RULES = """\
rules:
  - {id: 1, name: Office hours, record: always, when: {time: "mon-fri 08:00-18:00 Europe/Berlin", user: "group:sales"}}
  - {id: 2, name: Offer, record: on-demand, when: {number: "+49*"}}
  - {id: 3, name: Not these, record: never, when: {any: [{dialed: 110}, {variable: {PRIVATE: "*"}}]}}
"""
USERS = """\
users:
  - {identity: alice, groups: [sales], extensions: [822, 823]}
  - {identity: bob}
"""
AT = ["--at", "2026-03-02T09:00+01:00"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yml").write_text(RULES)
    (tmp_path / "users.yml").write_text(USERS)
    return ["--rules", str(tmp_path / "rules"), "--users", str(tmp_path / "users.yml")]


def explained(capsys: pytest.CaptureFixture[str], files: list[str], *options: str) -> list[str]:
    assert main(["explain", *files, *AT, *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_each_rule_matches_or_says_what_failed(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    assert explained(capsys, files, "--from", "alice", "--to", "+4930123") == [
        "direction outbound; caller alice; number +4930123; dialed +4930123; at 2026-03-02T09:00:00+01:00",
        "rule 1 Office hours (always): matches",
        "rule 2 Offer (on-demand): matches",
        "rule 3 Not these (never): any: dialed is +4930123, not 110; variable.PRIVATE is none, not *",
        "recorded by rule 1; offered by rule 2",
    ]


@pytest.mark.parametrize(
    ("options", "first", "last"),
    [
        (["--from", "bob", "--to", "822"], "direction internal; caller bob; callee alice; dialed 822", "by rule 1"),
        (["--from", "822", "--to", "bob"], "direction internal; caller alice; callee bob;", "recorded by rule 1"),
        (["--from", "+49 30", "--to", "bob"], "direction inbound; callee bob; number +49 30;", "on-demand by rule 2"),
        (["--from", "bob", "--to", "110"], "number 110; dialed 110", "not recorded: never by rule 3"),
        (["--from", "bob", "--to", "+1", "--dialed", "9"], "number +1; dialed 9", "no-rule (nearest: rule 1, but for"),
        (["--from", "+49", "--to", "bob", "--variable", "__PRIVATE=1"], "inbound", "never by rule 3"),
        (["--from", "+49", "--to", "bob", "--variable", "RECBRIDGE=always"], "inbound",
         "recorded by rule 2, by variable RECBRIDGE"),
        (["--from", "alice", "--to", "bob", "--at", "2026-03-02T06:59Z"], "2026-03-02T06:59:00+00:00", "no-rule"),
        (["--from", "alice", "--to", "bob", "--direction", "inbound", "--queue", "q", "--context", "c"],
         "direction inbound; caller alice; callee bob; queue q; context c", "recorded by rule 1"),
    ],
)  # fmt: skip
def test_the_call_is_as_it_is_described(
    capsys: pytest.CaptureFixture[str], files: list[str], options: list[str], first: str, last: str
) -> None:
    lines = explained(capsys, files, *options)
    assert first in lines[0]
    assert last in lines[-1]


def test_channels_and_the_calls_id_count(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    Path(files[1], "b.yml").write_text(
        "rules:\n  - {id: 4, name: S, record: always, when: {sample: 80%, channel: PJSIP/a}}\n"
    )
    call = ["--from", "bob", "--to", "bob"]
    assert "rule 4 S (always): sample is none, not below 80%" in explained(capsys, files, *call)
    assert "rule 4 S (always): matches" in explained(
        capsys, files, *call, "--call-id", "a", "--channel", "PJSIP/a-00000001"
    )


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    found: dict[str, Any] = json.loads("\n".join(explained(capsys, files, "--json", "--from", "bob", "--to", "+49")))
    assert {key: found[key] for key in ("variable", "recording", "offered", "outcome")} == {
        "variable": None,
        "recording": [],
        "offered": [2],
        "outcome": "not recorded: on-demand by rule 2",
    }
    assert found["rules"][0] == {
        "ruleId": 1,
        "name": "Office hours",
        "record": "always",
        "matched": False,
        "failed": {"key": "user", "wanted": ["group:sales"], "found": ["bob"], "inner": []},
        "reason": "user is bob, not group:sales",
    }


def test_a_name_that_users_yml_lacks_is_a_phone_and_said(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    assert main(["explain", *files, *AT, "--from", "alise", "--to", "bob"]) == 0
    out, err = capsys.readouterr()
    assert "caller alise; callee bob" in out
    assert err == "note: users.yml does not know `alise`; taken as a phone of this name (did you mean alice?)\n"


def test_rules_with_mistakes_explain_nothing(capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
    file = Path(files[1], "a.yml")
    file.write_text("rules: [{id: 1, name: R, record: allways}]")
    assert main(["explain", *files, *AT, "--from", "alice", "--to", "bob"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.startswith(f"{file}:1:34: `record` cannot be `allways`")) == ("", True)


def test_the_configuration_names_rules_and_users(
    capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path
) -> None:
    config = tmp_path / "recbridge.yml"
    config.write_text(f"asterisk: {{secret: a}}\nrules: {files[1]}\nusers: {files[3]}\n")
    lines = explained(capsys, ["--config", str(config)], "--from", "822", "--to", "bob")
    assert lines[-1] == "recorded by rule 1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--at", "2026-03-02T09:00"], "lacks its distance from UTC"),
        (["--at", "monday"], "is no time like"),
        (["--variable", "A"], "is no NAME=VALUE"),
        (["--direction", "sideways"], "invalid"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    capsys: pytest.CaptureFixture[str], files: list[str], options: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *files, "--from", "alice", "--to", "bob", *options])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
