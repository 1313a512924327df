"""What a check says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from bridge.config import Config

AS_ROOT = "run it as root or as recbridge"
"""The remedy where rights are missing to look."""

Value = str | int | float | bool | None | Sequence[object] | Mapping[str, object]


class State(StrEnum):
    """How something is; `unknown`: it could not be looked at."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `code` is stable; `remedy` is what to do, '' where there is nothing to do.

    `values` are what programs may want of it, JSON by camelCase names: times are epoch ms, durations seconds.
    """

    code: str
    state: State
    words: str
    remedy: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the checks stand on. `path` is the configuration's file, `config` what it says; `clock` gives aware UTC."""

    path: Path
    config: Config
    clock: Callable[[], datetime]


def ok(code: str, words: str, **values: Value) -> Finding:
    """It is well."""
    return Finding(code, State.OK, words, values=values)


def warning(code: str, words: str, remedy: str, **values: Value) -> Finding:
    """It hurts no recording yet."""
    return Finding(code, State.WARNING, words, remedy, values)


def failed(code: str, words: str, remedy: str, **values: Value) -> Finding:
    """It is broken, and recordings or what is kept of them are in danger."""
    return Finding(code, State.FAILED, words, remedy, values)


def unknown(code: str, words: str, remedy: str = "") -> Finding:
    """It could not be looked at; `words` say why."""
    return Finding(code, State.UNKNOWN, words, remedy)


def milliseconds(at: datetime) -> int:
    """A time as JSON has it."""
    return round(at.timestamp() * 1000)
