"""Keys pressed on phones: which of what Asterisk says are presses, each once."""

from datetime import datetime, timedelta

from bridge.core import messages as m
from bridge.core.ids import Uniqueid

TOGGLE = "*3"
"""The keys that start, pause and resume a recording, as plain DTMF."""

_DIGITS_WITHIN_S = 3.0
_USER_EVENT_WITHIN_S = 0.5
"""How long after the last digit the UserEvent of a feature map for the same press may come; it says more."""
_SAME_PRESS_S = 2.0


class Presses:
    """Tells presses of the record key.

    One press can be said twice, by UserEvent(RecordToggle) and by its digits: then the UserEvent counts. `*26` can be
    said twice too, as the extension dialled and as UserEvent(CallRecordToggle): a channel turns the flags once.
    """

    def __init__(self) -> None:
        self._star: dict[Uniqueid, datetime] = {}
        self._due: dict[Uniqueid, datetime] = {}
        self._pressed: dict[Uniqueid, datetime] = {}
        self._acted: dict[Uniqueid, datetime] = {}
        self._flags: set[Uniqueid] = set()

    def wake_at(self) -> datetime | None:
        """When `due` has something, if nothing happens before."""
        return min(self._due.values(), default=None)

    def toggled(self, event: m.RecordToggled) -> bool:
        """Whether a RecordToggle is a press that was not taken already for its digits."""
        self._star.pop(event.uniqueid, None)
        if self._due.pop(event.uniqueid, None) is not None:
            return True
        if self._digits_acted(event.uniqueid, event.at):
            return False
        self._pressed[event.uniqueid] = event.at
        return True

    def _digits_acted(self, leg: Uniqueid, at: datetime) -> bool:
        acted = self._acted.pop(leg, None)
        return acted is not None and at - acted < timedelta(seconds=_SAME_PRESS_S)

    def digit(self, event: m.DigitPressed) -> None:
        """Take a digit; `due` says later whether it was the last of a press."""
        star = self._star.pop(event.uniqueid, None)
        if event.digit == TOGGLE[0]:
            self._star[event.uniqueid] = event.at
        elif event.digit == TOGGLE[1] and star is not None and event.at - star < timedelta(seconds=_DIGITS_WITHIN_S):
            said = self._pressed.pop(event.uniqueid, None)
            if said is None or event.at - said >= timedelta(seconds=_SAME_PRESS_S):
                self._due[event.uniqueid] = event.at + timedelta(seconds=_USER_EVENT_WITHIN_S)

    def due(self, now: datetime) -> list[Uniqueid]:
        """The legs on which the keys were pressed, and no UserEvent came."""
        legs = [leg for leg, at in self._due.items() if at <= now]
        for leg in legs:
            del self._due[leg]
            self._acted[leg] = now
        return legs

    def flags_toggled(self, event: m.CallRecordToggled) -> bool:
        """Whether this channel turns the flags for the first time."""
        first = event.uniqueid not in self._flags
        self._flags.add(event.uniqueid)
        return first

    def gone(self, leg: Uniqueid) -> None:
        """The channel hung up."""
        for times in (self._star, self._due, self._pressed, self._acted):
            times.pop(leg, None)
        self._flags.discard(leg)
