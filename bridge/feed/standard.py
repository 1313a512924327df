"""Callbacks as Standard Webhooks advises: `{"type", "timestamp", "data"}`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, "Payload structure".
"""

from collections.abc import Sequence

from bridge.core.access import Reader, Role
from bridge.core.ids import Identity
from bridge.core.records import FactKind, NumberedFact
from bridge.core.views import fact_item, stream_item
from bridge.core.webhooks import Callback

NAMES: Sequence[str] = tuple(map(str, FactKind))
"""The kinds of facts."""

_READER = Reader(Identity(""), Role.ADMIN, frozenset(), frozenset())
"""Sees everything, and may control nothing: `permission` in a RecordEvent is `auto` or `deny`."""
_OF_NO_CALL = "pbx"


def bodies(fact: NumberedFact, project_id: str) -> Sequence[Callback]:  # noqa: ARG001  # the PBX is who signs
    """One callback: `type` is the fact's kind, `timestamp` ISO 8601 in UTC, `data` as on the live stream.

    What no live stream has (Asterisk was lost, a section's alarm, …) is as a CallEvent there.
    """
    item = stream_item(fact, _READER)
    data = fact_item(fact.fact) if item is None else item["data"]
    kind = str(fact.fact.kind)
    at = fact.fact.at.isoformat().replace("+00:00", "Z")
    return [Callback(fact.fact.call_id or _OF_NO_CALL, kind, {"type": kind, "timestamp": at, "data": data})]
