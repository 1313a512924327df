"""Which finished calls are asked for: Wazo's query parameters as a filter. Unknown ones are ignored, as Wazo does."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field

from bridge.api.wazo.errors import InvalidDataError
from bridge.api.wazo.kinds import BOOLEAN, EMAIL_ADDRESS, TEXT, TEXTS, TIME, choice, integer, integers, matching
from bridge.api.wazo.parsing import FieldsT, WazoFields, parsed
from bridge.api.wazo.user_ids import Users
from bridge.core.access import Reader, visible_to
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


class FilterQuery(WazoFields):
    """Which finished calls; `until` is what older clients call `to`."""

    since: Annotated[datetime | None, TIME, Field(alias="from")] = None
    until: Annotated[datetime | None, TIME] = None
    to: Annotated[datetime | None, TIME] = None
    call_direction: Annotated[str | None, choice(*_DIRECTIONS)] = None
    number: Annotated[str | None, matching(_NUMBER, "String does not match expected pattern.")] = None
    from_id: Annotated[int | None, integer()] = None
    search: Annotated[str | None, TEXT] = None
    tags: Annotated[tuple[str, ...], TEXTS] = ()
    user_uuid: Annotated[tuple[str, ...], TEXTS] = ()
    recurse: Annotated[bool | None, BOOLEAN] = None  # there are no tenants below ours


class ListQuery(FilterQuery):
    """A list of them: its order, and which part of it."""

    direction: Annotated[str | None, choice("asc", "desc")] = None
    order: Annotated[str | None, choice(*_ORDERS)] = None
    limit: Annotated[int | None, integer()] = None
    offset: Annotated[int | None, integer()] = None
    distinct: Annotated[str | None, choice("peer_exten")] = None
    recorded: Annotated[bool | None, BOOLEAN] = None
    format: Annotated[str | None, choice("csv", "json")] = None
    conversation_id: Annotated[str | None, matching(_CONVERSATION, "not a valid conversation identifier")] = None
    call_status: Annotated[str | None, choice(*map(str, CallStatus))] = None
    requested_internal_extension: Annotated[str | None, TEXT] = None
    requested_internal_context: Annotated[str | None, TEXT] = None


class ExportQuery(FilterQuery):
    """Whose recordings are exported, and whom to mail."""

    email: Annotated[str | None, EMAIL_ADDRESS] = None


class ExportBody(WazoFields):
    """Which calls' recordings, and whom to mail."""

    cdr_ids: Annotated[tuple[int, ...] | None, integers(required=False)] = None
    email: Annotated[str | None, EMAIL_ADDRESS] = None


async def listed(query: Mapping[str, str], reader: Reader, users: Users) -> CdrQuery:
    """The query of a list. Raises InvalidDataError, StoreError."""
    asked = parsed(ListQuery, query)
    dialed = asked.requested_internal_extension or None
    context = asked.requested_internal_context or None
    found = replace(
        _filter(asked, reader),
        identities=await _identities(asked, users),
        recorded=asked.recorded,
        call_id=None if asked.conversation_id is None else CallId(asked.conversation_id),
        status=None if asked.call_status is None else CallStatus(asked.call_status),
        dialed=dialed,
        context=context,
        inside=None if dialed is context is None else users.extensions(),
        distinct_peer=asked.distinct is not None,
    )
    return CdrQuery(
        found,
        visible_to(reader),
        _ORDERS[asked.order or "start"],
        asked.direction != "asc",
        _DEFAULT_LIMIT if asked.limit is None else asked.limit or None,  # to Wazo's database 0 is no limit
        asked.offset or 0,
    )


async def exported(
    query: Mapping[str, str], body: Mapping[str, object], reader: Reader, users: Users
) -> tuple[CdrQuery, str]:
    """What an export is wanted of, and whom to mail ('' for nobody). Raises InvalidDataError, StoreError.

    Filters in the query and `cdr_ids` in the body hold both, as they do for Wazo. There is no limit.
    """
    problems: dict[str, object] = {}
    asked = _or_problems(ExportQuery, query, problems)
    inside = _or_problems(ExportBody, body, problems)
    if asked is None or inside is None:
        raise InvalidDataError(problems)
    email = asked.email or inside.email or ""
    numbers = tuple(CdrNumber(one) for one in inside.cdr_ids) if inside.cdr_ids else None
    found = replace(_filter(asked, reader), identities=await _identities(asked, users), numbers=numbers, recorded=True)
    return CdrQuery(found, visible_to(reader)), email


def _or_problems(model: type[FieldsT], given: Mapping[str, Any], problems: dict[str, object]) -> FieldsT | None:
    try:
        return parsed(model, given)
    except InvalidDataError as error:
        problems |= error.details
        return None


def _filter(asked: FilterQuery, reader: Reader) -> CdrFilter:
    heard_by = visible_to(reader)
    return CdrFilter(
        since=asked.since,
        until=asked.until if asked.until is not None else asked.to,
        search=asked.search or "",
        direction=asked.call_direction,
        number=asked.number,
        tags=asked.tags,
        after=None if asked.from_id is None else CdrNumber(asked.from_id),
        heard_by=None if heard_by is None else tuple(heard_by),
    )


async def _identities(asked: FilterQuery, users: Users) -> tuple[Identity, ...] | None:
    return await users.identities(asked.user_uuid) if asked.user_uuid else None
