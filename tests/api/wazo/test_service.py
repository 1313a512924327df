"""How long things are kept, how the service is, and who may ask it what."""

from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role
from bridge.core.errors import StoreError
from bridge.core.live import NotReady
from bridge.core.settings import Settings
from tests.api.house import ALICE, CAROL, ROOT
from tests.api.wazo.office import BASE, TENANT, FakeSetting, Office, refused

Client = TestClient[Request, Application]
RETENTION = f"{BASE}/retention"


async def retention(office: Office, client: Client) -> dict[str, Any]:
    response = await client.get(RETENTION, headers=await office.client_token(ROOT, Role.ADMIN))
    assert response.status == 200
    body: dict[str, Any] = await response.json()
    return body


async def test_what_was_not_set_is_null_beside_its_default(office: Office, wazo: Client) -> None:
    assert await retention(office, wazo) == {
        "tenant_uuid": TENANT,
        "cdr_days": None,
        "export_days": None,
        "recording_days": None,
        "default_cdr_days": None,
        "default_export_days": 2,
        "default_recording_days": 365,
    }


async def test_what_is_put_holds_and_what_is_not_named_is_unset(office: Office, wazo: Client) -> None:
    assert isinstance(office.setting, FakeSetting)
    office.setting.current = Settings(record_toggle=False)
    headers = await office.client_token(ROOT, Role.ADMIN)
    response = await wazo.put(RETENTION, headers=headers, json={"cdr_days": 2, "recording_days": 2, "export_days": "1"})
    assert (response.status, await response.read()) == (204, b"")
    body = await retention(office, wazo)
    assert (body["cdr_days"], body["recording_days"], body["export_days"]) == (2, 2, 1)
    assert (await wazo.put(RETENTION, headers=headers, json={"recording_days": 0, "cdr_days": None})).status == 204
    assert office.setting.current == Settings(recording_days=0, record_toggle=False)
    assert office.setting.by == [ROOT, ROOT]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cdr_days": 1, "recording_days": 2}, "recording_days"),
        ({"cdr_days": -1}, "cdr_days"),
        ({"export_days": "x"}, "export_days"),
        ({"recording_days": 1.5}, "recording_days"),
        ({"recording_days": True}, "recording_days"),
        ({"cdr_days": 10**12}, "cdr_days"),
    ],
)
async def test_wrong_days_change_nothing(office: Office, wazo: Client, body: dict[str, Any], field: str) -> None:
    headers = await office.client_token(ROOT, Role.ADMIN)
    assert list(await refused(await wazo.put(RETENTION, headers=headers, json=body), 400, "invalid-data")) == [field]
    assert isinstance(office.setting, FakeSetting)
    assert office.setting.by == []


@pytest.mark.parametrize(("identity", "role"), [(ALICE, Role.USER), (CAROL, Role.SUPERVISOR)])
async def test_only_admins_see_and_set(office: Office, wazo: Client, identity: Any, role: Role) -> None:
    headers = await office.client_token(identity, role)
    await refused(await wazo.get(RETENTION, headers=headers), 401, "unauthorized")
    await refused(await wazo.put(RETENTION, headers=headers, json={}), 401, "unauthorized")
    await refused(await wazo.get(f"{BASE}/config", headers=headers), 401, "unauthorized")


async def test_a_daemon_without_settings_says_so(office: Office) -> None:
    office.setting = None
    async with office.opened() as client:
        headers = await office.client_token(ROOT, Role.ADMIN)
        await refused(await client.get(RETENTION, headers=headers), 503, "service-unavailable")


@pytest.mark.parametrize("root", ["/1.0", "/1.1", "/0.1", BASE, "/api/calld/1.0", "/api/confd/1.1", "/api/auth/0.1"])
async def test_a_client_finds_the_server_reachable(wazo: Client, root: str) -> None:
    response = await wazo.head(root, headers={"Connection": "close"})
    assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize(
    ("codes", "bus", "tasks"),
    [
        ([], "ok", "ok"),
        (["asterisk-unreachable"], "fail", "ok"),
        (["spool-missing"], "ok", "fail"),
        (["asterisk-login-refused", "database-not-written"], "fail", "fail"),
    ],
)
async def test_status(office: Office, wazo: Client, codes: list[str], bus: str, tasks: str) -> None:
    office.not_ready = [NotReady(code, "words") for code in codes]
    body = await (await wazo.get(f"{BASE}/status", headers=await office.client_token(ALICE))).json()
    assert body == {
        "bus_consumer": {"status": bus},
        "task_queue": {"status": tasks},
        "service_token": {"status": "ok"},
    }


async def test_config_has_no_secrets(office: Office, wazo: Client) -> None:
    response = await wazo.get(f"{BASE}/config", headers=await office.client_token(ROOT, Role.ADMIN))
    assert await response.json() == {"debug": False, "tenant_uuid": TENANT, "systemname": "pbx"}


@pytest.mark.parametrize("path", ["/cdr", "/cdr/1", "/users/me/cdr", "/retention", "/status", "/exports/x/download"])
async def test_without_a_token_nothing_is_said(wazo: Client, path: str) -> None:
    for headers in ({}, {"X-Auth-Token": "rb_0123456789abcdef_" + "x" * 43}):
        response = await wazo.get(BASE + path, headers=headers)
        await refused(response, 401, "unauthorized")
        assert (await response.json())["message"] == "Unauthorized"


async def test_another_tenant_is_refused(office: Office, wazo: Client) -> None:
    headers = await office.client_token(ROOT, Role.ADMIN)
    other = "00000000-0000-4000-8000-000000000000"
    response = await wazo.get(f"{BASE}/cdr", headers=headers | {"Wazo-Tenant": other})
    assert await refused(response, 401, "unauthorized-tenant") == {"tenant_uuid": other}
    for tenant in (TENANT.upper(), ""):
        assert (await wazo.get(f"{BASE}/cdr", headers=headers | {"Wazo-Tenant": tenant})).status == 200
    del headers["Wazo-Tenant"]
    assert (await wazo.get(f"{BASE}/cdr", headers=headers)).status == 200


async def test_whatever_goes_wrong_below_wazos_paths_is_in_wazos_words(office: Office, wazo: Client) -> None:
    headers = await office.client_token(ROOT, Role.ADMIN)
    await refused(await wazo.get("/1.0/nothing", headers=headers), 404, "not-found")
    await refused(await wazo.put(f"{BASE}/cdr", headers=headers), 405, "method-not-allowed")
    too_large = await wazo.delete(f"{BASE}/cdr/recordings/media", headers=headers, data=b" " * 70_000)
    await refused(too_large, 413, "body-too-large")
    assert isinstance((await (await wazo.get("/api/v1/nothing")).json())["timestamp"], int)
    office.store.broken = StoreError("/var/lib/recbridge.db is locked")
    await refused(await wazo.get(f"{BASE}/cdr", headers=headers), 503, StoreError.code)
