"""Asterisk stands still, or dies."""

import asyncio
import os
import signal
import time
import wave
from pathlib import Path

from tests.faults.account import Account
from tests.faults.seen import Row, Seen
from tests.faults.stage import Stage, observed
from tests.network import config, tones
from tests.network.ami import Ami


async def stopped(stage: Stage, *, for_s: float) -> None:
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


def judge_stopped(_: Stage, seen: Seen) -> Account:
    """One section, as long as its MixMonitor's file; nobody spoke to an Asterisk that stood still."""
    made = Account(sections=1)
    stored = [(record_id, one) for record_id, ones in seen.records.items() for one in ones if one["state"] == "stored"]
    made.kept = len(stored)
    made.faults += [f"{len(stored)} sections are stored of one call"] * (len(stored) != 1)
    for record_id, one in stored:
        made.playable_s += one["duration"]
        path = next(seen.spool.rglob(f"{record_id}_{one['ruleId']}_{one['file']:03d}.wav"))
        frames, rate = tones.samples(path)
        made.written_s += len(frames) / rate
        heard = tones.seconds(path)
        made.faults += [f"{party} is heard for {heard.get(party, 0)} s only" for party in ("alice", "bob")
                        if heard.get(party, 0) < 3]  # fmt: skip
    return made


MANY = 20


async def crashed(stage: Stage) -> None:
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


def judge_crashed(stage: Stage, seen: Seen) -> Account:
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
