"""Event filters at Asterisk: only what is used crosses the wire."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

import structlog

from bridge.asterisk.manager import Response
from bridge.asterisk.wire import Fields

log = structlog.get_logger()


class _Acts(Protocol):
    async def action(self, name: str, fields: Fields, deadline_s: float, *, must_succeed: bool = True) -> Response: ...


_REGEX_BYTES = 800
"""Of one filter's names of variables; a line of AMI has 1,022."""


def criteria(names: Collection[str], variables: Collection[str]) -> Iterator[Mapping[str, str]]:
    """The filters: events by name, and of VarSet those of the wanted variables (with `_` or `__` before them too)."""
    for name in names:
        if name != "VarSet":
            yield {"MatchCriteria": f"name({name})"}
    wanted = sorted(variables)
    while wanted:
        some: list[str] = []
        while wanted and sum(map(len, some)) + len(some) + len(wanted[0]) <= _REGEX_BYTES:
            some.append(wanted.pop(0))
        regex = f"^_?_?({'|'.join(map(re.escape, some))})$"
        yield {"MatchCriteria": "name(VarSet),header(Variable),method(regex)", "Filter": regex}


async def ask_for(asterisk: _Acts, names: Collection[str], variables: Collection[str], deadline_s: float) -> bool:
    """Have only these events sent; list replies are not touched. Raises AsteriskError.

    False where Asterisk has no filters by name (before 18.26, 20.11, 21.6, 22.1), or the user no right to them: all
    events come then. Once the first is in force, a later one that is refused would hide its events, so that raises.
    """
    for number, one in enumerate(criteria(names, variables)):
        answer = await asterisk.action("Filter", {"Operation": "Add", **one}, deadline_s, must_succeed=number > 0)
        if not answer.success:
            log.info("asterisk-sends-all-events", why=answer.message)
            return False
    return True
