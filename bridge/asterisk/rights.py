"""What the manager user may do, and what it needs."""

from dataclasses import dataclass
from typing import Protocol

from bridge.asterisk.manager import Response
from bridge.asterisk.wire import Fields

READ = ("system", "call", "agent", "user", "dialplan")
"""Classes of events that are used: measured by their `Privilege` header on 22.10.

system: FullyBooted, Shutdown. call: channels, dials, bridges, Local channels, MixMonitor, Hold, Unhold. agent: queues.
user: UserEvent. dialplan: VarSet, Newexten.
"""

READ_DTMF = "dtmf"
"""One class more, where `dtmf: true` asks for the keys that are pressed: DTMFEnd (on 16.28, too)."""

WRITE = ("system", "call")
"""Classes of actions that are used. system: MixMonitor, Filter, CoreShowChannels, CoreSettings, PJSIPShowContacts.
call: StopMixMonitor, MixMonitorMute (either would do), Getvar and Setvar."""

_NEEDED = ("MixMonitor", "StopMixMonitor", "MixMonitorMute", "CoreShowChannels", "BridgeList", "BridgeInfo", "Setvar")
_NO_CHANNEL = "recbridge/none"

REMEDY = (
    f"in manager.conf give the user `read = {','.join(READ)}` and `write = {','.join(WRITE)}`, "
    "then `asterisk -rx 'manager reload'` (`recbridge asterisk-conf` prints the whole section)"
)


def login_refused(where: str, username: str) -> str:
    """What to do about a login that Asterisk at `where` (host:port) refuses; it never says why it does."""
    return (
        f"Asterisk at {where} refuses the login of {username!r}: compare `asterisk: username, secret` with the user's "
        "section in manager.conf, its `secret`, `permit` and `deny` (`recbridge asterisk-conf` prints one), "
        "then `asterisk -rx 'manager reload'`"
    )


@dataclass(frozen=True, slots=True)
class Rights:
    """`missing` names the actions that are not allowed or not there; `problem` says it with the remedy, or is ''."""

    may_record: bool
    missing: tuple[str, ...]
    problem: str


class _Asks(Protocol):
    async def action(self, name: str, fields: Fields, deadline_s: float, *, must_succeed: bool = True) -> Response: ...


async def check(asterisk: _Asks, deadline_s: float) -> Rights:
    """Ask Asterisk what this login may do. Raises AsteriskError.

    ListCommands needs no right, and lists only what the session may do (measured). Where MixMonitor is not among it,
    a MixMonitor on a channel that cannot exist tells why, and changes nothing: `Permission denied`, or
    `Invalid/unknown command` where app_mixmonitor is not loaded; `No such channel` would mean that all is well.
    """
    listed = {name for name, _ in (await asterisk.action("ListCommands", {}, deadline_s)).raw.pairs()}
    missing = tuple(name for name in _NEEDED if name not in listed)
    if not missing:
        return Rights(may_record=True, missing=(), problem="")
    may_record = "MixMonitor" not in missing and "StopMixMonitor" not in missing
    if "MixMonitor" in missing:
        probe = await asterisk.action(
            "MixMonitor", {"Channel": _NO_CHANNEL, "File": f"{_NO_CHANNEL}.wav"}, deadline_s, must_succeed=False
        )
        if probe.message.startswith("Invalid/unknown command"):
            return Rights(
                may_record=False,
                missing=missing,
                problem="Asterisk has no MixMonitor: load app_mixmonitor.so (`module load app_mixmonitor.so`)",
            )
    return Rights(may_record, missing, f"the manager user may not do {', '.join(missing)}: {REMEDY}")
