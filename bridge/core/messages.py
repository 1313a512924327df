"""AMI message to typed event, or nothing.

An AMI event goes in as anything that gives headers by name; what comes out is one of the frozen dataclasses below,
or None for an event that nothing here needs. `parse` never raises: an event without the headers that it needs is None.
Times are Asterisk's own where it says them (`timestampevents=yes` in manager.conf adds `Timestamp`). Over 300 lines: a
type and a parser of a few lines for each event.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from bridge.core.ids import BridgeUniqueid, ChannelName, Linkedid, Uniqueid


class Headers(Protocol):
    """One AMI message. Names are exact; a header that is not there is the empty string."""

    def header(self, name: str) -> str:
        """The first value of a header, or ''."""

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header that repeats."""


@dataclass(frozen=True, slots=True)
class ChannelSeen:
    """A channel exists (Newchannel, or the start's snapshot).

    `exten` is what was dialled on a channel that came in, `state_up` whether it is answered. Names and numbers are
    the channel's own caller id, as raw text. `dialed`, and the `queue` that it waits or talks in, are only known from a
    snapshot; else DialBegin and QueueCallerJoin tell.
    """

    at: datetime
    uniqueid: Uniqueid
    linkedid: Linkedid
    channel: ChannelName
    caller_number: str
    caller_name: str
    context: str
    exten: str
    state_up: bool
    dialed: bool = False
    queue: str = ""


@dataclass(frozen=True, slots=True)
class ChannelStateChanged:
    """Newstate: `state_up` when the channel is answered, `ringing` when its phone rings."""

    at: datetime
    uniqueid: Uniqueid
    state_up: bool
    ringing: bool = False


@dataclass(frozen=True, slots=True)
class ChannelRenamed:
    """Rename: a masquerade gives a channel another's name."""

    at: datetime
    uniqueid: Uniqueid
    channel: ChannelName


@dataclass(frozen=True, slots=True)
class CallerIdChanged:
    """NewCallerid: what the channel says of itself."""

    at: datetime
    uniqueid: Uniqueid
    caller_number: str
    caller_name: str


@dataclass(frozen=True, slots=True)
class ChannelHungUp:
    """Hangup: the end of a channel. `cause` is Q.850's number, None where Asterisk says none.

    `sip_status` is SIP's own status (TechCause; 16 has none), where it was an error.
    """

    at: datetime
    uniqueid: Uniqueid
    cause: int | None
    sip_status: int | None = None


@dataclass(frozen=True, slots=True)
class HangupRequested:
    """HangupRequest: the phone, or the network behind it, ends the channel. `cause` is Q.850's number.

    `soft`, SoftHangupRequest: something inside Asterisk does, and `cause` is what: `SOFT_EXPLICIT`, 16 at the end of
    its dialplan, 1 where no RTP came any more. Neither comes for a Hangup by the manager (all measured on 22.10).
    """

    at: datetime
    uniqueid: Uniqueid
    cause: int | None
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Transferred:
    """BlindTransfer or AttendedTransfer: the transferer's channels, which do not stay.

    `target` is whom an attended one is to: a party, or the half of a Local channel that leads there. `extension` is
    what was dialled in a blind one.
    """

    at: datetime
    transferers: tuple[Uniqueid, ...]
    transferee: Uniqueid | None
    blind: bool = False
    target: Uniqueid | None = None
    extension: str = ""


@dataclass(frozen=True, slots=True)
class DialBegan:
    """DialBegin: `caller` (None where the PBX itself calls) has `called` rung."""

    at: datetime
    caller: Uniqueid | None
    called: Uniqueid
    called_number: str
    called_name: str
    dial_string: str


@dataclass(frozen=True, slots=True)
class DialEnded:
    """DialEnd: `status` is Asterisk's DIALSTATUS word (ANSWER, BUSY, NOANSWER, CANCEL, CONGESTION, CHANUNAVAIL, …)."""

    at: datetime
    caller: Uniqueid | None
    called: Uniqueid
    status: str


