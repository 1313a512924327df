"""Journal entries and the CDR of a finished call."""

from collections.abc import Sequence
from datetime import datetime

from bridge.core.calls import Call, Channel
from bridge.core.ids import Identity
from bridge.core.outcome import status_of
from bridge.core.people import People, User
from bridge.core.records import CallStatus, Cdr, JournalEntry, JournalResult, Party
from bridge.core.rules import Direction

_RESULTS = {
    "BUSY": JournalResult.BUSY,
    "NOANSWER": JournalResult.NOANSWER,
    "CANCEL": JournalResult.CANCEL,
    "CHANUNAVAIL": JournalResult.FAILED,
    "CONGESTION": JournalResult.FAILED,
}
"""DialEnd's DialStatus, as a journal says it. A leg that rang while another answered ends as CANCEL."""


def outside(channel: Channel, people: People) -> bool:
    """Whether this leg leads out of the house."""
    return people.is_outside(channel.name, channel.context)


def user_of(channel: Channel, people: People) -> User | None:
    """The user behind a leg; None for a Local half and for the outside."""
    if channel.local or outside(channel, people):
        return None
    return people.user_of_channel(channel.name)


def direction(parties: Sequence[Channel], people: People) -> Direction:
    """Which way a talk goes: internal without an outside party, inbound where one came in, else outbound."""
    out = [party for party in parties if outside(party, people)]
    if not out:
        return Direction.INTERNAL
    return Direction.OUTBOUND if all(party.dialed for party in out) else Direction.INBOUND


def outside_number(channel: Channel, caller: Channel) -> str:
    """The number of an outside party: what it calls from, or what was dialled to reach it."""
    if not channel.dialed:
        return channel.number
    return channel.dialed_number or caller.exten or channel.number


def name_of(channel: Channel, people: People) -> str:
    """What to call the party on this leg."""
    user = user_of(channel, people)
    if user is not None and user.name:
        return user.name
    return channel.caller_name


def number_of(channel: Channel, caller: Channel, people: People) -> str:
    """The number of the party on this leg: a user's extension, an outside party's number."""
    user = user_of(channel, people)
    if user is None:
        return outside_number(channel, caller)
    if user.extensions:
        return user.extensions[0]
    return channel.dialed_number or channel.number


def _seconds(start: datetime, end: datetime | None) -> float:
    return max(0.0, (end - start).total_seconds()) if end is not None else 0.0


def _takers(call: Call) -> list[Channel]:
    """The legs that took the call: those that were rung and talked; without any, those that came into it otherwise.

    Who picks a call up, or comes into a conference, was not rung.
    """
    talked = [leg for leg in call.legs if leg.talked_with and leg is not call.caller]
    return [leg for leg in talked if leg.dialed] or talked


def _result(leg: Channel, call: Call) -> JournalResult:
    if leg.talked_with:
        return JournalResult.HANGUP
    if leg.dialed and leg is not call.caller:
        return _RESULTS.get(leg.dial_status, JournalResult.NOANSWER)
    rung = [other for other in call.legs if other.dialed and other is not leg]
    if rung:
        return _RESULTS.get(rung[-1].dial_status, JournalResult.CANCEL)
    return JournalResult.HANGUP if leg.answered_at is not None else JournalResult.FAILED


def _other(leg: Channel, call: Call) -> Channel | None:
    """The other side: who it talked with first; else who called, or who was rung."""
    for uniqueid in leg.talked_with:
        other = call.channels.get(uniqueid)
        if other is not None:
            return other
    caller = call.caller
    if leg is not caller:
        return caller
    return next((other for other in call.legs if other.dialed), None)


def _via(leg: Channel, call: Call) -> tuple[str, str]:
    if call.queue:
        return "queue", call.queue
    caller = call.caller
    rung = [other for other in call.legs if other.dialed]
    together = any(
        one.began_at <= (other.ended_at or one.began_at) and other.began_at <= (one.ended_at or other.began_at)
        for index, one in enumerate(rung)
        for other in rung[index + 1 :]
        if one.dialed_by == other.dialed_by and not (one.talked_with and other.talked_with)
    )
    return ("group", caller.exten) if together and (leg is caller or leg in rung) else ("", "")


