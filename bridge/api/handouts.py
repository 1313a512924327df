"""Who was handed a recording's audio: a fact, kept before the first byte goes out."""

from datetime import datetime
from functools import partial
from typing import NamedTuple

from aiohttp import web

from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies
from bridge.core.ids import SectionKey
from bridge.core.records import Fact, FactKind, Section
from bridge.core.store import AppendFact
from bridge.noting import NotedLately

_MOST = 10_000


class _Taker(NamedTuple):
    token_id: str
    section: SectionKey
    kind: FactKind


class Handouts:
    """Notes who plays and who downloads.

    A player asks for one section in many parts: that is one fact for each token, section and kind (`NotedLately`).
    """

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._noted: NotedLately[_Taker] = NotedLately(_MOST)

    async def note(self, section: Section, access: Access, *, download: bool) -> None:
        """On return the fact is on disk. Raises StoreError: then nothing may be handed out."""
        kind = FactKind.RECORDING_DOWNLOADED if download else FactKind.RECORDING_PLAYED
        taker, now = _Taker(access.token.id, section.key, kind), self._deps.clock()
        await self._noted.note(taker, now, partial(self._keep, section, access, kind, now))

    async def _keep(self, section: Section, access: Access, kind: FactKind, now: datetime) -> None:
        await self._deps.store.commit([AppendFact(_fact(section, access, kind, now))])


HANDOUTS = web.AppKey("handouts", Handouts)


def _fact(section: Section, access: Access, kind: FactKind, now: datetime) -> Fact:
    return Fact(
        kind=kind,
        at=now,
        call_id=section.call_id,
        record_id=section.record_id,
        rule_id=section.rule_id,
        file=section.file,
        personal={"identity": access.token.identity},
        audience=section.audience,
    )
