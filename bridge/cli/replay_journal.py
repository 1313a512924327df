"""`recbridge replay --since 7d --rules DIR`: what other rules would have done with the calls in the journal."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from bridge.cli.database import opened
from bridge.cli.explain_call import rules_instead
from bridge.cli.options import config_path
from bridge.config import Config, load_config
from bridge.core.comparing import CallDifference, Difference, Kind, RuleSums, call_item, differences, totals_item
from bridge.core.errors import RecbridgeError
from bridge.core.ids import RuleId
from bridge.core.rules import RuleSet
from bridge.core.views import epoch_ms

_ROW = "{:>9}  {:<19}  {:<22}  {:<32}  {}"


def run(args: argparse.Namespace) -> int:
    """Compare and print. Raises RecbridgeError."""
    config = load_config(config_path(args))
    rules = rules_instead(args)
    if rules is None:
        raise RecbridgeError("--since needs --rules: the rules to compare with what happened")
    until: datetime = args.until or datetime.now(UTC)
    if args.since > until:
        raise RecbridgeError("--since is after --until")
    return asyncio.run(_compare(args, rules, until, config))


async def _compare(args: argparse.Namespace, rules: RuleSet, until: datetime, config: Config) -> int:
    by_id = {placed.rule.id: placed.rule for placed in rules.rules}
    totals = Difference()
    said = _Json(args.since, until) if args.json else _Table()
    async with opened(config) as store:
        async for call in differences(store, rules, args.since, until):
            totals.add(call, by_id)
            if args.all or call.kind is not Kind.SAME:
                said.add(call)
    said.end(totals, {rule_id: rule.name for rule_id, rule in by_id.items()})
    return 0


class _Json:
    """Each call as it is found, so that a year of calls takes no memory."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._between = ""
        sys.stdout.write(f'{{"from": {epoch_ms(since)}, "until": {epoch_ms(until)}, "items": [')

    def add(self, call: CallDifference) -> None:
        sys.stdout.write(f"{self._between}\n{json.dumps(call_item(call), ensure_ascii=False)}")
        self._between = ","

    def end(self, totals: Difference, _: Mapping[RuleId, str]) -> None:
        sys.stdout.write(f'],\n"totals": {json.dumps(totals_item(totals), ensure_ascii=False)}}}\n')


class _Table:
    """A line for each call, in columns of fixed widths."""

    def __init__(self) -> None:
        self._any = False

    def add(self, call: CallDifference) -> None:
        if not self._any:
            print(_ROW.format("CALL", "BEGAN", "DIFFERENCE", "WHO", "RULES"))
        self._any = True
        cdr = call.cdr
        who = f"{cdr.source_identity or cdr.source_number or '?'} -> "
        who += cdr.destination_identity or cdr.destination_number or "?"
        began = f"{cdr.started_at.astimezone():%Y-%m-%d %H:%M:%S}"
        _print(_ROW.format(call.number, began, call.kind, who, _rules(call)))

    def end(self, totals: Difference, names: Mapping[RuleId, str]) -> None:
        for line in _total_lines(totals, names):
            _print(line)


def _print(line: str) -> None:
    # A caller chooses its name: nothing of it may steer the terminal.
    print("".join(char if char.isprintable() else "?" for char in line).rstrip())


def _rules(call: CallDifference) -> str:
    words = [f"-{rule_id} {_clock(one)}" for rule_id, one in call.before.items() if rule_id not in call.now]
    words += [f"+{rule_id} {_clock(one)}" for rule_id, one in call.now.items() if rule_id not in call.before]
    for rule_id in call.before.keys() & call.now.keys():
        before, now = call.before[rule_id], call.now[rule_id]
        words.append(f"{rule_id} {_clock(before)}" + (f" to {_clock(now)}" if round(now - before) else ""))
    words += [f"rule {rule_id}: {', '.join(sorted(names))} not judged" for rule_id, names in call.not_judged.items()]
    return "; ".join([*words, *([f"{call.unknown} talks not known"] if call.unknown else [])])


def _total_lines(totals: Difference, names: Mapping[RuleId, str]) -> Iterator[str]:
    same = totals.kinds.get(Kind.SAME, 0)
    yield f"{totals.calls:,} calls, of {totals.calls - same:,} something differs" + "".join(
        f"; {count:,} {kind}" for kind, count in totals.kinds.items() if kind is not Kind.SAME
    )
    rules = sorted({*totals.before, *totals.now})
    if rules:
        row = "{:>6}  {:<24}  {:>9} {:>12} {:>10}    {:>9} {:>12} {:>10}"
        yield row.format("RULE", "NAME", "CALLS", "THEN", "DISK", "CALLS", "NOW", "DISK")
        for rule_id in rules:
            before, now = totals.before.get(rule_id, RuleSums()), totals.now.get(rule_id, RuleSums())
            yield row.format(rule_id, names.get(rule_id, "")[:24], *_sums(before), *_sums(now))
    if totals.unknown:
        yield (
            f"{totals.unknown:,} calls have talks of which it is not known what rules could have been asked: they were "
            "before recbridge kept that, and are not counted"
        )
    for (rule_id, name), count in sorted(totals.not_judged.items()):
        yield f"rule {rule_id} wants {name}, which was not kept: in {count:,} calls it may have matched"


def _sums(sums: RuleSums) -> tuple[str, str, str]:
    return f"{sums.calls:,}", _clock(sums.seconds), f"{sums.size_bytes / 1e6:,.1f} MB"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
