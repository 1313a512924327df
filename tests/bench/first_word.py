"""How long a talk runs before its recording does, with 50 calls at once and 10 new ones a second.

From the second party's BridgeEnter to MixMonitorStart, by Asterisk's clock, as a third AMI session sees both. The
daemon with one rule, record always everything, against `peer`, which decides nothing and keeps nothing; on the same
Asterisk, in rounds by turns, with the same calls in both rounds of a pair. Between the two events lie the manager's
own delivery and MixMonitor's start, which nobody can save, and then what one does oneself.
"""

import asyncio
import contextlib
import os
import random
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.bench import cpu
from tests.bench.load import Load
from tests.bench.report import Result
from tests.bench.talks import Talk, at_once, talks
from tests.demo.daemon import Daemon
from tests.network.network import Network

TITLE = "a talk's recording begins within one RTP packet (20 ms) of its second BridgeEnter"
A_SECOND, AT_ONCE = 10.0, 50
WITHIN_MS = 20.0
_COUNTED = 150  # talks of a round that count, after the first AT_ONCE

_Starter = Callable[[Network, Path], AbstractAsyncContextManager[int]]


@dataclass(frozen=True, slots=True)
class Round:
    """What one round measured. `counted` are its talks but for those of the beginning; shares are of one processor.

    `cpu_others` is of everything that has nothing to do with the benchmark.
    """

    counted: Sequence[Talk]
    fewest_at_once: int
    cpu: float
    cpu_pbx: float
    cpu_others: float

    @property
    def waits_ms(self) -> list[float]:
        """From each talk's beginning to its recording."""
        return [wait for talk in self.counted if (wait := talk.wait_ms) is not None]


@contextlib.asynccontextmanager
async def daemon(net: Network, work: Path) -> AsyncIterator[int]:
    """The daemon beside the PBX; gives its process id."""
    rules = work / "rules"
    rules.mkdir(parents=True)
    (rules / "all.yml").write_text("rules:\n  - {id: 1, name: Everything, record: always}\n")
    async with Daemon(work, net.pbx_ami_port, net.spool, rules=rules) as running:
        yield running.pid


@contextlib.asynccontextmanager
async def peer(net: Network, work: Path) -> AsyncIterator[int]:
    """The bare client beside the PBX; gives its process id."""
    where = (str(net.pbx_ami_port), net.bridge_user, net.bridge_secret, str(net.spool / work.name))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.peer", *where, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            if await process.stdout.readline() != b"ready\n":
                raise RuntimeError("the peer did not start; what it said stands above")
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def play(net: Network, start: _Starter, work: Path, load: Load) -> Round:
    """One round: start it, place the calls, read Asterisk's events."""
    pbx = net.asterisks[0].pid
    assert pbx is not None
    loop = asyncio.get_running_loop()
    began: list[float] = []
    async with start(net, work) as pid:
        since = net.pbx.mark

        def used() -> list[float]:
            others = cpu.busy_s() - cpu.used_s(os.getpid())
            return [loop.time(), cpu.used_s(pid), cpu.used_s(pbx), others]

        def measure() -> None:
            began[:] = used()

        await load.place(net, measure)
        passed, *times = (after - before for after, before in zip(used(), began, strict=True))
        await net.idle()
    found = talks(net.pbx.events(since))
    if len(found) != load.count:
        raise RuntimeError(f"{load.count} calls were placed, and Asterisk told of {len(found)} talks")
    counted = found[load.at_once :]
    if not any(talk.recorded_s for talk in counted):
        raise RuntimeError("nothing was recorded")
    return Round(counted, min(at_once(found, talk.began_s) for talk in counted), *(one / passed for one in times))


