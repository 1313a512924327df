"""Rules: what they say, and the one function that asks them (`ask`).

Daemon, commands and tests all ask here. Nothing is looked up and no clock is read: everything is in TalkFacts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, ModelWrapValidatorHandler, PrivateAttr, ValidationInfo, model_validator

from bridge.core.document import (
    POSITIVE,
    Loaded,
    OneOrMany,
    Strict,
    Text,
    WrongValueError,
    in_order,
    load,
    one_of,
    suggest,
    text_of,
)
from bridge.core.errors import BadInputError, Problem
from bridge.core.ids import Identity, RuleId
from bridge.core.people import GROUP_PREFIX, Directory, matcher


class Direction(StrEnum):
    """Which way a talk goes: nobody from outside in it, somebody who called in, or somebody who was called."""

    INTERNAL = "internal"
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class RecordMode(StrEnum):
    """What a rule that matches does."""

    ALWAYS = "always"
    ON_DEMAND = "on-demand"
    NEVER = "never"


_BETWEEN_DIGITS = re.compile(r"[\s()/.-]")


def plain_number(number: str) -> str:
    """A number without what people put between its digits."""
    return _BETWEEN_DIGITS.sub("", number)


def _number_pattern(value: object) -> str:
    text = text_of(value)
    if not plain_number(text):
        raise WrongValueError(f"must be a number or a pattern of one, not `{text}`")
    return text


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


class When(Strict):
    """The conditions of a rule: all must hold, and of a list any. An empty tuple is a condition that is not given."""

    direction: OneOrMany[Annotated[Direction, one_of(Direction)]] = ()
    queue: OneOrMany[Text] = ()
    user: OneOrMany[Annotated[str, BeforeValidator(_known_user)]] = ()
    number: OneOrMany[Annotated[str, BeforeValidator(_number_pattern)]] = ()
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


class Rule(Strict):
    """One rule as an admin wrote it."""

    id: Annotated[RuleId, POSITIVE]
    name: Text
    record: Annotated[RecordMode, one_of(RecordMode)]
    when: When = When()


class _RulesFile(Strict):
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class TalkFacts:
    """What rules are asked about. An empty text means that there is none.

    `number` is that of the party outside, `dialed` what was dialled first, `at` when (aware).
    """

    direction: Direction
    callers: frozenset[Identity]
    callees: frozenset[Identity]
    number: str
    dialed: str
    queue: str
    context: str
    at: datetime

    @property
    def users(self) -> frozenset[Identity]:
        """The users on either side."""
        return self.callers | self.callees


@dataclass(frozen=True, slots=True)
class Failed:
    """A condition that does not hold: its key, what it wants (any of these), and what the talk has."""

    key: str
    wanted: tuple[str, ...]
    found: tuple[str, ...]

    def __str__(self) -> str:
        """`direction is inbound, not outbound or internal`."""
        return f"{self.key} is {' and '.join(self.found) or 'none'}, not {' or '.join(self.wanted)}"


Condition = Callable[[TalkFacts], Failed | None]
"""A condition, ready to be asked: None where it holds."""


def _condition(
    key: str,
    wanted: tuple[str, ...],
    holds: Callable[[TalkFacts], bool],
    found: Callable[[TalkFacts], tuple[str, ...]],
) -> Condition:
    return lambda talk: None if holds(talk) else Failed(key, wanted, found(talk))


def _direction(wanted: tuple[Direction, ...], _: Directory) -> Condition:
    words = tuple(str(one) for one in wanted)
    return _condition("direction", words, lambda talk: talk.direction in wanted, lambda talk: (str(talk.direction),))


def _queue(wanted: tuple[str, ...], _: Directory) -> Condition:
    fits = matcher(wanted)

    def found(talk: TalkFacts) -> tuple[str, ...]:
        return (talk.queue,) if talk.queue else ()

    return _condition("queue", wanted, lambda talk: talk.queue != "" and fits(talk.queue), found)


def _user(wanted: tuple[str, ...], directory: Directory) -> Condition:
    them: set[str] = set()
    for name in wanted:
        is_group = name.startswith(GROUP_PREFIX)
        them |= directory.members(name.removeprefix(GROUP_PREFIX)) if is_group else {name}
    users = frozenset(them)

    def holds(talk: TalkFacts) -> bool:
        return not (users.isdisjoint(talk.callers) and users.isdisjoint(talk.callees))

    return _condition("user", wanted, holds, lambda talk: tuple(sorted(talk.users)))


def _number(wanted: tuple[str, ...], _: Directory) -> Condition:
    fits = matcher(map(plain_number, wanted))

    def found(talk: TalkFacts) -> tuple[str, ...]:
        return (talk.number,) if talk.number else ()

    return _condition("number", wanted, lambda talk: talk.number != "" and fits(plain_number(talk.number)), found)


_VOCABULARY: dict[str, Callable[[Any, Directory], Condition]] = {
    "direction": _direction,
    "queue": _queue,
    "user": _user,
    "number": _number,
}
"""For each key of When how it becomes a condition."""


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule, where it stands, and its conditions in the order in which they are written, ready to be asked."""

    rule: Rule
    file: str
    line: int
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of a folder, in the order of files and lines."""

    rules: tuple[PlacedRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one rule says to a talk: `failed` is the first condition that failed, in the order written."""

    rule: Rule
    failed: Failed | None = None

    @property
    def matched(self) -> bool:
        """Whether all its conditions hold."""
        return self.failed is None

    @property
    def reason(self) -> str | None:
        """In words what failed; it holds names and numbers of people."""
        return str(self.failed) if self.failed is not None else None


