"""`recbridge explain`: what the rules say of an imagined call."""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.cli.options import add_json_option
from bridge.cli.sources import add_source_options, find_sources
from bridge.core.document import in_order, suggest
from bridge.core.errors import BadInputError
from bridge.core.ids import Identity
from bridge.core.people import Directory
from bridge.core.rules import RECBRIDGE, Answers, Direction, TalkFacts, ask, parse_rules
from bridge.files import read_rule_texts

_NUMBER = re.compile(r"[+*#0-9][0-9*#\s()/.-]*")


@dataclass(frozen=True, slots=True)
class _Party:
    """One side of the call: a user, or a number outside."""

    identity: Identity | None
    number: str


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        help="say what the rules say of an imagined call",
        description="Asks the rules about a talk that you describe: each rule matches, or the first condition that "
        "failed; and what is recorded. WHO is a user of users.yml by identity or extension; any other number is "
        "outside, any other name a user that is only a phone.",
    )
    add_source_options(parser)
    add_json_option(parser)
    parser.add_argument("--from", dest="caller", required=True, metavar="WHO", help="who calls")
    parser.add_argument("--to", dest="callee", required=True, metavar="WHO", help="who answers")
    parser.add_argument(
        "--direction",
        type=Direction,
        choices=list(Direction),
        metavar="DIRECTION",
        help=f"{', '.join(Direction)} (default: by who is outside)",
    )
    parser.add_argument("--at", type=_moment, metavar="TIME", help="like 2026-03-02T09:00+01:00 (default: now)")
    parser.add_argument("--queue", default="", metavar="NAME", help="the queue that the call came through")
    parser.add_argument("--dialed", metavar="NUMBER", help="what was dialled first (default: the number of --to)")
    parser.add_argument("--context", default="", metavar="NAME", help="the dialplan context in which it began")
    parser.add_argument("--channel", action="append", default=[], metavar="NAME", help="a channel in it; repeatable")
    parser.add_argument(
        "--variable", action="append", default=[], type=_variable, metavar="NAME=VALUE", help="set there; repeatable"
    )
    parser.add_argument("--call-id", default="", metavar="ID", help="the call's id, by which `sample` goes")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Ask and print. Raises BadInputError where users or rules cannot be used."""
    sources = find_sources(args)
    texts, unread = read_rule_texts(sources.rules)
    problems = [*sources.problems, *unread]
    directory = sources.directory or Directory()
    try:
        rules = parse_rules(texts, directory)
    except BadInputError as error:
        problems += error.problems
    if problems:
        raise BadInputError(in_order(problems))
    talk = _talk(args, directory)
    answers = ask(rules, talk)
    if args.json:
        print(json.dumps(_for_programs(answers), ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(answers)))
    return 0


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-03-02T09:00+01:00") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} lacks its distance from UTC: {text}+01:00, or {text}Z")
    return at


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE")
    return name, value


def _party(who: str, directory: Directory) -> _Party:
    known = directory.by_identity.get(Identity(who)) or next(
        (user for user in directory.users if who in user.extensions), None
    )
    if known is not None:
        return _Party(known.identity, known.extensions[0] if known.extensions else "")
    if _NUMBER.fullmatch(who):
        return _Party(None, who)
    if directory.users:
        close = suggest(who, directory.by_identity)
        hint = f" (did you mean {close}?)" if close else ""
        print(f"note: users.yml does not know `{who}`; taken as a phone of this name{hint}", file=sys.stderr)
    return _Party(Identity(who), "")


def _talk(args: argparse.Namespace, directory: Directory) -> TalkFacts:
    caller, callee = _party(args.caller, directory), _party(args.callee, directory)
    derived = Direction.INTERNAL
    if caller.identity is None:
        derived = Direction.INBOUND
    elif callee.identity is None:
        derived = Direction.OUTBOUND
    outside = next((party.number for party in (caller, callee) if party.identity is None), "")
    variables: Mapping[str, str] = dict(args.variable)
    return TalkFacts(
        direction=args.direction or derived,
        callers=frozenset({caller.identity} if caller.identity is not None else ()),
        callees=frozenset({callee.identity} if callee.identity is not None else ()),
        number=outside,
        dialed=callee.number if args.dialed is None else args.dialed,
        queue=args.queue,
        context=args.context,
        at=args.at or datetime.now(UTC),
        variables=variables,
        channels=tuple(args.channel),
        call_id=args.call_id,
    )


def _outcome(answers: Answers) -> str:
    by = f", by variable {RECBRIDGE}" if answers.variable is not None else ""
    recording, offered = (", ".join(str(rule.id) for rule in some) for some in (answers.recording, answers.offered))
    also = f"; offered by rule {offered}" if recording and offered else ""
    return f"recorded by rule {recording}{by}{also}" if recording else f"not recorded: {answers.why_not()}"


def _lines(answers: Answers) -> list[str]:
    talk = answers.talk
    said = {
        "direction": talk.direction,
        "caller": ", ".join(talk.callers),
        "callee": ", ".join(talk.callees),
        "number": talk.number,
        "dialed": talk.dialed,
        "queue": talk.queue,
        "context": talk.context,
        "at": talk.at.isoformat(timespec="seconds"),
    }
    lines = ["; ".join(f"{key} {value}" for key, value in said.items() if value)]
    for answer in answers.answers:
        rule = answer.rule
        lines.append(f"rule {rule.id} {rule.name} ({rule.record}): {answer.reason or 'matches'}")
    return [*lines, _outcome(answers)]


def _for_programs(answers: Answers) -> dict[str, Any]:
    rules = [
        {
            "ruleId": answer.rule.id,
            "name": answer.rule.name,
            "record": answer.rule.record,
            "matched": answer.matched,
            "failed": asdict(answer.failed) if answer.failed is not None else None,
            "reason": answer.reason,
        }
        for answer in answers.answers
    ]
    return {
        "rules": rules,
        "variable": answers.variable,
        "recording": [rule.id for rule in answers.recording],
        "offered": [rule.id for rule in answers.offered],
        "outcome": _outcome(answers),
    }
