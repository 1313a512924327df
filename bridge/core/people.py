"""Who is behind a channel, and which channels lead outside: users.yml and the trunks."""

import fnmatch
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Annotated, Final
from uuid import UUID, uuid5

from pydantic import BeforeValidator, Field

from bridge.core.document import (
    NOTHING,
    Boolean,
    Listed,
    Loaded,
    Loc,
    Strict,
    Text,
    WrongValueError,
    in_order,
    load,
    suggest,
    text_of,
)
from bridge.core.errors import BadInputError, Problem
from bridge.core.ids import ChannelName, Identity

GROUP_PREFIX: Final = "group:"
USERS_NAMESPACE: Final = UUID("d7c6b1f4-6a0e-5f0b-9f3c-2f1f5f8f6a51")
"""A user without a uuid has `uuid5(USERS_NAMESPACE, identity)`: the same one after every start and on every machine."""

OUTSIDE_CONTEXTS: Final = (
    "from-trunk",
    "from-trunk-*",
    "from-pstn",
    "from-pstn-*",
    "from-did-direct*",
    "from-digital",
    "from-dahdi*",
    "from-zaptel",
    "from-sip-external",
    "ext-did*",
    "from-extern",
)
"""Contexts whose channels come from outside even where no trunk is configured: FreePBX's, and Wazo's (the last)."""