@dataclass(frozen=True, slots=True)
class Answers:
    """What all rules say to a talk. `recording` and `offered` are empty where a `never` matches."""

    talk: TalkFacts
    answers: tuple[Answer, ...]
    recording: tuple[Rule, ...]
    offered: tuple[Rule, ...]
    never: tuple[Rule, ...]
    _asked: RuleSet

    def matching(self, mode: RecordMode) -> tuple[Rule, ...]:
        """The rules of this kind that match, whether or not a `never` stands over them."""
        return tuple(answer.rule for answer in self.answers if answer.matched and answer.rule.record is mode)

    def why_not(self) -> str:
        """Why no rule records by itself: `never by rule 7`, `on-demand by rule 3`, or `no-rule` with the nearest one.

        The first word is stable. It names keys only, no names or numbers of people, so it may stand in any fact.
        """
        if self.never:
            return f"never by {_rules(self.never)}"
        if self.recording:
            return f"matched by {_rules(self.recording)}"
        if self.offered:
            return f"on-demand by {_rules(self.offered)}"
        near = self._nearest()
        if near is None:
            return "no-rule (there is none that records)"
        rule, failed = near
        return f"no-rule (nearest: rule {rule.id}, but for {' and '.join(failed)})"

    def _nearest(self) -> tuple[Rule, list[str]] | None:
        """The rule that the fewest conditions keep from recording, and those; of equals the one of which most hold."""
        best: tuple[int, int] | None = None
        nearest: tuple[Rule, list[str]] | None = None
        for placed in self._asked.rules:
            if placed.rule.record is RecordMode.NEVER:
                continue
            failed = [failed.key for condition in placed.conditions if (failed := condition(self.talk)) is not None]
            rank = len(failed), len(failed) - len(placed.conditions)
            if best is None or rank < best:
                best, nearest = rank, (placed.rule, failed)
        return nearest


def _rules(rules: Sequence[Rule]) -> str:
    return f"rule{'s' if len(rules) > 1 else ''} {', '.join(str(rule.id) for rule in rules)}"


def ask(rules: RuleSet, talk: TalkFacts) -> Answers:
    """Ask every rule about a talk. A matching `never` beats all others."""
    answers = tuple(_answer(placed, talk) for placed in rules.rules)
    matched = [answer.rule for answer in answers if answer.failed is None]
    never = tuple(rule for rule in matched if rule.record is RecordMode.NEVER)
    recording = () if never else tuple(rule for rule in matched if rule.record is RecordMode.ALWAYS)
    offered = () if never else tuple(rule for rule in matched if rule.record is RecordMode.ON_DEMAND)
    return Answers(talk, answers, recording, offered, never, rules)


def _answer(placed: PlacedRule, talk: TalkFacts) -> Answer:
    for condition in placed.conditions:
        failed = condition(talk)
        if failed is not None:
            return Answer(placed.rule, failed)
    return Answer(placed.rule)


def parse_rules(files: Sequence[tuple[str, str]], directory: Directory) -> RuleSet:
    """The rules of all files, given as (name, text) in their order. Raises BadInputError with every problem.

    `directory` says which users and groups there are, and who is in a group: with another one, parse again.
    """
    loaded = [load(text, file, _RulesFile, directory) for file, text in files]
    problems = [problem for one in loaded for problem in one.problems] + list(_ids_taken(loaded))
    if problems:
        raise BadInputError(in_order(problems))
    return RuleSet(tuple(placed for one in loaded for placed in _placed(one, directory)))


def _placed(loaded: Loaded[_RulesFile], directory: Directory) -> Iterator[PlacedRule]:
    for index, rule in enumerate(loaded.value.rules if loaded.value is not None else ()):
        when = rule.when
        conditions = tuple(_VOCABULARY[key](getattr(when, key), directory) for key in when.keys)
        yield PlacedRule(rule, loaded.file, loaded.place(("rules", index))[0], conditions)


def _ids_taken(files: Sequence[Loaded[_RulesFile]]) -> Iterator[Problem]:
    """Ids are unique over all files; looked for also where other things are wrong."""
    first: dict[str, tuple[str, int, int]] = {}
    for loaded in files:
        for loc, text in loaded.texts("rules", "id"):
            here = (loaded.file, *loaded.place(loc))
            file, line, column = first.setdefault(text, here)
            if (file, line, column) != here:
                yield loaded.problem(loc, f"`id` {text} is taken already at {file}:{line}:{column}")
