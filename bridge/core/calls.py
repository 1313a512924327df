"""Channels, Asterisk bridges, talks and calls, and what can change about them. `tracker` follows them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bridge.core.ids import BridgeUniqueid, CallId, ChannelName, Linkedid, RecordId, TalkId, Uniqueid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_HOLDING = "holding_bridge"
"""BridgeTechnology of parking, BridgeWait and queues' waiting: only this tells them from a conference (measured)."""

_PARKING = "parking"
"""BridgeType of a parking lot (measured)."""


@dataclass(frozen=True, slots=True)
class ToldStream:
    """That a channel's audio is in an Asterisk bridge was told. `bridge` and `since` are what it is known by.

    `here` is where it is now: another one once a Local channel has optimised itself away.
    """

    bridge: BridgeUniqueid
    since: datetime
    here: BridgeUniqueid


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a channel (`channel_facts`), so that its end is told as well, once.

    `call_id` is the call that it was told for, `since` when it came into that. `progress` is the last state of its
    dialling, '' while there is none; `dialed_at` when that began.
    """

    call_id: CallId
    since: datetime
    stream: ToldStream | None = None
    progress: str = ""
    dialed_at: datetime | None = None


@dataclass(slots=True, eq=False)
class Channel:
    """A channel, and what it has been through. `dialed` is whether the PBX rang it; a caller was not.

    `connected_s` is finished talk; `talk` the one it is in. `held` is whether its phone has put the others on hold,
    `left_by` are those who did and then went elsewhere, while it stays. `transferred`: it has sent the others on to
    somebody. `ended_at` is set by its Hangup.
    """

    uniqueid: Uniqueid
    linkedid: Linkedid
    name: ChannelName
    number: str
    caller_name: str
    context: str
    exten: str
    began_at: datetime
    call: "Call"
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: int | None = None
    sip_status: int | None = None
    ringing: bool = False
    bridge: BridgeUniqueid | None = None
    peer: Uniqueid | None = None
    dialed: bool = False
    dialed_by: Uniqueid | None = None
    dialed_number: str = ""
    dial_string: str = ""
    dial_status: str = ""
    queue: str = ""
    held: bool = False
    left_by: set[Uniqueid] = field(default_factory=set)
    transferred: bool = False
    talk: "Talk | None" = None
    talking_since: datetime | None = None
    connected_s: float = 0.0
    talked_with: dict[Uniqueid, None] = field(default_factory=dict)
    told: Told | None = None

    @property
    def local(self) -> bool:
        """A half of a Local channel: no party."""
        return self.name.startswith("Local/")


@dataclass(slots=True, eq=False)
class AsteriskBridge:
    """An Asterisk bridge and who is in it, in the order of entering."""

    uniqueid: BridgeUniqueid
    technology: str
    members: dict[Uniqueid, None] = field(default_factory=dict)
    destroyed: bool = False
    kind: str = ""

    @property
    def parks(self) -> bool:
        """Whether it is a parking lot."""
        return self.kind == _PARKING

    @property
    def talking(self) -> bool:
        """Whether its members hear each other: not while parked or waiting."""
        return self.technology != _HOLDING


@dataclass(slots=True, eq=False)
class Talk:
    """A stretch in which two or more parties are connected. `parties` is in the order of joining."""

    number: int
    began_at: datetime
    parties: dict[Uniqueid, Channel]
    bridges: frozenset[BridgeUniqueid]

    @property
    def talk_id(self) -> TalkId:
        """What it is called by what is kept: numbers begin anew with each start of ours."""
        return TalkId(f"{(self.began_at - _EPOCH) // timedelta(microseconds=1)}-{self.number}")


@dataclass(slots=True, eq=False)
class Call:
    """All channels whose linkedids were joined or that have talked with each other.

    `channels` keeps those that are gone, until the call is over; `variables` those set on any of them that rules ask
    about, the newest value of each. `announced` is whether CallBegan was said of it. `record_id` is None until it is
    first needed, `records` names every record in which something of this call was recorded.
    """

    call_id: CallId
    began_at: datetime
    channels: dict[Uniqueid, Channel] = field(default_factory=dict)
    live: int = 0
    announced: bool = False
    queue: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    talked_s: float = 0.0
    record_id: RecordId | None = None
    records: dict[RecordId, None] = field(default_factory=dict)

    @property
    def caller(self) -> Channel:
        """The leg that the call came from: the first real one that nobody dialled, else the first."""
        first: Channel | None = None
        for channel in self.channels.values():
            if channel.local:
                continue
            if not channel.dialed:
                return channel
            first = first or channel
        return first or next(iter(self.channels.values()))

    @property
    def legs(self) -> list[Channel]:
        """The real channels, oldest first, those that are gone too."""
        return [channel for channel in self.channels.values() if not channel.local]


@dataclass(frozen=True, slots=True)
class CallBegan:
    """A call has its first real channel. Local halves alone (a periodic beep's, say) are nobody's call."""

    call: Call


@dataclass(frozen=True, slots=True)
class CallsJoined:
    """`gone` has become part of `call`."""

    call: Call
    gone: Call


@dataclass(frozen=True, slots=True)
class CallProgressed:
    """Before any talk: somebody is rung, the PBX has answered, or the caller waits in a queue now."""

    call: Call


@dataclass(frozen=True, slots=True)
class TalkBegan:
    """Two or more parties are connected now."""

    talk: Talk
    call: Call


@dataclass(frozen=True, slots=True)
class TalkChanged:
    """Somebody joined or left, and at least two who talked before still do."""

    talk: Talk
    call: Call
    joined: tuple[Uniqueid, ...]
    left: tuple[Uniqueid, ...]


@dataclass(frozen=True, slots=True)
class TalkEnded:
    """They are not connected any more. `parties` is who was."""

    talk: Talk
    call: Call
    parties: tuple[Uniqueid, ...]


@dataclass(frozen=True, slots=True)
class ChannelGone:
    """A channel hung up."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The last channel of a call hung up."""

    call: Call


Changed = CallBegan | CallsJoined | CallProgressed | TalkBegan | TalkChanged | TalkEnded | ChannelGone | CallEnded
