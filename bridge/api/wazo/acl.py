"""What a token may do, in the words of Wazo's ACL: `call-logd.cdr.read`, `*` for one word, `#` for any."""

import re
from collections.abc import Iterator, Sequence

from bridge.core.access import Role, Scope, Token


def acl_of(token: Token, uuid: str) -> list[str]:
    """The accesses of a token whose user has this UUID, as far as there is something behind them here.

    Of what is one's own or one's group's: what is somebody else's is not there for a token that may not see it.
    """
    return sorted({*_of_all(token, uuid), *_of_role(token)})


def allows(acl: Sequence[str], wanted: str, uuid: str) -> bool:
    """Whether one of them covers what is wanted; `me` is the user itself."""
    words = {wanted, wanted.replace(".me.", f".{uuid}."), wanted.replace(f".{uuid}.", ".me.")}
    return any(re.fullmatch(_pattern(access), one) for access in acl for one in words)


def _pattern(access: str) -> str:
    return re.escape(access).replace(r"\*", "[^.#]*").replace(r"\#", ".*")


def _of_all(token: Token, uuid: str) -> Iterator[str]:
    yield from ("call-logd.users.me.cdr.read", "call-logd.cdr.*.read", "call-logd.status.read")
    yield from ("calld.users.me.calls.read", f"confd.users.{uuid}.read")
    if Scope.DOWNLOAD in token.scopes or Scope.PLAY in token.scopes:
        yield from ("call-logd.cdr.*.recordings.*.media.read", "call-logd.users.me.cdr.*.recordings.*.media.read")
    if Scope.DELETE in token.scopes:
        yield from ("call-logd.cdr.*.recordings.*.media.delete", "call-logd.cdr.recordings.media.delete")
    if Scope.EXPORT in token.scopes:
        yield from ("call-logd.cdr.recordings.media.export.create", "call-logd.exports.#")
    if Scope.CONTROL in token.scopes:
        yield "calld.users.me.calls.*.record.*.update"


def _of_role(token: Token) -> Iterator[str]:
    if token.role is Role.USER:
        return
    yield from ("call-logd.cdr.read", "call-logd.users.*.cdr.read", "calld.calls.read", "calld.calls.*.read")
    if Scope.CONTROL in token.scopes:
        yield "calld.calls.*.record.*.update"
    if token.role is not Role.ADMIN:
        return
    yield from ("auth.token.delete", "call-logd.config.read", "call-logd.retention.*", "confd.extensions.features.#")
    yield from ("confd.users.read", "confd.users.*.read")
    if Scope.CONTROL in token.scopes:
        yield "confd.users.*.update"
