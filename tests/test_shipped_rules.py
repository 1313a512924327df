"""The rules that ship, their README and their schema."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from bridge.cli import check
from bridge.cli.main import main
from bridge.core.errors import BadInputError
from bridge.core.people import Directory, parse_users
from bridge.core.rules import Rule, When, parse_rules
from bridge.files import read_rules

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "rules/README.md").read_text()


@pytest.fixture(autouse=True)
def _no_queues_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(check, "DEFAULT_QUEUES", tmp_path / "no-queues.conf")


# The schema


def test_the_shipped_schema_is_what_check_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--schema"]) == 0
    assert capsys.readouterr().out == (ROOT / "rules/schema.json").read_text()


def test_every_shipped_rule_file_names_the_schema() -> None:
    files = sorted((ROOT / "rules").glob("*.yml"))
    assert files
    for file in files:
        first = file.read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=schema.json"
        assert (file.parent / first.partition("=")[2]).is_file()


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


# What editors say by the schema, and what `check` says

VALIDATOR = Draft7Validator(json.loads((ROOT / "rules/schema.json").read_text()))


def rule_with(rule: str = "", when: str = "{}") -> str:
    return f"rules:\n  - id: 1\n    name: R\n    record: always\n    when: {when}\n" + (f"    {rule}\n" if rule else "")


def accepted_by_editors(text: str) -> bool:
    # Editors read YAML 1.2: `yes` and `on` are text there, as with us, but numbers and true are none.
    plain: Any = yaml.load(text, Loader=_Yaml12)  # noqa: S506  # derived from SafeLoader
    return not list(VALIDATOR.iter_errors(plain))


class _Yaml12(yaml.SafeLoader):
    """Only true and false are booleans, and nothing is a date."""


_Yaml12.yaml_implicit_resolvers = {
    first: [(tag, match) for tag, match in some if not tag.endswith((":bool", ":timestamp"))]
    for first, some in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


def accepted_by_check(text: str) -> bool:
    try:
        parse_rules([("r.yml", text)], Directory())
    except BadInputError:
        return False
    return True


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("path", sorted((ROOT / "rules").glob("*.yml")), ids=lambda path: path.name)
def test_editors_accept_the_shipped_files(path: Path) -> None:
    assert accepted_by_editors(path.read_text())


def test_editors_accept_every_example_of_the_readme() -> None:
    examples = [
        (cell, key in Rule.model_fields)
        for key, cells in re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", README, re.MULTILINE)
        for cell in re.findall("`([^`]+)`", cells)
    ]
    assert len(examples) > 30
    for example, of_rule in examples:
        key = example.partition(":")[0]
        lines = rule_with().splitlines()
        lines = [line for line in lines if not line.strip().startswith(f"{key}:") or "- id" in line]
        text = "\n".join(lines) + f"\n    {example}\n" if of_rule else rule_with(when=f"{{{example}}}")
        if key == "id":
            text = rule_with().replace("id: 1", example)
        if example == "follow: user":
            text = rule_with(example, "{user: bob}")
        assert (accepted_by_editors(text), accepted_by_check(text)) == (True, True), text


@pytest.mark.parametrize(
    "text",
    [
        rule_with(when="{queue: 0049, number: [110, 1.5, true, 0x1F], dialed: *26}".replace("*26", "'*26'")),
        rule_with("name2: x").replace("    name2: x\n", "").replace("name: R", "name: 2026-01-01"),
        rule_with("tags: [1, true, a]"),
        rule_with("tags: []"),
        rule_with("rate: '16000'"),
        rule_with("consultation: 'false'"),
        rule_with(when="{variable: {__A: 1, B: [x, 2]}}"),
        rule_with(when="{all: {any: [{not: {user: bob}}, {caller: 'group:a:b'}]}}"),
        rule_with(when="{time: ['mon,wed-fri 22:00-24:00 Etc/GMT+5', 'sat UTC', '08:00-09:00 America/New_York']}"),
        rule_with(when="{sample: 100.0%}"),
        "rules: []",
        '{"rules": [{"id": "12", "name": "R", "record": "never"}]}',
    ],
)
def test_editors_accept_what_check_accepts(text: str) -> None:
    assert (accepted_by_check(text), accepted_by_editors(text)) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "rule: []",
        "rules: a",
        "rules: [a]",
        "rules:",
        "[]",
        rule_with().replace("id: 1", "id: 0"),
        rule_with().replace("id: 1", "id: one"),
        rule_with().replace("id: 1", "id: 1.5"),
        rule_with().replace("id: 1", "id: 1000000000"),
        rule_with().replace("name: R", "name: ' '"),
        rule_with().replace("name: R", "name:"),
        rule_with().replace("    name: R\n", ""),
        rule_with().replace("always", "Always"),
        rule_with("follow: me"),
        rule_with("start: begin"),
        rule_with("consultation: yes"),
        rule_with("consultation: 1"),
        rule_with("channels: [stereo]"),
        rule_with("rate: 44100"),
        rule_with("beep: 15"),
        rule_with("beep: 0s"),
        rule_with("section: 2 h"),
        rule_with("pause: everybody"),
        rule_with("keep:"),
        rule_with("keep: -1d"),
        rule_with("tags: {a: b}"),
        rule_with("user: bob"),
        rule_with(when="a"),
        rule_with(when="{colour: red}"),
        rule_with(when="{direction: []}"),
        rule_with(when="{direction: [inbound, out]}"),
        rule_with(when="{queue: ''}"),
        rule_with(when="{queue: {a: b}}"),
        rule_with(when="{user: 'group:'}"),
        rule_with(when="{user: 'team:a'}"),
        rule_with(when="{number: '- -'}"),
        rule_with(when="{time: mon-fri 08:00-18:00}"),
        rule_with(when="{time: Mon UTC}"),
        rule_with(when="{time: Europe/Berlin}"),
        rule_with(when="{time: mon 24:00-06:00 UTC}"),
        rule_with(when="{variable: {}}"),
        rule_with(when="{variable: {__: a}}"),
        rule_with(when="{variable: {1A: a}}"),
        rule_with(when="{variable: {A: []}}"),
        rule_with(when="{variable: a}"),
        rule_with(when="{sample: 10}"),
        rule_with(when="{sample: 101%}"),
        rule_with(when="{sample: [10%]}"),
        rule_with(when="{user_call_record: on}"),
        rule_with(when="{all: []}"),
        rule_with(when="{any: [{}]}"),
        rule_with(when="{not: {}}"),
        rule_with(when="{not: [{queue: a}]}"),
        rule_with(when="{not: {any: [{queue: []}]}}"),
    ],
)
def test_editors_refuse_what_check_refuses(text: str) -> None:
    assert (accepted_by_check(text), accepted_by_editors(text)) == (False, False)
