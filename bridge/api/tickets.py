"""Tickets: links that a browser opens. One section's audio, one minute, as often as its player asks."""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from bridge.api.answers import TooManyRequestsError
from bridge.api.auth import Access
from bridge.core.ids import SectionKey

_LIFE = timedelta(minutes=1)
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Ticket:
    key: SectionKey
    access: Access
    expires_at: datetime


class Tickets:
    """The tickets that are good now, in memory: 10,000, then none until one expires.

    A ticket stands for the token that asked for it, for one section: what that token may not do, it may not do either.
    """

    def __init__(self) -> None:
        self._tickets: OrderedDict[bytes, _Ticket] = OrderedDict()

    def new(self, key: SectionKey, access: Access, now: datetime) -> tuple[str, datetime]:
        """A ticket, and when it ends. Raises TooManyRequestsError."""
        while self._tickets and next(iter(self._tickets.values())).expires_at <= now:
            self._tickets.popitem(last=False)
        if len(self._tickets) >= _MOST:
            raise TooManyRequestsError("too many tickets are open", int(_LIFE.total_seconds()))
        ticket = secrets.token_urlsafe(32)
        self._tickets[_digest(ticket)] = _Ticket(key, access, now + _LIFE)
        return ticket, now + _LIFE

    def access(self, ticket: str, key: SectionKey, now: datetime) -> Access | None:
        """The access that a ticket gives to this section; None where it gives none, or none any more."""
        found = self._tickets.get(_digest(ticket))
        if found is None or found.key != key or found.expires_at <= now or found.access.over:
            return None
        return found.access


TICKETS = web.AppKey("tickets", Tickets)


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).digest()
