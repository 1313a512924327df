"""Who was handed a recording's audio: a fact, kept before the first byte goes out."""

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

from aiohttp import web

from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies
from bridge.core.ids import SectionKey
from bridge.core.records import Fact, FactKind, Section
from bridge.core.store import AppendFact

_ANEW_AFTER = timedelta(minutes=10)
_MOST = 10_000


class _Taker(NamedTuple):
    token_id: str
    section: SectionKey
    kind: FactKind


class _Noted(NamedTuple):
    at: datetime
    kept: asyncio.Task[None]


class Handouts:
    """Notes who plays and who downloads.

    A player asks for one section in many parts: that is one fact for each token, section and kind, and another one for
    what is asked for more than 10 minutes after it. 10,000 of these are remembered, in memory; beyond that the oldest
    is forgotten, and so is all of it by a restart: then a fact may be written once more, never one too few.
    """

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._noted: OrderedDict[_Taker, _Noted] = OrderedDict()

    async def note(self, section: Section, access: Access, *, download: bool) -> None:
        """On return the fact is on disk. Raises StoreError: then nothing may be handed out."""
        kind = FactKind.RECORDING_DOWNLOADED if download else FactKind.RECORDING_PLAYED
        taker, now = _Taker(access.token.id, section.key, kind), self._deps.clock()
        noted = self._noted.get(taker)
        # A clock that was set back tells nothing of how long ago it was.
        if noted is None or not timedelta(0) <= now - noted.at <= _ANEW_AFTER or _failed(noted.kept):
            fact = _fact(section, access, kind, now)
            noted = _Noted(now, asyncio.create_task(self._keep(fact), name="handout"))
            self._noted[taker] = noted
            self._noted.move_to_end(taker)
            if len(self._noted) > _MOST:
                self._noted.popitem(last=False)
        # Others may wait for the same fact: a client that goes away must not take it from them.
        await asyncio.shield(noted.kept)

    async def _keep(self, fact: Fact) -> None:
        await self._deps.store.commit([AppendFact(fact)])


HANDOUTS = web.AppKey("handouts", Handouts)


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _fact(section: Section, access: Access, kind: FactKind, now: datetime) -> Fact:
    owner = () if section.owner is None else (section.owner,)
    return Fact(
        kind=kind,
        at=now,
        call_id=section.call_id,
        record_id=section.record_id,
        rule_id=section.rule_id,
        file=section.file,
        personal={"identity": access.token.identity},
        audience=tuple(dict.fromkeys((*section.participants, *owner))),
    )
