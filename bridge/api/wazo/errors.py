"""Errors as Wazo words them: `{"message", "error_id", "details", "timestamp"}`, the timestamp in fractional seconds.

Facts from wazo-call-logd's `exceptions.py` and from xivo-lib-python (`rest_api_helpers`, `mallow`, `http.exceptions`).
The body is never a list: the clients read `body["message"]`.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime

from aiohttp import web

from bridge.api.answers import RequestError, json_response
from bridge.core.cdrs import CdrNumber

_PATHS = re.compile(r"(?:/1\.0|/1\.1|/0\.1|/api/(?:call-logd|calld|confd|auth))(?:/|$)")

_FOR_SUPERVISORS = "this is for admins and, of their groups, supervisors; one's own is below /users/me"


class MissingAccessError(RequestError):
    """The token has not the access; `access` is Wazo's name for it, `reason` says it in ours.

    Wazo answers 401, as to a wrong token.
    """

    status = 401
    code = "unauthorized"

    def __init__(self, access: str, reason: str = _FOR_SUPERVISORS) -> None:
        super().__init__("Unauthorized", required_access=access, reason=reason)


class UnauthorizedTenantError(RequestError):
    """Another tenant than ours was asked for."""

    status = 401
    code = "unauthorized-tenant"

    def __init__(self, tenant: str) -> None:
        super().__init__("Unauthorized tenant", tenant_uuid=tenant)


class InvalidDataError(RequestError):
    """A query or body that is not as it should be.

    The details say of each field what is wrong, as marshmallow nests it: `{message, constraint_id, constraint}` where
    the type is wrong, a list of those where the value is.
    """

    code = "invalid-data"

    def __init__(self, fields: Mapping[str, object]) -> None:
        super().__init__("Sent data is invalid")
        self.details = dict(fields)


class CdrNotFoundError(RequestError):
    """There is no such finished call, or it is somebody else's."""

    status = 404
    code = "cdr-not-found-with-given-id"

    def __init__(self, cdr_id: CdrNumber | str) -> None:
        super().__init__("No CDR found matching this ID", cdr_id=cdr_id)


class RecordingNotFoundError(RequestError):
    """The call has no such recording, or it is somebody else's."""

    status = 404
    code = "recording-not-found"

    def __init__(self, recording_uuid: str) -> None:
        super().__init__("No recording found", recording_uuid=recording_uuid)


class RecordingMediaNotFoundError(RequestError):
    """The recording was deleted."""

    code = "recording-media-not-found"

    def __init__(self, recording_uuid: str) -> None:
        super().__init__("No recording media found", recording_uuid=recording_uuid)


class RecordingMediaGoneError(RequestError):
    """The file is not where it was stored."""

    status = 500
    code = "recording-media-filesystem-not-found"

    def __init__(self, recording_uuid: str) -> None:
        super().__init__("Recording media: not found on filesystem", recording_uuid=recording_uuid)


class RecordingKeptError(RequestError):
    """What was to be deleted has to stay. Not one of Wazo's: it has no holds."""

    status = 409
    code = "recording-must-be-kept"

    def __init__(self, recording_uuids: list[str]) -> None:
        super().__init__("Recordings under a hold or their rule's own keep stay", recording_uuids=recording_uuids)


class NoRecordingToExportError(RequestError):
    """Nothing that the filters find was recorded, or everything is deleted."""

    code = "no-recording-to-export"

    def __init__(self) -> None:
        super().__init__("No recording to export")


class ExportNotFoundError(RequestError):
    """There is no such export, it is somebody else's, or there is no zip of it: deleted, or never made.

    `reason` says in a code why there is none. Wazo asks for the zip's path before it asks for the status, so that an
    export that failed is 404, too.
    """

    status = 404
    code = "export-not-found-with-given-uuid"

    def __init__(self, export_uuid: str, reason: str | None = None) -> None:
        super().__init__("No export found matching this UUID", export_uuid=export_uuid)
        if reason is not None:
            self.details["reason"] = reason


class ExportNotDoneYetError(RequestError):
    """It is still being made. Wazo says so with 202 and the body of an error."""

    status = 202
    code = "export-not-done-yet"

    def __init__(self, export_uuid: str) -> None:
        super().__init__("Export: not done yet", export_uuid=export_uuid)


class ExportFileMissingError(RequestError):
    """The zip is not where it was put."""

    status = 500
    code = "export-filesystem-not-found"

    def __init__(self, export_uuid: str) -> None:
        super().__init__("Export: not found on filesystem", export_uuid=export_uuid)


class NotOfferedError(RequestError):
    """This daemon runs without what is asked for."""

    status = 503
    code = "service-unavailable"


def is_wazo(path: str) -> bool:
    """Whether a path is Wazo's: its errors are then in Wazo's words."""
    return _PATHS.match(path) is not None


def in_wazo_words(response: web.Response, now: datetime) -> web.Response:
    """The answer to a request that ended with an error, as Wazo gives it."""
    body = json.loads(response.body) if isinstance(response.body, bytes) else {}
    message, details = body["message"], body["details"]
    if response.status == 401 and message != "Unauthorized" and body["error_id"] == "unauthorized":
        message, details = "Unauthorized", {**details, "reason": message}
    body = {"message": message, "error_id": body["error_id"], "details": details, "timestamp": now.timestamp()}
    kept = {name: value for name, value in response.headers.items() if name not in {"Content-Type", "Content-Length"}}
    return json_response(body, status=response.status, headers=kept)
