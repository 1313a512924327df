"""Tokens: only a hash is kept, wrong ones are told apart in constant time and slowed down for whoever sends them."""

import asyncio
import hmac
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge import tokens
from bridge.api.auth import FailureLimit
from bridge.cli.main import main
from tests.api.house import ALICE, House, error_of

Client = TestClient[Request, Application]
WRONG = {"X-Auth-Token": "rb_0123456789abcdef_" + "x" * 43}
PROXY = ["127.0.0.0/8", "::1"]


def test_no_file_of_ours_holds_a_token_or_its_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "recbridge.yml"
    config.write_text(f"asterisk: {{secret: x}}\ndatabase: {tmp_path}/recbridge.db\n")
    made = []
    for role in ("user", "supervisor", "admin"):
        assert main(["token", "create", "--config", str(config), "--identity", "alice", "--role", role]) == 0
        made.append(capsys.readouterr().out.splitlines()[-1])
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != config]
    content = b"".join(path.read_bytes() for path in files)
    for plain in made:
        parts = tokens.parse(plain)
        assert parts is not None
        token_id, secret = parts
        assert token_id.encode() in content
        assert secret.encode() not in content
        assert secret[:20].encode() not in content


async def test_a_secret_is_compared_in_constant_time_also_a_wrong_one(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    plain = (await house.token(ALICE))["Authorization"]
    wrong = plain[:-1] + ("a" if plain[-1] != "a" else "b")
    for sent, status in ((plain, 200), (wrong, 401)):
        assert (await client.get("/api/v1/calls", headers={"Authorization": sent})).status == status
    assert len(compared) == 2
    # Hashes of one length: how far they agree tells nothing of the secret.
    assert {len(one) for pair in compared for one in pair} == {64}


@pytest.fixture
async def behind_a_proxy(house: House) -> AsyncIterator[Client]:
    house.trusted_proxies = [ip_network(one) for one in PROXY]
    async with house.opened() as client:
        yield client


async def guess(client: Client, address: str, times: int = 20) -> None:
    for _ in range(times):
        await error_of(await client.get("/api/v1/calls", headers=_from(address)), 401, "unauthorized")


def _from(address: str) -> dict[str, str]:
    return {**WRONG, "X-Forwarded-For": address}


async def test_behind_a_trusted_proxy_each_address_waits_for_itself(house: House, behind_a_proxy: Client) -> None:
    client = behind_a_proxy
    await guess(client, "192.0.2.1")
    response = await client.get("/api/v1/calls", headers=_from("192.0.2.1"))
    await error_of(response, 429, "too-many-requests")
    assert 0 < int(response.headers["Retry-After"]) <= 61
    await guess(client, "192.0.2.2", 1)
    fresh = await house.token(ALICE)
    assert (await client.get("/api/v1/calls", headers={**fresh, "X-Forwarded-For": "192.0.2.2"})).status == 200
    assert (await client.get("/api/v1/calls", headers=fresh)).status == 200


async def test_what_a_client_says_of_itself_neither_frees_it_nor_locks_others_out(behind_a_proxy: Client) -> None:
    for made_up in range(20):
        await guess(behind_a_proxy, f"198.51.100.{made_up}, 192.0.2.1", 1)
    response = await behind_a_proxy.get("/api/v1/calls", headers=_from("198.51.100.77, 192.0.2.1"))
    await error_of(response, 429, "too-many-requests")
    await guess(behind_a_proxy, "198.51.100.5", 1)


async def test_a_host_with_a_whole_ipv6_network_is_one(behind_a_proxy: Client) -> None:
    for host in range(20):
        await guess(behind_a_proxy, f"2001:db8::{host:x}", 1)
    response = await behind_a_proxy.get("/api/v1/calls", headers=_from("2001:db8::beef"))
    await error_of(response, 429, "too-many-requests")
    await guess(behind_a_proxy, "2001:db8:0:1::1", 1)


async def test_without_trusted_proxies_what_is_forwarded_counts_for_nothing(client: Client) -> None:
    for made_up in range(20):
        await guess(client, f"192.0.2.{made_up}", 1)
    await error_of(await client.get("/api/v1/calls", headers=_from("192.0.2.99")), 429, "too-many-requests")


async def test_right_tokens_are_never_counted(house: House, client: Client) -> None:
    headers = await house.token(ALICE)
    for _ in range(50):
        assert (await client.get("/api/v1/calls", headers=headers)).status == 200
    await guess(client, "192.0.2.1", 20)
    assert (await client.get("/api/v1/calls", headers=headers)).status == 200


def test_however_many_addresses_guess_memory_is_bounded() -> None:
    limit = FailureLimit()
    for number in range(5000):
        limit.failed(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(limit._failures) == 1000
    assert limit.wait_s("10.0.19.135") == 0
    for _ in range(19):
        limit.failed("10.0.19.135")
    assert limit.wait_s("10.0.19.135") > 0


async def test_metrics_and_tickets_are_slowed_down_with_all_else(client: Client) -> None:
    through = {**WRONG, "X-Forwarded-For": "192.0.2.1"}
    for _ in range(10):
        await error_of(await client.get("/metrics", headers=through), 401, "unauthorized")
        await error_of(await client.get("/api/v1/records/a_b/1/1?ticket=guessed"), 401, "unauthorized")
    for path in ("/metrics", "/api/v1/records/a_b/1/1?ticket=guessed", "/api/v1/journal"):
        await error_of(await client.get(path, headers=through), 429, "too-many-requests")


async def test_a_connection_that_sends_no_request_holds_up_nobody(house: House, client: Client) -> None:
    idle = [socket.create_connection((client.host, client.port)) for _ in range(50)]
    try:
        idle[0].sendall(b"GET /api/v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bea")
        async with asyncio.timeout(30):
            assert (await client.get("/api/v1/calls", headers=await house.token(ALICE))).status == 200
    finally:
        for one in idle:
            one.close()
