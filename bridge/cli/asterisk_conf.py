"""`recbridge asterisk-conf`: what to put into Asterisk's manager.conf."""

import argparse
import json
import secrets
import sys
from typing import Any

from bridge.asterisk.rights import READ, WRITE
from bridge.asterisk.snippets import manager_conf
from bridge.core.errors import InvalidAmiValueError


def register(subparsers: "argparse._SubParsersAction[Any]") -> None:  # argparse has no public name for it
    """Add the command."""
    parser = subparsers.add_parser(
        "asterisk-conf",
        help="print the manager.conf user that recbridge needs",
        description="Prints a section for Asterisk's manager.conf: a user with just the rights that recbridge needs.",
    )
    parser.add_argument("--username", default="bridge", help="its name (default: %(default)s)")
    parser.add_argument("--secret", help="its secret (default: a fresh one, different each time)")
    parser.add_argument("--json", action="store_true", help="print the parts as JSON")
    parser.add_argument("--config", help="taken like everywhere else, not used here")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print it; 1 where the name or the secret cannot stand in manager.conf."""
    secret = args.secret if args.secret is not None else secrets.token_urlsafe(24)
    try:
        text = manager_conf(args.username, secret)
    except InvalidAmiValueError as error:
        print(f"recbridge asterisk-conf: {error}", file=sys.stderr)
        return 1
    if args.json:
        parts = {"username": args.username, "secret": secret, "read": READ, "write": WRITE, "manager_conf": text}
        print(json.dumps(parts, ensure_ascii=False, indent=2))
    else:
        print(text, end="")
    return 0
