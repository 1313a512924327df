"""What holds for the facts about channels of any calls: everything that is told to begin is told to end, once."""

from collections.abc import Sequence
from datetime import datetime

from bridge.core.ids import CallId
from bridge.core.messages import BridgeMember, ChannelSeen, SnapshotTaken
from bridge.core.records import Fact, FactKind
from bridge.core.tracker import CallTracker

Key = tuple[CallId | None, str]


class Pairs:
    """Follows the facts; `open` are the channels that were told and not told to have ended, by call."""

    def __init__(self) -> None:
        self.open: dict[Key, str] = {}
        self.streams: dict[Key, tuple[str, str]] = {}
        self.dialed: dict[Key, list[str]] = {}

    def take(self, fact: Fact) -> None:
        data = fact.data
        key = fact.call_id, data["uniqueid"]
        match fact.kind:
            case FactKind.CHANNEL_BEGAN:
                assert key not in self.open, f"told twice: {fact}"
                self.open[key] = data["began"]
            case FactKind.CHANNEL_JOINED:
                assert self.open[key] == data["began"]
                assert key not in self.streams, f"it is in two bridges: {fact}"
                self.streams[key] = data["bridge"], data["joined"]
            case FactKind.CHANNEL_LEFT:
                assert self.streams.pop(key) == (data["bridge"], data["joined"])
            case FactKind.CHANNEL_PROGRESS if data["first"]:
                assert key in self.open
                assert key not in self.dialed, f"dialled twice: {fact}"
                self.dialed[key] = [data["state"]]
            case FactKind.CHANNEL_PROGRESS:
                self.dialed[key].append(data["state"])
                if data["state"] == "hung-up":
                    del self.dialed[key]
            case FactKind.CHANNEL_ENDED:
                assert self.open.pop(key) == data["began"]
                assert key not in self.streams, f"ended in a bridge: {fact}"
                assert key not in self.dialed, f"ended, and its dialling did not: {fact}"


def assert_pairs_are_whole(facts: Sequence[Fact]) -> Pairs:
    """Of calls that are over. Gives what was looked at."""
    pairs = Pairs()
    for fact in facts:
        if fact.kind.startswith("channel."):
            pairs.take(fact)
    assert not pairs.open
    assert not pairs.streams
    assert not pairs.dialed
    return pairs


def snapshot_of(tracker: CallTracker, at: datetime) -> SnapshotTaken:
    """What Asterisk would list, by one who has followed it all the time."""
    channels = tuple(
        ChannelSeen(
            at=at,
            uniqueid=one.uniqueid,
            linkedid=one.linkedid,
            channel=one.name,
            caller_number=one.number,
            caller_name=one.caller_name,
            context=one.context,
            exten=one.exten,
            state_up=one.answered_at is not None,
            dialed=one.dialed,
        )
        for one in tracker.channels.values()
    )
    members = tuple(
        BridgeMember(bridge.uniqueid, "basic", bridge.technology, uniqueid)
        for bridge in tracker.bridges.values()
        for uniqueid in bridge.members
    )
    pairs = tuple(
        (one.uniqueid, one.peer)
        for one in tracker.channels.values()
        if one.local and one.name.endswith(";1") and one.peer in tracker.channels
    )
    return SnapshotTaken(at, channels, members, pairs)
