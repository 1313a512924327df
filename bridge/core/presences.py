"""Who was in which talk of a finished call from when to when, out of its facts; and what each party's lane shows.

Times are aware. A party is named by its channel's uniqueid; in calls from before parties were kept, by its channel.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from bridge.core.accounts import TalkAccount
from bridge.core.ids import TalkId
from bridge.core.records import Fact, FactKind, Party

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TALK_FACTS = (FactKind.TALK_BEGAN, FactKind.TALK_CHANGED, FactKind.TALK_ENDED)


class Doing(StrEnum):
    """What a party does. The words are stable."""

    RINGING = "ringing"
    WAITING = "waiting"
    TALKING = "talking"
    HELD = "held"
    HOLDING = "holding"
    PARKED = "parked"


@dataclass(frozen=True, slots=True)
class Presence:
    """A party in a talk."""

    party: str
    began_at: datetime
    ended_at: datetime


@dataclass(slots=True)
class TalkOf:
    """A talk and who was in it; a party that left and came back is there twice."""

    talk_id: TalkId
    began_at: datetime
    ended_at: datetime
    presences: list[Presence] = field(default_factory=list)

    def there(self, at: datetime) -> frozenset[str]:
        """Who was in it at this time."""
        return frozenset(one.party for one in self.presences if one.began_at <= at < one.ended_at)


@dataclass(frozen=True, slots=True)
class Hold:
    """`by` has put `others` on hold; both were in `talk` then."""

    by: str
    talk: TalkId | None
    others: frozenset[str]
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Lane:
    """What a party did from when to when."""

    doing: Doing
    began_at: datetime
    ended_at: datetime


# Talks


def talks_of(
    facts: Iterable[Fact], accounts: Sequence[TalkAccount], names: Mapping[str, str], ended_at: datetime
) -> list[TalkOf]:
    """The talks by their beginnings. `names` has the party of a channel's name; `ended_at` is the call's end."""
    known = {talk.talk_id: talk for talk in accounts}
    talks: dict[TalkId, TalkOf] = {}
    here: dict[int, tuple[TalkOf, dict[str, datetime]]] = {}
    for fact in facts:
        if fact.kind not in _TALK_FACTS:
            continue
        number = fact.data["talk"]
        if fact.kind is FactKind.TALK_BEGAN:
            _close(here.pop(number, None), fact.at)
            talk = TalkOf(TalkId(f"{(fact.at - _EPOCH) // timedelta(microseconds=1)}-{number}"), fact.at, ended_at)
            account = known.get(talk.talk_id)
            if account is not None and account.ended_at is not None:
                talk.ended_at = account.ended_at
            talks[talk.talk_id] = talk
            here[number] = (talk, dict.fromkeys(_in(fact, names), fact.at))
        elif fact.kind is FactKind.TALK_CHANGED and number in here:
            _change(*here[number], _in(fact, names), fact.at)
        elif number in here:
            talk = here[number][0]
            talk.ended_at = min(talk.ended_at, fact.at)
            _close(here.pop(number), talk.ended_at)
    for each in here.values():
        _close(each, each[0].ended_at)
    for account in accounts:
        if account.talk_id not in talks:  # its facts are not there: nobody knows who
            talks[account.talk_id] = TalkOf(account.talk_id, account.began_at, account.ended_at or ended_at)
    return sorted(talks.values(), key=lambda talk: (talk.began_at, talk.talk_id))


def _in(fact: Fact, names: Mapping[str, str]) -> list[str]:
    parties = fact.data.get("parties")
    return list(parties) if parties is not None else [names.get(one, one) for one in fact.data["channels"]]


def _change(talk: TalkOf, since: dict[str, datetime], parties: Sequence[str], at: datetime) -> None:
    at = min(at, talk.ended_at)
    for gone in [party for party in since if party not in parties]:
        talk.presences.append(Presence(gone, since.pop(gone), at))
    for party in parties:
        since.setdefault(party, at)


def _close(each: tuple[TalkOf, dict[str, datetime]] | None, at: datetime) -> None:
    if each is None:
        return
    talk, since = each
    talk.ended_at = min(talk.ended_at, at)
    talk.presences += [Presence(party, began, talk.ended_at) for party, began in since.items()]
    talk.presences.sort(key=lambda one: one.began_at)


# Holds and parking


def holds_of(facts: Iterable[Fact], talks: Sequence[TalkOf], parties: Mapping[str, Party], end: datetime) -> list[Hold]:
    """Who had whom on hold. Who sends the others on, or is gone, holds nobody any more."""
    found: list[Hold] = []
    open_holds: dict[str, Hold] = {}
    for fact in facts:
        ends: list[str] = []
        if fact.kind is FactKind.PARTY_HELD:
            by = fact.data["uniqueid"]
            talk = next((one for one in talks if by in one.there(fact.at)), None)
            others = frozenset() if talk is None else talk.there(fact.at) - {by}
            until = parties[by].ended_at if by in parties else end
            open_holds.setdefault(by, Hold(by, None if talk is None else talk.talk_id, others, fact.at, until))
        elif fact.kind is FactKind.PARTY_UNHELD:
            ends = [fact.data["uniqueid"]]
        elif fact.kind is FactKind.CALL_TRANSFERRED:
            ends = list(fact.data["transferers"])
        for by in ends:
            hold = open_holds.pop(by, None)
            if hold is not None:
                found.append(replace(hold, ended_at=min(hold.ended_at, fact.at)))
    return [*found, *open_holds.values()]


def parked_of(facts: Iterable[Fact], end: datetime) -> dict[str, list[tuple[datetime, datetime]]]:
    """Who was parked from when to when."""
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    since: dict[str, datetime] = {}
    for fact in facts:
        if fact.kind is FactKind.PARTY_PARKED:
            since.setdefault(fact.data["uniqueid"], fact.at)
        elif fact.kind is FactKind.PARTY_UNPARKED and fact.data["uniqueid"] in since:
            party = fact.data["uniqueid"]
            found.setdefault(party, []).append((since.pop(party), fact.at))
    for party, began in since.items():
        found.setdefault(party, []).append((began, end))
    return found


# Lanes


def lane_of(
    party: Party, talks: Sequence[TalkOf], holds: Sequence[Hold], parked: Sequence[tuple[datetime, datetime]]
) -> list[Lane]:
    """What a party did from its beginning to its end, without a gap."""
    own = [(talk, one) for talk in talks for one in talk.presences if one.party == party.uniqueid]
    mine = [hold for hold in holds if party.uniqueid == hold.by or party.uniqueid in hold.others]
    edges = {party.began_at, party.ended_at, party.answered_at or party.began_at}
    for talk, one in own:
        edges |= {one.began_at, one.ended_at}
        edges |= {edge for other in talk.presences for edge in (other.began_at, other.ended_at)}
    edges |= {edge for hold in holds for edge in (hold.began_at, hold.ended_at)}
    edges |= {edge for stretch in parked for edge in stretch}
    inside = sorted(edge for edge in edges if party.began_at <= edge <= party.ended_at)
    lanes: list[Lane] = []
    for here, there in pairwise(inside):
        in_talk = next((talk for talk, one in own if one.began_at <= here < one.ended_at), None)
        now = [hold for hold in mine if hold.began_at <= here < hold.ended_at]
        if in_talk is not None:
            doing = _talking(party.uniqueid, in_talk, holds, here)
        elif any(began <= here < ended for began, ended in parked):
            doing = Doing.PARKED
        else:
            last = max((one.began_at for _, one in own if one.began_at <= here), default=None)
            doing = _alone(party, now, here, last)
        if lanes and lanes[-1].doing is doing:
            lanes[-1] = replace(lanes[-1], ended_at=there)
        else:
            lanes.append(Lane(doing, here, there))
    return lanes


def _talking(party: str, talk: TalkOf, holds: Sequence[Hold], at: datetime) -> Doing:
    """In a talk one is on hold where all others in it hold."""
    holding = {hold.by for hold in holds if hold.talk == talk.talk_id and hold.began_at <= at < hold.ended_at}
    others = talk.there(at) - {party}
    if others and others <= holding:
        return Doing.HELD
    return Doing.HOLDING if party in holding else Doing.TALKING


def _alone(party: Party, holds: Sequence[Hold], at: datetime, last_talk_at: datetime | None) -> Doing:
    """In no talk: who was put on hold waits for its end, unless it has begun to talk with others since."""
    if any(party.uniqueid in one.others and (last_talk_at is None or last_talk_at <= one.began_at) for one in holds):
        return Doing.HELD
    if any(hold.by == party.uniqueid for hold in holds):
        return Doing.HOLDING
    rung = party.dialed and (party.answered_at is None or at < party.answered_at)
    return Doing.RINGING if rung else Doing.WAITING
