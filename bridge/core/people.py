"""Who is behind a channel, and which channels lead outside."""

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from bridge.core.document import Places, load, nearest
from bridge.core.errors import BadInputError, Problem
from bridge.core.ids import ChannelName, Identity

_NAMESPACE = UUID("8f2c1a5e-6d0b-5c3f-9a47-2b1e7d90c6a4")
"""Users without a uuid of their own get one out of this and their identity: the same on every start."""

OUTSIDE_CONTEXTS = (
    "from-trunk",
    "from-trunk-*",
    "from-pstn",
    "from-pstn-*",
    "from-did-direct*",
    "from-digital",
    "ext-did*",
)
"""Contexts whose channels come from outside even where no trunk is configured: FreePBX's and Debian's usual names."""

_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")


def as_list(value: object) -> object:
    """One value may stand for a list of one."""
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(as_list)]
"""One text or a list of them."""


def _identity(value: str) -> str:
    if _IDENTITY.fullmatch(value) is None:
        raise ValueError(f"{value} is no identity: letters, digits and . _ @ - only")
    return value


IdentityText = Annotated[Identity, AfterValidator(_identity)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Device(_Part):
    """A phone. `channel` is its channels' name up to the dash: `PJSIP/822` for `PJSIP/822-0000001f`."""

    id: str = ""
    name: str = ""
    channel: str = Field(min_length=1, pattern=r"^[A-Za-z0-9]+/.+$")


class Location(_Part):
    """Where a user sits."""

    id: str = ""
    name: str = ""


class User(_Part):
    """Somebody with a phone. The flags are Wazo's, all off unless said otherwise."""

    identity: IdentityText
    id: str = ""
    uuid: UUID = Field(default=UUID(int=0))
    name: str = ""
    extensions: Texts = ()
    devices: tuple[Device, ...] = ()
    location: Location | None = None
    groups: Texts = ()
    supervises: Texts = ()
    call_record_incoming_internal_enabled: bool = False
    call_record_incoming_external_enabled: bool = False
    call_record_outgoing_internal_enabled: bool = False
    call_record_outgoing_external_enabled: bool = False
    online_call_record_enabled: bool = False

    def model_post_init(self, _context: Any) -> None:
        """Fill in what follows from the identity."""
        if "uuid" not in self.model_fields_set:
            object.__setattr__(self, "uuid", uuid5(_NAMESPACE, self.identity))
        if not self.id:
            object.__setattr__(self, "id", self.identity)

    def device_of(self, channel: ChannelName) -> Device | None:
        """The device that a channel belongs to."""
        return next((device for device in self.devices if device.channel == endpoint(channel)), None)


class _UsersFile(_Part):
    users: tuple[User, ...] = ()


def endpoint(channel: ChannelName) -> str:
    """A channel's name without its running number: `PJSIP/822-0000001f` is `PJSIP/822`."""
    return channel.rsplit("-", 1)[0]


class Directory(BaseModel):
    """The users of users.yml. It may be empty: a user is then the endpoint of the channel."""

    model_config = ConfigDict(frozen=True)

    users: tuple[User, ...] = ()
    _by_identity: dict[str, User] = PrivateAttr(default_factory=dict)
    _by_channel: dict[str, User] = PrivateAttr(default_factory=dict)

    def model_post_init(self, _context: Any) -> None:
        """Index the users."""
        self._by_identity.update({user.identity: user for user in self.users})
        self._by_channel.update({device.channel: user for user in self.users for device in user.devices})

    @property
    def groups(self) -> frozenset[str]:
        """Every group that somebody is in."""
        return frozenset(group for user in self.users for group in user.groups)

    def by_identity(self, identity: Identity) -> User | None:
        """A user, if users.yml names it."""
        return self._by_identity.get(identity)

    def user_of_endpoint(self, name: str) -> User:
        """The user whose device it is; else one named after the endpoint (`PJSIP/alice` is alice)."""
        user = self._by_channel.get(name)
        if user is None:
            identity = Identity(name.rsplit("/", 1)[-1])
            user = self._by_identity.get(identity) or User.model_construct(
                identity=identity, id=identity, uuid=uuid5(_NAMESPACE, identity)
            )
        return user

    def groups_of(self, identity: Identity) -> tuple[str, ...]:
        """The groups that a user is in."""
        user = self._by_identity.get(identity)
        return user.groups if user is not None else ()

    def supervised_by(self, identity: Identity) -> frozenset[Identity]:
        """Everybody in the groups that a user supervises."""
        user = self._by_identity.get(identity)
        watched = frozenset(user.supervises) if user is not None else frozenset()
        return frozenset(one.identity for one in self.users if not watched.isdisjoint(one.groups))


def globs(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text fits any of the patterns (`*`, `?`), upper and lower case alike."""
    compiled = [re.compile(translate(pattern), re.IGNORECASE) for pattern in patterns]
    return lambda text: any(pattern.match(text) for pattern in compiled)


class People:
    """Users and trunks: tells for a channel who it is. `trunks` are patterns of channel names."""

    def __init__(self, directory: Directory, trunks: Sequence[str]) -> None:
        self.directory = directory
        is_trunk, is_outside_context = globs(trunks), globs(OUTSIDE_CONTEXTS)
        # The same few endpoints and contexts are asked for again and again, with each event.
        self._user_of = lru_cache(maxsize=4096)(directory.user_of_endpoint)
        self._trunk = lru_cache(maxsize=4096)(is_trunk)
        self._context = lru_cache(maxsize=1024)(is_outside_context)

    def user_of_channel(self, channel: ChannelName) -> User:
        """The user behind a channel that does not lead outside."""
        return self._user_of(endpoint(channel))

    def is_outside(self, channel: ChannelName, context: str) -> bool:
        """Whether a channel leads outside: by the configured trunks, or by the context it came into."""
        return self._trunk(endpoint(channel)) or self._trunk(channel) or self._context(context)


def parse_users(text: str, file: str) -> Directory:
    """The users of a users.yml. Raises BadInputError with every problem."""
    loaded = load(text, file, _UsersFile)
    problems = list(loaded.problems)
    users = loaded.value.users if loaded.value is not None else ()
    problems += _claimed_twice(users, loaded.places)
    problems += _unknown_groups(users, loaded.places)
    if problems:
        raise BadInputError(tuple(sorted(problems)))
    return Directory(users=users)


def _claimed_twice(users: Sequence[User], places: Places) -> list[Problem]:
    problems = []
    seen: dict[tuple[str, str], int] = {}
    for index, user in enumerate(users):
        claims: list[tuple[str, str, tuple[str | int, ...]]] = [
            ("identity", user.identity, ("identity",)),
            ("uuid", str(user.uuid), ("uuid",)),
            ("id", user.id, ("id",)),
        ]
        claims += [("extension", extension, ("extensions", at)) for at, extension in enumerate(user.extensions)]
        claims += [("channel", device.channel, ("devices", at, "channel")) for at, device in enumerate(user.devices)]
        for what, value, path in claims:
            first = seen.setdefault((what, value), index)
            if first != index:
                other = users[first].identity
                problems.append(places.problem(("users", index, *path), f"{what} {value} is {other}'s already"))
    return problems


def _unknown_groups(users: Sequence[User], places: Places) -> list[Problem]:
    groups = sorted({group for user in users for group in user.groups})
    return [
        places.problem(("users", index, "supervises", at), f"nobody is in the group {group}", nearest(group, groups))
        for index, user in enumerate(users)
        for at, group in enumerate(user.supervises)
        if group not in groups
    ]
