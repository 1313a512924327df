"""Finished calls as wazo-call-logd's clients list them."""

import csv
import io
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid5

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.api import pages
from bridge.core.access import Role
from bridge.core.cdrs import CdrNumber, CdrPage, CdrQuery, recording_name
from bridge.core.ids import CallId, Identity
from bridge.core.people import USERS_NAMESPACE
from bridge.core.records import CallStatus, Cdr
from bridge.core.store import AddCdr
from tests.api.house import ALICE, BOB, CAROL, DAVE, ROOT
from tests.api.wazo.office import (
    ALICE_UUID,
    BASE,
    TENANT,
    Office,
    a_call,
    another,
    recorded,
    refused,
    uuid_of,
)
from tests.storage import kept

Client = TestClient[Request, Application]
BOB_UUID = str(uuid5(USERS_NAMESPACE, "bob"))
CSV = {"Accept": "text/csv; charset=utf-8"}


async def listed(client: Client, headers: dict[str, str], path: str = "/cdr", **query: str) -> dict[str, Any]:
    response = await client.get(BASE + path, headers=headers, params=query)
    assert response.status == 200, await response.text()
    body: dict[str, Any] = await response.json()
    assert set(body) == {"items", "total", "filtered"}
    return body


async def ids(client: Client, headers: dict[str, str], path: str = "/cdr", **query: str) -> list[int]:
    return [one["id"] for one in (await listed(client, headers, path, **query))["items"]]


async def test_a_call_has_every_field_that_wazo_gives_it(office: Office, wazo: Client) -> None:
    section = recorded(tags=("olga", "vip"))
    await office.call(section)
    body = await listed(wazo, await office.client_token(ROOT, Role.ADMIN))
    assert (body["total"], body["filtered"]) == (1, 1)
    assert body["items"] == [
        {
            "id": 1,
            "tenant_uuid": TENANT,
            "start": "2026-08-01T12:00:00.123456+00:00",
            "end": "2026-08-01T12:00:08.023456+00:00",
            "answered": True,
            "answer": "2026-08-01T12:00:03.123456+00:00",
            "duration": 4,
            "call_direction": "internal",
            "call_status": "answered",
            "conversation_id": "1795223079.178",
            "destination_extension": "822",
            "destination_internal_context": "house",
            "destination_internal_extension": "822",
            "destination_line_id": None,
            "destination_name": "Bob",
            "destination_user_uuid": BOB_UUID,
            "requested_name": "Bob Baker",
            "requested_context": "inside",
            "requested_extension": "822",
            "requested_internal_context": "inside",
            "requested_internal_extension": "822",
            "requested_user_uuid": BOB_UUID,
            "source_extension": "821",
            "source_internal_context": "inside",
            "source_internal_extension": "821",
            "source_internal_name": "Alice Adams",
            "source_line_id": None,
            "source_name": "Alice",
            "source_user_uuid": ALICE_UUID,
            "tags": ["olga", "vip"],
            "recordings": [
                {
                    "uuid": uuid_of(section),
                    "start_time": "2026-08-01T12:00:00.123456+00:00",
                    "end_time": "2026-08-01T12:00:01.123456+00:00",
                    "deleted": False,
                    "filename": f"2026-08-01T12_00_00UTC-1-{uuid_of(section)}.wav",
                }
            ],
        }
    ]


async def test_what_is_unknown_of_a_call_is_null(office: Office, wazo: Client) -> None:
    await office.call(
        answered_at=None,
        direction="inbound",
        source_name="",
        source_number="",
        source_identity=None,
        destination_name="",
        destination_number="",
        destination_identity=None,
        destination_context="",
        dialed="",
        context="",
        record_ids=(),
        status=CallStatus.UNKNOWN,
    )
    (item,) = (await listed(wazo, await office.client_token(ROOT, Role.ADMIN)))["items"]
    unknown = {name for name, value in item.items() if value is None}
    known = {"id", "tenant_uuid", "start", "end", "answered", "call_direction", "call_status", "conversation_id"}
    assert set(item) - unknown == known | {"tags", "recordings"}
    assert (item["answered"], item["answer"], item["duration"]) == (False, None, None)
    assert (item["tags"], item["recordings"]) == ([], [])


async def test_a_number_outside_is_no_internal_extension(office: Office, wazo: Client) -> None:
    await office.call(
        direction="outbound",
        destination_identity=None,
        destination_number="+4973112345",
        destination_context="from-trunk",
        dialed="0073112345",
        source_number="+49731555",
    )
    (item,) = (await listed(wazo, await office.client_token(ROOT, Role.ADMIN)))["items"]
    assert item["destination_internal_extension"] is None
    assert item["destination_internal_context"] is None
    assert item["requested_internal_extension"] is None
    assert item["requested_user_uuid"] is None
    assert item["source_internal_extension"] == "821"  # whatever number she shows outside