@dataclass(frozen=True, slots=True)
class BridgeEntered:
    """BridgeEnter. `technology` tells a holding bridge from a talking one; `swap` is whose place it took."""

    at: datetime
    bridge: BridgeUniqueid
    bridge_type: str
    technology: str
    uniqueid: Uniqueid
    linkedid: Linkedid
    channel: ChannelName
    swap: Uniqueid | None


@dataclass(frozen=True, slots=True)
class BridgeLeft:
    """BridgeLeave."""

    at: datetime
    bridge: BridgeUniqueid
    uniqueid: Uniqueid


@dataclass(frozen=True, slots=True)
class BridgeDestroyed:
    """BridgeDestroy."""

    at: datetime
    bridge: BridgeUniqueid


@dataclass(frozen=True, slots=True)
class LocalBridged:
    """LocalBridge: the two halves of a Local channel."""

    at: datetime
    one: Uniqueid
    two: Uniqueid


@dataclass(frozen=True, slots=True)
class LocalOptimizationBegan:
    """LocalOptimizationBegin: the pair is about to take itself out of the way."""

    at: datetime
    one: Uniqueid
    two: Uniqueid


@dataclass(frozen=True, slots=True)
class LocalOptimizationEnded:
    """LocalOptimizationEnd."""

    at: datetime
    one: Uniqueid
    two: Uniqueid


@dataclass(frozen=True, slots=True)
class QueueCallerJoined:
    """QueueCallerJoin: the caller waits in `queue`."""

    at: datetime
    uniqueid: Uniqueid
    queue: str


@dataclass(frozen=True, slots=True)
class VariableSet:
    """VarSet: a channel variable has a value. The `_` and `__` of inheritance are taken off the name."""

    at: datetime
    uniqueid: Uniqueid
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ChannelHeld:
    """Hold or Unhold: the channel's phone has put the others on hold (`held`), or taken them back."""

    at: datetime
    uniqueid: Uniqueid
    held: bool


@dataclass(frozen=True, slots=True)
class RecordToggled:
    """UserEvent(RecordToggle): on this channel's phone the record key was pressed."""

    at: datetime
    uniqueid: Uniqueid


@dataclass(frozen=True, slots=True)
class CallRecordToggled:
    """UserEvent(CallRecordToggle), or `*26` was dialled: this channel's user turns its call recording on or off."""

    at: datetime
    uniqueid: Uniqueid


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """DTMFEnd: a key was pressed on this channel's phone."""

    at: datetime
    uniqueid: Uniqueid
    digit: str


@dataclass(frozen=True, slots=True)
class MixMonitorStarted:
    """MixMonitorStart: somebody's, on this channel; Asterisk does not say whose."""

    at: datetime
    uniqueid: Uniqueid


@dataclass(frozen=True, slots=True)
class MixMonitorStopped:
    """MixMonitorStop: somebody's, by StopMixMonitor. A hangup sends none."""

    at: datetime
    uniqueid: Uniqueid


@dataclass(frozen=True, slots=True)
class BridgeMember:
    """A channel in an Asterisk bridge, as a snapshot says it."""

    bridge: BridgeUniqueid
    bridge_type: str
    technology: str
    uniqueid: Uniqueid


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """Everything that Asterisk has just now: what is not in it is gone.

    `booted_at` is when Asterisk was started, to the second; None where it does not say.
    """

    at: datetime
    channels: tuple[ChannelSeen, ...]
    members: tuple[BridgeMember, ...]
    local_pairs: tuple[tuple[Uniqueid, Uniqueid], ...]
    variables: tuple[VariableSet, ...] = ()
    booted_at: datetime | None = None


