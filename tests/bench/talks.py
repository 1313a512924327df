"""What Asterisk's events say of when talks began and when they began to be recorded; all times are Asterisk's own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.network.ami import Message


@dataclass(frozen=True, slots=True)
class Talk:
    """Times in seconds of Asterisk's clock (`timestampevents`).

    `began_s`: the second party's BridgeEnter. `recorded_s`: each MixMonitorStart on one of the two channels.
    `ended_s`: the first Hangup of one of the two, or None.
    """

    began_s: float
    recorded_s: tuple[float, ...]
    ended_s: float | None

    @property
    def wait_ms(self) -> float | None:
        """From the beginning to the first recording; None where there is none."""
        return 1000 * (self.recorded_s[0] - self.began_s) if self.recorded_s else None


def talks(events: Iterable[Message]) -> list[Talk]:
    """The talks of two, in the order of their beginning, of calls that stay in one bridge."""
    entered: dict[str, list[str]] = {}
    began: dict[str, float] = {}
    recorded: dict[str, list[float]] = {}
    ended: dict[str, float] = {}
    for event in events:
        if event["Event"] not in ("BridgeEnter", "MixMonitorStart", "Hangup"):
            continue
        channel, at = event["Uniqueid"], float(event["Timestamp"])
        match event["Event"]:
            case "BridgeEnter":
                channels = entered.setdefault(event["BridgeUniqueid"], [])
                channels.append(channel)
                if len(channels) == 2:
                    began[event["BridgeUniqueid"]] = at
            case "MixMonitorStart":
                recorded.setdefault(channel, []).append(at)
            case "Hangup":
                ended.setdefault(channel, at)
    return sorted(
        (
            Talk(
                at,
                tuple(sorted(start for channel in entered[bridge] for start in recorded.get(channel, ()))),
                min((ended[channel] for channel in entered[bridge] if channel in ended), default=None),
            )
            for bridge, at in began.items()
        ),
        key=lambda talk: talk.began_s,
    )


def at_once(all_talks: Sequence[Talk], at_s: float) -> int:
    """How many of the talks ran at that time, one that begins then included."""
    return sum(talk.began_s <= at_s and (talk.ended_s is None or talk.ended_s > at_s) for talk in all_talks)
