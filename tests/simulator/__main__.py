"""The simulator by itself: `python -m tests.simulator --port 5038 --spool /tmp/spool`; it acts calls until Ctrl-C."""

import argparse
import asyncio
import contextlib
from pathlib import Path

from tests.simulator import calls
from tests.simulator.clock import RunningClock
from tests.simulator.server import Simulator


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of AMI on 127.0.0.1; any free one by default")
    parser.add_argument("--spool", type=Path, required=True, help="the folder below which WAVs may be written")
    parser.add_argument("--username", default="bridge")
    parser.add_argument("--secret", default="bridge-secret")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast as real calls")
    parser.add_argument("--talk", type=float, default=10.0, help="seconds of talk in each call")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two calls")
    parser.add_argument("--deny", action="store_true", help="the user lacks `system`: MixMonitor is denied")
    given = parser.parse_args()
    clock = RunningClock(given.speed)
    async with Simulator(
        given.spool.absolute(),
        given.username,
        given.secret,
        may_record=not given.deny,
        port=given.port,
        clock=clock,
    ) as simulator:
        print(f"AMI on 127.0.0.1:{simulator.port}, user {given.username}", flush=True)  # noqa: T201 - its whole output
        while True:
            for act in (calls.inside, calls.inbound, calls.outbound):
                await clock.sleep(given.pause)
                await act(simulator, given.talk)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
