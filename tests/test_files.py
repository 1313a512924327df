"""Reading users and rules from disk."""

from pathlib import Path

import pytest

from bridge import files
from bridge.core.errors import BadInputError
from bridge.core.people import Directory
from bridge.files import read_rules, read_users


def rule(number: int) -> str:
    return f"rules: [{{id: {number}, name: R, record: always}}]\n"


def refused(folder: Path) -> list[str]:
    with pytest.raises(BadInputError) as raised:
        read_rules(folder, Directory())
    return [str(problem).removeprefix(f"{folder}/") for problem in raised.value.problems]


def test_a_folder_is_read_as_one_whole_in_the_order_of_names(tmp_path: Path) -> None:
    for name, number in (("20-b.yml", 2), ("10-a.yml", 1), ("9-c.yml", 3)):
        (tmp_path / name).write_text(rule(number))
    (tmp_path / ".10-a.yml.swp").write_text("no rule")
    (tmp_path / ".#20-b.yml").symlink_to("nobody@nowhere")
    (tmp_path / "README.md").write_text("no rule")
    assert [one.rule.id for one in read_rules(tmp_path, Directory()).rules] == [1, 2, 3]


def test_files_and_folders_can_be_read_together(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.yml").write_text(rule(1))
    (tmp_path / "b.yml").write_text(rule(2))
    found = read_rules([tmp_path / "b.yml", tmp_path / "folder"], Directory())
    assert [one.rule.id for one in found.rules] == [2, 1]


def test_every_problem_of_every_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "10.yml").write_text(rule(1))
    (tmp_path / "20.yml").write_text(rule(1).replace("always", "allways"))
    (tmp_path / "30.yml").write_bytes("rules:\n  - name: é".encode() + b"\xff\n")
    (tmp_path / "40.yml").mkdir()
    (tmp_path / "50.yaml").write_text(rule(5))
    (tmp_path / "60.yml").symlink_to("nowhere")
    assert refused(tmp_path) == [
        f"20.yml:1:14: `id` 1 is taken already at {tmp_path}/10.yml:1:14",
        "20.yml:1:34: `record` cannot be `allways`: possible are always, on-demand, never (did you mean always?)",
        "30.yml:2:12: the byte 0xFF is not UTF-8: save the file as UTF-8",
        "40.yml:1:1: cannot be read: Is a directory",
        "50.yaml:1:1: is not read, as rule files end in .yml (did you mean 50.yml?)",
        "60.yml:1:1: cannot be read: No such file or directory",
    ]


def test_a_folder_without_a_rule_file_is_a_mistake(tmp_path: Path) -> None:
    assert refused(tmp_path) == [f"{tmp_path}:1:1: there is no rule file (*.yml) in this folder"]
    missing = tmp_path / "none"
    with pytest.raises(BadInputError, match="none:1:1: cannot be read: No such file or directory"):
        read_rules(missing, Directory())


def test_only_the_default_users_file_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "users.yml"
    with pytest.raises(BadInputError, match="cannot be read: No such file or directory"):
        read_users(missing)
    monkeypatch.setattr(files, "DEFAULT_USERS", missing)
    assert read_users(missing) == Directory()
    missing.write_text("users: [{identity: alice}]\n")
    assert [user.identity for user in read_users(missing).users] == ["alice"]


def test_a_file_too_long_is_not_read_into_memory(tmp_path: Path) -> None:
    endless = tmp_path / "a.yml"
    with endless.open("wb") as file:
        file.truncate(10**12)
    assert refused(tmp_path) == ["a.yml:1:1: the file is longer than 4,000,000 characters"]