Event = (
    ChannelSeen
    | ChannelStateChanged
    | ChannelRenamed
    | CallerIdChanged
    | ChannelHungUp
    | HangupRequested
    | Transferred
    | DialBegan
    | DialEnded
    | BridgeEntered
    | BridgeLeft
    | BridgeDestroyed
    | LocalBridged
    | LocalOptimizationBegan
    | LocalOptimizationEnded
    | QueueCallerJoined
    | VariableSet
    | ChannelHeld
    | RecordToggled
    | CallRecordToggled
    | DigitPressed
    | MixMonitorStarted
    | MixMonitorStopped
    | SnapshotTaken
)

CALL_RECORD_EXTENSION = "*26"
"""Dialled, it turns the recording of a user's calls on or off (Wazo's `callrecord`)."""

DTMF = "DTMFEnd"
"""The event of a key: digits can be anybody's secret, so it is asked for only where the configuration says so."""

CHANNEL_EVENTS = ("HangupRequest", "SoftHangupRequest")
"""The events that tell why a channel ended: asked for only while somebody wants to know that."""

SOFT_EXPLICIT = 32
"""The cause of a SoftHangupRequest where an admin asked for it (`channel request hangup`; measured)."""

_UP, _RINGING = "6", "5"
_DIALED_BY = frozenset({"AppDial", "AppDial2", "AppQueue"})
"""The Application that CoreShowChannels names for a leg that Dial, Originate or Queue has rung."""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def unescape(value: str) -> str:
    r"""Undo the C escapes that AMI puts into CallerIDName, ConnectedLineName and VarSet's Value.

    >>> unescape(r'Anna \"Ännchen\" M\\K')
    'Anna "Ännchen" M\\K'
    """
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), value)


def _number(value: str) -> str:
    return "" if value == "<unknown>" else value


def _name(value: str) -> str:
    return "" if value == "<unknown>" else unescape(value)


def channel_seen(message: Headers, at: datetime) -> ChannelSeen | None:
    """A channel as Newchannel and CoreShowChannel both describe it."""
    uniqueid = message.header("Uniqueid")
    channel = message.header("Channel")
    if not uniqueid or not channel:
        return None
    return ChannelSeen(
        at=at,
        uniqueid=Uniqueid(uniqueid),
        linkedid=Linkedid(message.header("Linkedid") or uniqueid),
        channel=ChannelName(channel),
        caller_number=_number(message.header("CallerIDNum")),
        caller_name=_name(message.header("CallerIDName")),
        context=message.header("Context"),
        exten=message.header("Exten"),
        state_up=message.header("ChannelState") == _UP,
        dialed=message.header("Application") in _DIALED_BY,
        queue=message.header("ApplicationData").partition(",")[0] if message.header("Application") == "Queue" else "",
    )


def _state(message: Headers, at: datetime) -> Event | None:
    uniqueid, state = message.header("Uniqueid"), message.header("ChannelState")
    return ChannelStateChanged(at, Uniqueid(uniqueid), state == _UP, state == _RINGING) if uniqueid else None


def _rename(message: Headers, at: datetime) -> Event | None:
    uniqueid, name = message.header("Uniqueid"), message.header("Newname")
    return ChannelRenamed(at, Uniqueid(uniqueid), ChannelName(name)) if uniqueid and name else None


def _callerid(message: Headers, at: datetime) -> Event | None:
    uniqueid = message.header("Uniqueid")
    if not uniqueid:
        return None
    return CallerIdChanged(
        at, Uniqueid(uniqueid), _number(message.header("CallerIDNum")), _name(message.header("CallerIDName"))
    )


def _whole(value: str) -> int | None:
    return int(value) if value.isdecimal() else None


def _hangup(message: Headers, at: datetime) -> Event | None:
    uniqueid = message.header("Uniqueid")
    if not uniqueid:
        return None
    return ChannelHungUp(at, Uniqueid(uniqueid), _whole(message.header("Cause")), _whole(message.header("TechCause")))


def _hangup_request(message: Headers, at: datetime) -> Event | None:
    uniqueid = message.header("Uniqueid")
    if not uniqueid:
        return None
    soft = message.header("Event") == "SoftHangupRequest"
    return HangupRequested(at, Uniqueid(uniqueid), _whole(message.header("Cause")), soft)


