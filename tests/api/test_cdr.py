"""`/api/v1/cdrs/{cdr}` and `/api/v1/holds`, over a real database."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.api.app import create_app
from bridge.core.access import Role
from bridge.core.ids import FactNumber, Identity
from bridge.core.records import Fact, FactKind
from bridge.core.store import AddCdr, AppendFact, PutSection, PutSpan, PutTalk
from bridge.feed.stream import Hub
from bridge.storage.call_details import SqliteCallBook
from bridge.storage.database import SqliteStore
from bridge.storage.holding import SqliteHolding
from bridge.tokens import new_token
from tests.api.house import House, Server, error_of
from tests.core.scene import Scene
from tests.core.timelines import captured, kept, told

Client = TestClient[Request, Application]
ROOT, ALICE, BOB, CAROL, DAVE = (Identity(one) for one in ("root", "alice", "bob", "carol", "dave"))
NAME = "22-attended-by-caller"


@dataclass
class Desk:
    """Who asks, and whom: a daemon's application with one finished call in its database."""

    client: Client
    store: SqliteStore
    house: House
    scene: Scene

    async def token(self, identity: str, role: Role = Role.USER) -> dict[str, str]:
        token, plain = new_token(Identity(identity), role, None, self.house.now, None)
        await self.store.add_token(token)
        return {"Authorization": f"Bearer {plain}"}

    async def got(self, path: str, identity: str = "root", role: Role = Role.ADMIN) -> Any:
        async with self.client.get(path, headers=await self.token(identity, role)) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def sent(self, method: str, path: str, body: Any, identity: str, role: Role = Role.USER) -> tuple[int, Any]:
        async with self.client.request(method, path, json=body, headers=await self.token(identity, role)) as response:
            return response.status, await response.json() if response.content_length else None


async def keep(store: SqliteStore, scene: Scene) -> None:
    """What the daemon would have kept of a scene."""
    await store.commit(
        [
            *map(AppendFact, scene.facts),
            *map(PutTalk, scene.talks.values()),
            *map(PutSpan, scene.spans.values()),
            *map(PutSection, scene.sections.values()),
            *(AddCdr(cdr, scene.parties[cdr.call_id]) for cdr in scene.cdrs),
        ]
    )


@pytest.fixture(name="desk")
async def _desk(tmp_path: Path) -> AsyncIterator[Desk]:
    database, house, scene = tmp_path / "x.db", House(tmp_path), captured(NAME)
    house.now = scene.cdrs[0].ended_at
    house.supervises = {DAVE: frozenset({CAROL})}
    async with contextlib.AsyncExitStack() as stack:
        store = await SqliteStore.open(database, "pbx")
        stack.push_async_callback(store.close)
        house.hub = Hub(store, bound=100)
        deps = replace(
            house.dependencies(),
            store=store,
            call_book=SqliteCallBook(store, "pbx", lambda: house.now),
            holding=SqliteHolding(store, database, 1.0),
        )
        client = await stack.enter_async_context(TestClient(Server(create_app(deps))))
        await keep(store, scene)
        yield Desk(client, store, house, scene)


async def test_a_call_has_its_cdr_its_timeline_and_all_that_belongs_to_it(desk: Desk) -> None:
    item = await desk.got("/api/v1/cdrs/1")
    cdr = desk.scene.cdrs[0]
    assert (item["id"], item["callId"], item["participants"]) == (1, cdr.call_id, ["alice", "bob", "carol"])
    assert item["timeline"] == told(desk.scene)
    assert (item["notes"], item["holds"], item["listened"]) == ([], [], [])


async def test_a_user_sees_its_own_calls_and_of_them_its_own_sections(desk: Desk) -> None:
    item = await desk.got("/api/v1/cdrs/1", "carol", Role.USER)
    assert [one["file"] for one in item["timeline"]["sections"]] == [2, 3]
    for identity, role in (("eve", Role.USER), ("eve", Role.SUPERVISOR)):
        async with desk.client.get("/api/v1/cdrs/1", headers=await desk.token(identity, role)) as response:
            await error_of(response, 404, "not-found")


@pytest.mark.parametrize("number", ["2", "0", "x", "-1", "1.0", "9" * 30, "%D9%A1"])
async def test_what_is_no_call_is_not_found(desk: Desk, number: str) -> None:
    async with desk.client.get(f"/api/v1/cdrs/{number}", headers=await desk.token("root", Role.ADMIN)) as response:
        await error_of(response, 404, "not-found")


async def test_a_call_that_joined_two_shows_what_was_before(desk: Desk) -> None:
    scene = captured("22-replaces-of-two-callers")
    await keep(desk.store, scene)
    whole = kept(scene)
    item = next(
        one
        for one in [await desk.got(f"/api/v1/cdrs/{number}") for number in (2, 3)[: len(scene.cdrs)]]
        if one["callId"] == whole.cdr.call_id
    )
    assert item["timeline"] == told(scene)


