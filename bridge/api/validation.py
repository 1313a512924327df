"""Queries and bodies, checked by models; whatever a model does not name is refused."""

import asyncio
from typing import TypeVar

from aiohttp import http_exceptions, web
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from bridge.api.answers import InvalidFieldsError, RequestError

_BODY_S = 30
EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:localhost|[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+)"
"""A mail address; nothing that could make further headers of a mail."""
_WORDS = {
    "extra_forbidden": "there is no such field",
    "missing": "it is missing",
    "list_type": "it should be a list",
    "too_short": "it should not be empty",
    "string_type": "it should be text",
    "string_too_short": "it should not be empty",
    "bool_type": "it should be true or false",
    "int_type": "it should be a whole number",
    "int_parsing": "it should be a whole number",
}
"""pydantic's other words are good as they are."""


class Fields(BaseModel):
    """A query's or a body's fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Of a body's whole number, behind its bounds: to JSON, 1.0 is one."""


class Nothing(Fields):
    """No field at all."""


FieldsT = TypeVar("FieldsT", bound=Fields)


def query_of(request: web.Request, model: type[FieldsT]) -> FieldsT:
    """The query string's fields. Raises InvalidFieldsError."""
    query = request.query
    repeated = sorted({name for name in query if len(query.getall(name)) > 1})
    if repeated:
        raise InvalidFieldsError("the query names fields twice", dict.fromkeys(repeated, "given more than once"))
    try:
        return model.model_validate(dict(query))
    except ValidationError as error:
        raise refusal("query", error) from error


async def body_of(request: web.Request, model: type[FieldsT]) -> FieldsT:
    """The JSON body's fields, with exactly their types. Raises InvalidFieldsError."""
    raw = await raw_body(request)
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise refusal("body", error) from error


async def raw_body(request: web.Request) -> bytes:
    """The body. Raises HTTPRequestTimeout, HTTPRequestEntityTooLarge, RequestError."""
    try:
        async with asyncio.timeout(_BODY_S):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except (http_exceptions.HttpProcessingError, web.RequestPayloadError) as error:
        raise RequestError("the body cannot be read") from error


def refusal(what: str, error: ValidationError) -> InvalidFieldsError:
    """What was wrong with each field."""
    details = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name = ".".join(str(part) for part in problem["loc"]) or what
        details[name] = _WORDS.get(problem["type"], problem["msg"])
    return InvalidFieldsError(f"the {what} is not as it should be", details)
