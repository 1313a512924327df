"""Starting, stopping, muting one MixMonitor, and seeing whether it runs."""

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

_ID = re.compile(r"(?:0x)?[0-9a-fA-F]+")
_VERSION = re.compile(r"(\d+)\.(\d+)")
_NO_CHANNEL = "No such channel"
_NOT_STOPPED = "Could not stop monitoring channel"


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
    if options.receive is not None or options.transmit is not None:
        # Before 18 the two are not in step without it; since then they are, and it is passed over.
        flags.append("S")
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
    milliseconds later) and `Could not stop monitoring channel` for an id that does not run there, another channel's too
    (measured on 22.10 and 16.28): `is_gone` tells these from a stop that was not done.
    """
    if not mixmonitor_id:
        # Without an id Asterisk stops the newest one on the channel, whoever started it.
        raise InvalidAmiValueError("no MixMonitor is stopped without its id", leg=leg)
    await asterisk.action("StopMixMonitor", {"Channel": leg, "MixMonitorID": mixmonitor_id}, deadline_s)


def is_gone(refusal: AsteriskRefusedError) -> bool:
    """Whether a stop was refused because there is nothing to stop any more; else it may go on writing."""
    return refusal.message.startswith((_NO_CHANNEL, _NOT_STOPPED))


async def mute(
    asterisk: Acts, leg: Uniqueid, mixmonitor_id: MixMonitorId, deadline_s: float = 5.0, *, muted: bool
) -> None:
    """Have exactly this one write silence, or the talk again; on return it does.

    All its files do (mixed, `receive`, `transmit`), both directions; their timeline goes on, and they stay in step. No
    other MixMonitor on the channel is touched; the same state once more is Success (measured on 22.10).

    Raises as `start`. AsteriskRefusedError says `Cannot set mute flag` for an id that does not run on the channel, and
    `No such channel`. It is raised, too, and nothing sent, by an Asterisk that takes no notice of the id (before 18.18
    and 20.3): 16.28 answers Success to any id, and mutes the channel's oldest MixMonitor alone, whoever started it
    (measured), so its Success does not mean that this one is silent.
    """
    if not mixmonitor_id:
        # Without an id Asterisk mutes all on the channel, whoever started them.
        raise InvalidAmiValueError("no MixMonitor is muted without its id", leg=leg)
    version = await _version(asterisk, deadline_s)
    if not _mutes_by_id(version):
        raise AsteriskRefusedError(f"Asterisk {version} cannot mute one MixMonitor: 18.18 or 20.3 can", leg=leg)
    await asterisk.action("MixMonitorMute", _mute_fields(leg, mixmonitor_id, muted=muted), deadline_s)


async def runs(asterisk: Acts, leg: Uniqueid, path: str, mixmonitor_id: MixMonitorId, deadline_s: float = 5.0) -> bool:
    """Whether the MixMonitor with this id runs on the channel and writes into `path`, as Asterisk sees it.

    The dialplan function MIXMONITOR tells the file of one that runs, and nothing of an id that does not run on this
    channel (measured on 22.10 and 16.28). An id is a heap pointer, which may have been given to a newer one: the file
    tells them apart. False where the channel is gone. Raises as `start`, but AsteriskRefusedError only where Asterisk
    would not say.
    """
    if not mixmonitor_id:
        raise InvalidAmiValueError("no MixMonitor is asked after without its id", leg=leg)
    return await _value(asterisk, leg, f"MIXMONITOR({_id(mixmonitor_id)},filename)", deadline_s) == _safe(path)


async def find(asterisk: Acts, leg: Uniqueid, path: str, rule: RuleId, deadline_s: float = 5.0) -> MixMonitorId | None:
    """The id of the rule's newest MixMonitor on a channel, if it runs and writes into `path`; None if not.

    Asterisk does the actions of one connection one after the other: what this says after a `start` that was not
    answered is what became of that. Raises as `runs`.
    """
    found = await _value(asterisk, leg, variable(rule), deadline_s)
    if not _ID.fullmatch(found) or not await runs(asterisk, leg, path, MixMonitorId(found), deadline_s):
        return None
    return MixMonitorId(found)


async def _value(asterisk: Acts, leg: Uniqueid, name: str, deadline_s: float) -> str:
    answer = await asterisk.action("Getvar", {"Channel": leg, "Variable": name}, deadline_s, must_succeed=False)
    if not answer.success and not answer.message.startswith(_NO_CHANNEL):
        raise AsteriskRefusedError(answer.message or "Asterisk refused Getvar", leg=leg)
    return answer.header("Value")


def _id(mixmonitor_id: MixMonitorId) -> str:
    if not _ID.fullmatch(mixmonitor_id):
        raise InvalidAmiValueError(f"{mixmonitor_id!r} is no MixMonitorID: a pointer like 0x7f905c001a10 is")
    return mixmonitor_id


def _mute_fields(leg: Uniqueid, mixmonitor_id: MixMonitorId, *, muted: bool) -> Fields:
    return {"Channel": leg, "MixMonitorID": mixmonitor_id, "Direction": "both", "State": "1" if muted else "0"}


async def _version(asterisk: Acts, deadline_s: float) -> str:
    return (await asterisk.action("CoreSettings", {}, deadline_s)).header("AsteriskVersion")


def _mutes_by_id(version: str) -> bool:
    """A version that says no numbers (`GIT-master-…`) counts as one that does not."""
    found = _VERSION.search(version)
    number = (int(found[1]), int(found[2])) if found else (0, 0)
    return number >= (20, 3) or (18, 18) <= number < (19, 0)


def _safe(path: str) -> str:
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise InvalidAmiValueError(f"{path!r} is no path for a recording: absolute, of A-Z a-z 0-9 . _ / - only")
    return path
