"""`recbridge replay`: what rules would have recorded of a capture, or of the calls in the journal."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.cli import replay_journal
from bridge.cli.options import add_json_option
from bridge.cli.sources import add_source_options, find_sources
from bridge.cli.targets import TIME_WORDS, parse_when
from bridge.config import Config, look_into
from bridge.core.document import in_order
from bridge.core.errors import BadInputError, Problem
from bridge.core.ids import RuleId
from bridge.core.people import Directory, People
from bridge.core.records import Cdr, Fact, FactKind, Section
from bridge.core.replay import AskedTalk, Replayed
from bridge.core.rules import Answer, RecordMode
from bridge.files import read_rules
from bridge.replay import MAX_BYTES, read_messages, replay

_STDIN = "-"
_HEADINGS = ("CALL", "WHO", "RULE", "SECTION", "FROM", "TO", "SECONDS", "LEG")
_RIGHT = frozenset({"SECTION", "SECONDS"})


@dataclass(slots=True)
class _Call:
    """One call of the capture. `cdr` is None where the capture ends before the call does."""

    call_id: str
    began: Fact
    cdr: Cdr | None = None
    sections: list[Section] = field(default_factory=list)
    talks: list[AskedTalk] = field(default_factory=list)

    @property
    def who(self) -> str:
        """Caller and destination, by identity, else number, else name."""
        cdr = self.cdr
        if cdr is None:
            personal = self.began.personal
            return f"{personal.get('number') or self.began.data['channel']} -> {personal['dialed']}"
        source = cdr.source_identity or cdr.source_number or cdr.source_name or "unknown"
        return f"{source} -> {cdr.destination_identity or cdr.destination_number or cdr.destination_name}"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "replay",
        help="say what rules would have recorded of a capture, or of the calls in the journal",
        description="Plays a capture of Asterisk's manager interface (a file of events as they came over the wire, "
        "with Timestamps) to rules: which sections they would have recorded, and for each rule that did not match "
        "the first condition that failed. With --since instead asks the rules of --rules about the calls in the "
        "journal, and says where they would have recorded otherwise than was. "
        f"Nothing is recorded and no Asterisk is asked. {TIME_WORDS}",
        epilog="Exit code: 0 said, 1 it could not be read, 2 the command line is wrong.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE.ami", help="the capture; - is standard input")
    journal = parser.add_argument_group("the calls in the journal")
    journal.add_argument("--since", type=parse_when, metavar="TIME", help="calls that ended since then")
    journal.add_argument("--until", type=parse_when, metavar="TIME", help="calls that ended before that (default: now)")
    journal.add_argument("--all", action="store_true", help="every call, not only those where something differs")
    add_source_options(parser)
    add_json_option(parser)
    parser.add_argument(
        "--trunks",
        nargs="+",
        action="extend",
        metavar="PATTERN",
        help="channels that lead outside, as the configuration's `trunks` "
        f"(default: the configuration's, else {' '.join(Config.model_fields['trunks'].default)})",
    )
    parser.set_defaults(func=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Replay and print. Raises BadInputError where capture, rules or users cannot be used."""
    parser: argparse.ArgumentParser = args.parser
    if (args.file is None) == (args.since is None):
        parser.error("either FILE.ami, or --since")
    if args.since is not None:
        return replay_journal.run(args)
    if args.until is not None or args.all:
        parser.error("--until and --all go with --since")
    sources = find_sources(args)
    problems = list(sources.problems)
    directory = sources.directory or Directory()
    try:
        rules = read_rules(sources.rules, directory)
    except BadInputError as error:
        problems += error.problems
    try:
        messages = read_messages(*_read(args.file))
    except BadInputError as error:
        problems += error.problems
    if problems:
        raise BadInputError(in_order(problems))
    trunks: Sequence[str] = args.trunks or Config.model_fields["trunks"].default
    if not args.trunks and sources.config is not None and (config := look_into(sources.config).config) is not None:
        trunks = config.trunks
    calls = _calls(replay(messages, rules, People(directory, trunks)))
    names = {placed.rule.id: placed.rule.name for placed in rules.rules}
    if args.json:
        print(json.dumps({"calls": [_for_programs(call) for call in calls]}, ensure_ascii=False, indent=2))
    else:
        # A caller chooses its name: nothing of it may steer the terminal.
        for line in _lines(calls, names):
            print("".join(char if char.isprintable() else "?" for char in line))
    return 0


def _read(file: str) -> tuple[bytes, str]:
    """A capture's bytes, and what to call it."""
    name = "standard input" if file == _STDIN else file
    try:
        if file == _STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInputError((Problem(name, 1, 1, f"cannot be read: {error.strerror}"),)) from None
    if len(content) > MAX_BYTES:
        raise BadInputError((Problem(name, 1, 1, f"is longer than {MAX_BYTES:,} bytes: cut it into parts"),))
    return content, name


