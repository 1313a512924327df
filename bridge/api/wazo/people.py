"""Everybody whom Wazo's clients may name."""

from bridge.api.dependencies import Dependencies
from bridge.api.wazo.user_ids import Users
from bridge.core.ids import Identity
from bridge.core.people import User


def uuid_text(deps: Dependencies, identity: Identity) -> str:
    """A user's UUID, given or derived."""
    return Users(deps.directory(), deps.store).uuid(identity)


async def everybody(deps: Dependencies) -> list[User]:
    """The users of users.yml, then everybody whom a finished call or one that goes on knows. Raises StoreError."""
    known = dict(deps.directory().by_identity)
    on_calls = [party.identity for call in deps.live.calls_now() for party in call.parties]
    for identity in (*await deps.store.identities(), *await deps.store.user_flags(), *on_calls):
        if identity is not None:
            known.setdefault(identity, User.model_construct(identity=identity))
    return list(known.values())
