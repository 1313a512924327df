"""The timeline of a finished call, out of what is kept of it: pure, computed when it is asked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.core import timeline_items as items
from bridge.core.access import Reader
from bridge.core.accounts import FAULTS, Reason, TalkAccount
from bridge.core.coverage import Stretch
from bridge.core.ids import ChannelName, Identity, RuleId, Uniqueid
from bridge.core.presences import Doing, Lane, TalkOf, holds_of, lane_of, parked_of, talks_of
from bridge.core.records import Cdr, Fact, FactKind, Party, Section, SectionState
from bridge.core.views import epoch_ms, sees_section

_EVENTS: Mapping[FactKind, str] = {
    FactKind.CALL_TRANSFERRED: "transferred",
    FactKind.PARTY_HELD: "held",
    FactKind.PARTY_UNHELD: "unheld",
    FactKind.PARTY_PARKED: "parked",
    FactKind.PARTY_UNPARKED: "unparked",
    FactKind.RECORD_STARTED: "started",
    FactKind.RECORD_STOPPED: "stopped",
    FactKind.RECORD_PAUSED: "paused",
    FactKind.RECORD_RESUMED: "resumed",
    FactKind.CONTROL_REFUSED: "refused",
}

KINDS = frozenset({*_EVENTS, FactKind.CALL_BEGAN, FactKind.TALK_BEGAN, FactKind.TALK_CHANGED, FactKind.TALK_ENDED})
"""The facts that a timeline is made of."""


_STAMPED_WITHIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a finished call: `facts` those of KINDS, in order, `stretches` as `coverage` has them.

    `parties` is empty of calls from before they were kept; `stretches` and `talks` of still older ones.
    """

    cdr: Cdr
    sections: Sequence[Section]
    parties: Sequence[Party]
    talks: Sequence[TalkAccount]
    stretches: Sequence[Stretch]
    facts: Sequence[Fact]


def timeline(kept: Kept, reader: Reader, rule_names: Mapping[RuleId, str]) -> items.TimelineItem:
    """The timeline for one who may see the call.

    Who talked with whom everybody sees who sees the call; of sections those that it may see, of events those that were
    told to it, or would have been. What somebody tried in vain is his own affair.
    """
    cdr, facts = kept.cdr, kept.facts
    parties: dict[str, Party] = {party.uniqueid: party for party in kept.parties or _parties_before(cdr, facts)}
    names: dict[str, str] = {party.channel: party.uniqueid for party in parties.values()}
    talks = talks_of(facts, kept.talks, names, cdr.ended_at)
    holds, parked = holds_of(facts, talks, parties, cdr.ended_at), parked_of(facts, cdr.ended_at)
    lanes = {one: lane_of(party, talks, holds, parked.get(one, [])) for one, party in parties.items()}
    sections = [section for section in kept.sections if sees_section(section, reader)]
    seen = [fact for fact in facts if fact.kind in _EVENTS and reader.sees(fact.audience)]
    return {
        "startedAt": epoch_ms(cdr.started_at),
        "endedAt": epoch_ms(cdr.ended_at),
        "parties": [_party(party, lanes[one]) for one, party in parties.items()],
        "talks": [_talk(talk) for talk in talks],
        "sections": [_section(one, cdr.started_at, talks, names, rule_names) for one in sections],
        "events": [_event(fact, facts, talks, parties) for fact in seen],
        "pauses": [
            _pause(one, one.rule_id, facts)
            for one in kept.stretches
            if one.reason is Reason.PAUSED and one.rule_id is not None
        ],
        "gaps": [
            gap for one in kept.stretches if one.reason is not None and (gap := _gap(one, one.reason)) is not None
        ],
    }


