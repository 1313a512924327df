"""Finished calls over HTTP: the list, its cursor, facets, days, CSV, and who sees what."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role, Scope
from bridge.core.ids import CallId, Identity, RecordId
from bridge.core.records import SectionState
from bridge.core.store import AddCdr, PutSection
from tests.api.house import ALICE, BOB, ROOT, House, error_of
from tests.storage import kept

Client = TestClient[Request, Application]
URL = "/api/v1/cdrs"


async def ended(house: House, number: int, *participants: Identity, **values: Any) -> None:
    """A call that began so many hours after noon, with a stored recording of alice's where she took part."""
    at = kept.NOON + timedelta(hours=number)
    record = RecordId(f"{number}_0")
    cdr = replace(
        kept.cdr(f"1.{number}"), started_at=at, ended_at=at + timedelta(seconds=20), record_ids=(record,), queue="",
        participants=participants, source_number=f"+49731{number:03}", source_name=f"Caller {number}", talked_s=number,
    )  # fmt: skip
    if ALICE in participants:
        section = kept.section(record_id=record, call_id=CallId(f"1.{number}"), participants=(ALICE,), tags=("sales",))
        await house.happen(PutSection(replace(section, requested_at=at, started_at=at, state=SectionState.CLOSED)))
    await house.happen(AddCdr(replace(cdr, **values)))


async def asked(client: Client, headers: dict[str, str], path: str = "") -> Any:
    response = await client.get(URL + path, headers=headers)
    assert response.status == 200, await response.text()
    return await response.json()


def ids(body: Any) -> list[int]:
    return [item["id"] for item in body["items"]]


async def test_a_list_goes_on_after_its_cursor_while_calls_are_added(house: House, client: Client) -> None:
    for number in range(1, 6):
        await ended(house, number, BOB)
    root = await house.token(ROOT, Role.ADMIN)
    first = await asked(client, root, "?limit=2")
    assert (ids(first), first["total"], first["filtered"], first["atLeast"]) == ([5, 4], 5, 5, False)
    await ended(house, 6, BOB)
    second = await asked(client, root, f"?limit=2&cursor={first['next']}")
    third = await asked(client, root, f"?limit=2&cursor={second['next']}")
    assert (ids(second), ids(third), third["next"], third["filtered"]) == ([3, 2], [1], None, 6)


@pytest.mark.parametrize("order", ["start", "-start", "end", "-end", "talked", "-talked"])
async def test_each_order_goes_through_all_calls(house: House, client: Client, order: str) -> None:
    for number in (1, 2, 3):
        await ended(house, number, BOB)
    root = await house.token(ROOT, Role.ADMIN)
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        body = await asked(client, root, f"?limit=1&order={order}" + (f"&cursor={cursor}" if cursor else ""))
        found += ids(body)
        cursor = body["next"]
    assert found == ([3, 2, 1] if order.startswith("-") else [1, 2, 3])


async def test_a_call_is_told_with_its_sides_recordings_and_tags(house: House, client: Client) -> None:
    await ended(house, 1, ALICE, queue="support")
    (item,) = (await asked(client, await house.token(ROOT, Role.ADMIN)))["items"]
    assert item["source"] == {"number": "+49731001", "name": "Caller 1", "identity": ""}
    assert (item["queue"], item["tags"], item["recorded"], item["sections"]) == ("support", ["sales"], True, 1)
    assert (item["callId"], item["recordIds"], item["talkedS"]) == ("1.1", ["1_0"], 1)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=alice", [2]),
        ("user=nobody", []),
        ("queue=support", [3]),
        ("name=CALLER%203", [3]),
        ("search=731002", [2]),
        ("number=%2B49731001", [1]),
        ("number=*002", [2]),
        ("number=%2B4973*", [3, 2, 1]),
        ("minS=2&maxS=2", [2]),
        ("tag=sales", [2]),
        ("tag=sales,other", []),
        ("recorded=true", [2]),
        ("recorded=false", [3, 1]),
        ("direction=outbound", []),
        ("from=2026-08-01T14:00:00Z&until=2026-08-01T15:00:00Z", [2]),
    ],
)
async def test_filters_find_what_they_say(house: House, client: Client, query: str, found: list[int]) -> None:
    await ended(house, 1, BOB)
    await ended(house, 2, ALICE, BOB)
    await ended(house, 3, BOB, queue="support")
    root = await house.token(ROOT, Role.ADMIN)
    body = await asked(client, root, f"?{query}")
    assert (ids(body), body["filtered"]) == (found, len(found))
    facets = await asked(client, root, f"/facets?{query}")
    assert sum(one["count"] for one in facets["direction"]) == len(found)
    days = await asked(client, root, f"/days?{query}&zone=Europe/Berlin")
    assert sum(one["calls"] for one in days["items"]) == len(found)


