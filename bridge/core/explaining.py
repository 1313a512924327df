"""Why a call was recorded, or not: of each talk each rule's answer, from what was known then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from bridge.core.accounts import Reason
from bridge.core.asked import Asked, AskedTalk, KeptRules, flags_item
from bridge.core.cdrs import CdrNumber
from bridge.core.hindsight import Judged, distinct, judge, known_variables, recorded_in
from bridge.core.ids import CallId, RuleId
from bridge.core.kept import KeptCall
from bridge.core.matching import Failed, TalkFacts
from bridge.core.records import Cdr
from bridge.core.rules import RECBRIDGE, Answers, RuleSet
from bridge.core.store import Store
from bridge.core.views import epoch_ms

NOT_KEPT = "what the rules were asked of this talk is not known: it was before recbridge kept that"
RULES_GONE = "the rules of then are not known any more"
RULES_STRANGE = "this version of recbridge cannot read the rules of then"


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call that was asked for: a finished one has a `cdr`, one that runs has not."""

    call_id: CallId
    number: CdrNumber | None
    cdr: Cdr | None
    talks: Sequence[AskedTalk]


@dataclass(frozen=True, slots=True)
class Told:
    """What the rules were asked, and say. `judged` is None where `unknown` says why."""

    asked: Asked
    since: datetime | None
    rules: RuleSet | None
    judged: Judged | None
    unknown: str | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedTalk:
    """A talk, and what was asked of it: once, or again after a restart."""

    talk: AskedTalk
    told: tuple[Told, ...]


async def find_call(store: Store, name: str) -> FoundCall | None:
    """A finished call by its number, its id or a recordId of it (the newest that fits), or one that runs by its id, a
    channel's name or a uniqueid. Raises StoreError.
    """
    numbers: list[CdrNumber] = []
    if name.isascii() and name.isdigit() and len(name) < 16:
        numbers.append(CdrNumber(int(name)))
    # What runs has its name from a call that may be over.
    running = next((call for call in reversed(await store.running_calls()) if _is_named(call, name)), None)
    if running is not None:
        return FoundCall(running.call_id, None, None, await store.asked_running(running.call_id))
    numbers += reversed(await store.cdrs_named(name))
    for number in numbers:
        found = await store.asked_call(number)
        if found is not None:
            return FoundCall(found.cdr.call_id, number, found.cdr, found.talks)
    return None


def _is_named(call: KeptCall, name: str) -> bool:
    names = {call.call_id, call.record_id, *call.records}
    return name in names or any(name in (one.name, one.uniqueid) for one in call.channels)


async def explained(store: Store, call: FoundCall, rules: RuleSet | None = None) -> list[ExplainedTalk]:
    """Ask again, the rules of then, or `rules` instead. Raises StoreError."""
    kept: dict[int, KeptRules | None] = {}
    parsed: dict[int, RuleSet | None] = {}
    talks = []
    for talk in call.talks:
        told = []
        for asked in distinct(talk.asked):
            number = asked.rules
            if number is not None and number not in kept:
                found = kept[number] = await store.kept_rules(number)
                parsed[number] = found.parsed() if found is not None else None
            then = kept.get(number) if number is not None else None
            told.append(_told(asked, then, parsed.get(number) if number is not None else None, rules))
        talks.append(ExplainedTalk(talk, tuple(told)))
    return talks


def _told(asked: Asked, then: KeptRules | None, of_then: RuleSet | None, instead: RuleSet | None) -> Told:
    since = then.since if then is not None else None
    erased = asked.erased or (then is not None and then.erased)
    rules = instead if instead is not None else of_then
    if rules is None:
        return Told(asked, since, None, None, RULES_GONE if then is None else RULES_STRANGE, erased)
    return Told(asked, since, rules, judge(rules, asked.talk, known_variables(asked, of_then)), None, erased)


def outcome(answers: Answers) -> str:
    """In a line what comes of it: `recorded by rule 3`, or `not recorded: …`."""
    by = f", by variable {RECBRIDGE}" if answers.variable is not None else ""
    recording, offered = (", ".join(str(rule.id) for rule in some) for some in (answers.recording, answers.offered))
    also = f"; offered by rule {offered}" if recording and offered else ""
    return f"recorded by rule {recording}{by}{also}" if recording else f"not recorded: {answers.why_not()}"


# As JSON


class FailedItem(TypedDict):
    """A condition that failed: what it wants (any of these), and what the talk has; of `any` what failed inside."""

    key: str
    wanted: list[str]
    found: list[str]
    inner: list[Any]


class RuleAnswer(TypedDict):
    """What one rule says. `undecided` are variables that were not kept and would decide it."""

    ruleId: int
    name: str
    record: str
    file: str
    line: int
    matched: bool
    failed: FailedItem | None
    reason: str | None
    undecided: list[str]


class AnswersItem(TypedDict):
    """What all rules say, and what comes of it: `recording` and `offered` are rule ids."""

    rules: list[RuleAnswer]
    variable: str | None
    recording: list[int]
    offered: list[int]
    outcome: str


class TalkItem(TypedDict):
    """What the rules were asked: what is empty was not there."""

    direction: str
    callers: list[str]
    callees: list[str]
    number: str
    dialed: str
    queue: str
    context: str
    at: int
    variables: dict[str, str]
    channels: list[str]
    flags: dict[str, list[str]]


