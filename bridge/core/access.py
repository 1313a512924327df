"""Who may see and do what. Pure: a token's rights in, yes or no out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.core.ids import Identity


class Role(StrEnum):
    """A *user* sees its own, a *supervisor* its groups', an *admin* everything."""

    USER = "user"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a token is good for beside looking."""

    PLAY = "play"
    DOWNLOAD = "download"
    CONTROL = "control"
    EXPORT = "export"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as it is kept: its secret only as a SHA-256 of it.

    `id` is the public part, by which it is found; `expires_at` None means that it does not. `made_with` is the id
    of the token that it was made with over HTTP: where that one is ended, so is this one.
    """

    id: str
    secret_sha256: str
    identity: Identity
    role: Role
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    made_with: str | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """The one who asks: a token's identity, role and scopes, and whom it may see besides itself."""

    identity: Identity
    role: Role
    scopes: frozenset[Scope]
    supervised: frozenset[Identity] = frozenset()

    def sees(self, audience: Collection[Identity]) -> bool:
        """Whether something that concerns `audience` is this reader's to see."""
        if self.role is Role.ADMIN:
            return True
        if self.identity in audience:
            return True
        return self.role is Role.SUPERVISOR and not self.supervised.isdisjoint(audience)


def visible_to(reader: Reader) -> Sequence[Identity] | None:
    """Whose calls this reader may see; None is everybody's."""
    if reader.role is Role.ADMIN:
        return None
    supervised = reader.supervised if reader.role is Role.SUPERVISOR else frozenset()
    return sorted(supervised | {reader.identity})