async def test_a_queues_name_is_what_was_asked_for_where_no_user_was(office: Office, wazo: Client) -> None:
    await office.call(direction="inbound", dialed="800", destination_number="822", queue="support")
    (item,) = (await listed(wazo, await office.client_token(ROOT, Role.ADMIN)))["items"]
    assert (item["requested_name"], item["requested_extension"]) == ("support", "800")


async def test_both_paths_are_the_same(office: Office, wazo: Client) -> None:
    await office.call()
    headers = await office.client_token(ROOT, Role.ADMIN)
    one = await (await wazo.get("/1.0/cdr", headers=headers)).json()
    assert one == await listed(wazo, headers)
    assert (await wazo.get("/1.0/cdr/1", headers=headers)).status == 200


async def test_whose_calls_one_sees(office: Office, wazo: Client) -> None:
    office.supervises[CAROL] = frozenset({ALICE})
    await office.call()
    await office.call(call_id=CallId("2.2"), participants=(DAVE,), record_ids=())
    for path in ("/cdr", f"/users/{BOB_UUID}/cdr"):
        details = await refused(
            await wazo.get(BASE + path, headers=await office.client_token(ALICE)), 401, "unauthorized"
        )
        assert details["required_access"].startswith("call-logd.")
    alice, carol = await office.client_token(ALICE), await office.client_token(CAROL, Role.SUPERVISOR)
    assert await ids(wazo, alice, "/users/me/cdr") == [1]
    assert await ids(wazo, alice, f"/users/{ALICE_UUID}/cdr") == [1]
    assert await ids(wazo, alice, f"/users/{ALICE_UUID.upper()}/cdr") == [1]
    assert await ids(wazo, carol) == [1]
    assert await ids(wazo, carol, "/users/me/cdr") == []
    assert await ids(wazo, carol, f"/users/{ALICE_UUID}/cdr") == [1]
    dave = str(uuid5(USERS_NAMESPACE, "dave"))
    await refused(await wazo.get(f"{BASE}/users/{dave}/cdr", headers=carol), 401, "unauthorized")
    root = await office.client_token(ROOT, Role.ADMIN)
    assert await ids(wazo, root) == [2, 1]
    assert await ids(wazo, root, f"/users/{dave}/cdr") == [2]
    assert await ids(wazo, root, "/users/not-even-a-uuid/cdr") == []


async def test_anothers_call_is_not_there(office: Office, wazo: Client) -> None:
    await office.call(participants=(DAVE,))
    headers = await office.client_token(ALICE)
    for cdr_id in ("1", "2", "x", "99999999999999999999", "-1"):
        details = await refused(await wazo.get(f"{BASE}/cdr/{cdr_id}", headers=headers), 404, _NOT_FOUND)
        assert str(details["cdr_id"]) == cdr_id


_NOT_FOUND = "cdr-not-found-with-given-id"