class ToldItem(TypedDict):
    """What was asked when, the rules in force since `rulesSince`, and their `answers`: null where `unknown` says why.

    `erased`: a person was erased from it since, so that it may not be all.
    """

    askedAt: int
    rulesSince: int | None
    talk: TalkItem
    answers: AnswersItem | None
    unknown: str | None
    erased: bool


class HappenedItem(TypedDict):
    """What held for a rule in a talk: to be recorded, or (`reason`) why not, for so long."""

    ruleId: int | None
    recordedS: float
    reasons: list[str]


class ExplainedTalkItem(TypedDict):
    """A talk: what the rules were asked (nothing where that is not known: `unknown`), and what became of it."""

    talkId: str
    beganAt: int
    endedAt: int | None
    asked: list[ToldItem]
    unknown: str | None
    happened: list[HappenedItem]


class ExplainedCallItem(TypedDict):
    """A call; one that runs has no `cdr`."""

    cdr: int | None
    callId: str
    recordIds: list[str]
    source: str
    destination: str
    startedAt: int | None
    endedAt: int | None


class ExplanationItem(TypedDict):
    """Why a call was recorded or not; an imagined talk has no `call`, and `notes` on how it was taken."""

    call: ExplainedCallItem | None
    talks: list[ExplainedTalkItem]
    notes: list[str]


def failed_item(failed: Failed) -> FailedItem:
    """A failed condition as JSON."""
    inner: list[Any] = [failed_item(one) for one in failed.inner]
    return {"key": failed.key, "wanted": list(failed.wanted), "found": list(failed.found), "inner": inner}


def answers_item(
    rules: RuleSet, answers: Answers, undecided: dict[RuleId, tuple[str, ...]] | None = None
) -> AnswersItem:
    """Answers as JSON; `rules` are those that gave them."""
    places = {placed.rule.id: (placed.file, placed.line) for placed in rules.rules}
    return {
        "rules": [
            {
                "ruleId": one.rule.id,
                "name": one.rule.name,
                "record": str(one.rule.record),
                "file": places[one.rule.id][0],
                "line": places[one.rule.id][1],
                "matched": one.matched,
                "failed": failed_item(one.failed) if one.failed is not None else None,
                "reason": one.reason,
                "undecided": list((undecided or {}).get(one.rule.id, ())),
            }
            for one in answers.answers
        ],
        "variable": str(answers.variable) if answers.variable is not None else None,
        "recording": [rule.id for rule in answers.recording],
        "offered": [rule.id for rule in answers.offered],
        "outcome": outcome(answers),
    }


def talk_item(talk: TalkFacts) -> TalkItem:
    """What the rules were asked, as JSON."""
    return {
        "direction": str(talk.direction),
        "callers": sorted(talk.callers),
        "callees": sorted(talk.callees),
        "number": talk.number,
        "dialed": talk.dialed,
        "queue": talk.queue,
        "context": talk.context,
        "at": epoch_ms(talk.at),
        "variables": dict(talk.variables),
        "channels": list(talk.channels),
        "flags": flags_item(talk),
    }


def explanation_item(call: FoundCall, talks: Sequence[ExplainedTalk]) -> ExplanationItem:
    """All of it as JSON."""
    cdr = call.cdr
    return {
        "call": {
            "cdr": call.number,
            "callId": call.call_id,
            "recordIds": list(cdr.record_ids) if cdr is not None else [],
            "source": (cdr.source_identity or cdr.source_number) if cdr is not None else "",
            "destination": (cdr.destination_identity or cdr.destination_number) if cdr is not None else "",
            "startedAt": epoch_ms(cdr.started_at) if cdr is not None else None,
            "endedAt": epoch_ms(cdr.ended_at) if cdr is not None else None,
        },
        "talks": [_talk_item(one) for one in talks],
        "notes": [],
    }


def _talk_item(explained_talk: ExplainedTalk) -> ExplainedTalkItem:
    talk = explained_talk.talk
    return {
        "talkId": talk.talk.talk_id,
        "beganAt": epoch_ms(talk.talk.began_at),
        "endedAt": epoch_ms(talk.talk.ended_at) if talk.talk.ended_at is not None else None,
        "asked": [_told_item(one) for one in explained_talk.told],
        "unknown": None if explained_talk.told else NOT_KEPT,
        "happened": happened_items(talk),
    }


def _told_item(told: Told) -> ToldItem:
    judged, rules = told.judged, told.rules
    answers = None
    if judged is not None and rules is not None:
        answers = answers_item(rules, judged.answers, dict(judged.undecided))
    return {
        "askedAt": epoch_ms(told.asked.at),
        "rulesSince": epoch_ms(told.since) if told.since is not None else None,
        "talk": talk_item(told.asked.talk),
        "answers": answers,
        "unknown": told.unknown,
        "erased": told.erased,
    }


def happened_items(talk: AskedTalk) -> list[HappenedItem]:
    """What held for each rule in a talk."""
    recorded = recorded_in(talk)
    reasons: dict[RuleId | None, list[Reason]] = {}
    for span in talk.spans:
        of_rule = reasons.setdefault(span.rule_id, [])
        if span.reason is not None and span.reason not in of_rule:
            of_rule.append(span.reason)
    return [
        {
            "ruleId": rule_id,
            "recordedS": round(recorded.get(rule_id, 0.0), 3) if rule_id is not None else 0.0,
            "reasons": [str(one) for one in of_rule],
        }
        for rule_id, of_rule in sorted(reasons.items(), key=lambda item: -1 if item[0] is None else item[0])
    ]
