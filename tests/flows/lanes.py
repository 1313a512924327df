"""Plays flows side by side: a few lanes, each with a telephone network and a daemon of its own, in one thread.

A lane plays its flows one after the other; flows of one kind are in one lane, in their order. A flow that goes wrong
has its own error, and the next one gets a network anew, as does the first one with other rules.
"""

import asyncio
import contextlib
import threading
import time
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.demo.daemon import Daemon, DaemonError
from tests.flows.catalogue import PBX_EXTRA, PHONES_EXTRA
from tests.flows.flow import Flow
from tests.flows.oracle import observe
from tests.flows.rules import RuleBook, covered
from tests.flows.truth import Truth
from tests.flows.verdict import Found, Verdict, find, judge, one_record_each
from tests.network.network import Network

LANES = 4
"""145 flows and 8 without Carol take 195 s in 4 lanes, no packet too late; with 6 one was (measured, 2 cores)."""
FLOW_S = 90.0
"""A flow that takes longer hangs; the longest takes some 20 s."""
_FINAL = ("stored", "failed", "lost")
_END = "RECBRIDGE_FLOW_END"


@dataclass(frozen=True, slots=True)
class Turn:
    """A flow, and the rules with which it is played."""

    flow: Flow
    rules: RuleBook

    @property
    def name(self) -> str:
        """`blind-by-callee`, `blind-by-callee, never`."""
        return ", ".join(filter(None, (self.flow.name, self.rules.name)))

    @property
    def group(self) -> str:
        """Those of one group are played in one lane: of the many a kind, of the few with other rules all."""
        return self.rules.name or self.flow.kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a flow: a verdict for each rule, or the error that kept it from them.

    `verdicts` go by the rule's id; `story` helps to see what happened.
    """

    verdicts: Mapping[int, Verdict] = field(default_factory=dict)
    error: BaseException | None = None
    story: str = ""


@dataclass(slots=True)
class _Stage:
    net: Network
    daemon: Daemon
    rules: RuleBook
    seen: set[str]  # records of earlier flows


class Lanes:
    """Started once with everything that is wanted; `outcome` waits for one of them, from any thread."""

    def __init__(self, turns: Sequence[Turn], work: Path, *, suite: str = "sid", lanes: int = LANES) -> None:
        self._plan = _plan(turns, lanes)
        self._work = work
        self._suite = suite
        self._outcomes: dict[str, Outcome] = {}
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._main, name="flows", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._stopping = False
        self._playing: set[asyncio.Task[Outcome]] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the flows that still run, but let the networks and daemons go in order."""
        self._stopping = True
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop may just have closed
                self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._playing])
            self._thread.join()

    def outcome(self, turn: Turn) -> Outcome:
        """What came of it, as soon as that is known; TimeoutError when for long nothing came of any flow."""
        with self._news:
            known = len(self._outcomes)
            until = time.monotonic() + 3 * FLOW_S
            while turn.name not in self._outcomes:
                if not self._thread.is_alive():
                    raise RuntimeError(f"{turn.name}: the lanes have ended without it")
                if not self._news.wait(timeout=1.0) and time.monotonic() > until:
                    raise TimeoutError(f"{turn.name}: nothing came of any flow for {3 * FLOW_S:.0f} s")
                if len(self._outcomes) > known:
                    known, until = len(self._outcomes), time.monotonic() + 3 * FLOW_S
            return self._outcomes[turn.name]

    def outcomes(self) -> Mapping[str, Outcome]:
        """What is known so far."""
        with self._news:
            return dict(self._outcomes)

    # -- in the thread

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._all())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number, turns in enumerate(self._plan, 1):
                group.create_task(self._lane(number, list(turns)), name=f"lane {number}")

    async def _lane(self, number: int, waiting: list[Turn]) -> None:
        attempt = 0
        while waiting and not self._stopping:
            attempt += 1
            turn = waiting[0]
            try:
                async with _stage(self._work / f"{number}-{attempt}", turn.rules, self._suite) as stage:
                    while waiting and not self._stopping and waiting[0].rules is stage.rules:
                        turn = waiting[0]
                        outcome = await self._play(stage, turn)
                        self._tell(waiting.pop(0), outcome)
                        if outcome.error is not None:
                            break
            except Exception as error:  # whatever it is, it is that flow's outcome
                if waiting and waiting[0] is turn:
                    self._tell(waiting.pop(0), Outcome(error=error, story=traceback.format_exc()))

    async def _play(self, stage: _Stage, turn: Turn) -> Outcome:
        task = asyncio.create_task(_take(stage, turn.flow), name=turn.name)
        self._playing.add(task)
        try:
            await asyncio.wait({task})
            return Outcome(error=asyncio.CancelledError()) if task.cancelled() else task.result()
        finally:
            self._playing.discard(task)

    def _tell(self, turn: Turn, outcome: Outcome) -> None:
        with self._news:
            self._outcomes[turn.name] = outcome
            self._news.notify_all()


