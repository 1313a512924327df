"""The life of a section, as a table."""

from collections.abc import Mapping
from enum import StrEnum

from bridge.core.errors import IllegalTransitionError
from bridge.core.records import SectionState as S


class SectionEvent(StrEnum):
    """What can happen to a section."""

    ACCEPTED = "accepted"  # MixMonitor answered Success
    REFUSED = "refused"  # MixMonitor answered an error, or nothing in time
    PAUSED = "paused"
    RESUMED = "resumed"
    STOP = "stop"  # its talk is over, or somebody stopped it
    ENDED = "ended"  # StopMixMonitor answered, or the leg hung up: the file is closed
    CHECKED = "checked"  # the file was opened and measured
    UNREADABLE = "unreadable"  # it was not there, or is no audio
    GONE = "gone"  # Asterisk was restarted while it ran, and left nothing of it


TRANSITIONS: Mapping[tuple[S, SectionEvent], S] = {
    (S.REQUESTED, SectionEvent.ACCEPTED): S.RECORDING,
    (S.REQUESTED, SectionEvent.REFUSED): S.FAILED,
    (S.REQUESTED, SectionEvent.STOP): S.STOPPING,
    # Nobody answered, and it does not run, or its leg is gone: what it wrote, if anything, tells what became of it.
    (S.REQUESTED, SectionEvent.ENDED): S.CLOSED,
    (S.RECORDING, SectionEvent.PAUSED): S.PAUSED,
    (S.RECORDING, SectionEvent.STOP): S.STOPPING,
    (S.RECORDING, SectionEvent.ENDED): S.CLOSED,
    (S.PAUSED, SectionEvent.RESUMED): S.RECORDING,
    (S.PAUSED, SectionEvent.STOP): S.STOPPING,
    (S.PAUSED, SectionEvent.ENDED): S.CLOSED,
    # Asked to stop before MixMonitor had answered: its answer is still to come.
    (S.STOPPING, SectionEvent.ACCEPTED): S.STOPPING,
    (S.STOPPING, SectionEvent.REFUSED): S.FAILED,
    (S.STOPPING, SectionEvent.ENDED): S.CLOSED,
    (S.CLOSED, SectionEvent.CHECKED): S.STORED,
    (S.CLOSED, SectionEvent.UNREADABLE): S.FAILED,
    (S.CLOSED, SectionEvent.GONE): S.LOST,
}

FINAL = frozenset({S.STORED, S.FAILED, S.LOST})
"""From here nothing follows."""

ASTERISK_RESTARTED = "asterisk-restarted"
"""The reason of a section that ended with its Asterisk: what was not written yet is lost."""

ENDED_UNSEEN = "ended-unseen"
"""The reason of a section whose end nobody saw: recbridge or the connection was away."""

RUNNING = frozenset({S.RECORDING, S.PAUSED})
"""MixMonitor runs, and nobody has asked it to stop."""


def allows(state: S, event: SectionEvent) -> bool:
    """Whether `event` may happen to a section in `state`."""
    return (state, event) in TRANSITIONS


def after(state: S, event: SectionEvent) -> S:
    """The state that follows. Raises IllegalTransitionError where the table has none."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(f"a section that is {state} cannot be {event}", state=state, event=event) from None
