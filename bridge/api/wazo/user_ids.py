"""Users by their uuids and extensions: those of users.yml, and endpoints that stand in for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from bridge.core.ids import Identity
from bridge.core.people import Directory, User
from bridge.core.store import Store


@dataclass(frozen=True, slots=True)
class Users:
    """What is known of users now."""

    directory: Directory
    store: Store

    def known(self, identity: Identity) -> User:
        """As users.yml has it, else with nothing but the identity."""
        return self.directory.by_identity.get(identity) or User.model_construct(identity=identity)

    def uuid(self, identity: Identity) -> str:
        """As given in users.yml, else derived."""
        # An endpoint's name may hold what is no UTF-8.
        return str(self.known(Identity(identity.encode("utf-8", "replace").decode())).uuid)

    def with_extension(self, extension: str) -> User | None:
        """Whose extension this is."""
        return next((user for user in self.directory.users if extension in user.extensions), None)

    def extensions(self) -> tuple[str, ...]:
        """Of all users."""
        return tuple(extension for user in self.directory.users for extension in user.extensions)

    async def identity(self, uuid: str) -> Identity | None:
        """Who has this uuid: somebody in users.yml, or who took part in a finished call. Raises StoreError."""
        return next(iter(await self.identities([uuid])), None)

    async def identities(self, uuids: Sequence[str]) -> tuple[Identity, ...]:
        """Those who have one of these. Raises StoreError."""
        wanted = {_plain(uuid) for uuid in uuids}
        found = {str(user.uuid): user.identity for user in self.directory.users if str(user.uuid) in wanted}
        if wanted - found.keys():
            for identity in await self.store.identities():
                uuid = self.uuid(identity)
                if uuid in wanted:
                    found.setdefault(uuid, identity)
        return tuple(found.values())


def _plain(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return text
