"""wazo-confd's users: who there is, and what is recorded of their calls."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role, Scope
from bridge.core.errors import NotConfirmedError, StoreError
from bridge.core.ids import CallId, Identity
from bridge.core.people import USERS_NAMESPACE, Directory, User, UserFlags
from bridge.core.records import Cdr
from bridge.core.store import AddCdr, PutUserFlags
from tests.api.house import ALICE, BOB, CALL, CAROL, DAVE, ROOT, TENANT, House, Scripted
from tests.storage import kept

Client = TestClient[Request, Application]
ROOTS = ["/1.1", "/api/confd/1.1"]
OLGA = "b2e98781-7118-4010-8da3-b93b1b7e1389"
FOUR = [
    "call_record_incoming_internal_enabled",
    "call_record_incoming_external_enabled",
    "call_record_outgoing_internal_enabled",
    "call_record_outgoing_external_enabled",
]


@pytest.fixture
def script(house: House) -> Scripted:
    house.control = control = Scripted()
    house.directory = Directory(
        (User.model_validate({"identity": "alice", "uuid": OLGA, "name": "Olga Romanov", "extensions": ["1015"]}),)
    )
    house.calls = ()
    return control


def derived(identity: str) -> str:
    return str(uuid5(USERS_NAMESPACE, identity))


def finished(*participants: Identity) -> AddCdr:
    at = kept.NOON
    return AddCdr(
        Cdr(
            CallId("1.1"), at, at, at + timedelta(seconds=4), "internal", "", "", None, "", "", None, "102",
            "internal", "", 4.0, 16, (), participants,
        )
    )  # fmt: skip


async def error_of(response: Any, status: int, error_id: str) -> dict[str, Any]:
    body: dict[str, Any] = await response.json()
    assert (response.status, body["error_id"]) == (status, error_id)
    assert isinstance(body["message"], str)
    details = body["details"]
    assert isinstance(details, dict)
    return details


async def put(client: Client, headers: dict[str, str], user_id: str, body: object) -> int:
    return (await client.put(f"/1.1/users/{user_id}", headers=headers, json=body)).status


@pytest.mark.parametrize("root", ROOTS)
async def test_a_user_is_shown_with_its_flags(script: Scripted, house: House, client: Client, root: str) -> None:
    script.flags[ALICE] = UserFlags(call_record_outgoing_external_enabled=True, online_call_record_enabled=True)
    headers = await house.token(ROOT, Role.ADMIN)
    response = await client.get(f"{root}/users/{OLGA}", headers=headers)
    assert response.status == 200
    assert await response.json() == {
        "id": UUID(OLGA).int >> 97,
        "uuid": OLGA,
        "firstname": "Olga",
        "lastname": "Romanov",
        "username": "alice",
        "extension": "1015",
        "tenant_uuid": str(TENANT),
        "enabled": True,
        **dict.fromkeys(FOUR, False),
        "call_record_outgoing_external_enabled": True,
        "online_call_record_enabled": True,
        "call_record_enabled": False,
        "links": [],
    }
    assert (await client.head(f"{root}/users/{OLGA}", headers=headers)).status == 200
    script.flags[ALICE] = UserFlags(*[True] * 4)
    body = await (await client.get(f"{root}/users/{UUID(OLGA).int >> 97}", headers=headers)).json()
    assert (body["uuid"], body["call_record_enabled"]) == (OLGA, True)


async def test_one_whom_only_the_database_or_a_call_knows_is_found(
    script: Scripted, house: House, client: Client
) -> None:
    odd = Identity("caf\udce9")
    house.calls = (replace(CALL, parties=CALL.parties[1:]),)
    await house.store.commit([finished(CAROL, odd), PutUserFlags(DAVE, UserFlags())])
    headers = await house.token(ROOT, Role.ADMIN)
    for identity in (BOB, CAROL, DAVE):
        response = await client.get(f"/1.1/users/{derived(identity)}", headers=headers)
        assert response.status == 200
        body = await response.json()
        assert (body["username"], body["firstname"], body["lastname"]) == (identity, identity, None)
        assert await put(client, headers, derived(identity), {FOUR[0]: True}) == 204
        assert script.flags[identity] == UserFlags(call_record_incoming_internal_enabled=True)
    body = await (await client.get("/1.1/users", headers=headers)).json()
    assert {one["username"] for one in body["items"]} == {"alice", BOB, CAROL, DAVE, "caf���"}


@pytest.mark.parametrize("user_id", [derived("nobody"), "nobody", "0", "9" * 40, "%00", "²"])
async def test_an_unknown_one_is_404(script: Scripted, house: House, client: Client, user_id: str) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    path = f"/1.1/users/{user_id}"
    await error_of(await client.get(path, headers=headers), 404, "resource-not-found")
    assert (await client.head(path, headers=headers)).status == 404
    await error_of(await client.put(path, headers=headers, json={}), 404, "resource-not-found")
    assert script.flags == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({FOUR[3]: True}, {FOUR[3]: True, "online_call_record_enabled": True}),
        ({"online_call_record_enabled": False}, {}),
        (dict.fromkeys(FOUR, True), {**dict.fromkeys(FOUR, True), "online_call_record_enabled": True}),
        ({"call_record_enabled": True}, {**dict.fromkeys(FOUR, True), "online_call_record_enabled": True}),
        ({"call_record_enabled": False, "online_call_record_enabled": False}, {}),
        ({"firstname": 7, "caller_id": "x", "links": [], "nobody": None}, {"online_call_record_enabled": True}),
        ({}, {"online_call_record_enabled": True}),
        (None, {"online_call_record_enabled": True}),
    ],
)
async def test_any_of_the_flags_are_set_and_the_others_stay(
    script: Scripted, house: House, client: Client, body: object, expected: dict[str, bool]
) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    for root in ROOTS:
        script.flags[ALICE] = UserFlags(online_call_record_enabled=True)
        response = await client.put(f"{root}/users/{OLGA}", headers=headers, json=body)
        assert (response.status, await response.read()) == (204, b"")
        assert script.flags[ALICE] == UserFlags(**expected)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({FOUR[0]: "true"}, [FOUR[0]]),
        ({FOUR[0]: 1, FOUR[1]: True}, [FOUR[0]]),
        ({FOUR[0]: None, "online_call_record_enabled": []}, [FOUR[0], "online_call_record_enabled"]),
        ({"call_record_enabled": "False"}, ["call_record_enabled"]),
        ({"call_record_enabled": True, FOUR[2]: True}, ["call_record_enabled"]),
        ([1], ["_schema"]),
        ([], ["_schema"]),
        ("x", ["_schema"]),
    ],
)
async def test_a_body_that_is_not_as_it_should_be_is_refused_by_field(
    script: Scripted, house: House, client: Client, body: object, wrong: list[str]
) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    response = await client.put(f"/1.1/users/{OLGA}", headers=headers, json=body)
    details = await error_of(response, 400, "invalid-data")
    assert list(details) == wrong
    assert script.flags == {}


async def test_who_may_not_sets_nothing_and_sees_itself_alone(script: Scripted, house: House, client: Client) -> None:
    path, other = f"/1.1/users/{OLGA}", f"/1.1/users/{derived('bob')}"
    await error_of(await client.get(path), 401, "unauthorized")
    for role in (Role.USER, Role.SUPERVISOR):
        headers = await house.token(ALICE, role)
        assert (await (await client.get(path, headers=headers)).json())["username"] == "alice"
        for one in (other, f"/1.1/users/{derived('nobody')}", "/1.1/users"):
            await error_of(await client.get(one, headers=headers), 401, "unauthorized")
        for one in (path, other):
            await error_of(await client.put(one, headers=headers, json={FOUR[0]: True}), 401, "unauthorized")
    headers = await house.token(ROOT, Role.ADMIN, [Scope.PLAY])
    details = await error_of(await client.put(path, headers=headers, json={FOUR[0]: True}), 401, "unauthorized")
    assert details["required_access"] == f"confd.users.{OLGA}.update"
    assert details["reason"] == "this token lacks the scope control"
    assert script.flags == {}
    body = await (await client.get(other, headers=await house.token(BOB))).json()
    assert body["uuid"] == derived("bob")


async def test_what_is_not_confirmed_is_504(script: Scripted, house: House, client: Client) -> None:
    script.answer = NotConfirmedError("no")
    headers = await house.token(ROOT, Role.ADMIN)
    await error_of(await client.put(f"/1.1/users/{OLGA}", headers=headers, json={}), 504, "not-confirmed")


async def test_without_a_database_nobody_is_known(script: Scripted, house: House, client: Client) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    assert (await client.get("/1.1/users", headers=headers)).status == 200
    house.store.broken = StoreError("its file is gone")
    await error_of(await client.put(f"/1.1/users/{OLGA}", headers=headers, json={FOUR[0]: True}), 503, "store-error")
    assert script.flags == {}


@pytest.mark.parametrize(
    ("query", "found", "total"),
    [
        ({}, ["bob", "carol", "alice"], 3),
        ({"search": "ROMAN"}, ["alice"], 1),
        ({"search": "1015"}, ["alice"], 1),
        ({"search": "nobody"}, [], 0),
        ({"search": "o"}, ["bob", "carol", "alice"], 3),
        ({"firstname": "Olga"}, ["alice"], 1),
        ({"uuid": f"{OLGA},{derived('bob')}"}, ["bob", "alice"], 2),
        ({"username": "carol"}, ["carol"], 1),
        ({"limit": "1"}, ["bob"], 3),
        ({"limit": "0"}, [], 3),
        ({"limit": "1", "offset": "2"}, ["alice"], 3),
        ({"offset": "9"}, [], 3),
        ({"order": "username"}, ["alice", "bob", "carol"], 3),
        ({"order": "username", "direction": "desc"}, ["carol", "bob", "alice"], 3),
        ({"order": "nothing", "recurse": "True", "view": "summary"}, ["bob", "carol", "alice"], 3),
    ],
)
@pytest.mark.usefixtures("script")  # has the directory
async def test_users_are_listed_and_found(
    house: House, client: Client, query: dict[str, str], found: list[str], total: int
) -> None:
    await house.store.commit([finished(BOB, CAROL, ALICE)])
    headers = await house.token(ROOT, Role.ADMIN)
    for root in ROOTS:
        response = await client.get(f"{root}/users", headers=headers, params=query)
        assert response.status == 200
        body = await response.json()
        assert ([one["username"] for one in body["items"]], body["total"]) == (found, total)


@pytest.mark.parametrize(
    "query", [{"limit": "-1"}, {"limit": "x"}, {"offset": "1.5"}, {"limit": "9" * 11}, {"direction": "up"}]
)
async def test_a_query_that_is_not_as_it_should_be_is_refused(
    house: House, client: Client, query: dict[str, str]
) -> None:
    response = await client.get("/1.1/users", headers=await house.token(ROOT, Role.ADMIN), params=query)
    assert list(await error_of(response, 400, "invalid-data")) == list(query)
