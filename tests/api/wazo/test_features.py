"""wazo-confd's feature extensions: the two keys, and how they are disabled."""

from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role
from bridge.core.errors import StoreError
from bridge.core.records import FactKind
from bridge.core.settings import Settings
from bridge.settings import SettingKeeper
from tests.api.house import ALICE, ROOT, House

Client = TestClient[Request, Application]
ROOTS = ["/1.1/extensions/features", "/api/confd/1.1/extensions/features"]
CALLRECORD = {
    "id": 1,
    "uuid": "b87fd851-1526-5cd6-9e59-df4feef2c605",
    "exten": "*26",
    "context": "xivo-features",
    "feature": "callrecord",
    "enabled": True,
    "links": [],
}


@pytest.fixture
def applied() -> list[Settings]:
    """What the recorder is told, in order."""
    return []


@pytest.fixture
def keeper(house: House, applied: list[Settings]) -> SettingKeeper:
    house.setting = keeper = SettingKeeper(house.store, Settings(cdr_days=9), applied.append, lambda: house.now)
    return keeper


async def error_of(response: Any, status: int, error_id: str) -> dict[str, Any]:
    body: dict[str, Any] = await response.json()
    assert (response.status, body["error_id"]) == (status, error_id)
    details = body["details"]
    assert isinstance(details, dict)
    return details


@pytest.mark.usefixtures("keeper")
@pytest.mark.parametrize("root", ROOTS)
async def test_the_keys_are_listed(house: House, client: Client, root: str) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    response = await client.get(root, headers=headers, params={"feature": "callrecord"})
    assert (response.status, await response.json()) == (200, {"total": 1, "items": [CALLRECORD]})
    for query, extens in (
        ({}, ["*26", "*3"]),
        ({"search": "*3"}, ["*3"]),
        ({"search": "RECORD"}, ["*26", "*3"]),
        ({"feature": "togglerecord"}, ["*3"]),
        ({"exten": "*26"}, ["*26"]),
        ({"feature": "fwdbusy"}, []),
        ({"limit": "1", "offset": "1", "order": "exten", "direction": "asc"}, ["*3"]),
    ):
        body = await (await client.get(root, headers=headers, params=query)).json()
        assert [one["exten"] for one in body["items"]] == extens


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("key", [("*26", "call_record_toggle"), ("*3", "record_toggle")])
async def test_a_key_is_disabled_and_enabled_again(
    keeper: SettingKeeper, house: House, client: Client, root: str, key: tuple[str, str]
) -> None:
    exten, setting = key
    headers = await house.token(ROOT, Role.ADMIN)
    (item,) = (await (await client.get(root, headers=headers, params={"exten": exten})).json())["items"]
    for name in (item["id"], item["uuid"], item["uuid"].upper()):
        for enabled in (False, True):
            response = await client.put(f"{root}/{name}", headers=headers, json={"enabled": enabled})
            assert (response.status, await response.read()) == (204, b"")
            assert keeper.current == Settings(cdr_days=9, **{setting: enabled})
            assert await house.store.settings() == keeper.current
            shown = await client.get(f"{root}/{name}", headers=headers)
            assert (shown.status, await shown.json()) == (200, {**item, "enabled": enabled})


async def test_what_is_set_holds_at_once_and_is_a_fact(
    keeper: SettingKeeper, applied: list[Settings], house: House, client: Client
) -> None:
    path, headers = f"{ROOTS[0]}/1", await house.token(ROOT, Role.ADMIN)
    for _ in range(2):
        assert (await client.put(path, headers=headers, json={"enabled": False})).status == 204
    assert applied == [Settings(cdr_days=9), Settings(cdr_days=9, call_record_toggle=False)]
    (fact,) = await house.store.facts_after(0, 10)  # type: ignore[arg-type]  # a number will do
    assert (fact.fact.kind, fact.fact.personal) == (FactKind.SETTINGS_SET, {"identity": "root"})
    assert fact.fact.data["call_record_toggle"] is False
    assert keeper.current.record_toggle is True


