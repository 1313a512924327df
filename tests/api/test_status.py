"""What an admin is told of this moment."""

from collections import Counter
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from bridge.api.app import create_app
from bridge.api.metrics import Metrics
from bridge.api.numbers import CallbackNumbers, KeepingNumbers, Numbers, WaitingNumbers
from bridge.core.access import Role
from bridge.core.errors import StoreError
from bridge.core.histograms import Histogram
from bridge.core.ids import RuleId
from bridge.core.live import NotReady
from bridge.core.records import SectionState
from bridge.core.space import Space
from bridge.feed.stream import Hub
from tests.api.house import ALICE, BOB, ROOT, House, Server, error_of

STATUS = "/api/v1/status"


def commits(count: int) -> Histogram:
    made = Histogram((0.1, 1.0))
    for _ in range(count):
        made.observe(0.01)
    return made


NUMBERS = Numbers(
    calls=3,
    talks=2,
    sections=Counter(
        {
            (RuleId(1), SectionState.RECORDING): 2,
            (RuleId(2), SectionState.RECORDING): 1,
            (RuleId(1), SectionState.PAUSED): 1,
        }
    ),
    rules=[RuleId(1), RuleId(2)],
    asterisk="connected",
    asterisk_version="22.5.1",
    asterisk_waiting=4,
    inbox_waiting=5,
    changes_waiting=6,
    bounds={"asterisk": 100, "inbox": 200, "database": 300},
    changes_lost=1,
    streams=7,
    spool_low_bytes=50,
    callbacks=CallbackNumbers({"enabled": 2, "disabled": 1}, 8, 9, {"delivered": 10, "failed": 11}, 12),
    keeping=KeepingNumbers(commits(3), 1, 300, 4, 5000, 6, 7, 1_700_000_000.5),
    waiting=WaitingNumbers(2, 61.52, 3, 4),
)


async def told(house: House, numbers: Numbers = NUMBERS) -> dict[str, Any]:
    house.hub = Hub(house.store)
    app = create_app(house.dependencies(), metrics=Metrics(lambda: numbers))
    async with TestClient(Server(app)) as client:
        response = await client.get(STATUS, headers=await house.token(ROOT, Role.ADMIN))
        assert response.status == 200, await response.text()
        body: dict[str, Any] = await response.json()
        return body


async def test_an_admin_is_told_all_of_this_moment(house: House) -> None:
    house.space = Space(40, 1000)
    body = await told(house)
    assert (body["calls"], body["talks"], body["rules"], body["streams"]) == (3, 2, 2, 7)
    assert body["sections"] == {"recording": 3, "paused": 1}
    assert body["asterisk"]["state"] == "connected"
    assert body["asterisk"]["version"] == "22.5.1"
    assert body["queues"] == [
        {"name": "asterisk", "waiting": 4, "bound": 100},
        {"name": "inbox", "waiting": 5, "bound": 200},
        {"name": "database", "waiting": 6, "bound": 300},
    ]
    assert body["spool"] == {"freeBytes": 40, "totalBytes": 1000, "lowBytes": 50}
    assert body["database"] == {"commits": 3, "failures": 1, "lost": 1, "intentsBytes": 300}
    assert body["callbacks"] == {
        "enabled": 2,
        "disabled": 1,
        "waiting": 8,
        "behind": 9,
        "delivered": 10,
        "failed": 11,
        "givenUp": 12,
    }
    assert body["work"] == {"exports": 2, "oldestExportS": 61.5, "mails": 3, "mailsGivenUp": 4}
    assert body["housekeeping"] == {
        "doneAt": 1_700_000_000_500,
        "deletedSections": 4,
        "deletedCalls": 6,
        "deletedBytes": 5000,
        "failures": 7,
    }
    assert body["now"] == int(house.now.timestamp() * 1000)
    assert body["version"]


async def test_what_is_not_known_is_null(house: House) -> None:
    body = await told(house, Numbers())
    assert body["spool"] is None
    assert body["housekeeping"]["doneAt"] is None
    assert body["ready"]


async def test_reasons_and_warnings_stand_there_with_their_remedies(house: House) -> None:
    house.not_ready = (NotReady("asterisk-unreachable", "no connection: start Asterisk"),)
    house.warnings = (NotReady("mail-not-taken", "mails wait"),)
    body = await told(house)
    assert not body["ready"]
    assert body["reasons"] == [{"code": "asterisk-unreachable", "message": "no connection: start Asterisk"}]
    assert body["warnings"] == [{"code": "mail-not-taken", "message": "mails wait"}]


@pytest.mark.parametrize("role", [Role.USER, Role.SUPERVISOR])
async def test_it_is_for_admins(house: House, role: Role) -> None:
    async with house.opened() as client:
        headers = await house.token(ALICE if role is Role.USER else BOB, role)
        await error_of(await client.get(STATUS, headers=headers), 403, "forbidden")
        await error_of(await client.get(STATUS), 401, "unauthorized")


async def test_nothing_can_be_asked_of_it(house: House) -> None:
    async with house.opened() as client:
        headers = await house.token(ROOT, Role.ADMIN)
        await error_of(await client.get(f"{STATUS}?a=b", headers=headers), 400, "invalid-request")


async def test_without_its_database_nobody_is_known_to_be_an_admin(house: House) -> None:
    async with house.opened() as client:
        headers = await house.token(ROOT, Role.ADMIN)
        house.store.broken = StoreError("the disk is full")
        await error_of(await client.get(STATUS, headers=headers), 503, "store-error")
