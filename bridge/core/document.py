"""What an admin wrote -> a typed value, or every mistake in it with its place and, where we can guess, what was meant.

YAML gives a tree of text (`yaml_tree`), a pydantic model says what it must look like; the words are ours. Models for
it are `Strict` and built from the types below, which take text alone.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, ValidationError, WithJsonSchema
from pydantic_core import CoreSchema

from bridge.core.errors import Problem
from bridge.core.yaml_tree import Entry, Node, parse

Loc = tuple[str | int, ...]
"""The way to a value: keys, and places in lists from 0."""

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class WrongValueError(ValueError):
    """What a validator says no with. The message goes on from the key: `id` + "must be …"."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.suggestion = suggestion


class _Nothing:
    """Stands for a value that is not there, so that no model takes it for a None that it allows."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Final = _Nothing()
"""What a validator sees of `key:` with nothing behind it."""


class Strict(BaseModel):
    """Base of all models of files: frozen, unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


def suggest(word: str, possible: Iterable[str]) -> str | None:
    """The one of `possible` that was probably meant."""
    by_folded = {one.casefold(): one for one in possible}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each once, by file and place."""
    return tuple(sorted(set(problems), key=lambda one: (one.file, one.line, one.column, one.message)))


def text_of(value: object) -> str:
    """The text that a validator was given. Raises WrongValueError for lists and keys."""
    if isinstance(value, str):
        return value
    raise WrongValueError(f"must be a single value, not {_kind(value)}")


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else "keys" if isinstance(value, dict) else "text"


def _filled(value: object) -> str:
    text = text_of(value)
    if not text.strip():
        raise WrongValueError("is empty")
    return text


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _many(value: object) -> object:
    if value == []:
        raise WrongValueError("is an empty list, which nothing can match: name something, or leave the key out")
    return _listed(value)


_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def _positive(value: object) -> int:
    text = text_of(value)
    if not _NUMBER.fullmatch(text):
        raise WrongValueError(f"must be a whole number from 1 to 999999999, not `{text}`")
    return int(text)


_BOOLEANS = {"true": True, "false": False}
_MEANT = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}


def _boolean(value: object) -> bool:
    text = text_of(value)
    if text not in _BOOLEANS:
        folded = text.casefold()
        meant = folded if folded in _BOOLEANS else _MEANT.get(folded)
        raise WrongValueError(f"must be true or false, not `{text}`", meant)
    return _BOOLEANS[text]


def one_of(choices: type[StrEnum]) -> BeforeValidator:
    """For `Annotated[X, one_of(X)]`: says what is possible, and what was probably meant."""
    possible = [str(choice) for choice in choices]

    def choose(value: object) -> StrEnum:
        text = text_of(value)
        if text not in possible:
            raise WrongValueError(f"cannot be `{text}`: possible are {', '.join(possible)}", suggest(text, possible))
        return choices(text)

    return BeforeValidator(choose)


@dataclass(frozen=True, slots=True)
class _AloneOrListed:
    """JSON Schema of a list whose one value may stand without it."""

    at_least: int

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        listed: dict[str, Any] = handler(core_schema)
        return {"anyOf": [listed["items"], listed | {"minItems": self.at_least}]}


def text_schema(pattern: str) -> WithJsonSchema:
    """JSON Schema of text that an editor reads as a number or a boolean where it is not quoted."""
    return WithJsonSchema({"type": ["string", "number", "boolean"], "pattern": pattern})


Text = Annotated[str, BeforeValidator(_filled), text_schema(r"\S")]
"""Text with something in it."""
Boolean = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema({"enum": [True, False, "true", "false"]})]
POSITIVE: Final = BeforeValidator(_positive)
"""For `Annotated[X, POSITIVE]`: a whole number from 1 on."""
Listed = Annotated[tuple[T, ...], BeforeValidator(_listed), _AloneOrListed(0)]
"""A list of values, or the one value without a list."""
OneOrMany = Annotated[tuple[T, ...], BeforeValidator(_many), _AloneOrListed(1)]
"""`Listed`, and not empty: what a condition is given."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[M]):
    """A file that was read. `value` is None where there are problems.

    `problem` and `texts` work on what stands in the file even then, so that no mistake hides another.
    """

    file: str
    root: Node | None
    value: M | None
    problems: list[Problem]

    def place(self, loc: Loc, *, of_key: bool = False) -> tuple[int, int]:
        """Line and column of the value (or its key) at `loc`, or of the nearest thing around it."""
        entry, node = _find(self.root, loc)
        if entry is not None and (of_key or node is None or node.value is None):
            return entry.line, entry.column
        return (node.line, node.column) if node is not None else (1, 1)

    def problem(self, loc: Loc, message: str, suggestion: str | None = None, *, of_key: bool = False) -> Problem:
        """A mistake at `loc`."""
        return Problem(self.file, *self.place(loc, of_key=of_key), message, suggestion)

    def keys(self, *path: str) -> frozenset[str] | None:
        """The keys that stand at the end of `path`, None where something else or nothing does."""
        node = self.root
        for step in path:
            entry = node.value.get(step) if node is not None and isinstance(node.value, dict) else None
            node = entry.node if entry is not None else None
        return frozenset(node.value) if node is not None and isinstance(node.value, dict) else None

    def texts(self, *path: str) -> Iterator[tuple[Loc, str]]:
        """Every text at the end of `path`, through lists: `texts("users", "devices", "channel")`."""
        if self.root is not None:
            yield from _texts(self.root, (), path)


