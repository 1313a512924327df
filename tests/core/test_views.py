"""JSON shapes: every field that is promised, and for whom."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.access import Reader, Role, Scope
from bridge.core.book import SectionBook
from bridge.core.decisions import Decision
from bridge.core.ids import FactNumber, Identity, RecordId, RuleId
from bridge.core.records import (
    AudioReport,
    Fact,
    FactKind,
    JournalEntry,
    NumberedEntry,
    NumberedFact,
    Section,
    SectionState,
    SectionType,
    journal_fact,
)
from bridge.core.store import AppendFact
from bridge.core.views import journal_item, record_entry, record_event, section_event, stream_item
from tests.storage import kept

RECORD_EVENT = {
    "eventType",
    "eventId",
    "ruleId",
    "permission",
    "identity",
    "file",
    "headchannel",
    "tailchannel",
    "state",
}
REPORT = AudioReport(10.0004, 160044, 8000, 1, (0.5,), (0.1,), b"", "ab" * 32)
ALICE, BOB, CAROL = Identity("alice"), Identity("bob"), Identity("carol")
NOON_MS = 1785585600123


def reader(identity: Identity, role: Role = Role.USER, *supervised: Identity) -> Reader:
    return Reader(identity, role, frozenset({Scope.CONTROL}), frozenset(supervised))


def looker(identity: Identity, role: Role = Role.USER) -> Reader:
    """One whose token is for looking alone."""
    return Reader(identity, role, frozenset(Scope) - {Scope.CONTROL})


def section_fact(section: Section, kind: FactKind) -> Fact:
    """As the recorder's own book writes it."""
    out: list[Decision] = []
    SectionBook(out).note(kind, section, kept.NOON)
    (change,) = out
    assert isinstance(change, AppendFact)
    return change.fact


def test_record_event_has_every_field_that_is_promised() -> None:
    section = kept.section(2, state=SectionState.RECORDING, participants=(ALICE, BOB))
    assert record_event(section_fact(section, FactKind.SECTION_RECORDING), reader(BOB)) == {
        "eventType": "start",
        "eventId": kept.RECORD,
        "ruleId": 1,
        "permission": "auto",
        "identity": "",
        "file": 2,
        "headchannel": "PJSIP/alice-00000001",
        "tailchannel": "PJSIP/bob-00000002",
        "state": "recording",
    }


@pytest.mark.parametrize(
    ("state", "event_type"),
    [
        (SectionState.REQUESTED, None),
        (SectionState.RECORDING, "start"),
        (SectionState.PAUSED, "start"),
        (SectionState.STOPPING, None),
        (SectionState.CLOSED, "stop"),
        (SectionState.STORED, "stop"),
        (SectionState.FAILED, "stop"),
        (SectionState.LOST, "stop"),
    ],
)
def test_event_type_says_whether_it_records_now(state: SectionState, event_type: str | None) -> None:
    fact = section_fact(kept.section(state=state, participants=(ALICE,)), FactKind(f"section.{state}"))
    event = record_event(fact, reader(ALICE))
    assert (event and event["eventType"]) == event_type


@pytest.mark.parametrize(
    ("who", "permission"),
    [
        (reader(ALICE), "allow"),
        (reader(BOB), "deny"),
        (reader(CAROL), None),
        (reader(CAROL, Role.SUPERVISOR, BOB), "deny"),
        (reader(ALICE, Role.SUPERVISOR), "allow"),
        (reader(CAROL, Role.ADMIN), "allow"),
        (looker(ALICE), "deny"),
        (looker(CAROL, Role.ADMIN), "deny"),
    ],
)
def test_permission_is_the_readers_own(who: Reader, permission: str | None) -> None:
    section = kept.section(
        state=SectionState.RECORDING, type=SectionType.MANUAL, owner=ALICE, participants=(ALICE, BOB)
    )
    event = record_event(section_fact(section, FactKind.SECTION_RECORDING), who)
    assert (event and event["permission"]) == permission
    assert event is None or event["identity"] == ALICE


@pytest.mark.parametrize("who", [reader(ALICE), reader(CAROL, Role.ADMIN), looker(BOB)])
def test_what_the_system_records_is_auto_for_all(who: Reader) -> None:
    event = section_event(kept.section(participants=(ALICE, BOB)), who)
    assert event is not None
    assert event["permission"] == "auto"


@given(kept.sections, st.sampled_from([reader(ALICE), reader(BOB), looker(ALICE), reader(CAROL, Role.ADMIN)]))
def test_a_section_and_its_fact_are_one_event(section: Section, who: Reader) -> None:
    section = replace(section, participants=(ALICE,))
    for state in SectionState:
        moved = replace(section, state=state)
        by_fact = record_event(section_fact(moved, FactKind(f"section.{state}")), who)
        if state not in {SectionState.REQUESTED, SectionState.STOPPING}:
            assert section_event(moved, who) == by_fact
        assert by_fact is None or who.identity in {ALICE, section.owner} or who.role is Role.ADMIN


