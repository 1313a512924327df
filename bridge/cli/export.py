"""`recbridge export`: the recordings of many calls as one zip, made by the daemon, fetched, looked through."""

import argparse
import asyncio
import json
import sys
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bridge.cli.asking import Asking, RefusedError, UnreachableError
from bridge.cli.call_filters import add_filter_options, as_typed, filter_of
from bridge.cli.calls import TOKEN_VARIABLE
from bridge.cli.fetching import Begun, Target, check, fetch
from bridge.cli.options import add_config_option, add_json_option, config_path, why
from bridge.cli.showing import Showing
from bridge.cli.tables import table
from bridge.cli.targets import TIME_WORDS
from bridge.config import load_config
from bridge.core.errors import RecbridgeError

_PATH = "/api/v1/exports"
_FIRST_LOOK_S = 0.05
_LOOK_EVERY_S = 1.0
_PATIENCE_S = 60.0
_OVER = ("error", "deleted")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        help="have the recordings of many calls as one zip",
        description="Asks the running daemon for a zip with the recordings of all calls that fit, waits until it is "
        "made, fetches it, and checks every recording in it against the manifest. Interrupted at any point, the same "
        "command goes on where it was: what is done so far stands beside FILE as FILE.part and FILE.export. "
        "Without a token it makes itself one, which needs the right to write the database. " + TIME_WORDS,
        epilog="Exit code: 0 the zip is there, and whole; 1 it could not be done; 2 the command line is wrong; 3 the "
        "daemon is away: the same command goes on; 4 the zip is there, but some recordings are missing in it (its "
        "manifest.csv says which); 130 interrupted: the same command goes on.",
    )
    add_config_option(parser)
    add_json_option(parser)
    add_filter_options(parser)
    parser.add_argument("--cdr", type=int, action="append", metavar="NUMBER", help="this call alone; may be repeated")
    parser.add_argument("--to", type=Path, metavar="FILE", help="where the zip goes")
    parser.add_argument("--email", metavar="ADDRESS", help="who is mailed when it is made")
    parser.add_argument("--resume", metavar="ID", help="fetch this export, whoever asked for it")
    parser.add_argument("--list", action="store_true", help="show the exports that there are")
    parser.add_argument("--cancel", metavar="ID", help="do not make this export, or delete its zip")
    parser.add_argument("--token", help=f"the API token (default: {TOKEN_VARIABLE} in the environment)")
    parser.set_defaults(func=run, error=parser.error)


