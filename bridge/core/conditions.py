"""What may stand below `when`: the conditions of a rule as an admin writes them (`matching` asks them)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from bridge.core.document import (
    Boolean,
    OneOrMany,
    Strict,
    Text,
    WrongValueError,
    one_of,
    suggest,
    text_of,
    text_schema,
)
from bridge.core.people import GROUP_PREFIX, Directory
from bridge.core.times import TimeText


class Direction(StrEnum):
    """Which way a talk goes: nobody from outside in it, somebody who called in, or somebody who was called."""

    INTERNAL = "internal"
    INBOUND = "inbound"
    OUTBOUND = "outbound"


_BETWEEN_DIGITS: Final = r"[\s()/.-]"
_SHARE: Final = r"(?:100(?:\.0{1,6})?|[0-9]{1,2}(?:\.[0-9]{1,6})?)%"
_VARIABLE: Final = "[A-Za-z_][A-Za-z0-9_]{0,79}"


def plain_number(number: str) -> str:
    """A number without what people put between its digits."""
    return re.sub(_BETWEEN_DIGITS, "", number)


def plain_variable(name: str) -> str:
    """A channel variable's name without the `_` or `__` that makes children inherit it."""
    return name[2:] if name.startswith("__") else name.removeprefix("_")


def share_of(sample: str) -> Fraction:
    """`10%` -> 1/10."""
    return Fraction(sample.rstrip("%")) / 100


def _number_pattern(value: object) -> str:
    text = text_of(value)
    if not plain_number(text):
        raise WrongValueError(f"must be a number or a pattern of one, not `{text}`")
    return text


def _share(value: object) -> str:
    text = text_of(value)
    if not re.fullmatch(_SHARE, text):
        meant = f"{text.strip()}%" if re.fullmatch(_SHARE, f"{text.strip()}%") else None
        raise WrongValueError(f"must be a share from 0% to 100%, like 10% or 0.5%, not `{text}`", meant)
    return text


def _variable_name(value: object) -> str:
    text = text_of(value)
    if not re.fullmatch(_VARIABLE, text) or not plain_variable(text):
        raise WrongValueError("is no name of a channel variable: letters, digits and _, no digit first")
    return text