def _calls(replayed: Replayed) -> list[_Call]:
    """The calls in the order in which they began; what was joined into another stands there."""
    calls = {
        str(fact.call_id): _Call(str(fact.call_id), fact) for fact in replayed.facts if fact.kind is FactKind.CALL_BEGAN
    }
    into: dict[str, str] = {
        str(fact.data["joined"]): str(fact.call_id) for fact in replayed.facts if fact.kind is FactKind.CALL_JOINED
    }

    def call_of(call_id: str) -> _Call:
        while call_id in into:
            call_id = into[call_id]
        return calls[call_id]

    for cdr in replayed.cdrs:
        call_of(cdr.call_id).cdr = cdr
    for section in replayed.sections.values():
        call_of(section.call_id).sections.append(section)
    for talk in replayed.talks:
        call_of(talk.call_id).talks.append(talk)
    return [call for call_id, call in calls.items() if call_id not in into]


def _lines(calls: Sequence[_Call], names: Mapping[RuleId, str]) -> Iterator[str]:
    rows = [_HEADINGS, *(row for call in calls for row in _rows(call, names))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        cells = [
            cell.rjust(width) if heading in _RIGHT else cell.ljust(width)
            for cell, width, heading in zip(row, widths, _HEADINGS, strict=True)
        ]
        yield "  ".join(cells).rstrip()
    for call in calls:
        if not call.talks:
            yield ""
            yield f"{call.call_id} {call.who}: no talk"
        for talk in call.talks:
            yield ""
            yield f"{call.call_id} {call.who}: talk at {_time(talk.began_at)} of {' and '.join(talk.channels)}"
            if not talk.recording:
                yield f"    not recorded: {talk.answers.why_not()}"
            for answer in talk.answers.answers:
                yield f"    rule {answer.rule.id} {answer.rule.name}: {_said(talk, answer)}"


def _rows(call: _Call, names: Mapping[RuleId, str]) -> Iterator[tuple[str, ...]]:
    for section in call.sections:
        began, ended = section.started_at, section.ended_at
        yield (
            call.call_id,
            call.who,
            f"{section.rule_id} {names.get(section.rule_id, '')}".rstrip(),
            str(section.file),
            f"{began:%Y-%m-%d} {_time(began)}" if began is not None else "",
            _time(ended) if ended is not None else "goes on",
            f"{(ended - began).total_seconds():.3f}" if began is not None and ended is not None else "",
            section.leg_channel,
        )
    if not call.sections:
        yield (call.call_id, call.who, "none", "", "", "", "", "")


def _time(at: datetime) -> str:
    """UTC, to the millisecond."""
    return at.time().isoformat("milliseconds")


def _said(talk: AskedTalk, answer: Answer) -> str:
    """What a rule says to a talk: the first condition that failed, or what comes of its matching."""
    answers, rule = talk.answers, answer.rule
    if rule.id in talk.recording:
        return "records" if answer.reason is None else f"records, as it follows (here {answer.reason})"
    if answer.reason is not None:
        return answer.reason
    if rule in answers.offered:
        return "matches: may be recorded on demand"
    if rule.record is RecordMode.NEVER:
        return "matches: nothing is recorded"
    return f"matches, but {answers.why_not()}"


def _milliseconds(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at is not None else None


def _for_programs(call: _Call) -> dict[str, Any]:
    cdr = call.cdr
    return {
        "callId": call.call_id,
        "who": call.who,
        "direction": cdr.direction if cdr is not None else None,
        "queue": cdr.queue if cdr is not None else None,
        "startedAt": _milliseconds(call.began.at),
        "endedAt": _milliseconds(cdr.ended_at) if cdr is not None else None,
        "sections": [
            {
                "recordId": section.record_id,
                "ruleId": section.rule_id,
                "file": section.file,
                "startedAt": _milliseconds(section.started_at),
                "endedAt": _milliseconds(section.ended_at),
                "duration": section.report.duration_s if section.report is not None else None,
                "leg": section.leg_channel,
                "headchannel": section.headchannel,
                "tailchannel": section.tailchannel,
                "tags": list(section.tags),
            }
            for section in call.sections
        ],
        "talks": [
            {
                "startedAt": _milliseconds(talk.began_at),
                "channels": list(talk.channels),
                "recording": list(talk.recording),
                "reason": None if talk.recording else talk.answers.why_not(),
                "rules": [
                    {
                        "ruleId": answer.rule.id,
                        "name": answer.rule.name,
                        "record": str(answer.rule.record),
                        "matched": answer.matched,
                        "failed": asdict(answer.failed) if answer.failed is not None else None,
                        "reason": answer.reason,
                    }
                    for answer in talk.answers.answers
                ],
            }
            for talk in call.talks
        ],
    }
