"""Where a POST may go, and what it may cost: no private address, however it is named, no redirect, no long wait."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web

from bridge.feed.sender import Resolver, Sender

Names = dict[str, list[str]]


@asynccontextmanager
async def listening(handler: Callable[[web.Request], Any]) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield next(iter(runner.addresses))[1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sending(**values: Any) -> AsyncIterator[Sender]:
    sender = Sender(**{"allow_private": True, "timeout_s": 5.0, **values})
    try:
        yield sender
    finally:
        await sender.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What name servers say; they may say another thing each time."""
    said: Names = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **values: Any) -> Any:
        if host not in said:
            return real(host, port, **values)
        address = said[host].pop(0) if len(said[host]) > 1 else said[host][0]
        return real(address, port, **values)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return said


async def test_a_name_with_a_private_address_is_not_connected_to(names: Names) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async with listening(handler) as port:
        for address in ("127.0.0.1", "10.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1"):
            names["evil.example"] = [address]
            async with sending(allow_private=False) as sender:
                answer = await sender.post(f"http://evil.example:{port}/x", {}, b"{}")
                assert answer.error == "address-not-allowed"
    assert asked == []


async def test_a_name_that_changes_its_address_helps_nobody(names: Names) -> None:
    """It is looked at whenever it is resolved, and what was looked at is what is connected to."""
    connected: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        connected.append(request.path)
        return web.Response()

    resolver = Resolver(allow_private=False)
    async with listening(handler) as port, sending(allow_private=False, resolver=resolver) as sender:
        names["rebinding.example"] = ["1.1.1.1", "127.0.0.1"]
        assert [one["host"] for one in await resolver.resolve("rebinding.example", port)] == ["1.1.1.1"]
        answer = await sender.post(f"http://rebinding.example:{port}/", {}, b"{}")
        assert answer.error == "address-not-allowed"
    assert connected == []


async def test_of_several_addresses_the_private_ones_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, **_: Any) -> Any:  # noqa: ARG001  # getaddrinfo's shape
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("10.0.0.1", "1.1.1.1")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert [one["host"] for one in await Resolver(allow_private=False).resolve("x.example", 80)] == ["1.1.1.1"]
    assert len(await Resolver(allow_private=True).resolve("x.example", 80)) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "localhost", "0"])
async def test_loopback_is_refused_however_it_is_written(host: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        raise AssertionError(host)

    async with listening(handler) as port, sending(allow_private=False) as sender:
        answer = await sender.post(f"http://{host}:{port}/", {}, b"{}")
    assert answer.status is None
    assert answer.error is not None


async def test_a_redirect_to_loopback_is_not_followed() -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with listening(handler) as port, sending() as sender:
        assert (await sender.post(f"http://127.0.0.1:{port}/here", {}, b"{}")).status == 302
    assert paths == ["/here"]


async def test_an_answer_that_does_not_come_is_not_waited_for_long() -> None:
    over = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    async with listening(handler) as port, sending(timeout_s=0.1) as sender:
        assert (await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}")).error == "timeout"
        over.set()


async def test_a_name_server_that_hangs_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look_up(*_: Any, **__: Any) -> Any:
        asyncio.run_coroutine_threadsafe(over.wait(), loop).result()
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with sending(timeout_s=0.1) as sender:
        assert (await sender.post("http://slow.example/", {}, b"{}")).error == "timeout"
    over.set()


async def test_an_answer_without_end_is_cut_off() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            sent += 65536

    async with listening(handler) as port, sending() as sender:
        assert (await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}")).status == 200
    assert sent < 64 * 1024 * 1024


async def test_what_goes_wrong_has_a_name(unused_tcp_port: int, names: Names) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    names["nowhere.example"] = ["nowhere.invalid"]
    async with sending() as sender:
        assert (await sender.post(f"http://127.0.0.1:{unused_tcp_port}/", {}, b"")).error == "not-reached"
        assert (await sender.post("http://nowhere.example/", {}, b"")).error == "no-such-host"
        async with listening(handler) as port:
            assert (await sender.post(f"http://127.0.0.1:{port}/", {}, b"")).error == "connection-lost"
            assert (await sender.post(f"https://127.0.0.1:{port}/", {}, b"")).error in ("tls-failed", "not-reached")


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("120", 120, 120),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3000, 3600),
    ],
)
async def test_retry_after_is_seconds_or_a_date(header: str, low: float, high: float) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": header})

    async with listening(handler) as port, sending() as sender:
        wait_s = (await sender.post(f"http://127.0.0.1:{port}/", {}, b"")).retry_after_s
    assert wait_s is not None
    assert low <= wait_s <= high


@pytest.mark.parametrize(
    "header",
    [
        "", "soon", "-5", "9" * 400, "Wed, 99 Nov 2026 00:00:00 GMT", "²",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999999", "Wed, 99999999999999999999 Oct 2015 07:28:00 GMT",
    ],
)  # fmt: skip
async def test_a_retry_after_that_cannot_be_read_is_none(header: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": header})

    async with listening(handler) as port, sending() as sender:
        answer = await sender.post(f"http://127.0.0.1:{port}/", {}, b"")
    assert answer.status == 503
    assert answer.retry_after_s is None or answer.retry_after_s <= 1e9


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    async with listening(handler) as port, sending() as sender:
        assert (await sender.post(f"http://127.0.0.1:{port}/", {}, b"")).status == 200