async def test_recordings_of_a_talk_without_the_reader_are_left_out(office: Office, wazo: Client) -> None:
    consultation = recorded(2, participants=(BOB, DAVE), tags=("secret",))
    mine = recorded(1, tags=("mine",))
    await office.call(mine, consultation, participants=(ALICE, BOB, DAVE))
    (item,) = (await listed(wazo, await office.client_token(ALICE), "/users/me/cdr"))["items"]
    assert [one["uuid"] for one in item["recordings"]] == [uuid_of(mine)]
    assert item["tags"] == ["mine"]
    (item,) = (await listed(wazo, await office.client_token(BOB), "/users/me/cdr"))["items"]
    assert {one["uuid"] for one in item["recordings"]} == {uuid_of(mine), uuid_of(consultation)}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [3, 2, 1]),
        ({"direction": "asc"}, [1, 2, 3]),
        ({"limit": "1"}, [3]),
        ({"limit": "0"}, [3, 2, 1]),
        ({"limit": "1", "offset": "1"}, [2]),
        ({"offset": "7"}, []),
        ({"from": "2026-08-01T13:00:00.123456+00:00"}, [3, 2]),
        ({"from": "2026-08-01T13:00:00.123457Z"}, [3]),
        ({"until": "2026-08-01T13:00:00.123456+0000"}, [1]),
        ({"until": "2026-08-01T15:00:00.123456 02"}, [1]),
        ({"until": "2026-08-01 15:00:00.123456 02:00"}, [1]),
        ({"to": "2026-08-01T13:00:00.123456Z"}, [1]),
        ({"to": "2026-08-01T13:00:00.123456Z", "until": "2026-08-02T00:00:00Z"}, [3, 2, 1]),
        ({"from": "2026-08-01", "until": "2026-08-03"}, [3, 2, 1]),
        ({"from": "0001-01-01"}, [3, 2, 1]),
        ({"from": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:59:59-05:00"}, [3, 2, 1]),
        ({"until": "0001-01-01T00:00:00+14:00"}, []),
        ({"search": "bAKer"}, [2]),
        ({"call_direction": "outbound"}, [2]),
        ({"number": "822"}, [3, 1]),
        ({"number": "_12"}, [2]),
        ({"number": "_311_"}, [2]),
        ({"tags": "vip"}, [2, 1]),
        ({"tags": "vip,olga"}, [1]),
        ({"user_uuid": BOB_UUID}, [3, 1]),
        ({"user_uuid": f"{BOB_UUID},{uuid5(USERS_NAMESPACE, 'dave')}"}, [3, 2, 1]),
        ({"user_uuid": "nobody"}, []),
        ({"from_id": "2"}, [3, 2]),
        ({"recorded": "True"}, [2, 1]),
        ({"recorded": "1"}, [2, 1]),
        ({"recorded": "false"}, [3]),
        ({"conversation_id": "2.2"}, [2]),
        ({"call_status": "blocked"}, [4]),
        ({"call_status": "answered"}, [2, 1]),
        ({"requested_internal_extension": "822"}, [3, 1]),
        ({"requested_internal_extension": "007311212"}, []),
        ({"requested_internal_context": "elsewhere"}, []),
        ({"requested_internal_context": "inside"}, [3, 1]),
        ({"order": "source_name"}, [3, 2, 1]),
        ({"order": "destination_name", "direction": "asc"}, [1, 3, 2]),
        ({"order": "requested_extension"}, [3, 1, 2]),
        ({"order": "conversation_id"}, [3, 2, 1]),
        ({"distinct": "peer_exten", "user_uuid": BOB_UUID}, [3]),
        ({"order": "duration"}, [2, 1, 3]),
        ({"order": "duration", "direction": "asc"}, [3, 1, 2]),
        ({"unknown": "ignored", "recurse": "False", "tenant_uuid": "x"}, [3, 2, 1]),
    ],
)
async def test_filters(office: Office, wazo: Client, query: dict[str, str], found: list[int]) -> None:
    hour = timedelta(hours=1)
    first = recorded(tags=("vip", "olga"))
    second, values = another(2, participants=(ALICE, DAVE), tags=("vip",))
    await office.call(first)
    await office.call(
        second,
        **values,
        started_at=kept.NOON + hour,
        answered_at=kept.NOON + hour,
        ended_at=kept.NOON + hour * 2,
        direction="outbound",
        destination_name="Mrs. Baker",
        destination_number="7311212",
        destination_identity=None,
        dialed="007311212",
        context="elsewhere",
        participants=(ALICE, DAVE),
    )
    later = kept.NOON + hour * 2
    silent = {"answered_at": None, "status": CallStatus.UNKNOWN, "record_ids": (), "started_at": later}
    await office.call(**silent, ended_at=later, call_id=CallId("3.3"))
    blocked = {**silent, "status": CallStatus.BLOCKED, "participants": (CAROL,)}
    await office.call(**blocked, ended_at=later, call_id=CallId("4.4"))
    assert await ids(wazo, await office.client_token(ROOT, Role.ADMIN), **query) == found


async def test_a_time_without_a_zone_is_local(office: Office, wazo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await office.call()
    headers = await office.client_token(ROOT, Role.ADMIN)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert await ids(wazo, headers, until="2026-08-01T21:00:00.123457") == [1]
        assert await ids(wazo, headers, until="2026-08-01T21:00:00.123456") == []
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("field", "value", "constraint"),
    [
        ("from", "abcd", "datetime"),
        ("from", "12:345", "datetime"),
        ("until", "2017-042-10", "datetime"),
        ("to", "", "datetime"),
        ("limit", "-1", {"min": 0}),
        ("limit", "ten", "integer"),
        ("offset", "1.5", "integer"),
        ("from_id", "-1", {"min": 0}),
        ("direction", "up", {"choices": ["asc", "desc"]}),
        ("call_direction", "not_valid", {"choices": ["internal", "inbound", "outbound"]}),
        ("call_status", "lost", {"choices": ["answered", "blocked", "voicemail", "unknown"]}),
        ("number", "8+2", "_?[0-9]+_?"),
        ("recorded", "-1", "boolean"),
        ("recurse", "perhaps", "boolean"),
        ("distinct", "all", {"choices": ["peer_exten"]}),
        ("format", "xml", {"choices": ["csv", "json"]}),
    ],
)
async def test_wrong_values_are_named(office: Office, wazo: Client, field: str, value: str, constraint: object) -> None:
    headers = await office.client_token(ROOT, Role.ADMIN)
    response = await wazo.get(f"{BASE}/cdr", headers=headers | CSV, params={field: value})
    problem = (await refused(response, 400, "invalid-data"))[field]
    problem = problem[0] if isinstance(problem, list) else problem
    assert problem["constraint"] == constraint
    assert set(problem) == {"message", "constraint_id", "constraint"}


