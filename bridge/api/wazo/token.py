"""wazo-auth's tokens: with a token of ours, as a password or a refresh token, one that soon ends is made.

Facts from wazo-auth's tokens plugin and its client. In place of Wazo's accounts there are our tokens: the user name is
a token's identity, the password the token. A new one has the same identity, role and scopes, never outlives it, and is
ended with it.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import uuid5

import structlog
from aiohttp import web

from bridge import tokens
from bridge.api.addresses import client_address
from bridge.api.answers import RequestError, UnauthorizedError, json_response
from bridge.api.auth import AUTHENTICATOR
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.wazo.access import needs_admin
from bridge.api.wazo.acl import acl_of, allows
from bridge.api.wazo.errors import InvalidDataError
from bridge.api.wazo.kinds import STRINGS, TEXT, choice, seconds, string
from bridge.api.wazo.parsing import WazoFields, json_body, parsed
from bridge.api.wazo.people import uuid_text
from bridge.core.access import Role, Token
from bridge.core.people import USERS_NAMESPACE
from bridge.core.views import Json

log = structlog.get_logger()

_LASTS_S: Final = 7200
_LONGEST_S: Final = 315_360_000
_LONGEST_TEXT: Final = 1024
_ID: Final = re.compile(r"(?:rb_)?([0-9a-f]{16})")


class TokenBody(WazoFields):
    """What for the new token is; it lasts `expiration` seconds."""

    backend: Annotated[str, string()] = ""
    client_id: Annotated[str | None, string(least=1, most=_LONGEST_TEXT)] = None
    refresh_token: Annotated[str | None, string()] = None
    access_type: Annotated[str, choice("online", "offline")] = "online"
    expiration: Annotated[int, seconds(most=_LONGEST_S)] = _LASTS_S


class TokenQuery(WazoFields):
    """What the token has to be good for."""

    scope: Annotated[str | None, TEXT] = None
    tenant: Annotated[str | None, TEXT] = None


class ScopesBody(WazoFields):
    """Which accesses are asked about."""

    scopes: Annotated[tuple[str, ...], STRINGS]
    tenant_uuid: Annotated[str | None, string(null=True)] = None


class AuthenticationFailedError(RequestError):
    """No user name and password, or wrong ones."""

    status = 401
    code = "authentication-failed"

    def __init__(self) -> None:
        super().__init__(
            "Authentication Failed",
            headers={"WWW-Authenticate": 'Basic realm="recbridge"'},
            reason="the user name is a token's identity, the password (or `refresh_token`) that token",
        )


class NoSuchTokenError(RequestError):
    """It is not known, or has expired."""

    status = 404
    code = "no-such-token"

    def __init__(self) -> None:
        super().__init__("No such token")


class MissingScopeError(RequestError):
    """The token is good, but not for that."""

    status = 403
    code = "missing-access"


async def new_token(request: web.Request) -> web.StreamResponse:
    """`POST /0.1/token`: `{"data": {token, …}}`.

    By basic authentication, or with `refresh_token` and `client_id` in the body; `expiration` is in seconds (2 hours
    without it, at most 10 years). With `access_type` `offline` the `refresh_token` to come back with is the token that
    was given. Errors: 400 `invalid-data`, 401 for a wrong token or one of somebody else's, 429 for too many of them.
    """
    deps = dependencies(request)
    body = _checked(await json_body(request))
    given, plain_given = await _given(request, body.refresh_token or "")
    token, plain = tokens.derived(given, deps.clock(), timedelta(seconds=body.expiration))
    await deps.store.add_token(token)
    if await deps.store.token(given.id) is None:  # ended meanwhile: then this one is, too
        await deps.store.end_token(token.id)
        raise AuthenticationFailedError
    log.info("token-made", id=token.id, by=given.id, expires_at=_utc(token.expires_at))
    data = _data(deps, token, plain)
    data["user_agent"] = request.headers.get("User-Agent", "")
    data["remote_addr"] = client_address(request, deps.trusted_proxies)
    if body.access_type == "offline":
        data["refresh_token"] = plain_given
    return json_response({"data": data})


async def token(request: web.Request) -> web.StreamResponse:
    """`GET /0.1/token/{token}`: `{"data": {token, …}}`, whoever asks; `scope` is an access, `tenant` a tenant to check.

    Errors: 404 for a token that is not known or over, 403 where it has not the access or tenant, 429.
    """
    deps = dependencies(request)
    found, plain = await _looked_up(request)
    data = _data(deps, found, plain)
    asked = parsed(TokenQuery, request.query)
    if asked.scope and not allows(data["acl"], asked.scope, data["auth_id"]):
        raise MissingScopeError(f"Unauthorized for {asked.scope}", scope=asked.scope)
    _check_tenant(deps, asked.tenant)
    return json_response({"data": data})


async def check_token(request: web.Request) -> web.StreamResponse:
    """`HEAD /0.1/token/{token}`: 204, and else as GET."""
    await token(request)
    return web.Response(status=204)


async def check_scopes(request: web.Request) -> web.StreamResponse:
    """`POST /0.1/token/{token}/scopes/check`: `{"scopes": {access: whether it has it}}`."""
    deps = dependencies(request)
    found, plain = await _looked_up(request)
    wanted = parsed(ScopesBody, await json_body(request))
    _check_tenant(deps, wanted.tenant_uuid)
    data = _data(deps, found, plain)
    return json_response({"scopes": {one: allows(data["acl"], one, data["auth_id"]) for one in wanted.scopes}})


async def revoke_token(request: web.Request) -> web.StreamResponse:
    """`DELETE /0.1/token/{token}`: it opens nothing any more; 200, also where there is no such token.

    Whoever has a token may end it. An admin may end any: with a token of its own, and the other one's id in the path.
    """
    deps, authenticator = dependencies(request), request.app[AUTHENTICATOR]
    plain = request.match_info["token"]
    parts = tokens.parse(plain)
    by_id = _ID.fullmatch(plain)
    if by_id is not None:
        access = await authenticator.access(request)
        needs_admin(access, "auth.token.delete")
        await _end(deps, by_id[1], access.token.id)
    elif parts is not None:
        authenticator.too_many(request, parts[0])
        found = await deps.store.token(parts[0])
        if found is not None and tokens.matches(found, parts[1]):
            await _end(deps, found.id, found.id)
        else:
            authenticator.failure(request, "this token is not known")
    return json_response({"data": {"message": "success"}})


async def _end(deps: Dependencies, token_id: str, by: str) -> None:
    if await deps.store.end_token(token_id):
        log.info("token-revoked", id=token_id, by=by)


async def _given(request: web.Request, refresh_token: str) -> tuple[Token, str]:
    """The token that a new one is made with. Raises AuthenticationFailedError, TooManyRequestsError, StoreError."""
    authenticator = request.app[AUTHENTICATOR]
    identity: str | None = None
    plain: str | None = refresh_token
    if not plain:
        identity, plain = _basic(request.headers.get("Authorization", ""))
    if not plain:
        raise AuthenticationFailedError
    try:
        found = await authenticator.known(request, plain)
    except UnauthorizedError as error:
        raise AuthenticationFailedError from error
    if identity is not None and identity != found.identity:
        authenticator.failure(request, "this token is somebody else's")
        raise AuthenticationFailedError
    return found, plain


async def _looked_up(request: web.Request) -> tuple[Token, str]:
    plain = request.match_info["token"]
    try:
        return await request.app[AUTHENTICATOR].known(request, plain), plain
    except UnauthorizedError as error:
        raise NoSuchTokenError from error


def _basic(authorization: str) -> tuple[str | None, str | None]:
    """User name and password, in UTF-8 or Latin-1."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (ValueError, binascii.Error):
        return None, None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    name, colon, password = text.partition(":")
    return (name, password) if colon else (None, None)


