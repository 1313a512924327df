"""`recbridge hold`: legal holds, which keep recordings from being deleted."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bridge.api.holds import hold_item
from bridge.cli.database import opened
from bridge.cli.options import add_config_option, add_json_option, config_path
from bridge.cli.tables import printable
from bridge.cli.targets import (
    TIME_WORDS,
    add_target_options,
    add_who_options,
    target_of,
    target_words,
    when_words,
    who_of,
    with_call_id,
)
from bridge.config import Config, load_config
from bridge.core.errors import RecbridgeError
from bridge.core.retention import Hold, Target
from bridge.storage.holding import SqliteHolding
from bridge.storage.retention import new_id


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser("hold", help="keep recordings from being deleted", description="Legal holds.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser(
        "add",
        help="set a hold",
        description="Nothing that the hold covers is deleted, by its age or by a request, before it is released: what "
        "is recorded and what will be. All that is given has to fit. Prints the hold's id. " + TIME_WORDS,
    )
    add_config_option(add)
    add_json_option(add)
    add_target_options(add, times=True)
    add_who_options(add)
    add.set_defaults(func=run_add)
    show = actions.add_parser("list", help="show the holds", description="Shows the holds in force.")
    add_config_option(show)
    add_json_option(show)
    show.add_argument("--all", action="store_true", help="those that were released, too")
    show.set_defaults(func=run_list)
    release = actions.add_parser("release", help="release a hold", description="Releases a hold; it stays on the list.")
    add_config_option(release)
    add_json_option(release)
    release.add_argument("id", metavar="ID", help="the hold's id, as `hold list` shows it")
    add_who_options(release)
    release.set_defaults(func=run_release)


def run_add(args: argparse.Namespace) -> int:
    """Set a hold. Raises RecbridgeError."""
    target = target_of(args)
    if target.is_empty:
        raise RecbridgeError("what should be held? Give --call, --record, --number, --user, --from or --until")
    if target.since is not None and target.until is not None and target.since >= target.until:
        raise RecbridgeError("--from has to be before --until")
    config = load_config(config_path(args))
    target = asyncio.run(_resolved(config, target))
    hold = Hold(new_id(), target, who_of(args), args.why, datetime.now(UTC))
    asyncio.run(_keep(config, hold))
    for unknown in asyncio.run(_unknown(config, target)):
        print(f"the hold stands, but nothing is known yet of {unknown}: is the id right?", file=sys.stderr)
    print(json.dumps(hold_item(hold), ensure_ascii=False, indent=2) if args.json else hold.id)
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Show them. Raises RecbridgeError."""
    holds = [one for one in asyncio.run(_all(load_config(config_path(args)))) if args.all or one.released_at is None]
    if args.json:
        print(json.dumps({"items": [hold_item(one) for one in holds]}, ensure_ascii=False, indent=2))
    for hold in [] if args.json else holds:
        words = f"{hold.id}  {target_words(hold.target)}  since {when_words(hold.set_at)} by {hold.who}: {hold.why}"
        print(printable(words))  # over HTTP a reason may have lines
        if hold.released_at is not None:
            words = f"released {when_words(hold.released_at)} by {hold.released_by}: {hold.released_why}"
            print(f"    {printable(words)}")
    return 0


def run_release(args: argparse.Namespace) -> int:
    """Release one. Raises RecbridgeError."""
    hold = asyncio.run(_release(load_config(config_path(args)), args.id, who_of(args), args.why))
    if args.json:
        print(json.dumps(hold_item(hold), ensure_ascii=False, indent=2))
    else:
        print(f"released: {printable(target_words(hold.target))}")
    return 0


async def _all(config: Config) -> Sequence[Hold]:
    async with opened(config) as store:
        return await store.holds()


async def _release(config: Config, hold_id: str, who: str, why: str) -> Hold:
    found = next((one for one in await _all(config) if one.id == hold_id), None)
    if found is None:
        raise RecbridgeError(f"there is no hold {hold_id}: `recbridge hold list` shows them")
    if found.released_at is not None:
        raise RecbridgeError(f"hold {hold_id} was released already, {when_words(found.released_at)}")
    hold = replace(found, released_at=datetime.now(UTC), released_by=who, released_why=why)
    await _keep(config, hold)
    return hold


async def _resolved(config: Config, target: Target) -> Target:
    async with opened(config) as store:
        return await with_call_id(store, target)


async def _unknown(config: Config, target: Target) -> list[str]:
    async with opened(config) as store:
        return await SqliteHolding(store, config.database).unknown(target)


async def _keep(config: Config, hold: Hold) -> None:
    async with opened(config) as store:
        await SqliteHolding(store, config.database).put(hold)
