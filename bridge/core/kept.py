"""What of a running call outlives a restart, so that the next start goes on as after a lost connection."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.core.calls import Call, Channel, Talk, Told
from bridge.core.ids import CallId, ChannelName, Identity, Linkedid, RecordId, RuleId, Uniqueid


@dataclass(frozen=True, slots=True)
class KeptChannel:
    """A channel as `calls.Channel` has it; in which Asterisk bridge it is the next snapshot tells."""

    uniqueid: Uniqueid
    linkedid: Linkedid
    name: ChannelName
    number: str
    caller_name: str
    context: str
    exten: str
    began_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    cause: int | None
    dialed: bool
    dialed_by: Uniqueid | None
    dialed_number: str
    dial_string: str
    dial_status: str
    queue: str
    held: bool
    left_by: tuple[Uniqueid, ...]
    talking_since: datetime | None
    connected_s: float
    talked_with: tuple[Uniqueid, ...]
    told: Told | None = None
    transferred: bool = False


@dataclass(frozen=True, slots=True)
class KeptTalk:
    """A talk that goes on, and who is in it."""

    number: int
    began_at: datetime
    parties: tuple[Uniqueid, ...]


@dataclass(frozen=True, slots=True)
class KeptRule:
    """A rule that has matched in a call; `recording`: it records by itself, else users may start it."""

    rule_id: RuleId
    users: tuple[Identity, ...]
    recording: bool


@dataclass(frozen=True, slots=True)
class KeptCall:
    """A call as `calls.Call` has it, and which rules have matched in it."""

    call_id: CallId
    began_at: datetime
    queue: str
    variables: Mapping[str, str]
    talked_s: float
    record_id: RecordId | None
    records: tuple[RecordId, ...]
    channels: tuple[KeptChannel, ...]
    talks: tuple[KeptTalk, ...]
    rules: tuple[KeptRule, ...]


def keep(call: Call, rules: tuple[KeptRule, ...]) -> KeptCall:
    """A running call as it is now."""
    talks = {one.talk.number: one.talk for one in call.channels.values() if one.talk is not None}
    return KeptCall(
        call_id=call.call_id,
        began_at=call.began_at,
        queue=call.queue,
        variables=dict(call.variables),
        talked_s=call.talked_s,
        record_id=call.record_id,
        records=tuple(call.records),
        channels=tuple(_channel(one) for one in call.channels.values()),
        talks=tuple(KeptTalk(talk.number, talk.began_at, _parties(talk)) for talk in talks.values()),
        rules=rules,
    )


def newest(calls: Iterable[KeptCall]) -> datetime | None:
    """The last time at which something is known of these calls; None without any."""
    times = [time for call in calls for time in _times(call)]
    return max(times, default=None)


def _times(call: KeptCall) -> Iterator[datetime]:
    yield call.began_at
    yield from (talk.began_at for talk in call.talks)
    for one in call.channels:
        known = (one.began_at, one.answered_at, one.ended_at, one.talking_since)
        yield from (time for time in known if time is not None)


def _parties(talk: Talk) -> tuple[Uniqueid, ...]:
    """Amid an optimisation of a Local channel a talk still has those who have left it: they may be in another one."""
    return tuple(one.uniqueid for one in talk.parties.values() if one.talk is talk and one.ended_at is None)


def _channel(channel: Channel) -> KeptChannel:
    return KeptChannel(
        uniqueid=channel.uniqueid,
        linkedid=channel.linkedid,
        name=channel.name,
        number=channel.number,
        caller_name=channel.caller_name,
        context=channel.context,
        exten=channel.exten,
        began_at=channel.began_at,
        answered_at=channel.answered_at,
        ended_at=channel.ended_at,
        cause=channel.cause,
        dialed=channel.dialed,
        dialed_by=channel.dialed_by,
        dialed_number=channel.dialed_number,
        dial_string=channel.dial_string,
        dial_status=channel.dial_status,
        queue=channel.queue,
        held=channel.held,
        left_by=tuple(sorted(channel.left_by)),
        talking_since=channel.talking_since,
        connected_s=channel.connected_s,
        talked_with=tuple(channel.talked_with),
        told=channel.told,
        transferred=channel.transferred,
    )


def revive(kept: KeptCall) -> Call:
    """The call again, its channels in no Asterisk bridge and in no talk."""
    call = Call(
        call_id=kept.call_id,
        began_at=kept.began_at,
        announced=True,
        queue=kept.queue,
        variables=dict(kept.variables),
        talked_s=kept.talked_s,
        record_id=kept.record_id,
        records=dict.fromkeys(kept.records),
    )
    for one in kept.channels:
        call.channels[one.uniqueid] = Channel(
            uniqueid=one.uniqueid,
            linkedid=one.linkedid,
            name=one.name,
            number=one.number,
            caller_name=one.caller_name,
            context=one.context,
            exten=one.exten,
            began_at=one.began_at,
            call=call,
            answered_at=one.answered_at,
            ended_at=one.ended_at,
            cause=one.cause,
            dialed=one.dialed,
            dialed_by=one.dialed_by,
            dialed_number=one.dialed_number,
            dial_string=one.dial_string,
            dial_status=one.dial_status,
            queue=one.queue,
            held=one.held,
            left_by=set(one.left_by),
            talking_since=one.talking_since,
            connected_s=one.connected_s,
            talked_with=dict.fromkeys(one.talked_with),
            told=one.told,
            transferred=one.transferred,
        )
    call.live = sum(one.ended_at is None for one in call.channels.values())
    return call


def revive_talk(kept: KeptTalk, call: Call) -> Talk:
    """The talk again, without its Asterisk bridges."""
    parties = {uniqueid: call.channels[uniqueid] for uniqueid in kept.parties if uniqueid in call.channels}
    talk = Talk(kept.number, kept.began_at, parties, frozenset())
    for party in parties.values():
        party.talk = talk
    return talk