@pytest.mark.parametrize(
    ("body", "enabled"),
    [
        ({}, True),
        (None, True),
        ({"exten": "*26"}, True),
        ({**CALLRECORD, "enabled": False}, False),
        ({"feature": "x", "context": 7, "nothing": []}, True),
        ({"enabled": "false"}, False),
        ({"enabled": "Off"}, False),
        ({"enabled": 0}, False),
        ({"enabled": "yes"}, True),
        ({"enabled": 1}, True),
    ],
)
async def test_what_a_client_sends_back_is_taken(
    keeper: SettingKeeper, house: House, client: Client, body: object, enabled: bool
) -> None:
    response = await client.put(f"{ROOTS[0]}/1", headers=await house.token(ROOT, Role.ADMIN), json=body)
    assert (response.status, keeper.current.call_record_toggle) == (204, enabled)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"enabled": "perhaps"}, ["enabled"]),
        ({"enabled": None}, ["enabled"]),
        ({"enabled": 2}, ["enabled"]),
        ({"enabled": []}, ["enabled"]),
        ({"enabled": False, "exten": "*27"}, ["exten"]),
        ({"exten": 26}, ["exten"]),
        (["enabled"], ["_schema"]),
    ],
)
async def test_a_body_that_is_not_as_it_should_be_is_refused_by_field(
    keeper: SettingKeeper, house: House, client: Client, body: object, wrong: list[str]
) -> None:
    response = await client.put(f"{ROOTS[0]}/1", headers=await house.token(ROOT, Role.ADMIN), json=body)
    assert list(await error_of(response, 400, "invalid-data")) == wrong
    assert keeper.current == Settings(cdr_days=9)


async def test_only_admins_see_and_set_them(keeper: SettingKeeper, house: House, client: Client) -> None:
    await error_of(await client.get(ROOTS[0]), 401, "unauthorized")
    for role in (Role.USER, Role.SUPERVISOR):
        headers = await house.token(ALICE, role)
        for path in (ROOTS[0], f"{ROOTS[0]}/1", f"{ROOTS[0]}/9"):
            await error_of(await client.get(path, headers=headers), 401, "unauthorized")
        response = await client.put(f"{ROOTS[0]}/1", headers=headers, json={"enabled": False})
        details = await error_of(response, 401, "unauthorized")
        assert details["required_access"] == "confd.extensions.features.1.update"
        assert details["reason"] == "this is for admins"
    assert keeper.current == Settings(cdr_days=9)


@pytest.mark.usefixtures("keeper")
@pytest.mark.parametrize("name", ["3", "0", "callrecord", "ff4d3c5b-2c7f-5c38-8c0e-000000000000", "%0A"])
async def test_an_unknown_one_is_404(house: House, client: Client, name: str) -> None:
    headers, path = await house.token(ROOT, Role.ADMIN), f"{ROOTS[0]}/{name}"
    await error_of(await client.get(path, headers=headers), 404, "resource-not-found")
    await error_of(await client.put(path, headers=headers, json={"enabled": False}), 404, "resource-not-found")


async def test_without_a_database_nothing_is_set(
    keeper: SettingKeeper, applied: list[Settings], house: House, client: Client
) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    path = f"{ROOTS[0]}/1"
    assert (await client.get(path, headers=headers)).status == 200
    house.store.broken = StoreError("its file is gone")
    response = await client.put(path, headers=headers, json={"enabled": False})
    await error_of(response, 503, "store-error")
    assert (keeper.current, len(applied)) == (Settings(cdr_days=9), 1)


async def test_where_nothing_can_be_set_that_is_said(house: House, client: Client) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    response = await client.put(f"{ROOTS[0]}/1", headers=headers, json={"enabled": False})
    await error_of(response, 503, "service-unavailable")
    assert (await (await client.get(f"{ROOTS[0]}/1", headers=headers)).json())["enabled"] is True
