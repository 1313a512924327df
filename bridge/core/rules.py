"""Rules: what they say, and the one function that asks them (`ask`).

Daemon, commands and tests all ask here. Nothing is looked up and no clock is read: everything is in TalkFacts.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bridge.core.document import Places, load, nearest
from bridge.core.errors import BadInputError, Problem
from bridge.core.ids import Identity, RuleId
from bridge.core.people import Directory, Texts, as_list, globs


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


Directions = Annotated[tuple[Direction, ...], BeforeValidator(as_list), Field(min_length=1)]
Patterns = Annotated[Texts, Field(min_length=1)]


class When(BaseModel):
    """The conditions of a rule: all must hold, and of a list any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    direction: Directions | None = None
    queue: Patterns | None = None
    user: Patterns | None = None
    number: Patterns | None = None


class Rule(BaseModel):
    """One rule as an admin wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: RuleId = Field(gt=0, le=2**31 - 1)
    name: str = Field(min_length=1)
    record: RecordMode
    when: When = When()


class _RulesFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[Rule, ...] = ()


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


Test = Callable[[TalkFacts], str | None]
"""A condition: None where it holds, else in words what it found instead."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A rule, where it stands, and its conditions ready to be asked: (key, test)."""

    rule: Rule
    file: str
    line: int
    conditions: tuple[tuple[str, Test], ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of a folder, in the order of files and lines."""

    rules: tuple[Loaded, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one rule says to a talk. `failed` is the key of the first condition that failed, `reason` says how."""

    rule: Rule
    failed: str | None = None
    reason: str | None = None

    @property
    def matched(self) -> bool:
        """Whether all its conditions hold."""
        return self.failed is None


@dataclass(frozen=True, slots=True)
class Answers:
    """What all rules say to a talk."""

    talk: TalkFacts
    answers: tuple[Answer, ...]
    never: tuple[Rule, ...] = field(default=())
    recording: tuple[Rule, ...] = field(default=())
    offered: tuple[Rule, ...] = field(default=())

    def why_not(self) -> str:
        """Why nothing is recorded, as a code and words: `never: rule 7 (No managers)`, `on-demand: …`, `no-rule: …`."""
        if self.never:
            return f"never: {_named(self.never)}"
        if self.offered:
            return f"on-demand: {_named(self.offered)}"
        reasons = [f"rule {answer.rule.id}: {answer.reason}" for answer in self.answers if answer.reason is not None]
        return f"no-rule: {'; '.join(reasons)}" if reasons else "no-rule: there are no rules"


def _named(rules: Sequence[Rule]) -> str:
    return ", ".join(f"rule {rule.id} ({rule.name})" for rule in rules)


def ask(rules: RuleSet, talk: TalkFacts) -> Answers:
    """Ask every rule about a talk. `never` beats the others for what it matches."""
    answers = tuple(_answer(loaded, talk) for loaded in rules.rules)
    matched = [answer.rule for answer in answers if answer.failed is None]
    never = tuple(rule for rule in matched if rule.record is RecordMode.NEVER)
    if never:
        return Answers(talk, answers, never)
    return Answers(
        talk,
        answers,
        never,
        tuple(rule for rule in matched if rule.record is RecordMode.ALWAYS),
        tuple(rule for rule in matched if rule.record is RecordMode.ON_DEMAND),
    )


def _answer(loaded: Loaded, talk: TalkFacts) -> Answer:
    for key, test in loaded.conditions:
        reason = test(talk)
        if reason is not None:
            return Answer(loaded.rule, key, reason)
    return Answer(loaded.rule)


# Conditions

_NO_DIGITS = re.compile(r"[\s()/.-]")


def plain_number(number: str) -> str:
    """A number without what people put between its digits."""
    return _NO_DIGITS.sub("", number)


def _direction(wanted: tuple[Direction, ...], _: Directory) -> Test:
    words = " or ".join(wanted)
    return lambda talk: None if talk.direction in wanted else f"direction is {talk.direction}, not {words}"


def _queue(wanted: tuple[str, ...], _: Directory) -> Test:
    fits, words = globs(wanted), " or ".join(wanted)

    def test(talk: TalkFacts) -> str | None:
        if talk.queue and fits(talk.queue):
            return None
        return f"queue is {talk.queue}, not {words}" if talk.queue else f"no queue, wanted {words}"

    return test


def _user(wanted: tuple[str, ...], directory: Directory) -> Test:
    groups = {name.removeprefix("group:") for name in wanted if name.startswith("group:")}
    names = {name for name in wanted if not name.startswith("group:")}
    members = {user.identity for user in directory.users if not groups.isdisjoint(user.groups)}
    identities = frozenset(names | members)
    words = " or ".join(wanted)

    def test(talk: TalkFacts) -> str | None:
        if not identities.isdisjoint(talk.users):
            return None
        return f"users are {', '.join(sorted(talk.users)) or 'none'}, not {words}"

    return test


def _number(wanted: tuple[str, ...], _: Directory) -> Test:
    fits, words = globs(plain_number(pattern) for pattern in wanted), " or ".join(wanted)

    def test(talk: TalkFacts) -> str | None:
        if talk.number and fits(plain_number(talk.number)):
            return None
        return f"number is {talk.number}, not {words}" if talk.number else f"no number outside, wanted {words}"

    return test


_CONDITIONS: tuple[tuple[str, Callable[[Any, Directory], Test]], ...] = (
    ("direction", _direction),
    ("queue", _queue),
    ("user", _user),
    ("number", _number),
)
"""How each key is asked, in this order: the first that fails is the reason given."""


def _conditions(when: When, directory: Directory) -> tuple[tuple[str, Test], ...]:
    return tuple(
        (key, make(wanted, directory)) for key, make in _CONDITIONS if (wanted := getattr(when, key)) is not None
    )


# Files


def parse_rules(files: Sequence[tuple[str, str]], directory: Directory) -> RuleSet:
    """The rules of all files, given as (name, text) in their order. Raises BadInputError with every problem."""
    problems: list[Problem] = []
    rules: list[Loaded] = []
    seen: dict[RuleId, tuple[str, int]] = {}
    for file, text in files:
        loaded = load(text, file, _RulesFile)
        problems += loaded.problems
        for index, rule in enumerate(loaded.value.rules if loaded.value is not None else ()):
            place = loaded.places.of(("rules", index))
            first = seen.setdefault(rule.id, (file, place.line))
            if first != (file, place.line):
                words = f"rule {rule.id} stands in {first[0]}:{first[1]} already: ids are unique over all files"
                problems.append(loaded.places.problem(("rules", index, "id"), words))
            problems += _unknown_people(rule, index, loaded.places, directory)
            rules.append(Loaded(rule, file, place.line, _conditions(rule.when, directory)))
    if problems:
        raise BadInputError(tuple(dict.fromkeys(sorted(problems))))
    return RuleSet(tuple(rules))


def _unknown_people(rule: Rule, index: int, places: Places, directory: Directory) -> list[Problem]:
    """Users and groups that users.yml does not know. An empty users.yml knows everybody."""
    if not directory.users:
        return []
    names = [user.identity for user in directory.users]
    groups = sorted(f"group:{group}" for group in directory.groups)
    problems = []
    for at, name in enumerate(rule.when.user or ()):
        known = groups if name.startswith("group:") else names
        if name not in known:
            path = ("rules", index, "when", "user", at)
            what = "group" if name.startswith("group:") else "user"
            words = f"users.yml has no {what} {name.removeprefix('group:')}"
            problems.append(places.problem(path, words, nearest(name, [*names, *groups])))
    return problems
