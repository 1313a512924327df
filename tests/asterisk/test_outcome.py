"""What becomes of calls that nobody takes, at a real Asterisk."""

import asyncio

from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.wire import RawMessage
from bridge.core import outcome
from bridge.core.messages import VariableSet, parse
from tests.network.network import Network

_MAILBOX = {
    "modules.conf": "load = app_voicemail.so\n",
    "voicemail.conf": "[general]\nformat = wav\nminsecs = 1\n[default]\n102 => 1234,Bob\n",
    "extensions.conf": "[internal]\nexten => 880,1,VoiceMail(102@default,s)\n same => n,Hangup()\n",
}


async def _set_variable(connection: AmiConnection) -> VariableSet:
    async with asyncio.timeout(30):
        while True:
            for item in await connection.next_batch(1):
                event = parse(item, item.received_at) if isinstance(item, RawMessage) else None
                if isinstance(event, VariableSet):
                    return event


async def _message_is_long_enough(network: Network) -> None:
    """By `minsecs`: a second of audio."""
    found = network.work / "pbx/spool/voicemail"
    async with asyncio.timeout(30):
        while not any(wav.stat().st_size >= 32_000 for wav in found.glob("**/*.wav")):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.05)


async def test_a_message_that_is_left_and_a_caller_that_is_blocked_are_told_by_a_variable() -> None:
    async with Network(pbx_extra=_MAILBOX) as network:
        connection = AmiConnection(
            "127.0.0.1",
            network.pbx_ami_port,
            network.bridge_user,
            network.bridge_secret,
            variables=outcome.VARIABLES,
        )
        running = asyncio.create_task(connection.run())
        try:
            await connection.next_batch(1)
            call = await network.call("alice", "880")
            await call.answered()
            leg = (await network.channels())[0]
            await network.pbx.action("Setvar", Channel=leg["Channel"], Variable=outcome.BLOCKED, Value="2d76d3a5")
            blocked = await _set_variable(connection)
            await _message_is_long_enough(network)
            await call.hangup()
            left = await _set_variable(connection)
        finally:
            connection.close()
            await running
    assert (blocked.name, blocked.value, blocked.uniqueid) == (outcome.BLOCKED, "2d76d3a5", leg["Uniqueid"])
    assert (left.name, left.value, left.uniqueid) == (outcome.VOICEMAIL, "SUCCESS", leg["Uniqueid"])
