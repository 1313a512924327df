"""Every row of the README's table of which rule counts."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.core.people import Directory
from bridge.core.rules import Answers, Direction, RecordMode, TalkFacts, ask, parse_rules

README = (Path(__file__).resolve().parents[2] / "rules/README.md").read_text()
_RULE = re.compile(r"([0-9]+) (always|on-demand|never)(?: \(by (\w+)\))?")


def rows() -> list[list[str]]:
    table = README.partition("\n| rules that match |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def answered(rules: str, variable: str) -> Answers:
    text = "rules: []\n"
    for number, record, but_for in _RULE.findall(rules):
        when = f"{{{but_for}: other}}" if but_for else "{}"
        text = text.replace("[]", "")
        text += f"  - {{id: {number}, name: R, record: {record}, when: {when}}}\n"
    none = frozenset[str]()
    talk = TalkFacts(
        direction=Direction.INTERNAL,
        callers=none,  # type: ignore[arg-type]  # of identities, but there is none
        callees=none,  # type: ignore[arg-type]
        number="",
        dialed="",
        queue="support",
        context="",
        at=datetime(2026, 3, 2, tzinfo=UTC),
        variables={"__RECBRIDGE": variable} if variable else {},
    )
    return ask(parse_rules([("r.yml", text)], Directory()), talk)


@pytest.mark.parametrize("row", rows(), ids=lambda row: " / ".join(row[:2]))
def test_a_row_is_so(row: list[str]) -> None:
    rules, variable, recorded, offered, reason = row
    answers = answered(rules, variable)
    assert ", ".join(str(rule.id) for rule in answers.recording) == recorded
    assert ", ".join(str(rule.id) for rule in answers.offered) == offered
    if recorded:
        assert answers.why_not().startswith("matched by")
    else:
        assert f"`{answers.why_not()}`" == reason


def test_the_table_has_all_kinds_of_rows() -> None:
    assert len(rows()) == 25
    assert {row[1].lower() for row in rows()} == {"", "yes", *map(str, RecordMode)}


def test_matching_says_what_holds_for_the_call_whatever_a_never_says() -> None:
    """The recorder keeps these for the next talk."""
    rules = "1 always, 2 on-demand, 3 never"
    by_variable = {
        variable: [[rule.id for rule in answered(rules, variable).matching(mode)] for mode in RecordMode]
        for variable in ("", "always", "on-demand", "never")
    }
    assert by_variable == {
        "": [[1], [2], [3]],
        "always": [[1, 2], [], []],
        "on-demand": [[], [1, 2], []],
        "never": [[1], [2], [0]],
    }