def run(args: argparse.Namespace) -> int:
    """Do it; the exit code stands in the help."""
    wanted = bool(as_typed(args) or args.cdr)
    if sum((wanted, args.resume is not None, args.list, args.cancel is not None)) != 1:
        args.error("give which calls (--since, --number, --cdr, …), or --resume, --list, --cancel: one of these")
    if (args.cdr and as_typed(args)) or ((wanted or args.resume) and args.to is None):
        args.error("--to FILE is needed" if args.to is None else "--cdr stands alone")
    try:
        return asyncio.run(_run(args))
    except UnreachableError as error:
        print(f"{why(error)}\nThe same command goes on where it was.", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        if args.to is not None:
            print("Interrupted: the same command goes on where it was.", file=sys.stderr)
        return 130
    except OSError as error:
        print(why(error), file=sys.stderr)
        return 1


async def _run(args: argparse.Namespace) -> int:
    config = load_config(config_path(args))
    async with Asking(config, args.token) as asking:
        if args.list:
            items = (await asking.ask("GET", f"{_PATH}?limit=1000"))["items"]
            _print_list(items, as_json=args.json)
            return 0
        if args.cancel is not None:
            await asking.ask("DELETE", f"{_PATH}/{args.cancel}")
            return 0
        target = Target(args.to)
        with target.taken(), Showing(quiet=args.json) as showing:
            item = await _have(asking, args, target, showing)
    if args.json:
        print(json.dumps({**item, "file": str(target.file)}, ensure_ascii=False, indent=2))
    else:
        print(f"{target.file}: {item['recordings'] - item['missing']} recordings, {item['sizeBytes']} bytes")
    if item["missing"]:
        print(f"{item['missing']} recordings are missing: manifest.csv in it says which", file=sys.stderr)
    return 4 if item["missing"] else 0


async def _have(asking: Asking, args: argparse.Namespace, target: Target, showing: Showing) -> dict[str, Any]:
    begun = await _begun(asking, args, target)
    item = await _made(asking, begun, target, showing)
    begun = await _fetched(asking, target, begun, item["sizeBytes"], showing)
    try:
        await _checked(target, showing)
    except RecbridgeError as error:
        target.note(Begun(begun.id, begun.asked))
        with target.part.open("r+b") as part:
            part.truncate()
        raise RecbridgeError(f"{error.message}: the same command fetches it anew") from error
    target.finish()
    return item


async def _checked(target: Target, showing: Showing) -> None:
    """Look through it in a thread, that ends where nobody waits for it any more."""
    left = threading.Event()

    def told(done: int, whole: int) -> None:
        if left.is_set():
            raise RecbridgeError("interrupted")
        showing.show("checking", done, whole)

    try:
        await asyncio.to_thread(check, target.part, told)
    finally:
        left.set()


async def _begun(asking: Asking, args: argparse.Namespace, target: Target) -> Begun:
    """What an earlier run of the same command has asked for, or a new export."""
    asked = {"resume": args.resume} if args.resume else {"cdrs": args.cdr} if args.cdr else {"filter": as_typed(args)}
    before = target.begun()
    if before is not None:
        if asked != before.asked and args.resume != before.id:
            words = f"something else was begun there: `--resume {before.id}` goes on with it"
            raise RecbridgeError(f"{target.part}: {words}")
        return before
    if target.file.exists():
        raise RecbridgeError(f"{target.file}: it is there already")
    if args.resume:
        begun = Begun(args.resume, asked)
    else:
        body: dict[str, Any] = {"cdrs": args.cdr} if args.cdr else {"filter": filter_of(args)}
        item = await asking.ask("POST", _PATH, body | ({"email": args.email} if args.email else {}))
        begun = Begun(item["id"], asked)
    target.note(begun)
    return begun


async def _made(asking: Asking, begun: Begun, target: Target, showing: Showing) -> dict[str, Any]:
    """Wait until it is made; a daemon that is restarted makes it anew."""
    heard_at, wait_s = time.monotonic(), _FIRST_LOOK_S
    while True:
        try:
            item: dict[str, Any] = await asking.ask("GET", f"{_PATH}/{begun.id}")
            heard_at = time.monotonic()
        except UnreachableError:
            if time.monotonic() - heard_at > _PATIENCE_S:
                raise
        except RefusedError as error:
            if error.status == 404:
                target.forget()
            raise
        else:
            if item["status"] in _OVER:
                target.forget()
                raise RecbridgeError(f"export {begun.id} is {item['status']}: {item['reason']}")
            if item["status"] == "finished":
                return item
            showing.show("making", item["done"], item["recordings"])
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _LOOK_EVERY_S)


async def _fetched(asking: Asking, target: Target, begun: Begun, size: int, showing: Showing) -> Begun:
    """Fetch it, in as many pieces as the connection breaks into."""
    had_at, had = time.monotonic(), -1
    while True:
        try:
            return await fetch(asking, target, begun, size, partial(showing.show, "fetching", size=True))
        except UnreachableError:
            begun = target.begun() or begun
            have = target.part.stat().st_size
            if have != had:
                had_at, had = time.monotonic(), have
            elif time.monotonic() - had_at > _PATIENCE_S:
                raise
            await asyncio.sleep(_LOOK_EVERY_S)
        except RefusedError as error:
            if error.status in {404, 410}:
                target.forget()
            raise


def _print_list(items: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"items": items}, ensure_ascii=False, indent=2))
        return
    rows = [
        (
            one["id"],
            f"{datetime.fromtimestamp(one['askedAt'] / 1000, UTC).astimezone():%Y-%m-%d %H:%M}",
            one["owner"],
            one["status"] if one["reason"] is None else f"{one['status']}: {one['reason']}",
            f"{one['done']} of {one['recordings']}",
            "" if one["sizeBytes"] is None else str(one["sizeBytes"]),
        )
        for one in items
    ]
    lines = table(("ID", "ASKED", "OWNER", "STATUS", "RECORDINGS", "BYTES"), rows)
    print("\n".join(lines) if lines else "no exports", file=sys.stdout if lines else sys.stderr)
