"""`recbridge check`, by the `recbridge` command."""

import json
import re
from pathlib import Path

import pytest

from bridge import __version__
from bridge.cli.main import main
from bridge.config import PATH_VARIABLE
from bridge.core.people import parse_users
from bridge.core.rules import Rule, When, parse_rules
from bridge.files import read_rules

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "rules/README.md").read_text()
GOOD = "rules: [{id: 1, name: R, record: always, when: {user: alice}}]\n"
USERS = "users: [{identity: alice}]\n"


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


# The rules that ship


def test_the_shipped_rules_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ROOT / "rules")]) == 0
    assert capsys.readouterr().out == "0 users, 5 rules: no problems\n"


def test_what_the_shipped_rules_offer_in_comments_is_right_too() -> None:
    lines = (ROOT / "rules/10-default.yml").read_text().splitlines()
    offered = [re.sub(r"^  # ?", "  ", line) for line in lines if re.match(r"  # (- |  )", line)]
    directory = parse_users("users: [{identity: wcouncil, groups: [sales]}]", "users.yml")
    rules = parse_rules([("offered", "rules:\n" + "\n".join(offered))], directory)
    assert [one.rule.id for one in rules.rules] == [6, 7, 8, 9]


def test_every_shipped_rule_has_its_comment() -> None:
    lines = (ROOT / "rules/10-default.yml").read_text().splitlines()
    begins = [one.line for one in read_rules(ROOT / "rules", parse_users("", "users.yml")).rules]
    assert all(lines[line - 2].startswith("  # ") for line in begins)


def test_the_readme_explains_every_key_and_its_examples_are_right() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert explained == {field.alias or name for model in (Rule, When) for name, field in model.model_fields.items()}
    examples = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    rules, users = examples
    assert [one.rule.id for one in parse_rules([("README", rules)], parse_users("", "users.yml")).rules] == [1]
    with_support = users + "  - {identity: bob, groups: [support]}\n"
    user = parse_users(with_support, "README").users[0]
    fields = {field.alias or name for name, field in type(user).model_fields.items()}
    assert fields == {
        field.alias or name for name, field in type(user).model_fields.items() if name in user.model_fields_set
    }
