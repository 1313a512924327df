"""`recbridge users`: who there is, what holds for each, and who was seen in calls without standing in users.yml."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from bridge.cli.options import add_config_option, add_json_option, config_path
from bridge.cli.tables import table
from bridge.config import Config, load_config
from bridge.core.errors import StoreError
from bridge.core.ids import Identity
from bridge.core.people import Directory, User, UserFlags
from bridge.files import read_users
from bridge.storage.people_seen import PeopleSeen, people_seen

_SHORT = {
    "call_record_incoming_internal_enabled": "in-internal",
    "call_record_incoming_external_enabled": "in-external",
    "call_record_outgoing_internal_enabled": "out-internal",
    "call_record_outgoing_external_enabled": "out-external",
    "online_call_record_enabled": "online",
}


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "users",
        help="show the users and what holds for them",
        description="Shows the users of users.yml and those who have taken part in calls without standing in there: "
        "groups, whom they supervise, phones, when they last had a call, and which of their calls they want recorded "
        "(what they changed themselves stands over users.yml).",
        epilog="Exit code: 0 done, also where nobody fits, 1 it could not be done, 2 the command line is wrong.",
    )
    add_config_option(parser)
    add_json_option(parser)
    parser.add_argument("--group", metavar="GROUP", help="those in this group alone")
    parser.add_argument(
        "text",
        nargs="?",
        default="",
        metavar="TEXT",
        help="those with this in identity, name, extension, phone or group",
    )
    parser.set_defaults(func=run)


@dataclass(frozen=True, slots=True)
class _Known:
    """One user; `changed`: the flags are the database's. `last_call` is when the latest finished call began."""

    user: User
    supervised: frozenset[Identity]
    flags: UserFlags
    changed: bool
    listed: bool
    last_call: datetime | None


def run(args: argparse.Namespace) -> int:
    """Show them. Raises RecbridgeError."""
    config = load_config(config_path(args))
    directory = read_users(config.users)
    known = [one for one in _all(directory, _seen(config)) if _fits(one.user, args.text, args.group)]
    if args.json:
        print(json.dumps({"items": list(map(_as_json, known))}, ensure_ascii=False, indent=2))
    elif known:
        print(
            "\n".join(
                table(("IDENTITY", "NAME", "GROUPS", "SUPERVISES", "PHONES", "RECORDS", "LAST CALL"), _rows(known))
            )
        )
    else:
        print("no users", file=sys.stderr)
    return 0


def _seen(config: Config) -> PeopleSeen:
    """Nobody, where recbridge has never run."""
    try:
        return people_seen(config.database)
    except StoreError as error:
        if error.details.get("reason") != "missing":
            raise
        return PeopleSeen({}, {})


def _all(directory: Directory, seen: PeopleSeen) -> list[_Known]:
    others = sorted((seen.last_call.keys() | seen.flags.keys()) - directory.by_identity.keys())
    users = [*directory.users, *(User.model_construct(identity=identity) for identity in others)]
    return [
        _Known(
            user=user,
            supervised=directory.supervised_by(user.identity),
            flags=seen.flags.get(user.identity) or directory.flags_of(user.identity),
            changed=user.identity in seen.flags,
            listed=user.identity in directory.by_identity,
            last_call=seen.last_call.get(user.identity),
        )
        for user in users
    ]


def _fits(user: User, text: str, group: str | None) -> bool:
    if group is not None and group not in user.groups:
        return False
    texts = (user.identity, user.name, *user.extensions, *(one.channel for one in user.devices), *user.groups)
    return any(text.casefold() in one.casefold() for one in texts)


def _rows(known: Sequence[_Known]) -> list[tuple[str, ...]]:
    return [
        (
            one.user.identity + ("" if one.listed else " (not in users.yml)"),
            one.user.name,
            ",".join(one.user.groups),
            ",".join(one.user.supervises),
            ",".join(device.channel for device in one.user.devices),
            _flags(one),
            "" if one.last_call is None else f"{one.last_call.astimezone():%Y-%m-%d %H:%M}",
        )
        for one in known
    ]


def _flags(known: _Known) -> str:
    on = [_SHORT[name] for name, value in asdict(known.flags).items() if value]
    words = "all" if len(on) == len(_SHORT) else ",".join(on) or "by rules alone"
    return f"{words} (set by the user)" if known.changed else words


def _as_json(known: _Known) -> dict[str, Any]:
    user = known.user
    return {
        "identity": user.identity,
        "id": user.id,
        "uuid": str(user.uuid),
        "name": user.name,
        "listed": known.listed,
        "extensions": list(user.extensions),
        "devices": [{"id": one.id, "name": one.name, "channel": one.channel} for one in user.devices],
        "location": None if user.location is None else {"id": user.location.id, "name": user.location.name},
        "groups": list(user.groups),
        "supervises": list(user.supervises),
        "supervised": sorted(known.supervised),
        "flags": {_camel(name): value for name, value in asdict(known.flags).items()},
        "flagsChanged": known.changed,
        "lastCallAt": None if known.last_call is None else round(known.last_call.timestamp() * 1000),
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