def offer(*may: Identity) -> Fact:
    return Fact(
        FactKind.RECORD_OFFERED,
        kept.NOON,
        call_id=kept.CALL,
        record_id=kept.RECORD,
        rule_id=RuleId(3),
        data={"headchannel": "PJSIP/alice-00000001", "tailchannel": "PJSIP/bob-00000002", "may": list(may)},
        audience=(ALICE, BOB),
    )


@pytest.mark.parametrize(
    ("who", "permission"),
    [
        (reader(BOB), "allow"),
        (reader(ALICE), "deny"),
        (reader(CAROL, Role.SUPERVISOR, BOB), "deny"),
        (reader(CAROL, Role.ADMIN), "allow"),
        (looker(BOB), "deny"),
        (looker(CAROL, Role.ADMIN), "deny"),
    ],
)
def test_an_offer_is_a_record_event_that_nobody_owns_yet(who: Reader, permission: str) -> None:
    expected = {
        "eventType": "stop",
        "eventId": kept.RECORD,
        "ruleId": 3,
        "permission": permission,
        "identity": "",
        "file": None,
        "headchannel": "PJSIP/alice-00000001",
        "tailchannel": "PJSIP/bob-00000002",
        "state": "offered",
    }
    item = stream_item(NumberedFact(FactNumber(4), offer(BOB)), who)
    assert item == {"type": "RecordEvent", "id": 4, "data": expected}


def test_an_offer_is_no_matter_of_others() -> None:
    assert record_event(offer(CAROL), reader(CAROL)) is None


def test_journal_item_has_every_field_that_is_promised() -> None:
    assert journal_item(NumberedEntry(FactNumber(771), kept.entry())) == {
        "eventId": 771,
        "eventType": "create",
        "userId": "7",
        "userName": "alice",
        "id": 771,
        "timestamp": NOON_MS,
        "inbound": True,
        "internal": False,
        "duration": 12,
        "connected": 9,
        "deviceId": "d1",
        "deviceName": "Desk",
        "locationId": "l1",
        "locationName": "Linz",
        "name": "Bob",
        "number": "+4973112345",
        "prefix": "0",
        "result": "hangup",
        "resultDetails": "",
        "via": "queue",
        "viaDetails": "support",
        "extension": "822",
        "recordId": kept.RECORD,
    }


def test_a_call_without_a_recording_has_an_empty_record_id() -> None:
    assert journal_item(NumberedEntry(FactNumber(1), kept.entry(record_id=None)))["recordId"] == ""


def stored(file: int, *participants: Identity) -> Section:
    return kept.section(
        file,
        state=SectionState.STORED,
        participants=participants,
        started_at=kept.NOON,
        ended_at=kept.NOON + timedelta(seconds=10),
        report=REPORT,
        tags=("support",),
    )


def test_record_entry_shows_each_reader_its_sections_and_its_entry() -> None:
    sections = [stored(1, ALICE, BOB), stored(2, ALICE, CAROL)]
    entries = [NumberedEntry(FactNumber(n), kept.entry(who)) for n, who in ((4, "alice"), (5, "bob"), (6, "carol"))]

    def seen(who: Reader) -> tuple[list[int], str | None] | None:
        entry = record_entry(kept.RECORD, sections, entries, who)
        if entry is None:
            return None
        journal = entry["journalEntry"]
        return [record["file"] for record in entry["records"]], journal and journal["userName"]

    assert seen(reader(ALICE)) == ([1, 2], "alice")
    assert seen(reader(BOB)) == ([1], "bob")
    assert seen(reader(Identity("dave"))) is None
    assert seen(reader(Identity("dave"), Role.SUPERVISOR, CAROL)) == ([2], "carol")
    assert seen(reader(Identity("dave"), Role.ADMIN)) == ([1, 2], "alice")
    assert seen(reader(Identity("dave"), Role.USER, CAROL)) is None


def test_of_a_deleted_section_there_is_no_audio_but_all_else() -> None:
    plain = record_entry(kept.RECORD, [stored(1, ALICE)], [], reader(ALICE))
    deleted = record_entry(kept.RECORD, [replace(stored(1, ALICE), deleted_at=kept.NOON)], [], reader(ALICE))
    assert plain is not None
    assert deleted is not None
    assert deleted["records"] == [plain["records"][0] | {"deleted": True, "audioFiles": []}]


def test_a_record_of_a_stored_section_has_its_audio() -> None:
    entry = record_entry(kept.RECORD, [stored(1, ALICE)], [], reader(ALICE))
    assert entry is not None
    assert entry["id"] == kept.RECORD
    assert entry["journalEntry"] is None
    assert entry["records"] == [
        {
            "duration": 10.0,
            "ruleId": 1,
            "file": 1,
            "state": "stored",
            "type": "auto",
            "startedAt": NOON_MS,
            "endedAt": NOON_MS + 10_000,
            "audioFiles": [{"format": "wav", "size": 160044}],
            "deleted": False,
            "sha256": "ab" * 32,
            "channels": 1,
            "sampleRate": 8000,
            "identity": "",
            "headchannel": "PJSIP/alice-00000001",
            "tailchannel": "PJSIP/bob-00000002",
            "tags": ["support"],
            "reason": None,
        }
    ]


