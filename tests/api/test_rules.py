"""The rules in force, and why a call was recorded or not, over HTTP."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.core.access import Role
from bridge.core.asked import Matches, kept_rules
from bridge.core.errors import Problem
from bridge.core.ids import Identity, RuleId
from bridge.core.rules import parse_rules
from bridge.core.rules_in_force import RulesInForce
from bridge.core.store import PutRules
from tests.api.house import ALICE, BOB, CAROL, ROOT, House
from tests.core.diary import FILE, SALES, USERS, Diary
from tests.core.scene import directory

PATH, EXPLAIN = "/api/v1/rules", "/api/v1/rules/explain"
OTHER = """\
rules:
  - id: 7
    name: Group
    record: always
    when: {user: ["group:sales"], time: "mon-fri 08:00-18:00 UTC"}
    follow: user
    channels: stereo
    keep: 90d

# The end
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    people = directory(USERS)
    files = ((FILE, SALES), ("b.yml", OTHER))
    in_force = RulesInForce(parse_rules(files, people), files)
    return House(tmp_path, directory=people, rules=in_force, supervises={CAROL: frozenset({BOB})})


async def asked(house: House, identity: Identity, role: Role = Role.USER, body: Any = None) -> tuple[int, Any]:
    async with house.opened() as client:
        headers = await house.token(identity, role)
        if body is None:
            response = await client.get(PATH, headers=headers)
        else:
            response = await client.post(EXPLAIN, headers=headers, json=body)
        return response.status, await response.json()


async def test_admins_see_each_rule_as_it_stands_in_its_file(house: House) -> None:
    await house.store.commit([PutRules(kept_rules(house.rules.files, house.directory, house.now - timedelta(days=3)))])
    status, said = await asked(house, ROOT, Role.ADMIN)
    assert status == 200
    assert [(one["ruleId"], one["file"], one["line"]) for one in said["items"]] == [
        (1, FILE, 3), (2, FILE, 4), (3, FILE, 8), (7, "b.yml", 2)
    ]  # fmt: skip
    assert said["items"][1]["text"].splitlines() == SALES.splitlines()[3:7]
    last = said["items"][3]
    assert last["text"] == "\n".join(OTHER.splitlines()[1:8])
    assert last["conditions"] == ["user is group:sales", "time is mon-fri 08:00-18:00 UTC"]
    assert last["options"] == {"follow": "user", "channels": "stereo", "keep": "90d"}
    assert said["items"][2]["conditions"] == ["any of: dialed is 110; or variable PRIVATE is *"]
    assert said["since"] == round((house.now - timedelta(days=3)).timestamp() * 1000)
    assert said["refused"] is None


async def test_what_was_refused_stands_beside_what_is_in_force(house: House) -> None:
    house.rules = replace(house.rules, refused=(Problem("a.yml", 3, 5, "no", "yes"),), refused_at=house.now)
    _, said = await asked(house, ROOT, Role.ADMIN)
    assert said["refused"] == {
        "at": round(house.now.timestamp() * 1000),
        "problems": [{"file": "a.yml", "line": 3, "column": 5, "message": "no", "suggestion": "yes"}],
    }


@pytest.mark.parametrize(
    ("identity", "role", "ids"),
    [(BOB, Role.USER, [2, 7]), (ALICE, Role.USER, []), (CAROL, Role.SUPERVISOR, [2, 7]), (CAROL, Role.USER, [])],
)
async def test_others_see_the_names_of_rules_that_name_them(
    house: House, identity: Identity, role: Role, ids: list[int]
) -> None:
    house.rules = replace(house.rules, refused=(Problem("a.yml", 3, 5, "no"),))
    status, said = await asked(house, identity, role)
    assert (status, said["refused"]) == (200, None)
    assert [one["ruleId"] for one in said["items"]] == ids
    for one in said["items"]:
        assert {name for name, value in one.items() if value} == {"ruleId", "name", "record"}


