"""Frozen dataclasses as plain JSON values and back, by their annotations: exact, whatever texts they hold."""

import base64
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

_Reader = Callable[[Any], Any]
_Writer = Callable[[Any], Any]
_AS_THEY_ARE = (str, int, float, bool, type(None))


def plain(value: object) -> Any:
    """What json.dumps takes, and `read` makes into the same value again."""
    kind = type(value)
    return value if kind in _ITSELF else _writer(cast("Hashable", kind))(value)


@cache
def _writer(kind: type[Any]) -> _Writer:
    """What makes values of one type plain: each running call is written several times a second."""
    if is_dataclass(kind):
        return _of_fields(tuple(one.name for one in fields(kind)))
    for kinds, write in _WRITERS:
        if issubclass(kind, kinds):
            return write
    return str


def _of_fields(names: Sequence[str]) -> _Writer:
    return lambda value: {name: plain(getattr(value, name)) for name in names}


_ITSELF = frozenset(_AS_THEY_ARE)
_WRITERS: Sequence[tuple[Any, _Writer]] = (
    (StrEnum, lambda value: value.value),
    (datetime, datetime.isoformat),
    (bytes, lambda value: base64.b64encode(value).decode("ascii")),
    (list | tuple, lambda value: [plain(one) for one in value]),
    (frozenset, lambda value: sorted(plain(one) for one in value)),
    (Mapping, lambda value: {str(name): plain(one) for name, one in value.items()}),
    (_AS_THEY_ARE, lambda value: value),
)


def read(kind: type[T], value: object) -> T:
    """The dataclass again. Raises ValueError, TypeError or LookupError for what `plain` has not made of one.

    Raises NotImplementedError where an annotation is none that `reader` knows.
    """
    return cast("T", reader(cast("Hashable", kind))(value))


@cache
def reader(annotation: Any) -> _Reader:
    """What reads a value of an annotation: dataclasses, enums, times, bytes, tuples, frozensets, mappings of texts,
    optional ones.

    Raises NotImplementedError for any other.
    """
    if isinstance(annotation, NewType):
        return reader(annotation.__supertype__)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        (one,) = (each for each in arguments if each is not type(None))
        return _optional(reader(one))
    if origin is tuple:
        if arguments[1:] == (...,):
            return _each(reader(arguments[0]))
        return _fixed([reader(one) for one in arguments])
    if origin is frozenset:
        return _set(reader(arguments[0]))
    if origin in (Mapping, dict):
        return _mapping(reader(arguments[1]))
    if annotation is Any or annotation in _AS_THEY_ARE:
        return _as_it_is
    if annotation is float:
        return float
    if annotation is datetime:
        return datetime.fromisoformat
    if annotation is bytes:
        return base64.b64decode
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return annotation
    if isinstance(annotation, type) and is_dataclass(annotation):
        return _dataclass(annotation)
    raise NotImplementedError(f"nothing here reads {annotation}")


def _as_it_is(value: Any) -> Any:
    return value


def _optional(one: _Reader) -> _Reader:
    return lambda value: None if value is None else one(value)


def _each(one: _Reader) -> _Reader:
    return lambda value: tuple(one(each) for each in value)


def _set(one: _Reader) -> _Reader:
    return lambda value: frozenset(one(each) for each in value)


def _fixed(readers: list[_Reader]) -> _Reader:
    return lambda value: tuple(one(each) for one, each in zip(readers, value, strict=True))


def _mapping(one: _Reader) -> _Reader:
    return lambda value: {name: one(each) for name, each in value.items()}


def _dataclass(kind: type[Any]) -> _Reader:
    hints = get_type_hints(kind)
    readers = {one.name: reader(hints[one.name]) for one in fields(kind)}
    return lambda value: kind(**{name: readers[name](each) for name, each in value.items()})
