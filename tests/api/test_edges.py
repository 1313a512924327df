"""What clients and browsers rely on at the edges of HTTP."""

import asyncio

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.live import NotReady
from tests.api.house import ALICE, House, error_of, url

Client = TestClient[Request, Application]


async def test_ready_is_said_in_words_too(house: House, client: Client) -> None:
    assert (await (await client.get("/ready")).json())["ready"] is True
    house.not_ready = [NotReady("asterisk-unreachable", "start Asterisk")]
    assert (await (await client.get("/ready")).json())["ready"] is False


async def test_a_browser_may_play_audio_that_it_opens_as_a_page(house: House, client: Client) -> None:
    key = await house.section()
    response = await client.get(url(key), headers=await house.token(ALICE))
    rules = dict(rule.split(" ", 1) for rule in response.headers["Content-Security-Policy"].split("; "))
    assert rules["media-src"] == "'self'"
    assert rules["default-src"] == "'none'"


@pytest.mark.parametrize("path", ["/%0A", "/api/v1/journal%0A", "/api/v1/%0Ajournal", "/api//"])
async def test_odd_paths_are_not_found(client: Client, path: str) -> None:
    await error_of(await client.get(path), 404, "not-found")


@pytest.mark.parametrize("path", ["/api/v1/journal/", "/v3/monitor/", "/1.0/cdr/"])
async def test_a_slash_too_many_is_said(client: Client, path: str) -> None:
    response = await client.get(path)
    assert response.status == 404
    body = await response.json()
    assert (body["error_id"], "none ends with a slash" in body["message"]) == ("not-found", True)


async def test_a_wrong_method_names_the_right_ones(client: Client) -> None:
    response = await client.delete("/api/v1/tickets")
    await error_of(response, 405, "method-not-allowed")
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", [b"/health", b"/nowhere"])
@pytest.mark.parametrize("expect", [b"200-ok", b"\x98"])
async def test_an_expectation_that_nobody_knows_is_ignored(client: Client, path: bytes, expect: bytes) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    try:
        async with asyncio.timeout(30):
            writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\nExpect: %b\r\n\r\n" % (path, expect))
            status = (await reader.readline()).split()[1]
    finally:
        writer.close()
    assert status == (b"200" if path == b"/health" else b"404")


async def test_a_client_that_waits_before_its_body_is_asked_for_it(house: House, client: Client) -> None:
    key = await house.section()
    headers = await house.token(ALICE)
    async with asyncio.timeout(30):
        response = await client.post("/api/v1/tickets", headers=headers, json={"path": url(key)}, expect100=True)
    assert response.status == 201
