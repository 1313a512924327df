"""JSON answers, and the one body that every error has."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from aiohttp import web

from bridge.core.errors import RecbridgeError
from bridge.core.views import epoch_ms


class RequestError(RecbridgeError):
    """A request that is answered with an error: `status`, and `headers` where the answer needs some."""

    status: ClassVar[int] = 400
    code = "invalid-request"
    headers: Mapping[str, str]

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None, **details: object) -> None:
        super().__init__(message, **details)
        self.headers = headers or {}


class InvalidFieldsError(RequestError):
    """Fields that are unknown or wrong; the details say what of each, by its name."""

    def __init__(self, message: str, fields: Mapping[str, str]) -> None:
        super().__init__(message)
        self.details = dict(fields)


class FormatNotAvailableError(RequestError):
    """A format of audio that exists, but not here."""

    code = "format-not-available"


class UnauthorizedError(RequestError):
    """No token, or none that is known and valid."""

    status = 401
    code = "unauthorized"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class ForbiddenError(RequestError):
    """A right is missing."""

    status = 403
    code = "forbidden"


class NotFoundError(RequestError):
    """There is no such thing, or it is somebody else's."""

    status = 404
    code = "not-found"


class AudioMissingError(RequestError):
    """The database knows a file that is not in the spool."""

    status = 404
    code = "audio-missing"


class RecordingDeletedError(RequestError):
    """The audio was deleted: its time was over, or somebody had it erased."""

    status = 410
    code = "recording-deleted"


class NotStoredYetError(RequestError):
    """A section without audio that could be played: it still runs, or it failed."""

    status = 409
    code = "not-stored-yet"


class RangeNotSatisfiableError(RequestError):
    """The range lies behind the file's end."""

    status = 416
    code = "range-not-satisfiable"


class TooManyRequestsError(RequestError):
    """Too much of something; `Retry-After` says how long to wait."""

    status = 429
    code = "too-many-requests"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_s)})


def json_text(value: Any) -> str:
    """One line of JSON that is always UTF-8: what Asterisk said in another charset is replaced by U+FFFD."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=json_text(value).encode(), status=status, headers=headers, content_type="application/json")


def error_body(code: str, message: str, details: Mapping[str, object], now: datetime) -> dict[str, Any]:
    """`{"error_id", "message", "details", "timestamp"}`."""
    return {"error_id": code, "message": message, "details": dict(details), "timestamp": epoch_ms(now)}
