"""Who gets in, and what the door says to the others."""

from datetime import timedelta

import pytest
import structlog
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role, Scope
from bridge.core.errors import StoreError
from bridge.core.live import NotReady
from bridge.tokens import default_scopes
from tests.api.house import ALICE, ROOT, House, error_of

Client = TestClient[Request, Application]
WRONG = "rb_0123456789abcdef_" + "x" * 43
GUARDED = [
    ("GET", "/api/v1/records/a_b"),
    ("GET", "/api/v1/records/a_b/1/1"),
    ("POST", "/api/v1/tickets"),
    ("GET", "/api/v1/journal"),
    ("GET", "/api/v1/calls"),
    ("GET", "/api/v1/stream"),
    ("GET", "/api/v1/ws"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {WRONG}"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic cm9vdDpyb290"},
        {"Authorization": "Bearer rb_é_ü"},
        {"X-Auth-Token": WRONG},
        {"X-Auth-Token": "x" * 2000},
    ],
)
async def test_without_a_right_token_nothing_opens(
    client: Client, method: str, path: str, headers: dict[str, str]
) -> None:
    response = await client.request(method, path, headers=headers)
    await error_of(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_both_headers_open(house: House, client: Client) -> None:
    bearer = await house.token(ALICE)
    plain = bearer["Authorization"].removeprefix("Bearer ")
    for headers in (bearer, {"Authorization": f"bearer {plain}"}, {"X-Auth-Token": plain}):
        assert (await client.get("/api/v1/calls", headers=headers)).status == 200


async def test_a_token_in_the_query_opens_nothing(house: House, client: Client) -> None:
    plain = (await house.token(ALICE))["Authorization"].removeprefix("Bearer ")
    await error_of(await client.get(f"/api/v1/calls?token={plain}"), 401, "unauthorized")


async def test_the_right_id_with_another_secret_does_not_open(house: House, client: Client) -> None:
    plain = (await house.token(ALICE))["Authorization"]
    wrong = plain[:-1] + ("a" if plain[-1] != "a" else "b")
    await error_of(await client.get("/api/v1/calls", headers={"Authorization": wrong}), 401, "unauthorized")


async def test_an_expired_token_does_not_open(house: House, client: Client) -> None:
    headers = await house.token(ALICE, expires_in=timedelta(seconds=10))
    assert (await client.get("/api/v1/calls", headers=headers)).status == 200
    house.now += timedelta(seconds=10)
    await error_of(await client.get("/api/v1/calls", headers=headers), 401, "unauthorized")


async def test_many_wrong_tokens_make_a_remote_wait_but_not_those_that_were_right(house: House, client: Client) -> None:
    headers = await house.token(ALICE)
    other = await house.token(ALICE)
    assert (await client.get("/api/v1/calls", headers=headers)).status == 200
    for _ in range(20):
        await error_of(await client.get("/api/v1/calls", headers={"X-Auth-Token": WRONG}), 401, "unauthorized")
    response = await client.get("/api/v1/calls", headers={"X-Auth-Token": WRONG})
    await error_of(response, 429, "too-many-requests")
    assert 0 < int(response.headers["Retry-After"]) <= 61
    await error_of(await client.get("/api/v1/calls", headers=other), 429, "too-many-requests")
    assert (await client.get("/api/v1/calls", headers=headers)).status == 200
    await error_of(await client.get("/api/v1/calls"), 401, "unauthorized")


def test_an_admin_may_do_all_and_the_others_play_download_and_control() -> None:
    assert default_scopes(Role.ADMIN) == set(Scope)
    for role in (Role.USER, Role.SUPERVISOR):
        assert default_scopes(role) == {Scope.PLAY, Scope.DOWNLOAD, Scope.CONTROL}


async def test_no_token_and_no_query_reach_a_log(house: House, client: Client) -> None:
    plain = (await house.token(ALICE))["Authorization"].removeprefix("Bearer ")
    with structlog.testing.capture_logs() as lines:
        await client.get("/api/v1/calls", headers={"Authorization": f"Bearer {plain}"})
        await client.get("/api/v1/calls", headers={"X-Auth-Token": plain[:-1] + "-"})
        await client.get(f"/api/v1/calls?token={plain}")
        await client.get(f"/api/v1/records/a_b/1/1?ticket={plain}")
        await client.post("/api/v1/tickets", headers={"X-Auth-Token": plain}, data=f'{{"path": "{plain}"}}')
    assert len([line for line in lines if line["event"] == "request"]) == 5
    assert plain.rsplit("_", 1)[1] not in str(lines)
    assert "?" not in str(lines)


async def test_the_log_names_path_status_and_the_requests_id(client: Client) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        response = await client.get("/api/v1/no%0Asuch")
    (line,) = lines
    assert (line["event"], line["path"], line["status"]) == ("request", "/api/v1/no%0Asuch", 404)
    assert line["request_id"] == response.headers["X-Request-Id"]


async def test_the_log_has_no_tag_that_somebody_wrote_about_a_call(client: Client) -> None:
    with structlog.testing.capture_logs() as lines:
        await client.delete("/api/v1/cdrs/1/tags/Zacharias%20Quokka")
    assert [line["path"] for line in lines if line["event"] == "request"] == ["/api/v1/cdrs/1/tags/…"]


@pytest.mark.parametrize("path", ["/health", "/api/v1/nothing", "/api/v1/calls"])
async def test_every_answer_has_the_security_headers(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "recbridge"


async def test_unknown_paths_and_methods_have_the_error_body(client: Client) -> None:
    await error_of(await client.get("/nothing"), 404, "not-found")
    response = await client.delete("/api/v1/journal")
    await error_of(response, 405, "method-not-allowed")
    assert response.headers["Allow"] == "GET,HEAD"


async def test_health_is_open_and_always_well(house: House, client: Client) -> None:
    house.not_ready = [NotReady("asterisk-unreachable", "start Asterisk")]
    house.store.broken = StoreError("the disk is gone")
    response = await client.get("/health")
    assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_ready_gives_codes_to_all_and_words_to_admins(house: House, client: Client) -> None:
    response = await client.get("/ready")
    assert (response.status, (await response.json())["reasons"]) == (200, [])
    house.not_ready = [NotReady("asterisk-unreachable", "start Asterisk")]
    admin, user = await house.token(ROOT, Role.ADMIN), await house.token(ALICE)
    for headers in ({}, user, {"X-Auth-Token": WRONG}):
        response = await client.get("/ready", headers=headers)
        assert response.status == 503
        assert (await response.json())["reasons"] == ["asterisk-unreachable"]
        assert "start Asterisk" not in await response.text()
    response = await client.get("/ready", headers=admin)
    assert (await response.json())["messages"] == [{"code": "asterisk-unreachable", "message": "start Asterisk"}]
    house.store.broken = StoreError("the disk is gone")
    response = await client.get("/ready", headers=admin)
    assert (response.status, "messages" in await response.json()) == (503, False)


async def test_a_warning_is_told_while_recordings_are_made(house: House, client: Client) -> None:
    house.warnings = [NotReady("retention-refused", "look at it")]
    response = await client.get("/ready")
    assert (response.status, await response.json()) == (
        200,
        {"ready": True, "reasons": [], "warnings": ["retention-refused"]},
    )
    response = await client.get("/ready", headers=await house.token(ROOT, Role.ADMIN))
    assert (await response.json())["messages"] == [{"code": "retention-refused", "message": "look at it"}]


async def test_a_database_in_trouble_is_503_and_its_words_stay_here(house: House, client: Client) -> None:
    headers = await house.token(ALICE)
    house.store.broken = StoreError("database /var/lib/secret.db: its disk is full")
    with structlog.testing.capture_logs() as lines:
        response = await client.get("/api/v1/journal", headers=headers)
    await error_of(response, 503, "store-error")
    assert "secret.db" not in await response.text()
    assert "secret.db" in str(lines)


async def test_what_nobody_foresaw_is_500_without_internals(house: House, client: Client) -> None:
    headers = await house.token(ALICE)
    house.calls = None  # type: ignore[assignment]  # something that cannot be
    with structlog.testing.capture_logs() as lines:
        response = await client.get("/api/v1/calls", headers=headers)
    await error_of(response, 500, "internal-error")
    assert "NoneType" not in await response.text()
    assert "internal-error" in str(lines)
