"""Records, the journal and the calls: who sees what, and what bad questions get."""

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role, Scope
from bridge.core.ids import Identity
from bridge.core.records import SectionState, SectionType
from tests.api.house import ALICE, BOB, CAROL, DAVE, ROOT, House, error_of, journal_entry
from tests.storage import kept

Client = TestClient[Request, Application]
RECORD = f"/api/v1/records/{kept.RECORD}"


async def sections_seen(client: Client, headers: dict[str, str]) -> list[int]:
    response = await client.get(RECORD, headers=headers)
    if response.status == 404:
        await error_of(response, 404, "not-found")
        return []
    return [record["file"] for record in (await response.json())["records"]]


async def test_each_sees_the_sections_that_are_its_to_see(house: House, client: Client) -> None:
    await house.section(1)
    await house.section(2, participants=(ALICE, CAROL))
    await house.section(3, participants=(), type=SectionType.MANUAL, owner=DAVE)
    house.supervises = {DAVE: frozenset({CAROL}), Identity("erin"): frozenset({BOB})}
    assert await sections_seen(client, await house.token(ALICE)) == [1, 2]
    assert await sections_seen(client, await house.token(BOB)) == [1]
    assert await sections_seen(client, await house.token(CAROL)) == [2]
    assert await sections_seen(client, await house.token(DAVE)) == [3]
    assert await sections_seen(client, await house.token(DAVE, Role.SUPERVISOR)) == [2, 3]
    assert await sections_seen(client, await house.token(Identity("erin"), Role.SUPERVISOR)) == [1]
    assert await sections_seen(client, await house.token(Identity("erin"))) == []
    assert await sections_seen(client, await house.token(ROOT, Role.ADMIN)) == [1, 2, 3]


async def test_a_record_comes_with_the_readers_journal_entry(house: House, client: Client) -> None:
    await house.section()
    await house.happen(journal_entry("alice"), journal_entry("bob"))
    entry = await (await client.get(RECORD, headers=await house.token(BOB))).json()
    assert entry["id"] == kept.RECORD
    assert entry["journalEntry"]["userName"] == "bob"
    assert entry["records"][0]["audioFiles"] == [{"format": "wav", "size": 1024}]


@pytest.mark.parametrize(
    "record_id", ["no_0", "a" * 300, "..", "%2e%2e%2fetc", "%00", "a%20b", "%ff%fe", "%F0%9F%92%A9"]
)
async def test_what_is_no_record_is_not_found(house: House, client: Client, record_id: str) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    await error_of(await client.get(f"/api/v1/records/{record_id}", headers=headers), 404, "not-found")


async def test_what_asterisk_said_in_another_charset_is_still_json(house: House, client: Client) -> None:
    name = b"M\xfcller".decode("utf-8", "surrogateescape")
    await house.section(tags=(name,))
    entry = await (await client.get(RECORD, headers=await house.token(ALICE))).json()
    assert entry["records"][0]["tags"][0].startswith("M\ufffd")


async def journal(client: Client, headers: dict[str, str], query: str = "") -> list[tuple[int, str]]:
    response = await client.get(f"/api/v1/journal{query}", headers=headers)
    assert response.status == 200
    return [(item["id"], item["userName"]) for item in (await response.json())["items"]]


async def test_the_journal_is_the_readers_own_newest_first(house: House, client: Client) -> None:
    await house.happen(journal_entry("alice"), journal_entry("bob"), journal_entry("alice"))
    headers = await house.token(ALICE)
    assert await journal(client, headers) == [(3, "alice"), (1, "alice")]
    assert await journal(client, headers, "?limit=1") == [(3, "alice")]
    assert await journal(client, headers, "?identity=alice") == [(3, "alice"), (1, "alice")]


