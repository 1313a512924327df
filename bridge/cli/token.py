"""`recbridge token`: API tokens, in the database that the daemon reads."""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bridge import tokens
from bridge.cli.database import keep_token, opened
from bridge.cli.options import add_config_option, add_json_option, config_path
from bridge.config import Config, load_config
from bridge.core.access import Role, Scope, Token
from bridge.core.document import suggest
from bridge.core.durations import parse_duration
from bridge.core.errors import BadInputError
from bridge.core.ids import Identity
from bridge.core.views import epoch_ms
from bridge.files import read_users
from bridge.storage.tokens import all_tokens

_ID = re.compile(r"(?:rb_)?([0-9a-f]{16})(?:_[A-Za-z0-9_-]*)?\Z")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "token", help="make, list and revoke API tokens", description="Looks after API tokens."
    )
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
    listing = actions.add_parser(
        "list",
        help="list the tokens",
        description="Lists the tokens, oldest first; those that have expired are forgotten a day later.",
    )
    add_config_option(listing)
    add_json_option(listing)
    listing.set_defaults(func=run_list)
    revoke = actions.add_parser(
        "revoke", help="end a token", description="Ends a token: it opens nothing any more. Exits 1 if it is not there."
    )
    add_config_option(revoke)
    revoke.add_argument("id", type=_token_id, metavar="ID", help="as `recbridge token list` shows it")
    revoke.set_defaults(func=run_revoke)


def run_create(args: argparse.Namespace) -> int:
    """Make a token. Raises BadInputError, StoreError."""
    config = load_config(config_path(args))
    now = datetime.now(UTC)
    expires_at = None if args.expires is None else now + args.expires
    token, plain = tokens.new_token(args.identity, Role(args.role), args.scope, now, expires_at)
    asyncio.run(keep_token(config, token, make=True))
    scopes = sorted(str(scope) for scope in token.scopes)
    if args.json:
        print(json.dumps({"token": plain, **_described(token)}, ensure_ascii=False, indent=2))
    else:
        until = "for ever" if expires_at is None else f"until {expires_at:%Y-%m-%d %H:%M} UTC"
        print(f"For {token.identity} as {token.role}, {until}; it may look and {', '.join(scopes) or 'nothing else'}:")
        print(plain)
    doubt = _doubt(config, token)
    if doubt is not None:
        print(f"{doubt} ({config.users})", file=sys.stderr)
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Show every token, but for its secret. Raises BadInputError, StoreError."""
    found = asyncio.run(_all(load_config(config_path(args))))
    if args.json:
        print(json.dumps({"items": [_described(token) for token in found]}, ensure_ascii=False, indent=2))
        return 0
    now = datetime.now(UTC)
    for token in found:
        until = "for ever" if token.expires_at is None else f"until {token.expires_at:%Y-%m-%d %H:%M} UTC"
        over = " (expired)" if tokens.expired(token, now) else ""
        print(f"{token.id}  {token.identity}  {token.role}  {until}{over}  {','.join(sorted(token.scopes))}")
    return 0


def run_revoke(args: argparse.Namespace) -> int:
    """End one. Raises BadInputError, StoreError."""
    if asyncio.run(_end(load_config(config_path(args)), args.id)):
        print(f"{args.id} opens nothing any more")
        return 0
    print(f"there is no token {args.id}", file=sys.stderr)
    return 1


def _doubt(config: Config, token: Token) -> str | None:
    try:
        directory = read_users(config.users)
    except BadInputError:  # `recbridge check` names what is wrong there
        return None
    user = directory.by_identity.get(token.identity)
    if token.role is Role.ADMIN or not directory.users:
        return None
    if user is None:
        close = suggest(token.identity, directory.by_identity)
        hint = f" (did you mean {close}?)" if close else ""
        return f"note: no user is {token.identity}{hint}; the token sees calls of an endpoint of that name alone"
    if token.role is Role.SUPERVISOR and not user.supervises:
        return f"note: {token.identity} supervises no group: the token sees what a user's does"
    return None


async def _all(config: Config) -> Sequence[Token]:
    async with opened(config) as store:
        return await all_tokens(store)


async def _end(config: Config, token_id: str) -> bool:
    async with opened(config) as store:
        return await store.end_token(token_id)


def _described(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "identity": token.identity,
        "role": str(token.role),
        "scopes": sorted(str(scope) for scope in token.scopes),
        "createdAt": epoch_ms(token.created_at),
        "expiresAt": None if token.expires_at is None else epoch_ms(token.expires_at),
    }


def _token_id(text: str) -> str:
    """Also of a whole token, of which this is the part that is no secret."""
    found = _ID.match(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no token's id: `recbridge token list` shows them")
    return found[1]


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
