"""wazo-confd's feature extensions: the keys `*26` and `*3`, which an admin may disable."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID, uuid5

from aiohttp import web

from bridge.api.answers import json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, Setting, dependencies
from bridge.api.wazo.access import needs_admin
from bridge.api.wazo.errors import NotOfferedError
from bridge.api.wazo.kinds import ANY_OF, SWITCH, string
from bridge.api.wazo.listing import PageQuery, page
from bridge.api.wazo.parsing import WazoFields, json_body, parsed, problem
from bridge.api.wazo.users import ResourceNotFoundError
from bridge.core.messages import CALL_RECORD_EXTENSION
from bridge.core.people import USERS_NAMESPACE
from bridge.core.presses import TOGGLE
from bridge.core.settings import Settings
from bridge.core.views import Json

_CONTEXT: Final = "xivo-features"
_EXACT: Final = ("feature", "exten", "uuid", "id", "context")


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


class FeaturesQuery(PageQuery):
    """Which features: each of these is one of several by commas."""

    feature: Annotated[tuple[str, ...], ANY_OF] = ()
    exten: Annotated[tuple[str, ...], ANY_OF] = ()
    uuid: Annotated[tuple[str, ...], ANY_OF] = ()
    id: Annotated[tuple[str, ...], ANY_OF] = ()
    context: Annotated[tuple[str, ...], ANY_OF] = ()


class FeatureBody(WazoFields):
    """Whether the key counts; which it is cannot be changed."""

    enabled: Annotated[bool | None, SWITCH] = None
    exten: Annotated[str | None, string(null=True)] = None


async def features(request: web.Request, access: Access) -> web.StreamResponse:
    """`GET /1.1/extensions/features`, admins alone: `{"total", "items"}`; `feature` and `exten` exact, `search`."""
    needs_admin(access, "confd.extensions.features.read")
    deps = dependencies(request)
    items = [_item(deps, one) for one in _FEATURES]
    wanted = parsed(FeaturesQuery, request.query)
    return json_response(page(wanted, items, searched=("feature", "exten"), exact=_EXACT, order="exten"))


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
    wanted = parsed(FeatureBody, await json_body(request), functools.partial(_fixed, found))
    if wanted.enabled is not None:
        await _setting(deps).change({found.setting: wanted.enabled}, access.reader)
    return web.Response(status=204)


def _fixed(found: _Feature, body: Mapping[str, Any]) -> Mapping[str, object]:
    if body.get("exten", found.exten) == found.exten:
        return {}
    return {"exten": [problem(f"It is {found.exten} in Asterisk's configuration.", "enum", [found.exten])]}


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
