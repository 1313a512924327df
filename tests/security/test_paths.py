"""Nothing but a section's own file leaves the spool, however a path is written."""

import asyncio
import json

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role
from tests.api.house import ROOT, House, error_of, url
from tests.storage.kept import RECORD

Client = TestClient[Request, Application]
SECRET = b"what nobody is to read"
UP = [
    "..",
    "../..",
    "....//",
    "..%2f..",
    "%2e%2e",
    "%2e%2e%2f",
    "..%252f..",
    "..%5c..",
    "..\\..",
    "%c0%ae%c0%ae",
    "..%00",
    ".",
    "~root",
    "%2fetc%2fpasswd",
    "file:%2f%2f%2f",
    "1;/../secret.wav",
]
TARGETS = ["secret.wav", "../secret.wav", "..%2fsecret.wav", "%2e%2e/secret.wav", "1/1", "1", "spool/../secret.wav"]


@pytest.fixture
async def admin(house: House) -> str:
    """Secrets around the spool, and the token of one who may hear everything."""
    (house.root.parent / "secret.wav").write_bytes(SECRET)
    (house.root / "secret.wav").write_bytes(SECRET)
    (house.root / "secret").mkdir()
    (house.root / "secret" / "secret.wav").write_bytes(SECRET)
    return (await house.token(ROOT, Role.ADMIN))["Authorization"]


async def raw(client: Client, target: str, authorization: str) -> bytes:
    """The answer to a target as it stands here: no client tidies it up."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    try:
        async with asyncio.timeout(30):
            head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {authorization}\r\n\r\n"
            writer.write(head.encode("latin-1"))
            return await reader.read()
    finally:
        writer.close()


async def test_no_way_of_writing_a_path_leads_out(house: House, client: Client, admin: str) -> None:
    key = await house.section()
    good = await raw(client, url(key), admin)
    assert good.startswith(b"HTTP/1.1 200")
    for up in UP:
        for target in TARGETS:
            for path in (
                f"/{up}/{target}",
                f"/api/v1/records/{up}/{target}",
                f"/api/v1/records/{RECORD}/{up}/{target}",
                f"/api/v1/records/{RECORD}/1/{up}/{target}",
                f"/api/v1/records/{RECORD}/1/1/{up}/{target}",
                f"/api/v1/records/{RECORD}/1/{up}{target}",
            ):
                answer = await raw(client, path, admin)
                assert SECRET not in answer, path
                # aiohttp itself brings `..` to an end before it looks: then it may be a path that there is.
                assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400", b"HTTP/1.0 400")) or good[-64:] in answer


async def test_a_ticket_is_for_a_sections_audio_and_for_nothing_else(house: House, client: Client, admin: str) -> None:
    await house.section()
    headers = {"Authorization": admin}
    for up in UP:
        for target in TARGETS:
            for path in (
                f"/{up}/{target}",
                f"/api/v1/records/{RECORD}/{up}/{target}",
                f"{RECORD}/1/1",
                f"{up}{target}",
            ):
                response = await client.post("/api/v1/tickets", data=json.dumps({"path": path}), headers=headers)
                assert response.status in {400, 404}, path
                assert "ticket=" not in await response.text()


async def test_a_ticket_opens_no_other_way_of_writing_its_path(house: House, client: Client, admin: str) -> None:
    first, second = await house.section(1), await house.section(2)
    response = await client.post("/api/v1/tickets", json={"path": url(first)}, headers={"Authorization": admin})
    link = (await response.json())["url"]
    ticket = link.partition("?ticket=")[2]
    assert (await client.get(link)).status == 200
    await error_of(await client.get(f"{url(second)}?ticket={ticket}"), 401, "unauthorized")
    for path in (
        f"{url(first)}/../2",
        f"{url(first)[:-1]}%32",
        f"{url(first)[:-1]}2%00",
        f"{url(first)}/../../../secret.wav",
    ):
        answer = await raw(client, f"{path}?ticket={ticket}", "none")
        assert not answer.startswith(b"HTTP/1.1 200"), path
