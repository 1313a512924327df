"""Callbacks: who gets them, what became of each, and their secrets, which are shown once. For admins alone."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NotRequired, TypeVar

from aiohttp import web
from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from bridge.api.answers import InvalidFieldsError, NotFoundError, RequestError, json_response
from bridge.api.auth import Access
from bridge.api.callbacks import Callbacks
from bridge.api.dependencies import dependencies
from bridge.api.operations import Operation
from bridge.api.validation import Fields, query_of, raw_body, refusal
from bridge.core.errors import TooManyWebhooksError, WebhookStateError
from bridge.core.views import epoch_ms
from bridge.core.webhooks import (
    Delivery,
    DeliveryKey,
    DeliveryState,
    FormatName,
    Webhook,
    WebhookId,
    delivery_key,
    error_of,
    succeeded,
    valid_secrets,
)

_PATH = "/api/v1/webhooks"

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Events = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=100)]


class _Body(Fields):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class NewWebhook(_Body):
    """To be set up. Without `events` it gets all, without `secret` we make one."""

    url: Text
    format: FormatName = FormatName.STANDARD
    events: Events = Field(default=["*"])
    secret: Text | None = None
    archive_url: Text | None = None


class ChangedWebhook(_Body):
    """What is not given stays. A `secret` takes the place of the one before as a rotation does."""

    url: Text | None = None
    events: Events | None = None
    secret: Text | None = None
    archive_url: Text | None = None
    enabled: bool | None = None


class NewSecret(_Body):
    """Without `secret` we make one."""

    secret: Text | None = None


class DeliveriesQuery(Fields):
    """`before` is the id of the last one of the page before."""

    state: DeliveryState | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    before: str | None = None


class WebhookConflictError(RequestError):
    """A webhook or delivery is in no state for this, or there are too many."""

    status = 409
    code = "webhook-state"


class TooManyWebhooksHereError(WebhookConflictError):
    """There are as many as there may be."""

    code = "too-many-webhooks"


BodyT = TypeVar("BodyT", bound=_Body)


class SecretItem(TypedDict):
    """A secret that signs, without itself."""

    expiresAt: int | None


class WebhookItem(TypedDict):
    """A webhook. `secret` is there once, when it was set up."""

    id: str
    url: str
    archiveUrl: str | None
    format: str
    events: list[str]
    enabled: bool
    disabledReason: str | None
    disabledAt: int | None
    createdAt: int
    secrets: list[SecretItem]
    cursor: int
    waiting: int
    secret: NotRequired[str]


class WebhookItems(TypedDict):
    """Oldest first."""

    items: list[WebhookItem]


class DeliveryItem(TypedDict):
    """A callback of a fact on its way."""

    id: str
    event: str
    fact: int
    call: str
    state: str
    attempts: int
    nextAt: int | None
    status: int | None
    error: str | None
    createdAt: int
    endedAt: int | None


class DeliveryItems(TypedDict):
    """The newest facts' first."""

    items: list[DeliveryItem]


class SecretShown(TypedDict):
    """The new secret, this once."""

    secret: str


class TestAnswer(TypedDict):
    """What came of a test."""

    delivered: bool
    status: int | None
    error: str | None


def webhook_item(webhook: Webhook, waiting: int, request: web.Request) -> WebhookItem:
    """A webhook as JSON: of its secrets only how many sign, and until when."""
    now = dependencies(request).clock()
    disabled_at = webhook.disabled_at
    return {
        "id": webhook.id,
        "url": webhook.url,
        "archiveUrl": webhook.archive_url,
        "format": str(webhook.format),
        "events": list(webhook.events),
        "enabled": webhook.enabled,
        "disabledReason": webhook.disabled_reason,
        "disabledAt": None if disabled_at is None else epoch_ms(disabled_at),
        "createdAt": epoch_ms(webhook.created_at),
        "secrets": [
            {"expiresAt": None if one.expires_at is None else epoch_ms(one.expires_at)}
            for one in valid_secrets(webhook, now)
        ],
        "cursor": webhook.cursor,
        "waiting": waiting,
    }


