"""`GET /openapi.json`: every path, out of the table that routes and the models that validate them (OpenAPI 3.1)."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from typing_extensions import TypedDict

from bridge import __version__
from bridge.api.answers import json_response
from bridge.api.operations import MediaType, Operation

Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]*)?\}")
_ALWAYS = (400, 429, 500, 503)
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"token": []}, {"session": []}]
_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of `recbridge token create`."},
    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "The same token."},
    "session": {"type": "apiKey", "in": "cookie", "name": "recbridge_session", "description": "The console's session."},
    "inQuery": {"type": "apiKey", "in": "query", "name": "token", "description": "The same token, where Wazo has it."},
    "ticket": {"type": "apiKey", "in": "query", "name": "ticket", "description": "Of `POST /api/v1/tickets`."},
    "basic": {"type": "http", "scheme": "basic", "description": "A token's identity, and the token as the password."},
}


class Error(TypedDict):
    """The one body that every error has."""

    error_id: str
    message: str
    details: dict[str, Any]
    timestamp: float


def document(operations: Sequence[Operation], title: str = "recbridge") -> Json:
    """The OpenAPI 3.1 document of these operations."""
    schemas = _Schemas(operations)
    paths: dict[str, Json] = {}
    for one in operations:
        paths.setdefault(_PARAMETER.sub(r"{\1}", one.path), {})[one.method.lower()] = _described(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": __version__,
            "description": "Call recording beside Asterisk: our own API, and the paths at which clients of pascom, "
            "Wazo and PITEL find what they know. Times are epoch milliseconds and durations seconds where nothing "
            "else is said. GET answers HEAD too, unless it is a stream.",
        },
        "servers": [{"url": "/"}],
        "security": _SECURITY,
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "securitySchemes": _SECURITY_SCHEMES,
            "responses": {"Error": _answer("An error", {"application/json": {"schema": schemas.of(Error)}})},
        },
    }


class _Schemas:
    """JSON Schemas of all types that the operations name, made in one go: one name stands for one shape."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        wanted = dict.fromkeys(_types(operations))
        inputs: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = [
            (one, mode, TypeAdapter(one)) for one, mode in wanted
        ]
        made, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REF)
        self._made = made
        named = definitions.get("$defs", {})
        # A query's fields stand one by one among the parameters.
        queries = {one.query.__name__ for one in operations}
        self.models = named
        self.named = {name: schema for name, schema in named.items() if name not in queries}

    def of(self, one: Any, mode: JsonSchemaMode = "serialization") -> Json:
        """The schema of a type: a reference where it has a name."""
        return self._made[one, mode]

    def fields(self, model: type[BaseModel]) -> Json:
        """The schema of a model itself."""
        schema = self.of(model, "validation")
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        found: Json = self.models[name] if name else schema
        return found


def _types(operations: Iterable[Operation]) -> Iterator[tuple[Any, JsonSchemaMode]]:
    yield Error, "serialization"
    for one in operations:
        yield one.query, "validation"
        if one.body is not None and not isinstance(one.body, MediaType):
            yield one.body, "validation"
        for answer in one.answers.values():
            for body in answer if isinstance(answer, tuple) else (answer,):
                if body is not None and not isinstance(body, MediaType):
                    yield body, "serialization"


def _described(one: Operation, schemas: _Schemas) -> Json:
    answers = {str(status): _response(status, answer, schemas) for status, answer in sorted(one.answers.items())}
    described: Json = {
        "operationId": _operation_id(one),
        "tags": [one.tag],
        "summary": one.summary,
        "description": one.description,
        "parameters": [*_in_path(one), *_in_query(one, schemas), *map(_in_header, one.headers)],
        "responses": answers,
    }
    for status in _errors(one):
        described["responses"].setdefault(str(status), {"$ref": "#/components/responses/Error"})
    if one.body is not None:
        described["requestBody"] = {"required": one.body_required, "content": _body(one, schemas)}
    if one.security is not None:
        described["security"] = [{scheme: []} if scheme else {} for scheme in one.security]
    elif one.public:
        described["security"] = []
    return described


def _errors(one: Operation) -> list[int]:
    errors = {*_ALWAYS, *one.errors}
    if not one.public or one.security is not None:
        errors.add(401)
    if one.admin:
        errors.add(403)
    if _PARAMETER.search(one.path):
        errors.add(404)
    if one.body is not None:
        errors |= {408, 413}
    return sorted(errors)


def _operation_id(one: Operation) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", _PARAMETER.sub(r"\1", one.path)).strip("_")
    return f"{one.method.lower()}_{words}"


def _in_path(one: Operation) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": one.path_schemas.get(name, {"type": "string"})}
        for name in _PARAMETER.findall(one.path)
    ]


def _in_query(one: Operation, schemas: _Schemas) -> list[Json]:
    if not one.query.model_fields:
        return []
    model = schemas.fields(one.query)
    required = set(model.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(schema)}
        for name, schema in model["properties"].items()
    ]


def _without_null(schema: Mapping[str, Any]) -> Json:
    """Of a query's field: it is left out, never null."""
    plain = {key: value for key, value in schema.items() if not (key == "default" and value is None) and key != "title"}
    some = [one for one in plain.get("anyOf", ()) if one != {"type": "null"}]
    if "anyOf" not in plain or len(some) == len(plain["anyOf"]):
        return plain
    del plain["anyOf"]
    return {**plain, **some[0]} if len(some) == 1 else {**plain, "anyOf": some}


def _in_header(name: str) -> Json:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}


def _response(status: int, answer: Any, schemas: _Schemas) -> Json:
    words = HTTPStatus(status).phrase
    if answer is None:
        return {"description": words}
    content: Json = {}
    for body in answer if isinstance(answer, tuple) else (answer,):
        if isinstance(body, MediaType):
            content |= {name: {"schema": {"type": "string"}} for name in body.names}
        else:
            content["application/json"] = {"schema": schemas.of(body)}
    return _answer(words, content)


def _body(one: Operation, schemas: _Schemas) -> Json:
    if isinstance(one.body, MediaType):
        return {name: {"schema": {"type": "string"}} for name in one.body.names}
    schema = schemas.of(one.body, "validation")
    return {"application/json": {"schema": {"anyOf": [schema, {"type": "null"}]} if one.body_null else schema}}


def _answer(words: str, content: Json) -> Json:
    return {"description": words, "content": content}


class Document:
    """The document of some operations, made when it is asked for, once."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._made: Json | None = None

    def made(self) -> Json:
        """The document."""
        if self._made is None:
            self._made = document(self._operations)
        return self._made


DOCUMENT = web.AppKey("openapi", Document)


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /openapi.json`: for everybody, since it holds nothing of this PBX."""
    return json_response(request.app[DOCUMENT].made())


OPERATIONS = (Operation("GET", "/openapi.json", show, "This description", {200: dict[str, Any]}, public=True),)
