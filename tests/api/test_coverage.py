"""Coverage over HTTP: which calls, whose, and how much of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role
from bridge.core.accounts import Reason, Span, TalkAccount
from bridge.core.ids import CallId, Identity, RuleId, TalkId
from bridge.core.store import AddCdr, PutSpan, PutTalk
from bridge.core.views import epoch_ms
from tests.api.house import ALICE, BOB, ROOT, House, error_of
from tests.storage import kept

Client = TestClient[Request, Application]
URL = "/api/v1/coverage"


async def ended(house: House, number: int, *participants: Identity, ago: timedelta, reason: Reason | None) -> None:
    """A call with a talk of ten seconds, of which rule 1 was to record all, or nothing for a reason."""
    at = house.now - ago
    talk = TalkAccount(TalkId(f"{number}-1"), CallId(f"1.{number}"), at - timedelta(seconds=10), at)
    span = Span(talk.talk_id, 1, None if reason is Reason.NO_RULE else RuleId(1), reason, talk.began_at)
    cdr = replace(
        kept.cdr(f"1.{number}"), started_at=at - timedelta(seconds=12), ended_at=at, participants=participants
    )
    await house.happen(PutTalk(talk), PutSpan(span), AddCdr(cdr))


async def asked(client: Client, headers: dict[str, str], query: str = "") -> Any:
    response = await client.get(URL + query, headers=headers)
    assert response.status == 200, await response.text()
    return await response.json()


async def test_a_call_says_how_much_of_it_was_recorded_and_why_not_the_rest(house: House, client: Client) -> None:
    await ended(house, 1, ALICE, ago=timedelta(hours=1), reason=Reason.NEVER)
    body = await asked(client, await house.token(ROOT, Role.ADMIN))
    day_ms = 24 * 60 * 60 * 1000
    assert (body["until"], body["until"] - body["from"], body["total"]) == (epoch_ms(house.now), day_ms, 1)
    sums = {"talkedS": 10.0, "recordedS": 0.0, "reasons": {"never": 10.0}}
    totals = {"calls": 1, **sums, "faulty": 0, "rules": [{"ruleId": 1, "calls": 1, **sums}]}
    assert body["totals"] == totals
    assert body["days"] == [{"day": "2026-08-01", **totals}]
    assert body["items"] == [
        {
            "cdr": 1,
            "callId": "1.1",
            "recordIds": [kept.RECORD],
            "startedAt": epoch_ms(house.now - timedelta(hours=1, seconds=12)),
            "endedAt": epoch_ms(house.now - timedelta(hours=1)),
            "direction": "inbound",
            "source": "+4973112345",
            "destination": "822",
            "participants": ["alice"],
            **sums,
            "rules": [{"ruleId": 1, **sums, "sections": 0}],
            "faulty": False,
        }
    ]


async def test_each_sees_the_calls_that_are_its_to_see(house: House, client: Client) -> None:
    await ended(house, 1, ALICE, BOB, ago=timedelta(hours=3), reason=None)
    await ended(house, 2, BOB, ago=timedelta(hours=2), reason=Reason.NO_RULE)
    await ended(house, 3, ago=timedelta(hours=1), reason=Reason.NEVER)
    house.supervises = {Identity("erin"): frozenset({ALICE})}

    async def seen(identity: Identity, role: Role = Role.USER) -> tuple[list[str], int]:
        body = await asked(client, await house.token(identity, role))
        assert body["totals"]["calls"] == body["total"]
        return [item["callId"] for item in body["items"]], body["totals"]["faulty"]

    assert await seen(ROOT, Role.ADMIN) == (["1.3", "1.2", "1.1"], 1)
    assert await seen(BOB) == (["1.2", "1.1"], 1)
    assert await seen(ALICE) == (["1.1"], 1)
    assert await seen(Identity("erin"), Role.SUPERVISOR) == (["1.1"], 1)
    assert await seen(Identity("erin")) == ([], 0)


async def test_times_bound_the_ends_and_pages_the_items_alone(house: House, client: Client) -> None:
    for hours in range(1, 6):
        await ended(house, hours, ago=timedelta(hours=hours), reason=Reason.NO_RULE)
    headers = await house.token(ROOT, Role.ADMIN)
    since, until = house.now - timedelta(hours=4), house.now - timedelta(hours=2)
    for bounds in (
        f"?from={epoch_ms(since)}&until={epoch_ms(until)}",
        f"?from={quote(since.isoformat())}&until={quote(until.isoformat())}",
        f"?from={since.isoformat()}&until={until.isoformat()}",
    ):
        body = await asked(client, headers, bounds)
        assert [item["callId"] for item in body["items"]] == ["1.3", "1.4"]
    body = await asked(client, headers, "?limit=2&offset=1")
    assert ([item["callId"] for item in body["items"]], body["total"]) == (["1.2", "1.3"], 5)
    assert (await asked(client, headers, "?offset=5"))["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?since=1", "since"),
        ("?from=yesterday", "from"),
        ("?from=2026-03-02", "from"),
        ("?from=2026-03-02T09:00", "from"),
        ("?until=99999999999999999999", "until"),
        ("?zone=Mars/Olympus", "zone"),
        ("?zone=../../etc/passwd", "zone"),
        ("?zone=", "zone"),
        ("?faulty=perhaps", "faulty"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?offset=-1", "offset"),
        ("?from=1767225600000&until=1767225599999", "from"),
        ("?from=0", "from"),
        ("?from=1&from=2", "from"),
    ],
)
async def test_what_makes_no_sense_is_named(house: House, client: Client, query: str, field: str) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    details = await error_of(await client.get(URL + query, headers=headers), 400, "invalid-request")
    assert list(details) == [field]


async def test_without_a_token_there_is_nothing(client: Client) -> None:
    await error_of(await client.get(URL), 401, "unauthorized")


async def test_days_are_those_of_the_zone_and_add_up_to_the_whole(house: House, client: Client) -> None:
    """NOON is 12:00 UTC on the first of August."""
    for number, hours in enumerate((1, 13, 14, 15, 40), start=1):
        await ended(house, number, ALICE, ago=timedelta(hours=hours), reason=Reason.NEVER if hours == 1 else None)
    headers = await house.token(ROOT, Role.ADMIN)
    since = epoch_ms(house.now - timedelta(days=3))

    async def days(zone: str) -> dict[str, tuple[int, int]]:
        body = await asked(client, headers, f"?from={since}{zone}")
        assert sum(day["calls"] for day in body["days"]) == body["totals"]["calls"] == 5
        assert sum(day["talkedS"] for day in body["days"]) == body["totals"]["talkedS"]
        return {day["day"]: (day["calls"], day["faulty"]) for day in body["days"]}

    assert await days("") == {"2026-07-30": (1, 1), "2026-07-31": (3, 3), "2026-08-01": (1, 0)}
    assert await days("&zone=Europe/Berlin") == {"2026-07-30": (1, 1), "2026-07-31": (1, 1), "2026-08-01": (3, 2)}
    assert await days("&zone=Asia/Kathmandu") == {"2026-07-31": (1, 1), "2026-08-01": (4, 3)}


async def test_a_day_of_a_clock_change_has_its_own_length(house: House, client: Client) -> None:
    house.now = datetime(2026, 3, 30, 12, tzinfo=UTC)
    last_of_sunday, first_of_monday = (datetime(2026, 3, 29, 21, 59, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    for number, at in enumerate((last_of_sunday, first_of_monday), start=1):
        await ended(house, number, ago=house.now - at, reason=Reason.NEVER)
    body = await asked(client, await house.token(ROOT, Role.ADMIN), "?zone=Europe/Berlin")
    assert [(day["day"], day["calls"]) for day in body["days"]] == [("2026-03-29", 1), ("2026-03-30", 1)]


async def test_those_that_somebody_has_to_look_at_are_listed_alone(house: House, client: Client) -> None:
    for number in range(1, 7):
        reason = Reason.FAILED if number % 2 else Reason.PAUSED
        await ended(house, number, ALICE if number < 5 else BOB, ago=timedelta(minutes=number), reason=reason)
    headers = await house.token(ROOT, Role.ADMIN)
    body = await asked(client, headers, "?faulty=true")
    assert ([item["callId"] for item in body["items"]], body["total"]) == (["1.1", "1.3", "1.5"], 3)
    assert (body["totals"]["calls"], body["totals"]["faulty"]) == (6, 3)
    body = await asked(client, headers, "?faulty=true&limit=1&offset=1")
    assert ([item["callId"] for item in body["items"]], body["total"]) == (["1.3"], 3)
    body = await asked(client, await house.token(ALICE), "?faulty=true")
    assert ([item["callId"] for item in body["items"]], body["total"]) == (["1.1", "1.3"], 2)


async def test_what_still_changes_is_added_up_anew(house: House, client: Client) -> None:
    """A call of the last minutes: its file may just be looked into. With an older one its page goes on."""
    await ended(house, 1, ago=timedelta(minutes=20), reason=Reason.NEVER)
    await ended(house, 2, ago=timedelta(minutes=1), reason=Reason.NEVER)
    headers = await house.token(ROOT, Role.ADMIN)
    assert (await asked(client, headers))["totals"]["talkedS"] == 20
    talk = TalkAccount(TalkId("2-1"), CallId("1.2"), house.now - timedelta(seconds=90), house.now)
    await house.happen(PutTalk(talk))
    body = await asked(client, headers)
    assert body["totals"]["talkedS"] == 100
    assert [item["callId"] for item in body["items"]] == ["1.2", "1.1"]
    assert [item["callId"] for item in (await asked(client, headers, "?limit=1&offset=1"))["items"]] == ["1.1"]


async def test_a_year_at_once_and_no_more(house: House, client: Client) -> None:
    await ended(house, 1, ago=timedelta(days=364), reason=Reason.NEVER)
    headers = await house.token(ROOT, Role.ADMIN)
    body = await asked(client, headers, f"?from={epoch_ms(house.now - timedelta(days=365))}")
    assert body["total"] == 1
    details = await error_of(
        await client.get(f"{URL}?from={epoch_ms(house.now - timedelta(days=367))}", headers=headers), 400,
        "invalid-request",
    )  # fmt: skip
    assert list(details) == ["from"]