def _entry(user: User, legs: Sequence[Channel], call: Call, people: People, ended_at: datetime) -> JournalEntry:
    caller = call.caller
    leg = next((leg for leg in legs if leg.talked_with), legs[-1])
    first = legs[0]
    other = _other(leg, call)
    device = user.device_of(leg.name)
    location = user.location
    via, via_details = _via(leg, call)
    last = max((one for one in legs if one.talked_with), key=lambda one: one.began_at, default=leg)
    left_message = status_of(call, answered=bool(_takers(call))) is CallStatus.VOICEMAIL
    return JournalEntry(
        call_id=call.call_id,
        user_id=str(user.id),
        identity=user.identity,
        started_at=first.began_at,
        inbound=first.dialed and first is not caller,
        internal=other is not None and not outside(other, people),
        duration_s=round(_seconds(first.began_at, max((one.ended_at or ended_at) for one in legs))),
        connected_s=round(sum(one.connected_s for one in legs)),
        device_id=device.id if device is not None else "",
        device_name=device.name if device is not None else "",
        location_id=location.id if location is not None else "",
        location_name=location.name if location is not None else "",
        name=name_of(other, people) if other is not None else "",
        number=number_of(other, caller, people) if other is not None else leg.exten,
        prefix="",
        result=JournalResult.REDIRECT if last.transferred else _result(leg, call),
        result_details="to" if last.transferred else "voicemail" if left_message and not leg.talked_with else "",
        via=via,
        via_details=via_details,
        extension=number_of(leg, caller, people),
        record_id=call.record_id if call.record_id in call.records else next(reversed(call.records), None),
    )


def entries(call: Call, people: People, ended_at: datetime) -> list[JournalEntry]:
    """One entry for each user that called, was rung or talked, the caller's first."""
    by_user: dict[Identity, tuple[User, list[Channel]]] = {}
    for leg in call.legs:
        user = user_of(leg, people)
        if user is not None:
            by_user.setdefault(user.identity, (user, []))[1].append(leg)
    return [_entry(user, legs, call, people, ended_at) for user, legs in by_user.values()]


def identities(channels: Sequence[Channel], people: People) -> tuple[Identity, ...]:
    """The users behind these legs, each once."""
    users = (user_of(channel, people) for channel in channels)
    return tuple(dict.fromkeys(user.identity for user in users if user is not None))


_MOST_PARTIES = 200
"""Kept of one call: an hour in a queue rings thousands of phones."""


def parties(call: Call, people: People, ended_at: datetime) -> tuple[Party, ...]:
    """The legs of a finished call, oldest first: the caller, those that talked, and of the others not more than fit."""
    legs = call.legs
    if len(legs) > _MOST_PARTIES:
        caller = call.caller
        first = sorted(legs, key=lambda leg: (leg is not caller, not leg.talked_with))[:_MOST_PARTIES]
        legs = sorted(first, key=lambda leg: leg.began_at)
    return tuple(_party(leg, call.caller, people, ended_at) for leg in legs)


def _party(leg: Channel, caller: Channel, people: People, ended_at: datetime) -> Party:
    user = user_of(leg, people)
    return Party(
        uniqueid=leg.uniqueid,
        channel=leg.name,
        name=name_of(leg, people),
        number=number_of(leg, caller, people),
        identity=None if user is None else user.identity,
        outside=outside(leg, people),
        dialed=leg.dialed,
        began_at=leg.began_at,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at or ended_at,
        dial_status=leg.dial_status,
    )


def cdr(call: Call, people: People, ended_at: datetime) -> Cdr:
    """The call as a whole."""
    caller = call.caller
    legs = call.legs
    answered = [leg for leg in legs if leg.dialed and leg.talked_with]
    takers = _takers(call)
    rung = [leg for leg in legs if leg.dialed and leg is not caller]
    destination = answered[0] if answered else (rung[0] if rung else None)
    talked = [leg for leg in legs if leg.talked_with]
    source_user = user_of(caller, people)
    destination_user = user_of(destination, people) if destination is not None else None
    ways = talked or [leg for leg in (caller, destination) if leg is not None]
    return Cdr(
        call_id=call.call_id,
        started_at=call.began_at,
        answered_at=min((leg.answered_at for leg in takers if leg.answered_at is not None), default=None),
        ended_at=ended_at,
        direction=direction(ways, people),
        source_name=name_of(caller, people),
        source_number=number_of(caller, caller, people),
        source_identity=source_user.identity if source_user is not None else None,
        destination_name=name_of(destination, people) if destination is not None else "",
        destination_number=number_of(destination, caller, people) if destination is not None else caller.exten,
        destination_identity=destination_user.identity if destination_user is not None else None,
        dialed=caller.exten,
        context=caller.context,
        queue=call.queue,
        talked_s=round(call.talked_s, 3),
        hangup_cause=caller.cause,
        record_ids=tuple(call.records),
        participants=identities(legs, people),
        status=status_of(call, answered=bool(takers)),
        destination_context=destination.context if destination is not None else "",
    )
