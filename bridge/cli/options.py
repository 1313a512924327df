"""Options that several commands share."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from bridge.config import DEFAULT_PATH, PATH_VARIABLE


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"the configuration (default: {PATH_VARIABLE} in the environment, else {DEFAULT_PATH})",
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def why(error: Exception) -> str:
    """What kept a command from its work, for people."""
    if isinstance(error, PermissionError):
        return f"{error.filename}: {error.strerror}: run it as a user who may, like root"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)


def config_path(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Path:
    """Which configuration file is meant."""
    given: Path | None = args.config
    path = given or Path(environ.get(PATH_VARIABLE) or DEFAULT_PATH)
    return path.absolute()
