"""`make demo`: an Asterisk of its own, the daemon with the shipped rules, three calls, a table of what came of them.

Everything runs on loopback, in a temporary folder and on free ports; nothing is left running, and with --oneshot the
files stay to be looked at. Without root or Debian
the same calls are acted by the simulator in `tests/simulator`.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from tests.demo.daemon import Daemon, DaemonError
from tests.network import tones
from tests.network.asterisk import AsteriskError
from tests.network.chroot import NoAsteriskError, ensure_chroot
from tests.network.network import Network
from tests.simulator.calls import inbound, inside, outbound
from tests.simulator.server import Simulator

_TALK_S = 4.0
_ENTRIES = 5  # alice and bob; bob who answered and carol who only rang; alice


def say(*words: object) -> None:
    """Print at once, also into a pipe."""
    print(*words, flush=True)


async def real_calls(net: Network) -> None:
    """Inside, inbound through the trunk into a queue, outbound; Bob is the first to answer."""
    await net.behave("carol", "ring")
    for title, place in (
        ("alice calls bob", net.call("alice", "102")),
        ("+4915112345 calls the queue `support`", net.inbound("+4915112345", name="Erika Muster")),
        ("alice calls 0301234567", net.call("alice", "0301234567")),
    ):
        say(f"  {title}, {_TALK_S:.0f} s …")
        call = await place
        await call.answered()
        await asyncio.sleep(_TALK_S)
        await call.hangup()


async def simulated_calls(simulator: Simulator) -> None:
    """The same three, acted."""
    for title, script in (
        ("alice calls bob", inside),
        ("+4915112345 calls the queue `support`", inbound),
        ("alice calls 0301234567", outbound),
    ):
        say(f"  {title}, {_TALK_S:.0f} s …")
        await script(simulator, _TALK_S)


async def pull_the_plug(daemon: Daemon, times: int, placing: "asyncio.Future[None]") -> None:
    """In as many of the calls kill the daemon (SIGKILL) once it records, and start it again."""
    told: set[str] = set()
    while len(told) < times and not placing.done():
        _, calls = await daemon.get("/api/v1/calls")
        recorded = [
            one["callId"] for one in calls["items"] if any(rule["state"] == "recording" for rule in one["rules"])
        ]
        if recorded and recorded[0] not in told:
            told.add(recorded[0])
            await asyncio.sleep(1)  # the longer it has run, the more there is to lose
            await daemon.kill()
            say("  the daemon is killed …")
            await daemon.start()
            say("  … and is up again")
        await asyncio.sleep(0.1)


async def rows(daemon: Daemon) -> list[tuple[str, ...]]:
    """A line for each section: who with whom, which rule, how long, who is heard, where the WAV lies."""
    found: dict[str, Mapping[str, Any]] = {}
    for entry in await daemon.journal(_ENTRIES):
        if entry["recordId"] and (entry["connected"] or entry["recordId"] not in found):
            found[entry["recordId"]] = entry
    table: list[tuple[str, ...]] = []
    for record_id, entry in sorted(found.items()):
        other = entry["number"] + (f" ({entry['name']})" if entry["name"] else "")
        here = f"{entry['extension']} ({entry['userName']})"
        via = f" via {entry['via']} {entry['viaDetails']}" if entry["via"] else ""
        who = f"{other} → {here}{via}" if entry["inbound"] else f"{here} → {other}"
        for one in await daemon.records(record_id):
            name = f"{record_id}_{one['ruleId']}_{one['file']:03d}.wav"
            path = next(daemon.spool.rglob(name), None)
            heard = ", ".join(sorted(tones.who(path))) if path is not None else "no file"
            table.append((who, str(one["ruleId"]), f"{one['duration']:.1f} s", one["state"], heard, str(path)))
    return table


def print_table(table: list[tuple[str, ...]]) -> None:
    """Print the rows under their headings."""
    heading = ("who called whom", "rule", "length", "state", "heard", "WAV")
    widths = [max(len(row[column]) for row in [heading, *table]) for column in range(len(heading))]
    say()
    for row in [heading, tuple("─" * width for width in widths), *table]:
        say("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


async def show(daemon: Daemon) -> int:
    """Print what came of the calls and how to look further; the exit code."""
    table = await rows(daemon)
    print_table(table)
    say()
    say(f"  look   {daemon.url}/ in a browser: sign in with the token")
    say(f"  token  {daemon.token}")
    say(f'  try    curl -H "Authorization: Bearer {daemon.token}" "{daemon.url}/api/v1/journal?identity=*"')
    good = [row for row in table if row[3] == "stored" and "," in row[4]]
    if len(good) == 3:
        return 0
    say(f"  of three calls {len(good)} are recorded with both parties; the log is {daemon.work / 'daemon.log'}")
    return 1


async def run(*, oneshot: bool, pulls: int) -> int:
    """The demo, from start to Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = Path(tempfile.mkdtemp(prefix="recbridge-demo-"))
    try:
        return await network_and_calls(work, stop, oneshot=oneshot, pulls=pulls)
    finally:
        if not oneshot:
            shutil.rmtree(work, ignore_errors=True)


async def network_and_calls(work: Path, stop: asyncio.Event, *, oneshot: bool, pulls: int) -> int:
    """The real network where it can be had, else the simulator; the exit code."""
    try:
        say("Asterisk: looking for one of our own, or building it (half a minute the first time) …")
        await asyncio.to_thread(ensure_chroot)
    except NoAsteriskError as error:
        say(f"No real Asterisk here: {error}. The built-in simulator acts the calls instead.")
        async with Simulator(spool=work / "spool") as simulator:
            daemon = Daemon(work / "bridge", simulator.port, work / "spool")
            return await act(daemon, simulated_calls(simulator), stop, oneshot=oneshot, pulls=pulls)
    async with Network(work=work / "net") as net:
        daemon = Daemon(work / "bridge", net.pbx_ami_port, net.spool)
        return await act(daemon, real_calls(net), stop, oneshot=oneshot, pulls=pulls)


async def act(
    daemon: Daemon, calls: Coroutine[Any, Any, None], stop: asyncio.Event, *, oneshot: bool, pulls: int
) -> int:
    """Run the daemon, place the calls, show the table, and stay up unless told not to."""
    async with daemon:
        say(f"recbridge is up; its console: {daemon.url}/ (sign in with the token {daemon.token})")
        placing = asyncio.ensure_future(calls)
        pulling = asyncio.ensure_future(pull_the_plug(daemon, pulls, placing))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({placing, stopped}, return_when="FIRST_COMPLETED")
        if not placing.done():
            placing.cancel()
            pulling.cancel()
            await asyncio.gather(placing, pulling, return_exceptions=True)
            return 130
        placing.result()
        await pulling
        code = await show(daemon)
        if oneshot:
            say(f"\nNothing is left running; the files are still in {daemon.work.parent}.")
        else:
            say("\nCtrl-C ends it, and leaves nothing running.")
            await stop.wait()
        stopped.cancel()
        return code


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--oneshot", action="store_true", help="end after the table")
    parser.add_argument("--pull", type=int, default=0, metavar="N", help="kill the daemon in N of the three calls")
    options = parser.parse_args()
    try:
        code = asyncio.run(run(oneshot=options.oneshot, pulls=min(options.pull, 3)))
    except (AsteriskError, DaemonError) as error:
        sys.exit(f"demo: {error}")
    sys.exit(code)


if __name__ == "__main__":
    main()
