"""A house whose PBX is asked by Wazo's clients, with finished calls in it."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.api.app import Dependencies
from bridge.api.dependencies import Exports, Recordings, Setting
from bridge.core.access import Reader, Role, Scope
from bridge.core.cdrs import recording_uuid
from bridge.core.errors import ExportGoneError
from bridge.core.exports import Export, ExportId, ExportStatus, WantedRecording
from bridge.core.ids import CallId, Identity, RecordId, SectionKey
from bridge.core.people import Directory, User
from bridge.core.records import CallStatus, Cdr, Section
from bridge.core.retention import Keeping
from bridge.core.settings import Settings
from bridge.core.store import AddCdr, PutExport, PutSection
from tests.api.house import ALICE, BOB, WAV, House, stored
from tests.fakes import MemoryStore
from tests.storage import kept

TENANT = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
ALICE_UUID = "def42192-837a-41e0-aa4e-86390e46eb17"
BASE = "/api/call-logd/1.0"
EXPORT = "0a1b2c3d-0000-4000-8000-000000000001"
USERS = Directory(
    (
        User.model_validate(
            {"identity": "alice", "uuid": ALICE_UUID, "name": "Alice Adams", "extensions": ["821", "8210"]}
        ),
        User.model_validate({"identity": "bob", "name": "Bob Baker", "extensions": ["822"]}),
    )
)


@dataclass
class FakeSetting:
    """Remembers what was put."""

    current: Settings = field(default_factory=Settings)
    by: list[Identity] = field(default_factory=list)

    async def change(self, changes: Mapping[str, Any], reader: Reader) -> None:
        self.current = replace(self.current, **changes)
        self.by.append(reader.identity)


@dataclass
class FakeRecordings:
    """Deletes at once, apart from what `stay` names."""

    store: MemoryStore
    stay: set[SectionKey] = field(default_factory=set)
    asked: list[SectionKey] = field(default_factory=list)

    async def delete(self, sections: Sequence[Section], reader: Reader) -> Sequence[SectionKey]:  # noqa: ARG002
        self.asked += [one.key for one in sections]
        gone = [one for one in sections if one.key not in self.stay]
        await self.store.commit([PutSection(replace(one, deleted_at=kept.NOON)) for one in gone])
        return [one.key for one in sections if one.key in self.stay]


@dataclass
class FakeExports:
    """Keeps what was asked for as pending; a test makes of it what it wants."""

    store: MemoryStore
    folder: Path
    asked: list[Sequence[WantedRecording]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    downloads: list[Identity] = field(default_factory=list)
    cancelled: list[ExportId] = field(default_factory=list)
    gone: bool = False

    async def ask(self, recordings: Sequence[WantedRecording], reader: Reader, email: str, link: str) -> Export:
        self.asked.append(recordings)
        self.links.append(link)
        export = Export(
            ExportId(EXPORT),
            reader.identity,
            kept.NOON,
            ExportStatus.PENDING,
            len({number for number, _ in recordings}),
            len(recordings),
            email,
        )
        await self.store.commit([PutExport(export)])
        return export

    async def cancel(self, export: Export, reader: Reader) -> None:  # noqa: ARG002  # an Exports' shape
        self.cancelled.append(export.id)

    def file(self, export: Export) -> Path:
        return self.folder / f"{export.id}.zip"

    async def download(self, export: Export, reader: Reader) -> Path:
        if self.gone:
            raise ExportGoneError("a recording in this export was deleted: ask for a new one")
        self.downloads.append(reader.identity)
        return self.file(export)


@dataclass
class Office(House):
    """`setting`, `recordings` and `exports` may be None, as in a daemon without them."""

    setting: Setting | None = field(default_factory=FakeSetting)
    recordings: Recordings | None = None
    exports: Exports | None = None

    def dependencies(self) -> Dependencies:
        return replace(
            super().dependencies(),
            directory=lambda: USERS,
            systemname="pbx",
            tenant_uuid=UUID(TENANT),
            setting=self.setting,
            recordings=self.recordings,
            exports=self.exports,
            keeping=Keeping(timedelta(days=365)),
        )

    async def call(self, *sections: Section, **values: Any) -> Cdr:
        """A finished call, after those that there are; with what was recorded of it."""
        cdr = replace(a_call(), **values)
        for section in sections:
            path = self.root / section.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(WAV)
        await self.store.commit([*map(PutSection, sections), AddCdr(cdr)])
        return cdr

    async def client_token(
        self, identity: Identity, role: Role = Role.USER, scopes: Sequence[Scope] | None = None
    ) -> dict[str, str]:
        """The headers that Wazo's clients send."""
        plain = (await self.token(identity, role, scopes))["Authorization"].removeprefix("Bearer ")
        return {"X-Auth-Token": plain, "Wazo-Tenant": TENANT, "Accept": "application/json", "Connection": "close"}


def a_call(at: datetime = kept.NOON) -> Cdr:
    """Alice calls Bob."""
    return Cdr(
        call_id=kept.CALL,
        started_at=at,
        answered_at=at + timedelta(seconds=3),
        ended_at=at + timedelta(seconds=7.9),
        direction="internal",
        source_name="Alice",
        source_number="821",
        source_identity=ALICE,
        destination_name="Bob",
        destination_number="822",
        destination_identity=BOB,
        dialed="822",
        context="inside",
        queue="",
        talked_s=4.9,
        hangup_cause=16,
        record_ids=(kept.RECORD,),
        participants=(ALICE, BOB),
        status=CallStatus.ANSWERED,
        destination_context="house",
    )


def recorded(file: int = 1, **values: Any) -> Section:
    """A section of that call."""
    return replace(stored(file), **values)


def another(number: int, **values: Any) -> tuple[Section, dict[str, Any]]:
    """A section and the values of another call than the first."""
    record = RecordId(f"{number}_{number}")
    section = recorded(call_id=CallId(f"{number}.{number}"), record_id=record, path=f"{number}.wav", **values)
    return section, {"call_id": section.call_id, "record_ids": (record,)}


def uuid_of(section: Section) -> str:
    return str(recording_uuid(section.key))


@contextlib.asynccontextmanager
async def opened(office: Office) -> AsyncIterator[TestClient[Request, Application]]:
    async with office.opened() as client:
        yield client


async def refused(response: aiohttp.ClientResponse, status: int, error_id: str) -> Mapping[str, Any]:
    """The details of an error in Wazo's words."""
    text = await response.text()
    assert response.status == status, text
    body = await response.json()
    assert set(body) == {"message", "error_id", "details", "timestamp"}
    assert isinstance(body["timestamp"], float)
    assert body["error_id"] == error_id
    details: Mapping[str, Any] = body["details"]
    return details
