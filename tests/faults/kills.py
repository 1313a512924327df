"""SIGKILL at each step of a section's life, as an undisturbed run shows them; each time compared with that run."""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.account import Account
from tests.faults.scenarios import SCENARIOS
from tests.faults.seen import Seen
from tests.faults.stage import Bench, Outcome, Scenario, run
from tests.faults.victim import Kill
from tests.network.network import Network

LANES = 3
_AGAIN = 3
"""Every so many kills the daemon that comes back is killed, too, at some step."""
_LATER_STEPS = 90


@dataclass(frozen=True, slots=True)
class Done:
    """One run with its kills."""

    scenario: Scenario
    kills: Sequence[Kill]
    outcome: Outcome

    def __str__(self) -> str:
        met = f"{self.scenario.name}, killed at {' and '.join(map(str, self.kills))}"
        return "\n".join([met, *(f"  {fault}" for fault in self.outcome.faults)])


@dataclass(slots=True)
class Report:
    """All runs. `unmet` are kills whose step did not come: what happens at once may come in another order."""

    done: list[Done] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(one.outcome.kills for one in self.done)

    @property
    def bad(self) -> list[Done]:
        return [one for one in self.done if one.outcome.faults]

    def account(self, scenario: Scenario) -> tuple[int, Account]:
        """Kills and account of all runs of a scenario."""
        total, kills = Account(), 0
        for one in self.done:
            if one.scenario is scenario:
                total.add(one.outcome.account)
                kills += one.outcome.kills
        return kills, total


def steps_to_kill_at(steps: Sequence[str]) -> list[str]:
    """Every step, but of the many alike in which a connection is set up the first ones only."""
    return [step for step in steps if not step.startswith("Filter ") or step.endswith("#1")]


async def kill(work: Path, many: int, scenarios: Sequence[Scenario] = SCENARIOS, *, lanes: int = LANES,
               seed: int = 1, suite: str = "sid", say: Callable[[str], None] | None = None) -> Report:  # fmt: skip
    """Play each scenario undisturbed, and then again with `many` kills in all, spread evenly over their steps."""
    chance = random.Random(seed)
    report = Report()
    waiting: asyncio.Queue[tuple[Scenario, list[Kill]]] = asyncio.Queue()
    for scenario in scenarios:
        waiting.put_nowait((scenario, []))
    undisturbed: dict[str, Seen] = {}
    steps: dict[str, list[str]] = {}
    planned = False
    numbers = itertools.count(1)

    async def lane(number: int) -> None:
        nonlocal planned
        async with Network(work=work / f"net{number}", suite=suite) as net:
            bench = await Bench.make(net, work / f"token{number}")
            while not waiting.empty() or not planned:
                if waiting.empty():
                    if len(report.done) == len(scenarios) and not planned:
                        planned = True
                        for plan in _plans(scenarios, steps, many, chance):
                            waiting.put_nowait(plan)
                    await asyncio.sleep(0.05)
                    continue
                scenario, kills = waiting.get_nowait()
                folder = work / f"{next(numbers):03d}-{scenario.name.replace(' ', '-')}"
                outcome = await run(bench, folder, scenario, kills, undisturbed.get(scenario.name))
                done = Done(scenario, kills, outcome)
                if not kills and outcome.seen is not None:
                    undisturbed[scenario.name] = outcome.seen
                    steps[scenario.name] = steps_to_kill_at(outcome.steps[scenario.life])
                report.done.append(done)
                if say is not None:
                    state = ": not met" if kills and outcome.kills < len(kills) else ": ok"
                    say(f"{done}{f'  [{folder}]' if outcome.faults else state}")

    async with asyncio.TaskGroup() as group:
        for number in range(lanes):
            group.create_task(lane(number), name=f"lane {number}")
    return report


def _plans(scenarios: Sequence[Scenario], steps: dict[str, list[str]], many: int, chance: random.Random,
           ) -> Iterator[tuple[Scenario, list[Kill]]]:  # fmt: skip
    """Each scenario in turn, at steps that lie evenly over its life."""
    share = -(-many // len(scenarios))
    of_each = {
        scenario.name: [all_[(index * len(all_) + len(all_) // 2) // share] for index in range(min(share, len(all_)))]
        for scenario in scenarios
        if (all_ := steps.get(scenario.name, []))
    }
    count = 0
    for index in range(share):
        for scenario in scenarios:
            if count < many and index < len(of_each.get(scenario.name, [])):
                count += 1
                kills = [Kill(scenario.life, at=of_each[scenario.name][index])]
                if count % _AGAIN == 0:
                    kills.append(Kill(scenario.life + 1, after=chance.randint(1, _LATER_STEPS)))
                yield scenario, kills