def _parties_before(cdr: Cdr, facts: Sequence[Fact]) -> list[Party]:
    """The parties of a call from before they were kept: the channels that talked, as far as facts and CDR know them.

    The caller's channel is that which the call began with; who talked with it first is the CDR's destination.
    """
    caller = next((fact.data["channel"] for fact in facts if fact.kind is FactKind.CALL_BEGAN), None)
    times: dict[str, list[datetime]] = {}
    for fact in facts:
        if fact.kind in (FactKind.TALK_BEGAN, FactKind.TALK_CHANGED):
            for channel in fact.data["channels"]:
                times.setdefault(channel, []).append(fact.at)
    callee = next((one for one in times if one != caller), None)
    found = []
    for channel, seen in times.items():
        name, number, identity = "", "", None
        if channel == caller:
            name, number, identity = cdr.source_name, cdr.source_number, cdr.source_identity
        elif channel == callee and caller in times:
            name, number, identity = cdr.destination_name, cdr.destination_number, cdr.destination_identity
        began = cdr.started_at if channel == caller else min(seen)
        found.append(_bare(ChannelName(channel), name, number, identity, began, cdr.ended_at))
    return found


def _bare(  # noqa: PLR0917  # all that is known of it
    channel: ChannelName, name: str, number: str, identity: Identity | None, began_at: datetime, ended_at: datetime
) -> Party:
    return Party(Uniqueid(channel), channel, name, number, identity, False, False, began_at, None, ended_at)


def _party(party: Party, lanes: Sequence[Lane]) -> items.TimelineParty:
    talked_s = sum((one.ended_at - one.began_at).total_seconds() for one in lanes if one.doing is Doing.TALKING)
    return {
        "uniqueid": party.uniqueid,
        "channel": party.channel,
        "identity": party.identity or "",
        "name": party.name,
        "number": party.number,
        "outside": party.outside,
        "dialed": party.dialed,
        "startedAt": epoch_ms(party.began_at),
        "answeredAt": None if party.answered_at is None else epoch_ms(party.answered_at),
        "endedAt": epoch_ms(party.ended_at),
        "status": party.dial_status,
        "talkedS": round(talked_s, 3),
        "lane": _lane(lanes),
    }


def _lane(lanes: Sequence[Lane]) -> list[items.LaneItem]:
    """Without what is over within the same millisecond."""
    found: list[items.LaneItem] = []
    for one in lanes:
        began, ended = epoch_ms(one.began_at), epoch_ms(one.ended_at)
        if found and found[-1]["state"] == one.doing:
            found[-1]["endedAt"] = ended
        elif began < ended:
            found.append({"state": str(one.doing), "startedAt": began, "endedAt": ended})
    return found


def _talk(talk: TalkOf) -> items.TimelineTalk:
    return {
        "id": talk.talk_id,
        "startedAt": epoch_ms(talk.began_at),
        "endedAt": epoch_ms(talk.ended_at),
        "parties": [
            {"party": one.party, "startedAt": epoch_ms(one.began_at), "endedAt": epoch_ms(one.ended_at)}
            for one in talk.presences
        ],
    }


def _section(
    section: Section,
    call_began_at: datetime,
    talks: Sequence[TalkOf],
    names: Mapping[str, str],
    rule_names: Mapping[RuleId, str],
) -> items.TimelineSection:
    talk = next((one for one in talks if one.talk_id == section.talk_id), None)
    began_at, report = section.started_at or section.requested_at, section.report
    leg = names.get(section.leg_channel, section.leg) if section.leg not in names.values() else section.leg
    left, right = _sides(section, leg, talk)
    stored = section.state is SectionState.STORED and report is not None
    return {
        "recordId": section.record_id,
        "ruleId": section.rule_id,
        "ruleName": rule_names.get(section.rule_id, ""),
        "file": section.file,
        "talk": "" if talk is None else talk.talk_id,
        "state": str(section.state),
        "type": str(section.type),
        "identity": section.owner or "",
        "startedAt": epoch_ms(began_at),
        "endedAt": None if section.ended_at is None else epoch_ms(section.ended_at),
        "offsetS": round((began_at - call_began_at).total_seconds(), 3),
        "durationS": round(report.duration_s, 3) if stored and report is not None else None,
        "stereo": section.stereo,
        "left": left,
        "right": right,
        "leg": leg,
        "channels": None if report is None else report.channels,
        "sampleRate": None if report is None else report.sample_rate_hz,
        "sizeBytes": None if report is None else report.size_bytes,
        "sha256": None if report is None else report.sha256,
        "playable": stored and section.deleted_at is None,
        "deleted": section.deleted_at is not None,
        "deletedAt": None if section.deleted_at is None else epoch_ms(section.deleted_at),
        "reason": section.reason,
        "tags": list(section.tags),
    }


