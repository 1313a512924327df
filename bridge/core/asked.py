"""What the rules were asked of a talk, and which rules these were: kept, so that the answers can be told years later.

The answers themselves are not kept: `bridge.core.rules.ask` gives them again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from bridge.core.accounts import Span, TalkAccount
from bridge.core.conditions import plain_variable
from bridge.core.errors import BadInputError
from bridge.core.ids import ChannelName, Identity, TalkId
from bridge.core.matching import TalkFacts
from bridge.core.people import Directory, User, UserFlags
from bridge.core.records import Cdr
from bridge.core.rules import Direction, RuleSet, parse_rules

_FLAGS = tuple(one.name for one in fields(UserFlags))


@dataclass(frozen=True, slots=True)
class KeptUser:
    """What matching knows of a user of users.yml: `on` are its flags that are true, by their names."""

    identity: Identity
    groups: tuple[str, ...] = ()
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptRules:
    """Rules as they were in force from `since` on: `files` are (name, text) each, in their order.

    `number` is the store's. `erased`: somebody who stood in them was erased since.
    """

    files: tuple[tuple[str, str], ...]
    users: tuple[KeptUser, ...]
    since: datetime
    number: int | None = None
    erased: bool = False

    @property
    def digest(self) -> str:
        """What two sets of rules that give the same answers in the same words have in common."""
        value = [self.files, [[one.identity, one.groups, one.on] for one in self.users]]
        return sha256(json.dumps(value).encode()).hexdigest()

    @property
    def directory(self) -> Directory:
        """The users, as far as matching knows them."""
        return Directory(
            tuple(
                User.model_construct(None, identity=one.identity, groups=one.groups, **dict.fromkeys(one.on, True))
                for one in self.users
            )
        )

    def parsed(self) -> RuleSet | None:
        """The rules, ready to be asked; None where this version cannot read them any more."""
        try:
            return parse_rules(self.files, self.directory)
        except BadInputError:
            return None


def kept_rules(files: Sequence[tuple[str, str]], directory: Directory, since: datetime) -> KeptRules:
    """Rules and users as they are kept."""
    users = (
        KeptUser(user.identity, tuple(user.groups), tuple(name for name in _FLAGS if getattr(user, name)))
        for user in directory.users
    )
    return KeptRules(tuple(files), tuple(sorted(users, key=lambda one: one.identity)), since)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the rules in force were asked of a talk, and when; a restart asks anew of the same talk.

    `rules` is the number of the rules that answered, None where that is not known. `erased`: a person was erased from
    it since.
    """

    talk_id: TalkId
    at: datetime
    talk: TalkFacts
    rules: int | None = None
    erased: bool = False


def facts_to_keep(talk: TalkFacts, rules: RuleSet) -> TalkFacts:
    """What of it these rules could use: their variables, and the flags of the users in the talk."""
    names = rules.variables()
    return replace(
        talk,
        variables={name: value for name, value in talk.variables.items() if plain_variable(name) in names},
        flags={user: flags for user, flags in talk.flags.items() if user in talk.users},
    )


def flags_item(talk: TalkFacts) -> dict[str, list[str]]:
    """Of each user whose flags are known, those that are on."""
    return {user: [name for name in _FLAGS if getattr(flags, name)] for user, flags in talk.flags.items()}


def facts_item(talk: TalkFacts) -> dict[str, Any]:
    """For JSON, without what is empty; `at` (it has a place of its own) is not in it."""
    item: dict[str, Any] = {
        "direction": str(talk.direction),
        "callers": sorted(talk.callers),
        "callees": sorted(talk.callees),
        "number": talk.number,
        "dialed": talk.dialed,
        "queue": talk.queue,
        "context": talk.context,
        "variables": dict(talk.variables),
        "channels": list(talk.channels),
        "call_id": talk.call_id,
        "flags": flags_item(talk),
    }
    return {name: value for name, value in item.items() if value}


def facts_of(item: Mapping[str, Any], at: datetime) -> TalkFacts:
    """From `facts_item`. Raises ValueError, TypeError or LookupError for what is none."""
    return TalkFacts(
        direction=Direction(item["direction"]),
        callers=frozenset(map(Identity, item.get("callers", ()))),
        callees=frozenset(map(Identity, item.get("callees", ()))),
        number=item.get("number", ""),
        dialed=item.get("dialed", ""),
        queue=item.get("queue", ""),
        context=item.get("context", ""),
        at=at,
        variables=dict(item.get("variables", {})),
        channels=tuple(map(ChannelName, item.get("channels", ()))),
        call_id=item.get("call_id", ""),
        flags={Identity(user): UserFlags(**dict.fromkeys(on, True)) for user, on in item.get("flags", {}).items()},
    )


@dataclass(frozen=True, slots=True)
class AskedTalk:
    """A talk, what held in it, and what the rules were asked: nothing, where it was before that was kept."""

    talk: TalkAccount
    spans: tuple[Span, ...]
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class AskedCall:
    """A finished call with its talks, by their beginnings. `number` is the CDR's."""

    number: int
    cdr: Cdr
    talks: tuple[AskedTalk, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """How often a rule had to do with calls: in how many, and the seconds that it was to record in them."""

    calls: int = 0
    recorded_s: float = 0.0


def user_item(user: KeptUser) -> dict[str, Any]:
    """For JSON."""
    return asdict(user)


def user_of(item: Mapping[str, Any]) -> KeptUser:
    """From `user_item`."""
    return KeptUser(Identity(item["identity"]), tuple(item["groups"]), tuple(item["on"]))
