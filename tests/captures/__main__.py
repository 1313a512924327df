"""`python -m tests.captures [NAME …]`: place the calls on real Asterisks, and write their captures anew.

With `--expected` nothing is placed: every expected.json is written anew from what comes of its capture now. Look at
the difference before you commit it.
"""

import argparse
import asyncio
import itertools
import re

from bridge.core.messages import PARSERS
from tests.captures import lines
from tests.captures.folder import FIXTURES, Folder
from tests.captures.scenarios import SCENARIOS, Scenario
from tests.flows.catalogue import PBX_EXTRA, PHONES_EXTRA
from tests.network.asterisk import AsteriskError
from tests.network.chroot import NoAsteriskError
from tests.network.network import Network

# What no rule, talk or journal could ever be about: most of a capture's bytes.
_NOISE = re.compile(
    rb"Event: (RTCPSent|RTCPReceived|TestEvent|SuccessfulAuth|ExtensionStatus|DeviceStateChange)\r\n"
    rb"|Event: VarSet\r\n(?s:.)*\r\nVariable: (RTP(AUDIO|VIDEO)|SIPCALLID|RINGTIME|DIALED|ANSWERED|PROGRESSTIME)"
)
# Of a flow only what tells how the call moves: what recbridge asks for, and what Asterisk calls the move.
_OF_FLOWS = re.compile(
    rb"Event: (%s|BridgeMerge|AttendedTransfer|BlindTransfer|Pickup|ParkedCall\w*|UnParkedCall|Masquerade)\r\n"
    % b"|".join(name.encode() for name in PARSERS if name not in ("VarSet", "Newexten", "DTMFEnd"))
)
_END = b"\r\n\r\n"
_DEADLINE_S = 90


def without_noise(raw: bytes) -> bytes:
    """The events that may matter, unchanged."""
    return b"".join(event + _END for event in raw.split(_END) if event and not _NOISE.match(event))


def of_a_flow(raw: bytes) -> bytes:
    """The events that say how the call moves, unchanged."""
    return b"".join(event + _END for event in raw.split(_END) if _OF_FLOWS.match(event))


async def take(net: Network, scenario: Scenario) -> None:
    """Play one scenario and keep its capture."""
    path = FIXTURES / scenario.name / "events.ami"
    # Connected anew, all phones behave, and events of an earlier scenario are forgotten.
    await net.disconnect()
    await net.connect()
    async with asyncio.timeout(_DEADLINE_S), net.capture(path):
        await scenario.play(net)
        await net.idle()
    raw = await asyncio.to_thread(path.read_bytes)
    kept = of_a_flow(raw) if scenario.flow else without_noise(raw)
    await asyncio.to_thread(path.write_bytes, kept)
    await asyncio.to_thread(Folder(path.parent).fill)
    print(f"{scenario.name}: {len(raw):,} bytes, {len(kept):,} kept", flush=True)  # noqa: T201 - a command for developers


async def take_all(scenarios: list[Scenario]) -> None:
    """One network for each Asterisk and systemname."""

    def kind(scenario: Scenario) -> tuple[str, str, bool]:
        return scenario.suite, scenario.systemname or "", scenario.flow

    for (suite, systemname, flow), group in itertools.groupby(sorted(scenarios, key=kind), kind):
        async with Network(
            suite=suite,
            systemname=systemname or None,
            pbx_extra=PBX_EXTRA if flow else lines.PBX_EXTRA,
            phones_extra=PHONES_EXTRA if flow else lines.PHONES_EXTRA,
        ) as net:
            for scenario in group:
                await take(net, scenario)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.captures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="folders of fixtures/ (default: all)")
    parser.add_argument("--expected", action="store_true", help="place no calls; write what comes of the captures now")
    given = parser.parse_args()
    if given.expected:
        for name in given.names or sorted(path.name for path in FIXTURES.iterdir() if path.is_dir()):
            Folder(FIXTURES / name).fill()
        return
    known = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := set(given.names) - set(known):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    try:
        asyncio.run(take_all([known[name] for name in given.names or known]))
    except (NoAsteriskError, AsteriskError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
