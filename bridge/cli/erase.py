"""`recbridge erase`: deletes recordings that are over their time, or that somebody wants gone, and erases people."""

import argparse
import asyncio
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge import logs
from bridge.cli.database import opened
from bridge.cli.options import add_config_option, add_json_option, config_path
from bridge.cli.spool import there
from bridge.cli.targets import add_target_options, add_who_options, target_of, when_words, who_of, with_call_id
from bridge.config import Config, load_config
from bridge.core.erasure import Person
from bridge.core.errors import BadInputError, RecbridgeError
from bridge.core.ids import CallId
from bridge.core.retention import Target, Totals, at_most_half, in_force
from bridge.core.views import epoch_ms
from bridge.files import read_users
from bridge.storage.erasing import Erased, Erasing
from bridge.storage.finished_calls import FinishedCalls
from bridge.storage.holding import SqliteHolding
from bridge.storage.retention import Order, Plan, Retention
from bridge.storage.turns import run_turn

_WAIT_S = 30.0


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "erase",
        help="delete recordings, erase people",
        description="Deletes the recordings that are over their time, or those of a record, a call, a number or a "
        "user; of a number or a user also who it was. What a hold covers, or a rule keeps longer by its own "
        "`keep`, stays, and of a person it goes as soon as nothing keeps it. Try it with --dry-run first.",
    )
    add_config_option(parser)
    add_json_option(parser)
    parser.add_argument("--expired", action="store_true", help="what is over its time, as the daemon does every hour")
    add_target_options(parser, times=False)
    add_who_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would go and what stays, and do nothing")
    parser.add_argument("--force", action="store_true", help="also more than half of all that is stored")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Do it, after asking. Raises RecbridgeError."""
    target = target_of(args)
    given = [args.expired, target.call_id, target.record_id, target.number, target.identity]
    if sum(one not in (None, False) for one in given) != 1:
        raise RecbridgeError("give one of --expired, --number, --user, --record, --call")
    named = target.number or target.identity
    if named is not None and any(named.strip("*?") in words for words in (args.why, who_of(args))):
        raise RecbridgeError("--why and --who are kept for good: they must not name who is to be erased")
    logs.set_up_command()
    return asyncio.run(_run(args, load_config(config_path(args)), target))


async def _run(args: argparse.Namespace, config: Config, target: Target) -> int:
    async with opened(config) as store, run_turn(config.database, _WAIT_S):
        target = await with_call_id(store, target)
        for unknown in await SqliteHolding(store, config.database).unknown(target):
            print(f"nothing is known of {unknown}: is the id right?", file=sys.stderr)
        retention = Retention(store, config.database, config.spool.local, lambda: datetime.now(UTC))
        erasing = Erasing(retention, config.systemname)
        person = await erasing.known(_person(target, config)) if target.number or target.identity else None
        finished = FinishedCalls(retention, config.systemname)
        kept = in_force(await store.settings(), config.retention.keeping)
        keep = kept.recordings if args.expired else timedelta(0)
        over = await finished.expired(kept.calls) if args.expired and kept.calls is not None else []
        calls: list[CallId] = []
        if person is not None:
            plan, calls = await erasing.plan(person)
        elif args.expired:
            plan = await retention.expired(keep)
        elif target.record_id is not None:
            plan = await retention.asked_for(await store.sections_of(target.record_id))
        else:
            plan = await retention.asked_for(await erasing.sections_of([CallId(str(target.call_id))]))
        whole = await erasing.with_pending(plan) if args.expired else plan
        half = at_most_half(whole.totals, await retention.stored())
        half = half and (not over or at_most_half(Totals(len(over)), Totals(await finished.stored())))
        name = config.database.name
        left = [*config.database.parent.glob(f"{name}.*.bak"), *config.database.parent.glob(f"{name}.intents.broken-*")]
        backups = sorted(map(str, left))
        told = _described(whole, calls, len(over), within_half=half) | {
            "backups": backups if person is not None else []
        }
        if not args.json or args.dry_run:
            _tell(told, as_json=args.json)
        if args.dry_run:
            return 0
        if not (half or args.force):
            raise RecbridgeError("that is more than half of all that is stored: if it is right, say --force")
        if not (args.yes or _agreed()):
            raise RecbridgeError("nothing was deleted: without a terminal to ask, say --yes")
        there(config)
        await retention.finish()
        if person is not None:
            erased = await erasing.work_off(await erasing.ask(person, calls, who_of(args), args.why))
        else:
            order = Order("retention" if args.expired else "erasure", who_of(args), args.why, keep)
            erased = Erased(await retention.delete(plan.going, order), 0, 0, clean=True)
        done = 0
        if args.expired:
            for pending in await erasing.pending():
                erased += await erasing.work_off(pending)
        if over and kept.calls is not None:
            done = await finished.delete(over, Order("retention", who_of(args), args.why, kept.calls))
            erased = replace(erased, clean=await erasing.clear() and erased.clean)
        _tell_done(erased, done, told, as_json=args.json)
        return 0 if erased.clean else 1


def _person(target: Target, config: Config) -> Person:
    """Of a user what users.yml says, if it is still in there."""
    names, numbers = frozenset[str](), frozenset[str]()
    if target.identity is not None:
        try:
            user = read_users(config.users).by_identity.get(target.identity)
        except BadInputError:
            user = None
        if user is not None:
            names, numbers = frozenset({user.name} - {""}), frozenset(user.extensions)
    return Person(target.number, target.identity, names, numbers)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    try:
        return input("Delete this for good? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        return False


def _described(plan: Plan, calls: list[CallId], over: int, *, within_half: bool) -> dict[str, Any]:
    return {
        "sections": plan.totals.count,
        "bytes": plan.totals.size_bytes,
        "oldest": None if plan.oldest is None else epoch_ms(plan.oldest),
        "newest": None if plan.newest is None else epoch_ms(plan.newest),
        "calls": len(calls),
        "finishedCalls": over,
        "held": dict(plan.held),
        "kept": plan.kept,
        "keptUntil": None if plan.kept_until is None else epoch_ms(plan.kept_until),
        "running": plan.open,
        "withinHalf": within_half,
    }


def _tell(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    span = ""
    if told["oldest"] is not None:
        oldest, newest = (_words(told[name]) for name in ("oldest", "newest"))
        span = f", recorded from {oldest} to {newest}"
    print(f"{told['sections']} sections go ({told['bytes']} bytes{span})")
    if told["finishedCalls"]:
        print(f"{told['finishedCalls']} finished calls go, with their journal")
    if told["calls"]:
        print(f"the person is in {told['calls']} calls; of those without anything that stays it is erased")
    for hold, count in told["held"].items():
        print(f"{count} sections stay: hold {hold} covers them")
    if told["kept"]:
        print(f"{told['kept']} sections stay, the last until {_words(told['keptUntil'])}: their rule's `keep`")
    if told["running"]:
        print(f"{told['running']} sections stay: they are not finished")
    if not told["withinHalf"]:
        print("that is more than half of all that is stored: it needs --force")


def _words(at_ms: int) -> str:
    return when_words(datetime.fromtimestamp(at_ms / 1000, UTC))


def _tell_done(erased: Erased, finished: int, told: dict[str, Any], *, as_json: bool) -> None:
    totals: Totals = erased.totals
    if as_json:
        done = {"sections": totals.count, "bytes": totals.size_bytes, "calls": erased.calls, "left": erased.left}
        done |= {"finishedCalls": finished}
        print(json.dumps(told | {"done": done, "clean": erased.clean}, ensure_ascii=False, indent=2))
        return
    print(f"deleted: {totals.count} sections, {totals.size_bytes} bytes")
    if finished:
        print(f"deleted: {finished} finished calls, with their journal")
    if erased.calls or erased.left:
        print(f"erased from {erased.calls} calls; {erased.left} wait until nothing keeps them: the daemon does it then")
    if not erased.clean:
        print("what was erased still stands in the database's WAL: restart recbridge", file=sys.stderr)
    for backup in told["backups"]:
        print(f"a copy that we leave to you, with what it knows: {backup}", file=sys.stderr)