def _some_variable(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if not value:
        raise WrongValueError("names no variable: say `{NAME: value}`, or leave the key out")
    return value


def _known_user(value: object, info: ValidationInfo) -> str:
    """A user or `group:NAME`. Where users.yml is empty, every endpoint is a user, so any name may be one."""
    text = text_of(value)
    is_group = text.startswith(GROUP_PREFIX)
    if not text.removeprefix(GROUP_PREFIX).strip() or (":" in text and not is_group):
        raise WrongValueError(f"must name a user, or a group as `{GROUP_PREFIX}sales`, not `{text}`")
    directory = info.context
    if isinstance(directory, Directory) and directory.users:
        groups = [GROUP_PREFIX + group for group in directory.groups]
        if text not in (groups if is_group else directory.by_identity):
            what = "a group" if is_group else "a user"
            meant = suggest(text, [*directory.by_identity, *groups])
            raise WrongValueError(f"names {what} that users.yml does not know: `{text}`", meant)
    return text


@dataclass(frozen=True, slots=True)
class _NotEmpty:
    """JSON Schema of keys of which there must be one."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        inner: dict[str, Any] = handler(core_schema)
        if "patternProperties" in inner:
            inner["additionalProperties"] = False
        return {"allOf": [inner], "minProperties": 1}


def _not_empty(when: "When") -> "When":
    if not when.keys:
        raise WrongValueError("has no condition in it, which would hold for everything")
    return when


UserText = Annotated[str, BeforeValidator(_known_user), text_schema(rf"^(?:{GROUP_PREFIX}.*\S.*|[^:]*[^:\s][^:]*)$")]
NumberText = Annotated[str, BeforeValidator(_number_pattern), text_schema(r"[^\s()/.-]")]
VariableName = Annotated[
    str, BeforeValidator(_variable_name), WithJsonSchema({"type": "string", "pattern": f"^(?!__?$){_VARIABLE}$"})
]
Conditions = Annotated["When", AfterValidator(_not_empty), _NotEmpty()]
"""Conditions inside conditions: at least one."""


class When(Strict):
    """The conditions of a rule: all must hold, and of a list any. An empty tuple is a condition that is not given."""

    direction: OneOrMany[Annotated[Direction, one_of(Direction)]] = ()
    """internal, inbound or outbound."""
    queue: OneOrMany[Text] = ()
    """The queue that the call came through; `*` and `?` are patterns."""
    user: OneOrMany[UserText] = ()
    """A user on either side, or `group:NAME`."""
    caller: OneOrMany[UserText] = ()
    """A user on the calling side, or `group:NAME`."""
    callee: OneOrMany[UserText] = ()
    """A user on the called side, or `group:NAME`."""
    number: OneOrMany[NumberText] = ()
    """The number of the party outside; `*` and `?` are patterns."""
    dialed: OneOrMany[NumberText] = ()
    """The number that was dialled first; `*` and `?` are patterns."""
    context: OneOrMany[Text] = ()
    """The dialplan context in which the call began; `*` and `?` are patterns."""
    channel: OneOrMany[Text] = ()
    """A channel in the talk, like PJSIP/trunk-*."""
    time: OneOrMany[TimeText] = ()
    """When the talk begins: `mon-fri 08:00-18:00 Europe/Berlin`."""
    variable: Annotated[dict[VariableName, OneOrMany[Text]], AfterValidator(_some_variable), _NotEmpty()] = Field(
        default_factory=dict
    )
    """Channel variables by name, as set in the dialplan; `*` and `?` are patterns."""
    sample: Annotated[str, BeforeValidator(_share), WithJsonSchema({"type": "string", "pattern": f"^{_SHARE}$"})] = ""
    """A share of all calls, always the same ones: 10%."""
    user_call_record: Boolean | None = None
    """Whether a user in the talk has calls of this way recorded (call_record_…_enabled)."""
    online_call_record: Boolean | None = None
    """Whether a user in the talk has online_call_record_enabled."""
    all: OneOrMany[Conditions] = ()
    """Every item must hold."""
    any: OneOrMany[Conditions] = ()
    """One of the items must hold."""
    not_: Annotated[Conditions | None, Field(alias="not")] = None
    """Must not hold."""
    _written: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="wrap")
    @classmethod
    def _keep_order(cls, data: Any, handler: ModelWrapValidatorHandler["When"]) -> "When":
        when = handler(data)
        if isinstance(data, dict):
            when._written = tuple(data)  # noqa: SLF001  # its own
        return when

    @property
    def keys(self) -> tuple[str, ...]:
        """The conditions that are given, in the order in which they are written."""
        return self._written

    def value(self, key: str) -> Any:
        """What is given for a key."""
        return self.not_ if key == "not" else getattr(self, key)

    @property
    def variables(self) -> frozenset[str]:
        """The names of all channel variables that are asked for, in nested conditions too."""
        inside = [*self.all, *self.any, *([self.not_] if self.not_ is not None else [])]
        return frozenset(map(plain_variable, self.variable)).union(*(one.variables for one in inside))

    @property
    def names_users(self) -> bool:
        """Whether users must be in the talk for the conditions to hold: what `follow: user` needs."""
        return bool(self.user or self.caller or self.callee) or any(one.names_users for one in (*self.all, *self.any))

    @property
    def wants_online(self) -> bool:
        """Whether somebody in the talk must have online_call_record_enabled for the conditions to hold."""
        return self.online_call_record is True or any(one.wants_online for one in self.all)

    def users(self, directory: Directory) -> frozenset[str]:
        """Everybody whom `user`, `caller` and `callee` name, groups as their members."""
        named = frozenset().union(*(who(name, directory) for name in (*self.user, *self.caller, *self.callee)))
        return named.union(*(one.users(directory) for one in (*self.all, *self.any)))


def who(name: str, directory: Directory) -> frozenset[str]:
    """A user's own name, or the members of a `group:NAME`."""
    group = name.removeprefix(GROUP_PREFIX)
    return frozenset({name}) if group == name else frozenset(directory.members(group))


When.model_rebuild()
