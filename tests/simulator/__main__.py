"""The simulator by itself: `python -m tests.simulator --port 5038 --spool /tmp/spool`; it acts calls until Ctrl-C.

With `--replay FILE.ami` it plays captures instead, once, as soon as somebody has logged in.
"""

import argparse
import asyncio
import contextlib
import time
from pathlib import Path

from tests.simulator import calls
from tests.simulator.clock import RunningClock
from tests.simulator.replay import Capture, play
from tests.simulator.server import Simulator


def _speed(text: str) -> float | None:
    return None if text == "max" else float(text)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of AMI on 127.0.0.1; any free one by default")
    parser.add_argument("--spool", type=Path, required=True, help="the folder below which WAVs may be written")
    parser.add_argument("--username", default="bridge")
    parser.add_argument("--secret", default="bridge-secret")
    parser.add_argument("--speed", type=_speed, default=1.0, help="how many times as fast as real calls, or max")
    parser.add_argument("--talk", type=float, default=10.0, help="seconds of talk in each call")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two calls")
    parser.add_argument("--deny", action="store_true", help="the user lacks `system`: MixMonitor is denied")
    parser.add_argument(
        "--replay", type=Path, action="append", default=[], metavar="FILE.ami", help="play this capture"
    )
    parser.add_argument("--copies", type=int, default=1, help="so many of it at once, with other ids")
    parser.add_argument("--no-wav", action="store_true", help="MixMonitor says Success and writes nothing")
    given = parser.parse_args()
    if given.speed is None and not given.replay:
        parser.error("--speed max is for --replay")
    clock = RunningClock(given.speed or 1.0)
    async with Simulator(
        given.spool.absolute(),
        given.username,
        given.secret,
        may_record=not given.deny,
        port=given.port,
        clock=clock,
    ) as simulator:
        print(f"AMI on 127.0.0.1:{simulator.port}, user {given.username}", flush=True)  # noqa: T201 - its output
        simulator.pbx.writes = not given.no_wav
        if given.replay:
            await replay(simulator, [Capture.read(path) for path in given.replay], given.copies, given.speed is None)
        while True:
            for act in (calls.inside, calls.inbound, calls.outbound):
                await clock.sleep(given.pause)
                await act(simulator, given.talk)


async def replay(simulator: Simulator, captures: list[Capture], copies: int, at_once: bool) -> None:
    """Play them once; then there is only AMI, until Ctrl-C."""
    await simulator.logged_in.wait()
    began = time.monotonic()
    sent = await play(simulator, captures, copies=copies, at_once=at_once, now=True)
    print(f"{sent} events in {time.monotonic() - began:.3f} s", flush=True)  # noqa: T201 - its output
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
