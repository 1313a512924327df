"""Writes the typed events of calls as a PBX would send them, for tests of what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bridge.core import messages as m
from bridge.core.ids import BridgeUniqueid, ChannelName, Linkedid, Uniqueid

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Pbx:
    """Collects events; time goes on by a second with `wait`, by a millisecond with each event."""

    now: datetime = START
    events: list[m.Event] = field(default_factory=list)
    _next: int = 0

    def _at(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def take(self) -> list[m.Event]:
        events, self.events = self.events, []
        return events

    def channel(
        self,
        name: str,
        *,
        exten: str = "",
        number: str = "",
        caller_name: str = "",
        context: str = "internal",
        of: Uniqueid | None = None,
    ) -> Uniqueid:
        """A new channel; `of` is a channel whose linkedid it inherits."""
        self._next += 1
        uniqueid = Uniqueid(f"1700000000.{self._next}")
        linkedid = Linkedid(self._linked.get(of, of) if of is not None else uniqueid)
        self._linked[uniqueid] = linkedid
        self._names[uniqueid] = ChannelName(name)
        self.events.append(
            m.ChannelSeen(
                self._at(), uniqueid, linkedid, ChannelName(name), number, caller_name, context, exten, state_up=False
            )
        )
        return uniqueid

    _linked: dict[Uniqueid, str] = field(default_factory=dict)
    _names: dict[Uniqueid, ChannelName] = field(default_factory=dict)

    def ring(self, caller: Uniqueid, called: str, *, number: str = "") -> Uniqueid:
        """`caller` has `called` rung."""
        uniqueid = self.channel(called, of=caller)
        self.events.append(m.DialBegan(self._at(), caller, uniqueid, number, "", called))
        return uniqueid

    def dial_ends(self, caller: Uniqueid, called: Uniqueid, status: str) -> None:
        self.events.append(m.DialEnded(self._at(), caller, called, status))

    def up(self, channel: Uniqueid) -> None:
        self.events.append(m.ChannelStateChanged(self._at(), channel, state_up=True))

    def enter(
        self, bridge: str, *channels: Uniqueid, bridge_type: str = "basic", technology: str = "simple_bridge"
    ) -> None:
        for channel in channels:
            self.events.append(
                m.BridgeEntered(
                    self._at(),
                    BridgeUniqueid(bridge),
                    bridge_type,
                    technology,
                    channel,
                    Linkedid(self._linked[channel]),
                    self._names[channel],
                    None,
                )
            )

    def leave(self, bridge: str, *channels: Uniqueid) -> None:
        self.events.extend(m.BridgeLeft(self._at(), BridgeUniqueid(bridge), channel) for channel in channels)

    def destroy(self, bridge: str) -> None:
        self.events.append(m.BridgeDestroyed(self._at(), BridgeUniqueid(bridge)))

    def hangup(self, *channels: Uniqueid, cause: int = 16) -> None:
        self.events.extend(m.ChannelHungUp(self._at(), channel, cause) for channel in channels)

    def local(self, name: str, of: Uniqueid) -> tuple[Uniqueid, Uniqueid]:
        one = self.channel(f"Local/{name};1", of=of)
        two = self.channel(f"Local/{name};2", of=of)
        self.events.append(m.LocalBridged(self._at(), one, two))
        return one, two

    def optimize(self, one: Uniqueid, two: Uniqueid, *, begin: bool) -> None:
        kind = m.LocalOptimizationBegan if begin else m.LocalOptimizationEnded
        self.events.append(kind(self._at(), one, two))

    def queue(self, caller: Uniqueid, queue: str) -> None:
        self.events.append(m.QueueCallerJoined(self._at(), caller, queue))

    def variable(self, channel: Uniqueid, name: str, value: str) -> None:
        self.events.append(m.VariableSet(self._at(), channel, name, value))

    def hold(self, channel: Uniqueid, *, held: bool = True) -> None:
        """The channel's phone puts the others on hold, or takes them back."""
        self.events.append(m.ChannelHeld(self._at(), channel, held))

    def record_key(self, channel: Uniqueid) -> None:
        """A feature map's UserEvent."""
        self.events.append(m.RecordToggled(self._at(), channel))

    def digits(self, channel: Uniqueid, digits: str, *, apart_s: float = 0.1) -> None:
        for digit in digits:
            self.events.append(m.DigitPressed(self._at(), channel, digit))
            self.wait(apart_s)

    def all_calls_key(self, channel: Uniqueid) -> None:
        """`*26` was dialled."""
        self.events.append(m.CallRecordToggled(self._at(), channel))

    def mixmonitor(self, channel: Uniqueid, *, runs: bool) -> None:
        """Somebody else has started or stopped one."""
        self.events.append((m.MixMonitorStarted if runs else m.MixMonitorStopped)(self._at(), channel))

    def answered(self, caller: Uniqueid, called: Uniqueid, bridge: str) -> None:
        """`called` picks up, and both are bridged."""
        self.dial_ends(caller, called, "ANSWER")
        self.up(called)
        self.enter(bridge, called, caller)

    def over(self, bridge: str, *channels: Uniqueid) -> None:
        """All of a bridge hang up."""
        self.leave(bridge, *channels)
        self.destroy(bridge)
        self.hangup(*channels)

    def snapshot(self, channels: Sequence[Uniqueid], members: Sequence[tuple[str, Uniqueid]]) -> None:
        at = self._at()
        self.events.append(
            m.SnapshotTaken(
                at,
                tuple(
                    m.ChannelSeen(
                        at, one, Linkedid(self._linked[one]), self._names[one], "", "", "internal", "", state_up=True
                    )
                    for one in channels
                ),
                tuple(m.BridgeMember(BridgeUniqueid(b), "basic", "simple_bridge", one) for b, one in members),
                (),
            )
        )
