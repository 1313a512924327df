"""Injects faults on several networks side by side, and adds up what was kept."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.account import Account
from tests.faults.disk_faults import SIZE
from tests.faults.faults import Fault
from tests.faults.stage import Bench, Outcome, Scenario, run
from tests.network.network import Network
from tests.storage.mounted import can_mount, tmpfs


@dataclass(frozen=True, slots=True)
class Done:
    """One fault, injected once."""

    fault: Fault
    scenario: Scenario
    outcome: Outcome

    def __str__(self) -> str:
        met = f"{self.fault.name}: {self.scenario.name}"
        return "\n".join([met, *(f"  {fault}" for fault in self.outcome.faults)])


@dataclass(slots=True)
class Injected:
    """All runs."""

    done: list[Done] = field(default_factory=list)

    @property
    def bad(self) -> list[Done]:
        return [one for one in self.done if one.outcome.faults]

    def rows(self) -> list[tuple[str, int, Account]]:
        """The faults in their order of coming, how often each was injected, and the account of all its runs."""
        found: dict[str, tuple[int, Account]] = {}
        for one in sorted(self.done, key=lambda one: one.fault.number):
            times, account = found.setdefault(one.fault.name, (0, Account()))
            account.add(one.outcome.account)
            found[one.fault.name] = (times + 1, account)
        return [(name, times, account) for name, (times, account) in found.items()]


async def inject(
    work: Path,
    faults: Sequence[Fault],
    *,
    times: int = 1,
    lanes: int = 2,
    suite: str = "sid",
    say: Callable[[str], None] | None = None,
) -> Injected:
    """Each scenario of each fault so many times; the longest first, those with a small disk in a lane of their own."""
    everything = [(fault, scenario) for fault in faults for scenario in fault.scenarios] * times
    waiting = sorted((one for one in everything if not one[0].small), key=lambda one: not one[0].slow)
    small = [one for one in everything if one[0].small and can_mount()]
    report, numbers = Injected(), itertools.count(1)

    async def lane(net: Network, name: str, turns: list[tuple[Fault, Scenario]]) -> None:
        async with net:
            bench = await Bench.make(net, work / f"token-{name}")
            while turns:
                fault, scenario = turns.pop(0)
                folder = work / f"{next(numbers):03d}"
                done = Done(fault, scenario, await run(bench, folder, scenario))
                report.done.append(done)
                if say is not None:
                    say(f"{done}{f'  [{folder}]' if done.outcome.faults else ': ok'}")

    async def small_lane() -> None:
        (work / "small" / "spool").mkdir(parents=True)
        with tmpfs(work / "small" / "spool", SIZE):
            await lane(Network(work=work / "small", suite=suite), "small", small)

    async with asyncio.TaskGroup() as group:
        if small:
            group.create_task(small_lane(), name="small lane")
        for number in range(min(lanes - bool(small), len(waiting))):
            net = Network(work=work / f"net{number}", suite=suite)
            group.create_task(lane(net, str(number), waiting), name=f"lane {number}")
    return report
