"""`recbridge check`, by the `recbridge` command."""

import json
from pathlib import Path

import pytest

from bridge import __version__
from bridge.cli import check
from bridge.cli.main import main
from bridge.config import PATH_VARIABLE

GOOD = "rules: [{id: 1, name: R, record: always, when: {user: alice}}]\n"
USERS = "users: [{identity: alice}]\n"


@pytest.fixture(autouse=True)
def _no_queues_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(check, "DEFAULT_QUEUES", tmp_path / "no-queues.conf")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with rules and users, all right."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yml").write_text(GOOD)
    (tmp_path / "users.yml").write_text(USERS)
    file = tmp_path / "recbridge.yml"
    file.write_text(f"asterisk: {{secret: a}}\nrules: {tmp_path}/rules\nusers: {tmp_path}/users.yml\n")
    return file


def test_what_is_right_is_one_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config)]) == 0
    assert capsys.readouterr() == (f"configuration {config}, 1 users, 1 rules: no problems\n", "")


def test_the_environment_names_the_configuration(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(config))
    assert main(["check"]) == 0
    assert str(config) in capsys.readouterr().out


def test_mistakes_in_all_three_are_named_together(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent
    config.write_text(config.read_text() + "trunk: []\n")
    (folder / "users.yml").write_text("users: [{identity: alice, nmae: A}]\n")
    (folder / "rules/a.yml").write_text(GOOD.replace("always", "sometimes"))
    assert main(["check", "--config", str(config)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"{folder}/recbridge.yml:4:1: unknown key `trunk` (did you mean trunks?)",
        f"{folder}/rules/a.yml:1:34: `record` cannot be `sometimes`: possible are always, on-demand, never",
        f"{folder}/users.yml:1:27: unknown key `nmae` (did you mean name?)",
    ]


def test_a_path_needs_no_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "one.yml", tmp_path / "two.yml"
    one.write_text(GOOD)
    two.write_text(GOOD)
    assert main(["check", str(one)]) == 0
    assert capsys.readouterr().out == "0 users, 1 rules: no problems\n"
    assert main(["check", str(one), str(two)]) == 1
    assert capsys.readouterr().err == f"{two}:1:14: `id` 1 is taken already at {one}:1:14\n"


def test_other_rules_and_users_than_the_configurations(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    users = config.parent / "others.yml"
    users.write_text("users: [{identity: alicia}]\n")
    assert main(["check", "--config", str(config), "--users", str(users)]) == 1
    assert capsys.readouterr().err.endswith("`user` names a user that users.yml does not know: `alice` "
                                            "(did you mean alicia?)\n")  # fmt: skip
    assert main(["check", "--config", str(config), "--rules", str(config.parent / "none")]) == 1
    assert "none:1:1: cannot be read" in capsys.readouterr().err


def test_json_is_for_programs(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": [], "warnings": []}
    rules = config.parent / "rules/a.yml"
    rules.write_text(GOOD.replace("always", "alway"))
    assert main(["check", "--json", "--config", str(config)]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    message = "`record` cannot be `alway`: possible are always, on-demand, never"
    assert json.loads(out) == {
        "ok": False,
        "problems": [{"file": str(rules), "line": 1, "column": 34, "message": message, "suggestion": "always"}],
        "warnings": [],
    }


def test_a_configuration_that_is_not_there_is_the_one_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", str(tmp_path / "none.yml")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("No such file or directory; name another file with --config or RECBRIDGE_CONFIG")


def test_a_command_that_cannot_work_says_so_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "--config", str(tmp_path / "none.yml")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"recbridge {__version__}\n"


# Warnings

QUEUES = """\
[general]
persistentmembers=yes
[support]
strategy=ringall  ; [not-a-queue]
;[old]
[tmpl](!)
[sales](tmpl)
#include more/queues.conf
#include "extra-*.conf"
"""


def test_warnings_are_said_and_the_exit_code_is_0(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent / "rules"
    (folder / "a.yml").write_text(
        "rules:\n  - {id: 1, name: R, record: always, when: {sample: 0%}}\n  - {id: 3, name: R, record: on-demand}"
    )
    (folder / "b.yml").write_text("rules:\n  - {id: 2, name: R, record: never}\n")
    assert main(["check", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    assert out == f"configuration {config}, 1 users, 3 rules: no problems, 2 warnings\n"
    assert err.splitlines() == [
        f"{folder}/a.yml:2:53: warning: rule 1 can never match: `sample` is 0% of all calls",
        f"{folder}/a.yml:3:5: warning: rule 3 never records: rule 2 ({folder}/b.yml:2), a `never`, covers it wholly",
    ]
    assert main(["check", "--json", "--config", str(config)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["problems"], [one["line"] for one in found["warnings"]]) == (True, [], [2, 3])


def test_mails_whose_links_nobody_could_follow_are_warned_of(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = config.read_text().count("\n") + 1
    config.write_text(f"{config.read_text()}mail: {{host: mail.example.org, sender: a@example.org}}\n")
    assert main(["check", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    assert "no problems, 1 warnings" in out
    assert err.startswith(f"{config}:{lines}:7: warning: links in mails will begin with http://127.0.0.1:")


def test_mistakes_and_warnings_are_said_in_one_order(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent / "rules"
    (folder / "b.yml").write_text("rules: [{id: 1, name: R, record: always, when: {sample: 0%}}]\n")
    (folder / "c.yml").write_text("rules: [{}]\n")
    assert main(["check", "--config", str(config)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.removeprefix(f"{folder}/")[:18] for line in err.splitlines()] == [
        "b.yml:1:14: `id` 1",
        "b.yml:1:57: warnin",
        "c.yml:1:9: `id` is",
        "c.yml:1:9: `name` ",
        "c.yml:1:9: `record",
    ]


def test_queues_are_looked_up_in_asterisks_configuration(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = config.parent / "queues.conf"
    queues.write_text(QUEUES)
    (config.parent / "more").mkdir()
    (config.parent / "more/queues.conf").write_text("[helpdesk]\n#include queues.conf\n")
    names = "[support, sales, helpdesk, s*, old, tmpl, general, not-a-queue, suport]"
    (config.parent / "rules/a.yml").write_text(GOOD.replace("user: alice", f"queue: {names}"))
    assert main(["check", "--config", str(config)]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(check, "DEFAULT_QUEUES", queues)
    for arguments in ([], ["--queues-conf", str(queues)]):
        assert main(["check", "--config", str(config), *arguments]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert [line.split("`")[1] for line in lines] == ["old", "tmpl", "general", "not-a-queue", "suport"]
        assert lines[-1].endswith("names no queue `suport` (did you mean support?)")


def test_a_queues_conf_that_was_named_must_be_there(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config), "--queues-conf", "/nowhere/queues.conf"]) == 1
    assert capsys.readouterr().err == "/nowhere/queues.conf:1:1: cannot be read: No such file or directory\n"


MANY = """\
rules:
  - id: 0
    name: ""
    record: allways
    when:
      direction: inbund
      queue:
      user: alise
      caller: "group:slaes"
      number: "-"
      time: mon-fri 08:00-18:00 Europe/Berln
      variable: {MY VAR: x}
      sample: 10
      user_call_record: yes
      all: []
      any: [{}]
      not: {colour: red}
    start: rings
    rate: 44100
    beep: 0s
    section: 5s
    pause: users
    keep: 90 days
    taggs: x
  - {id: 7, name: Two, record: always, follow: user}
  - {id: 7, name: Three, record: always, user: alice}
"""


CONDITIONS = (
    "direction, queue, user, caller, callee, number, dialed, context, channel, time, variable, sample, "
    "user_call_record, online_call_record, all, any, not"
)


def test_more_than_twenty_mistakes_are_all_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "users.yml").write_text("users: [{identity: alice, groups: [sales]}]")
    rules = config.parent / "rules/a.yml"
    rules.write_text(MANY)
    assert main(["check", "--config", str(config)]) == 1
    lines = [line.removeprefix(f"{rules}:") for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "2:9: `id` must be a whole number from 1 to 999999999, not `0`",
        "3:11: `name` is empty",
        "4:13: `record` cannot be `allways`: possible are always, on-demand, never (did you mean always?)",
        "6:18: `direction` cannot be `inbund`: possible are internal, inbound, outbound (did you mean inbound?)",
        "7:7: `queue` has no value",
        "8:13: `user` names a user that users.yml does not know: `alise` (did you mean alice?)",
        "9:15: `caller` names a group that users.yml does not know: `group:slaes` (did you mean group:sales?)",
        "10:15: `number` must be a number or a pattern of one, not `-`",
        "11:13: `time` names a time zone that there is not: `Europe/Berln` (did you mean Europe/Berlin?)",
        "12:18: `MY VAR` is no name of a channel variable: letters, digits and _, no digit first",
        "13:15: `sample` must be a share from 0% to 100%, like 10% or 0.5%, not `10` (did you mean 10%?)",
        "14:25: `user_call_record` must be true or false, not `yes` (did you mean true?)",
        "15:12: `all` is an empty list, which nothing can match: name something, or leave the key out",
        "16:13: `any` has no condition in it, which would hold for everything",
        f"17:13: unknown key `colour`; possible here: {CONDITIONS}",
        "18:12: `start` cannot be `rings`: possible are talk, answer, ring (did you mean ring?)",
        "19:11: `rate` cannot be `44100`: possible are 8000, 16000 (samples a second)",
        "20:11: `beep` must be a number and s, m, h or d, like 90d, not `0s`",
        "21:14: `section` must be from 10s to 24h",
        "22:12: `pause` cannot be `users`: possible are user, nobody (did you mean user?)",
        "23:11: `keep` must be a number and s, m, h or d, like 90d, not `90 days` (did you mean 90d?)",
        "24:5: unknown key `taggs` (did you mean tags?)",
        "25:48: `follow` can be `user` only where `when` says whom: user, caller or callee",
        f"26:10: `id` 7 is taken already at {rules}:25:10",
        "26:42: unknown key `user` here (did you mean when: {user: …}?)",
    ]
