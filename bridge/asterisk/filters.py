"""Event filters at Asterisk: only what is used crosses the wire."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

import structlog

from bridge.asterisk.manager import Response
from bridge.asterisk.wire import Fields
from bridge.core.messages import CALL_RECORD_EXTENSION, CHANNEL_EVENTS, DTMF, PARSERS

log = structlog.get_logger()


class _Acts(Protocol):
    async def action(self, name: str, fields: Fields, deadline_s: float, *, must_succeed: bool = True) -> Response: ...


_REGEX_BYTES = 800
"""Of one filter's names of variables; a line of AMI has 1,022."""

EVENTS = tuple(name for name in PARSERS if name not in (DTMF, *CHANNEL_EVENTS))
"""What is always used; DTMF only where the configuration says so, CHANNEL_EVENTS while somebody asks for them."""
USER_EVENTS = ("RecordToggle", "CallRecordToggle")


def criteria(names: Collection[str], variables: Collection[str]) -> Iterator[Mapping[str, str]]:
    """The filters: events by name, and of some names only a part.

    Of VarSet the wanted variables (with `_` or `__` before them too), of Newexten the extension that toggles, of
    UserEvent the toggles in any case (Asterisk's regular expressions tell cases apart), of keys those that a phone
    pressed and not those that it is sent. Filters by name alone come first: see `ask_for`.
    """
    yield from ({"MatchCriteria": f"name({name})"} for name in names if name not in _PARTS and name != "VarSet")
    yield from (_PARTS[name] for name in names if name in _PARTS)
    wanted = sorted(variables)
    while wanted:
        some: list[str] = []
        while wanted and sum(map(len, some)) + len(some) + len(wanted[0]) <= _REGEX_BYTES:
            some.append(wanted.pop(0))
        regex = f"^_?_?({'|'.join(map(re.escape, some))})$"
        yield {"MatchCriteria": "name(VarSet),header(Variable),method(regex)", "Filter": regex}


def _in_any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter.lower()}]" for letter in word)


_PARTS: Mapping[str, Mapping[str, str]] = {
    "Newexten": {
        # Not `exact`: an older Asterisk would not compile it.
        "MatchCriteria": "name(Newexten),header(Extension),method(regex)",
        "Filter": f"^{re.escape(CALL_RECORD_EXTENSION)}$",
    },
    "UserEvent": {
        "MatchCriteria": "name(UserEvent),header(UserEvent),method(regex)",
        "Filter": f"^({'|'.join(map(_in_any_case, USER_EVENTS))})$",
    },
    DTMF: {"MatchCriteria": f"name({DTMF}),header(Direction),method(exact)", "Filter": "Received"},
}


async def ask_for(asterisk: _Acts, names: Collection[str], variables: Collection[str], deadline_s: float) -> bool:
    """Have only these events sent; list replies are not touched. Raises AsteriskError.

    False where the user has no right to filters: all events come then. Once the first is in force, a later one that is
    refused would hide its events, so that raises.

    An Asterisk without filters by name (before 18.26, 20.11, 21.6, 22.1) overlooks MatchCriteria: one by name alone is
    an empty expression to it, which lets all events pass (measured on 16.28), and any that lets an event pass is
    enough. So there all events come as well; those with a `Filter` just have to compile.
    """
    for number, one in enumerate(criteria(names, variables)):
        answer = await asterisk.action("Filter", {"Operation": "Add", **one}, deadline_s, must_succeed=number > 0)
        if not answer.success:
            log.info("asterisk-sends-all-events", why=answer.message)
            return False
    return True
