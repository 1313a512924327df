"""The `recbridge` command."""

import argparse
import sys
from collections.abc import Sequence

from bridge import __version__
from bridge.cli import asterisk_conf, calls, check, coverage, doctor, erase, explain, hold, replay, run, token, verify
from bridge.cli.options import why
from bridge.core.errors import RecbridgeError

_COMMANDS = (run, check, explain, replay, calls, coverage, doctor, hold, erase, verify, token, asterisk_conf)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 it could not be done, 2 the command line is wrong."""
    parser = argparse.ArgumentParser(prog="recbridge", description="Call recording beside Asterisk.")
    parser.add_argument("--version", action="version", version=f"recbridge {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.register(subparsers)
    args = parser.parse_args(argv)
    try:
        code: int = args.func(args)
    except (RecbridgeError, PermissionError) as error:  # or not even whether a file is there can be seen
        print(why(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code