def test_a_running_and_a_failed_section_have_no_audio() -> None:
    running = kept.section(1, state=SectionState.RECORDING, started_at=kept.NOON, participants=(ALICE,))
    failed = replace(stored(2, ALICE), state=SectionState.FAILED, reason="file-missing", report=None)
    entry = record_entry(kept.RECORD, [running, failed], [], reader(ALICE))
    assert entry is not None
    first, second = entry["records"]
    assert (first["duration"], first["audioFiles"], first["sha256"], first["endedAt"]) == (None, [], None, None)
    assert (second["duration"], second["audioFiles"], second["reason"]) == (10.0, [], "file-missing")


def test_an_owner_sees_its_section_without_having_taken_part() -> None:
    section = kept.section(type=SectionType.MANUAL, owner=ALICE)
    assert record_entry(kept.RECORD, [section], [], reader(ALICE)) is not None
    assert record_entry(kept.RECORD, [section], [], reader(BOB)) is None


def test_stream_items_carry_the_facts_number() -> None:
    item = stream_item(NumberedFact(FactNumber(9), journal_fact(kept.entry())), reader(ALICE))
    assert item == {
        "type": "JournalEntry",
        "id": 9,
        "data": journal_item(NumberedEntry(FactNumber(9), kept.entry())),
    }


def test_a_call_event_says_what_happened_and_keeps_people_apart() -> None:
    fact = replace(kept.fact(channel="PJSIP/bob-1"), audience=(ALICE,), record_id=RecordId("r_0"))
    item = stream_item(NumberedFact(FactNumber(3), fact), reader(ALICE))
    assert item == {
        "type": "CallEvent",
        "id": 3,
        "data": {
            "event": "call.began",
            "callId": kept.CALL,
            "recordId": "r_0",
            "timestamp": NOON_MS,
            "channel": "PJSIP/bob-1",
            "personal": {"name": "Bob"},
        },
    }


@pytest.mark.parametrize(
    "kind",
    [
        FactKind.RECORD_STARTED,
        FactKind.RECORD_STOPPED,
        FactKind.RECORD_PAUSED,
        FactKind.RECORD_RESUMED,
        FactKind.CONTROL_REFUSED,
    ],
)
def test_what_users_do_to_a_recording_is_a_call_event(kind: FactKind) -> None:
    fact = replace(
        kept.fact(by="phone", rules=[3]),
        kind=kind,
        audience=(ALICE,),
        record_id=kept.RECORD,
        personal={"identity": "bob"},
    )
    item = stream_item(NumberedFact(FactNumber(3), fact), looker(ALICE))
    assert item is not None
    assert item["type"] == "CallEvent"
    assert item["data"] == {
        "event": str(kind),
        "callId": kept.CALL,
        "recordId": kept.RECORD,
        "timestamp": NOON_MS,
        "by": "phone",
        "rules": [3],
        "personal": {"identity": "bob"},
    }


def test_a_users_flags_may_be_of_no_call() -> None:
    fact = Fact(FactKind.USER_FLAGS_SET, kept.NOON, data={"on": True}, audience=(ALICE,))
    item = stream_item(NumberedFact(FactNumber(3), fact), reader(ALICE))
    assert item is not None
    assert (item["data"]["callId"], item["data"]["recordId"], item["data"]["on"]) == ("", "", True)


@pytest.mark.parametrize("kind", [FactKind.RULES_LOADED, FactKind.ASTERISK_LOST, FactKind.FOREIGN_MIXMONITOR])
def test_what_is_no_streams_matter_is_left_out(kind: FactKind) -> None:
    assert stream_item(NumberedFact(FactNumber(1), Fact(kind, kept.NOON)), reader(ALICE, Role.ADMIN)) is None


@given(kept.entries, st.sampled_from([ALICE, BOB]), st.sampled_from(Role))
def test_only_who_may_see_a_fact_gets_its_item(entry: JournalEntry, who: Identity, role: Role) -> None:
    one = replace(entry, identity=ALICE)
    item = stream_item(NumberedFact(FactNumber(1), journal_fact(one)), reader(who, role))
    assert (item is not None) == (who == ALICE or role is Role.ADMIN)
    if item is not None:
        assert json.loads(json.dumps(item)) == item


@given(st.sampled_from(FactKind), kept.sections)
def test_every_section_fact_has_its_shape_or_none(kind: FactKind, section: Section) -> None:
    event = record_event(section_fact(section, kind), reader(ALICE, Role.ADMIN))
    assert event is None or set(event) == RECORD_EVENT
