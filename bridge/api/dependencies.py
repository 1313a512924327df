"""What the HTTP side is given: everything it shows and asks comes through here."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from aiohttp import web

from bridge.api.addresses import Network
from bridge.core.access import Reader
from bridge.core.commands import Answer, Verb
from bridge.core.ids import FactNumber, Identity
from bridge.core.live import LiveCalls, NotReady
from bridge.core.records import NumberedFact
from bridge.core.space import Space
from bridge.core.store import Store


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


@dataclass(frozen=True, slots=True)
class Dependencies:
    """`audio_root` is the spool as we see it; `supervised` whom a supervisor may look over; `clock` gives aware UTC.

    `warnings` do not keep us from our work, but want an admin. `space` is the spool's room, None where unknown.
    `trusted_proxies` may say in X-Forwarded-For who asks.
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


DEPENDENCIES = web.AppKey("dependencies", Dependencies)


def dependencies(request: web.Request) -> Dependencies:
    """Those of the app that a request came to."""
    return request.app[DEPENDENCIES]
