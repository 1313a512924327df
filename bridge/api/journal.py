"""The journal: finished calls, as each user saw them."""

from typing import Annotated

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from bridge.api.answers import ForbiddenError, json_response
from bridge.api.auth import Access
from bridge.api.dependencies import dependencies
from bridge.api.operations import Operation
from bridge.api.validation import Fields, query_of
from bridge.core.access import Role
from bridge.core.ids import Identity
from bridge.core.views import JournalItem, journal_item

_ALL = "*"


class JournalQuery(Fields):
    """Whose journal, and how much of it. Without `identity` the reader's own; `*` is everybody's, for an admin."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    identity: Annotated[str, Field(max_length=200)] = ""


class JournalList(TypedDict):
    """Newest first."""

    items: list[JournalItem]


async def journal(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /api/v1/journal`: JournalList, `{"items": [JournalEntry, …]}`, newest first."""
    query = query_of(request, JournalQuery)
    reader = access.reader
    identity: Identity | None = Identity(query.identity) if query.identity else reader.identity
    if identity == _ALL:
        if reader.role is not Role.ADMIN:
            raise ForbiddenError("everybody's journal is for admins")
        identity = None
    elif identity is not None and not reader.sees((identity,)):
        raise ForbiddenError("another's journal needs a supervisor of theirs, or an admin")
    return json_response({"items": await entries_of(request, identity, query.limit)})


async def entries_of(request: web.Request, identity: Identity | None, limit: int) -> list[JournalItem]:
    """The newest JournalEntries of one, or of everybody. Raises StoreError."""
    return [journal_item(entry) for entry in await dependencies(request).store.journal(identity, limit)]


OPERATIONS = (
    Operation(
        "GET", "/api/v1/journal", journal, "Finished calls of a user", {200: JournalList}, JournalQuery, errors=(403,)
    ),
)
