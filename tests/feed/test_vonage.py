"""Facts as Vonage's bodies: their keys are the reference's, and what is in them is what happened."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bridge.core import messages as m
from bridge.core.access import Role
from bridge.core.cdrs import recording_uuid
from bridge.core.commands import Verb
from bridge.core.ids import CallId, FactNumber, RecordId, RuleId, SectionKey
from bridge.core.records import Fact, FactKind, NumberedFact
from bridge.core.webhooks import Callback, Format
from bridge.feed.vonage import Vonage
from tests.core.scene import Scene

AT = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
MS = 1772442000123
FORMAT: Format = Vonage("https://pbx.example.org/rec/")

CONNECTION = {"id": str, "createdAt": int, "data": str}
STREAM = {"id": str, "connection": CONNECTION, "createdAt": int, "name": str}
CALL = {"id": str, "connectionId": str, "createdAt": int}
SESSION = {"sessionId": str, "projectId": str, "event": str, "timestamp": int}
REFERENCE: dict[str, dict[str, Any]] = {
    "connectionCreated": SESSION | {"connection": CONNECTION},
    "connectionDestroyed": SESSION | {"reason": str, "connection": CONNECTION},
    "streamCreated": SESSION | {"stream": STREAM},
    "streamDestroyed": SESSION | {"reason": str, "stream": STREAM},
    "callCreated": SESSION | {"call": CALL},
    "callUpdated": SESSION | {"state": str, "call": CALL},
    "callDestroyed": SESSION | {"reason_code": str, "reason_message": str, "call": CALL},
    "archive": {
        "id": str,
        "event": str,
        "createdAt": int,
        "duration": int,
        "name": str,
        "partnerId": str,
        "projectId": str,
        "reason": str,
        "sessionId": str,
        "size": int,
        "status": str,
        "url": str | None,
    },
}
"""The bodies of Vonage's guides, of audio alone: without `videoType`, and `resolution`."""


def shape(value: Any, model: Any) -> None:
    """The same keys, and values of the same kinds."""
    if not isinstance(model, dict):
        assert isinstance(value, model)
        return
    assert value.keys() == model.keys()
    for name, one in model.items():
        shape(value[name], one)


def bodies(facts: list[Fact]) -> list[Callback]:
    return [
        one
        for number, fact in enumerate(facts, 1)
        for one in FORMAT.bodies(NumberedFact(FactNumber(number), fact), "pbx1")
    ]


def simple() -> Scene:
    """A call that is recorded, paused, resumed and over."""
    scene = Scene(
        rules="rules:\n  - {id: 1, name: All, record: always, pause: user}\n",
        users="users:\n  - {identity: bob, name: Bob Müller, extensions: ['102'], devices: [{channel: PJSIP/bob}]}\n",
        tell_channels=True,
    )
    one, two = scene.call()
    scene.play()
    scene.tick(5)
    scene.ask(Verb.PAUSE, "PJSIP/bob-1", "bob", Role.USER)
    scene.tick(5)
    scene.ask(Verb.RESUME, "PJSIP/bob-1", "bob", Role.USER)
    scene.tick(10)
    pbx = scene.pbx
    pbx.events.append(m.HangupRequested(pbx._at(), two, 16))
    pbx.leave("b1", two, one)
    pbx.hangup(two, one)
    scene.play()
    return scene


def test_every_body_has_the_references_keys_and_kinds() -> None:
    found = bodies(simple().facts)
    assert {one.name for one in found} == set(FORMAT.NAMES) - {"archive.failed", "archive.expired"}
    assert {name.partition(".")[0] for name in FORMAT.NAMES} == set(REFERENCE)
    for one in found:
        event = one.body["event"]
        shape(dict(one.body), REFERENCE[event])
        assert one.name == (f"archive.{one.body['status']}" if one.archive else event)
        assert json.loads(json.dumps(one.body)) == one.body


def test_a_call_with_a_recording_is_told_in_this_order() -> None:
    found = bodies(simple().facts)
    assert [
        " ".join(
            str(one.body[name]) for name in ("event", "status", "state", "reason", "reason_code") if one.body.get(name)
        )
        for one in found
    ] == [
        "connectionCreated",
        "connectionCreated",
        "callCreated",
        "callUpdated DIALING",
        "callUpdated ACTIVE",
        "streamCreated",
        "streamCreated",
        "archive started",
        "archive paused",
        "archive started",
        "archive stopped",
        "archive available",
        "streamDestroyed clientDisconnected",
        "callUpdated HANGUP",
        "callDestroyed 700",
        "connectionDestroyed clientDisconnected",
        "streamDestroyed clientDisconnected",
        "connectionDestroyed clientDisconnected",
    ]
    assert {one.key for one in found} == {"1700000000.1"}, "in order for each call"
    assert {one.body["event"] for one in found if one.archive} == {"archive"}
    assert not any(one.body["event"] == "archive" for one in found if not one.archive)
    assert {one.body["sessionId"] for one in found} == {"1700000000.1"}


def test_pairs_have_one_id_and_different_channels_have_different_ones() -> None:
    found = [one.body for one in bodies(simple().facts)]
    for what in ("connection", "stream"):
        created = [body[what] for body in found if body["event"] == f"{what}Created"]
        destroyed = [body[what] for body in found if body["event"] == f"{what}Destroyed"]
        assert len({one["id"] for one in created}) == 2
        assert sorted(one["id"] for one in created) == sorted(one["id"] for one in destroyed)
        assert {one["id"]: one["createdAt"] for one in created} == {one["id"]: one["createdAt"] for one in destroyed}
        assert all(UUID(one["id"]).version == 5 for one in created)
    connections = {body["connection"]["id"] for body in found if "connection" in body}
    assert {body["stream"]["connection"]["id"] for body in found if "stream" in body} == connections
    calls = [body["call"] for body in found if "call" in body]
    assert {call["connectionId"] for call in calls} < connections, "only bob was dialled"
    assert len({call["id"] for call in calls}) == 1
    again = [one.body for one in bodies(simple().facts)]
    assert again == found, "the same ids each time"
    elsewhere = FORMAT.bodies(NumberedFact(FactNumber(1), _began()), "pbx2")[0].body["connection"]["id"]
    assert elsewhere != FORMAT.bodies(NumberedFact(FactNumber(1), _began()), "pbx1")[0].body["connection"]["id"]