def _plan(turns: Sequence[Turn], lanes: int) -> list[list[Turn]]:
    """Whole groups, the largest first, each to the lane that has least to do."""
    groups: dict[str, list[Turn]] = {}
    for turn in turns:
        groups.setdefault(turn.group, []).append(turn)
    plan: list[list[Turn]] = [[] for _ in range(min(lanes, len(groups)))]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(plan, key=len).extend(group)
    return plan


@asynccontextmanager
async def _stage(work: Path, rules: RuleBook, suite: str) -> AsyncIterator[_Stage]:
    folder = work / "rules"
    folder.mkdir(parents=True)
    (folder / "10-flows.yml").write_text(rules.yaml)
    async with Network(suite=suite, pbx_extra=PBX_EXTRA, phones_extra=PHONES_EXTRA) as net, AsyncExitStack() as stack:
        daemon = Daemon(work / "bridge", net.pbx_ami_port, net.spool, rules=folder)
        stack.push_async_exit(daemon)  # also when it does not get ready
        await daemon.__aenter__()
        yield _Stage(net, daemon, rules, set())


async def _take(stage: _Stage, flow: Flow) -> Outcome:
    """Play one flow and judge what was recorded."""
    net = stage.net
    truth: Truth | None = None
    try:
        # Connected anew, all phones behave, and events of an earlier flow are forgotten.
        await net.disconnect()
        await net.connect()
        async with asyncio.timeout(FLOW_S):
            await flow.play(net)
            await net.idle()
        truth = await _observed(net)
        records = await _records(stage, truth)
        found = await asyncio.to_thread(find, truth, records, stage.daemon.spool)
        verdicts = await asyncio.to_thread(_judge, truth, found, stage.rules)
        return Outcome(verdicts, story=_story(truth, found))
    except Exception as error:  # whatever it is, it is this flow's outcome
        story = _story(truth or await _observed(net), Found(()))
        return Outcome({}, error, f"{traceback.format_exc()}\n{story}\n{stage.daemon.log}")


def _judge(truth: Truth, found: Found, rules: RuleBook) -> dict[int, Verdict]:
    """Each rule by what it covers; what is wrong for all of them is told with the first."""
    verdicts = {rule.id: judge(covered(truth, rule), found.of(rule.id)) for rule in rules.rules}
    verdicts[rules.rules[0].id].faults += [*found.faults, *one_record_each(found)]
    return verdicts


async def _observed(net: Network) -> Truth:
    """Everything that Asterisk has said of the flow: its answer to this comes through the same router."""
    await net.pbx.action("Setvar", Variable=_END, Value="1")
    await net.wait_for_event(lambda event: event.get("Variable") == _END)
    return observe(net.pbx.events(), net.phones.events())


async def _records(stage: _Stage, truth: Truth) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The flow's records, once the daemon has no call left and every section is final."""
    daemon = stage.daemon
    recorded = {Path(monitor.path).name.rsplit("_", 2)[0] for monitor in truth.monitors}
    records: dict[str, Sequence[Mapping[str, Any]]] = {}
    try:
        async with asyncio.timeout(30):
            while True:
                _, calls = await daemon.get("/api/v1/calls")
                _, journal = await daemon.get("/api/v1/journal?limit=1000&identity=*")
                told = {entry["recordId"] for entry in journal["items"] if entry["recordId"]}
                records = {one: await daemon.records(one) for one in (recorded | told) - stage.seen}
                if not calls["items"] and all(one["state"] in _FINAL for ones in records.values() for one in ones):
                    stage.seen |= records.keys()
                    return records
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise DaemonError(f"calls or sections that never end: {calls['items']} {records}") from None


def _story(truth: Truth, found: Found) -> str:
    """Talks and sections in the order of time."""
    if not truth.talks:
        return "no talk"
    zero = truth.talks[0].began
    lines = [
        (stretch.began, f"{stretch.began - zero:6.2f} to {stretch.ended - zero:6.2f}  talk {number}: "
                        + ", ".join(f"{party} ({leg})" for leg, party in sorted(stretch.legs.items())))
        for number, talk in enumerate(truth.talks, 1)
        for stretch in talk.stretches
    ] + [
        (one.began, f"{one.began - zero:6.2f} to {one.ended - zero:6.2f}  consultation: "
                    + ", ".join(sorted(one.legs.values())))
        for one in truth.consultations
    ] + [
        (one.began, f"{one.began - zero:6.2f} to {one.ended - zero:6.2f}  {one.name} on {one.leg}: "
                    + " ".join(sorted(one.heard(one.began + 0.1))))
        for one in found.sections
    ]  # fmt: skip
    return "\n".join(line for _, line in sorted(lines))
