"""`recbridge check`: the configuration, users and rules, before they count."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bridge.cli.options import add_config_option, add_json_option, config_path
from bridge.config import PATH_VARIABLE, look_into
from bridge.core.document import in_order
from bridge.core.errors import BadInputError, Problem
from bridge.core.people import Directory
from bridge.files import DEFAULT_USERS, read_rules, read_users


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check",
        help="check configuration, users and rules",
        description="Names every mistake with its place (file:line:column), and exits 1 where there is one. "
        "With a PATH it checks these rules, together, and no configuration is needed: "
        "users and groups are then looked up only with --users or --config.",
    )
    add_config_option(parser)
    add_json_option(parser)
    parser.add_argument("--rules", type=Path, metavar="DIR", help="another folder of rules than the configuration's")
    parser.add_argument("--users", type=Path, metavar="FILE", help="another users.yml than the configuration's")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a rule file or a folder of them")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Check, and say what was found: 0 where everything is right, 1 where something is not."""
    problems: list[Problem] = []
    said: list[str] = []
    rules: Sequence[Path] = args.paths or ([args.rules] if args.rules else [])
    users: Path | None = args.users
    path = config_path(args)
    named = args.config is not None or PATH_VARIABLE in os.environ
    if (args.config is not None) if args.paths else (named or path.exists() or not args.rules):
        found = look_into(path)
        problems += found.problems
        said.append(f"configuration {path}")
        rules = rules or ([found.rules] if found.rules else [])
        users = users or found.users
    directory = Directory()
    try:
        directory = read_users(users or DEFAULT_USERS) if users else directory
    except BadInputError as error:
        problems += error.problems
    said.append(f"{len(directory.users)} users")
    try:
        said.append(f"{len(read_rules(rules, directory).rules)} rules")
    except BadInputError as error:
        problems += error.problems
    problems = list(in_order(problems))
    if args.json:
        print(json.dumps({"ok": not problems, "problems": [asdict(one) for one in problems]}, ensure_ascii=False))
    elif problems:
        print(*problems, sep="\n", file=sys.stderr)
    else:
        print(f"{', '.join(said)}: no problems")
    return 1 if problems else 0
