"""The phones behind channels: from where they are registered, and what they say they are.

It has a session of its own, without events: the answer for 1,000 phones keeps a session busy for 27 ms (22.10; 43 ms
on 16.28, measured), and an action that records must never wait behind it. PJSIPShowContacts needs `system` in the
user's `write`, Getvar of CHANNEL `call`, on both (measured): the rights that recording needs as it is. Contacts that
stand in pjsip.conf are not in PJSIPShowContacts (measured); of those the channel says the address, and nobody the user
agent.
"""

import asyncio
import contextlib
import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bridge.asterisk.manager import AmiManager
from bridge.core.errors import AsteriskError, AsteriskRefusedError, LoginRefusedError
from bridge.core.ids import ChannelName
from bridge.core.live import Contact
from bridge.core.people import device_channel

log = structlog.get_logger()

_TECHNOLOGY = "PJSIP/"
_URI = re.compile(r"<?sips?:(?:[^@>]*@)?(?P<host>\[[^\]]+\]|[^:;?>\s]+)(?::(?P<port>[0-9]+))?", re.IGNORECASE)
_NONE = "No Contacts found"
"""Asterisk's error where no phone is registered."""
_MOST_CHANNELS = 4096


@dataclass(frozen=True, slots=True)
class _Registered:
    """One contact of an endpoint: where Asterisk finds it, and the phone."""

    place: tuple[str, str]
    contact: Contact


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long what was told counts, how long one who asks waits, how long Asterisk may take, how long it is
    left alone after a refusal, after how long without questions the session ends, and how long what was told still
    counts where Asterisk does not answer.
    """

    fresh_s: float = 5.0
    wait_s: float = 1.0
    answer_s: float = 3.0
    refused_s: float = 60.0
    idle_s: float = 60.0
    known_s: float = 60.0


class PhoneContacts:
    """Asks when it is asked, but seldom, and once for all who ask meanwhile. `may_ask`: Asterisk is there."""

    def __init__(
        self,
        host: str,
        port: int,
        username: str,
        secret: str,
        *,
        may_ask: Callable[[], bool] = lambda: True,
        patience: Patience | None = None,
    ) -> None:
        self._host, self._port, self._username, self._secret = host, port, username, secret
        self._may_ask = may_ask
        self._patience = patience or Patience()
        self._registered: Mapping[str, Sequence[_Registered]] = {}
        self._told_at: float | None = None
        self._left_alone_until = 0.0
        self._uris: dict[ChannelName, str] = {}
        self._manager: AmiManager | None = None
        self._asking: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def contacts(self, channels: Sequence[ChannelName]) -> Mapping[ChannelName, Contact]:
        """The phones behind these channels, as far as Asterisk tells of them in time. Other channels are left out."""
        phones = {one: _endpoint(one) for one in channels if one.startswith(_TECHNOLOGY)}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.wait_s):
                for _ in range(2):  # the first may be somebody else's question, about other channels
                    if not self._is_due(phones):
                        break
                    if self._asking is None:
                        self._asking = asyncio.create_task(self._ask(phones), name="contacts")
                    await asyncio.shield(self._asking)
        if self._is_older_than(self._patience.known_s):
            return dict.fromkeys(phones, Contact())
        return {channel: self._contact(channel, endpoint) for channel, endpoint in phones.items()}

    async def close(self) -> None:
        """End the session, and what is being asked."""
        self._left_alone_until = float("inf")
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        self._end_session()

    def _is_due(self, phones: Mapping[ChannelName, str]) -> bool:
        now = asyncio.get_running_loop().time()
        if not phones or not self._may_ask() or now < self._left_alone_until:
            return False
        return self._is_older_than(self._patience.fresh_s) or bool(self._unplaced(phones))

    def _is_older_than(self, seconds: float) -> bool:
        return self._told_at is None or asyncio.get_running_loop().time() - self._told_at >= seconds

    def _unplaced(self, phones: Mapping[ChannelName, str]) -> list[ChannelName]:
        """Channels of which only they themselves can tell which phone it is."""
        return [
            channel
            for channel, endpoint in phones.items()
            if channel not in self._uris and len(self._registered.get(endpoint, ())) != 1
        ]

    def _contact(self, channel: ChannelName, endpoint: str) -> Contact:
        registered = self._registered.get(endpoint, ())
        if len(registered) == 1:
            return registered[0].contact
        place = _place(self._uris.get(channel, ""))
        found = [one.contact for one in registered if one.place == place]
        return found[0] if len(found) == 1 else Contact(_literal(place[0]))

    # Asking

    async def _ask(self, phones: Mapping[ChannelName, str]) -> None:
        """Never raises: what cannot be told is left unknown, and Asterisk alone for a while."""
        loop = asyncio.get_running_loop()
        if self._idle is not None:
            self._idle.cancel()
        try:
            async with asyncio.timeout(self._patience.answer_s):
                manager = await self._session()
                if self._is_older_than(self._patience.fresh_s):
                    self._registered = await self._list(manager)
                    self._told_at = loop.time()
                    self._uris = {channel: uri for channel, uri in self._uris.items() if uri}
                for channel in self._unplaced(phones):
                    uri = await self._target(manager, channel)
                    if len(self._uris) >= _MOST_CHANNELS:
                        self._uris.clear()
                    self._uris[channel] = uri
        except (AsteriskError, TimeoutError) as error:
            refused = isinstance(error, AsteriskRefusedError | LoginRefusedError)
            self._left_alone_until = loop.time() + (self._patience.refused_s if refused else self._patience.fresh_s)
            self._end_session()
            log.info("contacts-unknown", problem=str(error) or f"no answer within {self._patience.answer_s:g} s")
        finally:
            self._asking = None
            self._idle = loop.call_later(self._patience.idle_s, self._end_session)

    async def _session(self) -> AmiManager:
        if self._manager is not None and not self._manager.lost.done():
            return self._manager
        self._uris.clear()  # after a restart of Asterisk channels have the names of others
        self._manager = AmiManager(self._host, self._port)
        await self._manager.connect(self._patience.answer_s)
        await self._manager.login(self._username, self._secret, self._patience.answer_s, events=False)
        return self._manager

    def _end_session(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    async def _list(self, manager: AmiManager) -> Mapping[str, Sequence[_Registered]]:
        found: defaultdict[str, list[_Registered]] = defaultdict(list)
        try:
            items = await manager.list_action("PJSIPShowContacts", {}, self._patience.answer_s)
        except AsteriskRefusedError as error:
            if not error.message.startswith(_NONE):
                raise
            return {}
        for item in items:
            if item.header("Event") != "ContactList":
                continue
            place = _place(item.header("Uri"))
            # With rewrite_contact the URI has where the phone really is, Via what it takes itself for.
            address = _literal(place[0]) or _literal(item.header("ViaAddr"))
            found[item.header("Endpoint")].append(_Registered(place, Contact(address, item.header("UserAgent"))))
        return found

    async def _target(self, manager: AmiManager, channel: ChannelName) -> str:
        fields = {"Channel": channel, "Variable": "CHANNEL(pjsip,target_uri)"}
        answer = await manager.action("Getvar", fields, self._patience.answer_s, must_succeed=False)
        return answer.header("Value")


def _endpoint(channel: ChannelName) -> str:
    return device_channel(channel).removeprefix(_TECHNOLOGY)


def _place(uri: str) -> tuple[str, str]:
    """Host and port of a SIP URI, each '' where there is none."""
    match = _URI.match(uri)
    return (match["host"].strip("[]").lower(), match["port"] or "") if match is not None else ("", "")


def _literal(host: str) -> str:
    """An address as it is; '' for a name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return ""