async def test_anothers_journal_needs_a_supervisor_of_theirs_or_an_admin(house: House, client: Client) -> None:
    await house.happen(journal_entry("alice"), journal_entry("bob"))
    house.supervises = {DAVE: frozenset({BOB})}
    supervisor, admin = await house.token(DAVE, Role.SUPERVISOR), await house.token(ROOT, Role.ADMIN)
    assert await journal(client, supervisor, "?identity=bob") == [(2, "bob")]
    assert await journal(client, admin, "?identity=bob") == [(2, "bob")]
    assert await journal(client, admin, "?identity=*") == [(2, "bob"), (1, "alice")]
    assert await journal(client, admin) == []
    for headers, identity in ((supervisor, "alice"), (supervisor, "*"), (await house.token(DAVE), "bob")):
        response = await client.get(f"/api/v1/journal?identity={identity}", headers=headers)
        await error_of(response, 403, "forbidden")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/v1/journal?limit=0", "limit"),
        ("/api/v1/journal?limit=1001", "limit"),
        ("/api/v1/journal?limit=ten", "limit"),
        ("/api/v1/journal?limit=", "limit"),
        ("/api/v1/journal?limit=" + "9" * 5000, "limit"),
        ("/api/v1/journal?limt=5", "limt"),
        ("/api/v1/journal?headers=5", "headers"),
        ("/api/v1/journal?limit=1&limit=2", "limit"),
        ("/api/v1/journal?identity=" + "a" * 300, "identity"),
        ("/api/v1/calls?all=1", "all"),
        (f"{RECORD}?x=1", "x"),
        (f"{RECORD}/1/1?format=aiff", "format"),
        (f"{RECORD}/1/1?download=perhaps", "download"),
        ("/api/v1/stream?after=-1", "after"),
        ("/api/v1/stream?after=x", "after"),
        ("/api/v1/stream?since=1", "since"),
        ("/api/v1/stream?after=" + "9" * 19, "after"),
    ],
)
async def test_wrong_queries_are_refused_by_field(house: House, client: Client, path: str, field: str) -> None:
    details = await error_of(await client.get(path, headers=await house.token(ALICE)), 400, "invalid-request")
    assert list(details) == [field]


async def test_calls_are_shown_to_those_who_are_in_them(house: House, client: Client) -> None:
    house.supervises = {DAVE: frozenset({BOB})}
    for headers, count in (
        (await house.token(ALICE), 1),
        (await house.token(CAROL), 0),
        (await house.token(DAVE, Role.SUPERVISOR), 1),
        (await house.token(ROOT, Role.ADMIN), 1),
    ):
        items = (await (await client.get("/api/v1/calls", headers=headers)).json())["items"]
        assert len(items) == count
    (call,) = items
    assert call["callId"] == kept.CALL
    assert [party["identity"] for party in call["parties"]] == ["alice", "bob"]
    assert call["rules"] == [
        {"ruleId": 1, "name": "all", "state": "recording", "file": 1, "identity": "", "reason": None}
    ]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", ["body"]),
        (b"{", ["body"]),
        (b"\xff\xfe", ["body"]),
        (b'"text"', ["body"]),
        (b"[" * 30_000, ["body"]),
        (b"{}", ["path"]),
        (b'{"path": 5}', ["path"]),
        (b'{"path": null}', ["path"]),
        (b'{"path": "/api/v1/records/a/1/1", "for": "ever"}', ["for"]),
        (b'{"path": "/api/v1/journal"}', ["path"]),
        (b'{"path": "http://elsewhere/api/v1/records/a/1/1"}', ["path"]),
        (b'{"path": "/api/v1/records/a/1/1?download=1"}', ["path"]),
        (b'{"path": "\\ud800"}', ["body"]),
    ],
)
async def test_wrong_bodies_are_refused_by_field(house: House, client: Client, body: bytes, fields: list[str]) -> None:
    response = await client.post("/api/v1/tickets", headers=await house.token(ALICE), data=body)
    assert list(await error_of(response, 400, "invalid-request")) == fields


async def test_a_body_that_is_too_large_is_413(house: House, client: Client) -> None:
    response = await client.post("/api/v1/tickets", headers=await house.token(ALICE), data=b" " * 100_000)
    await error_of(response, 413, "body-too-large")


async def test_a_body_that_is_not_compressed_as_it_says_is_400(house: House, client: Client) -> None:
    headers = {**await house.token(ALICE), "Content-Encoding": "gzip"}
    await error_of(await client.post("/api/v1/tickets", headers=headers, data=b"{}"), 400, "invalid-request")


async def test_tickets_need_the_right_to_hear(house: House, client: Client) -> None:
    await house.section()
    body = {"path": f"{RECORD}/1/1"}
    headers = await house.token(ALICE, scopes=(Scope.CONTROL,))
    await error_of(await client.post("/api/v1/tickets", headers=headers, json=body), 403, "forbidden")
    headers = await house.token(CAROL)
    await error_of(await client.post("/api/v1/tickets", headers=headers, json=body), 404, "not-found")


@pytest.mark.parametrize("state", [one for one in SectionState if one is not SectionState.STORED])
async def test_audio_that_is_not_stored_is_409(house: House, client: Client, state: SectionState) -> None:
    await house.section(state=state)
    headers = await house.token(ALICE)
    assert await error_of(await client.get(f"{RECORD}/1/1", headers=headers), 409, "not-stored-yet") == {
        "state": str(state)
    }
