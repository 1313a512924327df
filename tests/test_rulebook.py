"""Users and rules as one whole, and the last good ones."""

from pathlib import Path

import pytest

from bridge import rulebook
from bridge.config import Config, load_config
from bridge.core.errors import BadInputError

RULES = "rules:\n  - {id: 1, name: A, record: always, when: {user: alice}}\n"
USERS = "users:\n  - {identity: alice}\n"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "10.yml").write_text(RULES)
    (tmp_path / "users.yml").write_text(USERS)
    file = tmp_path / "recbridge.yml"
    file.write_text(
        f"asterisk: {{username: bridge, secret: s}}\nrules: {tmp_path}/rules\nusers: {tmp_path}/users.yml\n"
        f"database: {tmp_path}/recbridge.db\n"
    )
    return load_config(file, {})


def test_problems_of_users_and_rules_come_together(config: Config) -> None:
    config.users.write_text("users:\n  - {identity: alice, nmae: A}\n")
    (config.rules / "20.yml").write_text("rules:\n  - {id: 1, name: B, record: never}\n")
    with pytest.raises(BadInputError) as caught:
        rulebook.read(config)
    assert [(Path(one.file).name, one.line) for one in caught.value.problems] == [("20.yml", 2), ("users.yml", 2)]


def test_the_last_good_book_is_kept_and_comes_back(config: Config, tmp_path: Path) -> None:
    assert rulebook.last_good(tmp_path) is None
    book = rulebook.read(config)
    rulebook.keep(book, tmp_path)
    (config.rules / "10.yml").write_text("broken")
    kept = rulebook.last_good(tmp_path)
    assert kept is not None
    assert [placed.rule for placed in kept.rules.rules] == [placed.rule for placed in book.rules.rules]
    assert kept.directory.users == book.directory.users
    assert kept.rules.rules[0].file.endswith("10.yml")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"users": 1, "rules": 2}', '{"users": ["a", "b"], "rules": [["x", "{"]]}']
)
def test_a_kept_book_that_is_of_no_use_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "last-good-rules.json").write_text(text)
    assert rulebook.last_good(tmp_path) is None