def _checked(body: Mapping[str, Any]) -> TokenBody:
    """Raises InvalidDataError."""
    wanted = parsed(TokenBody, body)
    wrong = ""
    if wanted.access_type == "offline" and wanted.refresh_token:
        wrong = 'cannot use the "access_type" "offline" with a refresh token'
    elif wanted.access_type == "offline" and not wanted.client_id:
        wrong = '"client_id" must be specified when using "access_type" is "offline"'
    elif wanted.refresh_token and not wanted.client_id:
        wrong = '"client_id" must be specified when using a "refresh_token"'
    if wrong:
        raise InvalidDataError({"_schema": [wrong]})
    return wanted


def _check_tenant(deps: Dependencies, tenant: str | None) -> None:
    if tenant and tenant.lower() != str(deps.tenant_uuid):
        raise MissingScopeError(f"Unauthorized for tenant {tenant}", tenant_uuid=tenant)


def _data(deps: Dependencies, one: Token, plain: str) -> Json:
    """wazo-auth's token. Where a token that is looked up was made, and by what program, is not kept."""
    uuid, tenant = uuid_text(deps, one.identity), str(deps.tenant_uuid)
    return {
        "token": plain,
        "auth_id": uuid,
        "xivo_user_uuid": uuid,
        "xivo_uuid": tenant,
        "issued_at": _local(one.created_at),
        "expires_at": _local(one.expires_at),
        "utc_issued_at": _utc(one.created_at),
        "utc_expires_at": _utc(one.expires_at),
        "acl": acl_of(one, uuid),
        "metadata": {
            "uuid": uuid,
            "tenant_uuid": tenant,
            "auth_id": uuid,
            "pbx_user_uuid": uuid,
            "xivo_uuid": tenant,
            "username": one.identity,
            "purpose": "user",
            "admin": one.role is Role.ADMIN,
        },
        "session_uuid": str(uuid5(USERS_NAMESPACE, f"session:{one.id}")),
        "user_agent": "",
        "remote_addr": "",
    }


def _utc(at: datetime | None) -> str | None:
    """Without an offset, as wazo-auth writes it."""
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None).isoformat()


def _local(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone().replace(tzinfo=None).isoformat()
