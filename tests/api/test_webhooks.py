"""Callbacks over HTTP: who may set them up, what is refused, and what is shown of them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role
from bridge.core.ids import FactNumber
from bridge.core.records import FactKind
from bridge.core.webhooks import MOST
from tests.api.house import ALICE, ROOT, House, error_of
from tests.feed.office import SECRET, Office, of_call
from tests.feed.receiver import Receiver
from tests.feed.test_webhooks import until

PATH = "/api/v1/webhooks"
Client = TestClient[Request, Application]


@pytest.fixture
async def office(house: House) -> AsyncIterator[Office]:
    """The house has callbacks, too."""
    office = Office(house.store)
    house.webhooks = office.webhooks
    async with office:
        yield office


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver(SECRET)
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def client(house: House, office: Office) -> AsyncIterator[Client]:  # noqa: ARG001  # it has to be there
    async with house.opened() as client:
        yield client


@pytest.fixture
async def admin(house: House) -> dict[str, str]:
    return await house.token(ROOT, Role.ADMIN)


async def made(client: Client, admin: dict[str, str], **fields: Any) -> dict[str, Any]:
    body = {"url": "https://a.example/hook?token=1", **fields}
    async with client.post(PATH, json=body, headers=admin) as response:
        assert response.status == 201, await response.text()
        got: dict[str, Any] = await response.json()
        assert response.headers["Location"] == f"{PATH}/{got['id']}"
        return got


async def test_an_admin_sets_one_up_and_sees_its_secret_once(client: Client, admin: dict[str, str]) -> None:
    webhook = await made(client, admin, events=["section.*", "journal.entry"])
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    assert webhook["events"] == ["section.*", "journal.entry"]
    assert (webhook["format"], webhook["enabled"], webhook["disabledReason"]) == ("standard", True, None)
    assert webhook["secrets"] == [{"expiresAt": None}]
    async with client.get(f"{PATH}/{webhook['id']}", headers=admin) as response:
        assert await response.json() == webhook
    async with client.get(PATH, headers=admin) as response:
        text = await response.text()
        assert await response.json() == {"items": [webhook]}
    assert secret not in text


@pytest.mark.parametrize("role", [Role.USER, Role.SUPERVISOR])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""), ("GET", ""), ("GET", "/whk_1"), ("PATCH", "/whk_1"), ("DELETE", "/whk_1"),
        ("POST", "/whk_1/secrets"), ("POST", "/whk_1/test"), ("GET", "/whk_1/deliveries"),
        ("POST", "/whk_1/deliveries/x/resend"),
    ],
)  # fmt: skip
async def test_they_are_for_admins(client: Client, house: House, role: Role, method: str, path: str) -> None:
    async with client.request(method, PATH + path, headers=await house.token(ALICE, role)) as response:
        await error_of(response, 403, "forbidden")
    async with client.request(method, PATH + path) as response:
        await error_of(response, 401, "unauthorized")


async def test_what_there_is_not_is_404(client: Client, admin: dict[str, str]) -> None:
    webhook = await made(client, admin)
    for method, path in (
        ("GET", "/whk_1"), ("PATCH", "/whk_1"), ("DELETE", "/whk_1"), ("POST", "/whk_1/secrets"),
        ("POST", "/whk_1/test"), ("GET", "/whk_1/deliveries"), ("POST", "/whk_1/deliveries/x/resend"),
        ("POST", f"/{webhook['id']}/deliveries/x/resend"),
        ("POST", f"/{webhook['id']}/deliveries/msg_{webhook['id']}_99_0/resend"),
        ("POST", f"/{webhook['id']}/deliveries/msg_whk_ffffffffffffffff_1_0/resend"),
    ):  # fmt: skip
        async with client.request(method, PATH + path, headers=admin, json={}) as response:
            await error_of(response, 404, "not-found")


async def test_all_that_is_wrong_is_said_at_once(client: Client, admin: dict[str, str]) -> None:
    body = {
        "url": "ftp://a.example",
        "events": ["section.storde"],
        "secret": "short",
        "archiveUrl": "https://a.example",
        "enabeld": True,
    }
    async with client.post(PATH, json=body, headers=admin) as response:
        details = await error_of(response, 400, "invalid-request")
    assert set(details) == {"url", "events", "secret", "archiveUrl", "enabeld"}
    assert "did you mean section.stored?" in details["events"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": 5}, "url"),
        ({"url": "https://user:pw@a.example/"}, "url"),
        ({"url": "https://a.example/", "format": "xml"}, "format"),
        ({"url": "https://a.example/", "events": []}, "events"),
        ({"url": "https://a.example/", "events": "*"}, "events"),
        ({"url": "https://a.example/", "format": "vonage", "events": ["call.began"]}, "events"),
        ({"url": "https://a.example/", "secret": "whsec_c2hvcnQ="}, "secret"),
        ({"url": "https://a.example/", "secret": "whsec_ü"}, "secret"),
        ([], "body"),
        ("x", "body"),
    ],
)
async def test_fields_that_are_wrong(client: Client, admin: dict[str, str], body: Any, field: str) -> None:
    async with client.post(PATH, json=body, headers=admin) as response:
        assert any(name.startswith(field) for name in await error_of(response, 400, "invalid-request"))


async def test_what_is_wrong_is_said_in_words_of_our_own(client: Client, admin: dict[str, str]) -> None:
    async with client.post(PATH, json={"events": "section.*", "bla": 1}, headers=admin) as response:
        details = await error_of(response, 400, "invalid-request")
    assert details == {"url": "it is missing", "events": "it should be a list", "bla": "there is no such field"}


async def test_private_addresses_only_where_the_configuration_allows(house: House) -> None:
    office = Office(house.store, allow_private=False)
    house.webhooks = office.webhooks
    async with office, house.opened() as client:
        admin = await house.token(ROOT, Role.ADMIN)
        async with client.post(PATH, json={"url": "http://127.0.0.1/"}, headers=admin) as response:
            assert "allow_private" in (await error_of(response, 400, "invalid-request"))["url"]


async def test_a_change_holds_and_what_is_not_given_stays(client: Client, admin: dict[str, str]) -> None:
    webhook = await made(client, admin, format="vonage", archiveUrl="https://b.example/")
    url = f"{PATH}/{webhook['id']}"
    async with client.patch(url, json={"enabled": False}, headers=admin) as response:
        off = await response.json()
    assert (off["enabled"], off["disabledReason"]) == (False, "by-admin")
    async with client.patch(url, json={"enabled": True, "archiveUrl": None}, headers=admin) as response:
        on = await response.json()
    assert (on["enabled"], on["disabledReason"], on["disabledAt"], on["archiveUrl"]) == (True, None, None, None)
    assert on["url"] == webhook["url"]
    for body in ({"url": None}, {"enabled": "yes"}, {"format": "standard"}, {"events": ["nothing"]}, {"id": "x"}):
        async with client.patch(url, json=body, headers=admin) as response:
            assert set(await error_of(response, 400, "invalid-request")) == set(body)


async def test_what_is_done_is_a_fact_that_says_who(client: Client, admin: dict[str, str], house: House) -> None:
    webhook = await made(client, admin)
    async with client.delete(f"{PATH}/{webhook['id']}", headers=admin) as response:
        assert response.status == 204
    facts = [one.fact for one in await house.store.facts_after(FactNumber(0), 10)]
    assert [fact.kind for fact in facts] == [FactKind.WEBHOOK_SET, FactKind.WEBHOOK_REMOVED]
    assert {fact.personal["identity"] for fact in facts} == {"root"}
    assert all(webhook["secret"] not in str(fact) and "token=1" not in str(fact) for fact in facts)


async def test_secrets_rotate_and_the_old_one_ends_after_a_day(
    client: Client, admin: dict[str, str], house: House
) -> None:
    webhook = await made(client, admin)
    url = f"{PATH}/{webhook['id']}"
    async with client.post(f"{url}/secrets", headers=admin) as response:
        assert response.status == 201
        assert (await response.json())["secret"] not in ("", webhook["secret"])
    async with client.post(f"{url}/secrets", json={"secret": SECRET}, headers=admin) as response:
        assert await response.json() == {"secret": SECRET}
    async with client.get(url, headers=admin) as response:
        newest, *old = (await response.json())["secrets"]
    assert newest == {"expiresAt": None}
    assert len(old) == 2
    assert all(one["expiresAt"] is not None for one in old)
    for _ in range(7):
        async with client.patch(url, json={"secret": SECRET}, headers=admin) as response:
            assert response.status == 200
    async with client.post(f"{url}/secrets", headers=admin) as response:
        await error_of(response, 409, "webhook-state")
    house.now += timedelta(days=4000)  # the office goes by the machine's clock, the house by its own
    async with client.get(url, headers=await house.token(ROOT, Role.ADMIN)) as response:
        assert (await response.json())["secrets"] == [{"expiresAt": None}]


async def test_there_may_be_100(client: Client, admin: dict[str, str], office: Office) -> None:
    for _ in range(MOST):
        await made(client, admin)
    async with client.post(PATH, json={"url": "https://a.example/"}, headers=admin) as response:
        await error_of(response, 409, "too-many-webhooks")
    assert len(office.webhooks.all) == MOST


async def test_deliveries_are_listed_page_by_page_and_sent_again(
    client: Client, admin: dict[str, str], office: Office, receiver: Receiver
) -> None:
    webhook = await made(client, admin, url=receiver.url, secret=SECRET, events=["call.*"])
    url = f"{PATH}/{webhook['id']}/deliveries"
    await office.happen(*(of_call("1.1", n) for n in range(5)))
    await until(lambda: office.webhooks.tally().delivered == 5)
    await until(lambda: office.webhooks.tally().waiting == 0)
    async with client.get(url, params={"limit": "3"}, headers=admin) as response:
        first = (await response.json())["items"]
    async with client.get(url, params={"before": first[-1]["id"]}, headers=admin) as response:
        rest = (await response.json())["items"]
    assert [one["fact"] for one in first + rest] == [6, 5, 4, 3, 2]
    assert {(one["state"], one["status"], one["error"], one["attempts"]) for one in first + rest} == {
        ("delivered", 200, None, 1)
    }
    assert {one["id"] for one in first + rest} == {message_id for _, message_id, _ in receiver.seen}
    async with client.get(url, params={"state": "waiting"}, headers=admin) as response:
        assert await response.json() == {"items": []}

    async with client.post(f"{url}/{first[0]['id']}/resend", headers=admin) as response:
        assert response.status == 202
        assert (await response.json())["state"] == "waiting"
    await until(lambda: len(receiver.seen) == 6)
    assert receiver.seen[-1][1] == first[0]["id"]


async def test_what_is_not_taken_in_cannot_be_sent_again(client: Client, admin: dict[str, str], office: Office) -> None:
    webhook = await made(client, admin)
    await client.patch(f"{PATH}/{webhook['id']}", json={"events": ["call.*"], "enabled": False}, headers=admin)
    (fact,) = await office.happen(of_call("1.1"))
    key = f"msg_{webhook['id']}_{fact.number}_0"
    async with client.post(f"{PATH}/{webhook['id']}/deliveries/{key}/resend", headers=admin) as response:
        await error_of(response, 404, "not-found")


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"state": "lost"}, {"before": "x"}, {"x": "1"}])
async def test_queries_that_are_wrong(client: Client, admin: dict[str, str], query: dict[str, str]) -> None:
    webhook = await made(client, admin)
    async with client.get(f"{PATH}/{webhook['id']}/deliveries", params=query, headers=admin) as response:
        assert set(await error_of(response, 400, "invalid-request")) == set(query)


async def test_a_test_says_what_came_of_it(client: Client, admin: dict[str, str], receiver: Receiver) -> None:
    webhook = await made(client, admin, url=receiver.url, secret=SECRET)
    async with client.post(f"{PATH}/{webhook['id']}/test", headers=admin) as response:
        assert await response.json() == {"delivered": True, "status": 200, "error": None}
    receiver.status = 500
    async with client.post(f"{PATH}/{webhook['id']}/test", headers=admin) as response:
        assert await response.json() == {"delivered": False, "status": 500, "error": "status-500"}
