"""The console's session: the cookie, who may use it, and when it ends."""

import asyncio
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from ipaddress import ip_network

import aiohttp
import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge import tokens
from bridge.core.access import Role, Scope
from bridge.core.errors import StoreError
from bridge.core.people import Directory, User
from tests.api.house import ALICE, BOB, ROOT, House, error_of

Client = TestClient[Request, Application]
SESSION = "/api/v1/session"
START = "/api/v1/monitor/start"
CHANNEL = {"channel": "PJSIP/alice-00000001"}
WRONG = "rb_0123456789abcdef_" + "x" * 43
LOOPBACK = ip_network("127.0.0.0/8")
BEHIND_TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pbx.example"}


def own(client: Client) -> dict[str, str]:
    """As the console's page sends it, on plain HTTP."""
    return {"Origin": str(client.make_url("/")).rstrip("/")}


async def plain_token(house: House, expires_in: timedelta | None = None, role: Role = Role.USER) -> str:
    headers = await house.token(ALICE if role is Role.USER else ROOT, role, expires_in=expires_in)
    return headers["Authorization"].removeprefix("Bearer ")


def cookie_of(response: aiohttp.ClientResponse) -> Morsel[str]:
    (line,) = response.headers.getall("Set-Cookie")
    (morsel,) = SimpleCookie(line).values()
    return morsel


async def cookie(house: House, client: Client, plain: str | None = None) -> dict[str, str]:
    """The Cookie header of one who has signed in; the client's own jar stays empty."""
    body = {"token": plain or await plain_token(house)}
    response = await client.post(SESSION, json=body, headers=own(client))
    assert response.status == 201, await response.text()
    client.session.cookie_jar.clear()
    morsel = cookie_of(response)
    return {"Cookie": f"{morsel.key}={morsel.value}"}


async def test_signing_in_gives_a_cookie_that_no_script_and_no_other_site_has(house: House, client: Client) -> None:
    house.directory = Directory((User(identity=ALICE, name="Alice Weber"),))
    response = await client.post(SESSION, json={"token": await plain_token(house)}, headers=own(client))
    assert response.status == 201
    body = await response.json()
    assert body["identity"] == "alice"
    assert body["name"] == "Alice Weber"
    assert body["role"] == "user"
    assert body["scopes"] == ["control", "download", "play"]
    assert body["expiresAt"] == int((house.now + timedelta(hours=12)).timestamp() * 1000)
    morsel = cookie_of(response)
    assert morsel.key == "recbridge_session"
    assert morsel["httponly"]
    assert morsel["samesite"] == "Strict"
    assert morsel["path"] == "/"
    assert morsel["max-age"] == "43200"
    assert not morsel["secure"]
    assert not morsel["domain"]


async def test_the_cookie_is_not_the_token_and_opens_the_same(house: House, client: Client) -> None:
    plain = await plain_token(house)
    headers = await cookie(house, client, plain)
    assert plain not in headers["Cookie"]
    assert (await client.get("/api/v1/calls", headers=headers)).status == 200
    shown = await (await client.get(SESSION, headers=headers)).json()
    assert shown["identity"] == "alice"


async def test_a_session_never_outlives_its_token(house: House, client: Client) -> None:
    headers = await cookie(house, client, await plain_token(house, timedelta(hours=1)))
    house.now += timedelta(minutes=59)
    assert (await client.get(SESSION, headers=headers)).status == 200
    house.now += timedelta(minutes=1)
    assert (await client.get(SESSION, headers=headers)).status == 401


async def test_a_session_ends_after_12_hours(house: House, client: Client) -> None:
    headers = await cookie(house, client)
    house.now += timedelta(hours=12)
    assert (await client.get(SESSION, headers=headers)).status == 401


async def test_signing_out_ends_the_session_and_not_its_token(house: House, client: Client) -> None:
    plain = await plain_token(house)
    headers = await cookie(house, client, plain)
    response = await client.delete(SESSION, headers=headers | own(client))
    assert response.status == 204
    assert cookie_of(response)["max-age"] == "0"
    assert (await client.get(SESSION, headers=headers)).status == 401
    assert (await client.get(SESSION, headers={"X-Auth-Token": plain})).status == 200


