"""wazo-auth's tokens: made with a token of ours, looked up, checked and revoked; never more, and never longer."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid5

import pytest
import structlog
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from yarl import URL

from bridge.core.access import Role, Scope, Token
from bridge.core.errors import StoreError
from bridge.core.people import USERS_NAMESPACE
from bridge.tokens import parse
from tests.api.house import ALICE, BOB, ROOT, TENANT, House
from tests.storage import kept

Client = TestClient[Request, Application]
ROOTS = ["/0.1", "/api/auth/0.1"]
UNKNOWN = "rb_0123456789abcdef_" + "x" * 43
UUID_OF_ALICE = str(uuid5(USERS_NAMESPACE, "alice"))


def plain(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def parsed_id(token: str) -> str:
    parts = parse(token)
    assert parts is not None
    return parts[0]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def error_of(response: Any, status: int, error_id: str) -> dict[str, Any]:
    body: dict[str, Any] = await response.json()
    assert (response.status, body["error_id"]) == (status, error_id)
    assert set(body) == {"message", "error_id", "details", "timestamp"}
    details = body["details"]
    assert isinstance(details, dict)
    return details


async def made(client: Client, headers: dict[str, str], **body: object) -> dict[str, Any]:
    response = await client.post("/0.1/token", headers=headers, json=body)
    assert response.status == 200, await response.text()
    data = (await response.json())["data"]
    assert isinstance(data, dict)
    return data


async def opens(client: Client, token: str) -> bool:
    response = await client.get("/1.0/users/me/calls", headers={"X-Auth-Token": token})
    assert response.status in {200, 401}
    return response.status == 200


@pytest.mark.parametrize("root", ROOTS)
async def test_a_token_is_made_with_an_identity_and_one_of_its_tokens(house: House, client: Client, root: str) -> None:
    given = plain(await house.token(ALICE, Role.SUPERVISOR, [Scope.PLAY, Scope.CONTROL]))
    headers = {**basic("alice", given), "User-Agent": "exporter"}
    body = {"backend": "wazo_user", "expiration": 60, "access_type": "online", "client_id": "exporter"}
    response = await client.post(f"{root}/token", headers=headers, json=body)
    assert response.status == 200
    data = (await response.json())["data"]
    assert set(data) == {
        "token", "auth_id", "xivo_user_uuid", "xivo_uuid", "issued_at", "expires_at", "utc_issued_at",
        "utc_expires_at", "acl", "metadata", "session_uuid", "user_agent", "remote_addr",
    }  # fmt: skip
    assert (utc(data["utc_issued_at"]), utc(data["utc_expires_at"])) == (kept.NOON, kept.NOON + timedelta(seconds=60))
    assert datetime.fromisoformat(data["expires_at"]).astimezone(UTC) == kept.NOON + timedelta(seconds=60)
    assert (data["auth_id"], data["xivo_user_uuid"], data["xivo_uuid"]) == (UUID_OF_ALICE, UUID_OF_ALICE, str(TENANT))
    assert data["metadata"] == {
        "uuid": UUID_OF_ALICE, "tenant_uuid": str(TENANT), "auth_id": UUID_OF_ALICE, "pbx_user_uuid": UUID_OF_ALICE,
        "xivo_uuid": str(TENANT), "username": "alice", "purpose": "user", "admin": False,
    }  # fmt: skip
    assert (data["user_agent"], data["remote_addr"]) == ("exporter", "127.0.0.1")
    assert "calld.calls.*.record.*.update" in data["acl"]
    assert data["token"] != given
    parts = parse(data["token"])
    assert parts is not None
    token = await house.store.token(parts[0])
    assert token is not None
    assert (token.identity, token.role, token.scopes) == (
        ALICE, Role.SUPERVISOR, frozenset({Scope.PLAY, Scope.CONTROL}),
    )  # fmt: skip
    assert await opens(client, data["token"])


async def test_a_token_ends_when_it_should(house: House, client: Client) -> None:
    token = (await made(client, basic("alice", plain(await house.token(ALICE))), expiration=60))["token"]
    house.now += timedelta(seconds=59)
    assert await opens(client, token)
    house.now += timedelta(seconds=1)
    assert not await opens(client, token)


async def test_without_a_wish_it_lasts_two_hours_and_an_empty_body_will_do(house: House, client: Client) -> None:
    headers = basic("alice", plain(await house.token(ALICE)))
    response = await client.post("/0.1/token", headers=headers)
    assert utc((await response.json())["data"]["utc_expires_at"]) == kept.NOON + timedelta(hours=2)


async def test_a_token_never_outlives_the_one_it_was_made_with(house: House, client: Client) -> None:
    given = plain(await house.token(ALICE, expires_in=timedelta(seconds=90)))
    first = await made(client, basic("alice", given), expiration=3600)
    assert utc(first["utc_expires_at"]) == kept.NOON + timedelta(seconds=90)
    short = await made(client, basic("alice", given), expiration=60)
    house.now += timedelta(seconds=50)
    second = await made(client, basic("alice", short["token"]), expiration=3600)
    assert utc(second["utc_expires_at"]) == kept.NOON + timedelta(seconds=60)
    again = await made(client, {}, refresh_token=short["token"], client_id="x")
    assert utc(again["utc_expires_at"]) == kept.NOON + timedelta(seconds=60)


async def test_offline_gives_the_token_to_come_back_with(house: House, client: Client) -> None:
    given = plain(await house.token(ALICE))
    data = await made(client, basic("alice", given), access_type="offline", client_id="exporter", expiration=60)
    house.now += timedelta(days=7)
    refreshed = await made(
        client, {}, backend="wazo_user", refresh_token=data["refresh_token"], client_id="exporter", expiration=60,
        access_type="online",
    )  # fmt: skip
    assert "refresh_token" not in refreshed
    assert utc(refreshed["utc_expires_at"]) == house.now + timedelta(seconds=60)
    assert await opens(client, refreshed["token"])


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", UNKNOWN), ("bob", None), ("", None), ("alice", ""), ("alice", "secret"), ("Alice", None)],
)
async def test_wrong_credentials_are_401_whatever_is_wrong(
    house: House, client: Client, name: str, password: str | None
) -> None:
    given = plain(await house.token(ALICE))
    response = await client.post("/0.1/token", headers=basic(name, given if password is None else password), json={})
    details = await error_of(response, 401, "authentication-failed")
    assert details == {"reason": "the user name is a token's identity, the password (or `refresh_token`) that token"}
    assert (await response.json())["message"] == "Authentication Failed"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !"},
        {"Authorization": "Basic " + base64.b64encode(b"alice").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
        {"Authorization": "Digest x"},
    ],
)
async def test_without_credentials_there_is_no_token(client: Client, headers: dict[str, str]) -> None:
    await error_of(await client.post("/0.1/token", headers=headers, json={}), 401, "authentication-failed")


async def test_a_bearer_token_makes_no_token(house: House, client: Client) -> None:
    response = await client.post("/0.1/token", headers=await house.token(ALICE), json={})
    await error_of(response, 401, "authentication-failed")


async def test_what_has_expired_makes_no_token(house: House, client: Client) -> None:
    given = plain(await house.token(ALICE, expires_in=timedelta(seconds=1)))
    house.now += timedelta(seconds=1)
    for headers, body in ((basic("alice", given), {}), ({}, {"refresh_token": given, "client_id": "x"})):
        await error_of(await client.post("/0.1/token", headers=headers, json=body), 401, "authentication-failed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expiration": 0}, "expiration"),
        ({"expiration": -1}, "expiration"),
        ({"expiration": "soon"}, "expiration"),
        ({"expiration": True}, "expiration"),
        ({"expiration": 1.5}, "expiration"),
        ({"expiration": 315_360_001}, "expiration"),
        ({"expiration": 10**30}, "expiration"),
        ({"access_type": "later"}, "access_type"),
        ({"access_type": "offline"}, "_schema"),
        ({"access_type": "offline", "refresh_token": "x", "client_id": "x"}, "_schema"),
        ({"refresh_token": "x"}, "_schema"),
        ({"refresh_token": 7}, "refresh_token"),
        ({"refresh_token": None}, "refresh_token"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": "x" * 1025}, "client_id"),
        ({"backend": []}, "backend"),
    ],
)
async def test_a_body_that_is_not_as_it_should_be_is_refused_by_field(
    house: House, client: Client, body: dict[str, object], field: str
) -> None:
    headers = basic("alice", plain(await house.token(ALICE)))
    details = await error_of(await client.post("/0.1/token", headers=headers, json=body), 400, "invalid-data")
    assert list(details) == [field]


@pytest.mark.parametrize("raw", [b"{", b"[1]", b'"x"', b"7", b"[" * 50_000, b"\xff"])
async def test_what_is_no_object_is_refused(house: House, client: Client, raw: bytes) -> None:
    headers = basic("alice", plain(await house.token(ALICE)))
    await error_of(await client.post("/0.1/token", headers=headers, data=raw), 400, "invalid-data")


async def test_unknown_fields_are_ignored(house: House, client: Client) -> None:
    await made(client, basic("alice", plain(await house.token(ALICE))), mobile=True, tenant_id="x")


async def test_wrong_credentials_count_and_right_ones_go_on(house: House, client: Client) -> None:
    good, other = plain(await house.token(ALICE)), plain(await house.token(BOB))
    await made(client, basic("alice", good))
    for number in range(20):
        wrong = basic("alice", other) if number % 2 else basic("alice", UNKNOWN)
        await error_of(await client.post("/0.1/token", headers=wrong, json={}), 401, "authentication-failed")
    new = plain(await house.token(BOB, Role.ADMIN))
    for response in (
        await client.post("/0.1/token", headers=basic("bob", new), json={}),
        await client.get(f"/0.1/token/{new}"),
        await client.head(f"/0.1/token/{new}"),
        await client.delete(f"/0.1/token/{new}"),
    ):
        assert response.status == 429
        assert response.headers["Retry-After"].isdecimal()
    await made(client, basic("alice", good))


async def test_tokens_that_are_guessed_by_path_count_too(house: House, client: Client) -> None:
    for number in range(20):
        path = f"/0.1/token/{UNKNOWN}"
        if number % 2:
            await error_of(await client.get(path), 404, "no-such-token")
        else:
            assert (await client.delete(path)).status == 200
    assert (await client.get("/1.0/users/me/calls", headers=await house.token(ALICE))).status == 429


@pytest.mark.parametrize("root", ROOTS)
async def test_a_token_is_looked_up(house: House, client: Client, root: str) -> None:
    token = (await made(client, basic("alice", plain(await house.token(ALICE))), expiration=60))["token"]
    response = await client.get(f"{root}/token/{token}")
    assert response.status == 200
    data = (await response.json())["data"]
    assert (data["token"], data["auth_id"], data["metadata"]["username"]) == (token, UUID_OF_ALICE, "alice")
    assert utc(data["utc_expires_at"]) == kept.NOON + timedelta(seconds=60)
    head = await client.head(f"{root}/token/{token}")
    assert (head.status, await head.read()) == (204, b"")
    house.now += timedelta(seconds=60)
    await error_of(await client.get(f"{root}/token/{token}"), 404, "no-such-token")
    assert (await client.head(f"{root}/token/{token}")).status == 404


async def test_one_without_an_end_has_none(house: House, client: Client) -> None:
    data = (await (await client.get(f"/0.1/token/{plain(await house.token(ALICE))}")).json())["data"]
    assert (data["expires_at"], data["utc_expires_at"]) == (None, None)


@pytest.mark.parametrize("token", [UNKNOWN, "x", "0123456789abcdef", "rb_0123456789abcdef", "%0A"])
async def test_an_unknown_one_is_404(client: Client, token: str) -> None:
    await error_of(await client.get(f"/0.1/token/{token}"), 404, "no-such-token")
    assert (await client.head(f"/0.1/token/{token}")).status == 404


@pytest.mark.parametrize(
    "case",
    [
        (Role.USER, None, "calld.users.me.calls.read", 204),
        (Role.USER, None, f"calld.users.{UUID_OF_ALICE}.calls.read", 204),
        (Role.USER, None, "calld.users.me.calls.1.2.record.start.update", 403),
        (Role.USER, None, "calld.users.me.calls.12.record.start.update", 204),
        (Role.USER, [Scope.PLAY], "calld.users.me.calls.12.record.start.update", 403),
        (Role.USER, None, "calld.calls.read", 403),
        (Role.USER, None, f"confd.users.{UUID_OF_ALICE}.read", 204),
        (Role.USER, None, "confd.users.me.read", 204),
        (Role.USER, None, "confd.users.x.read", 403),
        (Role.SUPERVISOR, None, "calld.calls.read", 204),
        (Role.SUPERVISOR, None, "confd.users.read", 403),
        (Role.SUPERVISOR, [Scope.EXPORT], "call-logd.cdr.recordings.media.export.create", 204),
        (Role.SUPERVISOR, None, "call-logd.cdr.recordings.media.export.create", 403),
        (Role.ADMIN, None, "call-logd.cdr.recordings.media.export.create", 204),
        (Role.ADMIN, None, "call-logd.exports.x.download.read", 204),
        (Role.ADMIN, None, "confd.users.x.update", 204),
        (Role.ADMIN, [Scope.PLAY], "confd.users.x.update", 403),
        (Role.ADMIN, None, "confd.extensions.features.1.update", 204),
        (Role.ADMIN, None, "auth.users.create", 403),
        (Role.ADMIN, None, "#", 403),
        (Role.ADMIN, None, "call-logd.cdr.(read", 403),
    ],
)
async def test_an_access_is_checked(
    house: House, client: Client, case: tuple[Role, list[Scope] | None, str, int]
) -> None:
    role, scopes, access, status = case
    token = plain(await house.token(ALICE, role, scopes))
    assert (await client.head(f"/0.1/token/{token}", params={"scope": access})).status == status
    got = await client.get(f"/0.1/token/{token}", params={"scope": access})
    assert got.status == (200 if status == 204 else 403)
    if status == 403:
        assert await error_of(got, 403, "missing-access") == {"scope": access}
    checked = await client.post(f"/0.1/token/{token}/scopes/check", json={"scopes": [access]})
    assert await checked.json() == {"scopes": {access: status == 204}}


async def test_a_tenant_is_checked(house: House, client: Client) -> None:
    path = f"/0.1/token/{plain(await house.token(ALICE))}"
    assert (await client.head(path, params={"tenant": str(TENANT).upper()})).status == 204
    assert (await client.head(path, params={"tenant": UUID_OF_ALICE})).status == 403
    response = await client.get(path, params={"tenant": UUID_OF_ALICE})
    assert await error_of(response, 403, "missing-access") == {"tenant_uuid": UUID_OF_ALICE}
    for body, status in (
        ({"scopes": [], "tenant_uuid": str(TENANT)}, 200),
        ({"scopes": [], "tenant_uuid": None}, 200),
        ({"scopes": [], "tenant_uuid": UUID_OF_ALICE}, 403),
        ({"scopes": [], "tenant_uuid": 7}, 400),
        ({"scopes": "x"}, 400),
        ({}, 400),
    ):
        assert (await client.post(f"{path}/scopes/check", json=body)).status == status


@pytest.mark.parametrize("root", ROOTS)
async def test_who_has_a_token_ends_it(house: House, client: Client, root: str) -> None:
    given = plain(await house.token(ALICE))
    token = (await made(client, basic("alice", given)))["token"]
    for _ in range(2):
        response = await client.delete(f"{root}/token/{token}")
        assert (response.status, await response.json()) == (200, {"data": {"message": "success"}})
        assert not await opens(client, token)
    assert await opens(client, given)


async def test_with_a_token_all_end_that_were_made_with_it(house: House, client: Client) -> None:
    given = plain(await house.token(ALICE))
    first = (await made(client, basic("alice", given)))["token"]
    second = (await made(client, basic("alice", first)))["token"]
    other = (await made(client, basic("alice", given)))["token"]
    assert (await client.delete(f"/0.1/token/{first}")).status == 200
    assert [await opens(client, one) for one in (given, first, second, other)] == [True, False, False, True]
    assert (await client.delete(f"/0.1/token/{given}")).status == 200
    assert not await opens(client, other)


async def test_one_that_is_made_while_the_given_one_is_ended_opens_nothing(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = plain(await house.token(ALICE))
    added: list[str] = []

    add_token = house.store.add_token

    async def add_and_end(token: Token) -> None:
        await house.store.end_token(given.split("_")[1])
        await add_token(token)
        added.append(token.id)

    monkeypatch.setattr(house.store, "add_token", add_and_end)
    response = await client.post("/0.1/token", headers=basic("alice", given), json={})
    await error_of(response, 401, "authentication-failed")
    assert [await house.store.token(one) for one in added] == [None]


async def test_one_in_use_can_be_ended_also_after_wrong_ones_from_its_address(house: House, client: Client) -> None:
    given = plain(await house.token(ALICE))
    token = (await made(client, basic("alice", given)))["token"]
    assert await opens(client, token)
    for _ in range(20):
        await client.get("/1.0/users/me/calls", headers={"X-Auth-Token": UNKNOWN})
    assert (await client.delete(f"/0.1/token/{UNKNOWN}")).status == 429
    assert (await client.delete(f"/0.1/token/{token}")).status == 200
    assert await house.store.token(parsed_id(token)) is None


async def test_a_wrong_secret_ends_nothing(house: House, client: Client) -> None:
    token = plain(await house.token(ALICE))
    assert (await client.delete(f"/0.1/token/{token[:-43]}{'x' * 43}")).status == 200
    assert await opens(client, token)


async def test_an_expired_one_can_be_ended(house: House, client: Client) -> None:
    token = plain(await house.token(ALICE, expires_in=timedelta(seconds=1)))
    house.now += timedelta(days=1)
    assert (await client.delete(f"/0.1/token/{token}")).status == 200
    assert await house.store.token(token.split("_")[1]) is None


@pytest.mark.parametrize("prefix", ["", "rb_"])
async def test_an_admin_ends_any_by_its_id(house: House, client: Client, prefix: str) -> None:
    token = plain(await house.token(ALICE))
    path = f"/0.1/token/{prefix}{token.split('_')[1]}"
    await error_of(await client.delete(path), 401, "unauthorized")
    await error_of(await client.delete(path, headers=await house.token(ALICE)), 401, "unauthorized")
    assert await opens(client, token)
    assert (await client.delete(path, headers=await house.token(ROOT, Role.ADMIN))).status == 200
    assert not await opens(client, token)


async def test_no_token_reaches_the_log(house: House, client: Client) -> None:
    given = plain(await house.token(ALICE))
    with structlog.testing.capture_logs() as logged:
        token = (await made(client, basic("alice", given), access_type="offline", client_id="x"))["token"]
        odd = token.replace("rb_", "r%62%5F")
        for path in (
            f"/0.1/token/{token}?scope=x",
            f"/0.1/token/{odd}",
            f"/api/auth/0.1/t%6Fken/{token}",
            f"/0.1/token/{token}/scopes/check",
            f"/0.1/nowhere/{token}",
            f"/x//0.1/token//{odd}",
            f"/0.1/token%2F{token}",
            f"/0.1/token/{token[:30]}",
            f"/{token}",
        ):
            await client.get(URL(path, encoded=True))
        await client.post("/0.1/token", headers=basic("bob", given), json={"refresh_token": "", "client_id": "x"})
        await client.delete(f"/0.1/token/{token}")
    text = repr(logged)
    for one in (given, token):
        _, public, secret = one.split("_", 2)
        assert secret not in text
        assert secret[:8] not in text
        assert f"rb_{public}" not in text
    paths = [entry["path"] for entry in logged if entry["event"] == "request"]
    assert paths[:5] == [
        "/0.1/token", "/0.1/token/…", "/0.1/token/…", "/api/auth/0.1/t%6Fken/…", "/0.1/token/…/scopes/check",
    ]  # fmt: skip


async def test_paths_without_tokens_are_logged_as_they_are(house: House, client: Client) -> None:
    with structlog.testing.capture_logs() as logged:
        for path in ("/api/v1/records/rb-1_0", "/0.1/token", "/0.1/token/", "/1.0/calls/1.2/record/start", "/%0A"):
            await client.get(path, headers=await house.token(ALICE))
    paths = [entry["path"] for entry in logged if entry["event"] == "request"]
    assert paths == ["/api/v1/records/rb-1_0", "/0.1/token", "/0.1/token/", "/1.0/calls/1.2/record/start", "/%0A"]


async def test_without_a_database_there_is_no_token(house: House, client: Client) -> None:
    given = plain(await house.token(ALICE))
    house.store.broken = StoreError("its file is gone")
    for response in (
        await client.post("/0.1/token", headers=basic("alice", given), json={}),
        await client.get(f"/0.1/token/{given}"),
        await client.delete(f"/0.1/token/{given}"),
    ):
        await error_of(response, 503, "store-error")


async def test_the_weekly_exports_steps_work(house: House, client: Client) -> None:
    refresh_token = plain(await house.token(ROOT, Role.ADMIN))
    data = await made(
        client, {}, backend="wazo_user", expiration=60, access_type="online", client_id="exporter",
        refresh_token=refresh_token,
    )  # fmt: skip
    headers = {"X-Auth-Token": data["token"], "Wazo-Tenant": str(TENANT)}
    query = {"from": "2026-07-20T00:00:00", "until": "2026-07-27T00:00:00", "recurse": "False"}
    assert (await client.get("/1.0/cdr", headers=headers, params=query)).status == 200
    assert (await client.delete(f"/0.1/token/{data['token']}", headers=headers)).status == 200
    assert not await opens(client, data["token"])
    assert await opens(client, refresh_token)
