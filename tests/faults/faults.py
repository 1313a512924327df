"""What goes wrong around the daemon while calls are recorded, and what must be kept all the same."""

import asyncio
import os
import signal
import sys
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults.account import Account, Row, Seen, account
from tests.faults.proxy import ASTERISK, DAEMON, Mode, Side
from tests.faults.scenarios import MONO, book
from tests.faults.stage import Scenario, Stage, observed
from tests.network import config, tones
from tests.network.ami import Ami

Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table; each of its scenarios is one time that it is injected. `slow` ones take up to two minutes."""

    name: str
    scenarios: Sequence[Scenario]
    slow: bool = False

    @property
    def number(self) -> int:
        """Its place in the table."""
        return [one.name for one in FAULTS].index(self.name)


# -- The connection


@dataclass(frozen=True, slots=True)
class Phase:
    """When something happens to the connection: at bytes that `side` says, behind or in front of their message."""

    name: str
    side: Side
    needle: bytes
    passes: bool = False


IN_TALK = Phase("in the talk", ASTERISK, b"")
PHASES = (
    Phase("while it rings", ASTERISK, b"Event: DialBegin", passes=True),
    Phase("at BridgeEnter", ASTERISK, b"Event: BridgeEnter"),
    Phase("before MixMonitor", DAEMON, b"Action: MixMonitor\r\n"),
    Phase("between MixMonitor and its answer", DAEMON, b"Action: MixMonitor\r\n", passes=True),
    IN_TALK,
    Phase("at the transfer", ASTERISK, b"Event: BridgeLeave"),
    Phase("between StopMixMonitor and its answer", DAEMON, b"Action: StopMixMonitor\r\n", passes=True),
    Phase("at the hangup", ASTERISK, b"Event: Hangup"),
)


async def _moving_call(stage: Stage, *, phase: Phase, mode: Mode) -> None:
    """alice and bob, who sends her on to carol, while the connection breaks once."""
    net, proxy = stage.net, stage.proxy
    before = proxy.taken
    if phase.needle:
        proxy.trap(phase.side, phase.needle, passes=phase.passes, mode=mode)
    back = asyncio.create_task(_away(stage, before))
    call = await net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(1)
    if not phase.needle:
        proxy.spring(mode)
    if mode is Mode.STALL:
        await back  # Asterisk is missed only when it does not answer a ping
    await asyncio.sleep(0.3)
    await net.press("bob", "#1103")
    await net.talking("carol")
    await asyncio.sleep(1.5)
    await call.hangup()
    await back


async def _away(stage: Stage, before: int) -> None:
    await stage.proxy.sprung.wait()
    began = time.time()
    await stage.connected_again(before)
    stage.daemon.away.append((began, time.time()))


async def _slow(stage: Stage) -> None:
    """Bytes that come in sevens, slowly, from the first login on."""
    before = stage.proxy.taken
    stage.proxy.dribble()
    stage.proxy.spring(Mode.CUT)
    began = time.time()
    await stage.connected_again(before)
    stage.daemon.away.append((began, time.time()))
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(2.5)
    await call.hangup()


async def _refused(stage: Stage) -> None:
    """Asterisk takes no login for a while: one call goes on, one begins and ends, one begins and goes on."""
    net, proxy = stage.net, stage.proxy
    goes_on = await net.call("alice", "102")
    await goes_on.answered()
    await asyncio.sleep(1)
    manager = net.asterisks[0].folder / "etc" / "manager.conf"
    text = await asyncio.to_thread(manager.read_text)
    secret = f"secret = {config.BRIDGE_SECRET}\n"
    assert secret in text
    await asyncio.to_thread(manager.write_text, text.replace(secret, "secret = another\n"))
    await asyncio.to_thread(net.cli, "manager reload")
    before, began = proxy.taken, time.time()
    proxy.spring(Mode.CUT)
    try:
        await stage.daemon.until_not_ready("asterisk-login-refused")
        missed = await net.call("carol", "104")
        await missed.answered()
        await asyncio.sleep(1)
        await missed.hangup()
        begins = await net.inbound(did=config.BOB_DID)
        await begins.answered()
    finally:
        await asyncio.to_thread(manager.write_text, text)
        await asyncio.to_thread(net.cli, "manager reload")
    await stage.connected_again(before)
    stage.daemon.away.append((began, time.time()))
    await asyncio.sleep(1.5)
    await goes_on.hangup()
    await begins.hangup()


# -- Asterisk


async def _stopped(stage: Stage, *, for_s: float) -> None:
    """Asterisk stands still in the talk, and so does all that it writes."""
    pid = stage.net.asterisks[0].pid
    assert pid is not None
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(1.5)
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(for_s)
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.sleep(2)
    await call.hangup()


def _judge_stopped(_: Stage, seen: Seen) -> Account:
    """One section, as long as its MixMonitor's file; nobody spoke to an Asterisk that stood still."""
    made = Account(sections=1, written_s=3.5)
    stored = [(record_id, one) for record_id, ones in seen.records.items() for one in ones if one["state"] == "stored"]
    made.kept = len(stored)
    made.faults += [f"{len(stored)} sections are stored of one call"] * (len(stored) != 1)
    for record_id, one in stored:
        made.playable_s += one["duration"]
        path = next(seen.spool.rglob(f"{record_id}_{one['ruleId']}_{one['file']:03d}.wav"))
        heard = tones.seconds(path)
        made.faults += [f"{party} is heard for {heard.get(party, 0)} s only" for party in ("alice", "bob")
                        if heard.get(party, 0) < 3]  # fmt: skip
    return made