async def test_signing_in_again_ends_the_earlier_session(house: House, client: Client) -> None:
    plain = await plain_token(house)
    earlier = await cookie(house, client, plain)
    response = await client.post(SESSION, json={"token": plain}, headers=earlier | own(client))
    assert response.status == 201
    client.session.cookie_jar.clear()
    assert (await client.get(SESSION, headers=earlier)).status == 401
    assert (await client.get(SESSION, headers={"X-Auth-Token": plain})).status == 200


async def test_a_token_that_is_put_into_the_cookie_is_not_ended_by_signing_out(house: House, client: Client) -> None:
    plain = await plain_token(house)
    headers = {"Cookie": f"recbridge_session={plain}"}
    await error_of(await client.delete(SESSION, headers=headers | own(client)), 409, "no-session")
    assert (await client.get(SESSION, headers={"X-Auth-Token": plain})).status == 200


async def test_a_token_in_a_header_is_no_session_to_sign_out_of(house: House, client: Client) -> None:
    plain = await plain_token(house)
    await error_of(await client.delete(SESSION, headers={"X-Auth-Token": plain}), 409, "no-session")
    assert (await client.get(SESSION, headers={"X-Auth-Token": plain})).status == 200


async def test_ending_the_token_ends_its_sessions(house: House, client: Client) -> None:
    plain = await plain_token(house)
    headers = await cookie(house, client, plain)
    parts = tokens.parse(plain)
    assert parts is not None
    await house.store.end_token(parts[0])
    await error_of(await client.get(SESSION, headers=headers), 401, "unauthorized")


async def test_a_session_that_is_over_takes_its_cookie_away(house: House, client: Client) -> None:
    headers = await cookie(house, client)
    await client.delete(SESSION, headers=headers | own(client))
    response = await client.get("/api/v1/calls", headers=headers)
    assert response.status == 401
    assert cookie_of(response).key == "recbridge_session"
    assert cookie_of(response)["max-age"] == "0"


async def test_sessions_that_end_at_once_shut_nobody_out(house: House, client: Client) -> None:
    old = await cookie(house, client)
    house.now += timedelta(hours=12)
    for _ in range(21):
        await error_of(await client.get(SESSION, headers=old), 401, "unauthorized")
    assert (await client.post(SESSION, json={"token": await plain_token(house)}, headers=own(client))).status == 201


async def test_wrong_tokens_are_braked_at_the_sign_in_too(house: House, client: Client) -> None:
    good = await plain_token(house)
    for _ in range(20):
        response = await client.post(SESSION, json={"token": WRONG}, headers=own(client))
        await error_of(response, 401, "unauthorized")
    response = await client.post(SESSION, json={"token": good}, headers=own(client))
    await error_of(response, 429, "too-many-requests")
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("body", [{}, {"token": 5}, {"token": "a", "more": 1}, []])
async def test_signing_in_with_anything_else_is_refused(client: Client, body: object) -> None:
    await error_of(await client.post(SESSION, json=body, headers=own(client)), 400, "invalid-request")


async def test_without_its_database_nobody_signs_in(house: House, client: Client) -> None:
    plain = await plain_token(house)
    house.store.broken = StoreError("the disk is full")
    await error_of(await client.post(SESSION, json={"token": plain}, headers=own(client)), 503, "store-error")


# Other sites