def _transfer(*transferers: str, blind: bool) -> Callable[[Headers, datetime], Event | None]:
    def parse_transfer(message: Headers, at: datetime) -> Event | None:
        them = [message.header(name) for name in transferers]
        found = tuple(Uniqueid(one) for one in dict.fromkeys(them) if one)
        if not found or message.header("Result") != "Success":
            return None
        transferee, target = message.header("TransfereeUniqueid"), message.header("TransferTargetUniqueid")
        return Transferred(
            at=at,
            transferers=found,
            transferee=Uniqueid(transferee) if transferee else None,
            blind=blind,
            target=Uniqueid(target) if target else None,
            extension=message.header("Extension") if blind else "",
        )

    return parse_transfer


def _dial_begin(message: Headers, at: datetime) -> Event | None:
    called = message.header("DestUniqueid")
    if not called:
        return None
    caller = message.header("Uniqueid")
    return DialBegan(
        at=at,
        caller=Uniqueid(caller) if caller else None,
        called=Uniqueid(called),
        called_number=_number(message.header("DestCallerIDNum")),
        called_name=_name(message.header("DestCallerIDName")),
        dial_string=message.header("DialString"),
    )


def _dial_end(message: Headers, at: datetime) -> Event | None:
    called = message.header("DestUniqueid")
    caller = message.header("Uniqueid")
    if not called:
        return None
    return DialEnded(at, Uniqueid(caller) if caller else None, Uniqueid(called), message.header("DialStatus"))


def _bridge_enter(message: Headers, at: datetime) -> Event | None:
    bridge, uniqueid = message.header("BridgeUniqueid"), message.header("Uniqueid")
    if not bridge or not uniqueid:
        return None
    swap = message.header("SwapUniqueid")
    return BridgeEntered(
        at=at,
        bridge=BridgeUniqueid(bridge),
        bridge_type=message.header("BridgeType"),
        technology=message.header("BridgeTechnology"),
        uniqueid=Uniqueid(uniqueid),
        linkedid=Linkedid(message.header("Linkedid") or uniqueid),
        channel=ChannelName(message.header("Channel")),
        swap=Uniqueid(swap) if swap else None,
    )


def _bridge_leave(message: Headers, at: datetime) -> Event | None:
    bridge, uniqueid = message.header("BridgeUniqueid"), message.header("Uniqueid")
    return BridgeLeft(at, BridgeUniqueid(bridge), Uniqueid(uniqueid)) if bridge and uniqueid else None


def _bridge_destroy(message: Headers, at: datetime) -> Event | None:
    bridge = message.header("BridgeUniqueid")
    return BridgeDestroyed(at, BridgeUniqueid(bridge)) if bridge else None


def _local(
    kind: Callable[[datetime, Uniqueid, Uniqueid], Event],
) -> Callable[[Headers, datetime], Event | None]:
    def parse_pair(message: Headers, at: datetime) -> Event | None:
        one, two = message.header("LocalOneUniqueid"), message.header("LocalTwoUniqueid")
        return kind(at, Uniqueid(one), Uniqueid(two)) if one and two else None

    return parse_pair


def _queue_join(message: Headers, at: datetime) -> Event | None:
    uniqueid, queue = message.header("Uniqueid"), message.header("Queue")
    return QueueCallerJoined(at, Uniqueid(uniqueid), queue) if uniqueid and queue else None


def variable_set(uniqueid: str, name: str, value: str, at: datetime) -> VariableSet | None:
    """A variable of a channel; None for a global one."""
    plain = name[2:] if name.startswith("__") else name.removeprefix("_")
    if not plain or not uniqueid or uniqueid == "none":
        return None
    return VariableSet(at, Uniqueid(uniqueid), plain, value)


def _varset(message: Headers, at: datetime) -> Event | None:
    value = unescape(message.header("Value"))
    return variable_set(message.header("Uniqueid"), message.header("Variable"), value, at)


