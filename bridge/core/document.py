"""YAML that an admin wrote, to checked values: every mistake at once, with its place and what was probably meant.

All scalars are text here: `0049`, `no` and `*3` are never numbers, booleans or aliases; what a value is to be, the
model that it is checked against says. Anchors, aliases and tags do not exist.
"""

import difflib
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.core.errors import Problem

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

_MAX_DEPTH = 40
_MAX_CHARACTERS = 1_000_000


class _Loader(yaml.SafeLoader):
    """PyYAML's loader without what would turn text into something else."""

    def fetch_alias(self) -> None:
        """`*3` and `*49*` are text."""
        self.fetch_plain()

    def fetch_anchor(self) -> None:
        """`&` is no anchor."""
        raise yaml.scanner.ScannerError(None, None, "a value that begins with & has to be quoted", self.get_mark())

    def fetch_tag(self) -> None:
        """`!` is no tag."""
        raise yaml.scanner.ScannerError(None, None, "a value that begins with ! has to be quoted", self.get_mark())


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, counting from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Model]):
    """A file's value (None where it has problems), its problems, and the places of its values."""

    value: Model | None
    problems: tuple[Problem, ...]
    places: "Places"


class Places:
    """Where each value of a file stands, by its path; the path with `key` for the key itself."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._values: dict[Path, Place] = {}
        self._keys: dict[Path, Place] = {}

    def add(self, path: Path, mark: yaml.Mark, key: yaml.Mark | None = None) -> None:
        """Note where a value, and its key, begin."""
        self._values[path] = Place(mark.line + 1, mark.column + 1)
        if key is not None:
            self._keys[path] = Place(key.line + 1, key.column + 1)

    def of(self, path: Path, *, key: bool = False) -> Place:
        """The place of a value, or of the nearest thing around it."""
        while path:
            place = (self._keys.get(path) if key else None) or self._values.get(path)
            if place is not None:
                return place
            path = path[:-1]
        return self._values.get((), Place(1, 1))

    def problem(self, path: Path, message: str, suggestion: str | None = None, *, key: bool = False) -> Problem:
        """A problem at a path."""
        place = self.of(path, key=key)
        return Problem(self.file, place.line, place.column, message, suggestion)


def nearest(word: str, possible: Sequence[str]) -> str | None:
    """What was probably meant by `word`, if anything is near."""
    lower = {one.lower(): one for one in possible}
    found = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def load(text: str, file: str, model: type[Model]) -> Loaded[Model]:
    """Check the text of a file against a pydantic model. An empty file is an empty mapping."""
    places = Places(file)
    problems: list[Problem] = []
    try:
        tree = _tree(text, places, problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        return Loaded(None, (Problem(file, line, column, _yaml_words(error)),), places)
    except yaml.YAMLError as error:
        return Loaded(None, (Problem(file, 1, 1, f"this is no YAML: {error}"),), places)
    value: Model | None = None
    try:
        value = model.model_validate(tree if tree is not None else {})
    except ValidationError as error:
        problems += [_problem(one, places, model) for one in error.errors(include_url=False)]
    if problems:
        value = None
    return Loaded(value, tuple(dict.fromkeys(sorted(problems))), places)


def _yaml_words(error: yaml.MarkedYAMLError) -> str:
    words = error.problem or "this is no YAML"
    if error.context:
        words = f"{words} ({error.context})"
    return words


def _tree(text: str, places: Places, problems: list[Problem]) -> Any:
    if len(text) > _MAX_CHARACTERS:
        raise yaml.MarkedYAMLError(problem=f"the file is longer than {_MAX_CHARACTERS} characters")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    finally:
        loader.dispose()
    return None if node is None else _value(node, (), places, problems)


def _value(node: yaml.Node, path: Path, places: Places, problems: list[Problem]) -> Any:
    if len(path) > _MAX_DEPTH:
        raise yaml.MarkedYAMLError(problem=f"nested deeper than {_MAX_DEPTH}", problem_mark=node.start_mark)
    if path not in places._values:  # noqa: SLF001  # one class in two shapes: the tree fills it
        places.add(path, node.start_mark)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key has to be plain text", problem_mark=key_node.start_mark)
            key = str(key_node.value)
            if key in mapping:
                mark = key_node.start_mark
                first = places.of((*path, key), key=True)
                words = f"{key} stands here already, in line {first.line}"
                problems.append(Problem(places.file, mark.line + 1, mark.column + 1, words))
                continue
            places.add((*path, key), value_node.start_mark, key_node.start_mark)
            mapping[key] = _value(value_node, (*path, key), places, problems)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), places, problems) for index, item in enumerate(node.value)]
    if node.tag == "tag:yaml.org,2002:null" and not node.value:
        return None
    return str(node.value)


# Words for what pydantic found


def _problem(error: ErrorDetails, places: Places, model: type[BaseModel]) -> Problem:
    path = _real_path(error["loc"], places)
    kind, context = error["type"], error.get("ctx", {})
    name = str(path[-1]) if path else "the file"
    if kind == "extra_forbidden":
        suggestion = nearest(name, _fields_at(model, path[:-1]))
        return places.problem(path, f"{name} is no key that is known here", suggestion, key=True)
    if kind == "missing":
        return places.problem(path, f"{error['loc'][-1]} is missing")
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", "")).replace(" or ", ", ")
        possible = [word.strip("'") for word in expected.split(", ")]
        words = f"{name} is {_short(error['input'])}, but can be {', '.join(possible)}"
        return places.problem(path, words, nearest(str(error["input"]), possible))
    if kind == "value_error":
        cause = context.get("error")
        return places.problem(path, f"{name}: {cause or error['msg']}", getattr(cause, "suggestion", None))
    template = _WORDS.get(kind)
    words = template.format(**context, input=_short(error["input"])) if template is not None else error["msg"]
    return places.problem(path, f"{name} {words}")


_WORDS = {
    "int_parsing": "has to be a whole number, not {input}",
    "int_type": "has to be a whole number, not {input}",
    "int_from_float": "has to be a whole number, not {input}",
    "bool_parsing": "has to be true or false, not {input}",
    "bool_type": "has to be true or false, not {input}",
    "string_type": "has to be text, not {input}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "is {input}, which is not of the form {pattern}",
    "greater_than": "has to be greater than {gt}, not {input}",
    "greater_than_equal": "has to be {ge} or more, not {input}",
    "less_than_equal": "has to be {le} or less, not {input}",
    "list_type": "has to be a list",
    "tuple_type": "has to be a list",
    "too_short": "must not be empty",
    "model_type": "has to be a mapping (key: value), not {input}",
    "dict_type": "has to be a mapping (key: value), not {input}",
    "uuid_parsing": "has to be a UUID, not {input}",
}


def _short(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    words = str(value)
    return words if len(words) <= 60 else words[:57] + "…"


def _real_path(loc: tuple[int | str, ...], places: Places) -> Path:
    """The part of pydantic's location that stands in the file: it also names the members of a union."""
    path: Path = ()
    for step in loc:
        if (*path, step) in places._values:  # noqa: SLF001
            path = (*path, step)
    return path


def _fields_at(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that may stand at a path."""
    models: list[type[BaseModel]] = [model]
    for step in path:
        if isinstance(step, int):
            continue
        annotations = [
            field.annotation
            for one in models
            for name, field in one.model_fields.items()
            if step in (name, field.alias)
        ]
        models = [found for annotation in annotations for found in _models_in(annotation)]
    return [field.alias or name for one in models for name, field in one.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    arguments = typing.get_args(annotation)
    if not arguments and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in arguments:
        yield from _models_in(inner)
