"""Which finished calls are asked for: Wazo's query parameters as a filter. Unknown ones are ignored, as Wazo does."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bridge.api.wazo.parsing import Values
from bridge.api.wazo.user_ids import Users
from bridge.core.access import Reader, Role
from bridge.core.cdrs import CdrFilter, CdrNumber, CdrOrder, CdrQuery
from bridge.core.ids import CallId, Identity
from bridge.core.records import CallStatus

_NUMBER = re.compile(r"_?[0-9]+_?", re.ASCII)
_CONVERSATION = re.compile(r"(?:[\w.-]+-)?[0-9]+\.[0-9]+")
_DEFAULT_LIMIT = 1000
_DIRECTIONS = ("internal", "inbound", "outbound")

# Wazo's words; ids are given in the order of the ends, and who was answered is sorted by when.
_ORDERS: Final[Mapping[str, CdrOrder]] = {
    "start": CdrOrder.START,
    "id": CdrOrder.END,
    "answer": CdrOrder.ANSWER,
    "answered": CdrOrder.ANSWER,
    "duration": CdrOrder.DURATION,
    "call_direction": CdrOrder.DIRECTION,
    "source_extension": CdrOrder.SOURCE,
    "source_name": CdrOrder.SOURCE_NAME,
    "destination_name": CdrOrder.DESTINATION_NAME,
    "destination_extension": CdrOrder.DESTINATION,
    "requested_extension": CdrOrder.DIALED,
    "requested_internal_extension": CdrOrder.DIALED,
    "requested_context": CdrOrder.CONTEXT,
    "requested_internal_context": CdrOrder.CONTEXT,
    "conversation_id": CdrOrder.CALL,
}


def visible_to(reader: Reader) -> Sequence[Identity] | None:
    """Whose calls this reader may see; None is everybody's."""
    if reader.role is Role.ADMIN:
        return None
    supervised = reader.supervised if reader.role is Role.SUPERVISOR else frozenset()
    return sorted(supervised | {reader.identity})


async def listed(query: Mapping[str, str], reader: Reader, users: Users) -> CdrQuery:
    """The query of a list. Raises InvalidDataError, StoreError."""
    values = Values(query)
    found = _filter(values, reader)
    way = values.choice("direction", ("asc", "desc"))
    order = values.choice("order", tuple(_ORDERS))
    limit = values.integer("limit")
    offset = values.integer("offset")
    distinct = values.choice("distinct", ("peer_exten",))
    recorded = values.boolean("recorded")
    values.choice("format", ("csv", "json"))
    conversation = values.matching("conversation_id", _CONVERSATION, "not a valid conversation identifier")
    status = values.choice("call_status", tuple(CallStatus))
    values.check()
    dialed = values.text("requested_internal_extension") or None
    context = values.text("requested_internal_context") or None
    found = replace(
        found,
        identities=await _identities(values, users),
        recorded=recorded,
        call_id=None if conversation is None else CallId(conversation),
        status=None if status is None else CallStatus(status),
        dialed=dialed,
        context=context,
        inside=None if dialed is context is None else users.extensions(),
        distinct_peer=distinct is not None,
    )
    return CdrQuery(
        found,
        visible_to(reader),
        _ORDERS[order or "start"],
        way != "asc",
        _DEFAULT_LIMIT if limit is None else limit or None,  # to Wazo's database 0 is no limit
        offset or 0,
    )


async def exported(
    query: Mapping[str, str], body: Mapping[str, object], reader: Reader, users: Users
) -> tuple[CdrQuery, str]:
    """What an export is wanted of, and whom to mail ('' for nobody). Raises InvalidDataError, StoreError.

    Filters in the query and `cdr_ids` in the body hold both, as they do for Wazo. There is no limit.
    """
    values, inside = Values(query), Values(body)
    found = _filter(values, reader)
    email = values.email("email") or inside.email("email") or ""
    ids = inside.integers("cdr_ids", required=False)
    inside.problems |= values.problems
    inside.check()
    numbers = tuple(CdrNumber(one) for one in ids) if ids else None
    found = replace(found, identities=await _identities(values, users), numbers=numbers, recorded=True)
    return CdrQuery(found, visible_to(reader)), email


def _filter(values: Values, reader: Reader) -> CdrFilter:
    heard_by = visible_to(reader)
    since = values.time("from")
    until = values.time("until" if values.text("until") is not None else "to")
    direction = values.choice("call_direction", _DIRECTIONS)
    number = values.matching("number", _NUMBER, "String does not match expected pattern.")
    after = values.integer("from_id")
    values.boolean("recurse")  # there are no tenants below ours
    return CdrFilter(
        since=since,
        until=until,
        search=values.text("search") or "",
        direction=direction,
        number=number,
        tags=values.texts("tags"),
        after=None if after is None else CdrNumber(after),
        heard_by=None if heard_by is None else tuple(heard_by),
    )


async def _identities(values: Values, users: Users) -> tuple[Identity, ...] | None:
    uuids = values.texts("user_uuid")
    return await users.identities(uuids) if uuids else None
