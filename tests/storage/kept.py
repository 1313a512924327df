"""Things to keep: plain examples, and strategies for all that could come."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from bridge.core.access import Role, Scope, Token
from bridge.core.ids import CallId, ChannelName, Identity, RecordId, RuleId, Uniqueid
from bridge.core.people import UserFlags
from bridge.core.records import (
    AudioReport,
    Cdr,
    Demand,
    Fact,
    FactKind,
    JournalEntry,
    JournalResult,
    Pause,
    Section,
    SectionState,
    SectionType,
)

NOON = datetime(2026, 8, 1, 12, 0, 0, 123456, tzinfo=UTC)
RECORD = RecordId("1795223079-178_1795223079-187")
CALL = CallId("1795223079.178")


def fact(**data: Any) -> Fact:
    return Fact(FactKind.CALL_BEGAN, NOON, call_id=CALL, data=data, personal={"name": "Bob"})


def section(file: int = 1, **values: Any) -> Section:
    plain = Section(
        record_id=RECORD,
        rule_id=RuleId(1),
        file=file,
        call_id=CALL,
        state=SectionState.REQUESTED,
        type=SectionType.AUTO,
        owner=None,
        leg=Uniqueid("1795223079.178"),
        leg_channel=ChannelName("PJSIP/alice-00000001"),
        headchannel=ChannelName("PJSIP/alice-00000001"),
        tailchannel=ChannelName("PJSIP/bob-00000002"),
        path=f"2026/08/01/{RECORD}_1_{file:03}.wav",
        requested_at=NOON,
    )
    return replace(plain, **values)


def entry(identity: str = "alice", call_id: str = CALL, record_id: str | None = RECORD) -> JournalEntry:
    return JournalEntry(
        call_id=CallId(call_id),
        user_id="7",
        identity=Identity(identity),
        started_at=NOON,
        inbound=True,
        internal=False,
        duration_s=12,
        connected_s=9,
        device_id="d1",
        device_name="Desk",
        location_id="l1",
        location_name="Linz",
        name="Bob",
        number="+4973112345",
        prefix="0",
        result=JournalResult.HANGUP,
        result_details="",
        via="queue",
        via_details="support",
        extension="822",
        record_id=None if record_id is None else RecordId(record_id),
    )


def cdr(call_id: str = CALL, record_ids: tuple[str, ...] = (RECORD,)) -> Cdr:
    return Cdr(
        call_id=CallId(call_id),
        started_at=NOON,
        answered_at=None,
        ended_at=NOON,
        direction="inbound",
        source_name="Bob",
        source_number="+4973112345",
        source_identity=None,
        destination_name="Alice",
        destination_number="822",
        destination_identity=Identity("alice"),
        dialed="822",
        context="from-trunk",
        queue="",
        talked_s=9.25,
        hangup_cause=16,
        record_ids=tuple(RecordId(one) for one in record_ids),
        participants=(Identity("alice"),),
    )


def demand(rule_id: int = 1, **values: Any) -> Demand:
    return replace(Demand(RECORD, RuleId(rule_id), CALL, Identity("alice"), NOON), **values)


def pause(by: str = "alice", **values: Any) -> Pause:
    return replace(Pause(RECORD, CALL, Identity(by), admin=False, since=NOON), **values)


# What AMI sends and argv holds: text, and bytes that are no UTF-8, decoded with surrogateescape.
texts = st.text(max_size=12) | st.binary(max_size=6).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
times = st.datetimes(timezones=st.just(UTC))
_small = st.integers(0, 2**31)
_levels = st.floats(0, 1)
_identities = st.lists(texts.map(Identity), max_size=3).map(tuple)

reports = st.builds(
    AudioReport,
    duration_s=st.floats(0, 1e6),
    size_bytes=_small,
    sample_rate_hz=_small,
    channels=st.integers(1, 2),
    peak=st.tuples(_levels, _levels),
    rms=st.tuples(_levels),
    peaks=st.binary(max_size=40),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
)
sections = st.builds(
    Section,
    record_id=st.sampled_from(["a_b", "a_0"]).map(RecordId),
    rule_id=st.integers(0, 2).map(RuleId),
    file=st.integers(1, 2),
    call_id=texts.map(CallId),
    state=st.sampled_from(SectionState),
    type=st.sampled_from(SectionType),
    owner=st.none() | texts.map(Identity),
    leg=texts.map(Uniqueid),
    leg_channel=texts.map(ChannelName),
    headchannel=texts.map(ChannelName),
    tailchannel=texts.map(ChannelName),
    path=texts,
    requested_at=times,
    started_at=st.none() | times,
    ended_at=st.none() | times,
    participants=_identities,
    tags=st.lists(texts, max_size=3).map(tuple),
    mixmonitor_id=st.none() | texts,
    reason=st.none() | texts,
    report=st.none() | reports,
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
facts = st.builds(
    Fact,
    kind=st.sampled_from(FactKind),
    at=times,
    call_id=st.none() | texts.map(CallId),
    record_id=st.none() | texts.map(RecordId),
    rule_id=st.none() | st.integers(0, 2**31).map(RuleId),
    file=st.none() | _small,
    data=st.dictionaries(texts, _json.map(lambda value: json.loads(json.dumps(value))), max_size=3),
    personal=st.dictionaries(texts, texts, max_size=3),
    audience=_identities,
)
entries = st.builds(
    JournalEntry,
    call_id=texts.map(CallId),
    user_id=texts,
    identity=texts.map(Identity),
    started_at=st.datetimes(max_value=datetime(9000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis's way
    inbound=st.booleans(),
    internal=st.booleans(),
    duration_s=_small,
    connected_s=_small,
    device_id=texts,
    device_name=texts,
    location_id=texts,
    location_name=texts,
    name=texts,
    number=texts,
    prefix=texts,
    result=st.sampled_from(JournalResult),
    result_details=texts,
    via=texts,
    via_details=texts,
    extension=texts,
    record_id=st.none() | texts.map(RecordId),
)
tokens = st.builds(
    Token,
    id=texts,
    secret_sha256=texts,
    identity=texts.map(Identity),
    role=st.sampled_from(Role),
    scopes=st.frozensets(st.sampled_from(Scope)),
    created_at=times,
    expires_at=st.none() | times,
)
# Few keys and few moments: they are to meet.
_moments = st.sampled_from([NOON, NOON.replace(microsecond=0)]) | times
record_ids = st.sampled_from(["a_b", "a_0", "a_\udcff", "a_\U0001f4de"]).map(RecordId)
rule_ids = st.integers(0, 2).map(RuleId)
users = st.sampled_from(["alice", "m\xfc", "m\udcfc", "m\U0001f4de", ""]).map(Identity)
demands = st.builds(
    Demand, record_id=record_ids, rule_id=rule_ids, call_id=texts.map(CallId), owner=texts.map(Identity), since=_moments
)
pauses = st.builds(
    Pause,
    record_id=record_ids,
    call_id=texts.map(CallId),
    by=users,
    admin=st.booleans(),
    since=_moments,
    resumed=st.lists(rule_ids, max_size=3).map(tuple),
)
flags = st.builds(UserFlags, *[st.booleans()] * 5)
