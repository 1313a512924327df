"""How long finished calls, recordings and exports are kept."""

from datetime import timedelta
from typing import Annotated

from aiohttp import web

from bridge.api.answers import json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, Setting, dependencies
from bridge.api.wazo.access import needs_admin
from bridge.api.wazo.errors import InvalidDataError, NotOfferedError
from bridge.api.wazo.kinds import integer
from bridge.api.wazo.parsing import WazoFields, json_body, parsed

_DAYS = integer(most=36_500)


class RetentionBody(WazoFields):
    """What the body does not name is unset."""

    cdr_days: Annotated[int | None, _DAYS] = None
    export_days: Annotated[int | None, _DAYS] = None
    recording_days: Annotated[int | None, _DAYS] = None


async def show(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /retention`: what was set, null where nothing was, and the configuration's `default_…` (null: for ever)."""
    needs_admin(access, "call-logd.retention.read")
    deps = dependencies(request)
    now = _setting(deps).current
    return json_response(
        {
            "tenant_uuid": str(deps.tenant_uuid),
            "cdr_days": now.cdr_days,
            "export_days": now.export_days,
            "recording_days": now.recording_days,
            "default_cdr_days": _days(deps.keeping.calls),
            "default_export_days": _days(deps.keep_exports),
            "default_recording_days": _days(deps.keeping.recordings),
        }
    )


async def put(request: web.Request, access: Access) -> web.StreamResponse:
    """`PUT /retention`: 204. What the body does not name is unset, as Wazo does it."""
    needs_admin(access, "call-logd.retention.update")
    setting = _setting(dependencies(request))
    days = parsed(RetentionBody, await json_body(request))
    if days.cdr_days is not None and days.recording_days is not None and days.recording_days > days.cdr_days:
        raise InvalidDataError({"recording_days": ['"recording_days" must be lower or equal than "cdr_days"']})
    await setting.change(days.model_dump(), access.reader)
    return web.Response(status=204)


def _setting(deps: Dependencies) -> Setting:
    if deps.setting is None:
        raise NotOfferedError("nothing can be set here")
    return deps.setting


def _days(keep: timedelta | None) -> int | None:
    return None if keep is None else keep.days