async def test_who_listened_is_told_to_admins_and_supervisors(desk: Desk) -> None:
    section = next(one for one in desk.scene.sections.values() if one.file == 2)
    other = next(one for one in desk.scene.sections.values() if one.file == 1)
    facts = [
        Fact(
            kind,
            desk.house.now,
            one.call_id,
            one.record_id,
            one.rule_id,
            one.file,
            {},
            {"identity": ALICE},
            one.participants,
        )
        for kind, one in ((FactKind.RECORDING_PLAYED, section), (FactKind.RECORDING_DOWNLOADED, other))
    ]
    await desk.store.commit(list(map(AppendFact, facts)))
    listened = (await desk.got("/api/v1/cdrs/1"))["listened"]
    assert [(one["kind"], one["identity"], one["file"]) for one in listened] == [
        ("played", "alice", 2),
        ("downloaded", "alice", 1),
    ]
    supervisors = await desk.got("/api/v1/cdrs/1", "dave", Role.SUPERVISOR)
    assert [one["file"] for one in supervisors["listened"]] == [2]
    assert (await desk.got("/api/v1/cdrs/1", "alice", Role.USER))["listened"] == []


async def test_tags_are_put_and_taken_off(desk: Desk) -> None:
    assert await desk.sent("POST", "/api/v1/cdrs/1/tags", {"tag": "a/b c%ü"}, "alice") == (
        201,
        {"tag": "a/b c%ü", "source": "user", "by": "alice", "at": int(desk.house.now.timestamp() * 1000)},
    )
    assert (await desk.sent("POST", "/api/v1/cdrs/1/tags", {"tag": "a/b c%ü"}, "bob"))[0] == 200
    item = await desk.got("/api/v1/cdrs/1", "carol", Role.USER)
    assert "a/b c%ü" in item["tags"]
    assert [one["by"] for one in item["tagged"] if one["source"] == "user"] == ["alice"]
    path = "/api/v1/cdrs/1/tags/a%2Fb%20c%25%C3%BC"
    assert await desk.sent("DELETE", path, None, "carol") == (204, None)
    assert (await desk.sent("DELETE", path, None, "carol"))[0] == 404


@pytest.mark.parametrize("tag", ["", " x", "x ", "a\nb", "a\x00", "x" * 41, "a\u2028b", "a\u202eb", None, 7])
async def test_a_tag_is_one_line_of_40_characters_at_most(desk: Desk, tag: object) -> None:
    assert (await desk.sent("POST", "/api/v1/cdrs/1/tags", {"tag": tag}, "alice"))[0] == 400


@pytest.mark.parametrize("tag", ["x", "x" * 40, "ü 東京"])
async def test_a_tag_may_be_any_line(desk: Desk, tag: str) -> None:
    assert (await desk.sent("POST", "/api/v1/cdrs/1/tags", {"tag": tag}, "alice"))[0] == 201


async def test_who_listened_is_not_told_to_a_supervisor_who_is_heard_himself(desk: Desk) -> None:
    section = next(one for one in desk.scene.sections.values() if CAROL in one.participants)
    key = (section.call_id, section.record_id, section.rule_id, section.file)
    told = [
        Fact(FactKind.RECORDING_PLAYED, desk.house.now, *key, {}, {"identity": who}, section.participants)
        for who in (ROOT, CAROL)
    ]
    await desk.store.commit(list(map(AppendFact, told)))
    listened = (await desk.got("/api/v1/cdrs/1", "carol", Role.SUPERVISOR))["listened"]
    assert [one["identity"] for one in listened] == ["carol"]


@pytest.mark.parametrize("path", ["", "/facets", "/days"])
async def test_the_end_of_all_times_may_be_asked(desk: Desk, path: str) -> None:
    for query in ("from=253402300799999", "until=253402300799999", "from=0&until=1"):
        await desk.got(f"/api/v1/cdrs{path}?{query}")


async def test_a_note_is_removed_by_its_author_or_an_admin(desk: Desk) -> None:
    notes = []
    for text in ("Calls back\non Monday", "one more"):
        status, note = await desk.sent("POST", "/api/v1/cdrs/1/notes", {"text": text}, "alice")
        assert (status, note["text"], note["by"], note["mayDelete"]) == (201, text, "alice", True)
        notes.append(note["id"])
    assert [one["mayDelete"] for one in (await desk.got("/api/v1/cdrs/1", "bob", Role.USER))["notes"]] == [False] * 2
    assert (await desk.sent("DELETE", f"/api/v1/cdrs/1/notes/{notes[0]}", None, "bob"))[0] == 403
    assert (await desk.sent("DELETE", f"/api/v1/cdrs/1/notes/{notes[0]}", None, "alice"))[0] == 204
    assert (await desk.sent("DELETE", f"/api/v1/cdrs/1/notes/{notes[1]}", None, "root", Role.ADMIN))[0] == 204
    assert (await desk.sent("DELETE", f"/api/v1/cdrs/1/notes/{notes[1]}", None, "root", Role.ADMIN))[0] == 404


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 4001, "a\x07", None])
async def test_a_note_is_text_of_4000_characters_at_most(desk: Desk, text: object) -> None:
    assert (await desk.sent("POST", "/api/v1/cdrs/1/notes", {"text": text}, "alice"))[0] == 400


