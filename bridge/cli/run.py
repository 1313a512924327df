"""`recbridge run`: the daemon."""

import argparse
import asyncio
import logging
import sys

from bridge import logs
from bridge.cli.options import add_config_option, config_path
from bridge.daemon import Daemon


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run", help="run the daemon", description="Records until SIGTERM. The log goes to standard error."
    )
    add_config_option(parser)
    parser.add_argument("--verbose", action="store_true", help="log what is only of interest when looking for a fault")
    parser.add_argument(
        "--stop-recordings",
        action="store_true",
        help="at the end stop and store what is recorded; without it that goes on, for the next start to take over",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    logs.set_up(json=not sys.stderr.isatty(), level=logging.DEBUG if args.verbose else logging.INFO)
    return asyncio.run(Daemon.from_files(config_path(args)).run(stop_recordings=args.stop_recordings))
