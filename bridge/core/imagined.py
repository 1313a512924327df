"""A talk that somebody describes, so that rules can be asked about it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bridge.core.document import suggest
from bridge.core.ids import ChannelName, Identity
from bridge.core.matching import TalkFacts
from bridge.core.people import Directory
from bridge.core.rules import Direction

_NUMBER = re.compile(r"[+*#0-9][0-9*#\s()/.-]*")


@dataclass(frozen=True, slots=True)
class ImaginedTalk:
    """Who calls whom. Both are a user by identity or extension, else a number outside, else a phone of that name.

    What is None follows from them: `direction` by who is outside, `dialed` is the callee's number.
    """

    caller: str
    callee: str
    at: datetime
    direction: Direction | None = None
    queue: str = ""
    dialed: str | None = None
    context: str = ""
    channels: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class _Party:
    """One side of the call: a user, or a number outside. `note` is what an admin should know of it."""

    identity: Identity | None
    number: str
    note: str | None = None


def _party(who: str, directory: Directory) -> _Party:
    known = directory.by_identity.get(Identity(who)) or next(
        (user for user in directory.users if who in user.extensions), None
    )
    if known is not None:
        return _Party(known.identity, known.extensions[0] if known.extensions else "")
    if _NUMBER.fullmatch(who):
        return _Party(None, who)
    note = None
    if directory.users:
        close = suggest(who, directory.by_identity)
        hint = f" (did you mean {close}?)" if close else ""
        note = f"users.yml does not know `{who}`; taken as a phone of this name{hint}"
    return _Party(Identity(who), "", note)


def imagine(talk: ImaginedTalk, directory: Directory) -> tuple[TalkFacts, list[str]]:
    """What rules are asked of it, and what should be said beside their answers."""
    caller, callee = _party(talk.caller, directory), _party(talk.callee, directory)
    derived = Direction.INTERNAL
    if caller.identity is None:
        derived = Direction.INBOUND
    elif callee.identity is None:
        derived = Direction.OUTBOUND
    facts = TalkFacts(
        direction=talk.direction or derived,
        callers=frozenset({caller.identity} if caller.identity is not None else ()),
        callees=frozenset({callee.identity} if callee.identity is not None else ()),
        number=next((party.number for party in (caller, callee) if party.identity is None), ""),
        dialed=callee.number if talk.dialed is None else talk.dialed,
        queue=talk.queue,
        context=talk.context,
        at=talk.at,
        variables=talk.variables,
        channels=tuple(map(ChannelName, talk.channels)),
        call_id=talk.call_id,
    )
    return facts, [party.note for party in (caller, callee) if party.note is not None]