@pytest.mark.parametrize("order", ["end", "tags", "recordings"])
async def test_some_fields_are_no_order(office: Office, wazo: Client, order: str) -> None:
    response = await wazo.get(
        f"{BASE}/cdr", headers=await office.client_token(ROOT, Role.ADMIN), params={"order": order}
    )
    assert (await refused(response, 400, "invalid-data"))["order"][0]["constraint_id"] == "enum"


async def test_the_name_of_a_recordings_file_finds_its_call(office: Office, wazo: Client) -> None:
    section, values = another(2)
    await office.call(recorded())
    await office.call(section, **values)
    name = recording_name(CdrNumber(2), section)
    assert await ids(wazo, await office.client_token(ROOT, Role.ADMIN), search=name) == [2]


async def csv_of(client: Client, headers: dict[str, str], path: str = "/cdr", **query: str) -> list[dict[str, str]]:
    response = await client.get(BASE + path, headers=headers, params=query)
    assert response.status == 200
    assert response.headers["Content-Disposition"] == "attachment; filename=cdr.csv"
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(await response.text(), newline="")))


async def test_csv_has_wazos_columns(office: Office, wazo: Client) -> None:
    one, two = recorded(1, tags=("a", "b")), recorded(2, deleted_at=kept.NOON)
    await office.call(one, two, source_name='Söür, "A"')
    await office.call(call_id=CallId("2.2"), record_ids=(), answered_at=None, status=CallStatus.UNKNOWN)
    headers = await office.client_token(ROOT, Role.ADMIN)
    rows = await csv_of(wazo, headers | CSV, direction="asc")
    assert rows == await csv_of(wazo, headers, direction="asc", format="csv")
    first, second = rows
    assert first["source_name"] == 'Söür, "A"'
    assert (first["tags"], first["answered"], first["duration"]) == ("a;b", "True", "4")
    assert (first["recording_1_uuid"], first["recording_1_deleted"]) == (uuid_of(one), "False")
    assert (first["recording_2_uuid"], first["recording_2_deleted"]) == (uuid_of(two), "True")
    assert list(first)[-5:] == [f"recording_2_{name}" for name in _OF_RECORDING]
    assert (second["answered"], second["answer"], second["duration"], second["tags"]) == ("False", "", "", "")
    assert second["recording_1_uuid"] == ""
    (single,) = await csv_of(wazo, headers | CSV, "/cdr/1")
    assert single == first


_OF_RECORDING = ("uuid", "start_time", "end_time", "deleted", "filename")


@pytest.mark.parametrize(
    ("accept", "is_csv"),
    [
        ("*/*", False),
        ("text/csv", True),
        ("application/json, text/csv", False),
        ("text/csv;q=0.5, */*;q=0.1", True),
        ("text/*", True),
        ("text/csv;q=nan", False),
        ("nonsense;;,", False),
    ],
)
async def test_csv_where_accept_likes_it_better(office: Office, wazo: Client, accept: str, is_csv: bool) -> None:
    headers = await office.client_token(ROOT, Role.ADMIN) | {"Accept": accept}
    response = await wazo.get(f"{BASE}/cdr", headers=headers)
    assert (response.content_type == "text/csv") is is_csv


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+cmd", "'+cmd"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("+4973112345", "+4973112345"),
        ("O'Hara = me", "O'Hara = me"),
    ],
)
async def test_no_spreadsheet_runs_what_a_caller_sends(office: Office, wazo: Client, value: str, shown: str) -> None:
    await office.call(source_name=value, source_number=value)
    headers = await office.client_token(ROOT, Role.ADMIN)
    (row,) = await csv_of(wazo, headers | CSV)
    assert (row["source_name"], row["source_extension"]) == (shown, shown)
    (item,) = (await listed(wazo, headers))["items"]
    assert item["source_name"] == value


