"""The periodic beep: Asterisk makes channels of its own for it, which are nobody's call."""

import asyncio
from pathlib import Path

from tests.demo.daemon import Daemon
from tests.network.network import Network
from tests.whole.test_rules_in_force import RULE, house


async def test_a_beep_makes_no_call_and_harms_no_section(network: Network, tmp_path: Path) -> None:
    daemon: Daemon = house(network, tmp_path, RULE.format(id=1, options="beep: 1s"))
    async with daemon:
        call = await network.call("alice", "102")
        await call.answered()
        began = network.pbx.mark
        await network.wait_for_event(
            lambda event: event["Event"] == "Newchannel" and "periodic_hook" in event["Channel"], since=began
        )
        await asyncio.sleep(1)
        _, now = await daemon.get("/api/v1/calls")
        assert [len(one["parties"]) for one in now["items"]] == [2]
        await call.hangup()
        entries = await daemon.journal(2)
        assert [entry["userName"] for entry in entries] == ["bob", "alice"]
        (section,) = await daemon.records(entries[0]["recordId"])
        assert section["state"] == "stored"