def _sides(section: Section, leg: str, talk: TalkOf | None) -> tuple[list[str], list[str]]:
    """Left and right of a stereo file: its leg alone on one side, those who talked with it on the other."""
    if not section.stereo:
        return [], []
    began_at, ended_at = section.started_at or section.requested_at, section.ended_at
    others = dict.fromkeys(
        one.party
        for one in (() if talk is None else talk.presences)
        if one.party != leg and one.ended_at > began_at and (ended_at is None or one.began_at < ended_at)
    )
    return ([leg], list(others)) if section.leg_is_left else (list(others), [leg])


def _event(
    fact: Fact, facts: Iterable[Fact], talks: Sequence[TalkOf], parties: Mapping[str, Party]
) -> items.TimelineEvent:
    data, transfer = fact.data, fact.kind is FactKind.CALL_TRANSFERRED
    return {
        "at": epoch_ms(fact.at),
        "kind": _EVENTS[fact.kind],
        "identity": fact.personal.get("identity", ""),
        "party": data.get("uniqueid"),
        "how": data["how"] if transfer else data.get("by", ""),
        "transferred": data["transferee"] if transfer else None,
        "target": _target(fact, facts, talks, parties) if transfer else None,
        "number": fact.personal.get("dialed", "") if transfer else "",
        "ruleIds": list(data.get("rules", ())),
        "verb": data.get("verb", ""),
        "code": data.get("code", ""),
    }


def _target(fact: Fact, facts: Iterable[Fact], talks: Sequence[TalkOf], parties: Mapping[str, Party]) -> str | None:
    """Whom a transfer was to: whom Asterisk names, else (a Local channel led there) who is talked with next.

    None where nobody answered: who was parked meanwhile, or is back with the transferer, was not taken.
    """
    data, transferee = fact.data, fact.data["transferee"]
    if data["target"] in parties:
        return str(data["target"])
    parked = (one for one in facts if one.kind is FactKind.PARTY_PARKED and one.at >= fact.at)
    until = next((one.at for one in parked if one.data["uniqueid"] == transferee), None)
    by = fact.personal.get("identity")
    for talk in talks:
        there = [one for one in talk.presences if one.ended_at > fact.at]
        others = [one.party for one in there if one.party not in (transferee, *data["transferers"])]
        if not others or all(one.party != transferee for one in there):
            continue
        party = parties.get(others[0])
        back = by is not None and party is not None and party.identity == by
        return None if back or (until is not None and talk.began_at >= until) else others[0]
    return None


def _pause(stretch: Stretch, rule_id: RuleId, facts: Iterable[Fact]) -> items.PauseItem:
    """Who paused it: the last one to do so before. The fact may be stamped a little later than what it is about."""
    by, until = "", stretch.began_at + _STAMPED_WITHIN
    for fact in facts:
        if fact.kind is FactKind.RECORD_PAUSED and fact.at <= until and rule_id in fact.data["rules"]:
            by = fact.personal.get("identity", "")
    return {
        "ruleId": rule_id,
        "startedAt": epoch_ms(stretch.began_at),
        "endedAt": epoch_ms(stretch.ended_at),
        "identity": by,
    }


def _lasts(stretch: Stretch) -> bool:
    """Whether it is not over within the same millisecond."""
    return epoch_ms(stretch.began_at) < epoch_ms(stretch.ended_at)


def _gap(stretch: Stretch, reason: Reason) -> items.GapItem:
    return {
        "ruleId": stretch.rule_id,
        "talk": stretch.talk_id,
        "startedAt": epoch_ms(stretch.began_at),
        "endedAt": epoch_ms(stretch.ended_at),
        "reason": str(reason),
        "fault": reason in FAULTS,
    }
