"""Exports, as wazo-call-logd's clients ask for them."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role, Scope
from bridge.core.errors import TooManyExportsError
from bridge.core.exports import Export, ExportId, ExportStatus
from bridge.core.people import USERS_NAMESPACE
from bridge.core.store import PutExport
from tests.api.house import ALICE, BOB, CAROL, DAVE, ROOT
from tests.api.wazo.office import (
    ALICE_UUID,
    BASE,
    EXPORT,
    TENANT,
    FakeExports,
    Office,
    another,
    recorded,
    refused,
)
from tests.storage import kept

Client = TestClient[Request, Application]
PATH = f"{BASE}/cdr/recordings/media/export"
ZIP = b"PK" + bytes(1000)


def exports_of(office: Office) -> FakeExports:
    assert isinstance(office.exports, FakeExports)
    return office.exports


async def asked(office: Office, client: Client, body: object = None, **query: str) -> list[tuple[int, int]]:
    """The calls of the last export, each with how many recordings."""
    headers = await office.client_token(ROOT, Role.ADMIN)
    response = await client.post(PATH, headers=headers, params=query, json=body or {})
    assert response.status == 202, await response.text()
    return list(Counter(number for number, _ in exports_of(office).asked[-1]).items())


async def put(office: Office, status: ExportStatus, **values: Any) -> Export:
    export = Export(ExportId(EXPORT), ALICE, kept.NOON, status, 1, 4, **values)
    await office.store.commit([PutExport(export)])
    return export


async def test_an_export_is_asked_for_and_says_where_it_is(office: Office, wazo: Client) -> None:
    await office.call(recorded(1), recorded(2))
    headers = await office.client_token(ALICE, scopes=[Scope.EXPORT])
    for base in (BASE, "/1.0"):
        response = await wazo.post(
            f"{base}/cdr/recordings/media/export",
            headers=headers,
            params={"email": "alice@example.com", "tenant_uuid": TENANT},
            json={},
        )
        assert response.status == 202
        assert response.headers["Location"] == f"{base}/exports/{EXPORT}"
        assert await response.json() == {"uuid": EXPORT, "export_uuid": EXPORT}
    export = await (await wazo.get(f"{BASE}/exports/{EXPORT}", headers=headers)).json()
    assert export["status"] == "pending"
    kept_export = await office.store.export(ExportId(EXPORT))
    assert kept_export is not None
    assert (kept_export.email, kept_export.owner) == ("alice@example.com", ALICE)


async def test_only_recordings_that_are_there_and_visible_are_exported(office: Office, wazo: Client) -> None:
    section, values = another(2, deleted_at=kept.NOON)
    third, others = another(3, participants=(DAVE,))
    await office.call(recorded(1), recorded(2, deleted_at=kept.NOON), recorded(3, participants=(BOB, DAVE)))
    await office.call(section, **values)
    await office.call(third, **others, participants=(DAVE,))
    assert await asked(office, wazo) == [(3, 1), (1, 2)]
    headers = await office.client_token(ALICE, scopes=[Scope.EXPORT])
    assert (await wazo.post(PATH, headers=headers, json={})).status == 202
    assert [(number, key.file) for number, key in exports_of(office).asked[-1]] == [(1, 1)]


async def test_what_is_still_recorded_or_never_was_is_no_recording_to_export(office: Office, wazo: Client) -> None:
    section, values = another(2)
    await office.call(recorded(1, report=None), recorded(2, report=None))
    await office.call(section, **values)
    headers = await office.client_token(ROOT, Role.ADMIN)
    await refused(await wazo.post(PATH, headers=headers, json={"cdr_ids": [1]}), 400, "no-recording-to-export")
    assert await asked(office, wazo) == [(2, 1)]


async def test_the_filters_of_lists_hold_and_cdr_ids_too(office: Office, wazo: Client) -> None:
    hour = timedelta(hours=1)
    section, values = another(2, tags=("vip",))
    await office.call(recorded())
    await office.call(section, **values, started_at=kept.NOON + hour, direction="inbound")
    assert await asked(office, wazo, **{"from": "2026-08-01T12:30:00Z"}) == [(2, 1)]
    assert await asked(office, wazo, until="2026-08-01T12:30:00Z") == [(1, 1)]
    assert await asked(office, wazo, to="2026-08-01T12:30:00Z", recurse="False") == [(1, 1)]
    assert await asked(office, wazo, call_direction="inbound") == [(2, 1)]
    assert await asked(office, wazo, tags="vip") == [(2, 1)]
    assert await asked(office, wazo, from_id="2") == [(2, 1)]
    assert await asked(office, wazo, {"cdr_ids": [1, 7]}) == [(1, 1)]
    assert await asked(office, wazo, {"cdr_ids": []}) == [(2, 1), (1, 1)]
    headers = await office.client_token(ROOT, Role.ADMIN)
    for body, query in (({"cdr_ids": [1]}, {"call_direction": "inbound"}), ({}, {"search": "nobody"})):
        await refused(await wazo.post(PATH, headers=headers, params=query, json=body), 400, "no-recording-to-export")


@pytest.mark.parametrize("field", ["from", "until", "call_direction", "email", "from_id", "recurse"])
async def test_wrong_values_are_named(office: Office, wazo: Client, field: str) -> None:
    headers = await office.client_token(ROOT, Role.ADMIN)
    for value in ("abcd", "12:345", "2017-042-10", "-1"):
        response = await wazo.post(PATH, headers=headers, params={field: value}, json={})
        assert field in await refused(response, 400, "invalid-data")


@pytest.mark.parametrize("email", ["a@b\nBcc: c@example.com", "a b@example.com", "@example.com", "a@", "a@b", 7])
async def test_no_mail_goes_to_what_is_no_address(office: Office, wazo: Client, email: object) -> None:
    await office.call(recorded())
    headers = await office.client_token(ROOT, Role.ADMIN)
    response = await wazo.post(PATH, headers=headers, data=json.dumps({"email": email}))
    assert "email" in await refused(response, 400, "invalid-data")


async def test_exports_need_their_scope(office: Office, wazo: Client) -> None:
    await office.call(recorded())
    await put(office, ExportStatus.FINISHED)
    headers = await office.client_token(ALICE)
    details = await refused(await wazo.post(PATH, headers=headers, json={}), 401, "unauthorized")
    assert details["required_access"] == "call-logd.cdr.recordings.media.export.create"
    await refused(await wazo.get(f"{BASE}/exports/{EXPORT}/download", headers=headers), 401, "unauthorized")
    await refused(await wazo.delete(f"{BASE}/exports/{EXPORT}", headers=headers), 401, "unauthorized")


async def test_too_many_exports_may_be_asked_for_later(
    office: Office, wazo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_many(*_: object) -> Export:
        raise TooManyExportsError("ten exports wait")

    monkeypatch.setattr(exports_of(office), "ask", too_many)
    await office.call(recorded())
    response = await wazo.post(PATH, headers=await office.client_token(ROOT, Role.ADMIN), json={})
    await refused(response, 429, "too-many-requests")
    assert int(response.headers["Retry-After"]) > 0


async def test_an_export_says_how_far_it_is(office: Office, wazo: Client) -> None:
    await put(office, ExportStatus.PROCESSING, done=1, missing=1)
    headers = await office.client_token(ALICE)
    item = await (await wazo.get(f"{BASE}/exports/{EXPORT}", headers=headers)).json()
    assert item == {
        "uuid": EXPORT,
        "tenant_uuid": TENANT,
        "user_uuid": ALICE_UUID,
        "requested_at": "2026-08-01T12:00:00.123456+00:00",
        "date": "2026-08-01T12:00:00.123456+00:00",
        "filename": f"2026-08-01T12_00_00UTC-{EXPORT}.zip",
        "status": "processing",
        "recordings": 4,
        "done": 1,
        "missing": 1,
        "progress": 0.25,
        "size": None,
        "finished_at": None,
        "expires_at": None,
        "reason": None,
    }


async def test_an_export_is_its_owners_and_the_admins(office: Office, wazo: Client) -> None:
    office.supervises[CAROL] = frozenset({ALICE})
    await put(office, ExportStatus.FINISHED)
    for identity, role, status in (
        (ALICE, Role.USER, 200),
        (ROOT, Role.ADMIN, 200),
        (CAROL, Role.SUPERVISOR, 404),
        (BOB, Role.USER, 404),
    ):
        headers = await office.client_token(identity, role, list(Scope))
        assert (await wazo.get(f"{BASE}/exports/{EXPORT}", headers=headers)).status == status
        if status == 404:
            for ask in (wazo.delete(f"{BASE}/exports/{EXPORT}", headers=headers),):
                await refused(await ask, 404, "export-not-found-with-given-uuid")
    headers = await office.client_token(ROOT, Role.ADMIN)
    for uuid in ("x", str(USERS_NAMESPACE)):
        details = await refused(
            await wazo.get(f"{BASE}/exports/{uuid}", headers=headers), 404, "export-not-found-with-given-uuid"
        )
        assert details == {"export_uuid": uuid}


@pytest.mark.parametrize("status", [ExportStatus.PENDING, ExportStatus.PROCESSING])
async def test_a_zip_that_is_not_made_yet_is_202_with_an_errors_body(
    office: Office, wazo: Client, status: ExportStatus
) -> None:
    await put(office, status)
    headers = await office.client_token(ALICE, scopes=[Scope.EXPORT])
    details = await refused(
        await wazo.get(f"{BASE}/exports/{EXPORT}/download", headers=headers), 202, "export-not-done-yet"
    )
    assert details == {"export_uuid": EXPORT}


@pytest.mark.parametrize("status", [ExportStatus.DELETED, ExportStatus.ERROR])
async def test_an_export_without_a_zip_is_404(office: Office, wazo: Client, status: ExportStatus) -> None:
    await put(office, status, reason="no-space")
    headers = await office.client_token(ALICE, scopes=[Scope.EXPORT])
    response = await wazo.get(f"{BASE}/exports/{EXPORT}/download", headers=headers)
    details = await refused(response, 404, "export-not-found-with-given-uuid")
    assert details == {"export_uuid": EXPORT, "reason": "no-space"}


async def test_a_zip_is_downloaded_by_range_and_by_a_mails_link(office: Office, wazo: Client) -> None:
    export = await put(office, ExportStatus.FINISHED)
    exports_of(office).file(export).write_bytes(ZIP)
    # What the client sends for a zip.
    headers = await office.client_token(ALICE, scopes=[Scope.EXPORT]) | {"Content-Type": "application/json"}
    path = f"{BASE}/exports/{EXPORT}/download"
    response = await wazo.get(path, headers=headers)
    assert (response.status, response.content_type, await response.read()) == (200, "application/zip", ZIP)
    expected = f"attachment; filename=2026-08-01T12_00_00UTC-{EXPORT}.zip"
    assert response.headers["Content-Disposition"] == expected
    part = await wazo.get(path, headers=headers | {"Range": "bytes=2-3"})
    assert (part.status, await part.read()) == (206, ZIP[2:4])
    link = {"token": headers["X-Auth-Token"], "tenant": TENANT}
    assert await (await wazo.get(path, params=link)).read() == ZIP
    assert exports_of(office).downloads == [ALICE] * 3
    assert (await wazo.head(path, headers=headers)).headers["Content-Length"] == str(len(ZIP))
    assert exports_of(office).downloads == [ALICE] * 3


async def test_a_zip_that_may_not_be_had_any_more_is_404(office: Office, wazo: Client) -> None:
    export = await put(office, ExportStatus.FINISHED)
    headers = await office.client_token(ALICE, scopes=[Scope.EXPORT])
    path = f"{BASE}/exports/{EXPORT}/download"
    await refused(await wazo.get(path, headers=headers), 500, "export-filesystem-not-found")
    exports_of(office).file(export).write_bytes(ZIP)
    exports_of(office).gone = True
    await refused(await wazo.get(path, headers=headers), 404, "export-not-found-with-given-uuid")


async def test_an_export_is_cancelled_once(office: Office, wazo: Client) -> None:
    export = await put(office, ExportStatus.PROCESSING)
    headers = await office.client_token(ALICE, scopes=[Scope.EXPORT])
    assert (await wazo.delete(f"{BASE}/exports/{EXPORT}", headers=headers)).status == 204
    await office.store.commit([PutExport(replace(export, status=ExportStatus.DELETED))])
    assert (await wazo.delete(f"{BASE}/exports/{EXPORT}", headers=headers)).status == 204
    assert exports_of(office).cancelled == [EXPORT]


async def test_a_daemon_that_makes_no_exports_says_so(office: Office) -> None:
    office.exports = None
    await office.call(recorded())
    async with office.opened() as client:
        response = await client.post(PATH, headers=await office.client_token(ROOT, Role.ADMIN), json={})
        await refused(response, 503, "service-unavailable")
