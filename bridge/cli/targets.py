"""Who does it, why, and to which recordings: options that `hold` and `erase` share, and how they print."""

import argparse
import getpass
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from bridge.core.cdrs import CdrNumber
from bridge.core.conditions import plain_number
from bridge.core.durations import parse_duration
from bridge.core.ids import CallId, Identity, RecordId
from bridge.core.retention import Target
from bridge.core.store import Store

_LONGEST = 16
"""Digits; what is longer no database has a number for."""

TIME_WORDS = "TIME is like 2026-03-02, 2026-03-02T09:00 (local time) or 2026-03-02T09:00+01:00; 90d is so long ago."
"""For the help of commands that take times by `parse_when`."""


def add_who_options(parser: argparse.ArgumentParser) -> None:
    """`--why` and `--who`."""
    parser.add_argument("--why", required=True, type=_words, metavar="TEXT", help="the reason, kept with it for good")
    parser.add_argument("--who", type=_words, metavar="NAME", help="who does it (default: the user that runs this)")


def who_of(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> str:
    """Who does it: as given, else who runs sudo, else who is logged in."""
    given: str | None = args.who
    return given or environ.get("SUDO_USER") or environ.get("USER") or getpass.getuser()


def add_target_options(parser: argparse.ArgumentParser, *, times: bool) -> None:
    """Which calls; `times`: also from when until when."""
    parser.add_argument(
        "--call", type=_words, metavar="ID", help="a call, by its id (linkedid), or a finished one by its number"
    )
    parser.add_argument("--record", type=_words, metavar="ID", help="a record, by its recordId")
    parser.add_argument(
        "--number", type=_number, metavar="NUMBER", help="a number as in rules; `*` and `?` are patterns"
    )
    parser.add_argument("--user", type=_words, metavar="IDENTITY", help="a user")
    if times:
        parser.add_argument("--from", dest="since", type=parse_when, metavar="TIME", help="calls that went on after it")
        parser.add_argument("--until", type=parse_when, metavar="TIME", help="calls that began before it")


def target_of(args: argparse.Namespace) -> Target:
    """What was given."""
    return Target(
        call_id=None if args.call is None else CallId(args.call),
        record_id=None if args.record is None else RecordId(args.record),
        number=args.number,
        identity=None if args.user is None else Identity(args.user),
        since=getattr(args, "since", None),
        until=getattr(args, "until", None),
    )


async def with_call_id(store: Store, target: Target) -> Target:
    """Where `--call` names a finished call by its number, as lists show it, its id instead. Raises StoreError."""
    name = target.call_id or ""
    if not (name.isascii() and name.isdigit() and len(name) < _LONGEST):  # Asterisk's ids have a point
        return target
    found = await store.asked_call(CdrNumber(int(name)))
    return target if found is None else replace(target, call_id=found.cdr.call_id)


def target_words(target: Target) -> str:
    """For people.

    >>> target_words(Target(number="+49731*", until=datetime(2026, 8, 1, tzinfo=UTC)))
    'number +49731*, until 2026-08-01 00:00 UTC'
    """
    named = {
        "call": target.call_id,
        "record": target.record_id,
        "number": target.number,
        "user": target.identity,
        "from": None if target.since is None else when_words(target.since),
        "until": None if target.until is None else when_words(target.until),
    }
    return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None) or "(erased)"


def when_words(at: datetime) -> str:
    """A time for people."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def parse_when(text: str) -> datetime:
    """`2026-08-01`, `2026-08-01T12:00:00+02:00` (without a zone local time), or so long ago: `90d`."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        try:
            return datetime.now(UTC) - parse_duration(text)
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(
                f"{text!r} is neither a time like 2026-08-01T12:00+02:00 nor a length like 90d"
            ) from None


def _words(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("is empty, or holds what cannot be printed")
    return text.strip()


def _number(text: str) -> str:
    if not plain_number(_words(text)).strip("*?"):
        raise argparse.ArgumentTypeError(f"{text!r} means every number")
    return text.strip()
