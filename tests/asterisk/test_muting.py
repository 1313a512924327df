"""Muting one MixMonitor of a real Asterisk: who is heard in which file."""

import asyncio
import re
from pathlib import Path

import pytest

from bridge.asterisk import mixmonitor
from bridge.asterisk.mixmonitor import Options
from bridge.core.errors import AsteriskRefusedError
from bridge.core.ids import RuleId, Uniqueid
from tests.asterisk.test_real_asterisk import connected, running
from tests.network.network import Network
from tests.network.tones import WINDOW_S, heard


def drawn(path: Path, who: set[str]) -> str:
    """One letter for each window: # all of them, . nobody, ? somebody else or only a part."""
    return "".join("#" if window == who else "?" if window else "." for window in heard(path))


def longest_silence(file: str) -> range:
    """Its windows."""
    return max((range(*found.span()) for found in re.finditer(r"\.+", file)), key=len, default=range(0))


async def test_one_falls_silent_in_all_its_files_and_no_other_does(network: Network) -> None:
    clock = asyncio.get_running_loop().time
    async with running(network, network.bridge_user, network.bridge_secret) as asterisk:
        await connected(asterisk)
        call = await network.call("alice", "102")
        await call.answered()
        by_name = {one["Channel"].partition("-")[0]: Uniqueid(one["Uniqueid"]) for one in await network.channels()}
        leg, other = by_name["PJSIP/bob"], by_name["PJSIP/alice"]
        both, said, hears, older = (network.spool / f"muting-{n}.wav" for n in ("both", "said", "hears", "older"))
        elder = await mixmonitor.start(asterisk, leg, str(older), RuleId(2))
        options = Options(receive=str(said), transmit=str(hears))
        one = await mixmonitor.start(asterisk, leg, str(both), RuleId(1), options=options)
        await asyncio.sleep(1)
        began = clock()
        await mixmonitor.mute(asterisk, leg, one, muted=True)
        silent_from = clock()
        assert await mixmonitor.runs(asterisk, leg, str(both), one)
        await asyncio.sleep(1)
        silent_until = clock()
        await mixmonitor.mute(asterisk, leg, one, muted=False)
        ended = clock()
        assert await mixmonitor.runs(asterisk, leg, str(both), one)
        await asyncio.sleep(1)

        await mixmonitor.stop(asterisk, leg, one)
        assert not await mixmonitor.runs(asterisk, leg, str(both), one)
        assert not await mixmonitor.runs(asterisk, other, str(older), elder)
        assert not await mixmonitor.runs(asterisk, Uniqueid("1.1"), str(older), elder)
        assert await mixmonitor.runs(asterisk, leg, str(older), elder)
        with pytest.raises(AsteriskRefusedError, match="Cannot set mute flag"):
            await mixmonitor.mute(asterisk, leg, one, muted=True)
        with pytest.raises(AsteriskRefusedError, match="No such channel"):
            await mixmonitor.mute(asterisk, Uniqueid("1.1"), one, muted=True)
        await mixmonitor.stop(asterisk, leg, elder)
        await call.hangup()

    files = [drawn(both, {"alice", "bob"}), drawn(said, {"bob"}), drawn(hears, {"alice"})]
    silences = [longest_silence(file) for file in files]
    for file, silence in zip(files, silences, strict=True):
        length_s = (silence.stop - silence.start) * WINDOW_S
        assert silent_until - silent_from - 0.25 < length_s < ended - began + 0.25
        assert "#####" in file[: silence.start]
        assert "#####" in file[silence.stop :]
    # In step: all begin to be silent, and end, in the same window but one.
    for places in ([one.start for one in silences], [one.stop for one in silences], [len(file) for file in files]):
        assert max(places) - min(places) <= 1
    of_older = longest_silence(drawn(older, {"alice", "bob"}))
    assert of_older.stop - of_older.start < 4


async def test_a_stop_without_an_id_takes_the_newest_and_a_probe_tells(network: Network) -> None:
    async with running(network, network.bridge_user, network.bridge_secret) as asterisk:
        await connected(asterisk)
        call = await network.call("alice", "102")
        await call.answered()
        leg = Uniqueid((await network.channels())[0]["Uniqueid"])
        older, newer = [
            await mixmonitor.start(asterisk, leg, str(network.spool / f"stopped-{n}.wav"), RuleId(n)) for n in (1, 2)
        ]
        await network.pbx.action("StopMixMonitor", Channel=leg)  # somebody else's, as automixmon does it
        assert await mixmonitor.runs(asterisk, leg, str(network.spool / "stopped-1.wav"), older)
        assert not await mixmonitor.runs(asterisk, leg, str(network.spool / "stopped-2.wav"), newer)
        await call.hangup()
