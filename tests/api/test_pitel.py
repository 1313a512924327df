"""PITEL's live list, with the reference's fields."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.api.app import create_app
from bridge.core.access import Role
from bridge.core.ids import CallId, ChannelName, Identity, Uniqueid
from bridge.core.live import CallNow, Contact, PartyNow
from bridge.core.people import USERS_NAMESPACE, parse_users
from tests.api.house import ALICE, BOB, CALL, CAROL, ROOT, House, Server, error_of
from tests.storage import kept

FIELDS = [
    "agent_name", "b_cid_num", "call_id", "call_state", "call_time", "cid_num", "destination", "direction",
    "domain_name", "domain_uuid", "extension", "extension_uuid", "last_name", "middle_name", "first_name",
    "network_ip", "server_host", "user_agent", "user_uuid", "username",
]  # fmt: skip
"""All twenty, in the reference's order."""
TENANT = UUID("32f0b0ea-8489-4217-acc7-caeaf58b8bbe")
USERS = "users: [{identity: thanhhoang, uuid: 290619f4-c6db-40b2-8bb5-38f0ae5c3185, name: Hoàng Thị Thanh}]"
THANH = Identity("thanhhoang")
Client = TestClient[Request, Application]


@dataclass
class Phones:
    """Knows the phones that a test names, and remembers what it was asked."""

    known: Mapping[ChannelName, Contact] = field(default_factory=dict)
    asked: list[Sequence[ChannelName]] = field(default_factory=list)

    async def contacts(self, channels: Sequence[ChannelName]) -> Mapping[ChannelName, Contact]:
        self.asked.append(channels)
        return self.known


@asynccontextmanager
async def pitel(
    house: House, phones: Phones | None = None, *, server_host: str = "203.205.6.79"
) -> AsyncIterator[Client]:
    async with house.opened():
        deps = replace(
            house.dependencies(),
            directory=lambda: parse_users(USERS, "users.yml"),
            systemname="tp.tel4vn.com",
            tenant_uuid=TENANT,
            contacts=phones,
            server_host=server_host,
        )
        async with TestClient(Server(create_app(deps))) as client:
            yield client


async def items(
    house: House, client: Client, identity: Identity = ROOT, role: Role = Role.ADMIN
) -> list[dict[str, Any]]:
    async with client.get("/v3/monitor?=null", headers=await house.token(identity, role)) as response:
        assert response.status == 200
        body = await response.json()
    assert list(body) == ["data", "total"]
    assert body["total"] == len(body["data"])
    assert all(list(item) == FIELDS for item in body["data"])
    data: list[dict[str, Any]] = body["data"]
    return data


def party(name: str, number: str, *, user: bool = True, **values: Any) -> PartyNow:
    channel = ChannelName(f"PJSIP/{name}-00000001")
    plain = PartyNow(Uniqueid(f"1.{name}"), channel, Identity(name) if user else None, "", number, not user, False)
    return replace(plain, **values)


def call(direction: str, dialed: str, *parties: PartyNow, **values: Any) -> CallNow:
    audience = tuple(one.identity for one in parties if one.identity is not None)
    plain = replace(CALL, direction=direction, dialed=dialed, parties=parties, audience=audience)
    return replace(plain, **values)


def talking(*parties: PartyNow) -> list[PartyNow]:
    names = [one.uniqueid for one in parties]
    return [
        replace(one, talking=True, talking_with=tuple(name for name in names if name != one.uniqueid))
        for one in parties
    ]


