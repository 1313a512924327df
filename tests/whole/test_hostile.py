"""A caller who writes AMI into his number."""

import asyncio
from pathlib import Path

import pytest

from tests.captures import lines
from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.network import Network
from tests.whole.test_main_job import wav

RULES = "rules:\n  - {id: 1, name: All, record: always}\n"


@pytest.mark.usefixtures("asterisk_chroot")
async def test_it_ends_nobodys_recording_and_escapes_none(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "10.yml").write_text(RULES)
    async with (
        Network(pbx_extra=lines.PBX_EXTRA, phones_extra=lines.PHONES_EXTRA) as network,
        Daemon(tmp_path / "b", network.pbx_ami_port, network.spool, rules=tmp_path / "rules") as daemon,
    ):
        call = await network.call("alice", "103")
        await call.answered()
        victim = next(one["Uniqueid"] for one in await network.channels() if "alice" in one["Channel"])
        await asyncio.sleep(1)
        forged = f"1\r\n\r\nEvent: Hangup\r\nUniqueid: {victim}\r\n\r\n"
        liar = await lines.claims(network, number=forged)
        await liar.answered()
        await asyncio.sleep(2)
        await liar.hangup()
        await asyncio.sleep(0.5)
        await call.hangup()
        journal = {entry["userName"]: entry for entry in await daemon.journal(3)}
        assert "asterisk-message-torn" in daemon.log
        sections = await daemon.records(journal["alice"]["recordId"])
        stored = [one for one in sections if one["state"] == "stored"]
        heard = [tones.seconds(wav(daemon, journal["alice"]["recordId"], one)) for one in stored]
        # All of the talk, not up to the forged Hangup.
        assert sum(min(one["alice"], one["carol"]) for one in heard) > 2.9
        others = await daemon.records(journal["bob"]["recordId"])
        assert {"bob", "outside"} in [tones.who(wav(daemon, journal["bob"]["recordId"], one)) for one in others]
