"""Bodies as Wazo takes them: JSON objects whose unknown fields are ignored."""

import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bridge.api.validation import raw_body
from bridge.api.wazo.errors import InvalidDataError

NOT_A_BOOLEAN: Final[Mapping[str, object]] = {
    "message": "Not a valid boolean.", "constraint_id": "type", "constraint": "boolean",
}  # fmt: skip


async def object_of(request: web.Request) -> Mapping[str, Any]:
    """The body; nothing at all, `null` and an empty list are an empty one. Raises InvalidDataError, RequestError."""
    raw = await raw_body(request)
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidDataError({"body": _wrong("Not valid JSON.")}) from error
    if not body and not isinstance(body, dict):
        body = {}
    if not isinstance(body, dict):
        raise InvalidDataError({"body": _wrong("Invalid input type.")})
    return body


def _wrong(message: str) -> Mapping[str, object]:
    return {"message": message, "constraint_id": "type", "constraint": "object"}
