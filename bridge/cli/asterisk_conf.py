"""`recbridge asterisk-conf`: what to put into Asterisk's manager.conf, features.conf and extensions.conf."""

import argparse
import json
import secrets
import sys
from typing import Any

from bridge.asterisk.rights import WRITE
from bridge.asterisk.snippets import extensions_conf, features_conf, manager_conf, read_classes
from bridge.core.errors import InvalidAmiValueError

_FILES = ("manager.conf", "features.conf", "extensions.conf")


def register(subparsers: "argparse._SubParsersAction[Any]") -> None:  # argparse has no public name for it
    """Add the command."""
    parser = subparsers.add_parser(
        "asterisk-conf",
        help="print what recbridge needs in Asterisk's configuration",
        description="Prints what goes into Asterisk's manager.conf (a user with just the rights that recbridge needs; "
        "it is all that recording needs), features.conf and extensions.conf (the keys *3 and *26 on phones).",
    )
    parser.add_argument("--username", default="bridge", help="the manager user's name (default: %(default)s)")
    parser.add_argument("--secret", help="its secret (default: a fresh one, different each time)")
    parser.add_argument("--dtmf", action="store_true", help="it may read keys: for `dtmf: true` in the configuration")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--file", choices=_FILES, help="print what goes into this file alone")
    form.add_argument("--json", action="store_true", help="print the parts as JSON")
    parser.add_argument("--config", help="taken like everywhere else, not used here")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print it; 1 where the name or the secret cannot stand in manager.conf."""
    secret = args.secret if args.secret is not None else secrets.token_urlsafe(24)
    try:
        texts = (manager_conf(args.username, secret, dtmf=args.dtmf), features_conf(), extensions_conf())
    except InvalidAmiValueError as error:
        print(f"recbridge asterisk-conf: {error}", file=sys.stderr)
        return 1
    files = dict(zip(_FILES, texts, strict=True))
    if args.json:
        parts = {
            "username": args.username,
            "secret": secret,
            "read": read_classes(dtmf=args.dtmf),
            "write": WRITE,
            **{name.replace(".", "_"): text for name, text in files.items()},
        }
        print(json.dumps(parts, ensure_ascii=False, indent=2))
    else:
        print(files[args.file] if args.file else "\n\n".join(files.values()), end="")
    return 0
