"""The spool's disk fills, or turns read-only."""

import asyncio
import wave
from pathlib import Path

from tests.faults.account import Account
from tests.faults.seen import Seen
from tests.faults.stage import Stage
from tests.network import tones
from tests.whole.test_disk import SIZE, fill, mounted

__all__ = ["SIZE", "filled", "judge_filled", "read_only"]


async def filled(stage: Stage) -> None:
    """The disk fills in a call; the next one comes when there is room again."""
    net = stage.net
    call = await net.call("alice", "102")
    await call.answered()
    await asyncio.sleep(5)
    ballast = await asyncio.to_thread(fill, net.spool, 64 * 1024)
    await stage.daemon.until_not_ready("spool-full")
    await asyncio.sleep(8)
    await asyncio.to_thread(_note_sizes, stage)
    await call.hangup()
    await asyncio.to_thread(ballast.unlink)
    await stage.daemon.until_ready(120)
    call = await net.call("carol", "104")
    await call.answered()
    await asyncio.sleep(2.5)
    await asyncio.to_thread(_note_sizes, stage)
    await call.hangup()


def _note_sizes(stage: Stage) -> None:
    with (stage.work / "sizes").open("a") as file:
        file.writelines(f"{path.name} {path.stat().st_size}\n" for path in stage.daemon.spool.rglob("*.wav"))


def judge_filled(stage: Stage, seen: Seen) -> Account:
    """What Asterisk had got onto the disk is playable, and so is all of the call after that."""
    sizes = dict(line.split() for line in (stage.work / "sizes").read_text().splitlines())
    told = {f"{record_id}_{one['ruleId']}_{one['file']:03d}.wav": one for record_id, ones in seen.records.items()
            for one in ones}  # fmt: skip
    made = Account(sections=len(sizes))
    heard: set[str] = set()
    for name, size in sizes.items():
        written_s = (int(size) - 44) / 16000
        playable_s, voices = _played(seen.spool, name)
        heard |= voices
        made.written_s += written_s
        made.playable_s += playable_s
        kept = name in told and told[name]["state"] == "stored" and playable_s >= written_s
        made.kept += kept
        if not kept:
            made.faults.append(
                f"{name}: {written_s:.2f} s were on disk, {playable_s:.2f} s are playable; {told.get(name)}"
            )
    missed = {"alice", "bob", "carol", "dave"} - heard
    made.faults += [f"{', '.join(sorted(missed))} are not heard"] * bool(missed)
    return made


def _played(spool: Path, name: str) -> tuple[float, set[str]]:
    path = next(spool.rglob(name), None)
    if path is None:
        return 0.0, set()
    with wave.open(str(path), "rb") as wav:
        return wav.getnframes() / wav.getframerate(), tones.who(path, at_least_s=2.0)


async def read_only(stage: Stage) -> None:
    """recbridge may not write on the disk for a while: one call ends meanwhile, one begins, and Asterisk goes on."""
    net = stage.net
    ends = await net.call("alice", "102")
    await ends.answered()
    await asyncio.sleep(2)
    await asyncio.to_thread(mounted, net.spool, "ro")
    try:
        await stage.daemon.until_not_ready("spool-read-only")
        await ends.hangup()
        begins = await net.call("carol", "104")
        await begins.answered()
        await asyncio.sleep(2)
    finally:
        await asyncio.to_thread(mounted, net.spool, "rw")
    await stage.daemon.until_ready(120)
    await begins.hangup()
