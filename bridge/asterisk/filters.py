"""Event filters at Asterisk: only what is used crosses the wire."""

from collections.abc import Collection
from typing import Protocol

import structlog

from bridge.asterisk.manager import Response
from bridge.asterisk.wire import Fields

log = structlog.get_logger()


class _Acts(Protocol):
    async def action(self, name: str, fields: Fields, deadline_s: float, *, must_succeed: bool = True) -> Response: ...


async def ask_for(asterisk: _Acts, names: Collection[str], deadline_s: float) -> bool:
    """Have only the events of these names sent; list replies are not touched. Raises AsteriskError.

    False where Asterisk has no filters by name (before 18.26, 20.11, 21.6, 22.1), or the user no right to them: all
    events come then. Once the first is in force, a later one that is refused would hide its events, so that raises.
    """
    for number, name in enumerate(names):
        fields = {"Operation": "Add", "MatchCriteria": f"name({name})"}
        answer = await asterisk.action("Filter", fields, deadline_s, must_succeed=number > 0)
        if not answer.success:
            log.info("asterisk-sends-all-events", why=answer.message)
            return False
    return True
