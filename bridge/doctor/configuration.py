"""The configuration, the rules and users that it names, and who may read its secrets."""

import stat
from collections.abc import Sequence
from pathlib import Path

from bridge.config import ConfigFile, look_into
from bridge.core.errors import BadInputError, Problem
from bridge.doctor.findings import AS_ROOT, Finding, Ground, failed, ok, unknown, warning
from bridge.files import read_rules, read_users

CONFIGURATION, RULES, SECRETS = "configuration", "rules", "configuration-rights"
_UNREAD = "cannot be read"
_CHECK = "`recbridge check` names every mistake with its place"


def look_at_file(path: Path) -> tuple[ConfigFile, Finding]:
    """What is in it, and how it is."""
    file = look_into(path)
    if file.config is None:
        unread = file.problems[0].message.startswith(_UNREAD)
        remedy = f"name another with --config, or {AS_ROOT}" if unread else _CHECK
        return file, failed(CONFIGURATION, _first(file.problems), remedy, problems=len(file.problems))
    if file.warnings:
        return file, warning(CONFIGURATION, _first(file.warnings), f"set it in {path}, then restart recbridge")
    return file, ok(CONFIGURATION, f"{path} is right")


def look(ground: Ground) -> Sequence[Finding]:
    """Rules and users, and who may read the secret."""
    return [_rules(ground), _rights(ground.path)]


def _rules(ground: Ground) -> Finding:
    try:
        directory = read_users(ground.config.users)
        rules = read_rules(ground.config.rules, directory)
    except BadInputError as error:
        return failed(
            RULES,
            f"{_first(error.problems)}; a daemon that runs keeps to the last good ones",
            f"{_CHECK}; then `systemctl reload recbridge`",
            problems=len(error.problems),
        )
    counted = f"{len(rules.rules)} rules and {len(directory.users)} users"
    if not rules.rules:
        remedy = f"put rules into {ground.config.rules} (see rules/README.md), then `systemctl reload recbridge`"
        return warning(RULES, "there is no rule: nothing is recorded by itself", remedy)
    return ok(RULES, f"{counted} are right", rules=len(rules.rules), users=len(directory.users))


def _rights(path: Path) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return unknown(SECRETS, f"{path}: {error.strerror}")
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        return warning(
            SECRETS,
            f"{path} is open to others (mode {mode:04o}): who may read the AMI secret can run programs as Asterisk",
            f"`chown root:recbridge {path} && chmod 640 {path}`",
        )
    return ok(SECRETS, f"only its owner and group may read {path.name}")


def _first(problems: Sequence[Problem]) -> str:
    """By its place and without the words, which can quote a user's name or number; how many more there are."""
    first, more = problems[0], len(problems) - 1
    if first.message.startswith(_UNREAD):
        return f"{first.file} {first.message.partition(';')[0]}" + (f", and {more} more mistakes" if more else "")
    place = f"{first.file}:{first.line}:{first.column}"
    return f"there is a mistake at {place}" + (f", and {more} more" if more else "")