@pytest.mark.parametrize("role", [Role.USER, Role.SUPERVISOR])
async def test_filters_tell_nobody_of_recordings_that_it_may_not_hear(office: Office, wazo: Client, role: Role) -> None:
    # Alice talked with Bob, and Bob later with Carol: one call, and its second recording is none of Alice's.
    theirs = recorded(2, participants=(BOB, CAROL), tags=("theirs",), started_at=kept.NOON)
    await office.call(theirs, participants=(ALICE, BOB, CAROL))
    name = recording_name(CdrNumber(1), theirs)
    queries: list[tuple[dict[str, str], bool]] = [
        ({"recorded": "True"}, True),
        ({"recorded": "False"}, False),
        ({"tags": "theirs"}, True),
        ({"search": name[:13]}, True),
    ]
    for who, hears in ((ALICE, False), (CAROL, True)):
        headers = await office.client_token(who, role)
        for query, is_about_a_recording in queries:
            found = await ids(wazo, headers, "/users/me/cdr", **query)
            assert found == ([1] if hears is is_about_a_recording else []), (who, query)


@pytest.mark.parametrize("limit", ["0", "7", "20"])
async def test_long_lists_come_whole_and_in_order(
    office: Office, wazo: Client, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 3)
    count = 10
    await office.store.commit(
        [
            AddCdr(_without_recordings(number, Identity("alice") if number % 2 else Identity("dave")))
            for number in range(1, count + 1)
        ]
    )
    await office.call(recorded(1), recorded(2), started_at=kept.NOON - timedelta(days=1))
    expected = [*range(count, 0, -1), count + 1][: int(limit) or None]
    headers = await office.client_token(ROOT, Role.ADMIN)
    assert await ids(wazo, headers, limit=limit) == expected
    rows = await csv_of(wazo, headers | CSV, limit=limit)
    assert [int(row["id"]) for row in rows] == expected
    assert ("recording_2_uuid" in rows[0]) is (count + 1 in expected)
    assert (
        await ids(wazo, headers, limit=limit, offset="4") == [*range(count - 4, 0, -1), count + 1][: int(limit) or None]
    )
    assert (
        await ids(wazo, await office.client_token(ALICE), "/users/me/cdr", limit=limit)
        == [9, 7, 5, 3, 1, 11][: int(limit) or None]
    )
    body = await listed(wazo, headers, limit=limit)
    assert (body["total"], body["filtered"]) == (count + 1, count + 1)
    assert (await wazo.head(f"{BASE}/cdr", headers=headers, params={"limit": limit})).status == 200


def _without_recordings(number: int, who: Identity) -> Cdr:
    at = kept.NOON + timedelta(minutes=number)
    return replace(a_call(at), call_id=CallId(f"{number}.{number}"), record_ids=(), participants=(who,))


async def test_a_long_list_is_sorted_and_filtered_as_a_short_one(
    office: Office, wazo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = [
        replace(_without_recordings(number, ALICE), source_number=str(number * 7 % 10), status=CallStatus.BLOCKED)
        for number in range(1, 10)
    ]
    await office.store.commit([AddCdr(one) for one in blocked])
    headers = await office.client_token(ROOT, Role.ADMIN)
    query = {"call_status": "blocked", "order": "source_extension", "direction": "asc"}
    expected = await ids(wazo, headers, **query)
    assert expected == [3, 6, 9, 2, 5, 8, 1, 4, 7]
    monkeypatch.setattr(pages, "PAGE", 2)
    assert await ids(wazo, headers, **query) == expected
    assert await ids(wazo, headers) == []


async def test_a_call_that_ends_while_a_list_is_read_doubles_none(
    office: Office, wazo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 2)
    await office.store.commit([AddCdr(_without_recordings(number, ALICE)) for number in range(1, 6)])
    read = office.store.cdrs

    async def read_while_a_call_ends(query: CdrQuery) -> CdrPage:
        page = await read(query)
        if query.limit is not None:  # the first page
            await office.store.commit([AddCdr(_without_recordings(6, ALICE))])
        return page

    headers = await office.client_token(ROOT, Role.ADMIN)
    with monkeypatch.context() as patch:
        patch.setattr(office.store, "cdrs", read_while_a_call_ends)
        body = await listed(wazo, headers)
    assert [item["id"] for item in body["items"]] == [6, 5, 4, 3, 2, 1]
    assert (body["total"], body["filtered"]) == (6, 6)
