"""The one tree of errors. Every error has a stable code that scripts may rely on."""

from dataclasses import dataclass
from typing import ClassVar


class RecbridgeError(Exception):
    """Whatever recbridge says no to. `code` is stable, the message is for people."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class IllegalTransitionError(RecbridgeError):
    """A section or an export was asked to do what its state does not allow; nothing changed."""

    code = "illegal-transition"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file that an admin wrote.

    `line` and `column` count from 1. `suggestion` is what was probably meant.
    """

    file: str
    line: int
    column: int
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        """`file:line:column: what is wrong (did you mean …)`."""
        return self._line(self.message)

    def as_warning(self) -> str:
        """`file:line:column: warning: …`, where it is none that must be mended."""
        return self._line(f"warning: {self.message}")

    def _line(self, words: str) -> str:
        hint = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        return f"{self.file}:{self.line}:{self.column}: {words}{hint}"


class BadInputError(RecbridgeError):
    """Files that cannot be used, with every problem at once."""

    code = "bad-input"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class AsteriskError(RecbridgeError):
    """Asterisk could not be asked, or said no."""

    code = "asterisk-error"


class AsteriskUnreachableError(AsteriskError):
    """No connection to the manager interface, or it went away while we waited."""

    code = "asterisk-unreachable"


class TornMessageError(AsteriskUnreachableError):
    """A caller's number holds line breaks and tore a message apart: what follows it cannot be trusted."""

    code = "asterisk-message-torn"


class AsteriskTimeoutError(AsteriskError):
    """Asterisk did not answer within the deadline."""

    code = "asterisk-timeout"


class AsteriskRefusedError(AsteriskError):
    """Asterisk answered with an error; the message is Asterisk's."""

    code = "asterisk-refused"


class LoginRefusedError(AsteriskError):
    """The manager interface does not accept the username or secret."""

    code = "login-refused"


class InvalidAmiValueError(AsteriskError):
    """A value with CR, LF or NUL, or one too long for an AMI line: never sent."""

    code = "invalid-ami-value"


class StoreError(RecbridgeError):
    """The database could not be read or written."""

    code = "store-error"


class MediaError(RecbridgeError):
    """An audio file is missing or cannot be read."""

    code = "media-error"


class CursorGoneError(RecbridgeError):
    """A stream was asked to go on after a fact that is no longer, or not yet, kept: begin anew, without a cursor."""

    code = "cursor-too-old"


class TooManyStreamsError(RecbridgeError):
    """As many live streams run as there may be."""

    code = "too-many-streams"


class ControlError(RecbridgeError):
    """A start, stop, pause or resume that cannot be done; nothing changed unless the class says so."""

    code = "control-error"


class UnknownChannelError(ControlError):
    """There is no such channel in a call that the one who asks may see."""

    code = "no-such-channel"


class ForbiddenControlError(ControlError):
    """The one who asks has not the right."""

    code = "control-forbidden"


class NotAllowedByRulesError(ForbiddenControlError):
    """No on-demand rule that applies allows this user to record."""

    code = "not-allowed-by-rules"


class PauseNotAllowedError(ForbiddenControlError):
    """None of the rules that record the call lets this user pause it (`pause: user`)."""

    code = "pause-not-allowed"


class NotYourRecordingError(ForbiddenControlError):
    """Somebody else has started what is recorded, or paused it."""

    code = "recording-of-another"


class ControlStateError(ControlError):
    """The call or its recording is in no state for this."""

    code = "control-state"


class LocalChannelError(ControlStateError):
    """A Local channel is no party: nothing is recorded on it."""

    code = "local-channel"


class NotInTalkError(ControlStateError):
    """The channel is not connected with another party."""

    code = "not-in-talk"


class AlreadyRecordingError(ControlStateError):
    """Every rule that allows it records already, started by the one who asks."""

    code = "already-recording"


class RecordedByAnotherError(ControlStateError):
    """Another user has started this recording."""

    code = "recorded-by-another"


class AutomaticRecordingError(ControlStateError):
    """What is recorded is recorded by the system, and nobody can stop it."""

    code = "recording-automatic"


class NotRecordingError(ControlStateError):
    """There is nothing to stop or to pause."""

    code = "not-recording"


class RecordPausedError(ControlStateError):
    """The record is paused: nothing begins before it is resumed."""

    code = "record-paused"


class NotPausedError(ControlStateError):
    """The record is not paused."""

    code = "not-paused"


class TalkOverError(ControlStateError):
    """The talk ended before Asterisk had confirmed."""

    code = "talk-over"


class NotConfirmedError(ControlError):
    """Asterisk did not confirm. A pause has stopped the recording; a start that came too late is stopped."""

    code = "not-confirmed"


class TooManyCommandsError(ControlError):
    """As many commands are under way as there may be."""

    code = "too-many-commands"


class TooManyExportsError(RecbridgeError):
    """As many exports wait or are being made as there may be."""

    code = "too-many-exports"


class ExportGoneError(RecbridgeError):
    """The zip of an export is not there, or not any more."""

    code = "export-gone"


class TooManyWebhooksError(RecbridgeError):
    """There are as many webhooks as there may be."""

    code = "too-many-webhooks"


class WebhookStateError(RecbridgeError):
    """A webhook or one of its deliveries is in no state for this."""

    code = "webhook-state"
