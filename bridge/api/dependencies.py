"""What the HTTP side is given: everything it shows and asks comes through here."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID

from aiohttp import web

from bridge.api.addresses import Network
from bridge.api.callbacks import Callbacks
from bridge.core.access import Reader
from bridge.core.call_details import CallBook, Holding
from bridge.core.commands import Answer, Verb
from bridge.core.covered import Coverages
from bridge.core.exports import Export, WantedRecording
from bridge.core.ids import ChannelName, FactNumber, Identity, SectionKey
from bridge.core.live import Contact, LiveCalls, NotReady
from bridge.core.people import Directory, UserFlags
from bridge.core.records import NumberedFact, Section
from bridge.core.retention import Keeping
from bridge.core.rules import RuleSet
from bridge.core.rules_in_force import RulesInForce
from bridge.core.settings import Settings
from bridge.core.space import Space
from bridge.core.store import Store

_NO_TENANT = UUID(int=0)
_KEEPING = Keeping(timedelta(days=365))


class FactStream(Protocol):
    """A subscriber's facts, in order. `cut` says that it was too slow, and why it ended."""

    @property
    def cursor(self) -> FactNumber:
        """The number up to which everything was handed out."""

    @property
    def cut(self) -> bool:
        """Whether it ended because its reader was too slow."""

    async def __anext__(self) -> Sequence[NumberedFact]:
        """The next facts. May be cancelled and asked again. Raises StopAsyncIteration at the end, StoreError."""


class LiveFacts(Protocol):
    """Where live facts come from."""

    def subscribe(self, after: FactNumber | None) -> AbstractAsyncContextManager[FactStream]:
        """Facts after this one, or from now on. Entering raises CursorGoneError, TooManyStreamsError, StoreError."""

    def close(self) -> None:
        """End all subscriptions."""


class Control(Protocol):
    """Who carries out what users ask of running calls."""

    def ask(self, verb: Verb, channel: str, reader: Reader) -> AbstractAsyncContextManager[Answer]:
        """Entered with the command's answer; what follows from it goes to the streams once the context is left.

        Raises nothing: an error is in the answer.
        """

    def set_flags(
        self, identity: Identity, changes: Mapping[str, bool], reader: Reader
    ) -> AbstractAsyncContextManager[Answer]:
        """Change some of a user's flags, by their names, from the next talk on; as `ask`."""

    def flags_of(self, identity: Identity) -> UserFlags:
        """What holds for a user: what was changed, else what users.yml says."""


class Setting(Protocol):
    """What an admin sets over HTTP."""

    @property
    def current(self) -> Settings:
        """What holds now."""

    async def change(self, changes: Mapping[str, int | None], reader: Reader) -> None:
        """Set some, by their names. On return it is kept, holds, and is a fact. Raises StoreError."""


class Recordings(Protocol):
    """Deletes recordings because somebody asks for it."""

    async def delete(self, sections: Sequence[Section], reader: Reader) -> Sequence[SectionKey]:
        """Gives those that must stay: under a hold, or while their rule's own `keep` lasts. Raises StoreError."""


class Exports(Protocol):
    """Makes exports. Those that are there are found in the store."""

    async def ask(self, recordings: Sequence[WantedRecording], reader: Reader, email: str, link: str) -> Export:
        """A new export of these recordings, kept when this returns; it is made by and by.

        `link` is the path that the mail shows, its id for `{}`.

        Raises StoreError, TooManyExportsError.
        """

    async def cancel(self, export: Export, reader: Reader) -> None:
        """Stop making it, or delete what was made. Raises StoreError."""

    def file(self, export: Export) -> Path:
        """Where the zip of a finished export lies."""

    async def download(self, export: Export, reader: Reader) -> Path:
        """Where the zip lies, for a download that begins now; who takes it is a fact.

        Raises ExportGoneError where it is not finished, over its time, or holds what was deleted meanwhile: the store
        has its new state then. Raises StoreError.
        """


class Contacts(Protocol):
    """Knows phones."""

    async def contacts(self, channels: Sequence[ChannelName]) -> Mapping[ChannelName, Contact]:
        """The phones behind these channels, as far as Asterisk tells of them. Never raises for what it cannot tell."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """`audio_root` is the spool as we see it; `supervised` whom a supervisor may look over; `clock` gives aware UTC.

    `warnings` do not keep us from our work, but want an admin. `space` is the spool's room, None where unknown.
    `trusted_proxies` may say in X-Forwarded-For who asks. `tenant_uuid` is what Wazo's clients call this PBX,
    `server_host` the address at which Asterisk is reached. `keeping` and `keep_exports` are what the configuration
    says of how long things are kept.
    """

    store: Store
    audio_root: Path
    live: LiveCalls
    control: Control
    supervised: Callable[[Identity], frozenset[Identity]]
    not_ready: Callable[[], Sequence[NotReady]]
    hub: LiveFacts
    clock: Callable[[], datetime]
    warnings: Callable[[], Sequence[NotReady]] = tuple
    space: Callable[[], Space | None] = lambda: None
    trusted_proxies: Sequence[Network] = ()
    directory: Callable[[], Directory] = Directory
    rules: Callable[[], RulesInForce] = lambda: RulesInForce(RuleSet())
    systemname: str = ""
    tenant_uuid: UUID = _NO_TENANT
    setting: Setting | None = None
    recordings: Recordings | None = None
    exports: Exports | None = None
    coverages: Coverages | None = None
    contacts: Contacts | None = None
    webhooks: Callbacks | None = None
    server_host: str = ""
    keeping: Keeping = _KEEPING
    keep_exports: timedelta = timedelta(days=2)
    call_book: CallBook | None = None
    holding: Holding | None = None


DEPENDENCIES = web.AppKey("dependencies", Dependencies)


def dependencies(request: web.Request) -> Dependencies:
    """Those of the app that a request came to."""
    return request.app[DEPENDENCIES]
