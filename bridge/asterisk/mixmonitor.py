"""Starting and stopping one MixMonitor."""

import re
from dataclasses import dataclass
from typing import NewType, Protocol

from bridge.asterisk.manager import Response
from bridge.asterisk.wire import Fields
from bridge.core.errors import AsteriskRefusedError, InvalidAmiValueError
from bridge.core.ids import RuleId, Uniqueid

MixMonitorId = NewType("MixMonitorId", str)
"""Asterisk's name for one MixMonitor, a heap pointer (`0x7f905c001a10`): unique only while it runs."""

# A comma would begin the options, a second one a command for the shell.
_PATH = re.compile(r"/[A-Za-z0-9._/-]+")


class Acts(Protocol):
    """Who can do an action: an AmiConnection."""

    async def action(
        self, name: str, fields: Fields, deadline_s: float | None = None, *, must_succeed: bool = True
    ) -> Response:
        """Do one action; see AmiConnection."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a MixMonitor is told.

    `receive` and `transmit` are files of their own for what the leg says and what it hears, beside the mixed one
    (never instead of it: asking for such a monitor's file name can crash Asterisk). `beep_every_s` beeps to both.
    `append` goes on writing in a file that is there, which is emptied otherwise.
    """

    receive: str | None = None
    transmit: str | None = None
    beep_every_s: int | None = None
    append: bool = False


PLAIN = Options()


def variable(rule: RuleId) -> str:
    """The channel variable in which Asterisk keeps the rule's MixMonitor id: it outlives us."""
    return f"RECBRIDGE_MIXMONITOR_{rule}"


async def start(
    asterisk: Acts, leg: Uniqueid, path: str, rule: RuleId, *, options: Options = PLAIN, deadline_s: float = 5.0
) -> MixMonitorId:
    """Start one on a channel, into the absolute `path` as Asterisk sees it.

    Asterisk's Success is no proof of a file: it says only in its own log that one could not be opened. Raises
    InvalidAmiValueError (nothing was sent), AsteriskRefusedError, AsteriskUnreachableError and AsteriskTimeoutError;
    after the last two it may run all the same, and its id is then in the variable.
    """
    flags = [f"i({variable(rule)})"]
    if options.append:
        flags.append("a")
    if options.beep_every_s is not None:
        flags.append(f"B({options.beep_every_s:d})")
    if options.receive is not None:
        flags.append(f"r({_safe(options.receive)})")
    if options.transmit is not None:
        flags.append(f"t({_safe(options.transmit)})")
    fields = {"Channel": leg, "File": _safe(path), "Options": "".join(flags)}
    response = await asterisk.action("MixMonitor", fields, deadline_s)
    mixmonitor_id = response.header("MixMonitorID")
    if not mixmonitor_id:
        raise AsteriskRefusedError("Asterisk started a MixMonitor, but did not say its MixMonitorID", leg=leg)
    return MixMonitorId(mixmonitor_id)


async def stop(asterisk: Acts, leg: Uniqueid, mixmonitor_id: MixMonitorId, deadline_s: float = 5.0) -> None:
    """Stop exactly this one; on return its file is closed.

    Raises as `start`. AsteriskRefusedError says `No such channel` after a hangup (its file is then closed as well, some
    milliseconds later) and `Could not stop monitoring channel` for an id that does not run there (measured).
    """
    if not mixmonitor_id:
        # Without an id Asterisk stops the newest one on the channel, whoever started it.
        raise InvalidAmiValueError("no MixMonitor is stopped without its id", leg=leg)
    await asterisk.action("StopMixMonitor", {"Channel": leg, "MixMonitorID": mixmonitor_id}, deadline_s)


def _safe(path: str) -> str:
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise InvalidAmiValueError(f"{path!r} is no path for a recording: absolute, of A-Z a-z 0-9 . _ / - only")
    return path