async def test_facets_and_days_count_what_is_found(house: House, client: Client) -> None:
    await ended(house, 1, ALICE)
    await ended(house, 11, ALICE, BOB, queue="support")
    root = await house.token(ROOT, Role.ADMIN)
    facets = await asked(client, root, "/facets")
    assert facets["user"] == [{"value": "alice", "count": 2}, {"value": "bob", "count": 1}]
    assert facets["recorded"] == [{"value": True, "count": 2}]
    assert (facets["queue"], facets["tag"]) == ([{"value": "support", "count": 1}], [{"value": "sales", "count": 2}])
    assert facets["atLeast"] == []
    days = await asked(client, root, "/days?zone=Europe/Berlin")
    told = [{"day": "2026-08-01", "calls": 1, "recorded": 1}, {"day": "2026-08-02", "calls": 1, "recorded": 1}]
    assert days == {"items": told, "atLeast": False}


async def test_a_user_sees_its_own_calls_and_of_these_what_it_may_hear(house: House, client: Client) -> None:
    await ended(house, 1, ALICE, BOB)
    await ended(house, 2, ALICE)
    bob = await house.token(BOB)
    body = await asked(client, bob)
    (item,) = body["items"]
    assert (item["id"], item["recorded"], item["sections"], item["tags"], body["total"]) == (1, False, 0, [], 1)
    facets = await asked(client, bob, "/facets")
    assert (facets["user"], facets["tag"]) == ([{"value": "bob", "count": 1}], [])
    assert facets["recorded"] == [{"value": False, "count": 1}]
    assert ids(await asked(client, bob, "?user=alice")) == []
    assert ids(await asked(client, bob, "?tag=sales")) == []


@pytest.mark.parametrize(
    "query",
    [
        "search=ab", "name=ab", "number=*1", "tag=a,,b", "minS=-1", "minS=nan", "limit=0", "limit=501", "order=name",
        "cursor=x", "cursor=W10", "direction=up", "recorded=maybe", "nobody=1", "cursor=%F0%9F%98%80", "from=yesterday",
        "cursor=WyItc3RhcnQiLHRydWUsMV0",
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused(house: House, client: Client, query: str) -> None:
    response = await client.get(f"{URL}?{query}", headers=await house.token(ROOT, Role.ADMIN))
    await error_of(response, 400, "invalid-request")


async def test_a_cursor_belongs_to_its_order(house: House, client: Client) -> None:
    await ended(house, 1, BOB)
    await ended(house, 2, BOB)
    root = await house.token(ROOT, Role.ADMIN)
    cursor = (await asked(client, root, "?limit=1"))["next"]
    response = await client.get(f"{URL}?order=talked&cursor={cursor}", headers=root)
    assert response.status == 400


@pytest.mark.parametrize("zone", ["Mars/Base", "../etc/passwd", ""])
async def test_days_are_those_of_a_zone_that_is_there(house: House, client: Client, zone: str) -> None:
    response = await client.get(f"{URL}/days?zone={zone}", headers=await house.token(ROOT, Role.ADMIN))
    assert response.status == 400


async def test_csv_has_all_that_is_found_and_no_formula(house: House, client: Client) -> None:
    for number in (1, 2, 3):
        await ended(house, number, ALICE, source_name="=1+1")
    root = await house.token(ROOT, Role.ADMIN, [Scope.EXPORT])
    response = await client.get(f"{URL}?format=csv&limit=1&from=2026-08-01T14:00:00Z", headers=root)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(await response.text())))
    assert [(row["id"], row["source_name"], row["source_number"]) for row in rows] == [
        ("3", "'=1+1", "+49731003"),
        ("2", "'=1+1", "+49731002"),
    ]
    assert (rows[0]["started_at"], rows[0]["users"], rows[0]["tags"]) == (
        "2026-08-01T15:00:00.123+00:00", "alice", "sales",
    )  # fmt: skip


@pytest.mark.parametrize(("query", "accept"), [("?format=csv", "*/*"), ("", "text/csv")])
async def test_csv_is_for_tokens_that_may_export(house: House, client: Client, query: str, accept: str) -> None:
    headers = {**await house.token(ROOT, Role.ADMIN, [Scope.PLAY]), "Accept": accept}
    response = await client.get(URL + query, headers=headers)
    await error_of(response, 403, "forbidden")
