"""What people ask for while a call goes on, and what they are told.

A command goes into `Recorder.handle` like an event; its one answer comes out among the decisions, now or later, when
Asterisk has confirmed. An answer is `Done` with the sections as they are then, or `Refused` with an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from bridge.core.access import Reader
from bridge.core.errors import ControlError
from bridge.core.ids import Identity
from bridge.core.records import Section

CommandNumber = NewType("CommandNumber", int)
"""Tells a command's answer from others'; unique while the daemon runs."""

ANSWER_WITHIN_S = 10.0
"""After this long without Asterisk's word a command is refused as not confirmed."""


class Verb(StrEnum):
    """What is asked for."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Command:
    """`reader` wants `verb` done to what is recorded of the call of `channel` (its name or Uniqueid)."""

    at: datetime
    number: CommandNumber
    verb: Verb
    channel: str
    reader: Reader


@dataclass(frozen=True, slots=True)
class SetFlags:
    """`changes` of what is recorded of `identity`'s calls, by the flags' names, from the next talk on.

    `reader` wants that; what it does not name stays as it is.
    """

    at: datetime
    number: CommandNumber
    identity: Identity
    changes: Mapping[str, bool]
    reader: Reader


Order = Command | SetFlags
"""What comes in beside events, and is answered."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command was carried out, and Asterisk has confirmed it: the sections it was about, one or more for each rule.

    Where nothing runs at the moment (a pause while the call is parked) there are none.
    """

    number: CommandNumber
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A command was not, or not wholly, carried out."""

    number: CommandNumber
    error: ControlError


Answer = Done | Refused
