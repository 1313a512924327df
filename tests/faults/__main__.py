"""`make test-faults`: hundreds of kills, every other fault, and the table of what was kept of it.

`python -m tests.faults --kills 200 --times 3`; `--only WORD` takes the rows with that word in their names.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import report
from tests.faults.faults import FAULTS
from tests.faults.injected import inject
from tests.faults.kills import kill
from tests.faults.scenarios import SCENARIOS

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
BEGIN, END = "<!-- faults -->\n", "<!-- /faults -->"


async def main() -> int:
    """Run all, print the table and what went wrong, write it; 1 where anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--times", type=int, default=1, help="how often each other fault is injected")
    parser.add_argument("--lanes", type=int, default=3, help="networks side by side")
    parser.add_argument("--seed", type=int, default=1, help="of the steps at which a daemon that came back is killed")
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--suite", default=os.environ.get("RECBRIDGE_SUITE", "sid"))
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="rb-faults-"))
    began = time.monotonic()
    rows, bad = [], []
    scenarios = [one for one in SCENARIOS if options.only in f"SIGKILL of recbridge: {one.name}"]
    if scenarios and options.kills:
        killed = await kill(
            work / "k", options.kills, scenarios, lanes=options.lanes, seed=options.seed, suite=options.suite, say=say
        )
        rows += [report.Row.of(f"SIGKILL of recbridge: {one.name}", *killed.account(one)) for one in scenarios]
        bad += list(map(str, killed.bad))
    faults = [one for one in FAULTS if options.only in one.name]
    if faults and options.times:
        injected = await inject(
            work / "f", faults, times=options.times, lanes=options.lanes, suite=options.suite, say=say
        )
        rows += [report.Row.of(*row) for row in injected.rows()]
        bad += list(map(str, injected.bad))
    table = report.table(rows, time.monotonic() - began)
    say(f"\n{table}")
    for one in bad:
        say(one)
    if not options.only:
        write(table)
    say(f"the logs of what went wrong are in {work}" if bad else "nothing was lost")
    return 1 if bad else 0


def write(table: str) -> None:
    """Put the table in the place of the one before."""
    head, begin, rest = CONTRIBUTING.read_text().partition(BEGIN)
    before, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{CONTRIBUTING} has no place for the table: {before[:40]}")
    CONTRIBUTING.write_text(f"{head}{BEGIN}{table}{END}{tail}")


def say(words: str) -> None:
    """Print at once, also into a pipe."""
    print(words, flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
