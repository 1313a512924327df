"""`recbridge coverage`: how much of the finished calls was recorded by which rule, and why not the rest."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from bridge.cli.database import opened
from bridge.cli.options import add_config_option, add_json_option, config_path, why
from bridge.cli.tables import table
from bridge.cli.targets import TIME_WORDS, parse_when
from bridge.config import Config, load_config
from bridge.core.accounts import FAULTS, Reason
from bridge.core.coverage import WORTH_S, CallCoverage, Sums, Tally
from bridge.core.coverage_items import CoverageItem, coverage_item, totals_item
from bridge.core.covered import Numbered, covered
from bridge.core.errors import RecbridgeError
from bridge.core.ids import RuleId
from bridge.core.views import epoch_ms

_DAY = timedelta(days=1)


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "coverage",
        help="say how much of the finished calls was recorded, and why not the rest",
        description="Adds up the calls that ended in a time, by day and rule: seconds talked, recorded, and missing by "
        "reason; then the calls of which something is missing that should not be. "
        f"That is more than {WORTH_S:g} s {', '.join(sorted(FAULTS))}. {TIME_WORDS}",
        epilog="Exit code: 0 nothing is missing that should not be, 1 something is, 2 it could not look.",
    )
    add_config_option(parser)
    add_json_option(parser)
    parser.add_argument("--from", dest="since", type=parse_when, metavar="TIME", help="default: a day before --until")
    parser.add_argument("--until", type=parse_when, metavar="TIME", help="ends before that (default: now)")
    parser.add_argument("--by", choices=("day", "rule"), help="sums by one of them alone (default: each day by rule)")
    parser.set_defaults(func=run)


@dataclass(slots=True)
class Report:
    """What is said of a time: sums, by day and rule too, and the calls that somebody has to look at."""

    since: datetime
    until: datetime
    totals: Tally = field(default_factory=Tally)
    days: dict[date, Tally] = field(default_factory=dict)
    faulty: list[CallCoverage] = field(default_factory=list)

    def add(self, call: CallCoverage) -> None:
        """One call more; its day is that of its end, in local time."""
        self.totals.add(call)
        self.days.setdefault(call.cdr.ended_at.astimezone().date(), Tally()).add(call)
        if call.faulty:
            self.faulty.append(call)


def run(args: argparse.Namespace) -> int:
    """Say it: 0 where nothing is missing that should not be, 1 where something is, 2 where it could not look."""
    try:
        return _run(args)
    except (RecbridgeError, PermissionError) as error:
        print(why(error), file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    config = load_config(config_path(args))
    until = args.until or datetime.now(UTC)
    report = Report(args.since or until - _DAY, until)
    if report.since > until:
        raise RecbridgeError("--from is after --until")
    items: list[CoverageItem] = []

    def take(numbered: Numbered) -> None:
        report.add(numbered[1])
        if args.json:
            items.append(coverage_item(*numbered))

    asyncio.run(_read(config, report, take))
    if args.json:
        said = {
            "from": epoch_ms(report.since),
            "until": epoch_ms(until),
            "total": report.totals.all.calls,
            "totals": totals_item(report.totals),
            "days": [{"day": day.isoformat(), **totals_item(one)} for day, one in sorted(report.days.items())],
            "items": items,
        }
        print(json.dumps(said, ensure_ascii=False, indent=2))
    elif report.totals.all.calls:
        # A caller chooses its number: nothing of it may steer the terminal.
        for line in lines(report, args.by):
            print("".join(char if char.isprintable() else "?" for char in line))
    else:
        print("no calls ended in that time", file=sys.stderr)
    return 1 if report.faulty else 0


async def _read(config: Config, report: Report, take: Callable[[Numbered], None]) -> None:
    async with opened(config) as store:
        async for numbered in covered(store, report.since, report.until):
            take(numbered)


def lines(report: Report, by: str | None = None) -> Iterator[str]:
    """The table, by day and rule or by one of them, and below it each call with its reasons."""
    yield from table(*_sums(report, by))
    if not report.faulty:
        return
    yield ""
    yield "Missing, and should not be:"
    for call in report.faulty:
        cdr = call.cdr
        who = f"{cdr.source_number or '?'} -> {cdr.destination_number or '?'}"
        began, ended = cdr.started_at.astimezone(), cdr.ended_at.astimezone()
        yield f"  {began:%Y-%m-%d %H:%M:%S} to {ended:%H:%M:%S}  {cdr.call_id}  {who}"
        for rule in call.rules:
            faults = {reason: seconds for reason, seconds in rule.reasons.items() if reason in FAULTS}
            if rule.fault_s > WORTH_S:
                yield f"    rule {_rule(rule.rule_id)}: {_words(faults)} of {_clock(rule.talked_s)}"
    yield ""
    yield "The log says what happened then; `recbridge explain` which rules hold for such a call."


def _sums(report: Report, by: str | None) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The heads, and the rows."""
    values = ("CALLS", "TALKED", "RECORDED", "MISSING")
    if by == "rule":
        rules = [(_rule(rule_id), *_row(sums)) for rule_id, sums in _by_rule(report.totals)]
        return ("RULE", *values), [("all", *_row(report.totals.all)), *rules]
    days = sorted(report.days.items())
    if by == "day":
        return ("DAY", *values), [(day.isoformat(), *_row(tally.all)) for day, tally in days]
    rows: list[tuple[str, ...]] = []
    for day, tally in days:
        rows.append((day.isoformat(), "all", *_row(tally.all)))
        rows += [("", _rule(rule_id), *_row(sums)) for rule_id, sums in _by_rule(tally)]
    return ("DAY", "RULE", *values), rows


def _by_rule(tally: Tally) -> list[tuple[RuleId | None, Sums]]:
    return sorted(tally.by_rule.items(), key=lambda item: -1 if item[0] is None else item[0])


def _row(sums: Sums) -> tuple[str, ...]:
    return str(sums.calls), _clock(sums.talked_s), _clock(sums.recorded_s), _words(sums.reasons)


def _rule(rule_id: RuleId | None) -> str:
    return "none" if rule_id is None else str(rule_id)


def _words(reasons: Mapping[Reason, float]) -> str:
    """What is less than half a second in all is left out.

    >>> _words({Reason.PAUSED: 75.2, Reason.STARTING: 0.3})
    'paused 0:01:15'
    """
    return ", ".join(f"{reason} {_clock(reasons[reason])}" for reason in Reason if reasons.get(reason, 0) >= 0.5)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
