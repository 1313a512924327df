"""The calls as they are this moment, out of the recorder's state."""

from bridge.core import journal
from bridge.core.calls import Call, Channel
from bridge.core.ids import Identity, RuleId
from bridge.core.live import CallNow, PartyNow, RuleNow
from bridge.core.recorder import Recorder
from bridge.core.records import Section


def calls_now(recorder: Recorder) -> list[CallNow]:
    """Every running call, the oldest first."""
    return [_call(recorder, call) for call in recorder.tracker.calls.values() if call.legs]


def _party(recorder: Recorder, call: Call, leg: Channel) -> PartyNow:
    people = recorder.people
    user = journal.user_of(leg, people)
    return PartyNow(
        uniqueid=leg.uniqueid,
        channel=leg.name,
        identity=user.identity if user is not None else None,
        name=journal.name_of(leg, people),
        number=journal.number_of(leg, call.caller, people),
        outside=journal.outside(leg, people),
        talking=leg.talk is not None,
    )


def _sections(recorder: Recorder, call: Call) -> dict[RuleId, Section]:
    """The section that each rule writes now."""
    running: dict[RuleId, Section] = {}
    for stretch in recorder.stretches_of(call):
        for rule_id, key in stretch.sections.items():
            section = recorder.sectioner.book.get(key)
            if section is not None:
                running[rule_id] = section
    return running


def _rules(recorder: Recorder, call: Call, running: dict[RuleId, Section]) -> tuple[RuleNow, ...]:
    answers = recorder.answers.get(call.call_id)
    if answers is None:
        return ()
    rules = []
    for answer in answers.answers:
        rule = answer.rule
        section = running.get(rule.id)
        state, reason = "unmatched", answer.reason
        if section is not None:
            state, reason = str(section.state), None
        elif answer.matched and answers.never:
            state, reason = "blocked", answers.why_not()
        elif answer.matched and rule in answers.offered:
            state = "offered"
        elif answer.matched:
            state = "matched"
        owner: Identity | None = section.owner if section is not None else None
        rules.append(RuleNow(rule.id, rule.name, state, section.file if section is not None else None, owner, reason))
    return tuple(rules)


def _call(recorder: Recorder, call: Call) -> CallNow:
    legs = [leg for leg in call.legs if leg.ended_at is None]
    talking = [leg for leg in legs if leg.talk is not None]
    running = _sections(recorder, call)
    answers = recorder.answers.get(call.call_id)
    reason: str | None = None
    if not running:
        reason = "no-talk" if not talking else answers.why_not() if answers is not None else "no-rule"
    return CallNow(
        call_id=call.call_id,
        record_id=call.record_id,
        direction=journal.direction(talking or legs, recorder.people),
        started_at=call.began_at,
        talking_since=min((leg.talking_since for leg in talking if leg.talking_since is not None), default=None),
        dialed=call.caller.exten,
        queue=call.queue,
        parties=tuple(_party(recorder, call, leg) for leg in legs),
        rules=_rules(recorder, call, running),
        reason=reason,
        audience=journal.identities(call.legs, recorder.people),
    )
