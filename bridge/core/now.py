"""The calls as they are this moment, out of the recorder's state."""

from bridge.core import journal
from bridge.core.calls import Call, Channel
from bridge.core.ids import Identity, RuleId
from bridge.core.live import CallNow, PartyNow, RuleNow
from bridge.core.permitted import WhoMay
from bridge.core.recorder import Recorder
from bridge.core.records import Section, SectionState
from bridge.core.sections import RUNNING


def calls_now(recorder: Recorder) -> list[CallNow]:
    """Every running call, the oldest first."""
    return [_call(recorder, call) for call in recorder.tracker.calls.values() if call.legs]


def _party(recorder: Recorder, call: Call, leg: Channel, may: WhoMay) -> PartyNow:
    people = recorder.people
    user = journal.user_of(leg, people)
    bridge = recorder.tracker.bridges.get(leg.bridge) if leg.bridge is not None else None
    return PartyNow(
        uniqueid=leg.uniqueid,
        channel=leg.name,
        identity=user.identity if user is not None else None,
        name=journal.name_of(leg, people),
        number=journal.number_of(leg, call.caller, people),
        outside=journal.outside(leg, people),
        talking=leg.talk is not None,
        talking_with=tuple(one for one in leg.talk.parties if one != leg.uniqueid) if leg.talk is not None else (),
        dialed=leg.dialed,
        began_at=leg.began_at,
        answered_at=leg.answered_at,
        held=leg.held,
        bridge=leg.bridge,
        parked=bridge is not None and not bridge.talking,
        recording=_recording(recorder, call, leg),
        may=may.on(leg),
    )


def _recording(recorder: Recorder, call: Call, leg: Channel) -> str:
    """What is done with what a leg says: `recording` where any rule records it, else `paused` where one is."""
    stretches = [one for one in recorder.stretches_of(call) if leg.uniqueid in one.talk.parties]
    if not stretches:
        return "paused" if recorder.control.paused_at_all(call) else ""
    states: set[str] = set()
    for stretch in stretches:
        for rule_id, rule in stretch.wanted.items():
            key = stretch.sections.get(rule_id)
            section = recorder.sectioner.book.get(key) if key is not None else None
            if section is not None and section.state in (SectionState.REQUESTED, *RUNNING):
                states.add("paused" if section.state is SectionState.PAUSED else "recording")
            elif recorder.control.pauses.silent(call, rule):
                states.add("paused")
    return "recording" if "recording" in states else "paused" if states else ""


def _sections(recorder: Recorder, call: Call) -> dict[RuleId, Section]:
    """The section that each rule writes now."""
    running: dict[RuleId, Section] = {}
    for stretch in recorder.stretches_of(call):
        for rule_id, key in stretch.sections.items():
            section = recorder.sectioner.book.get(key)
            if section is not None:
                running[rule_id] = section
    return running


def _over(recorder: Recorder, call: Call) -> frozenset[RuleId]:
    """The rules whose section could not begin, or has ended, though its talk goes on: none follows by itself."""
    return frozenset(
        rule_id
        for stretch in recorder.stretches_of(call)
        for rule_id, key in stretch.sections.items()
        if rule_id in stretch.wanted
        and recorder.sectioner.book.get(key) is None
        and not recorder.sectioner.waits(stretch, rule_id)
    )


def _rules(recorder: Recorder, call: Call, running: dict[RuleId, Section]) -> tuple[RuleNow, ...]:
    """What each rule that was asked does; after those, the ones that follow the call from an earlier talk."""
    answers = recorder.answers.get(call.call_id)
    if answers is None:
        return ()
    stretches = recorder.stretches_of(call)
    wanted = {rule_id: rule for one in stretches for rule_id, rule in one.wanted.items()}
    offered = {rule_id: rule for one in stretches for rule_id, (rule, _) in one.offered.items()}
    reasons = {answer.rule.id: answer.reason for answer in answers.answers}
    over = _over(recorder, call)
    everyone = {**{answer.rule.id: answer.rule for answer in answers.answers}, **offered, **wanted}
    rules = []
    for rule_id, rule in everyone.items():
        section = running.get(rule_id)
        state, reason = "unmatched", reasons.get(rule_id)
        if section is not None:
            state, reason = str(section.state), None
        elif rule_id in over:
            state, reason = "failed", None
        elif rule_id in wanted:
            state, reason = "paused" if recorder.control.pauses.silent(call, rule) else "matched", None
        elif rule_id in offered:
            state, reason = "offered", None
        elif reason is None and answers.never:
            state, reason = "blocked", answers.why_not()
        elif reason is None:
            state = "matched"
        demand = recorder.control.demands.in_call(call).get(rule_id)
        owner: Identity | None = section.owner if section is not None else demand.owner if demand is not None else None
        rules.append(RuleNow(rule_id, rule.name, state, section.file if section is not None else None, owner, reason))
    return tuple(rules)


def _why_not(recorder: Recorder, call: Call, talking: list[Channel]) -> str:
    """Why nothing of a call is recorded at the moment."""
    answers = recorder.answers.get(call.call_id)
    if not talking:
        return "no-talk"
    stretches = recorder.stretches_of(call)
    wanted = [rule for one in stretches for rule in one.wanted.values()]
    if wanted and _over(recorder, call).issuperset(rule.id for rule in wanted):
        return "failed"
    if wanted and all(recorder.control.pauses.silent(call, rule) for rule in wanted):
        return "paused"
    held_back = next((one.why_not for one in stretches if one.why_not is not None), None)
    if held_back is not None:
        return held_back
    return answers.why_not() if answers is not None else "no-rule"


def _call(recorder: Recorder, call: Call) -> CallNow:
    legs = [leg for leg in call.legs if leg.ended_at is None]
    talking = [leg for leg in legs if leg.talk is not None]
    running, may = _sections(recorder, call), WhoMay(recorder, call)
    return CallNow(
        call_id=call.call_id,
        record_id=call.record_id,
        direction=journal.direction(talking or legs, recorder.people),
        started_at=call.began_at,
        talking_since=min((leg.talking_since for leg in talking if leg.talking_since is not None), default=None),
        dialed=call.caller.exten,
        queue=call.queue,
        parties=tuple(_party(recorder, call, leg, may) for leg in legs),
        rules=_rules(recorder, call, running),
        reason=None if running else _why_not(recorder, call, talking),
        audience=recorder.audience(call),
    )