MANY = 20


async def _crashed(stage: Stage) -> None:
    """SIGKILL of Asterisk during 20 calls; it is started again, and one more call is recorded."""
    net = stage.net
    placed = [("alice", "102"), ("bob", "101"), ("carol", "104"), ("dave", "0301234567")] * (MANY // 4)
    calls = [await net.call(party, number) for party, number in placed]
    for call in calls:
        await call.answered()
    await asyncio.sleep(4.5)  # two steps of a file's growth
    stage.kept_truth = await observed(net)
    pbx = net.asterisks[0]
    before = time.time()
    await asyncio.to_thread(pbx.kill)
    (stage.work / "sizes").write_text(
        "".join(f"{path.name} {path.stat().st_size}\n" for path in sorted(stage.daemon.spool.rglob("*.wav*")))
    )
    await net.pbx.close()
    await asyncio.to_thread(_boot, stage)
    net.pbx = await Ami.connect(net.ports.pbx_ami, config.TEST_USER, config.TEST_SECRET)
    await stage.connected_again(stage.proxy.taken - 1)
    stage.daemon.away.append((before, time.time()))
    await net.idle(hangup=True)
    call = await net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(1.5)
    await call.hangup()


def _boot(stage: Stage) -> None:
    # The kernel would end Asterisk with the thread that starts it: this one's executor lives as long as the loop.
    stage.net.asterisks[0].launch()
    stage.net.asterisks[0].wait_ready()


def _judge_crashed(stage: Stage, seen: Seen) -> Account:
    """Every byte that Asterisk had written is playable, and the API knows how long that is."""
    sizes = dict(line.split() for line in (stage.work / "sizes").read_text().splitlines())
    made = Account(sections=len(sizes), written_s=sum((int(size) - 44) / 16000 for size in sizes.values()))
    made.faults += [f"{len(sizes)} files for {MANY} calls"] * (len(sizes) != MANY)
    told = {f"{record_id}_{one['ruleId']}_{one['file']:03d}.wav": one for record_id, ones in seen.records.items()
            for one in ones}  # fmt: skip
    for name, size in sizes.items():
        one = told.get(name)
        if one is None:
            made.faults.append(f"{name}: no record has it")
            continue
        made.faults += _whole(seen.spool, name, int(size), one, made)
    return made


def _whole(spool: Path, name: str, size: int, one: Row, made: Account) -> list[str]:
    path = next(spool.rglob(name), None)
    if path is None:
        return [f"{name} is gone"]
    wanted_s = (size - 44) / 16000
    with wave.open(str(path), "rb") as wav:
        there_s = wav.getnframes() / wav.getframerate()
    made.playable_s += there_s
    if one["state"] not in ("stored", "lost"):
        return [f"{name} is {one['state']} ({one['reason']})"]
    if abs(there_s - wanted_s) > 1e-6 or abs((one["duration"] or 0) - wanted_s) > 0.01:
        return [f"{name}: {wanted_s:.2f} s were written, {there_s:.2f} s are playable, {one['duration']} s are listed"]
    if len(tones.who(path)) != 2:
        return [f"{name}: {tones.who(path)} are heard"]
    made.kept += 1
    return []


# -- The clock and the database


async def _clock_back(stage: Stage) -> None:
    """The daemon's clock goes back an hour in mid-call."""
    call = await stage.net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(2)
    os.kill(stage.daemon.pid, signal.SIGUSR1)
    await asyncio.sleep(10)
    await call.hangup()


def _judge_clock(_: Stage, seen: Seen) -> Account:
    made = account(seen, CLOCK.rules)
    rows = [*(one for ones in seen.records.values() for one in ones), *seen.journal]
    made.faults += [f"a negative time in {row}" for row in rows
                    if (row.get("duration") or 0) < 0 or (row.get("connected") or 0) < 0
                    or (row.get("endedAt") or 2**62) < (row.get("startedAt") or 0)]  # fmt: skip
    cut = [one for ones in seen.records.values() for one in ones]
    made.faults += [f"{len(cut)} sections of 12 s at most 10 s each"] * (len(cut) != 2)
    return made


CLOCK = book("All", "record: always, section: 10s")
_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@asynccontextmanager
async def _locked(database: Path) -> AsyncIterator[None]:
    """Another process has the database for itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LOCK, str(database), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    try:
        yield
    finally:
        process.stdin.close()
        await process.wait()


async def _database_locked(stage: Stage, *, killed: bool) -> None:
    """A call goes on, one begins and ends, one begins and goes on while another program has the database."""
    net = stage.net
    goes_on = await net.call("alice", "102")
    await goes_on.answered()
    await asyncio.sleep(1)
    async with _locked(stage.work / "recbridge.db"):
        began = time.time()
        ends = await net.call("carol", "104")
        await ends.answered()
        # The first intent that the database does not take makes its MixMonitor half a second late.
        stage.daemon.away.append((began, time.time()))
        begins = await net.inbound(did=config.BOB_DID)
        await begins.answered()
        await asyncio.sleep(4)
        await ends.hangup()
        await asyncio.sleep(5)
        if killed:
            await stage.daemon.down()
    if killed:
        await stage.daemon.back()
    await asyncio.sleep(1.5)
    for call in (goes_on, begins):
        await call.hangup()


def _cut(phase: Phase, mode: Mode) -> Scenario:
    return Scenario(phase.name, book("All", MONO), partial(_moving_call, phase=phase, mode=mode), proxied=True)


ALL = book("All", MONO)
FAULTS = (
    Fault("AMI is cut", [_cut(phase, Mode.CUT) for phase in PHASES]),
    Fault("AMI is half open", [_cut(IN_TALK, Mode.STALL)]),
    Fault("AMI is half open, in every phase", [_cut(phase, Mode.STALL) for phase in PHASES[:4]], slow=True),
    Fault("AMI is slow", [Scenario("slow", ALL, _slow, proxied=True)]),
    Fault("AMI refuses the login", [Scenario("refused", ALL, _refused, proxied=True)], slow=True),
    Fault("Asterisk stands still for 6 s",
          [Scenario("6 s", ALL, partial(_stopped, for_s=6.0), judge=_judge_stopped)]),
    Fault("Asterisk stands still for 25 s",
          [Scenario("25 s", ALL, partial(_stopped, for_s=25.0), judge=_judge_stopped)], slow=True),
    Fault("Asterisk is killed in 20 calls", [Scenario("crash", ALL, _crashed, proxied=True, judge=_judge_crashed)]),
    Fault("The clock is set back an hour",
          [Scenario("clock", CLOCK, _clock_back, environment={"CLOCK_S": "-3600"}, judge=_judge_clock)]),
    Fault("The database is locked for 10 s", [Scenario("locked", ALL, partial(_database_locked, killed=False))]),
    Fault("The database is locked, and recbridge killed",
          [Scenario("locked", ALL, partial(_database_locked, killed=True))]),
)  # fmt: skip