_IDENTITY = re.compile(r"[\w.@+-]{1,64}")
_DEVICE = re.compile(r"[A-Za-z0-9]+/[^\s,]+")
_SUFFIX = re.compile(r"-[0-9a-fA-F]+(?:<\w+>)?$")


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text matches one of the patterns: `*` is any text, `?` one character, case does not count.

    Linear in the text's length, whatever the pattern: fnmatch makes each `*` atomic.
    """
    compiled = [re.compile(fnmatch.translate(one.replace("[", "[[]")), re.IGNORECASE) for one in patterns]
    return lambda text: any(pattern.match(text) for pattern in compiled)


def device_channel(channel: ChannelName) -> str:
    """`PJSIP/822-0000001f` -> `PJSIP/822`; what a masquerade appends (`<ZOMBIE>`) goes too."""
    return _SUFFIX.sub("", channel)


@lru_cache(maxsize=4096)
def derived_uuid(namespace: UUID, text: str) -> UUID:
    """`uuid5`, also of Asterisk's bytes that are no UTF-8."""
    return uuid5(namespace, text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _identity(value: object) -> str:
    text = text_of(value)
    if not _IDENTITY.fullmatch(text):
        raise WrongValueError(f"must be letters, digits and `._@+-`, at most 64, not `{text}`")
    return text


def uuid_of(value: object) -> UUID:
    """A UUID that an admin wrote. Raises WrongValueError."""
    text = text_of(value)
    try:
        return UUID(text)
    except ValueError:
        raise WrongValueError(f"must be a UUID like {uuid5(USERS_NAMESPACE, 'tweber')}, not `{text}`") from None


def _device(value: object) -> str:
    text = text_of(value)
    if not _DEVICE.fullmatch(text):
        raise WrongValueError(f"must be technology/endpoint like PJSIP/822, not `{text}`")
    return text


IdentityText = Annotated[Identity, BeforeValidator(_identity)]


class Device(Strict):
    """A phone. `channel` is its channels' name before the number: `PJSIP/822`."""

    id: Text = ""
    name: Text = ""
    channel: Annotated[str, BeforeValidator(_device)]


class Location(Strict):
    """Where a user sits."""

    id: Text = ""
    name: Text = ""


class User(Strict):
    """One of users.yml, or an endpoint that stands in for one: of that nothing but the `identity` is known."""

    identity: IdentityText
    given_id: Annotated[str, BeforeValidator(text_of)] = Field(default="", alias="id")
    given_uuid: Annotated[UUID | None, BeforeValidator(uuid_of)] = Field(default=None, alias="uuid")
    name: Text = ""
    extensions: Listed[Text] = ()
    devices: tuple[Device, ...] = ()
    location: Location | None = None
    groups: Listed[Text] = ()
    supervises: Listed[Text] = ()
    call_record_incoming_internal_enabled: Boolean = False
    call_record_incoming_external_enabled: Boolean = False
    call_record_outgoing_internal_enabled: Boolean = False
    call_record_outgoing_external_enabled: Boolean = False
    online_call_record_enabled: Boolean = False

    @property
    def id(self) -> str:
        """As given, else the identity."""
        return self.given_id or self.identity

    @property
    def uuid(self) -> UUID:
        """As given, else derived from the identity."""
        return self.given_uuid or derived_uuid(USERS_NAMESPACE, self.identity)

    def device_of(self, channel: ChannelName) -> Device | None:
        """Which of the user's phones this channel is on."""
        name = device_channel(channel).casefold()
        return next((device for device in self.devices if device.channel.casefold() == name), None)


@dataclass(frozen=True, slots=True)
class UserFlags:
    """Which of a user's calls it wants recorded (Wazo's names): those it is called in, and those it makes."""

    call_record_incoming_internal_enabled: bool = False
    call_record_incoming_external_enabled: bool = False
    call_record_outgoing_internal_enabled: bool = False
    call_record_outgoing_external_enabled: bool = False
    online_call_record_enabled: bool = False


def _or_none(value: object) -> object:
    return () if value is NOTHING else value


class _UsersFile(Strict):
    users: Annotated[tuple[User, ...], BeforeValidator(_or_none)]


@dataclass(frozen=True, slots=True)
class Directory:
    """The users of users.yml; empty, every endpoint is a user."""

    users: tuple[User, ...] = ()
    by_identity: Mapping[Identity, User] = field(init=False, repr=False)
    _by_device: Mapping[str, User] = field(init=False, repr=False)
    _members: Mapping[str, frozenset[Identity]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        members: defaultdict[str, set[Identity]] = defaultdict(set)
        for user in self.users:
            for group in user.groups:
                members[group].add(user.identity)
        devices = {device.channel.casefold(): user for user in self.users for device in user.devices}
        object.__setattr__(self, "by_identity", {user.identity: user for user in self.users})
        object.__setattr__(self, "_by_device", devices)
        object.__setattr__(self, "_members", {group: frozenset(them) for group, them in members.items()})

    @property
    def groups(self) -> frozenset[str]:
        """Every group that somebody is in."""
        return frozenset(self._members)

    def members(self, group: str) -> frozenset[Identity]:
        """Who is in a group; nobody in an unknown one."""
        return self._members.get(group, frozenset())

    def flags_of(self, identity: Identity) -> UserFlags:
        """What users.yml says; all off for a user that is not in it."""
        user = self.by_identity.get(identity)
        if user is None:
            return UserFlags()
        return UserFlags(**{one.name: getattr(user, one.name) for one in fields(UserFlags)})

    def supervised_by(self, identity: Identity) -> frozenset[Identity]:
        """Everybody in the groups that this user supervises."""
        user = self.by_identity.get(identity)
        return frozenset().union(*map(self.members, user.supervises)) if user is not None else frozenset()

    def user_of_channel(self, channel: ChannelName) -> User:
        """The user whose device this channel is on; else the one named as the endpoint; else the endpoint is a user.

        So nobody's call goes unaccounted, whatever users.yml lacks. Not for Local channels and outside parties.
        """
        name = device_channel(channel)
        user = self._by_device.get(name.casefold())
        if user is not None:
            return user
        endpoint = Identity(name.partition("/")[2] or name)
        known = self.by_identity.get(endpoint)
        if known is not None:
            return known
        return User.model_construct(identity=endpoint)


class People:
    """The users, and which channels lead outside: `trunks` are patterns for channels or their endpoints."""

    def __init__(self, directory: Directory, trunks: Sequence[str] = ()) -> None:
        self.directory = directory
        # The same few channels and contexts are asked for again and again, with each event.
        self._user_of = lru_cache(maxsize=4096)(directory.user_of_channel)
        self._is_trunk = lru_cache(maxsize=4096)(matcher(trunks))
        self._is_outside_context = lru_cache(maxsize=1024)(matcher(OUTSIDE_CONTEXTS))

    def is_outside(self, channel: ChannelName, context: str) -> bool:
        """Whether this leg leads out of the house: by a trunk, or by the context that it began in."""
        return self._is_trunk(device_channel(channel)) or self._is_trunk(channel) or self._is_outside_context(context)

    def user_of_channel(self, channel: ChannelName) -> User:
        """`Directory.user_of_channel`."""
        return self._user_of(channel)


def parse_users(text: str, file: str) -> Directory:
    """Read users.yml; an empty file has no users. Raises BadInputError with everything that is wrong in it."""
    loaded = load(text, file, _UsersFile)
    if loaded.root is not None and loaded.root.value is None:
        return Directory()
    problems = [*loaded.problems, *_claimed_twice(loaded), *_unknown_groups(loaded)]
    if problems or loaded.value is None:
        raise BadInputError(in_order(problems))
    return Directory(loaded.value.users)


def _claimed_twice(loaded: Loaded[_UsersFile]) -> Iterator[Problem]:
    for what, path in (
        ("identity", ("identity",)),
        ("id", ("id",)),
        ("uuid", ("uuid",)),
        ("extension", ("extensions",)),
        ("device", ("devices", "channel")),
    ):
        first: dict[str, Loc] = {}
        for loc, text in loaded.texts("users", *path):
            before = first.setdefault(text.casefold() if what in ("uuid", "device") else text, loc)
            if before != loc:
                line, column = loaded.place(before)
                yield loaded.problem(loc, f"{what} `{text}` is taken already at {loaded.file}:{line}:{column}")


def _unknown_groups(loaded: Loaded[_UsersFile]) -> Iterator[Problem]:
    groups = {text for _, text in loaded.texts("users", "groups")}
    for loc, text in loaded.texts("users", "supervises"):
        if text not in groups:
            yield loaded.problem(loc, f"nobody is in the group `{text}`", suggest(text, groups))
