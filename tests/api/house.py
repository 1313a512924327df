"""The real application over a store in memory, and who asks it."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, AppRunner, Request

from bridge.api.addresses import Network
from bridge.api.app import Dependencies, create_app, runner
from bridge.api.callbacks import Callbacks
from bridge.api.dependencies import Control, Setting
from bridge.core.access import Reader, Role, Scope
from bridge.core.commands import Answer, CommandNumber, Done, Refused, Verb
from bridge.core.errors import ControlError
from bridge.core.ids import ChannelName, Identity, RuleId, SectionKey, Uniqueid
from bridge.core.live import CallNow, NotReady, PartyNow, RuleNow
from bridge.core.people import Directory, UserFlags
from bridge.core.records import AudioReport, Fact, FactKind, NumberedFact, Section, SectionState
from bridge.core.rules import RuleSet
from bridge.core.rules_in_force import RulesInForce
from bridge.core.space import Space
from bridge.core.store import AddJournalEntry, AppendFact, Change, PutSection
from bridge.feed.stream import Hub
from bridge.tokens import new_token
from tests.fakes import MemoryStore
from tests.kept_coverage import MemoryCoverages
from tests.storage import kept

ALICE, BOB, CAROL, DAVE, ROOT = (Identity(name) for name in ("alice", "bob", "carol", "dave", "root"))
TENANT = UUID("2c34c282-433e-4bb8-8d56-fec14ff7e1e9")
WAV = bytes(range(256)) * 4
CALL = CallNow(
    call_id=kept.CALL,
    record_id=kept.RECORD,
    direction="internal",
    started_at=kept.NOON,
    talking_since=kept.NOON,
    dialed="822",
    queue="",
    parties=(
        PartyNow(Uniqueid("1.1"), ChannelName("PJSIP/alice-00000001"), ALICE, "Alice", "821", False, True),
        PartyNow(Uniqueid("1.2"), ChannelName("PJSIP/bob-00000002"), BOB, "Bob", "822", False, True),
    ),
    rules=(RuleNow(RuleId(1), "all", "recording", 1, None, None),),
    reason=None,
    audience=(ALICE, BOB),
)


class Server(TestServer):
    """Runs the application as the daemon does."""

    def __init__(self, app: Application) -> None:
        super().__init__(app)
        self._app = app

    async def _make_runner(self, **_: Any) -> AppRunner:
        return runner(self._app)


@dataclass
class Scripted:
    """Answers every command as a test says, and remembers who asked for what."""

    answer: ControlError | tuple[Section, ...] = ()
    asked: list[tuple[Verb, str, Reader]] = field(default_factory=list)
    flags: dict[Identity, UserFlags] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def ask(self, verb: Verb, channel: str, reader: Reader) -> AsyncIterator[Answer]:
        self.asked.append((verb, channel, reader))
        number = CommandNumber(len(self.asked))
        yield Done(number, self.answer) if isinstance(self.answer, tuple) else Refused(number, self.answer)

    @contextlib.asynccontextmanager
    async def set_flags(
        self,
        identity: Identity,
        changes: Mapping[str, bool],
        reader: Reader,  # noqa: ARG002  # a Control's shape
    ) -> AsyncIterator[Answer]:
        if isinstance(self.answer, ControlError):
            yield Refused(CommandNumber(0), self.answer)
            return
        self.flags[identity] = replace(self.flags_of(identity), **changes)
        yield Done(CommandNumber(0), ())

    def flags_of(self, identity: Identity) -> UserFlags:
        return self.flags.get(identity, UserFlags())


@dataclass
class House:
    """What the application is given, to be changed by a test."""

    root: Path
    store: MemoryStore = field(default_factory=MemoryStore)
    now: datetime = kept.NOON
    not_ready: Sequence[NotReady] = ()
    warnings: Sequence[NotReady] = ()
    space: Space | None = None
    trusted_proxies: Sequence[Network] = ()
    calls: Sequence[CallNow] = (CALL,)
    control: Control = field(default_factory=Scripted)
    supervises: dict[Identity, frozenset[Identity]] = field(default_factory=dict)
    directory: Directory = field(default_factory=Directory)
    rules: RulesInForce = field(default_factory=lambda: RulesInForce(RuleSet()))
    tenant_uuid: UUID = TENANT
    setting: Setting | None = None
    keepalive_s: float = 15.0
    bound: int = 10_000
    webhooks: Callbacks | None = None
    hub: Hub = field(init=False)

    def calls_now(self) -> Sequence[CallNow]:
        return self.calls

    def dependencies(self) -> Dependencies:
        return Dependencies(
            store=self.store,
            audio_root=self.root,
            live=self,
            control=self.control,
            supervised=lambda identity: self.supervises.get(identity, frozenset()),
            not_ready=lambda: self.not_ready,
            hub=self.hub,
            clock=lambda: self.now,
            warnings=lambda: self.warnings,
            space=lambda: self.space,
            trusted_proxies=self.trusted_proxies,
            webhooks=self.webhooks,
            directory=lambda: self.directory,
            rules=lambda: self.rules,
            tenant_uuid=self.tenant_uuid,
            setting=self.setting,
            coverages=MemoryCoverages(self.store),
        )

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator["TestClient[Request, Application]"]:
        """The application with these settings, and a client."""
        self.hub = Hub(self.store, bound=self.bound)
        async with TestClient(Server(create_app(self.dependencies(), keepalive_s=self.keepalive_s))) as client:
            yield client

    async def token(
        self,
        identity: Identity,
        role: Role = Role.USER,
        scopes: Sequence[Scope] | None = None,
        expires_in: timedelta | None = None,
    ) -> dict[str, str]:
        """The headers of one who asks."""
        expires_at = None if expires_in is None else self.now + expires_in
        token, plain = new_token(identity, role, scopes, self.now, expires_at)
        await self.store.add_token(token)
        return {"Authorization": f"Bearer {plain}"}

    async def happen(self, *changes: Change) -> Sequence[NumberedFact]:
        """One commit, as the daemon makes it."""
        facts = await self.store.commit(changes)
        self.hub.publish(facts)
        return facts

    async def section(self, file: int = 1, content: bytes | None = WAV, **values: Any) -> SectionKey:
        """A section of alice's and bob's talk; stored, unless something else is said."""
        section = replace(stored(file), **values)
        if content is not None and section.state is SectionState.STORED:
            path = self.root / section.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        await self.store.commit([PutSection(section)])
        return section.key


def stored(file: int = 1) -> Section:
    return kept.section(
        file,
        state=SectionState.STORED,
        participants=(ALICE, BOB),
        started_at=kept.NOON,
        ended_at=kept.NOON + timedelta(seconds=1),
        report=AudioReport(1.0, len(WAV), 8000, 1, (0.5,), (0.1,), b"", "ab" * 32),
    )


def url(key: SectionKey) -> str:
    return f"/api/v1/records/{key.record_id}/{key.rule_id}/{key.file}"


def journal_entry(identity: str = "alice", record_id: str | None = kept.RECORD) -> AddJournalEntry:
    return AddJournalEntry(kept.entry(identity, record_id=record_id))


def call_fact(number: int = 0, *audience: Identity) -> AppendFact:
    return AppendFact(
        Fact(FactKind.CALL_BEGAN, kept.NOON, kept.CALL, data={"n": number}, audience=audience or (ALICE, BOB))
    )


async def error_of(response: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The error's details, after a look at the rest of its body."""
    text = await response.text()
    assert response.status == status, text
    assert response.content_type == "application/json"
    body: dict[str, Any] = await response.json()
    assert {"error_id", "message", "details", "timestamp"} <= set(body)
    assert body["error_id"] == code
    assert isinstance(body["message"], str)
    assert isinstance(body["timestamp"], int)
    details = body["details"]
    assert isinstance(details, dict)
    return details
