"""wazo-confd's feature extensions: the keys `*26` and `*3`, which an admin may disable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from aiohttp import web

from bridge.api.answers import json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, Setting, dependencies
from bridge.api.wazo.access import needs_admin
from bridge.api.wazo.errors import InvalidDataError, NotOfferedError
from bridge.api.wazo.listing import page
from bridge.api.wazo.parsing import json_body
from bridge.api.wazo.users import NOT_A_BOOLEAN, ResourceNotFoundError
from bridge.core.messages import CALL_RECORD_EXTENSION
from bridge.core.people import USERS_NAMESPACE
from bridge.core.presses import TOGGLE
from bridge.core.settings import Settings
from bridge.core.views import Json

_CONTEXT: Final = "xivo-features"
_TRUE: Final = ("t", "true", "on", "y", "yes", "1")
_FALSE: Final = ("f", "false", "off", "n", "no", "0")


@dataclass(frozen=True, slots=True)
class _Feature:
    """A key. `setting` is the name of what says whether it counts."""

    id: int
    feature: str
    exten: str
    setting: str

    @property
    def uuid(self) -> UUID:
        """The same one on every machine."""
        return uuid5(USERS_NAMESPACE, f"feature:{self.feature}")


_FEATURES: Final = (
    _Feature(1, "callrecord", CALL_RECORD_EXTENSION, "call_record_toggle"),
    _Feature(2, "togglerecord", TOGGLE, "record_toggle"),
)
"""`callrecord` is confd's own; `*3` has no extension in Wazo, where it is a feature of Asterisk's."""


async def features(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.1/extensions/features`, admins alone: `{"total", "items"}`; `feature` and `exten` exact, `search`."""
    needs_admin(access, "confd.extensions.features.read")
    deps = dependencies(request)
    items = [_item(deps, one) for one in _FEATURES]
    known = ("feature", "exten", "uuid", "id", "context")
    return json_response(page(request.query, items, searched=("feature", "exten"), exact=known, order="exten"))


async def feature(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.1/extensions/features/{uuid or id}`, admins alone."""
    feature_id = request.match_info["feature_id"]
    needs_admin(access, f"confd.extensions.features.{feature_id}.read")
    return json_response(_item(dependencies(request), _found(feature_id)))


async def change_feature(request: web.Request, access: Access) -> web.StreamResponse:
    """`PUT /1.1/extensions/features/{uuid or id}`, admins alone: whether the key counts from now on; 204.

    Which key it is cannot be changed here: that is Asterisk's configuration.
    """
    feature_id = request.match_info["feature_id"]
    needs_admin(access, f"confd.extensions.features.{feature_id}.update")
    deps = dependencies(request)
    found = _found(feature_id)
    enabled = _enabled(await json_body(request), found)
    if enabled is not None:
        await _setting(deps).change({found.setting: enabled}, access.reader)
    return web.Response(status=204)


def _enabled(body: Mapping[str, Any], found: _Feature) -> bool | None:
    """None where it is to stay as it is. Raises InvalidDataError."""
    wrong: dict[str, object] = {}
    if body.get("exten", found.exten) != found.exten:
        message = f"It is {found.exten} in Asterisk's configuration."
        wrong["exten"] = [{"message": message, "constraint_id": "enum", "constraint": [found.exten]}]
    value = body.get("enabled")
    word = str(value).lower() if isinstance(value, bool | int | str) else ""
    if "enabled" in body and word not in {*_TRUE, *_FALSE}:
        wrong["enabled"] = NOT_A_BOOLEAN
    if wrong:
        raise InvalidDataError(wrong)
    return word in _TRUE if "enabled" in body else None


def _found(feature_id: str) -> _Feature:
    found = next((one for one in _FEATURES if feature_id.lower() in {str(one.id), str(one.uuid)}), None)
    if found is None:
        raise ResourceNotFoundError("ExtensionFeature", feature_id)
    return found


def _setting(deps: Dependencies) -> Setting:
    if deps.setting is None:
        raise NotOfferedError("settings cannot be changed here")
    return deps.setting


def _item(deps: Dependencies, one: _Feature) -> Json:
    settings = deps.setting.current if deps.setting is not None else Settings()
    return {
        "id": one.id,
        "uuid": str(one.uuid),
        "exten": one.exten,
        "context": _CONTEXT,
        "feature": one.feature,
        "enabled": getattr(settings, one.setting),
        "links": [],
    }
