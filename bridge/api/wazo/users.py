"""wazo-confd's users, as far as recording goes: who there is, and the flags that say which of their calls are recorded.

Facts from wazo-confd's user schema: flags have to be true or false; `call_record_enabled` is deprecated, says whether
all four are on, sets all four, and may not stand beside one of them.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any, Final
from uuid import UUID

from aiohttp import web

from bridge.api.answers import RequestError, json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.wazo.access import needs_admin, needs_scope
from bridge.api.wazo.errors import MissingAccessError
from bridge.api.wazo.kinds import ANY_OF, FLAG
from bridge.api.wazo.listing import PageQuery, page
from bridge.api.wazo.parsing import WazoFields, json_body, parsed, problem
from bridge.api.wazo.people import everybody, uuid_text
from bridge.api.wazo.user_ids import Users
from bridge.core.access import Role, Scope
from bridge.core.commands import Refused
from bridge.core.ids import Identity
from bridge.core.people import User, UserFlags
from bridge.core.views import Json

_FLAGS: Final = tuple(one.name for one in fields(UserFlags))
_ALL_FOUR: Final = tuple(name for name in _FLAGS if name.startswith("call_record_"))
_DEPRECATED: Final = "call_record_enabled"
_SEARCHED: Final = ("firstname", "lastname", "username", "extension")
_EXACT: Final = ("uuid", "id", "firstname", "lastname", "username")
_INCOMPATIBLE: Final = problem(
    "'call_record_enabled' is deprecated and incompatible with 'call_record_*_enabled' options",
    "incompatible",
    list(_ALL_FOUR),
)
_DIGITS: Final = 10


class UsersQuery(PageQuery):
    """Which users: each of these is one of several by commas."""

    uuid: Annotated[tuple[str, ...], ANY_OF] = ()
    id: Annotated[tuple[str, ...], ANY_OF] = ()
    firstname: Annotated[tuple[str, ...], ANY_OF] = ()
    lastname: Annotated[tuple[str, ...], ANY_OF] = ()
    username: Annotated[tuple[str, ...], ANY_OF] = ()


class UserBody(WazoFields):
    """Some of the flags."""

    call_record_incoming_internal_enabled: Annotated[bool | None, FLAG] = None
    call_record_incoming_external_enabled: Annotated[bool | None, FLAG] = None
    call_record_outgoing_internal_enabled: Annotated[bool | None, FLAG] = None
    call_record_outgoing_external_enabled: Annotated[bool | None, FLAG] = None
    online_call_record_enabled: Annotated[bool | None, FLAG] = None
    call_record_enabled: Annotated[bool | None, FLAG] = None


class ResourceNotFoundError(RequestError):
    """There is no such user, or feature."""

    status = 404
    code = "resource-not-found"

    def __init__(self, resource: str, uuid: str) -> None:
        super().__init__(f"Resource Not Found - {resource} was not found ('uuid': '{uuid}')", uuid=uuid)


async def users(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.1/users`, admins alone: `{"total", "items"}`.

    `search` looks in names, the identity (`username`) and the first extension; `uuid` (several by commas), `id`,
    `firstname`, `lastname`, `username` are exact; `limit`, `offset`, `order`, `direction`.
    """
    needs_admin(access, "confd.users.read")
    deps = dependencies(request)
    items = [_item(deps, user) for user in await everybody(deps)]
    wanted = parsed(UsersQuery, request.query)
    return json_response(page(wanted, items, searched=_SEARCHED, exact=_EXACT, order="firstname"))


async def user(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.1/users/{uuid}` (or the list's `id`), for admins and for oneself."""
    deps, user_id = dependencies(request), request.match_info["user_id"]
    identity = access.token.identity
    if access.reader.role is Role.ADMIN:
        found = await _found(deps, user_id)
    elif _is_called(deps, identity, user_id):
        found = Users(deps.directory(), deps.store).known(identity)
    else:
        raise MissingAccessError(f"confd.users.{user_id}.read", "another user is for admins")
    return json_response(_item(deps, found))


async def change_user(request: web.Request, access: Access) -> web.StreamResponse:
    """`PUT /1.1/users/{uuid}`, admins alone: some of the flags, from the next talk on; 204.

    All other fields are ignored: names and numbers stand in users.yml.
    """
    user_id = request.match_info["user_id"]
    needs_admin(access, f"confd.users.{user_id}.update")
    needs_scope(access, f"confd.users.{user_id}.update", Scope.CONTROL)
    deps = dependencies(request)
    found = await _found(deps, user_id)
    changes = _changes(await json_body(request))
    async with deps.control.set_flags(found.identity, changes, access.reader) as answer:
        if isinstance(answer, Refused):
            raise answer.error
        response = web.Response(status=204)
        # Written here, since the events go to the streams when the context is left.
        await response.prepare(request)
        await response.write_eof()
    return response


def _changes(body: Mapping[str, Any]) -> Mapping[str, bool]:
    """Raises InvalidDataError."""
    named = parsed(UserBody, body, _incompatible).model_dump(exclude_unset=True)
    all_four = named.pop(_DEPRECATED, None)
    return named if all_four is None else {**dict.fromkeys(_ALL_FOUR, all_four), **named}


def _incompatible(body: Mapping[str, Any]) -> Mapping[str, object]:
    both = _DEPRECATED in body and any(name in body for name in _ALL_FOUR)
    return {_DEPRECATED: _INCOMPATIBLE} if both else {}


async def _found(deps: Dependencies, user_id: str) -> User:
    """Raises ResourceNotFoundError, StoreError."""
    found = next((one for one in await everybody(deps) if _is_called(deps, one.identity, user_id)), None)
    if found is None:
        raise ResourceNotFoundError("User", user_id)
    return found


def _is_called(deps: Dependencies, identity: Identity, user_id: str) -> bool:
    uuid = UUID(uuid_text(deps, identity))
    if user_id.isdecimal() and user_id.isascii() and len(user_id) <= _DIGITS:
        return _number(uuid) == int(user_id)
    try:
        return uuid == UUID(user_id)
    except ValueError:
        return False


def _number(uuid: UUID) -> int:
    """Wazo's users have numbers, too: 31 bits of the UUID, the same ones each time."""
    return uuid.int >> 97


def _item(deps: Dependencies, user: User) -> Json:
    """Of confd's user what we know: `username` is the identity, a name's first word the first name."""
    first, _, last = user.name.partition(" ")
    flags = asdict(deps.control.flags_of(user.identity))
    uuid = uuid_text(deps, user.identity)
    return {
        "id": _number(UUID(uuid)),
        "uuid": uuid,
        "firstname": first or user.identity,
        "lastname": last or None,
        "username": user.identity,
        "extension": next(iter(user.extensions), None),
        "tenant_uuid": str(deps.tenant_uuid),
        "enabled": True,
        **flags,
        _DEPRECATED: all(flags[name] for name in _ALL_FOUR),
        "links": [],
    }
