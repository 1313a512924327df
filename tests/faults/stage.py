"""One run: a network, a daemon that is killed where it is told to be and started again, and what came of it."""

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bridge.core.ids import FactNumber
from bridge.core.records import NumberedFact
from bridge.storage.bookkeeping import misfits
from bridge.storage.database import SqliteStore
from tests.demo.daemon import Daemon
from tests.faults.account import Account, account
from tests.faults.compared import compare
from tests.faults.proxy import Proxy
from tests.faults.seen import Row, Seen, Span
from tests.faults.victim import Kill, Victim
from tests.flows.oracle import observe
from tests.flows.rules import RuleBook
from tests.flows.truth import Truth
from tests.network.network import Network

SETTLED_S = 40.0
PLAY_S = 150.0
"""A scenario that takes longer hangs; after a login that was refused the next is up to 60 s later."""
_FINAL = ("stored", "failed", "lost")
_END = "RECBRIDGE_FAULT_END"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Calls, and the rules with which they are recorded. `life` is the daemon's life whose steps are of interest.

    With `proxied` the daemon reaches Asterisk by `stage.proxy`. `judge` stands in for `account`; it blocks.
    """

    name: str
    rules: RuleBook
    play: "Callable[[Stage], Awaitable[None]]"
    life: int = 1
    section_s: float | None = None
    proxied: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    judge: "Callable[[Stage, Seen], Account] | None" = None


@dataclass(slots=True)
class Outcome:
    """What came of a run. `steps` are those of the daemon's lives."""

    seen: Seen | None = None
    steps: dict[int, list[str]] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    kills: int = 0
    story: str = ""

    @property
    def faults(self) -> list[str]:
        return self.account.faults


class Stage:
    """What a scenario plays on."""

    def __init__(self, net: Network, daemon: Victim, proxy: Proxy | None) -> None:
        self.net = net
        self.daemon = daemon
        self.work = daemon.work
        self._proxy = proxy
        self.kept_truth: Truth | None = None
        """What was seen before the test's own connection to Asterisk was made anew."""
        self.unheard: list[Span] = []
        self.silent: list[Span] = []

    @property
    def proxy(self) -> Proxy:
        """Between the daemon and Asterisk, of a scenario that has it."""
        assert self._proxy is not None
        return self._proxy

    async def connected_again(self, before: int) -> None:
        """Return when the daemon has made a connection after the `before`-th, and can do its work."""
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                status, _ = await self.daemon.get("/ready")
                if status == 200 and self.proxy.taken > before:
                    return
            await asyncio.sleep(0.02)

    async def get(self, path: str) -> Any:
        """GET some JSON from the daemon, again and again while it is down."""
        async with asyncio.timeout(SETTLED_S):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    status, body = await self.daemon.get(path)
                    if status == 200:
                        return body
                await asyncio.sleep(0.02)

    async def ask(self, verb: str, party: str, state: str) -> None:
        """Tell the daemon to start, stop, pause or resume what is recorded of a party's channel, until it is so."""
        channel = next(one["Channel"] for one in await self.net.channels() if f"/{party}-" in one["Channel"])
        async with asyncio.timeout(SETTLED_S):
            while True:
                calls = (await self.get("/api/v1/calls"))["items"]
                if any(rule["state"] == state for call in calls for rule in call["rules"]):
                    return
                await self.daemon.until_up()  # before that it may answer, and have no connection to Asterisk
                with contextlib.suppress(aiohttp.ClientError):
                    async with self.daemon.session.post(
                        f"{self.daemon.url}/api/v1/monitor/{verb}",
                        json={"channel": channel},
                        headers=self.daemon.auth(),
                    ) as response:
                        await response.read()
                await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Bench:
    """A network, and a database with nothing but an admin's token in it: making one takes most of a second."""

    net: Network
    template: Path
    token: str

    @classmethod
    async def make(cls, net: Network, work: Path) -> "Bench":
        """`work` is a folder that is not there yet."""
        daemon = Daemon(work, net.pbx_ami_port, net.spool)
        daemon.write_config()
        token = await daemon.new_token("admin", "admin")
        return cls(net, work / "recbridge.db", token)

    def victim(self, work: Path, scenario: Scenario, kills: Sequence[Kill]) -> Victim:
        """A daemon with an empty spool of its own, and with the token in its database."""
        spool = self.net.spool / work.name
        for folder in (work / "rules", work / "bridge", spool):
            folder.mkdir(parents=True)
        spool.chmod(0o777)
        (work / "rules" / "10.yml").write_text(scenario.rules.yaml)
        shutil.copy(self.template, work / "bridge" / "recbridge.db")
        victim = Victim(work / "bridge", self.net.pbx_ami_port, spool, rules=work / "rules")
        victim.prepare(kills, scenario.environment)
        victim.token = self.token
        victim.write_config()
        return victim