def delivery_item(delivery: Delivery) -> DeliveryItem:
    """A delivery as JSON. `id` is what its receiver saw as `webhook-id`; `call` is what it is in order within."""
    next_at, ended_at = delivery.next_at, delivery.ended_at
    return {
        "id": delivery.key.id,
        "event": delivery.name,
        "fact": delivery.key.fact,
        "call": delivery.order_key,
        "state": str(delivery.state),
        "attempts": delivery.attempts,
        "nextAt": None if next_at is None else epoch_ms(next_at),
        "status": delivery.status,
        "error": delivery.error,
        "createdAt": epoch_ms(delivery.at),
        "endedAt": None if ended_at is None else epoch_ms(ended_at),
    }


async def _add(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST /api/v1/webhooks`: 201 with the webhook and, this once, its `secret`."""
    callbacks = _callbacks(request)
    body = await _body_of(request, NewWebhook, lambda fields: callbacks.wrong(fields, _format_in(fields)))
    try:
        webhook, secret = await callbacks.add(
            body.url, body.format, body.events, access.reader, archive_url=body.archive_url, secret=body.secret
        )
    except TooManyWebhooksError as error:
        raise TooManyWebhooksHereError(error.message) from error
    item = webhook_item(webhook, 0, request)
    item["secret"] = secret
    return json_response(item, status=201, headers={"Location": f"{_PATH}/{webhook.id}"})


async def _all(request: web.Request, access: Access) -> web.StreamResponse:  # noqa: ARG001  # a handler's shape
    """`GET /api/v1/webhooks`: `{"items": […]}`, oldest first."""
    callbacks = _callbacks(request)
    return json_response({"items": [webhook_item(one, callbacks.waiting(one.id), request) for one in callbacks.all]})


async def _one(request: web.Request, access: Access) -> web.StreamResponse:  # noqa: ARG001  # a handler's shape
    """`GET /api/v1/webhooks/{id}`."""
    webhook = _found(request)
    return json_response(webhook_item(webhook, _callbacks(request).waiting(webhook.id), request))


async def _change(request: web.Request, access: Access) -> web.StreamResponse:
    """`PATCH /api/v1/webhooks/{id}`: the webhook as it is then. `{"enabled": true}` lets it go on from its cursor."""
    callbacks, webhook = _callbacks(request), _found(request)
    body = await _body_of(request, ChangedWebhook, lambda fields: callbacks.wrong(fields, webhook.format))
    values = body.model_dump(exclude_unset=True)
    for name in ("url", "events", "secret", "enabled"):
        if name in values and values[name] is None:
            raise InvalidFieldsError("the body is not as it should be", {name: "it should not be null"})
    if "events" in values:
        values["events"] = tuple(values["events"])
    try:
        changed = await callbacks.change(webhook.id, access.reader, **values)
    except WebhookStateError as error:
        raise WebhookConflictError(error.message) from error
    if changed is None:
        raise _nothing()
    return json_response(webhook_item(changed, callbacks.waiting(changed.id), request))


async def _remove(request: web.Request, access: Access) -> web.StreamResponse:
    """`DELETE /api/v1/webhooks/{id}`: 204; its deliveries are forgotten, too."""
    if not await _callbacks(request).remove(_found(request).id, access.reader):
        raise _nothing()
    return web.Response(status=204)


async def _rotate(request: web.Request, access: Access) -> web.StreamResponse:
    """`POST …/secrets`: 201 with the new `secret`, this once. The one before signs beside it for 24 hours."""
    callbacks, webhook = _callbacks(request), _found(request)
    body = await _body_of(request, NewSecret, lambda fields: callbacks.wrong(fields, webhook.format))
    try:
        secret = await callbacks.rotate(webhook.id, body.secret, access.reader)
    except WebhookStateError as error:
        raise WebhookConflictError(error.message) from error
    if secret is None:
        raise _nothing()
    return json_response({"secret": secret}, status=201)


async def _test(request: web.Request, access: Access) -> web.StreamResponse:  # noqa: ARG001  # a handler's shape
    """`POST …/test`: sends `webhook.test` now, also where it is disabled: `{"delivered", "status", "error"}`."""
    webhook = _found(request)
    answer = await _callbacks(request).test(webhook.id)
    if answer is None:
        raise _nothing()
    delivered = succeeded(webhook.format, answer)
    error = None if delivered else error_of(answer)
    return json_response({"delivered": delivered, "status": answer.status, "error": error})


async def _deliveries(request: web.Request, access: Access) -> web.StreamResponse:  # noqa: ARG001  # a handler's shape
    """`GET …/deliveries`: `{"items": […]}`, the newest facts' first."""
    webhook, query = _found(request), query_of(request, DeliveriesQuery)
    before = None if query.before is None else _delivery_key(webhook.id, query.before)
    if query.before is not None and before is None:
        raise InvalidFieldsError("the query is not as it should be", {"before": "it is no delivery of this webhook"})
    found = await _callbacks(request).deliveries(webhook.id, query.state, before, query.limit)
    return json_response({"items": [delivery_item(one) for one in found]})


async def _resend(request: web.Request, access: Access) -> web.StreamResponse:  # noqa: ARG001  # a handler's shape
    """`POST …/deliveries/{id}/resend`: 202 with the delivery, which goes out once more with the same id."""
    webhook = _found(request)
    key = _delivery_key(webhook.id, request.match_info["delivery_id"])
    try:
        delivery = None if key is None else await _callbacks(request).resend(key)
    except WebhookStateError as error:
        raise WebhookConflictError(error.message) from error
    if delivery is None:
        raise NotFoundError("there is no such delivery")
    return json_response(delivery_item(delivery), status=202)


def _callbacks(request: web.Request) -> Callbacks:
    callbacks = dependencies(request).webhooks
    if callbacks is None:
        raise NotFoundError("there are no callbacks here")
    return callbacks


def _found(request: web.Request) -> Webhook:
    webhook = _callbacks(request).one(request.match_info["webhook_id"])
    if webhook is None:
        raise _nothing()
    return webhook


def _nothing() -> NotFoundError:
    return NotFoundError("there is no such webhook")


def _delivery_key(webhook_id: WebhookId, text: str) -> DeliveryKey | None:
    key = delivery_key(text)
    return key if key is not None and key.webhook == webhook_id else None


def _format_in(fields: Mapping[str, Any]) -> FormatName:
    return FormatName.VONAGE if fields.get("format") == FormatName.VONAGE else FormatName.STANDARD


async def _body_of(
    request: web.Request, model: type[BodyT], wrong: Callable[[Mapping[str, Any]], Mapping[str, str]]
) -> BodyT:
    """The body's fields. Raises InvalidFieldsError with all that is wrong, in shape or meaning."""
    raw = await raw_body(request) or b"{}"
    body: BodyT | None = None
    details: dict[str, str] = {}
    try:
        body = model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        details = {str(name): str(words) for name, words in refusal("body", error).details.items()}
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        by_name = {name: fields.get(to_camel(name)) for name in model.model_fields}
        for name, words in wrong(by_name).items():
            details.setdefault(to_camel(name), words)
    if body is None or details:
        raise InvalidFieldsError("the body is not as it should be", details)
    return body


_ONE = f"{_PATH}/{{webhook_id}}"
_ANSWERS = {200: WebhookItem}

OPERATIONS = (
    Operation(
        "POST", _PATH, _add, "Set up a webhook", {201: WebhookItem}, body=NewWebhook, errors=(404, 409), admin=True
    ),
    Operation("GET", _PATH, _all, "All webhooks", {200: WebhookItems}, errors=(404,), admin=True),
    Operation("GET", _ONE, _one, "One webhook", _ANSWERS, admin=True),
    Operation(
        "PATCH",
        _ONE,
        _change,
        "Change a webhook",
        _ANSWERS,
        body=ChangedWebhook,
        body_required=False,
        errors=(409,),
        admin=True,
    ),
    Operation("DELETE", _ONE, _remove, "Remove a webhook", {204: None}, admin=True),
    Operation(
        "POST",
        f"{_ONE}/secrets",
        _rotate,
        "A new secret",
        {201: SecretShown},
        body=NewSecret,
        errors=(409,),
        admin=True,
        body_required=False,
    ),
    Operation("POST", f"{_ONE}/test", _test, "Send a test", {200: TestAnswer}, admin=True),
    Operation(
        "GET",
        f"{_ONE}/deliveries",
        _deliveries,
        "What became of each",
        {200: DeliveryItems},
        DeliveriesQuery,
        admin=True,
    ),
    Operation(
        "POST",
        f"{_ONE}/deliveries/{{delivery_id}}/resend",
        _resend,
        "Once more",
        {202: DeliveryItem},
        errors=(409,),
        admin=True,
    ),
)