def _began(**personal: str) -> Fact:
    data = {"uniqueid": "1.2", "channel": "PJSIP/bob-1", "dialed": True, "began": AT.isoformat()}
    return Fact(FactKind.CHANNEL_BEGAN, AT + timedelta(seconds=1), CallId("1.1"), data=data, personal=personal)


def test_a_connection_says_who_it_is() -> None:
    (one,) = bodies([_began(identity="bob", name="Bob Müller", number="102")])
    who = {"channel": "PJSIP/bob-1", "uniqueid": "1.2", "identity": "bob", "name": "Bob Müller", "number": "102"}
    assert one.body == {
        "sessionId": "1.1",
        "projectId": "pbx1",
        "event": "connectionCreated",
        "timestamp": MS + 1000,
        "connection": {
            "id": "9ef85686-6217-55c8-bc48-71c2afcd673d",
            "createdAt": MS,
            "data": json.dumps(who, ensure_ascii=False),
        },
    }


def test_of_who_was_erased_the_channel_stays() -> None:
    (one,) = bodies([_began()])
    assert json.loads(one.body["connection"]["data"])["name"] == ""


@pytest.mark.parametrize(
    ("why", "connection", "stream"),
    [
        ("hung-up", "clientDisconnected", "clientDisconnected"),
        ("forced", "forceDisconnected", "forceDisconnected"),
        ("network", "networkDisconnected", "networkDisconnected"),
        ("moved", None, "forceUnpublished"),
        ("left", None, "mediaStopped"),
    ],
)
def test_reasons_are_vonages(why: str, connection: str | None, stream: str) -> None:
    data = dict(_began().data) | {"bridge": "b1", "joined": AT.isoformat(), "reason": why}
    (left,) = bodies([Fact(FactKind.CHANNEL_LEFT, AT, CallId("1.1"), data=data)])
    assert left.body["reason"] == stream
    if connection is not None:
        (ended,) = bodies([Fact(FactKind.CHANNEL_ENDED, AT, CallId("1.1"), data=data)])
        assert ended.body["reason"] == connection


def _section(kind: FactKind, **data: Any) -> Fact:
    known = {"state": "stored", "requested_at": (AT - timedelta(seconds=30)).isoformat()}
    return Fact(kind, AT, CallId("1.1"), RecordId("1-1_1-2"), RuleId(7), 3, known | data)


def test_an_archive_that_is_there_has_its_size_length_and_address() -> None:
    (one,) = bodies([_section(FactKind.SECTION_STORED, size_bytes=480044, duration_s=29.96)])
    assert one.archive
    assert one.body == {
        "id": str(recording_uuid(SectionKey(RecordId("1-1_1-2"), RuleId(7), 3))),
        "event": "archive",
        "createdAt": (MS // 1000 - 30) * 1000,
        "duration": 30,
        "name": "1-1_1-2/7/3",
        "partnerId": "pbx1",
        "projectId": "pbx1",
        "reason": "",
        "sessionId": "1.1",
        "size": 480044,
        "status": "available",
        "url": "https://pbx.example.org/rec/api/v1/records/1-1_1-2/7/3",
    }


@pytest.mark.parametrize(
    ("kind", "data", "status", "reason", "duration"),
    [
        (FactKind.SECTION_RECORDING, {}, "started", "", 0),
        (FactKind.SECTION_PAUSED, {}, "paused", "", 0),
        (FactKind.SECTION_CLOSED, {"reason": "ended-unseen"}, "stopped", "ended-unseen", 30),
        (FactKind.SECTION_FAILED, {"reason": "file-missing"}, "failed", "file-missing", 0),
        (FactKind.SECTION_LOST, {"reason": "asterisk-restarted"}, "failed", "asterisk-restarted", 0),
        (FactKind.SECTION_DELETED, {"size": 5, "duration_s": 29.9}, "expired", "", 30),
    ],
)
def test_an_archives_status_is_its_sections(
    kind: FactKind, data: dict[str, Any], status: str, reason: str, duration: int
) -> None:
    (one,) = bodies([_section(kind, **data)])
    assert (one.body["status"], one.body["reason"], one.body["duration"]) == (status, reason, duration)
    assert one.body["url"] is None
    shape(dict(one.body), REFERENCE["archive"])


@pytest.mark.parametrize("kind", [FactKind.SECTION_REQUESTED, FactKind.SECTION_STOPPING, FactKind.SECTION_ALARM])
def test_what_vonage_has_no_status_for_is_not_told(kind: FactKind) -> None:
    assert bodies([_section(kind)]) == []


def test_what_failed_does_not_expire() -> None:
    assert bodies([_section(FactKind.SECTION_DELETED, state="failed")]) == []


def test_everything_else_is_none_of_its_matters() -> None:
    mine = {
        *(kind for kind in FactKind if kind.startswith("channel.")),
        *(kind for kind in FactKind if kind.startswith("section.")),
    }
    assert bodies([Fact(kind, AT) for kind in FactKind if kind not in mine]) == []
