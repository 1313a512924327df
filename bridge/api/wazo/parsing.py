"""Values of queries and bodies as Wazo takes them, and what it says of wrong ones.

Facts from marshmallow's fields and xivo-lib-python's `mallow`: a wrong type is one `{message, constraint_id,
constraint}`, a wrong value a list of them; unknown fields are ignored.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from bridge.api.validation import raw_body
from bridge.api.wazo.errors import InvalidDataError

Problem = dict[str, object]
Problems = Mapping[str, object]


def problem(message: str, constraint_id: str, constraint: object) -> Problem:
    """What is wrong with a value."""
    return {"message": message, "constraint_id": constraint_id, "constraint": constraint}


NULL: Final = problem("Field may not be null.", "not_null", "not_null")
_MISSING: Final = problem("Missing data for required field.", "required", "required")


class WrongError(Exception):
    """A value that is not taken, and what Wazo says of it."""

    def __init__(self, what: object) -> None:
        super().__init__()
        self.what = what


@dataclass(frozen=True, slots=True)
class Kind:
    """How a field's value is read, and what of it JSON Schema can say. `read` raises WrongError."""

    read: Callable[[Any], object]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validated)

    def __get_pydantic_json_schema__(
        self, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(self.schema)

    def _validated(self, value: Any) -> object:
        try:
            return self.read(value)
        except WrongError as wrong:
            raise PydanticCustomError("wazo", "it is wrong", {"what": wrong.what}) from wrong


class WazoFields(BaseModel):
    """A query's or a body's fields; what it does not name is ignored, as Wazo does it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


FieldsT = TypeVar("FieldsT", bound=WazoFields)


def parsed(
    model: type[FieldsT], given: Mapping[str, Any], also: Callable[[Mapping[str, Any]], Problems] = lambda _: {}
) -> FieldsT:
    """The fields. `also` says what else is wrong with what is given, where a field alone cannot.

    Raises InvalidDataError with all of it.
    """
    fields: FieldsT | None = None
    problems: dict[str, object] = {}
    try:
        fields = model.model_validate(dict(given))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            what = one["ctx"]["what"] if one["type"] == "wazo" else _MISSING
            problems[str(one["loc"][0])] = what
    problems = {**also(given), **problems}
    if fields is None or problems:
        raise InvalidDataError(problems)
    return fields


async def json_body(request: web.Request) -> Mapping[str, Any]:
    """The body's fields, whatever its content type; none where there is no body. Raises InvalidDataError."""
    raw = await raw_body(request)
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidDataError({"_schema": ["The body is no JSON."]}) from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidDataError({"_schema": ["Invalid input type."]})
    return body
