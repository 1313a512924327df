"""`recbridge calls`: the calls that go on now, as the running daemon sees them; with a filter finished ones."""

import argparse
import asyncio
import json
import os
import ssl
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from bridge import tokens
from bridge.cli.call_filters import add_filter_options, filter_of
from bridge.cli.database import keep_token
from bridge.cli.options import add_config_option, add_json_option, config_path
from bridge.config import Config, load_config
from bridge.core.access import Role
from bridge.core.errors import RecbridgeError
from bridge.core.ids import Identity

TOKEN_VARIABLE = "RECBRIDGE_TOKEN"  # noqa: S105  # the name of a variable

_DEADLINE_S = 10
_LIMIT = 100
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where it listens, not where we do


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "calls",
        help="show the calls that go on now, or finished ones",
        description="Asks the running daemon for the calls that go on now: who with whom, and what each rule does; and "
        "says where it is not ready to record. With --finished, or with anything that says which calls, it lists "
        "finished calls instead, newest first. "
        "Without a token it makes itself one for some minutes, which needs the right to write the database.",
        epilog="Exit codes: 0: it is said, also where there are none; 1: it could not be asked; 2: wrong options.",
    )
    add_config_option(parser)
    add_json_option(parser)
    parser.add_argument("--token", help=f"the API token (default: {TOKEN_VARIABLE} in the environment)")
    finished = parser.add_argument_group("finished calls")
    finished.add_argument("--finished", action="store_true", help="finished calls, also without a filter")
    add_filter_options(finished)
    recorded = finished.add_mutually_exclusive_group()
    words = "those with a recording, also one that was deleted"
    recorded.add_argument("--recorded", action="store_const", const=True, help=words)
    without = "those without one"
    recorded.add_argument("--not-recorded", dest="recorded", action="store_const", const=False, help=without)
    finished.add_argument("--limit", type=_limit, metavar="N", help=f"so many at most (default: {_LIMIT})")
    finished.add_argument("--csv", action="store_true", help="all that is found as CSV")
    parser.set_defaults(func=run, error=parser.error)


def _limit(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it should be 1 or more")
    return number


def _is_finished(args: argparse.Namespace) -> bool:
    return args.finished or args.csv or args.limit is not None or args.recorded is not None or bool(filter_of(args))


def run(args: argparse.Namespace) -> int:
    """Show them. Raises RecbridgeError with one line where that cannot be."""
    if args.csv and args.json:
        args.error("--csv or --json: one of these")
    if _is_finished(args):
        from bridge.cli import finished_calls  # noqa: PLC0415  # it asks by what is below

        args.limit = args.limit or _LIMIT
        return finished_calls.run(args)
    config = load_config(config_path(args))
    items, not_ready = asyncio.run(_ask(config, args.token or os.environ.get(TOKEN_VARIABLE)))
    for reason in not_ready:
        print(f"not ready: {reason}", file=sys.stderr)
    if args.json:
        print(json.dumps({"items": items}, ensure_ascii=False, indent=2))
    elif items:
        print("\n".join(table(items, datetime.now(UTC))))
    else:
        print("no calls", file=sys.stderr)
    return 0


async def _ask(config: Config, token: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The calls, and what keeps the daemon from recording: then what it says of calls may be old."""
    if token is None:
        now = datetime.now(UTC)
        kept, token = tokens.new_token(Identity("recbridge"), Role.ADMIN, (), now, now + timedelta(minutes=1))
        await keep_token(config, kept)
    url = url_of(config)
    headers, tls = {"Authorization": f"Bearer {token}"}, tls_of(config)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_DEADLINE_S), headers=headers) as session:
            async with session.get(f"{url}/api/v1/calls", ssl=tls) as response:
                answer = await response.json()
                if response.status != 200:
                    raise RecbridgeError(f"the daemon at {config.http.listen} says: {answer['message']}")
                items: list[dict[str, Any]] = answer["items"]
            async with session.get(f"{url}/ready", ssl=tls) as response:
                ready = await response.json()
                # The words are for admins, the codes for everybody.
                messages = [message["message"] for message in ready.get("messages", ())]
                return items, messages or list(ready["reasons"])
    except TimeoutError:
        raise RecbridgeError(f"the daemon at {config.http.listen} did not answer within {_DEADLINE_S} s") from None
    except aiohttp.ClientConnectorError as error:
        raise RecbridgeError(f"no daemon answers at {config.http.listen}: does it run? ({refusal(error)})") from None
    except aiohttp.ClientConnectionError as error:
        raise RecbridgeError(f"no daemon answers at {config.http.listen}: does it run? ({error})") from None
    except (aiohttp.ClientError, ValueError, KeyError, TypeError) as error:
        raise RecbridgeError(f"what answers at {config.http.listen} is not recbridge ({error})") from None


def refusal(error: aiohttp.ClientConnectorError) -> str:
    """Why no connection came about."""
    # asyncio words a refused connection itself; an address that is not found has a number below 0.
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error.strerror)


def url_of(config: Config) -> str:
    """Where the daemon of this machine answers."""
    host, port = config.http.address
    host = _ANYWHERE.get(host, host)
    return f"{'https' if config.http.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def tls_of(config: Config) -> ssl.SSLContext | bool:
    """Trust the daemon's own certificate, whatever name stands in it: we reach it by its address."""
    if config.http.tls is None:
        return True
    try:
        context = ssl.create_default_context(cafile=str(config.http.tls.certificate))
    except (OSError, ssl.SSLError) as error:
        raise RecbridgeError(f"http: tls: certificate: {error}") from None
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def table(items: Sequence[dict[str, Any]], now: datetime) -> list[str]:
    """One line a call, and below it one for each rule.

    >>> call = {"callId": "1392385689.178", "parties": [], "direction": "internal", "startedAt": 0,
    ...         "talkingSince": None, "queue": "", "dialed": "822", "rules": [], "reason": "no-talk"}
    >>> table([call], datetime.fromtimestamp(65, UTC))
    ['internal  822  ringing 0:01:05  call 1392385689.178  not recorded: no-talk']
    """
    lines = []
    for call in items:
        parties = " - ".join(_party(party) for party in call["parties"]) or call["dialed"]
        talking = call["talkingSince"]
        since = datetime.fromtimestamp((call["startedAt"] if talking is None else talking) / 1000, UTC)
        length = timedelta(seconds=max(0, int((now - since).total_seconds())))
        queue = f"  queue {call['queue']}" if call["queue"] else ""
        why = f"  not recorded: {call['reason']}" if call["reason"] else ""
        doing = "ringing" if talking is None else "talking"
        lines.append(f"{call['direction']}  {parties}  {doing} {length}{queue}  call {call['callId']}{why}")
        lines += [_rule(rule) for rule in call["rules"]]
    # A caller chooses its name: nothing of it may steer the terminal.
    return ["".join(char if char.isprintable() else "?" for char in line) for line in lines]


def _party(party: dict[str, Any]) -> str:
    who = party["identity"] or party["name"] or party["channel"]
    return f"{who} ({party['number']})" if party["number"] else str(who)


def _rule(rule: dict[str, Any]) -> str:
    file = f" file {rule['file']}" if rule["file"] is not None else ""
    why = f": {rule['reason']}" if rule["reason"] else ""
    return f"    rule {rule['ruleId']} {rule['name']}: {rule['state']}{file}{why}"
