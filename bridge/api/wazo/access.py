"""Who asks Wazo's interfaces, and for which tenant."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.api import requests
from bridge.api.auth import AUTHENTICATOR, Access
from bridge.api.dependencies import dependencies
from bridge.api.wazo.errors import MissingAccessError, UnauthorizedTenantError
from bridge.core.access import Role, Scope

Handler = Callable[[web.Request, Access], Awaitable[web.StreamResponse]]


def with_access(handler: Handler, *, token_in_query: bool = False) -> requests.Handler:
    """A handler that is given who asks. `token_in_query`: `?token=` and `?tenant=` stand over the headers."""

    async def asked(request: web.Request) -> web.StreamResponse:
        access = await request.app[AUTHENTICATOR].access(request, in_query=token_in_query)
        _check_tenant(request, in_query=token_in_query)
        return await handler(request, access)

    return asked


def needs_admin(access: Access, wazo_access: str) -> None:
    """Raises MissingAccessError for everybody else."""
    if access.reader.role is not Role.ADMIN:
        raise MissingAccessError(wazo_access, "this is for admins")


def needs_scope(access: Access, wazo_access: str, *any_of: Scope) -> None:
    """Raises MissingAccessError where the token has none of these."""
    if access.reader.scopes.isdisjoint(any_of):
        raise MissingAccessError(wazo_access, f"this token lacks the scope {' or '.join(any_of)}")


def _check_tenant(request: web.Request, *, in_query: bool) -> None:
    wanted = request.query.get("tenant") if in_query else None
    wanted = wanted or request.headers.get("Wazo-Tenant")
    if wanted and wanted.strip().lower() != str(dependencies(request).tenant_uuid):
        raise UnauthorizedTenantError(wanted)
