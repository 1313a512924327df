"""The `recbridge` command."""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from bridge import __version__
from bridge.cli import (
    asterisk_conf,
    calls,
    check,
    completion,
    coverage,
    doctor,
    erase,
    explain,
    export,
    hold,
    replay,
    run,
    token,
    users,
    verify,
)
from bridge.cli.completion import parsers_of
from bridge.cli.options import why
from bridge.core.errors import RecbridgeError

_COMMANDS = (
    run,
    check,
    explain,
    replay,
    calls,
    coverage,
    users,
    doctor,
    export,
    hold,
    erase,
    verify,
    token,
    asterisk_conf,
    completion,
)

_EXIT = "Exit code: 0 done, 1 it could not be done, 2 the command line is wrong."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 it could not be done, 2 the command line is wrong.

    130 after Ctrl-C, 141 where nobody reads what is printed any more (`| head`).
    """
    parser = argparse.ArgumentParser(prog="recbridge", description="Call recording beside Asterisk.")
    parser.add_argument("--version", action="version", version=f"recbridge {__version__}")
    parser.set_defaults(parser=parser)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.register(subparsers)
    for below in parsers_of(parser):
        below.epilog = below.epilog or _EXIT
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Asterisk's own bytes may be no UTF-8; as JSON's own escapes they stay what they are.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(parser, argv)
    except RecbridgeError as error:
        print(why(error), file=sys.stderr)
        return 1
    except BrokenPipeError:
        # What Python would still write at its end nobody reads either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # or not even whether a file is there can be seen
        print(why(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    try:
        args = parser.parse_args(argv)
        code: int = args.func(args)
    finally:
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
    return code
