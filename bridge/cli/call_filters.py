"""Which finished calls a command means: the options that it shares with others, as the API wants them."""

import argparse
from datetime import datetime
from typing import Any

from bridge.cli.targets import parse_when
from bridge.core.views import epoch_ms

_TEXTS = (
    ("search", "TEXT", "in names, numbers, what was dialled and names of recordings"),
    ("number", "NUMBER", "one of the two numbers; `*` at its beginning or end stands for any digits"),
    ("name", "TEXT", "in one of the two names"),
    ("user", "IDENTITY", "this user took part"),
    ("queue", "QUEUE", "it went through this queue"),
    ("tag", "TAG[,TAG]", "it has all of these tags"),
)
_DIRECTIONS = ("inbound", "outbound", "internal")


def add_filter_options(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """`--since`, `--until`, `--number`, … as `GET /api/v1/cdrs` has them."""
    since = "calls that began from then on"
    parser.add_argument("--since", "--from", dest="since", type=_when, metavar="TIME", help=since)
    parser.add_argument("--until", type=_when, metavar="TIME", help="calls that began before that")
    for name, metavar, words in _TEXTS:
        parser.add_argument(f"--{name}", metavar=metavar, help=words)
    parser.add_argument("--direction", choices=_DIRECTIONS, help="which way the call went")
    parser.add_argument("--min", type=float, metavar="SECONDS", help="talked so long at least")
    parser.add_argument("--max", type=float, metavar="SECONDS", help="talked so long at most")


def filter_of(args: argparse.Namespace) -> dict[str, Any]:
    """What was given, by the API's names."""
    times = {"from": args.since, "until": args.until}
    given: dict[str, Any] = {name: epoch_ms(at[1]) for name, at in times.items() if at is not None}
    plain = {**{name: getattr(args, name) for name, _, _ in _TEXTS}, "direction": args.direction}
    plain |= {"minS": args.min, "maxS": args.max}
    return given | {name: value for name, value in plain.items() if value is not None}


def as_typed(args: argparse.Namespace) -> dict[str, Any]:
    """The same, times as they were typed: `7d` means another moment each time, but is the same wish."""
    times = {"from": args.since, "until": args.until}
    return filter_of(args) | {name: at[0] for name, at in times.items() if at is not None}


def _when(text: str) -> tuple[str, datetime]:
    return text, parse_when(text)
