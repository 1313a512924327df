"""API tokens: `rb_<id>_<secret>`. The id finds the token, of the secret only a SHA-256 is kept."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.core.access import Role, Scope, Token
from bridge.core.ids import Identity

_SHAPE = re.compile(r"rb_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_PLAIN = frozenset({Scope.PLAY, Scope.DOWNLOAD, Scope.CONTROL})


def default_scopes(role: Role) -> frozenset[Scope]:
    """What a new token is good for where nobody says: all for an admin, else play, download and control."""
    return frozenset(Scope) if role is Role.ADMIN else _PLAIN


def new_token(
    identity: Identity,
    role: Role,
    scopes: Collection[Scope] | None,
    now: datetime,
    expires_at: datetime | None,
) -> tuple[Token, str]:
    """A fresh token, as it is kept and as its owner gets it. `scopes` None means the role's own."""
    token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = Token(
        id=token_id,
        secret_sha256=_digest(secret),
        identity=identity,
        role=role,
        scopes=default_scopes(role) if scopes is None else frozenset(scopes),
        created_at=now,
        expires_at=expires_at,
    )
    return token, f"rb_{token_id}_{secret}"


def derived(given: Token, now: datetime, lasts: timedelta) -> tuple[Token, str]:
    """A fresh token that may what the given one may, ends with it at the latest, and is ended with it."""
    ends = now + lasts if given.expires_at is None else min(now + lasts, given.expires_at)
    token, plain = new_token(given.identity, given.role, given.scopes, now, ends)
    return replace(token, made_with=given.id), plain


def parse(plain: str) -> tuple[str, str] | None:
    """A token's id and secret; None for what cannot be one."""
    found = _SHAPE.fullmatch(plain)
    return (found[1], found[2]) if found else None


def matches(token: Token, secret: str) -> bool:
    """Whether this is the token's secret; takes as long for a wrong one."""
    return hmac.compare_digest(_digest(secret), token.secret_sha256)


def expired(token: Token, now: datetime) -> bool:
    """Whether its time is over."""
    return token.expires_at is not None and token.expires_at <= now


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