def _hold(message: Headers, at: datetime) -> Event | None:
    uniqueid = message.header("Uniqueid")
    return ChannelHeld(at, Uniqueid(uniqueid), message.header("Event") == "Hold") if uniqueid else None


_USER_EVENTS: Mapping[str, Callable[[datetime, Uniqueid], Event]] = {
    "recordtoggle": RecordToggled,
    "callrecordtoggle": CallRecordToggled,
}


def _user_event(message: Headers, at: datetime) -> Event | None:
    # The first Uniqueid is the channel's own; headers of the same name may follow from the dialplan.
    kind, uniqueid = _USER_EVENTS.get(message.header("UserEvent").lower()), message.header("Uniqueid")
    return kind(at, Uniqueid(uniqueid)) if kind is not None and uniqueid else None


def _newexten(message: Headers, at: datetime) -> Event | None:
    uniqueid = message.header("Uniqueid")
    if message.header("Extension") != CALL_RECORD_EXTENSION or not uniqueid:
        return None
    return CallRecordToggled(at, Uniqueid(uniqueid))


def _dtmf(message: Headers, at: datetime) -> Event | None:
    uniqueid, digit = message.header("Uniqueid"), message.header("Digit")
    if message.header("Direction") != "Received" or not uniqueid or not digit:
        return None
    return DigitPressed(at, Uniqueid(uniqueid), digit)


def _mixmonitor_start(message: Headers, at: datetime) -> Event | None:
    uniqueid = message.header("Uniqueid")
    return MixMonitorStarted(at, Uniqueid(uniqueid)) if uniqueid else None


def _mixmonitor_stop(message: Headers, at: datetime) -> Event | None:
    uniqueid = message.header("Uniqueid")
    return MixMonitorStopped(at, Uniqueid(uniqueid)) if uniqueid else None


PARSERS: Mapping[str, Callable[[Headers, datetime], Event | None]] = {
    "Newchannel": channel_seen,
    "Newstate": _state,
    "Rename": _rename,
    "NewCallerid": _callerid,
    "Hangup": _hangup,
    "HangupRequest": _hangup_request,
    "SoftHangupRequest": _hangup_request,
    "BlindTransfer": _transfer("TransfererUniqueid", blind=True),
    "AttendedTransfer": _transfer("OrigTransfererUniqueid", "SecondTransfererUniqueid", blind=False),
    "DialBegin": _dial_begin,
    "DialEnd": _dial_end,
    "BridgeEnter": _bridge_enter,
    "BridgeLeave": _bridge_leave,
    "BridgeDestroy": _bridge_destroy,
    "LocalBridge": _local(LocalBridged),
    "LocalOptimizationBegin": _local(LocalOptimizationBegan),
    "LocalOptimizationEnd": _local(LocalOptimizationEnded),
    "QueueCallerJoin": _queue_join,
    "VarSet": _varset,
    "Hold": _hold,
    "Unhold": _hold,
    "UserEvent": _user_event,
    "Newexten": _newexten,
    DTMF: _dtmf,
    "MixMonitorStart": _mixmonitor_start,
    "MixMonitorStop": _mixmonitor_stop,
}
"""The events that are understood, by Asterisk's name: also what Asterisk is asked to send.

DTMF and `CHANNEL_EVENTS` only if wanted.
"""


def asterisk_time(message: Headers, received_at: datetime) -> datetime:
    """When the event happened: its `Timestamp` (epoch seconds with a fraction), or when it came."""
    stamp = message.header("Timestamp")
    if not stamp:
        return received_at
    try:
        return datetime.fromtimestamp(float(stamp), UTC)
    except (ValueError, OverflowError, OSError):
        return received_at


def parse(message: Headers, received_at: datetime) -> Event | None:
    """The typed event of an AMI message, or None where nothing here needs it."""
    parser = PARSERS.get(message.header("Event"))
    return parser(message, asterisk_time(message, received_at)) if parser is not None else None
