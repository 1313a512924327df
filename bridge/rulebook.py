"""Users and rules as one whole: read together, refused together; the last good ones serve a start after a bad edit."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge.config import Config
from bridge.core.asked import KeptRules, kept_rules
from bridge.core.document import in_order
from bridge.core.errors import BadInputError, Problem
from bridge.core.people import Directory, parse_users
from bridge.core.rules import RuleSet, parse_rules
from bridge.files import read_rule_texts, read_users_text

_NAME = "last-good-rules.json"


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Users and rules that are in force together, and the files that they came from, (name, text) each."""

    directory: Directory
    rules: RuleSet
    users_file: tuple[str, str]
    rule_files: tuple[tuple[str, str], ...]

    def kept(self, since: datetime) -> KeptRules:
        """What is kept of it, so that its answers can be told again."""
        return kept_rules(self.rule_files, self.directory, since)


def parse(users_file: tuple[str, str], rule_files: tuple[tuple[str, str], ...]) -> Rulebook:
    """From texts. Raises BadInputError with every problem of both; where the users are bad, names are not looked up."""
    problems: list[Problem] = []
    directory, rules = Directory(), RuleSet()
    try:
        directory = parse_users(users_file[1], users_file[0]) if users_file[1] else Directory()
    except BadInputError as error:
        problems += error.problems
    try:
        rules = parse_rules(rule_files, directory)
    except BadInputError as error:
        problems += error.problems
    if problems:
        raise BadInputError(in_order(problems))
    return Rulebook(directory, rules, users_file, rule_files)


def read(config: Config) -> Rulebook:
    """The files that the configuration names. Raises BadInputError with every problem of all of them.

    The default users.yml need not be there.
    """
    texts, problems = read_rule_texts(config.rules)
    users, problem = read_users_text(config.users)
    if problem is not None:
        problems.append(problem)
    try:
        book = parse((str(config.users), users or ""), tuple(texts))
    except BadInputError as error:
        raise BadInputError(in_order([*problems, *error.problems])) from None
    if problems:
        raise BadInputError(in_order(problems))
    return book


def keep(book: Rulebook, state: Path) -> None:
    """Keep a book that is in force now in the state folder, whole or not at all. Raises OSError."""
    path = state / _NAME
    unfinished = path.with_suffix(".new")
    text = json.dumps({"users": book.users_file, "rules": book.rule_files}, ensure_ascii=False)
    with unfinished.open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.chmod(0o600)
    unfinished.replace(path)


def last_good(state: Path) -> Rulebook | None:
    """The book that was in force last; None where none was kept, or it is of no use to this version any more."""
    try:
        kept = json.loads((state / _NAME).read_text("utf-8", "surrogateescape"))
        users, rules = kept["users"], kept["rules"]
        return parse((str(users[0]), str(users[1])), tuple((str(name), str(text)) for name, text in rules))
    except (OSError, ValueError, LookupError, TypeError, BadInputError):
        return None
