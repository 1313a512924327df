"""`recbridge explain`: why a call was recorded or not, or what the rules say of an imagined one."""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bridge.cli import explain_call
from bridge.cli.options import add_json_option
from bridge.cli.sources import add_source_options, find_sources
from bridge.core.document import in_order
from bridge.core.errors import BadInputError
from bridge.core.explaining import outcome
from bridge.core.imagined import ImaginedTalk, imagine
from bridge.core.people import Directory
from bridge.core.rules import Answers, Direction, ask, parse_rules
from bridge.files import read_rule_texts

_OF_IMAGINED = ("callee", "direction", "at", "queue", "dialed", "context", "channel", "variable", "call_id")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        help="say why a call was recorded or not, or what the rules say of an imagined one",
        description="Of a call: for each of its talks each rule's answer, the first condition that failed, and what "
        "came of it, from what was known then, by the rules that were in force then (or by those of --rules). "
        "Of an imagined talk (--from, --to): the same by the rules as they are. WHO is a user of users.yml by "
        "identity or extension; any other number is outside, any other name a user that is only a phone.",
        epilog="Exit code: 0 said, 1 there is no such call, or it could not be looked up, 2 the command line is wrong.",
    )
    parser.add_argument(
        "call",
        nargs="?",
        metavar="CALL",
        help="the number of a finished call, a call id, a recordId, or a channel of a call that runs",
    )
    add_source_options(parser)
    add_json_option(parser)
    talk = parser.add_argument_group("an imagined talk")
    talk.add_argument("--from", dest="caller", metavar="WHO", help="who calls")
    talk.add_argument("--to", dest="callee", metavar="WHO", help="who answers")
    talk.add_argument(
        "--direction",
        type=Direction,
        choices=list(Direction),
        metavar="DIRECTION",
        help=f"{', '.join(Direction)} (default: by who is outside)",
    )
    talk.add_argument("--at", type=_moment, metavar="TIME", help="like 2026-03-02T09:00+01:00 (default: now)")
    talk.add_argument("--queue", default="", metavar="NAME", help="the queue that the call came through")
    talk.add_argument("--dialed", metavar="NUMBER", help="what was dialled first (default: the number of --to)")
    talk.add_argument("--context", default="", metavar="NAME", help="the dialplan context in which it began")
    talk.add_argument("--channel", action="append", default=[], metavar="NAME", help="a channel in it; repeatable")
    talk.add_argument(
        "--variable", action="append", default=[], type=_variable, metavar="NAME=VALUE", help="set there; repeatable"
    )
    talk.add_argument("--call-id", default="", metavar="ID", help="the call's id, by which `sample` goes")
    parser.set_defaults(func=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print. Raises BadInputError where users or rules cannot be used, RecbridgeError for what is no call."""
    parser: argparse.ArgumentParser = args.parser
    if args.call is not None:
        if args.caller is not None or any(getattr(args, name) for name in _OF_IMAGINED):
            parser.error("either CALL, or an imagined talk with --from and --to")
        return explain_call.run(args)
    if args.caller is None or args.callee is None:
        parser.error("give CALL, or --from and --to")
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
    imagined = ImaginedTalk(
        caller=args.caller,
        callee=args.callee,
        at=args.at or datetime.now(UTC),
        direction=args.direction,
        queue=args.queue,
        dialed=args.dialed,
        context=args.context,
        channels=args.channel,
        variables=dict(args.variable),
        call_id=args.call_id,
    )
    talk, notes = imagine(imagined, directory)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
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


def _lines(answers: Answers) -> list[str]:
    lines = [explain_call.talk_words(answers.talk)]
    for answer in answers.answers:
        rule = answer.rule
        lines.append(f"rule {rule.id} {rule.name} ({rule.record}): {answer.reason or 'matches'}")
    return [*lines, outcome(answers)]


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
        "outcome": outcome(answers),
    }
