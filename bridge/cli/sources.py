"""Which configuration, rules and users a command reads that needs no running daemon."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.cli.options import add_config_option, config_path
from bridge.config import PATH_VARIABLE, look_into
from bridge.core.errors import BadInputError, Problem
from bridge.core.people import Directory
from bridge.files import read_users


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """`--config`, `--rules`, `--users`."""
    add_config_option(parser)
    parser.add_argument("--rules", type=Path, metavar="DIR", help="another folder of rules than the configuration's")
    parser.add_argument("--users", type=Path, metavar="FILE", help="another users.yml than the configuration's")


@dataclass(frozen=True, slots=True)
class Sources:
    """What was found. `config` is None where none is needed, `directory` where no users are looked up."""

    config: Path | None
    rules: Sequence[Path]
    directory: Directory | None
    problems: Sequence[Problem]
    warnings: Sequence[Problem] = ()


def find_sources(args: argparse.Namespace, paths: Sequence[Path] = ()) -> Sources:
    """Read the configuration and the users, as far as the options leave something open.

    `paths` are rules given by name: then no configuration is needed.
    """
    problems: list[Problem] = []
    warnings: Sequence[Problem] = ()
    rules: Sequence[Path] = paths or ([args.rules] if args.rules else [])
    users: Path | None = args.users
    path: Path | None = config_path(args)
    named = args.config is not None or PATH_VARIABLE in os.environ
    if path is not None and ((args.config is not None) if paths else (named or path.exists() or not args.rules)):
        found = look_into(path)
        problems += found.problems
        warnings = found.warnings
        rules = rules or ([found.rules] if found.rules else [])
        users = users or found.users
    else:
        path = None
    directory: Directory | None = None
    if users is not None:
        try:
            directory = read_users(users)
        except BadInputError as error:
            problems += error.problems
    return Sources(path, rules, directory, problems, warnings)