def load(text: str, file: str, model: type[M], context: object = None) -> Loaded[M]:
    """Read `text` as `model`. `context` is what validators see as `info.context`."""
    root, problems = parse(text, file)
    if root is None:
        return Loaded(file, None, None, problems)
    value: M | None = None
    try:
        value = model.model_validate(_plain(root), context=context)
    except ValidationError as error:
        found: Loaded[M] = Loaded(file, root, None, [])
        problems += [_translated(found, model, one) for one in error.errors(include_url=False)]
    return Loaded(file, root, None if problems else value, problems)


def _plain(node: Node) -> object:
    if isinstance(node.value, dict):
        return {key: _plain(entry.node) for key, entry in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in node.value]
    return NOTHING if node.value is None else node.value


def _find(root: Node | None, loc: Loc) -> tuple[Entry | None, Node | None]:
    entry, node = None, root
    for step in loc:
        if node is None:
            break
        if isinstance(step, int) and isinstance(node.value, list) and step < len(node.value):
            entry, node = None, node.value[step]
        elif isinstance(step, str) and isinstance(node.value, dict) and step in node.value:
            entry = node.value[step]
            node = entry.node
    return entry, node


def _texts(node: Node, loc: Loc, path: tuple[str, ...]) -> Iterator[tuple[Loc, str]]:
    if isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield from _texts(item, (*loc, index), path)
    elif isinstance(node.value, str) and not path:
        yield loc, node.value
    elif isinstance(node.value, dict) and path and path[0] in node.value:
        yield from _texts(node.value[path[0]].node, (*loc, path[0]), path[1:])


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is made of: `tuple[Rule, ...]`, `Location | None`, `Annotated[…]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _keys_at(model: type[BaseModel] | None, loc: Loc) -> list[str]:
    """The keys that can stand at `loc`; none where they are the admin's own names (a mapping)."""
    steps = [step for step in loc if isinstance(step, str)]
    while steps and model is not None:
        by_key = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        annotation = by_key.get(steps.pop(0))
        if get_origin(annotation) is Mapping and not steps:
            return []
        del steps[: get_origin(annotation) is Mapping]
        model = _model_in(annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model is not None else []


_TYPES: dict[str, Callable[[object], str]] = {
    "string_type": lambda value: f"must be text, not {_kind(value)}",
    "dict_type": lambda value: f"must hold keys of its own, not {_kind(value)}",
    "tuple_type": lambda value: f"must be a list, not {_kind(value)}",
    "model_type": lambda value: f"must hold keys of its own, not {_kind(value)}",
}


def _translated(loaded: Loaded[M], model: type[M], error: Any) -> Problem:
    """One of pydantic's errors in our words."""
    loc: Loc = error["loc"]
    kind, value = error["type"], error["input"]
    of_key = loc[-1:] == ("[key]",)  # pydantic's way to a key itself
    loc = loc[:-1] if of_key else loc
    key = next((step for step in reversed(loc) if isinstance(step, str)), None)
    label = f"`{key}`" if key is not None else "the file"
    if kind == "extra_forbidden":
        possible = _keys_at(model, loc[:-1])
        below = next((one for one in possible if key in _keys_at(model, (*loc[:-1], one))), None)
        if below is not None:
            return loaded.problem(loc, f"unknown key {label} here", f"{below}: {{{key}: …}}", of_key=True)
        close = suggest(str(key), possible)
        known = "" if close else f"; possible here: {', '.join(possible)}"
        return loaded.problem(loc, f"unknown key {label}{known}", close, of_key=True)
    if kind == "missing":
        return loaded.problem(loc[:-1], f"{label} is missing")
    if value is NOTHING:
        if key is None:
            return loaded.problem(loc, f"the file is empty; possible here: {', '.join(_keys_at(model, ()))}")
        what = "an item with nothing in it" if isinstance(loc[-1], int) and _is_item(loaded.root, loc) else "no value"
        return loaded.problem(loc, f"{label} has {what}")
    if kind == "value_error":
        wrong = error["ctx"]["error"]
        return loaded.problem(loc, f"{label} {wrong}", getattr(wrong, "suggestion", None), of_key=of_key)
    words = _TYPES[kind](value) if kind in _TYPES else f"cannot be this: {error['msg']}"
    inside = "an item of " if isinstance(loc[-1] if loc else None, int) else ""
    return loaded.problem(loc, f"{inside}{label} {words}")


def _is_item(root: Node | None, loc: Loc) -> bool:
    _, around = _find(root, loc[:-1])
    return around is not None and isinstance(around.value, list)
