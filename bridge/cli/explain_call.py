"""`recbridge explain CALL`: why a call was recorded or not, from what was known then."""

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from bridge.cli.database import opened
from bridge.cli.options import config_path
from bridge.cli.sources import find_sources
from bridge.config import load_config
from bridge.core.document import in_order
from bridge.core.errors import BadInputError, RecbridgeError
from bridge.core.explaining import (
    NOT_KEPT,
    ExplainedTalk,
    FoundCall,
    HappenedItem,
    Told,
    explained,
    explanation_item,
    find_call,
    happened_items,
    outcome,
)
from bridge.core.matching import TalkFacts
from bridge.core.people import Directory
from bridge.core.rules import RuleSet
from bridge.files import read_rules

ERASED = "a person was erased from it since: what concerns them cannot be told any more"


def run(args: argparse.Namespace) -> int:
    """Look it up, ask and print. Raises RecbridgeError."""
    config = load_config(config_path(args))
    rules = rules_instead(args)

    async def look() -> tuple[FoundCall, list[ExplainedTalk]]:
        async with opened(config) as store:
            call = await find_call(store, args.call)
            if call is None:
                raise RecbridgeError(f"there is no call `{args.call}`")
            return call, await explained(store, call, rules)

    call, talks = asyncio.run(look())
    if args.json:
        print(json.dumps(explanation_item(call, talks), ensure_ascii=False, indent=2))
    else:
        # A caller chooses its name: nothing of it may steer the terminal.
        for line in _lines(call, talks, instead=rules is not None):
            print("".join(char if char.isprintable() else "?" for char in line))
    return 0


def rules_instead(args: argparse.Namespace) -> RuleSet | None:
    """The rules of `--rules`, if they are given. Raises BadInputError with every problem."""
    if args.rules is None:
        return None
    sources = find_sources(args)
    problems = list(sources.problems)
    try:
        rules = read_rules(sources.rules, sources.directory or Directory())
    except BadInputError as error:
        problems += error.problems
    if problems:
        raise BadInputError(in_order(problems))
    return rules


def talk_words(talk: TalkFacts) -> str:
    """What the rules were asked, in a line."""
    said = {
        "direction": talk.direction,
        "caller": ", ".join(sorted(talk.callers)),
        "callee": ", ".join(sorted(talk.callees)),
        "number": talk.number,
        "dialed": talk.dialed,
        "queue": talk.queue,
        "context": talk.context,
        "at": talk.at.isoformat(timespec="seconds"),
    }
    return "; ".join(f"{key} {value}" for key, value in said.items() if value)


def _lines(call: FoundCall, talks: Sequence[ExplainedTalk], *, instead: bool) -> Iterator[str]:
    cdr = call.cdr
    if cdr is None:
        yield f"call {call.call_id}, which goes on"
    else:
        who = f"{cdr.source_identity or cdr.source_number or '?'} -> "
        who += cdr.destination_identity or cdr.destination_number or "?"
        yield f"call {call.number} ({call.call_id}) {_when(cdr.started_at)} to {_when(cdr.ended_at)}  {who}"
    if not talks:
        yield "there was no talk in it, so no rule was asked: rules are asked at the beginning of each talk"
    for one in talks:
        talk = one.talk.talk
        ended = "now" if talk.ended_at is None else f"{talk.ended_at.astimezone():%H:%M:%S}"
        yield ""
        yield f"talk {_when(talk.began_at)} to {ended}"
        if not one.told:
            yield f"  {NOT_KEPT}"
        for told in one.told:
            yield from _told_lines(told, instead=instead)
        came = "; ".join(_came(item, goes_on=talk.ended_at is None) for item in happened_items(one.talk))
        yield f"  what came of it: {came or 'not known'}"


def _came(item: HappenedItem, *, goes_on: bool) -> str:
    words = [f"{item['recordedS']:.0f} s to record"] if item["recordedS"] else []
    words += item["reasons"]
    if goes_on and not words:  # seconds are counted when the talk is over
        words = ["goes on"]
    return f"{'no rule' if item['ruleId'] is None else 'rule ' + str(item['ruleId'])}: {', '.join(words)}"


def _told_lines(told: Told, *, instead: bool) -> Iterator[str]:
    again = told.asked.at != told.asked.talk.at
    since = f"in force since {_when(told.since)}" if told.since is not None else "of then"
    yield f"  asked{' again at ' + _when(told.asked.at) if again else ''}: {talk_words(told.asked.talk)}"
    if told.erased:
        yield f"  {ERASED}"
    if told.judged is None:
        yield f"  {told.unknown}"
        return
    yield "  by the rules of --rules:" if instead else f"  by the rules {since}:"
    places = {placed.rule.id: f"{placed.file}:{placed.line}" for placed in told.rules.rules} if told.rules else {}
    for answer in told.judged.answers.answers:
        rule = answer.rule
        unsure = told.judged.undecided.get(rule.id)
        said = f"not known: {', '.join(unsure)} was not kept" if unsure else answer.reason or "matches"
        yield f"    rule {rule.id} {rule.name} ({rule.record}, {places.get(rule.id, '')}): {said}"
    yield f"  {outcome(told.judged.answers)}"


def _when(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