@pytest.fixture
def in_saigon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Ho_Chi_Minh")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_saigon")
async def test_an_item_has_all_that_the_reference_shows(house: House) -> None:
    thanh, customer = talking(party("thanhhoang", "107"), party("trunk", "0914237383", user=False, dialed=True))
    house.calls = [call("outbound", "0914237383", thanh, customer)]
    phones = Phones({thanh.channel: Contact("113.22.113.102", "Pitel/3.20.5")})
    async with pitel(house, phones) as client:
        (item,) = await items(house, client)
    user_uuid = UUID("290619f4-c6db-40b2-8bb5-38f0ae5c3185")
    assert item == {
        "agent_name": "thanhhoang",
        "b_cid_num": "0914237383",
        "call_id": kept.CALL,
        "call_state": "ONCALL",
        "call_time": "2026-08-01 19:00:00",
        "cid_num": "",
        "destination": "0914237383",
        "direction": "outbound",
        "domain_name": "tp.tel4vn.com",
        "domain_uuid": str(TENANT),
        "extension": "107",
        "extension_uuid": str(uuid5(user_uuid, "107")),
        "last_name": "",
        "middle_name": "",
        "first_name": "Hoàng Thị Thanh",
        "network_ip": "113.22.113.102",
        "server_host": "203.205.6.79",
        "user_agent": "Pitel/3.20.5",
        "user_uuid": str(user_uuid),
        "username": "thanhhoang",
    }


async def test_what_is_not_known_is_empty_and_uuids_are_the_same_each_time(house: House) -> None:
    house.calls = [call("internal", "", party("alice", ""))]
    async with pitel(house, server_host="") as client:
        (item,) = await items(house, client)
    empty = {name for name, value in item.items() if value == ""}
    assert empty == {
        "b_cid_num", "cid_num", "destination", "extension", "extension_uuid", "last_name", "middle_name", "first_name",
        "network_ip", "user_agent",
    }  # fmt: skip
    assert (item["username"], item["user_uuid"]) == ("alice", str(uuid5(USERS_NAMESPACE, "alice")))
    assert item["server_host"] == "tp.tel4vn.com"


@pytest.mark.parametrize(
    ("direction", "dialed", "parties", "expected"),
    [
        (
            "inbound",
            "4930555",
            talking(party("trunk", "+4915112345", user=False), party("bob", "102", dialed=True)),
            {"bob": ("inbound", "+4915112345", "4930555", "4930555")},
        ),
        (
            "inbound",
            "4930555",
            [
                party("trunk", "+4915112345", user=False),
                party("bob", "102", dialed=True),
                party("carol", "103", dialed=True),
            ],
            {
                "bob": ("inbound", "+4915112345", "4930555", "4930555"),
                "carol": ("inbound", "+4915112345", "4930555", "4930555"),
            },
        ),
        (
            "internal",
            "102",
            talking(party("alice", "101"), party("bob", "102", dialed=True)),
            {"alice": ("local", "102", "101", "102"), "bob": ("local", "101", "101", "102")},
        ),
        ("internal", "102", [party("alice", "101")], {"alice": ("local", "102", "101", "102")}),
        (
            "outbound",
            "00301234",
            talking(party("alice", "101"), party("trunk", "0301234", user=False, dialed=True)),
            {"alice": ("outbound", "0301234", "", "0301234")},
        ),
    ],
)
async def test_numbers_go_by_the_direction(
    house: House, direction: str, dialed: str, parties: list[PartyNow], expected: dict[str, tuple[str, ...]]
) -> None:
    house.calls = [call(direction, dialed, *parties)]
    async with pitel(house) as client:
        found = await items(house, client)
    names = ("direction", "b_cid_num", "cid_num", "destination")
    assert {item["username"]: tuple(item[name] for name in names) for item in found} == expected


async def test_the_customer_is_the_one_that_is_talked_with(house: House) -> None:
    first, second = (party(name, number, user=False) for name, number in (("trunk1", "1"), ("trunk2", "2")))
    bob = party("bob", "102", talking=True, talking_with=(second.uniqueid,))
    house.calls = [call("inbound", "4930555", first, second, bob)]
    async with pitel(house) as client:
        (item,) = await items(house, client)
    assert item["b_cid_num"] == "2"


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, "RINGING"),
        ({"dialed": True}, "RINGING"),
        ({"talking": True}, "ONCALL"),
        ({"answered_at": kept.NOON}, "ONCALL"),  # parked, or in a queue
        ({"answered_at": kept.NOON, "held": True, "talking": True}, "ONCALL"),
    ],
)
async def test_a_leg_rings_until_it_is_answered(house: House, values: dict[str, Any], state: str) -> None:
    house.calls = [call("internal", "102", party("alice", "101", **values))]
    async with pitel(house) as client:
        (item,) = await items(house, client)
    assert item["call_state"] == state


