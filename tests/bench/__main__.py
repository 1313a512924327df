"""`make bench`: runs the benchmarks, all or those named, and puts what they measured into tests/bench/RESULTS.md.

A figure is no test: nothing fails because it is slow. It needs a real Asterisk, and a machine that is otherwise idle.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from tests.bench import calls_view, first_word, report
from tests.network.asterisk import AsteriskError
from tests.network.chroot import NoAsteriskError

BENCHMARKS: dict[str, Callable[[int], Awaitable[report.Result]]] = {
    "calls_view": calls_view.run,
    "first_word": first_word.run,
}


async def run(names: list[str], rounds: int) -> None:
    """Run them one after the other."""
    for name in names:
        print(f"{name}: {rounds} rounds of each", flush=True)
        print(f"\n{report.write(await BENCHMARKS[name](rounds))}", flush=True)
    print(f"written to {report.RESULTS}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="of each side of a benchmark (5)")
    options = parser.parse_args()
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name}")
    try:
        asyncio.run(run(options.names or list(BENCHMARKS), options.rounds))
    except (NoAsteriskError, AsteriskError) as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
