"""`recbridge completion`: what makes a shell complete recbridge's commands and options."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

SHELLS = ("bash", "zsh", "fish")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command. `args.parser` has to be the whole command's parser when it runs."""
    parser = subparsers.add_parser(
        "completion",
        help="print what makes a shell complete commands and options",
        description="Prints a script for one shell. bash: into /etc/bash_completion.d/recbridge, or `eval` it; zsh: "
        "into a folder of $fpath as _recbridge; fish: into ~/.config/fish/completions/recbridge.fish.",
        epilog="Exit code: 0 printed, 2 the command line is wrong.",
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    parser.add_argument("--config", help="taken like everywhere else, not used here")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    whole: argparse.ArgumentParser = args.parser
    for parser in parsers_of(whole):
        for action in parser._actions:  # noqa: SLF001  # argparse has no public way to its options
            if action.type is Path:
                action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(whole, shell=args.shell))
    return 0


def parsers_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """This parser, and those of all commands below it."""
    yield parser
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in action.choices.values():
                yield from parsers_of(below)