async def run(
    bench: Bench, work: Path, scenario: Scenario, kills: Sequence[Kill] = (), undisturbed: Seen | None = None
) -> Outcome:
    """Play a scenario from an empty database and spool on, and judge what was kept."""
    net = bench.net
    await net.disconnect()
    await net.connect()  # all phones behave, and events of an earlier run are forgotten
    victim = bench.victim(work, scenario, kills)
    outcome = Outcome()
    async with contextlib.AsyncExitStack() as stack:
        victim._session = await stack.enter_async_context(aiohttp.ClientSession())
        proxy = await stack.enter_async_context(Proxy(net.pbx_ami_port)) if scenario.proxied else None
        if proxy is not None:
            victim.ami_port = proxy.port
            victim.write_config()
        try:
            stage = Stage(net, victim, proxy)
            await victim.keep_up()
            async with asyncio.timeout(PLAY_S):
                await scenario.play(stage)
            await net.idle(hangup=True)
            truth = stage.kept_truth or await observed(net)
            records, journal = await _settled(stage, truth)
            await victim.end()
            joins = [float(event["Timestamp"]) for event in net.pbx.events() if event["Event"] == "QueueCallerJoin"]
            outcome.seen = Seen(
                truth,
                records,
                journal,
                victim.spool,
                facts=await _facts(victim),
                away=victim.away,
                joins=joins,
                unheard=stage.unheard,
                silent=stage.silent,
                section_s=scenario.section_s,
            )
            if scenario.judge is not None:
                outcome.account = await asyncio.to_thread(scenario.judge, stage, outcome.seen)
            else:
                outcome.account = await asyncio.to_thread(account, outcome.seen, scenario.rules.rules)
            outcome.account.faults += await _verify(victim)
            outcome.account.faults += await asyncio.to_thread(misfits, victim.work / "recbridge.db")
            if undisturbed is not None:
                outcome.account.faults += compare(outcome.seen, undisturbed, outcome.account.unreached)
        except Exception as error:  # whatever it is, it is that run's outcome
            outcome.account.faults.append(f"{type(error).__name__}: {error}")
            with contextlib.suppress(Exception):
                outcome.story = victim.log
        finally:
            await victim.leave()
    outcome.steps = {life: [label for _, label in victim.steps_of(life)] for life in range(1, victim.life + 1)}
    outcome.kills = victim.killed
    if outcome.faults:
        outcome.story = outcome.story or victim.log
    elif undisturbed is not None:
        await asyncio.to_thread(_clear, work, victim.spool)
    return outcome


def _clear(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder)


async def observed(net: Network) -> Truth:
    """Everything that Asterisk has said: its answer to this comes through the same router."""
    await net.pbx.action("Setvar", Variable=_END, Value="1")
    await net.wait_for_event(lambda event: event.get("Variable") == _END)
    return observe(net.pbx.events(), net.phones.events())


async def _facts(victim: Victim) -> Sequence[NumberedFact]:
    """All of them, once the daemon has ended."""
    store = await SqliteStore.open(victim.work / "recbridge.db", "test")
    try:
        return await store.facts_after(FactNumber(0), 100_000)
    finally:
        await store.close()


async def _verify(victim: Victim) -> list[str]:
    """What `recbridge verify` finds in the chain of facts and in the files."""
    code, out, err = await victim.command("verify")
    return [f"recbridge verify: {out}{err}"] * (code != 0)


async def _settled(stage: Stage, truth: Truth) -> tuple[dict[str, Sequence[Row]], Sequence[Row]]:
    """All records and the journal, once the daemon has no call left and every section is final."""
    recorded = {Path(monitor.path).name.rsplit("_", 2)[0] for monitor in truth.monitors}
    deadline = asyncio.get_running_loop().time() + SETTLED_S
    before: object = None
    while True:
        calls = (await stage.get("/api/v1/calls"))["items"]
        journal = (await stage.get("/api/v1/journal?limit=1000&identity=*"))["items"]
        told = {entry["recordId"] for entry in journal if entry["recordId"]}
        records = {one: await _records(stage, one) for one in recorded | told}
        final = all(one["state"] in _FINAL for ones in records.values() for one in ones)
        now = (len(calls), len(journal), final, stage.daemon.life)
        # Twice the same: what is decided last has been kept, and a kill that it met is over.
        if not calls and final and now == before and stage.daemon.is_up:
            return records, journal
        if asyncio.get_running_loop().time() > deadline:
            return records, journal  # the account says what is open
        before = now
        await asyncio.sleep(0.15)


async def _records(stage: Stage, record_id: str) -> Sequence[Row]:
    async with asyncio.timeout(SETTLED_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                return await stage.daemon.records(record_id)
            await asyncio.sleep(0.02)
