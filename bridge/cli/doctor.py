"""`recbridge doctor`: is everything as it should be, and if not, what to do?"""

import argparse
import asyncio
import json
import math
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from bridge.cli.options import add_config_option, add_json_option, config_path
from bridge.doctor.checks import CODES, DEADLINE_S, examine, worst
from bridge.doctor.findings import Finding, State

_EXIT = {State.OK: 0, State.UNKNOWN: 0, State.WARNING: 1, State.FAILED: 1}
_NAGIOS = {State.OK: 0, State.WARNING: 1, State.FAILED: 2, State.UNKNOWN: 3}
_NAGIOS_WORDS = {State.OK: "OK", State.WARNING: "WARNING", State.FAILED: "CRITICAL", State.UNKNOWN: "UNKNOWN"}
_COLOURS = {State.OK: "32", State.WARNING: "33", State.FAILED: "1;31", State.UNKNOWN: "36"}
_WIDE = 120
_TOGETHER = 9


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="look whether everything is as it should be",
        description="Looks at the configuration, the daemon, Asterisk, the spool and its disk, the database and the "
        "machine, and says what is wrong and what to do about it. Changes nothing, names nobody.",
        epilog="Exit code: 0 nothing is wrong (also where something could not be looked at), 1 something failed or "
        "warns, 2 the command line is wrong. With --nagios: 0 all is well, 1 something warns, 2 something failed, "
        "3 something could not be looked at.",
    )
    add_config_option(parser)
    add_json_option(parser)
    parser.add_argument(
        "--nagios", action="store_true", help="one line and the exit codes that monitoring plugins have"
    )
    parser.add_argument("--quiet", action="store_true", help="say only what is not well; nothing where all is")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=tuple(CODES),
        metavar="CODE",
        help="look at this alone (repeat it)",
    )
    parser.add_argument(
        "--deadline",
        type=_seconds,
        default=DEADLINE_S,
        metavar="SECONDS",
        help="how long each look may take (default: %(default)g); a large database takes longer",
    )
    parser.add_argument("--list", action="store_true", help="print the codes and what is looked at, and do nothing")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Look, and say what was found."""
    if args.list:
        if args.json:
            print(json.dumps(CODES, indent=2))
        else:
            print("\n".join(f"{code:<{max(map(len, CODES))}}  {words}" for code, words in CODES.items()))
        return 0
    found = asyncio.run(examine(config_path(args), args.only, args.deadline))
    state = worst(found)
    told = [one for one in found if one.state is not State.OK] if args.quiet else found
    if args.json:
        print(json.dumps({"ok": _EXIT[state] == 0, "state": str(state), "checks": list(map(_as_json, told))}, indent=2))
    elif args.nagios:
        print(_printable(f"RECBRIDGE {_NAGIOS_WORDS[state]} - {_summary(found)}"))
    elif told:
        print("\n".join(_lines(told, _coloured(sys.stdout))))
        print(_summary(found))
    return (_NAGIOS if args.nagios else _EXIT)[state]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no length in seconds")
    return seconds


def _as_json(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code,
        "state": str(one.state),
        "words": one.words,
        "remedy": one.remedy or None,
        "values": dict(one.values),
    }


def _summary(found: Sequence[Finding]) -> str:
    """`2 failed (asterisk, disk), 1 warns (tokens)`; what is well is not counted."""
    parts = []
    for state, words in ((State.FAILED, "failed"), (State.WARNING, "warn"), (State.UNKNOWN, "could not be looked at")):
        codes = [one.code for one in found if one.state is state]
        if codes:
            parts.append(f"{len(codes)} {words}" + (f": {', '.join(codes)}" if state is not State.UNKNOWN else ""))
    return "; ".join(parts) or "all is well"


def _coloured(stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> bool:
    """<https://no-color.org>; None is an output that was closed."""
    return stream is not None and stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _lines(found: Sequence[Finding], coloured: bool) -> list[str]:
    """One check a line, its remedy below it; what could not be looked at for one reason stands together."""
    lines: list[str] = []
    width = max(len(one.code) for one in found)
    said: set[str] = set()
    for one in found:
        codes = [one.code]
        if one.state is State.UNKNOWN:
            if one.words in said:
                continue
            said.add(one.words)
            codes = [other.code for other in found if other.state is State.UNKNOWN and other.words == one.words]
        state = f"{one.state:<7}"
        if coloured:
            state = f"\x1b[{_COLOURS[one.state]}m{state}\x1b[0m"
        also = f"{len(codes) - 1} more" if len(codes) > _TOGETHER else ", ".join(codes[1:])
        words = f"{one.words} (also {also})" if also else one.words
        lines += [f"{state}  {one.code:<{width}}  {_printable(words)}"]
        if one.remedy:
            indent = " " * 9
            lines += textwrap.wrap(
                f"-> {_printable(one.remedy)}",
                _WIDE,
                initial_indent=indent,
                subsequent_indent=f"{indent}   ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return lines


def _printable(text: str) -> str:
    """Asterisk and whoever may write into the spool chose some of it: nothing may steer the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