async def run(rounds: int) -> Result:
    """So many rounds of each, in pairs; who comes first in a pair is chance."""
    chance = random.Random()
    played: dict[str, list[Round]] = {"daemon": [], "peer": []}
    starters: dict[str, _Starter] = {"daemon": daemon, "peer": peer}
    with tempfile.TemporaryDirectory(prefix="recbridge-bench-") as folder:
        async with Network() as net:
            await prepare(net)
            version = net.cli("core show version").split(" built")[0].strip()
            for number in range(rounds):
                seed = chance.getrandbits(32)
                for who in chance.sample(list(starters), 2):
                    load = Load(A_SECOND, AT_ONCE, AT_ONCE + _COUNTED, seed)
                    one = await play(net, starters[who], Path(folder) / f"{who}-{number}", load)
                    played[who].append(one)
                    said = f"  {who:<6}  {' · '.join(_figures(one.waits_ms))} ms"
                    said += f"  (others on this machine: {100 * one.cpu_others:.0f} %)"
                    print(said, flush=True)
    return _result(played, version)


async def prepare(net: Network) -> None:
    """Phones that answer at once, and test sessions that hear no more than they must: they use the same processors."""
    await net.behave("bob", "answer", after_s=0)
    for ami, names in (
        (net.pbx, ("BridgeEnter", "MixMonitorStart", "Hangup")),
        (net.phones, ("OriginateResponse", "Hangup")),
    ):
        for name in names:
            await ami.action("Filter", Operation="Add", MatchCriteria=f"name({name})")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return float(np.percentile(values, share, method="higher"))


def _figures(waits: Sequence[float]) -> list[str]:
    return [f"{value:.2f}" for value in (statistics.median(waits), percentile(waits, 99), max(waits))]


def _result(played: dict[str, list[Round]], version: str) -> Result:
    ours, theirs = played["daemon"], played["peer"]

    def row(title: str, unit: str, figure: Callable[[Round], float], digits: int) -> Sequence[str]:
        left, right = (statistics.median(map(figure, rounds)) for rounds in (ours, theirs))
        ratio = statistics.median(
            figure(a) / figure(b) if figure(b) else np.inf for a, b in zip(ours, theirs, strict=True)
        )
        return (
            title,
            f"{left:.{digits}f}{unit}",
            f"{right:.{digits}f}{unit}",
            f"{left - right:+.{digits}f}{unit}",
            f"{ratio:.1f}",
        )

    def total(title: str, count: Callable[[Talk], bool]) -> Sequence[str]:
        sums = [sum(count(talk) for one in rounds for talk in one.counted) for rounds in (ours, theirs)]
        return (title, *map(str, sums), "", "")

    talked = sum(len(one.counted) for one in ours)
    fewest = min(one.fewest_at_once for one in (*ours, *theirs))
    longest = [max(wait for one in rounds for wait in one.waits_ms) for rounds in (ours, theirs)]
    return Result(
        name="first_word",
        title=TITLE,
        asterisk=version,
        rows=(
            ("", "daemon", "peer", "difference", "ratio"),
            row("median", " ms", lambda one: statistics.median(one.waits_ms), 2),
            row("99th percentile", " ms", lambda one: percentile(one.waits_ms, 99), 2),
            row("maximum", " ms", lambda one: max(one.waits_ms), 2),
            ("longest of all rounds", *(f"{value:.2f} ms" for value in longest), "", ""),
            total(f"within {WITHIN_MS:.0f} ms, of {talked}", lambda talk: (talk.wait_ms or np.inf) <= WITHIN_MS),
            total("never recorded", lambda talk: not talk.recorded_s),
            total("recorded more than once", lambda talk: len(talk.recorded_s) > 1),
            row("processor, its own", " %", lambda one: 100 * one.cpu, 1),
            row("processor, the PBX's", " %", lambda one: 100 * one.cpu_pbx, 1),
            row("processor, others' on this machine", " %", lambda one: 100 * one.cpu_others, 1),
        ),
        notes=(
            f"Medians of {len(ours)} rounds each, by turns; ratios are the medians over the pairs of rounds.",
            f"A round counts {_COUNTED} talks, {A_SECOND:.0f} new ones a second, {fewest} or more at once.",
            "The peer is tests/bench/peer.py: it starts one MixMonitor for each talk and does nothing else.",
            "100 % is one processor; both Asterisks, the calls and whoever is measured share the machine.",
        ),
    )
