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
    """A section was asked to do what its state does not allow; nothing changed."""

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
