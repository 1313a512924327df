"""Exports over our own API: of which calls, whose, how far, and their zips."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role, Scope
from bridge.core.errors import TooManyExportsError
from bridge.core.exports import Export, ExportId, ExportStatus, Progress
from bridge.core.ids import CallId
from bridge.core.store import PutExport
from bridge.core.views import epoch_ms
from tests.api.house import ALICE, BOB, CAROL, DAVE, ROOT, error_of
from tests.api.wazo.office import EXPORT, FakeExports, Office, another, recorded
from tests.storage import kept

Client = TestClient[Request, Application]
PATH = "/api/v1/exports"
ONE = f"{PATH}/{EXPORT}"
ZIP = b"PK" + bytes(1000)


@pytest.fixture
async def office(tmp_path: Path) -> Office:
    root = tmp_path / "spool"
    root.mkdir()
    office = Office(root)
    office.exports = FakeExports(office.store, tmp_path)
    return office


@pytest.fixture
async def client(office: Office) -> AsyncIterator[Client]:
    async with office.opened() as client:
        yield client


def exports_of(office: Office) -> FakeExports:
    assert isinstance(office.exports, FakeExports)
    return office.exports


async def put(office: Office, status: ExportStatus, **values: Any) -> Export:
    export = replace(Export(ExportId(EXPORT), ALICE, kept.NOON, status, 1, 4), **values)
    await office.store.commit([PutExport(export)])
    return export


async def test_an_export_is_asked_for_and_says_where_it_is(office: Office, client: Client) -> None:
    await office.call(recorded(1), recorded(2))
    headers = await office.token(ALICE, scopes=[Scope.EXPORT])
    response = await client.post(PATH, headers=headers, json={"cdrs": [1], "email": "alice@example.com"})
    assert (response.status, response.headers["Location"]) == (202, ONE)
    asked = await response.json()
    assert (asked["id"], asked["status"], asked["calls"], asked["recordings"]) == (EXPORT, "pending", 1, 2)
    assert await (await client.get(ONE, headers=headers)).json() == asked
    assert exports_of(office).links == ["/exports?id={}"]
    export = await office.store.export(ExportId(EXPORT))
    assert export is not None
    assert (export.owner, export.email) == (ALICE, "alice@example.com")


async def test_only_recordings_that_are_there_and_visible_are_exported(office: Office, client: Client) -> None:
    section, values = another(2, deleted_at=kept.NOON)
    third, others = another(3, participants=(DAVE,))
    await office.call(recorded(1), recorded(2, deleted_at=kept.NOON), recorded(3, participants=(BOB, DAVE)))
    await office.call(section, **values)
    await office.call(third, **others, participants=(DAVE,))
    for identity, role, expected in (
        (ALICE, Role.USER, [(1, 1)]),
        (ROOT, Role.ADMIN, [(1, 1), (1, 3), (3, 1)]),
    ):
        headers = await office.token(identity, role, [Scope.EXPORT])
        response = await client.post(PATH, headers=headers, json={"cdrs": [1, 2, 3, 7]})
        assert response.status == 202
        assert sorted((number, key.file) for number, key in exports_of(office).asked[-1]) == expected
    await error_of(await client.post(PATH, headers=headers, json={"cdrs": [2]}), 409, "no-recording-to-export")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [1, 2]),
        ({"direction": "inbound"}, [2]),
        ({"from": epoch_ms(kept.NOON) + 60_000}, [2]),
        ({"until": kept.NOON.isoformat(), "from": 0}, []),
        ({"user": "dave"}, [2]),
        ({"number": "822", "minS": 1}, [1, 2]),
        ({"minS": 100}, []),
        ({"recorded": True}, [1, 2]),
        ({"recorded": "false"}, []),
        ({"status": "answered", "search": "alice"}, [1, 2]),
    ],
)
async def test_a_filter_finds_what_the_list_of_calls_finds_that_is_recorded(
    office: Office, client: Client, wanted: dict[str, object], found: list[int]
) -> None:
    section, values = another(2, participants=(ALICE, DAVE))
    await office.call(recorded())
    later = kept.NOON + timedelta(hours=1)
    await office.call(section, **values, participants=(ALICE, DAVE), direction="inbound", started_at=later)
    await office.call(call_id=CallId("3.3"), record_ids=())
    headers = await office.token(ROOT, Role.ADMIN)
    response = await client.post(PATH, headers=headers, json={"filter": wanted})
    if not found:
        await error_of(response, 409, "no-recording-to-export")
        return
    assert response.status == 202, await response.text()
    assert sorted(number for number, _ in exports_of(office).asked[-1]) == found


async def test_a_filter_finds_only_what_is_ones_to_see(office: Office, client: Client) -> None:
    section, values = another(2, participants=(DAVE,))
    await office.call(recorded(1), recorded(2, participants=(BOB,)))
    await office.call(section, **values, participants=(DAVE,))
    headers = await office.token(ALICE, scopes=[Scope.EXPORT])
    assert (await client.post(PATH, headers=headers, json={"filter": {}})).status == 202
    assert [(number, key.file) for number, key in exports_of(office).asked[-1]] == [(1, 1)]
    response = await client.post(PATH, headers=headers, json={"filter": {"user": "dave"}})
    await error_of(response, 409, "no-recording-to-export")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"cdrs": [1], "filter": {}}, "body"),
        ({"filter": {"number": "1", "limit": 5}}, "filter.limit"),
        ({"filter": {"until": "tomorrow"}}, "filter.until"),
        ({"filter": {"direction": "sideways"}}, "filter.direction"),
        ({"cdrs": []}, "cdrs"),
        ({"cdrs": ["1"]}, "cdrs.0"),
        ({"cdrs": [0]}, "cdrs.0"),
        ({"cdrs": [2**63]}, "cdrs.0"),
        ({"cdrs": [1], "all": True}, "all"),
        ({"cdrs": [1], "email": "a@b\nBcc: c@example.com"}, "email"),
        ({"cdrs": [1], "email": "alice@example.com\n"}, "email"),
        ({"cdrs": [1], "email": "x alice@example.com"}, "email"),
    ],
)
async def test_what_makes_no_sense_is_named(office: Office, client: Client, body: object, field: str) -> None:
    await office.call(recorded())
    headers = await office.token(ROOT, Role.ADMIN)
    details = await error_of(await client.post(PATH, headers=headers, json=body), 400, "invalid-request")
    assert field in details
    assert not exports_of(office).asked


async def test_exports_need_their_scope(office: Office, client: Client) -> None:
    await office.call(recorded())
    export = await put(office, ExportStatus.FINISHED)
    exports_of(office).file(export).write_bytes(ZIP)
    headers = await office.token(ALICE, scopes=[Scope.DOWNLOAD, Scope.PLAY])
    await error_of(await client.post(PATH, headers=headers, json={"cdrs": [1]}), 403, "forbidden")
    await error_of(await client.get(f"{ONE}/download", headers=headers), 403, "forbidden")
    await error_of(await client.delete(ONE, headers=headers), 403, "forbidden")
    assert (exports_of(office).downloads, exports_of(office).cancelled) == ([], [])
    assert (await client.get(ONE, headers=headers)).status == 200


async def test_too_many_exports_may_be_asked_for_later(
    office: Office, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_many(*_: object) -> Export:
        raise TooManyExportsError("ten exports wait")

    monkeypatch.setattr(exports_of(office), "ask", too_many)
    await office.call(recorded())
    response = await client.post(PATH, headers=await office.token(ROOT, Role.ADMIN), json={"cdrs": [1]})
    await error_of(response, 429, "too-many-requests")
    assert int(response.headers["Retry-After"]) > 0


async def test_an_export_says_how_far_it_is(office: Office, client: Client) -> None:
    minute = timedelta(minutes=1)
    begun = (await put(office, ExportStatus.PENDING)).begun(kept.NOON)
    export = begun.progressed(kept.NOON + minute, Progress(1, 1, 400, 100))
    await office.store.commit([PutExport(export)])
    headers = await office.token(ALICE)
    making = {
        "id": EXPORT,
        "owner": "alice",
        "status": "processing",
        "askedAt": epoch_ms(kept.NOON),
        "calls": 1,
        "recordings": 4,
        "done": 1,
        "missing": 1,
        "wantedBytes": 400,
        "doneBytes": 100,
        "endsAt": epoch_ms(kept.NOON + 4 * minute),
        "finishedAt": None,
        "expiresAt": None,
        "sizeBytes": None,
        "fileName": f"2026-08-01T12_00_00UTC-{EXPORT}.zip",
        "reason": None,
    }
    assert await (await client.get(ONE, headers=headers)).json() == making
    finished = export.finished(kept.NOON + 2 * minute, timedelta(days=2), 500, 1)
    await office.store.commit([PutExport(finished)])
    assert await (await client.get(ONE, headers=headers)).json() == making | {
        "status": "finished",
        "done": 4,
        "doneBytes": 400,
        "endsAt": None,
        "finishedAt": epoch_ms(kept.NOON + 2 * minute),
        "expiresAt": epoch_ms(kept.NOON + 2 * minute + timedelta(days=2)),
        "sizeBytes": 500,
    }


async def test_an_export_is_its_owners_and_the_admins(office: Office, client: Client) -> None:
    office.supervises[CAROL] = frozenset({ALICE})
    export = await put(office, ExportStatus.FINISHED)
    exports_of(office).file(export).write_bytes(ZIP)
    for identity, role, sees in (
        (ALICE, Role.USER, True),
        (ROOT, Role.ADMIN, True),
        (CAROL, Role.SUPERVISOR, False),
        (BOB, Role.USER, False),
    ):
        headers = await office.token(identity, role, list(Scope))
        items = (await (await client.get(PATH, headers=headers)).json())["items"]
        assert [one["id"] for one in items] == ([EXPORT] if sees else [])
        assert (await client.get(ONE, headers=headers)).status == (200 if sees else 404)
        assert (await client.get(f"{ONE}/download", headers=headers)).status == (200 if sees else 404)
        assert (await client.delete(ONE, headers=headers)).status == (204 if sees else 404)
    assert exports_of(office).downloads == [ALICE, ROOT]
    for path in (f"{PATH}/x", f"{PATH}/0a1b2c3d-0000-4000-8000-00000000ffff"):
        await error_of(await client.get(path, headers=headers), 404, "not-found")


async def test_the_newest_exports_come_first(office: Office, client: Client) -> None:
    for number in range(1, 4):
        export_id = ExportId(f"0a1b2c3d-0000-4000-8000-00000000000{number}")
        await put(office, ExportStatus.PENDING, id=export_id, asked_at=kept.NOON + timedelta(hours=number))
    headers = await office.token(ALICE)
    items = (await (await client.get(PATH, headers=headers, params={"limit": "2"})).json())["items"]
    assert [one["id"][-1] for one in items] == ["3", "2"]
    await error_of(await client.get(PATH, headers=headers, params={"limit": "0"}), 400, "invalid-request")
    await error_of(await client.get(PATH, headers=headers, params={"owner": "bob"}), 400, "invalid-request")


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (ExportStatus.PENDING, 409, "export-not-done"),
        (ExportStatus.PROCESSING, 409, "export-not-done"),
        (ExportStatus.DELETED, 410, "export-over"),
        (ExportStatus.ERROR, 410, "export-over"),
    ],
)
async def test_what_has_no_zip_says_why(
    office: Office, client: Client, status: ExportStatus, answer: int, code: str
) -> None:
    await put(office, status, reason="no-space")
    headers = await office.token(ALICE, scopes=[Scope.EXPORT])
    details = await error_of(await client.get(f"{ONE}/download", headers=headers), answer, code)
    assert details == ({"reason": "no-space"} if answer == 410 else {"done": 0, "recordings": 4})


async def test_a_zip_is_downloaded_in_pieces_that_fit_together(office: Office, client: Client) -> None:
    export = await put(office, ExportStatus.FINISHED)
    exports_of(office).file(export).write_bytes(ZIP)
    headers = await office.token(ALICE, scopes=[Scope.EXPORT])
    path = f"{ONE}/download"
    response = await client.get(path, headers=headers)
    assert (response.status, response.content_type, await response.read()) == (200, "application/zip", ZIP)
    expected = f'attachment; filename="2026-08-01T12_00_00UTC-{EXPORT}.zip"'
    assert response.headers["Content-Disposition"] == expected
    again = headers | {"Range": "bytes=600-", "If-Range": response.headers["ETag"]}
    rest = await client.get(path, headers=again)
    assert (rest.status, await rest.read()) == (206, ZIP[600:])
    exports_of(office).file(export).write_bytes(ZIP + b"changed")
    whole = await client.get(path, headers=again)
    assert (whole.status, await whole.read()) == (200, ZIP + b"changed")
    too_far = await client.get(path, headers=headers | {"Range": "bytes=9999-"})
    await error_of(too_far, 416, "range-not-satisfiable")
    downloads = len(exports_of(office).downloads)
    assert (await client.head(path, headers=headers)).headers["Content-Length"] == str(len(ZIP) + 7)
    assert len(exports_of(office).downloads) == downloads


async def test_a_zip_that_may_not_be_had_any_more_is_410(office: Office, client: Client) -> None:
    export = await put(office, ExportStatus.FINISHED)
    headers = await office.token(ALICE, scopes=[Scope.EXPORT])
    details = await error_of(await client.get(f"{ONE}/download", headers=headers), 410, "export-over")
    assert details == {"reason": "file-missing"}
    exports_of(office).file(export).write_bytes(ZIP)
    exports_of(office).gone = True
    await error_of(await client.get(f"{ONE}/download", headers=headers), 410, "export-over")


async def test_an_export_is_cancelled_once(office: Office, client: Client) -> None:
    export = await put(office, ExportStatus.PROCESSING)
    headers = await office.token(ALICE, scopes=[Scope.EXPORT])
    assert (await client.delete(ONE, headers=headers)).status == 204
    await office.store.commit([PutExport(replace(export, status=ExportStatus.DELETED))])
    assert (await client.delete(ONE, headers=headers)).status == 204
    assert exports_of(office).cancelled == [EXPORT]


async def test_a_daemon_that_makes_no_exports_says_so(office: Office) -> None:
    office.exports = None
    await office.call(recorded())
    async with office.opened() as client:
        response = await client.post(PATH, headers=await office.token(ROOT, Role.ADMIN), json={"cdrs": [1]})
        await error_of(response, 404, "not-found")