async def test_how_often_a_rule_matched_is_counted_once_a_minute(house: House) -> None:
    asked_since: list[datetime] = []

    async def count(since: datetime) -> Mapping[RuleId, Matches]:
        asked_since.append(since)
        return {RuleId(1): Matches(len(asked_since), 12.5)}

    house.store.rule_matches = count  # type: ignore[method-assign]
    async with house.opened() as client:
        headers = await house.token(ROOT, Role.ADMIN)

        async def calls() -> int:
            response = await client.get(PATH, headers=headers)
            matches = (await response.json())["items"][0]["matches"]
            assert matches["recordedS"] == 12.5
            return int(matches["calls"])

        assert await asyncio.gather(*(calls() for _ in range(5))) == [1] * 5
        house.now += timedelta(seconds=59)
        assert await calls() == 1
        house.now += timedelta(seconds=1)
        assert await calls() == 2
    assert asked_since[1] == house.now - timedelta(days=7)


async def test_a_call_is_explained_by_the_rules_of_then(house: House) -> None:
    diary = Diary()
    one, two = diary.inbound()
    diary.over(one, two)
    await house.store.commit(diary.changes)
    for name in (1, "1", one, "1700000000-1_1700000000-2"):
        status, said = await asked(house, ROOT, Role.ADMIN, {"call": name})
        assert status == 200
        assert (said["call"]["cdr"], said["call"]["callId"]) == (1, one)
        (talk,) = said["talks"]
        (told,) = talk["asked"]
        assert told["talk"]["queue"] == "sales"
        assert (told["answers"]["recording"], told["answers"]["outcome"]) == (
            [1],
            "recorded by rule 1; offered by rule 2",
        )
        assert told["answers"]["rules"][2]["failed"]["inner"][0] == {
            "key": "dialed", "wanted": ["110"], "found": ["500"], "inner": []
        }  # fmt: skip
        assert [(item["ruleId"], round(item["recordedS"])) for item in talk["happened"]] == [(1, 60), (2, 0)]


async def test_an_imagined_talk_is_explained_by_the_rules_in_force(house: House) -> None:
    body = {
        "from": "+491", "to": "bob", "queue": "sales", "at": "2026-03-02T09:00:00Z", "variables": {"PRIVATE": "1"},
        "direction": "inbound", "channels": ["PJSIP/x-1"],
    }  # fmt: skip
    status, said = await asked(house, ROOT, Role.ADMIN, body)
    assert (status, said["call"]) == (200, None)
    ((told,),) = [talk["asked"] for talk in said["talks"]]
    assert told["answers"]["outcome"] == "not recorded: never by rule 3"
    status, said = await asked(house, ROOT, Role.ADMIN, {"from": "alise", "to": "bob"})
    assert said["notes"] == ["users.yml does not know `alise`; taken as a phone of this name (did you mean alice?)"]


@pytest.mark.parametrize(
    "body", [{}, {"call": ""}, {"call": True}, {"call": 1, "from": "a"}, {"from": "a"},
             {"from": "a", "to": "b", "x": 1}, {"from": "a", "to": "b", "direction": "up"},
             {"from": "a", "to": "b", "at": "soon"}]
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(house: House, body: dict[str, Any]) -> None:
    status, said = await asked(house, ROOT, Role.ADMIN, body)
    assert (status, said["error_id"]) == (400, "invalid-request")


async def test_a_call_that_is_not_there_is_not_found(house: House) -> None:
    assert (await asked(house, ROOT, Role.ADMIN, {"call": "17"}))[0] == 404


@pytest.mark.parametrize("role", [Role.USER, Role.SUPERVISOR])
async def test_only_admins_ask_why(house: House, role: Role) -> None:
    """The answers say whom and which numbers rules name."""
    assert (await asked(house, BOB, role, {"call": "1"}))[0] == 403
