"""`recbridge check`: the configuration, users and rules, before they count."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bridge.cli.options import add_json_option
from bridge.cli.sources import Sources, add_source_options, find_sources
from bridge.core.document import in_order
from bridge.core.doubts import doubts
from bridge.core.errors import BadInputError, Problem
from bridge.core.people import Directory
from bridge.core.rule_schema import rule_schema
from bridge.core.rules import parse_rules
from bridge.files import DEFAULT_QUEUES, read_queues, read_rule_texts


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "check",
        help="check configuration, users and rules",
        description="Names every mistake with its place (file:line:column), and exits 1 where there is one. "
        "Warns of rules that can never match, that a `never` covers wholly, of queues that there are not, and of mails "
        "whose links nobody could follow. "
        "With a PATH it checks these rules, together, and no configuration is needed: "
        "users and groups are then looked up only with --users or --config.",
    )
    add_source_options(parser)
    add_json_option(parser)
    parser.add_argument(
        "--queues-conf",
        type=Path,
        metavar="FILE",
        help=f"where Asterisk's queues stand (default: {DEFAULT_QUEUES}, where that can be read)",
    )
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of rule files, and nothing else")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a rule file or a folder of them")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Check, and say what was found: 0 where everything is right, 1 where something is not."""
    if args.schema:
        print(json.dumps(rule_schema(), ensure_ascii=False, indent=2))
        return 0
    sources = find_sources(args, args.paths)
    directory = sources.directory or Directory()
    texts, unread = read_rule_texts(sources.rules)
    problems = [*sources.problems, *unread]
    count = 0
    try:
        count = len(parse_rules(texts, directory).rules)
    except BadInputError as error:
        problems += error.problems
    queues = _queues(args.queues_conf, problems)
    warnings = (*sources.warnings, *doubts(texts, sources.directory, queues))
    problems = list(in_order(problems))
    if args.json:
        found = {"problems": [asdict(one) for one in problems], "warnings": [asdict(one) for one in warnings]}
        print(json.dumps({"ok": not problems, **found}, ensure_ascii=False))
    else:
        _say(sources, f"{len(directory.users)} users, {count} rules", problems, warnings)
    return 1 if problems else 0


def _queues(given: Path | None, problems: list[Problem]) -> frozenset[str] | None:
    """The queues that there are; None where nothing can say so. A file that was named must be there."""
    try:
        return read_queues(given or DEFAULT_QUEUES)
    except BadInputError as error:
        if given is not None:
            problems += error.problems
        return None


def _say(sources: Sources, counted: str, problems: list[Problem], warnings: tuple[Problem, ...]) -> None:
    lines = [(one, str(one)) for one in problems] + [(one, one.as_warning()) for one in warnings]
    for _, line in sorted(lines, key=lambda pair: (pair[0].file, pair[0].line, pair[0].column)):
        print(line, file=sys.stderr)
    if not problems:
        what = f"configuration {sources.config}, {counted}" if sources.config else counted
        print(f"{what}: no problems" + (f", {len(warnings)} warnings" if warnings else ""))