async def test_one_sees_the_calls_that_one_may_see_and_the_phones_of_whom_one_looks_after(house: House) -> None:
    alice, bob, carol = party("alice", "101"), party("bob", "102"), party("carol", "103")
    later = CallId("9.9")
    house.calls = [
        call("internal", "102", alice, bob),
        call("internal", "103", carol, call_id=later, started_at=kept.NOON + timedelta(seconds=1)),
    ]
    house.supervises = {CAROL: frozenset({BOB})}
    everybody = {one.channel: Contact("192.0.2.1", "Desk") for one in (alice, bob, carol)}

    async def seen(identity: Identity, role: Role) -> list[tuple[str, str]]:
        phones = Phones(everybody)
        async with pitel(house, phones) as client:
            found = await items(house, client, identity, role)
        assert len(phones.asked) == 1
        phones.known = {channel: everybody[channel] for channel in phones.asked[0]}
        async with pitel(house, phones) as client:
            found = await items(house, client, identity, role)
        return [(item["username"], item["network_ip"]) for item in found]

    assert await seen(ROOT, Role.ADMIN) == [("alice", "192.0.2.1"), ("bob", "192.0.2.1"), ("carol", "192.0.2.1")]
    assert await seen(ALICE, Role.USER) == [("alice", "192.0.2.1"), ("bob", "")]
    assert await seen(CAROL, Role.SUPERVISOR) == [("alice", ""), ("bob", "192.0.2.1"), ("carol", "192.0.2.1")]


async def test_without_calls_the_list_is_empty_and_nobody_is_asked(house: House) -> None:
    house.calls = []
    phones = Phones()
    async with pitel(house, phones) as client:
        assert await items(house, client) == []
    assert phones.asked == []


@pytest.mark.parametrize("query", ["", "?=null", "?page=2&limit=0&=&x", "?%00=%ff"])
async def test_parameters_are_ignored(house: House, query: str) -> None:
    async with pitel(house) as client:
        headers = {**await house.token(ROOT, Role.ADMIN), "Content-Type": "application/json"}
        async with client.get(f"/v3/monitor{query}", headers=headers) as response:
            assert (response.status, (await response.json())["total"]) == (200, 2)


async def test_without_a_token_it_is_401_in_our_own_body_and_none_is_taken_from_the_query(house: House) -> None:
    async with pitel(house) as client:
        async with client.get("/v3/monitor?=null") as response:
            await error_of(response, 401, "unauthorized")
        token = (await house.token(ROOT, Role.ADMIN))["Authorization"].removeprefix("Bearer ")
        async with client.get("/v3/monitor", params={"token": token}) as response:
            await error_of(response, 401, "unauthorized")
        async with client.post("/v3/monitor", headers={"Authorization": f"Bearer {token}"}) as response:
            assert response.status in (404, 405)


async def test_names_and_agents_that_are_no_text_are_told(house: House) -> None:
    """Asterisk promises no charset."""
    alice = party("alice", "10\udcff1")
    house.calls = [call("internal", "102", alice)]
    async with pitel(house, Phones({alice.channel: Contact("192.0.2.1", "T\udcfck")})) as client:
        (item,) = await items(house, client)
    assert item["user_agent"].startswith("T")
    assert UUID(item["extension_uuid"]) != UUID(item["user_uuid"])


async def test_an_endpoint_whose_name_is_no_text_is_a_user_too(house: House) -> None:
    house.calls = [call("internal", "102", party("m\udcfcller", "101"))]
    async with pitel(house) as client:
        (item,) = await items(house, client)
    assert UUID(item["user_uuid"]).version == 5
