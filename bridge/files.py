"""Reads the files that admins write; what is in them core says."""

import re
from collections.abc import Sequence
from pathlib import Path

from bridge.core.document import in_order
from bridge.core.errors import BadInputError, Problem
from bridge.core.people import Directory, parse_users
from bridge.core.rules import RuleSet, parse_rules
from bridge.core.yaml_tree import MAX_CHARACTERS

DEFAULT_USERS = Path("/etc/recbridge/users.yml")
DEFAULT_QUEUES = Path("/etc/asterisk/queues.conf")

_MAX_INCLUDES = 100
_SECTION = re.compile(r"\s*\[([^\]]+)\](?:\s*\(([^)]*)\))?")
_INCLUDE = re.compile(r"#include\s+[\"<]?([^\"<>;]+?)[\">]?\s*(?:;.*)?")


def read_text(path: Path) -> tuple[str, Problem | None]:
    """A file's text, or why there is none."""
    name = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_CHARACTERS + 1)
    except OSError as error:
        return "", Problem(name, 1, 1, f"cannot be read: {error.strerror}")
    if len(content) > 4 * MAX_CHARACTERS:
        return "", Problem(name, 1, 1, f"the file is longer than {MAX_CHARACTERS:,} characters")
    try:
        return content.decode("utf-8"), None
    except UnicodeDecodeError as error:
        before = content[: error.start]
        start = before.rfind(b"\n") + 1
        column = len(before[start:].decode("utf-8")) + 1
        words = f"the byte 0x{content[error.start]:02X} is not UTF-8: save the file as UTF-8"
        return "", Problem(name, before.count(b"\n") + 1, column, words)


def read_users(path: Path) -> Directory:
    """The users of a file. Raises BadInputError with every problem.

    The default users.yml need not be there: without it a user is the endpoint of the channel.
    """
    text, problem = read_users_text(path)
    if problem is not None:
        raise BadInputError((problem,))
    return parse_users(text, str(path)) if text is not None else Directory()


def read_users_text(path: Path) -> tuple[str | None, Problem | None]:
    """The text of users.yml, or why there is none; neither where it is the default one and not there."""
    if path == DEFAULT_USERS and not path.exists():
        return None, None
    return read_text(path)


def read_rules(where: Path | Sequence[Path], directory: Directory) -> RuleSet:
    """The rules of folders (their `*.yml` in lexical order) and files, as one whole.

    Raises BadInputError with every problem of every file; a folder without a rule file is one.
    """
    texts, problems = read_rule_texts(where)
    try:
        rules = parse_rules(texts, directory)
    except BadInputError as error:
        problems += error.problems
    if problems:
        raise BadInputError(in_order(problems))
    return rules


def read_rule_texts(where: Path | Sequence[Path]) -> tuple[list[tuple[str, str]], list[Problem]]:
    """(name, text) of each rule file, and why others could not be read."""
    problems: list[Problem] = []
    texts: list[tuple[str, str]] = []
    folders = [where] if isinstance(where, Path) else where
    for path in [path for one in folders for path in _rule_files(one, problems)]:
        text, problem = read_text(path)
        if problem is not None:
            problems.append(problem)
        else:
            texts.append((str(path), text))
    return texts, problems


def read_queues(path: Path) -> frozenset[str]:
    """The queues of Asterisk's queues.conf: its sections but `[general]` and templates, also of files it includes.

    Raises BadInputError where one of the files cannot be read. Queues of Asterisk's realtime stand in none.
    """
    queues: set[str] = set()
    waiting, seen = [path], {path}
    while waiting:
        file = waiting.pop()
        text, problem = read_text(file)
        if problem is not None:
            raise BadInputError((problem,))
        for line in text.splitlines():
            section, include = _SECTION.match(line), _INCLUDE.fullmatch(line.strip())
            if section is not None and section[1] != "general" and "!" not in (section[2] or "").split(","):
                queues.add(section[1].strip())
            elif include is not None:
                # Relative to Asterisk's folder of configuration, and it may be a pattern, which may fit nothing.
                found = sorted(path.parent.glob(include[1])) if "*" in include[1] else [path.parent / include[1]]
                fresh = [one for one in found if one not in seen][: _MAX_INCLUDES - len(seen)]
                waiting += fresh
                seen.update(fresh)
    return frozenset(queues)


def _rule_files(where: Path, problems: list[Problem]) -> list[Path]:
    if not where.is_dir():
        return [where]
    try:
        names = sorted(path for path in where.iterdir() if not path.name.startswith("."))
    except OSError as error:
        problems.append(Problem(str(where), 1, 1, f"cannot be read: {error.strerror}"))
        return []
    found = [path for path in names if path.suffix == ".yml"]
    for path in names:
        if path.suffix == ".yaml":
            words = "is not read, as rule files end in .yml"
            problems.append(Problem(str(path), 1, 1, words, path.with_suffix(".yml").name))
    if not found:
        problems.append(Problem(str(where), 1, 1, "there is no rule file (*.yml) in this folder"))
    return found
