"""`recbridge token`: API tokens, written into the database that the daemon reads."""

import argparse
import asyncio
import json
from datetime import UTC, datetime, timedelta

from bridge import tokens
from bridge.cli.database import keep_token
from bridge.cli.options import add_config_option, add_json_option, config_path
from bridge.config import load_config
from bridge.core.access import Role, Scope
from bridge.core.durations import parse_duration
from bridge.core.ids import Identity


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser("token", help="make API tokens", description="Makes API tokens.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser(
        "create",
        help="make a token",
        description="Makes a token and prints it, alone on the last line; it cannot be read out again later.",
    )
    add_config_option(create)
    add_json_option(create)
    create.add_argument("--identity", required=True, type=_identity, metavar="NAME", help="whose it is")
    create.add_argument("--role", required=True, choices=[str(role) for role in Role], help="what it may see")
    create.add_argument("--expires", type=_expires, metavar="90d", help="how long it is good for (default: for ever)")
    create.add_argument(
        "--scope",
        type=_scopes,
        metavar="SCOPE,…",
        help=f"what it may do: {', '.join(Scope)} (default: all for an admin, else play, download, control)",
    )
    create.set_defaults(func=run_create)


def run_create(args: argparse.Namespace) -> int:
    """Make a token. Raises BadInputError, StoreError."""
    config = load_config(config_path(args))
    now = datetime.now(UTC)
    expires_at = None if args.expires is None else now + args.expires
    token, plain = tokens.new_token(args.identity, Role(args.role), args.scope, now, expires_at)
    asyncio.run(keep_token(config, token, make=True))
    scopes = sorted(str(scope) for scope in token.scopes)
    if args.json:
        described = {
            "token": plain,
            "id": token.id,
            "identity": token.identity,
            "role": str(token.role),
            "scopes": scopes,
            "expiresAt": None if expires_at is None else expires_at.isoformat(timespec="seconds"),
        }
        print(json.dumps(described, ensure_ascii=False, indent=2))
    else:
        until = "for ever" if expires_at is None else f"until {expires_at:%Y-%m-%d %H:%M} UTC"
        print(f"For {token.identity} as {token.role}, {until}; it may look and {', '.join(scopes) or 'nothing else'}:")
        print(plain)
    return 0


def _identity(text: str) -> Identity:
    if not text.strip() or text != text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is no user's name")
    return Identity(text)


def _expires(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _scopes(text: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(word.strip()) for word in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}: the scopes are {', '.join(Scope)}") from None
