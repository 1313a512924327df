"""What a token may do, in the words of Wazo's ACL: `call-logd.cdr.read`, `*` for one word, `#` for any."""

import re
from collections.abc import Iterator, Sequence

from bridge.core.access import Role, Scope, Token


def acl_of(token: Token, uuid: str) -> list[str]:
    """The accesses of a token whose user has this UUID, as far as there is something behind them here."""
    return sorted(_accesses(token, uuid))


def allows(acl: Sequence[str], wanted: str, uuid: str) -> bool:
    """Whether one of them covers what is wanted; `me` is the user itself."""
    words = {wanted, wanted.replace(".me.", f".{uuid}."), wanted.replace(f".{uuid}.", ".me.")}
    return any(re.fullmatch(_pattern(access), one) for access in acl for one in words)


def _pattern(access: str) -> str:
    return re.escape(access).replace(r"\*", r"[^.#]*?").replace(r"\#", r".*?")


def _accesses(token: Token, uuid: str) -> Iterator[str]:
    yield from ("call-logd.users.me.cdr.read", "call-logd.status.read", "calld.users.me.calls.read")
    yield f"confd.users.{uuid}.read"
    hears = {Scope.PLAY, Scope.DOWNLOAD} & token.scopes
    if hears:
        yield "call-logd.users.me.cdr.*.recordings.*.media.read"
    if Scope.DELETE in token.scopes:
        yield "call-logd.users.me.cdr.*.recordings.*.media.delete"
    if Scope.CONTROL in token.scopes:
        yield "calld.users.me.calls.*.record.*.update"
    if token.role is not Role.USER:
        yield from ("call-logd.cdr.read", "call-logd.cdr.*.read", "call-logd.users.*.cdr.read")
        yield from ("calld.calls.read", "calld.calls.*.read")
        if hears:
            yield "call-logd.cdr.*.recordings.*.media.read"
        if Scope.CONTROL in token.scopes:
            yield "calld.calls.*.record.*.update"
        if Scope.DELETE in token.scopes:
            yield from ("call-logd.cdr.*.recordings.*.media.delete", "call-logd.cdr.recordings.media.delete")
        if Scope.EXPORT in token.scopes:
            yield from ("call-logd.cdr.recordings.media.export.create", "call-logd.exports.#", "auth.tenants.read")
    if token.role is Role.ADMIN:
        yield from ("call-logd.config.read", "call-logd.retention.*", "confd.users.read", "confd.users.*.read")
        yield "confd.extensions.features.#"
        if Scope.CONTROL in token.scopes:
            yield "confd.users.*.update"
