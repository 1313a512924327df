"""The JSON Schema of rule files, made from the models that read them: what editors complete and check by.

It knows the form alone. Which users there are, how long a `beep` may be and what follows from two keys together only
`check` says. What we take as text an editor may read as a number or a boolean, so that is accepted too.
"""

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from bridge.core.rule import RulesFile

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
"""What editors know; `$ref` has no neighbours there that would count."""


class _WithoutNull(GenerateJsonSchema):
    """A key that is there has a value: null is only how a model says that there is none."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # keys speak for themselves
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        default = schema.get("default")
        return inner | {"default": default} if isinstance(default, bool | int) else inner


def rule_schema() -> dict[str, Any]:
    """What a file in `rules/` may hold."""
    return {"$schema": _DRAFT} | RulesFile.model_json_schema(schema_generator=_WithoutNull)