async def test_more_than_20_tags_are_refused(desk: Desk) -> None:
    for n in range(20):
        assert (await desk.sent("POST", "/api/v1/cdrs/1/tags", {"tag": f"t{n}"}, "alice"))[0] == 201
    status, error = await desk.sent("POST", "/api/v1/cdrs/1/tags", {"tag": "t20"}, "alice")
    assert (status, error["error_id"], error["details"]) == (409, "too-many-on-call", {"most": 20})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "tags", {"tag": "x"}),
        ("DELETE", "tags/x", None),
        ("POST", "notes", {"text": "x"}),
        ("DELETE", "notes/x", None),
    ],
)
async def test_nobody_adds_to_a_call_that_it_does_not_see(desk: Desk, method: str, path: str, body: object) -> None:
    status, error = await desk.sent(method, f"/api/v1/cdrs/1/{path}", body, "eve")
    assert (status, error["error_id"]) == (404, "not-found")


async def test_a_hold_is_set_listed_at_its_call_and_released(desk: Desk) -> None:
    call_id = desk.scene.cdrs[0].call_id
    status, hold = await desk.sent("POST", "/api/v1/holds", {"callId": call_id, "why": "case 7"}, "root", Role.ADMIN)
    assert (status, hold["who"], hold["callId"], hold["releasedAt"]) == (201, "root", call_id, None)
    assert (await desk.got("/api/v1/holds"))["items"] == [hold]
    assert (await desk.got("/api/v1/cdrs/1"))["holds"] == [hold]
    assert (await desk.got("/api/v1/cdrs/1", "alice", Role.USER))["holds"] == []
    path = f"/api/v1/holds/{hold['id']}/release"
    status, released = await desk.sent("POST", path, {"why": "over"}, "root", Role.ADMIN)
    assert (status, released["releasedBy"], released["releasedWhy"]) == (200, "root", "over")
    assert (await desk.sent("POST", path, {"why": "over"}, "root", Role.ADMIN))[1]["error_id"] == "hold-released"
    assert (await desk.got("/api/v1/holds"))["items"] == []
    assert (await desk.got("/api/v1/holds?all=true"))["items"] == [released]
    facts = [one.fact for one in await desk.store.facts_after(FactNumber(0), 10_000)]
    those = [one for one in facts if one.kind in (FactKind.HOLD_SET, FactKind.HOLD_RELEASED)]
    assert [dict(one.personal) for one in those] == [
        {"who": "root", "words": "case 7"},
        {"who": "root", "words": "over"},
    ]


async def test_a_hold_of_some_time_is_kept_to_the_millisecond(desk: Desk) -> None:
    body = {"number": "+49*", "from": 1795260509123, "until": 1795260509124, "why": "x"}
    status, hold = await desk.sent("POST", "/api/v1/holds", body, "root", Role.ADMIN)
    assert status == 201
    assert (hold["from"], hold["until"], hold["number"]) == (1795260509123, 1795260509124, "+49*")
    assert (await desk.got("/api/v1/holds"))["items"] == [hold]


@pytest.mark.parametrize(
    "body",
    [
        {"why": "x"},
        {"callId": "1.1"},
        {"callId": "1.1", "why": " "},
        {"callId": "", "why": "x"},
        {"from": 5, "until": 5, "why": "x"},
        {"from": -1, "why": "x"},
        {"call": "1.1", "why": "x"},
        {"since": 5, "why": "x"},
    ],
)
async def test_a_hold_needs_a_target_and_a_reason(desk: Desk, body: object) -> None:
    assert (await desk.sent("POST", "/api/v1/holds", body, "root", Role.ADMIN))[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "", None), ("POST", "", {"number": "1", "why": "x"}), ("POST", "/h1/release", {"why": "x"})],
)
async def test_holds_are_for_admins(desk: Desk, method: str, path: str, body: object) -> None:
    assert (await desk.sent(method, f"/api/v1/holds{path}", body, "dave", Role.SUPERVISOR))[0] == 403


async def test_an_unknown_hold_is_not_found(desk: Desk) -> None:
    assert (await desk.sent("POST", "/api/v1/holds/nope/release", {"why": "x"}, "root", Role.ADMIN))[0] == 404
