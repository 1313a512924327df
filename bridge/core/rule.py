"""One rule as an admin writes it; its conditions are in `conditions`."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema, field_validator

from bridge.core.conditions import When
from bridge.core.document import POSITIVE, Boolean, Listed, Strict, Text, WrongValueError, one_of, text_of
from bridge.core.durations import Duration, between
from bridge.core.ids import RuleId

RECBRIDGE: Final = "RECBRIDGE"
"""The channel variable that stands over the rules: always, on-demand or never, in either case.

Other values are passed over; `Answers.why_not` says so.
"""


class RecordMode(StrEnum):
    """What a rule that matches does."""

    ALWAYS = "always"
    ON_DEMAND = "on-demand"
    NEVER = "never"


class Follow(StrEnum):
    """What keeps a rule that once matched: the call, or only a user whom its conditions name."""

    CALL = "call"
    USER = "user"


class Start(StrEnum):
    """From when on is recorded: the talk, the PBX's answer (queue and IVR too), or the ringing."""

    TALK = "talk"
    ANSWER = "answer"
    RING = "ring"


class Channels(StrEnum):
    """Both sides in one, or each on its own."""

    MONO = "mono"
    STEREO = "stereo"


class Pause(StrEnum):
    """Who may pause an automatic recording; admins always may."""

    USER = "user"
    NOBODY = "nobody"


_RATES: Final = {"8000": 8000, "16000": 16000}


def _rate(value: object) -> int:
    text = text_of(value)
    if text not in _RATES:
        raise WrongValueError(f"cannot be `{text}`: possible are {', '.join(_RATES)} (samples a second)")
    return _RATES[text]


class Rule(Strict):
    """One rule as an admin wrote it. Lengths of time are None where there is no such thing."""

    id: Annotated[
        RuleId,
        POSITIVE,
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": 999_999_999},
                    {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
                ]
            }
        ),
    ]
    """The ruleId, unique over all files; it stands in file names and events."""
    name: Text
    """For people."""
    record: Annotated[RecordMode, one_of(RecordMode)]
    """always: by itself. on-demand: offered to the user. never: not at all, whatever other rules say."""
    when: When = When()
    """The conditions; all must hold. Without it the rule matches every talk."""
    follow: Annotated[Follow, one_of(Follow)] = Follow.CALL
    """call: what matched once holds for the rest of the call. user: while the user named in `when` is in the talk."""
    start: Annotated[Start, one_of(Start)] = Start.TALK
    """talk, answer (from when the PBX answers, queue and IVR too) or ring (from the ringing on)."""
    consultation: Boolean = True
    """Whether the talk before an attended transfer is recorded."""
    channels: Annotated[Channels, one_of(Channels)] = Channels.MONO
    """mono or stereo (the caller left, the others right)."""
    rate: Annotated[int, BeforeValidator(_rate), WithJsonSchema({"enum": [*_RATES.values(), *_RATES]})] = 8000
    """Samples a second: 8000 or 16000."""
    beep: Annotated[Duration, between("1s", "1h")] | None = None
    """A beep to all parties, each time after this long."""
    section: Annotated[Duration, between("10s", "24h")] | None = None
    """The longest section; the next begins before it ends."""
    pause: Annotated[Pause, one_of(Pause)] = Pause.NOBODY
    """Who may pause an automatic recording: user or nobody. Admins always may."""
    pause_at_most: Annotated[Duration, between("1s", "24h")] | None = None
    """After this long a paused recording resumes by itself."""
    keep: Annotated[Duration, between("1h", "36500d")] | None = None
    """How long recordings are kept, whatever stands elsewhere."""
    tags: Listed[Text] = ()
    """Words that go with every section of this rule."""

    @field_validator("follow")
    @classmethod
    def _follows_somebody(cls, follow: Follow, info: ValidationInfo) -> Follow:
        when = info.data.get("when")  # not there where it has mistakes of its own
        if follow is Follow.USER and when is not None and not when.names_users:
            raise WrongValueError("can be `user` only where `when` says whom: user, caller or callee")
        return follow


RULE_ZERO: Final = Rule.model_construct(id=RuleId(0), name=RECBRIDGE, record=RecordMode.ALWAYS)
"""What records, with the defaults, where RECBRIDGE wants a recording and no rule does."""


class RulesFile(Strict):
    """A file of rules."""

    rules: tuple[Rule, ...]