OTHERS = {
    "no Origin": {},
    "no site": {"Origin": "null"},
    "another site": {"Origin": "https://evil.example"},
    "a subdomain": {"Origin": "http://sub.127.0.0.1"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "the port of plain HTTP": {"Origin": "http://127.0.0.1"},
    "an extension": {"Origin": "chrome-extension://127.0.0.1"},
    "no address": {"Origin": "http://["},
    "a wrong port": {"Origin": "http://127.0.0.1:x"},
    "the browser says another site": {"Sec-Fetch-Site": "cross-site"},
    "the browser says another port or subdomain": {"Sec-Fetch-Site": "same-site"},
    "typed into the address bar": {"Sec-Fetch-Site": "none"},
}


@pytest.mark.parametrize("headers", OTHERS.values(), ids=OTHERS.keys())
async def test_another_sites_page_changes_nothing_with_the_cookie(
    house: House, client: Client, headers: dict[str, str]
) -> None:
    session = await cookie(house, client)
    for method, path, body in (("POST", START, CHANNEL), ("DELETE", SESSION, None), ("PUT", "/1.1/users/x", {})):
        response = await client.request(method, path, json=body, headers=session | headers)
        assert response.status == 403, (method, path)
    assert (await client.get(SESSION, headers=session)).status == 200


async def test_a_form_of_another_site_changes_nothing(house: House, client: Client) -> None:
    session = await cookie(house, client)
    form = {"Content-Type": "text/plain", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    text = '{"channel": "PJSIP/alice-00000001"}'
    await error_of(await client.post(START, data=text, headers=session | form), 403, "cross-site")


@pytest.mark.parametrize("headers", OTHERS.values(), ids=OTHERS.keys())
async def test_another_site_signs_nobody_in(house: House, client: Client, headers: dict[str, str]) -> None:
    response = await client.post(SESSION, json={"token": await plain_token(house)}, headers=headers)
    await error_of(response, 403, "cross-site")
    assert "Set-Cookie" not in response.headers


async def test_a_page_on_another_port_reads_nothing_with_the_cookie(house: House, client: Client) -> None:
    session = await cookie(house, client)
    response = await client.get("/api/v1/calls", headers=session | {"Sec-Fetch-Site": "same-site"})
    await error_of(response, 403, "cross-site")
    for site in ("same-origin", "none"):
        assert (await client.get("/api/v1/calls", headers=session | {"Sec-Fetch-Site": site})).status == 200


async def test_our_own_page_may(house: House, client: Client) -> None:
    session = await cookie(house, client)
    for page in (own(client), {"Sec-Fetch-Site": "same-origin"}):
        assert (await client.post(START, json=CHANNEL, headers=session | page)).status == 200


async def test_a_token_in_a_header_needs_no_origin(house: House, client: Client) -> None:
    headers = await house.token(ALICE)
    assert (await client.post(START, json=CHANNEL, headers=headers)).status == 200


async def test_a_token_in_a_header_stands_over_the_cookie(house: House, client: Client) -> None:
    session = await cookie(house, client)
    bobs = await house.token(BOB)
    shown = await (await client.get(SESSION, headers=session | bobs)).json()
    assert shown["identity"] == "bob"
    wrong = {"Authorization": f"Bearer {WRONG}"}
    await error_of(await client.get(SESSION, headers=session | wrong), 401, "unauthorized")


async def test_a_session_in_the_query_opens_nothing(house: House, client: Client) -> None:
    value = (await cookie(house, client))["Cookie"].partition("=")[2]
    await error_of(await client.get(f"/api/v1/calls?recbridge_session={value}"), 401, "unauthorized")
    await error_of(await client.get(f"/api/v1/calls?token={value}"), 401, "unauthorized")


# Scopes and roles


async def test_a_session_may_what_its_token_may(house: House, client: Client) -> None:
    headers = await house.token(ALICE, scopes=[Scope.PLAY])
    session = await cookie(house, client, headers["Authorization"].removeprefix("Bearer "))
    await error_of(await client.post(START, json=CHANNEL, headers=session | own(client)), 403, "forbidden")


# Streams


@pytest.mark.parametrize("headers", OTHERS.values(), ids=OTHERS.keys())
async def test_another_site_opens_no_websocket_with_the_cookie(
    house: House, client: Client, headers: dict[str, str]
) -> None:
    session = await cookie(house, client)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/api/v1/ws", headers=session | headers)
    assert refused.value.status == 403


async def test_our_own_page_opens_a_websocket(house: House, client: Client) -> None:
    session = await cookie(house, client)
    async with client.ws_connect("/api/v1/ws", headers=session | own(client)) as socket:
        assert not socket.closed


@pytest.mark.parametrize("end", ["sign out", "its token is ended"])
async def test_a_stream_ends_with_its_session(house: House, end: str) -> None:
    house.keepalive_s = 0.05
    async with house.opened() as client:
        plain = await plain_token(house)
        session = await cookie(house, client, plain)
        async with client.get("/api/v1/stream", headers=session) as stream:
            assert stream.status == 200
            if end == "sign out":
                await client.delete(SESSION, headers=session | own(client))
            else:
                parts = tokens.parse(plain)
                assert parts is not None
                await house.store.end_token(parts[0])
            async with asyncio.timeout(60):
                await stream.read()


# Behind a proxy that speaks TLS


async def test_behind_a_trusted_proxy_the_cookie_is_for_tls_alone(house: House) -> None:
    house.trusted_proxies = (LOOPBACK,)
    async with house.opened() as client:
        plain = await plain_token(house)
        page = {**BEHIND_TLS, "Origin": "https://pbx.example"}
        response = await client.post(SESSION, json={"token": plain}, headers=page)
        assert response.status == 201
        morsel = cookie_of(response)
        assert morsel.key == "__Host-recbridge_session"
        assert morsel["secure"]
        assert morsel["path"] == "/"
        assert not morsel["domain"]
        client.session.cookie_jar.clear()
        session = {"Cookie": f"{morsel.key}={morsel.value}"}
        assert (await client.post(START, json=CHANNEL, headers=session | page)).status == 200
        with_port = page | {"X-Forwarded-Host": "pbx.example:443"}
        assert (await client.post(START, json=CHANNEL, headers=session | with_port)).status == 200


@pytest.mark.parametrize(
    "origin", ["http://pbx.example", "https://pbx.example:8443", "https://sub.pbx.example", "https://127.0.0.1", "null"]
)
async def test_behind_a_trusted_proxy_the_origin_is_the_public_one(house: House, origin: str) -> None:
    house.trusted_proxies = (LOOPBACK,)
    async with house.opened() as client:
        body = {"token": await plain_token(house)}
        response = await client.post(SESSION, json=body, headers={**BEHIND_TLS, "Origin": origin})
        await error_of(response, 403, "cross-site")


async def test_over_tls_a_subdomains_cookie_counts_for_nothing(house: House) -> None:
    house.trusted_proxies = (LOOPBACK,)
    async with house.opened() as client:
        plain = await plain_token(house)
        headers = {"Cookie": f"recbridge_session={plain}", **BEHIND_TLS}
        await error_of(await client.get(SESSION, headers=headers), 401, "unauthorized")


async def test_nobody_else_says_that_it_is_tls(house: House, client: Client) -> None:
    body = {"token": await plain_token(house)}
    page = {**BEHIND_TLS, "Origin": "https://pbx.example"}
    await error_of(await client.post(SESSION, json=body, headers=page), 403, "cross-site")
    response = await client.post(SESSION, json=body, headers={**BEHIND_TLS, **own(client)})
    assert cookie_of(response).key == "recbridge_session"
    assert not cookie_of(response)["secure"]


async def test_behind_a_proxy_that_nobody_named_the_cookie_stays_with_tls_all_the_same(
    house: House, client: Client
) -> None:
    body = {"token": await plain_token(house)}
    page = {"Host": "pbx.example", "Origin": "https://pbx.example"}
    response = await client.post(SESSION, json=body, headers=page)
    assert response.status == 201
    assert cookie_of(response).key == "recbridge_session"
    assert cookie_of(response)["secure"]


async def test_the_last_proxy_says_how_it_was_asked(house: House) -> None:
    house.trusted_proxies = (LOOPBACK,)
    async with house.opened() as client:
        body = {"token": await plain_token(house)}
        said = {"X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "evil.example, pbx.example"}
        response = await client.post(SESSION, json=body, headers={**said, "Origin": "https://pbx.example"})
        assert response.status == 201
        response = await client.post(SESSION, json=body, headers={**said, "Origin": "https://evil.example"})
        await error_of(response, 403, "cross-site")
