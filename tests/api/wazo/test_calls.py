"""wazo-calld's calls: what is said of those that go on, and what its record commands answer."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid5

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from bridge.core.access import Role, Scope
from bridge.core.commands import Verb
from bridge.core.errors import (
    AlreadyRecordingError,
    AutomaticRecordingError,
    ControlError,
    LocalChannelError,
    NotAllowedByRulesError,
    NotConfirmedError,
    NotInTalkError,
    NotPausedError,
    NotRecordingError,
    NotYourRecordingError,
    PauseNotAllowedError,
    RecordedByAnotherError,
    RecordPausedError,
    TalkOverError,
    TooManyCommandsError,
    UnknownChannelError,
)
from bridge.core.ids import BridgeUniqueid, ChannelName, Uniqueid
from bridge.core.live import PartyNow
from bridge.core.people import USERS_NAMESPACE, Directory, User
from tests.api.house import ALICE, BOB, CALL, CAROL, ROOT, TENANT, House, Scripted
from tests.storage import kept

Client = TestClient[Request, Application]
ROOTS = ["/1.0", "/api/calld/1.0"]
VERBS = [str(verb) for verb in Verb]
ALICES, BOBS = Uniqueid("1.1"), Uniqueid("1.2")
LATER = kept.NOON.replace(microsecond=0) + timedelta(seconds=3, microseconds=250_999)
TALK = replace(
    CALL,
    parties=(
        PartyNow(
            ALICES, ChannelName("PJSIP/alice-00000001"), ALICE, "Alice", "821", False, True, (BOBS,),
            began_at=kept.NOON, answered_at=LATER, bridge=BridgeUniqueid("b1"), recording="recording",
        ),
        PartyNow(
            BOBS, ChannelName("PJSIP/bob-00000002"), BOB, "Bob", "822", False, True, (ALICES,),
            dialed=True, began_at=LATER, answered_at=LATER, held=True, bridge=BridgeUniqueid("b1"), recording="paused",
        ),
    ),
)  # fmt: skip
RINGING = replace(
    CALL,
    direction="inbound",
    parties=(
        PartyNow(
            ALICES, ChannelName("PJSIP/trunk-00000001"), None, "Customer", "+4930123", True, False, began_at=kept.NOON
        ),
        PartyNow(
            BOBS, ChannelName("PJSIP/bob-00000002"), BOB, "Bob", "822", False, False, dialed=True, began_at=kept.NOON
        ),
    ),
    audience=(BOB,),
)


@pytest.fixture
def script(house: House) -> Scripted:
    house.control = control = Scripted()
    house.calls = (TALK,)
    return control


async def error_of(response: Any, status: int, error_id: str) -> dict[str, Any]:
    body: dict[str, Any] = await response.json()
    assert (response.status, body["error_id"]) == (status, error_id)
    assert set(body) == {"message", "error_id", "details", "timestamp"}
    details = body["details"]
    assert isinstance(details, dict)
    return details


@pytest.mark.parametrize("root", ROOTS)
async def test_each_party_of_a_call_is_a_call(house: House, client: Client, root: str) -> None:
    house.calls = (TALK,)
    house.directory = Directory((User.model_validate({"identity": "bob", "uuid": str(TENANT), "name": "Bob"}),))
    response = await client.get(f"{root}/calls", headers=await house.token(ROOT, Role.ADMIN))
    assert response.status == 200
    alices, bobs = (await response.json())["items"]
    alice = str(uuid5(USERS_NAMESPACE, "alice"))
    assert alices == {
        "bridges": ["b1"],
        "call_id": "1.1",
        "caller_id_name": "Alice",
        "caller_id_number": "821",
        "conversation_id": kept.CALL,
        "peer_caller_id_name": "Bob",
        "peer_caller_id_number": "822",
        "creation_time": "2026-08-01T12:00:00.123+0000",
        "status": "Up",
        "on_hold": False,
        "muted": False,
        "record_state": "active",
        "talking_to": {"1.2": str(TENANT)},
        "user_uuid": alice,
        "tenant_uuid": str(TENANT),
        "is_caller": True,
        "is_video": False,
        "dialed_extension": "822",
        "sip_call_id": None,
        "line_id": None,
        "answer_time": "2026-08-01T12:00:03.250999+00:00",
        "hangup_time": None,
        "direction": "internal",
        "parked": False,
    }
    different = {name: bobs[name] for name in bobs if bobs[name] != alices[name]}
    assert different == {
        "call_id": "1.2",
        "caller_id_name": "Bob",
        "caller_id_number": "822",
        "peer_caller_id_name": "Alice",
        "peer_caller_id_number": "821",
        "creation_time": "2026-08-01T12:00:03.250+0000",
        "on_hold": True,
        "record_state": "paused",
        "talking_to": {"1.1": alice},
        "user_uuid": str(TENANT),
        "is_caller": False,
    }


async def test_what_rings_says_so_and_who_is_outside_is_no_user(house: House, client: Client) -> None:
    house.calls = (RINGING,)
    headers = await house.token(ROOT, Role.ADMIN)
    caller, called = (await (await client.get("/1.0/calls", headers=headers)).json())["items"]
    assert [(one["status"], one["is_caller"], one["answer_time"]) for one in (caller, called)] == [
        ("Ring", True, None),
        ("Ringing", False, None),
    ]
    assert (caller["user_uuid"], caller["direction"], caller["record_state"]) == (None, "inbound", "inactive")
    assert (called["peer_caller_id_name"], called["peer_caller_id_number"]) == ("Customer", "+4930123")
    assert (caller["talking_to"], caller["bridges"]) == ({}, [])


async def test_who_is_alone_has_as_its_peer_the_number_that_it_dialled(house: House, client: Client) -> None:
    house.calls = (replace(RINGING, parties=RINGING.parties[:1]),)
    headers = await house.token(ROOT, Role.ADMIN)
    (caller,) = (await (await client.get("/1.0/calls", headers=headers)).json())["items"]
    assert (caller["peer_caller_id_name"], caller["peer_caller_id_number"]) == ("", "822")


async def test_filters_by_application_are_taken_and_not_looked_at(house: House, client: Client) -> None:
    path = "/1.0/calls?application=switchboard&application_instance=a%2Cb"
    response = await client.get(path, headers=await house.token(ROOT, Role.ADMIN))
    assert (response.status, len((await response.json())["items"])) == (200, 2)


async def test_the_whole_list_is_for_admins_and_for_supervisors_what_they_supervise(
    house: House, client: Client
) -> None:
    house.calls = (TALK, replace(RINGING, audience=(CAROL,)))
    details = await error_of(await client.get("/1.0/calls", headers=await house.token(ALICE)), 401, "unauthorized")
    assert details["required_access"] == "calld.calls.read"
    assert "one's own is below /users/me" in details["reason"]
    carol = await house.token(CAROL, Role.SUPERVISOR)
    for supervised, seen in ((frozenset(), 2), (frozenset({BOB}), 4)):
        house.supervises = {CAROL: frozenset(supervised)}
        body = await (await client.get("/1.0/calls", headers=carol)).json()
        assert len(body["items"]) == seen


@pytest.mark.parametrize("root", ROOTS)
async def test_a_users_own_calls_are_its_own_channels(house: House, client: Client, root: str) -> None:
    house.calls = (TALK, RINGING)
    for who, role, seen in ((ALICE, Role.USER, ["1.1"]), (BOB, Role.ADMIN, ["1.2", "1.2"]), (CAROL, Role.USER, [])):
        response = await client.get(f"{root}/users/me/calls", headers=await house.token(who, role))
        assert response.status == 200
        assert [one["call_id"] for one in (await response.json())["items"]] == seen


async def test_one_call_is_found_by_its_channels_uniqueid(house: House, client: Client) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    response = await client.get("/1.0/calls/1.2", headers=headers)
    assert (response.status, (await response.json())["call_id"]) == (200, "1.2")
    assert (await client.head("/1.0/calls/1.2", headers=headers)).status == 200
    details = await error_of(await client.get("/1.0/calls/9.9", headers=headers), 404, "no-such-call")
    assert details == {"call_id": "9.9"}
    await error_of(await client.get("/1.0/calls/1.2", headers=await house.token(BOB)), 401, "unauthorized")
    carol = await house.token(CAROL, Role.SUPERVISOR)
    await error_of(await client.get("/1.0/calls/1.2", headers=carol), 404, "no-such-call")


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("verb", VERBS)
async def test_a_command_is_given_on_and_answered_with_nothing(
    script: Scripted, house: House, client: Client, root: str, verb: str
) -> None:
    for who, role, path in (
        (ROOT, Role.ADMIN, f"{root}/calls/1.2/record/{verb}"),
        (BOB, Role.USER, f"{root}/users/me/calls/1.2/record/{verb}"),
    ):
        response = await client.put(path, headers=await house.token(who, role))
        assert (response.status, await response.read()) == (204, b"")
        asked, channel, reader = script.asked.pop()
        assert (asked, channel, reader.identity, reader.role) == (Verb(verb), "1.2", who, role)
    assert script.asked == []


@pytest.mark.parametrize("verb", VERBS)
async def test_who_may_not_ask_asks_nobody(script: Scripted, house: House, client: Client, verb: str) -> None:
    path, mine = f"/1.0/calls/1.2/record/{verb}", f"/1.0/users/me/calls/1.2/record/{verb}"
    await error_of(await client.put(path), 401, "unauthorized")
    details = await error_of(await client.put(path, headers=await house.token(BOB)), 401, "unauthorized")
    assert details["required_access"] == f"calld.calls.1.2.record.{verb}.update"
    assert "supervisors" in details["reason"]
    deaf = [Scope.PLAY]
    await error_of(await client.put(path, headers=await house.token(ROOT, Role.ADMIN, deaf)), 401, "unauthorized")
    details = await error_of(await client.put(mine, headers=await house.token(BOB, scopes=deaf)), 401, "unauthorized")
    assert details["required_access"] == f"calld.users.me.calls.1.2.record.{verb}.update"
    assert details["reason"] == "this token lacks the scope control"
    # Not one's own, of a call that one may see, and not of one's own kind.
    await error_of(await client.put(mine, headers=await house.token(ALICE)), 404, "no-such-call")
    await error_of(await client.put(mine, headers=await house.token(ROOT, Role.ADMIN)), 404, "no-such-call")
    await error_of(await client.put(path, headers=await house.token(CAROL, Role.SUPERVISOR)), 404, "no-such-call")
    await error_of(
        await client.put(path.replace("1.2", "PJSIP%2Fbob-00000002"), headers=await house.token(ROOT, Role.ADMIN)),
        404,
        "no-such-call",
    )
    assert script.asked == []


FORBIDDEN = (403, "recording-unauthorized")
NOT_STARTED = (400, "recording-not-started")
DONE = (204, "")


CASES: list[tuple[str, type[ControlError], tuple[int, str]]] = [
    *[(verb, UnknownChannelError, (404, "no-such-call")) for verb in VERBS],
    *[(verb, NotConfirmedError, (504, "not-confirmed")) for verb in VERBS],
    *[(verb, TooManyCommandsError, (503, "too-many-commands")) for verb in VERBS],
    ("start", LocalChannelError, (404, "no-such-call")),
    ("start", NotAllowedByRulesError, FORBIDDEN),
    ("start", AlreadyRecordingError, DONE),
    ("start", RecordedByAnotherError, DONE),
    ("start", AutomaticRecordingError, DONE),
    ("start", RecordPausedError, DONE),
    ("start", NotInTalkError, NOT_STARTED),
    ("start", TalkOverError, NOT_STARTED),
    ("start", NotRecordingError, NOT_STARTED),
    ("stop", NotRecordingError, DONE),
    ("stop", NotYourRecordingError, FORBIDDEN),
    ("stop", AutomaticRecordingError, FORBIDDEN),
    ("pause", NotRecordingError, NOT_STARTED),
    ("pause", PauseNotAllowedError, FORBIDDEN),
    ("pause", RecordPausedError, DONE),
    ("resume", NotYourRecordingError, FORBIDDEN),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1].code}")
@pytest.mark.parametrize("path", ["/1.0/calls", "/1.0/users/me/calls"])
async def test_what_cannot_be_done_is_answered_in_wazos_words(
    script: Scripted, house: House, client: Client, path: str, case: tuple[str, type[ControlError], tuple[int, str]]
) -> None:
    verb, error, (status, error_id) = case
    script.answer = error("no")
    response = await client.put(f"{path}/1.2/record/{verb}", headers=await house.token(BOB, Role.ADMIN))
    if status == 204:
        assert (response.status, await response.read()) == (204, b"")
        return
    details = await error_of(response, status, error_id)
    if status < 500:
        assert details["call_id"] == "1.2"
    if error_id.startswith("recording-"):
        assert details["reason"] == error.code


@pytest.mark.parametrize(("recording", "expected"), [("recording", 204), ("paused", 204), ("", 400)])
async def test_a_resume_of_what_is_not_paused_is_well_done_where_it_is_recorded(
    script: Scripted, house: House, client: Client, recording: str, expected: int
) -> None:
    house.calls = (replace(TALK, parties=(TALK.parties[0], replace(TALK.parties[1], recording=recording))),)
    script.answer = NotPausedError("no")
    response = await client.put("/1.0/calls/1.2/record/resume", headers=await house.token(ROOT, Role.ADMIN))
    assert response.status == expected
    if expected == 400:
        await error_of(response, *NOT_STARTED)


async def test_what_only_wazo_has_is_not_here(house: House, client: Client) -> None:
    headers = await house.token(ROOT, Role.ADMIN)
    assert (await client.post("/1.0/calls", headers=headers, json={})).status == 405
    assert (await client.put("/1.0/calls/1.2/mute/start", headers=headers)).status == 404
    assert (await client.get("/1.0/calls/1.2/record/start", headers=headers)).status == 405
